/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a sandbox may do with a file: walk from the object to its parents, and the nearest anchor
 * decides. The supervisor anchors every listed path and the root of every mount that the sandbox
 * can see, so the walk never has to leave its superblock: hooks that know only a dentry decide
 * exactly like those that know a path. No anchor found means no rights.
 *
 * The host's unit tests and fuzzer compile this file with a map of their own behind
 * anchor_lookup().
 */
#pragma once

#include "abi.h"

#define WALK_LEVELS 256 /* deeper objects are denied */

#ifdef __bpf__
#include "agent.h"
#include <bpf/bpf_core_read.h>

static __always_inline const struct os_anchor *anchor_lookup(const struct os_anchor_key *key)
{
	return bpf_map_lookup_elem(&os_anchor, key);
}

static __always_inline const struct os_anchor *named_lookup(const struct os_named_key *key)
{
	return bpf_map_lookup_elem(&os_named, key);
}

static __always_inline long name_read(char *name, struct dentry *dentry)
{
	return bpf_probe_read_kernel_str(name, OS_NAME_MAX, BPF_CORE_READ(dentry, d_name.name));
}

/*
 * @probed: the pointer came as a number (through a global function), so every field is read with
 * the probing helper; otherwise the verifier knows its type and plain loads are used.
 */
#define WALK_FIELD(probed, pointer, ...)                                                           \
	((probed) ? BPF_CORE_READ(pointer, __VA_ARGS__) : WALK_PLAIN(pointer, __VA_ARGS__))
#else
#define WALK_FIELD(probed, pointer, ...) WALK_PLAIN(pointer, __VA_ARGS__)
#endif

#define WALK_PICK(_1, _2, name, ...) name
#define WALK_PLAIN1(pointer, a)	     ((pointer)->a)
#define WALK_PLAIN2(pointer, a, b)   ((pointer)->a->b)
#define WALK_PLAIN(pointer, ...)                                                                   \
	WALK_PICK(__VA_ARGS__, WALK_PLAIN2, WALK_PLAIN1)(pointer, __VA_ARGS__)

/*
 * The first levels are walked inline with plain loads, which is where nearly every object is
 * decided; what is deeper goes on in chunks, in a function of its own, so that the verifier looks
 * at a few dozen levels per program and not at 256.
 */
#define WALK_CHUNK  16
#define WALK_INLINE WALK_CHUNK /* a multiple of it, so that the limit is the same for all */
#define WALK_CHUNKS (WALK_LEVELS / WALK_CHUNK)

struct walk {
	__u32 slot;
	__u32 generation;
	__u64 dentry; /* where to go on */
	__u64 below;  /* the dentry before it, 0 at the start */
	__u32 level;  /* levels done */
	__u32 child;  /* wanted: the rights of an entry in the first dentry's directory */
	__u32 held;   /* out: OS_RIGHT_* */
	__u32 reason; /* out: enum os_reason, why held may be less than wanted */
};

#ifdef __bpf__
#define WALK_GLOBAL __attribute__((weak, noinline))
#else
#define WALK_GLOBAL static inline
#endif

/*
 * The deciding anchor is a directory that lists entries by name: look up the one that we came
 * through, walk->below. Global: verified once for each program.
 */
WALK_GLOBAL int walk_named(struct walk *walk, struct os_file_id *directory)
{
	struct os_named_key key = {};
	const struct os_anchor *anchor;

	if (!walk || !directory)
		return 0;
	key.slot = walk->slot;
	key.generation = walk->generation;
	key.directory = *directory;
	if (name_read(key.name, (struct dentry *)(unsigned long)walk->below) <= 0) {
		walk->held = 0; /* it cannot be told which entry it is */
		return 0;
	}
	anchor = named_lookup(&key);
	if (anchor)
		walk->held = walk->level == 1 && !walk->child ? anchor->self : anchor->subtree;
	return 0;
}

/*
 * Look at up to @levels dentries from @dentry upwards. 1: decided, walk->held is set; 0: go on at
 * walk->dentry. A dentry without an inode (a name that is about to be made) is what its parent
 * makes it.
 */
static __always_inline int walk_levels(struct walk *walk, struct dentry *dentry, const int levels,
				       const int probed)
{
	struct os_anchor_key key = {.slot = walk->slot, .generation = walk->generation};
	struct dentry *below = (struct dentry *)(unsigned long)walk->below;

	for (int i = 0; i < levels; i++) {
		struct dentry *parent = WALK_FIELD(probed, dentry, d_parent);
		struct inode *inode = WALK_FIELD(probed, dentry, d_inode);

		if (inode) {
			const struct os_anchor *anchor;

			key.file.ino = WALK_FIELD(probed, inode, i_ino);
			key.file.generation = WALK_FIELD(probed, inode, i_generation);
			key.file.dev = WALK_FIELD(probed, inode, i_sb, s_dev);
			anchor = anchor_lookup(&key);
			if (anchor) {
				__u32 subtree = anchor->subtree;

				walk->level += i;
				walk->reason = OS_REASON_RIGHT;
				walk->held = walk->level == 0 && !walk->child
						     ? anchor->self
						     : subtree & ~OS_ANCHOR_NAMES;
				if (below && (subtree & OS_ANCHOR_NAMES)) {
					walk->below = (__u64)(unsigned long)below;
					walk_named(walk, &key.file);
				}
				return 1;
			}
		}
		if (parent == dentry) {
			walk->reason = OS_REASON_NO_ANCHOR;
			return 1;
		}
		below = dentry;
		dentry = parent;
	}
	walk->level += levels;
	walk->below = (__u64)(unsigned long)below;
	walk->dentry = (__u64)(unsigned long)dentry;
	return 0;
}

/* Go on at walk->dentry. */
WALK_GLOBAL int walk_chunk(struct walk *walk)
{
	if (!walk)
		return 1;
	return walk_levels(walk, (struct dentry *)(unsigned long)walk->dentry, WALK_CHUNK, 1);
}

/* Walk on from walk->dentry until an anchor, the root, or the limit of levels. */
static __always_inline void walk_on(struct walk *walk)
{
	for (int i = 0; i < WALK_CHUNKS; i++) {
		if (walk->level >= WALK_LEVELS)
			break;
		if (walk_chunk(walk))
			return;
	}
	walk->held = 0;
	walk->reason = OS_REASON_DEPTH;
}

/* True if the walk found what is wanted. @any: one of the wanted rights is enough. */
static __always_inline int walk_allows(const struct walk *walk, __u32 wanted, int any)
{
	__u32 both = walk->held & wanted;

	return both == wanted || (any && both);
}

/*
 * Rights that a file must not gain by getting another name: what its new directory would give it
 * and it does not have where it is.
 */
static __always_inline __u32 walk_gained(__u32 old_rights, __u32 new_rights)
{
	return new_rights & ~old_rights;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf/include/walk.h on the host: the kernel's objects reduced to the fields that the walk reads,
 * and the anchor map as an array. What the tests and the fuzzer decide is what the kernel decides.
 */
#pragma once

#include "abi.h"

#include <string.h>

struct super_block {
	__u32 s_dev;
};

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
	__u32 i_generation;
};

struct qstr {
	const char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct inode *d_inode;
	struct qstr d_name;
};

struct host_anchor {
	struct os_anchor_key key;
	struct os_anchor value;
};

static struct host_anchor host_anchors[64];
static unsigned int host_anchors_len;

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

static const struct os_anchor *anchor_lookup(const struct os_anchor_key *key)
{
	for (unsigned int i = 0; i < host_anchors_len; i++)
		if (!memcmp(&host_anchors[i].key, key, sizeof(*key)))
			return &host_anchors[i].value;
	return NULL;
}

struct host_name {
	struct os_named_key key;
	struct os_anchor value;
};

static struct host_name host_names[64];
static unsigned int host_names_len;

static const struct os_anchor *named_lookup(const struct os_named_key *key)
{
	for (unsigned int i = 0; i < host_names_len; i++)
		if (!memcmp(&host_names[i].key, key, sizeof(*key)))
			return &host_names[i].value;
	return NULL;
}

/* As bpf_probe_read_kernel_str(): copies up to the size, always NUL-terminated. */
static long name_read(char *name, struct dentry *dentry)
{
	size_t n;

	if (!dentry->d_name.name)
		return -14;
	n = strlen(dentry->d_name.name);
	if (n > OS_NAME_MAX - 1)
		n = OS_NAME_MAX - 1;
	memcpy(name, dentry->d_name.name, n);
	name[n] = '\0';
	return (long)n + 1;
}

#include "walk.h"

/* As the hot hooks do it: inline first, then on in chunks. */
static inline void host_walk(struct walk *walk, struct dentry *dentry)
{
	if (!walk_levels(walk, dentry, WALK_INLINE, 0))
		walk_on(walk);
}

/* As the other hooks do it: in chunks from the start. */
static inline void host_walk_cold(struct walk *walk, struct dentry *dentry)
{
	walk->dentry = (__u64)(unsigned long)dentry;
	walk_on(walk);
}

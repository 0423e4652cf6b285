/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk over random trees and anchors, against the definition written down plainly: the nearest
 * anchored ancestor decides, and an object deeper than the limit has no rights.
 */
#include "tests/unit/walk_host.h"

#include <stdint.h>
#include <stdlib.h>

#define NODES 512

static struct super_block sb[2] = {{.s_dev = 1}, {.s_dev = 2}};
static struct inode inodes[NODES];
static struct dentry dentries[NODES];

static __u32 expected(const struct dentry *dentry, __u32 child, int *ret_depth)
{
	int depth = 0;

	for (;; depth++, dentry = dentry->d_parent) {
		if (dentry->d_inode) {
			struct os_anchor_key key = {.slot = 1, .generation = 1};
			const struct os_anchor *anchor;

			key.file.ino = dentry->d_inode->i_ino;
			key.file.dev = dentry->d_inode->i_sb->s_dev;
			key.file.generation = dentry->d_inode->i_generation;
			anchor = anchor_lookup(&key);
			if (anchor) {
				*ret_depth = depth;
				return depth == 0 && !child ? anchor->self : anchor->subtree;
			}
		}
		if (dentry->d_parent == dentry)
			break;
	}
	*ret_depth = depth;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t nodes, at = 0;

	if (size < 8)
		return 0;
	nodes = 1 + (data[0] | (size_t)data[1] << 8) % (NODES - 1);
	host_anchors_len = data[2] % 64;
	at = 3;
	for (size_t i = 0; i < nodes; i++) {
		uint8_t byte = data[at++ % size];

		/* Mostly a chain, so that the depth limit is reached; some branches and new names.
		 */
		inodes[i] = (struct inode){
			.i_sb = &sb[byte & 1], .i_ino = i, .i_generation = byte >> 6};
		dentries[i].d_inode = (byte & 0x3e) == 0x3e ? NULL : &inodes[i];
		dentries[i].d_parent = &dentries[!i ? 0 : (byte & 0x30) == 0x30 ? i / 2 : i - 1];
	}
	for (unsigned int i = 0; i < host_anchors_len; i++) {
		size_t node = (data[at % size] | (size_t)data[(at + 1) % size] << 8) % nodes;
		struct host_anchor *a = &host_anchors[i];

		at += 2;
		memset(a, 0, sizeof(*a));
		a->key.slot = 1;
		a->key.generation = 1;
		a->key.file.ino = inodes[node].i_ino;
		a->key.file.dev = inodes[node].i_sb->s_dev;
		a->key.file.generation = inodes[node].i_generation;
		a->value.subtree = data[at++ % size];
		a->value.self = data[at++ % size];
	}
	for (size_t i = 0; i < nodes; i++) {
		struct walk walk = {.slot = 1, .generation = 1, .child = data[at++ % size] & 1};
		struct walk cold = walk;
		int depth;
		__u32 held = expected(&dentries[i], walk.child, &depth);

		host_walk(&walk, &dentries[i]);
		host_walk_cold(&cold, &dentries[i]);
		if (depth >= WALK_LEVELS)
			held = 0;
		if (walk.held != held || cold.held != held)
			abort();
	}
	return 0;
}

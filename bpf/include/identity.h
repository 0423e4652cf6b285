/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who is asking: an executable and the executables of its ancestors, kept through fork and exec.
 * Pure functions over plain data, so that the host's unit tests and fuzzer run what the kernel
 * runs. Errs towards fewer rights: an ancestor that does not fit is forgotten, none is invented.
 */
#pragma once

#include "address.h"

static __always_inline int identity_file_equal(const struct os_file_id *a,
					       const struct os_file_id *b)
{
	return a->ino == b->ino && a->dev == b->dev && a->generation == b->generation;
}

static __always_inline int identity_image_equal(const struct os_image *a, const struct os_image *b)
{
	return identity_file_equal(&a->file, &b->file) && a->changed == b->changed;
}

static __always_inline int identity_file_is_none(const struct os_file_id *file)
{
	return !file->ino && !file->dev && !file->generation;
}

/* Add one ancestor, unless it is there. Nothing past OS_ANCESTORS_MAX: the oldest stay. */
static __always_inline void identity_add_ancestor(struct os_identity *identity,
						  const struct os_image *image)
{
	__u32 used = identity->ancestors;

	if (identity_file_is_none(&image->file))
		return;
	for (__u32 i = 0; i < OS_ANCESTORS_MAX; i++) {
		if (i < used && identity_image_equal(&identity->ancestor[i], image))
			return;
	}
	/* Keeps the compiler from folding the loop's bound into the index: verifiers lose it. */
	asm volatile("" : "+r"(used));
	if (used >= OS_ANCESTORS_MAX) {
		identity->flags |= OS_IDENTITY_TRUNCATED;
		return;
	}
	identity->ancestor[used] = *image;
	identity->ancestors = used + 1;
}

/*
 * fork(): the child runs the parent's image, and the parent is an ancestor by the image it has at
 * this moment. *child starts as a copy of the parent's.
 */
static __always_inline void identity_fork(struct os_identity *child)
{
	struct os_image parent = child->exe;

	identity_add_ancestor(child, &parent);
}

/* exec(): another image in the same process; its ancestors are the same processes as before. */
static __always_inline void identity_exec(struct os_identity *identity, const struct os_image *exe)
{
	identity->exe = *exe;
}

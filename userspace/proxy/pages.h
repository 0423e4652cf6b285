/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that costs nothing until it is used: zeroed, had all at once before a loop begins. Any
 * thread; -ENOMEM is NULL.
 */
#pragma once

#include <stddef.h>
#include <sys/mman.h>

static inline void *pages_new(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* One byte must not become 2 MiB. A kernel without huge pages has nothing to advise. */
	madvise(p, size, MADV_NOHUGEPAGE);
	return p;
}

static inline void pages_free(void *p, size_t size)
{
	if (p)
		munmap(p, size);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 16384

struct block {
	struct block *next;
	size_t used, size;
	_Alignas(max_align_t) unsigned char data[];
};

struct arena {
	struct block *blocks; /* the newest first; only it is allocated from */
	size_t cap, total;
};

struct arena *arena_new(size_t cap)
{
	struct arena *arena = calloc(1, sizeof(*arena));

	if (arena)
		arena->cap = cap;
	return arena;
}

void arena_free(struct arena *arena)
{
	if (!arena)
		return;
	for (struct block *block = arena->blocks, *next; block; block = next) {
		next = block->next;
		free(block);
	}
	free(arena);
}

void arena_reset(struct arena *arena)
{
	struct block *kept = NULL;

	for (struct block *block = arena->blocks, *next; block; block = next) {
		next = block->next;
		if (!kept && block->size == BLOCK_SIZE)
			kept = block;
		else
			free(block);
	}
	if (kept) {
		/* May have held a secret, and is handed out zeroed. */
		explicit_bzero(kept->data, kept->used);
		kept->used = 0;
		kept->next = NULL;
	}
	arena->blocks = kept;
	arena->total = 0;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	const size_t align = _Alignof(max_align_t);
	struct block *block = arena->blocks;
	void *result;

	if (size > arena->cap)
		return NULL;
	size = size ? (size + align - 1) / align * align : align;
	if (size > arena->cap - arena->total)
		return NULL;
	if (!block || size > block->size - block->used) {
		size_t payload = size > BLOCK_SIZE ? size : BLOCK_SIZE;

		block = calloc(1, sizeof(*block) + payload);
		if (!block)
			return NULL;
		block->size = payload;
		block->next = arena->blocks;
		arena->blocks = block;
	}
	result = block->data + block->used;
	block->used += size;
	arena->total += size;
	return result;
}

void *arena_alloc_array(struct arena *arena, size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total))
		return NULL;
	return arena_alloc(arena, total);
}

char *arena_copy(struct arena *arena, const char *data, size_t len)
{
	char *copy = len < SIZE_MAX ? arena_alloc(arena, len + 1) : NULL;

	if (copy && len)
		memcpy(copy, data, len);
	return copy;
}

char *arena_format(struct arena *arena, const char *fmt, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, fmt);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (len < 0)
		return NULL;
	text = arena_alloc(arena, (size_t)len + 1);
	if (!text)
		return NULL;
	va_start(args, fmt);
	vsnprintf(text, (size_t)len + 1, fmt, args);
	va_end(args);
	return text;
}

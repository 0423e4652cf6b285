/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that lives and dies together: everything taken from an arena is freed by arena_free(), in
 * one go. It has a cap given at creation, past which an allocation fails instead of growing. One
 * owner, one thread at a time.
 */
#pragma once

#include <stddef.h>

struct arena;

/* An arena of at most @cap bytes of payload, or NULL without memory. */
struct arena *arena_new(size_t cap);

/* Frees the arena and all that came from it; NULL is valid. */
void arena_free(struct arena *arena);

/* Free all that came from it, but for a block that is used again. */
void arena_reset(struct arena *arena);

/* @size zeroed bytes, aligned for any type; NULL past the cap or without memory. */
void *arena_alloc(struct arena *arena, size_t size);

/* As arena_alloc() for @count elements, with the multiplication checked. */
void *arena_alloc_array(struct arena *arena, size_t count, size_t size);

/* A NUL-terminated copy of @len bytes; NULL as for arena_alloc(). */
char *arena_copy(struct arena *arena, const char *data, size_t len);

/* A formatted string; NULL as for arena_alloc(). */
char *arena_format(struct arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline void cleanup_arena_freep(struct arena **arena)
{
	arena_free(*arena);
}

#define _cleanup_arena_ __attribute__((cleanup(cleanup_arena_freep)))

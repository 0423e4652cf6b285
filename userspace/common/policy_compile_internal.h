/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the files of the compiler. The message is first built from an arena, in which nothing has
 * to be freed one by one, then packed and unpacked into memory of its own. A NULL or -ENOMEM means
 * the arena's cap or no memory.
 */
#pragma once

#include "common/arena.h"
#include "common/policy.h"

/* Shorter names for protobuf-c's. */
#define PB(name)      Openshell__Compiled__V1__##name
#define PB_INIT(name) OPENSHELL__COMPILED__V1__##name##__INIT
#define PB_ENUM(name) OPENSHELL__COMPILED__V1__##name

/* A new message of the arena, initialised; `new_message(arena, ENDPOINT, Endpoint)`. */
#define new_message(arena, UPPER, Name)                                                            \
	({                                                                                         \
		PB(Name) *_m = arena_alloc(arena, sizeof(*_m));                                    \
		if (_m)                                                                            \
			*_m = (PB(Name))PB_INIT(UPPER);                                            \
		_m;                                                                                \
	})

/* How a string is made canonical on its way; NULL result = no memory. */
typedef char *(*compile_string_fn)(struct arena *arena, const char *text);

char *compile_as_is(struct arena *arena, const char *text);
char *compile_upper(struct arena *arena, const char *text);
char *compile_host(struct arena *arena, const char *text);

/* Canonical copies, sorted and distinct. */
int compile_strings(struct arena *arena, const struct policy_strings *strings,
		    compile_string_fn canonical, char ***ret_items, size_t *ret_count);

/* Sort by packed bytes and drop repetitions. */
int compile_sort(struct arena *arena, ProtobufCMessage **messages, size_t *count);

/* The L7 part of an inspected endpoint. */
PB(L7) * compile_l7(struct arena *arena, const struct policy_endpoint *endpoint);

/* All middlewares, in the order in which they run. */
int compile_middlewares(struct arena *arena, const struct policy *policy,
			PB(CompiledPolicy) * compiled);

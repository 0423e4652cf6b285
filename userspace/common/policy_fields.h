/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy's schema as tables: every object, its keys, what each holds and where it goes in the
 * model. They drive decoding, the suggestions for misspelt keys, and nothing else knows a key's
 * name. Constant data; any thread.
 */
#pragma once

#include "common/policy.h"

enum policy_kind {
	POLICY_KIND_STRING,   /* struct policy_string */
	POLICY_KIND_BOOL,     /* struct policy_bool */
	POLICY_KIND_NUMBER,   /* struct policy_number, min..max */
	POLICY_KIND_ENUM,     /* struct policy_enum, index into words + 1 */
	POLICY_KIND_STRINGS,  /* struct policy_strings */
	POLICY_KIND_NUMBERS,  /* struct policy_numbers, min..max */
	POLICY_KIND_OBJECT,   /* the object, in place */
	POLICY_KIND_LIST,     /* struct policy_list of the object */
	POLICY_KIND_MAP,      /* struct policy_list of the object, with keys */
	POLICY_KIND_MATCHER,  /* struct policy_matcher */
	POLICY_KIND_MATCHERS, /* struct policy_list of struct policy_matcher, by key */
	POLICY_KIND_PARAMS,   /* as MATCHERS, nested maps flattened with dots */
	POLICY_KIND_JSON,     /* struct policy_string: canonical JSON of a free mapping */
	POLICY_KIND_REFUSED,  /* a known key that does not belong in a file; note says why */
};

#define POLICY_FIELD_REQUIRED (1u << 0)
/* A key without a value counts as absent, with a warning; without this flag it is an error. */
#define POLICY_FIELD_NULL_OK (1u << 1)
/* An empty list or map is an error; note says why. */
#define POLICY_FIELD_NOT_EMPTY (1u << 2)

struct policy_object;

struct policy_field {
	const char *name;
	enum policy_kind kind;
	unsigned int flags;
	size_t offset;
	const struct policy_object *object;
	const char *const *words; /* ends with NULL */
	int64_t min, max;
	const char *note;
};

struct policy_object {
	const char *name;		   /* in messages, such as "an endpoint" */
	size_t size;			   /* of the struct, which opens with struct policy_head */
	const struct policy_field *fields; /* ends with a NULL name */
	bool is_foreign;		   /* of no policy: its keys do not belong in one */
};

extern const struct policy_object policy_object_file;

/* Every object there is, ended by NULL, for finding where a misplaced key belongs. */
extern const struct policy_object *const policy_objects[];

extern const char *const policy_words_protocol[];
extern const char *const policy_words_access[];
extern const char *const policy_words_mcp_version[];
extern const char *const policy_words_mcp_method[];
extern const char *const policy_words_http_method[];

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a built-in middleware is told by its `config`. There is one, `openshell/regex`:
 *
 *	mode: redact | deny		what a match does (redact)
 *	patterns: [...]			regular expressions (PCRE2, UTF-8); each a text or a mapping
 *					of pattern, name, mode, replacement, where, ignore_case.
 *					Absent: the shapes of well-known services' secrets
 *	replacement: "[REDACTED]"	what a match becomes, as it is
 *	where: [body, headers, query, path]	what is searched (body); a path can only be denied
 *	ignore_case: false
 *	max_body_bytes: 262144		a longer body is a failure: on_error decides
 *
 * Owned by the caller; never changed once parsed; pure; any thread. Fails closed.
 */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>

#define MIDDLEWARE_REGEX	    "openshell/regex"
#define MIDDLEWARE_PATTERNS_MAX	    64
#define MIDDLEWARE_PATTERN_SIZE_MAX 4096
#define MIDDLEWARE_REPLACEMENT_MAX  256
#define MIDDLEWARE_BODY_DEFAULT	    (256u << 10)
#define MIDDLEWARE_BODY_MAX	    (4u << 20)

/* Bits of middleware_pattern.where. */
#define MIDDLEWARE_BODY	   (1u << 0)
#define MIDDLEWARE_HEADERS (1u << 1)
#define MIDDLEWARE_QUERY   (1u << 2)
#define MIDDLEWARE_PATH	   (1u << 3)

struct middleware_pattern {
	const char *name; /* for messages */
	const char *pattern;
	const char *replacement;
	unsigned int where;
	bool deny; /* else redact */
	bool ignore_case;
};

struct arena;

struct middleware_config {
	struct arena *arena;
	struct middleware_pattern patterns[MIDDLEWARE_PATTERNS_MAX];
	size_t patterns_len;
	size_t max_body_bytes;
	unsigned int where; /* of all patterns */
};

/* Whether a middleware's name is one that is built in; the others are services. */
bool middleware_is_built_in(const char *name);

/* The nearest built-in for a name that begins like one and is none, or NULL. */
const char *middleware_nearest(const char *name);

/*
 * Read @json, as a CompiledPolicy has it ("" for none), and try every pattern. -EINVAL with a
 * sentence that names the key; -ENOMEM.
 */
int middleware_config_parse(const char *json, struct middleware_config **ret_config,
			    struct error *err);
void middleware_config_free(struct middleware_config *config);

struct pcre2_real_code_8;

/* Compile; free with pcre2_code_free(). -EINVAL with PCRE2's own words; -ENOMEM. */
int middleware_pattern_compile(const struct middleware_pattern *pattern,
			       struct pcre2_real_code_8 **ret_code, struct error *err);

static inline void cleanup_middleware_config_freep(struct middleware_config **config)
{
	middleware_config_free(*config);
}

#define _cleanup_middleware_config_ __attribute__((cleanup(cleanup_middleware_config_freep)))

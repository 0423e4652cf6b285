/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the files of placeholder.h: placeholder_table.c has the secrets and knows where they may
 * go, placeholder_find.c finds placeholders, placeholder.c and placeholder_body.c put one in place
 * of the other.
 */
#pragma once

#include "common/policy_glob.h"
#include "proxy/placeholder.h"

/* Both prefixes, `openshell:resolve:env:` and `OPENSHELL-RESOLVE-ENV-`, are as long. */
#define PLACEHOLDER_PREFIX 22
/* `openshell?resolve`: shorter texts need not be looked at. */
#define PLACEHOLDER_SUSPECT 17

struct placeholder {
	size_t start, end; /* in the text, with what is replaced along with it */
	struct text name;  /* the KEY, with the revision or token before it; may be empty */
};

/*
 * The first placeholder of @data at or after @from, which also bounds how far a prefix of one's own
 * may reach back. False: none.
 */
bool placeholder_next(const char *data, size_t size, size_t from, struct placeholder *ret);

/*
 * One request that asks for secrets. What may go where it goes is found out once, since an agent
 * may ask ten thousand times in one body.
 */
struct placeholder_request {
	const struct credentials *credentials;
	const struct credential_scope *scope;
	bool ready; /* what follows is filled, at the first question */
	bool has_path;
	char path[POLICY_GLOB_MAX + 1];
	uint8_t may[CREDENTIALS_MAX]; /* of each credential: 0 not asked yet, 1 yes, 2 no */
};

static inline void placeholder_request_init(struct placeholder_request *request,
					    const struct credentials *credentials,
					    const struct credential_scope *scope)
{
	request->credentials = credentials;
	request->scope = scope;
	request->ready = false;
}

/* The secret for a placeholder's name. -ENOENT, -EACCES. */
int placeholder_resolve(struct placeholder_request *request, struct text name,
			struct text *ret_value);

/* How a value is written where its placeholder was. */
enum placeholder_style {
	PLACEHOLDER_RAW,
	PLACEHOLDER_QUERY, /* percent-encoded, but for unreserved characters (RFC 3986 section 2.3)
			    */
	PLACEHOLDER_PATH,  /* the same, and `:` and `@` stand: section 3.3 */
	PLACEHOLDER_JSON,
	PLACEHOLDER_XML,
};

/* A text that grows to a cap; first without memory, to learn its size. */
struct placeholder_out {
	char *data; /* NULL: only counts */
	size_t size, max;
};

/* False past the cap. */
bool placeholder_put(struct placeholder_out *out, const char *data, size_t size);
bool placeholder_put_value(struct placeholder_out *out, struct text value,
			   enum placeholder_style style);

/*
 * Replace all in a text as it is. @ret_text is untouched if there is none. Errors as
 * credentials_rewrite_head().
 */
int placeholder_replace(struct placeholder_request *request, struct text text,
			enum placeholder_style style, size_t max, struct arena *arena,
			struct text *ret_text);

/*
 * The same in a text that is percent-encoded: a request target, whose first @path_size bytes are
 * its path, or a form (0).
 */
int placeholder_replace_encoded(struct placeholder_request *request, struct text text,
				size_t path_size, size_t max, struct arena *arena,
				struct text *ret_text);

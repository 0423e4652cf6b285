/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A glob of policy_glob.h made ready to be matched with many texts: what is literal at its
 *beginning is compared first, and most rules of most policies end there. It means exactly what
 * policy_glob_match() says (fuzz_l7 compares them), but for what is decided once here:
 *
 *	an allow rule's `*` stays in its segment, and so does `**` beside other characters
 *	a deny rule's `*` crosses `/`
 *
 * Lives in the arena it is made in, never changes, any thread. Matching allocates nothing and takes
 * a bounded time.
 */
#pragma once

#include "common/arena.h"
#include "proxy/http.h"

#include <stdbool.h>

enum l7_reading {
	L7_READING_ALLOW,
	L7_READING_DENY,
};

enum l7_glob_of {
	L7_GLOB_PATH, /* of a request: escapes are read, and written, as l7_path_plain() does */
	L7_GLOB_TEXT,
};

struct l7_glob_part;

/*
 * A set of the pairs of neighbouring bytes in a text, by their hash. A text that a glob matches has
 * all pairs that the glob's literal parts have, which tells most of those that do not match from
 * the others at the price of four words.
 */
struct l7_pairs {
	uint64_t word[4];
};

struct l7_glob {
	struct l7_pairs pairs;
	struct text literal; /* what it begins with */
	bool is_literal;     /* and is nothing else */
	bool crosses;	     /* a deny rule's reading */
	uint16_t parts_count;
	const struct l7_glob_part *parts; /* after the literal */
	const char *pattern;		  /* for policy_glob_match(): what it means */
};

/* -EINVAL for a malformed glob, -ENOMEM. */
int l7_glob_new(struct arena *arena, const char *pattern, enum l7_glob_of of,
		enum l7_reading reading, struct l7_glob *ret_glob);

/*
 * Whether it matches. A text that takes too many steps and is too long for policy_glob_match()
 * matches what denies and not what allows.
 */
bool l7_glob_match(const struct l7_glob *glob, struct text text);

/*
 * A canonical path as servers read it: escapes decoded, but for those that would change how it is
 * divided (of control characters, `/`, `\`, `%`, `;`, `?` and `#`), which stay in upper case.
 * @buffer has at least the path's size. Also for globs, where a decoded character that has a
 * meaning there is put into a set: `%2A` becomes `[*]`; @buffer has three times its size then.
 */
struct text l7_path_plain(struct text path, bool is_glob, char *buffer);

struct l7_pairs l7_pairs_of(struct text text);

/* False: a text with those pairs cannot match. */
static inline bool l7_glob_may_match(const struct l7_glob *glob, const struct l7_pairs *pairs)
{
	return !((glob->pairs.word[0] & ~pairs->word[0]) | (glob->pairs.word[1] & ~pairs->word[1]) |
		 (glob->pairs.word[2] & ~pairs->word[2]) | (glob->pairs.word[3] & ~pairs->word[3]));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy_glob.h"
#include "common/cleanup.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

enum token_kind {
	TOKEN_SET,  /* one character of a set */
	TOKEN_STAR, /* any number of characters of a set */
};

struct token {
	enum token_kind kind;
	uint64_t set[4]; /* bit per byte */
};

static void set_add(struct token *token, unsigned int byte)
{
	token->set[byte / 64] |= 1ull << (byte % 64);
}

static bool set_has(const struct token *token, unsigned char byte)
{
	return token->set[byte / 64] >> (byte % 64) & 1;
}

static void set_invert(struct token *token)
{
	for (size_t i = 0; i < ARRAY_LEN(token->set); i++)
		token->set[i] = ~token->set[i];
}

static void set_remove(struct token *token, unsigned char byte)
{
	token->set[byte / 64] &= ~(1ull << (byte % 64));
}

/* The end of the class that begins at @glob ("[..."), or NULL when it has none. */
static const char *class_end(const char *glob)
{
	const char *c = glob + 1;

	if (*c == '!' || *c == '^')
		c++;
	if (*c == ']')
		c++;
	while (*c && *c != ']')
		c++;
	return *c ? c : NULL;
}

static const char *read_class(const char *glob, struct token *token)
{
	const char *end = class_end(glob), *c = glob + 1;
	bool negated = *c == '!' || *c == '^';

	if (!end)
		return NULL;
	for (c += negated; c < end; c++) {
		unsigned int low = (unsigned char)*c, high = low;

		if (c + 2 < end && c[1] == '-') {
			high = (unsigned char)c[2];
			c += 2;
		}
		if (low > high)
			return NULL;
		for (unsigned int byte = low; byte <= high; byte++)
			set_add(token, byte);
	}
	if (negated)
		set_invert(token);
	return end + 1;
}

/* The first token of @glob into @ret_token; returns what follows it, or NULL when malformed. */
static const char *read_token(const char *glob, char separator, unsigned int flags,
			      struct token *ret_token)
{
	struct token token = {.kind = TOKEN_SET};
	size_t stars = strspn(glob, "*");

	if (stars > 2)
		return NULL;
	if (stars) {
		token.kind = TOKEN_STAR;
		set_invert(&token);
		if (stars == 1 && !(flags & POLICY_GLOB_CROSS))
			set_remove(&token, (unsigned char)separator);
		glob += stars;
	} else if (*glob == '?') {
		set_invert(&token);
		set_remove(&token, (unsigned char)separator);
		glob++;
	} else if (*glob == '[') {
		glob = read_class(glob, &token);
		set_remove(&token, (unsigned char)separator);
	} else {
		set_add(&token, (unsigned char)*glob++);
	}
	*ret_token = token;
	return glob;
}

const char *policy_glob_check(const char *glob)
{
	struct token token;

	if (strnlen(glob, POLICY_GLOB_MAX + 1) > POLICY_GLOB_MAX)
		return "it is longer than 4096 bytes";
	while (*glob) {
		if (*glob == '[' && !class_end(glob))
			return "'[' without its ']'";
		if (!strncmp(glob, "***", 3))
			return "'***' has no meaning; write '*' or '**'";
		glob = read_token(glob, '/', 0, &token);
		if (!glob)
			return "a range in '[...]' runs backwards";
	}
	return NULL;
}

bool policy_glob_is_pattern(const char *text)
{
	return text[strcspn(text, "*?[")] != '\0';
}

bool policy_glob_match(const char *glob, const char *text, char separator, unsigned int flags)
{
	/* row[j]: the tokens so far match the first j bytes */
	unsigned char row[POLICY_GLOB_MAX + 1];
	size_t len = strnlen(text, POLICY_GLOB_MAX + 1);

	if (len > POLICY_GLOB_MAX || strnlen(glob, POLICY_GLOB_MAX + 1) > POLICY_GLOB_MAX)
		return false;
	memset(row, 0, len + 1);
	row[0] = 1;
	while (*glob) {
		struct token token;

		glob = read_token(glob, separator, flags, &token);
		if (!glob)
			return false;
		if (token.kind == TOKEN_STAR) {
			for (size_t j = 1; j <= len; j++)
				row[j] |= row[j - 1] && set_has(&token, (unsigned char)text[j - 1]);
		} else {
			for (size_t j = len; j > 0; j--)
				row[j] = row[j - 1] && set_has(&token, (unsigned char)text[j - 1]);
			row[0] = 0;
		}
	}
	return row[len];
}

static int read_tokens(const char *glob, char separator, unsigned int flags,
		       struct token **ret_tokens)
{
	size_t len = strnlen(glob, POLICY_GLOB_MAX + 1);
	_cleanup_free_ struct token *tokens = calloc(len + 1, sizeof(*tokens));
	int count = 0;

	if (!tokens)
		return -ENOMEM;
	if (len > POLICY_GLOB_MAX)
		return -E2BIG;
	while (*glob) {
		glob = read_token(glob, separator, flags, &tokens[count++]);
		if (!glob)
			return -EINVAL;
	}
	*ret_tokens = TAKE_PTR(tokens);
	return count;
}

static bool sets_meet(const struct token *a, const struct token *b)
{
	for (size_t i = 0; i < ARRAY_LEN(a->set); i++)
		if (a->set[i] & b->set[i])
			return true;
	return false;
}

/*
 * Reachability over pairs of positions, one row per token of @a. A star may be left without a
 * character, or take one that the other side takes too.
 */
static int search(const struct token *a, size_t count_a, const struct token *b, size_t count_b,
		  size_t *steps)
{
	size_t cells = (count_a + 1) * (count_b + 1);
	_cleanup_free_ unsigned char *seen = NULL;

	if (cells > *steps)
		return -E2BIG;
	*steps -= cells;
	seen = calloc(cells, 1);
	if (!seen)
		return -ENOMEM;
	seen[0] = 1;
	for (size_t i = 0; i <= count_a; i++) {
		for (size_t j = 0; j <= count_b; j++) {
			unsigned char *cell = &seen[i * (count_b + 1) + j];
			bool star_a = i < count_a && a[i].kind == TOKEN_STAR;
			bool star_b = j < count_b && b[j].kind == TOKEN_STAR;

			if (!*cell)
				continue;
			if (star_a)
				cell[count_b + 1] = 1;
			if (star_b)
				cell[1] = 1;
			if (i == count_a || j == count_b || !sets_meet(&a[i], &b[j]))
				continue;
			cell[(star_a ? 0 : count_b + 1) + (star_b ? 0 : 1)] = 1;
		}
	}
	return seen[cells - 1];
}

int policy_glob_overlap(const char *a, const char *b, char separator, unsigned int flags,
			size_t *steps)
{
	_cleanup_free_ struct token *tokens_a = NULL, *tokens_b = NULL;
	int count_a, count_b;

	count_a = read_tokens(a, separator, flags, &tokens_a);
	if (count_a < 0)
		return count_a == -EINVAL ? 0 : count_a;
	count_b = read_tokens(b, separator, flags, &tokens_b);
	if (count_b < 0)
		return count_b == -EINVAL ? 0 : count_b;
	return search(tokens_a, (size_t)count_a, tokens_b, (size_t)count_b, steps);
}

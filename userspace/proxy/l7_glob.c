/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/l7_glob.h"

#include "common/policy_glob.h"

#include <ctype.h>
#include <errno.h>

#define SEPARATOR '/'

/* What hostile texts may cost before the matcher that never goes back takes over. */
#define STEPS_MAX 512

enum part_kind {
	PART_LITERAL,
	PART_SET,   /* one character of a set; `?` is a set too */
	PART_STAR,  /* any number, within a segment */
	PART_CROSS, /* any number */
};

struct l7_glob_part {
	enum part_kind kind;
	struct text literal;
	uint64_t set[4];
};

static void set_add(struct l7_glob_part *part, uint8_t byte)
{
	part->set[byte / 64] |= 1ull << (byte % 64);
}

static bool set_has(const struct l7_glob_part *part, uint8_t byte)
{
	return part->set[byte / 64] >> (byte % 64) & 1;
}

/* The end of a class, "[...]"; the pattern is known to be well-formed. */
static const char *class_end(const char *glob)
{
	const char *c = glob + 1;

	if (*c == '!' || *c == '^')
		c++;
	if (*c == ']')
		c++;
	while (*c && *c != ']')
		c++;
	return *c ? c + 1 : c;
}

static const char *read_class(const char *glob, struct l7_glob_part *part)
{
	const char *end = class_end(glob) - 1, *c = glob + 1;
	bool negated = *c == '!' || *c == '^';

	for (c += negated; c < end; c++) {
		unsigned int low = (uint8_t)*c, high = low;

		if (c + 2 < end && c[1] == '-') {
			high = (uint8_t)c[2];
			c += 2;
		}
		for (unsigned int byte = low; byte <= high; byte++)
			set_add(part, (uint8_t)byte);
	}
	for (size_t i = 0; negated && i < 4; i++)
		part->set[i] = ~part->set[i];
	return end + 1;
}

static const char *read_part(const char *c, bool crosses, struct l7_glob_part *part)
{
	size_t stars = strspn(c, "*");

	*part = (struct l7_glob_part){.kind = PART_SET};
	if (stars) {
		part->kind = crosses || stars > 1 ? PART_CROSS : PART_STAR;
		return c + stars;
	}
	if (*c == '?') {
		memset(part->set, 0xff, sizeof(part->set));
		c++;
	} else if (*c == '[') {
		c = read_class(c, part);
	} else {
		part->kind = PART_LITERAL;
		part->literal = (struct text){c, (uint32_t)strcspn(c, "*?[")};
		return c + part->literal.size;
	}
	part->set[SEPARATOR / 64] &= ~(1ull << (SEPARATOR % 64));
	return c;
}

/* `**` beside other characters: one star fewer. */
static void narrow(char *pattern)
{
	char *out = pattern;

	for (char *c = pattern; *c;) {
		char *next = *c == '[' ? (char *)class_end(c) : c + 1;
		bool stars = c[0] == '*' && c[1] == '*';

		if (stars)
			next = c + 2;
		if (stars && ((c > pattern && c[-1] != '/') || (*next && *next != '/')))
			c++;
		while (c < next)
			*out++ = *c++;
	}
	*out = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct text l7_path_plain(struct text path, bool is_glob, char *buffer)
{
	const char *in = path.data, *end = in + path.size;
	char *out = buffer;

	while (in < end) {
		int high, low, byte;

		if (is_glob && *in == '[') {
			for (const char *after = class_end(in); in < after;)
				*out++ = *in++;
			continue;
		}
		high = *in == '%' && end - in > 2 ? hex_value(in[1]) : -1;
		low = high < 0 ? -1 : hex_value(in[2]);
		if (low < 0) {
			*out++ = *in++;
			continue;
		}
		byte = high << 4 | low;
		in += 3;
		if (byte < 0x20 || byte == 0x7f || memchr("/\\%;?#", byte, 6)) {
			*out++ = '%';
			*out++ = "0123456789ABCDEF"[high];
			*out++ = "0123456789ABCDEF"[low];
		} else if (is_glob && memchr("*[", byte, 2)) {
			*out++ = '[';
			*out++ = (char)byte;
			*out++ = ']';
		} else {
			*out++ = (char)byte;
		}
	}
	return (struct text){buffer, (uint32_t)(out - buffer)};
}

static void add_pairs(struct l7_pairs *pairs, struct text text)
{
	for (uint32_t i = 1; i < text.size; i++) {
		uint8_t place = (uint8_t)((uint8_t)text.data[i - 1] * 167 + (uint8_t)text.data[i]);

		pairs->word[place / 64] |= 1ull << (place % 64);
	}
}

struct l7_pairs l7_pairs_of(struct text text)
{
	struct l7_pairs pairs = {0};

	add_pairs(&pairs, text);
	return pairs;
}

int l7_glob_new(struct arena *arena, const char *pattern, enum l7_glob_of of,
		enum l7_reading reading, struct l7_glob *ret_glob)
{
	struct l7_glob glob = {.crosses = reading == L7_READING_DENY};
	struct l7_glob_part *parts = NULL, part;
	size_t size = strlen(pattern), count = 0;
	char *copy;

	if (policy_glob_check(pattern))
		return -EINVAL;
	copy = arena_alloc_array(arena, size + 1, 3);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, pattern, size + 1);
	if (of == L7_GLOB_PATH && memchr(pattern, '%', size))
		copy[l7_path_plain((struct text){pattern, (uint32_t)size}, true, copy).size] = '\0';
	if (of == L7_GLOB_PATH && !glob.crosses)
		narrow(copy);
	glob.pattern = copy;
	glob.literal = (struct text){copy, (uint32_t)strcspn(copy, "*?[")};
	glob.is_literal = !copy[glob.literal.size];
	for (const char *c = copy + glob.literal.size; *c; count++)
		c = read_part(c, glob.crosses, &part);
	if (count > UINT16_MAX)
		return -EINVAL;
	if (count)
		parts = arena_alloc_array(arena, count, sizeof(*parts));
	if (count && !parts)
		return -ENOMEM;
	add_pairs(&glob.pairs, glob.literal);
	for (const char *c = copy + glob.literal.size; *c;) {
		c = read_part(c, glob.crosses, &parts[glob.parts_count]);
		add_pairs(&glob.pairs, parts[glob.parts_count++].literal);
	}
	glob.parts = parts;
	*ret_glob = glob;
	return 0;
}

/* The other matcher, which takes the product of both lengths and no more. */
static bool match_slowly(const struct l7_glob *glob, struct text text)
{
	char copy[POLICY_GLOB_MAX + 1];

	if (text.size > POLICY_GLOB_MAX || memchr(text.data, '\0', text.size) ||
	    strlen(glob->pattern) > POLICY_GLOB_MAX)
		return glob->crosses;
	memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	return policy_glob_match(glob->pattern, copy, SEPARATOR,
				 glob->crosses ? POLICY_GLOB_CROSS : 0);
}

/*
 * When a part does not fit, the last star takes one character more. Going back to earlier ones is
 * never needed: what the last one may take includes what it could take if an earlier one had taken
 * more. Only a star that is stopped by a separator leaves the matter to the last one that is not.
 */
static bool match_parts(const struct l7_glob *glob, const char *at, const char *end)
{
	const struct l7_glob_part *part = glob->parts, *parts_end = part + glob->parts_count;
	const struct l7_glob_part *star = NULL, *cross = NULL;
	const char *star_at = NULL, *cross_at = NULL, *start = at;
	unsigned int steps = 0;

	for (;;) {
		if (part == parts_end) {
			if (at == end)
				return true;
		} else if (part->kind == PART_CROSS) {
			if (part + 1 == parts_end)
				return true;
			cross = ++part;
			cross_at = at;
			star = NULL;
			continue;
		} else if (part->kind == PART_STAR) {
			star = ++part;
			star_at = at;
			continue;
		} else if (part->kind == PART_LITERAL) {
			if ((size_t)(end - at) >= part->literal.size &&
			    !memcmp(at, part->literal.data, part->literal.size)) {
				at += part->literal.size;
				part++;
				continue;
			}
		} else if (at < end && set_has(part, (uint8_t)*at)) {
			at++;
			part++;
			continue;
		}
		if (++steps > STEPS_MAX + (size_t)(end - start)) {
			size_t before = glob->literal.size;

			return match_slowly(glob, (struct text){start - before,
								(uint32_t)(end - start + before)});
		}
		if (star && star_at < end && *star_at != SEPARATOR) {
			at = ++star_at;
			part = star;
		} else if (cross && cross_at < end) {
			star = NULL;
			at = ++cross_at;
			part = cross;
		} else {
			return false;
		}
	}
}

bool l7_glob_match(const struct l7_glob *glob, struct text text)
{
	if (text.size < glob->literal.size ||
	    memcmp(text.data, glob->literal.data, glob->literal.size))
		return false;
	if (glob->is_literal)
		return text.size == glob->literal.size;
	return match_parts(glob, text.data + glob->literal.size, text.data + text.size);
}

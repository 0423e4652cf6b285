/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/json_view.h"

#include <errno.h>

#define PROBES_MAX 128 /* of the table of names, before it is called too full */

struct slot {
	uint32_t name;	 /* where its opening quote is, plus one */
	uint32_t object; /* number of the object that has it */
};

struct check {
	const uint8_t *start, *at, *end;
	struct slot *slots;
	size_t slots_count;
	uint32_t objects; /* so far */
	const char *why;
};

static int fail(struct check *check, const char *why)
{
	check->why = why;
	return -EBADMSG;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const uint8_t *skip_space(const uint8_t *at, const uint8_t *end)
{
	while (at < end && is_space(*at))
		at++;
	return at;
}

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The code unit of the four hex digits at @at, or -1. */
static int code_unit(const uint8_t *at, const uint8_t *end)
{
	int unit = 0;

	if (end - at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = hex_value(at[i]);

		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
	}
	return unit;
}

/*
 * The character that the escape at @at (after the backslash) stands for, and where it ends; -1 for
 * none, a lone surrogate included.
 */
static int32_t escaped(const uint8_t *at, const uint8_t *end, const uint8_t **ret_end)
{
	static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	const char *letter;
	int unit, low;

	if (at == end)
		return -1;
	if (*at != 'u') {
		letter = *at ? strchr(letters, *at) : NULL;
		*ret_end = at + 1;
		return letter ? meant[letter - letters] : -1;
	}
	unit = code_unit(at + 1, end);
	*ret_end = at + 5;
	if (unit < 0 || unit < 0xd800 || unit > 0xdfff)
		return unit;
	if (unit > 0xdbff || end - at < 11 || at[5] != '\\' || at[6] != 'u')
		return -1;
	low = code_unit(at + 7, end);
	if (low < 0xdc00 || low > 0xdfff)
		return -1;
	*ret_end = at + 11;
	return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
}

static size_t utf8_encode(int32_t c, uint8_t ret_bytes[4])
{
	if (c < 0x80) {
		ret_bytes[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		ret_bytes[0] = (uint8_t)(0xc0 | c >> 6);
		ret_bytes[1] = (uint8_t)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		ret_bytes[0] = (uint8_t)(0xe0 | c >> 12);
		ret_bytes[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		ret_bytes[2] = (uint8_t)(0x80 | (c & 0x3f));
		return 3;
	}
	ret_bytes[0] = (uint8_t)(0xf0 | c >> 18);
	ret_bytes[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
	ret_bytes[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	ret_bytes[3] = (uint8_t)(0x80 | (c & 0x3f));
	return 4;
}

/* Bytes of the well-formed UTF-8 sequence at @at, whose first byte is not ASCII; 0 for none. */
static size_t utf8_length(const uint8_t *at, const uint8_t *end)
{
	uint8_t first = *at, low = 0x80, high = 0xbf;
	size_t n = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;

	if (!n || (size_t)(end - at) < n)
		return 0;
	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f;
	if (at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/*
 * Skips what is plain ASCII in a string, eight bytes at a time: none of them less than a space, a
 * quote, a backslash, or with the high bit set.
 */
static const uint8_t *skip_plain(const uint8_t *at, const uint8_t *end)
{
	const uint64_t ones = 0x0101010101010101ull, highs = 0x8080808080808080ull;

	for (; end - at >= 8; at += 8) {
		uint64_t word, quote, backslash;

		memcpy(&word, at, sizeof(word));
		quote = word ^ ones * '"';
		backslash = word ^ ones * '\\';
		if ((word | (word - ones * 0x20) | (quote - ones) | (backslash - ones)) & highs)
			break;
	}
	return at;
}

/* Reads a string at its opening quote; @ret_nul: it has an escaped NUL. */
static int check_string(struct check *check, bool *ret_nul)
{
	const uint8_t *at = check->at + 1, *end = check->end, *after;

	for (at = skip_plain(at, end); at < end && *at != '"';) {
		if (*at == '\\') {
			int32_t c = escaped(at + 1, end, &after);

			if (c < 0)
				return fail(check, "has an escape in a string that is none, or "
						   "half a surrogate pair");
			*ret_nul |= !c;
			at = skip_plain(after, end);
		} else if (*at < 0x20) {
			return fail(check, "has a control character in a string");
		} else if (*at < 0x80) {
			at++;
		} else {
			size_t n = utf8_length(at, end);

			if (!n)
				return fail(check, "is not UTF-8");
			at += n;
		}
	}
	if (at == end)
		return fail(check, "ends within a string");
	check->at = at + 1;
	return 0;
}

/* The bytes that a name means, one after the other. */
struct spelling {
	const uint8_t *at; /* after the opening quote */
	uint8_t bytes[4];
	size_t have, given;
};

/* -1 at the end. The string is known to be well-formed, so it ends before its document does. */
static int spelling_next(struct spelling *spelling)
{
	const uint8_t *after;

	if (spelling->given < spelling->have)
		return spelling->bytes[spelling->given++];
	if (*spelling->at == '"')
		return -1;
	if (*spelling->at != '\\')
		return *spelling->at++;
	spelling->have =
		utf8_encode(escaped(spelling->at + 1, spelling->at + 12, &after), spelling->bytes);
	spelling->at = after;
	spelling->given = 1;
	return spelling->bytes[0];
}

static bool same_name(const uint8_t *a, const uint8_t *b)
{
	struct spelling x = {.at = a + 1}, y = {.at = b + 1};
	int c;

	do {
		c = spelling_next(&x);
		if (c != spelling_next(&y))
			return false;
	} while (c >= 0);
	return true;
}

static uint64_t hash_name(const uint8_t *name, uint32_t object)
{
	struct spelling spelling = {.at = name + 1};
	uint64_t h = 14695981039346656037ull ^ object;
	int c;

	while ((c = spelling_next(&spelling)) >= 0)
		h = (h ^ (uint64_t)c) * 1099511628211ull;
	h ^= h >> 29;
	h *= 0xbf58476d1ce4e5b9ull;
	return h ^ h >> 32;
}

static int check_repeated(struct check *check, const uint8_t *name, uint32_t object)
{
	uint64_t hash = hash_name(name, object);
	size_t place = (size_t)((hash & 0xffffffff) * check->slots_count >> 32);
	size_t step = (size_t)(hash >> 32) % (check->slots_count > 1 ? check->slots_count - 1 : 1);

	for (int i = 0; i < PROBES_MAX; i++) {
		struct slot *slot = &check->slots[place];

		if (!slot->name) {
			*slot = (struct slot){(uint32_t)(name - check->start) + 1, object};
			return 0;
		}
		if (slot->object == object && same_name(check->start + slot->name - 1, name))
			return fail(check, "has a name twice in an object");
		place += step + 1;
		if (place >= check->slots_count)
			place -= check->slots_count;
	}
	return fail(check, "has too many names");
}

static int check_number(struct check *check)
{
	const uint8_t *at = check->at, *end = check->end, *digits;

	at += at < end && *at == '-';
	digits = at;
	while (at < end && *at >= '0' && *at <= '9')
		at++;
	if (at == digits || (*digits == '0' && at - digits > 1))
		return fail(check, "has a number that is none");
	if (at < end && *at == '.') {
		digits = ++at;
		while (at < end && *at >= '0' && *at <= '9')
			at++;
		if (at == digits)
			return fail(check, "has a number that is none");
	}
	if (at < end && (*at | 0x20) == 'e') {
		at++;
		at += at < end && (*at == '+' || *at == '-');
		digits = at;
		while (at < end && *at >= '0' && *at <= '9')
			at++;
		if (at == digits)
			return fail(check, "has a number that is none");
	}
	check->at = at;
	return 0;
}

static int check_word(struct check *check, const char *word)
{
	size_t size = strlen(word);

	if ((size_t)(check->end - check->at) < size || memcmp(check->at, word, size))
		return fail(check, "is not JSON");
	check->at += size;
	return 0;
}

static int check_scalar(struct check *check)
{
	bool nul = false;

	switch (check->at < check->end ? *check->at : 0) {
	case '"':
		return check_string(check, &nul);
	case 't':
		return check_word(check, "true");
	case 'f':
		return check_word(check, "false");
	case 'n':
		return check_word(check, "null");
	case '-':
	case '0' ... '9':
		return check_number(check);
	default:
		return fail(check, check->at < check->end ? "is not JSON" : "ends too early");
	}
}

static int check_name(struct check *check, uint32_t object)
{
	const uint8_t *name = check->at;
	bool nul = false;
	int r;

	if (name == check->end || *name != '"')
		return fail(check, name == check->end ? "ends too early" : "is not JSON");
	r = check_string(check, &nul);
	if (r < 0)
		return r;
	if (nul)
		return fail(check, "has a NUL in a name");
	r = check_repeated(check, name, object);
	if (r < 0)
		return r;
	check->at = skip_space(check->at, check->end);
	if (check->at == check->end || *check->at != ':')
		return fail(check, "is not JSON");
	check->at = skip_space(check->at + 1, check->end);
	return 0;
}

/* One value with all that is in it, without recursion. */
static int check_value(struct check *check)
{
	uint32_t object[JSON_VIEW_DEPTH_MAX]; /* its number; 0 is an array */
	unsigned int depth = 0;

	for (;;) {
		uint8_t c = check->at < check->end ? *check->at : 0;
		bool opened = c == '{' || c == '[';
		int r = 0;

		if (opened) {
			if (depth == JSON_VIEW_DEPTH_MAX)
				return fail(check, "is nested too deeply");
			object[depth++] = c == '{' ? ++check->objects : 0;
			check->at = skip_space(check->at + 1, check->end);
		} else {
			r = check_scalar(check);
			if (r < 0)
				return r;
		}
		/* After a value, or in a new container: close what ends here, then go on. */
		while (depth) {
			uint32_t number = object[depth - 1];

			if (!opened)
				check->at = skip_space(check->at, check->end);
			c = check->at < check->end ? *check->at : 0;
			if (c == (number ? '}' : ']')) {
				check->at++;
				depth--;
				opened = false;
				continue;
			}
			if (!opened) {
				if (c != ',')
					return fail(check, check->at < check->end
								   ? "is not JSON"
								   : "ends too early");
				check->at = skip_space(check->at + 1, check->end);
			}
			if (number)
				r = check_name(check, number);
			break;
		}
		if (r < 0)
			return r;
		if (!depth)
			return 0;
	}
}

int json_view_check(const uint8_t *data, size_t size, void *scratch, size_t scratch_size,
		    const char **ret_why)
{
	struct check check = {.start = data, .at = data, .end = data + size};
	size_t offset = -(uintptr_t)scratch % _Alignof(struct slot), colons = 0, room;
	int r;

	if (size > JSON_VIEW_SIZE_MAX || scratch_size < offset + sizeof(struct slot)) {
		*ret_why = "is too long";
		return -EBADMSG;
	}
	/* There are no more names than colons. */
	for (size_t i = 0; i < size; i++)
		colons += data[i] == ':';
	room = (scratch_size - offset) / sizeof(struct slot);
	check.slots = (struct slot *)((uint8_t *)scratch + offset);
	check.slots_count = colons * 2 + 1 < room ? colons * 2 + 1 : room;
	memset(check.slots, 0, check.slots_count * sizeof(struct slot));
	check.at = skip_space(check.at, check.end);
	r = check_value(&check);
	if (!r && skip_space(check.at, check.end) != check.end)
		r = fail(&check, "goes on after its end");
	if (r < 0)
		*ret_why = check.why;
	return r;
}

struct text json_view_value(const uint8_t *data, size_t size)
{
	const uint8_t *at = skip_space(data, data + size), *end = data + size;

	while (end > at && is_space(end[-1]))
		end--;
	return (struct text){(const char *)at, (uint32_t)(end - at)};
}

enum json_view_kind json_view_kind(struct text value)
{
	if (!value.size)
		return JSON_VIEW_NONE;
	switch (value.data[0]) {
	case '{':
		return JSON_VIEW_OBJECT;
	case '[':
		return JSON_VIEW_ARRAY;
	case '"':
		return JSON_VIEW_STRING;
	case 't':
		return JSON_VIEW_TRUE;
	case 'f':
		return JSON_VIEW_FALSE;
	case 'n':
		return JSON_VIEW_NULL;
	default:
		return JSON_VIEW_NUMBER;
	}
}

/* Where the string that begins at @at ends: at a quote after an even number of backslashes. */
static const char *string_end(const char *at, const char *end)
{
	const char *start = ++at, *quote, *before;

	for (;; at = quote + 1) {
		quote = memchr(at, '"', (size_t)(end - at));
		before = quote;
		while (before > start && before[-1] == '\\')
			before--;
		if ((quote - before) % 2 == 0)
			return quote + 1;
	}
}

static const char *value_end(const char *at, const char *end)
{
	size_t depth = 0;

	do {
		switch (*at) {
		case '"':
			at = string_end(at, end);
			break;
		case '{':
		case '[':
			depth++;
			at++;
			break;
		case '}':
		case ']':
			depth--;
			at++;
			break;
		default:
			/* a scalar that is no string, or what is between values */
			do
				at++;
			while (at < end && *at != '"' && *at != ',' && *at != '{' && *at != '}' &&
			       *at != '[' && *at != ']' && !is_space((uint8_t)*at));
		}
	} while (depth);
	return at;
}

static const char *skip_mark(const char *at, const char *end, char mark)
{
	at = (const char *)skip_space((const uint8_t *)at, (const uint8_t *)end);
	if (at < end && *at == mark)
		at = (const char *)skip_space((const uint8_t *)at + 1, (const uint8_t *)end);
	return at;
}

/* The next part's place: after the opening bracket at first, else after a comma. */
static const char *next_part(struct text container, uint32_t place, char open, char close)
{
	const char *end = container.data + container.size, *at = container.data + place;

	if (!container.size || container.data[0] != open)
		return NULL;
	at = skip_mark(at, end, place ? ',' : open);
	return at < end && *at != close ? at : NULL;
}

bool json_view_member(struct text object, uint32_t *place, struct text *ret_name,
		      struct text *ret_value)
{
	const char *end = object.data + object.size, *after, *value;
	const char *name = next_part(object, *place, '{', '}');

	if (!name)
		return false;
	after = string_end(name, end);
	value = skip_mark(after, end, ':');
	*ret_name = (struct text){name, (uint32_t)(after - name)};
	after = value_end(value, end);
	*ret_value = (struct text){value, (uint32_t)(after - value)};
	*place = (uint32_t)(after - object.data);
	return true;
}

bool json_view_element(struct text array, uint32_t *place, struct text *ret_value)
{
	const char *value = next_part(array, *place, '[', ']'), *after;

	if (!value)
		return false;
	after = value_end(value, array.data + array.size);
	*ret_value = (struct text){value, (uint32_t)(after - value)};
	*place = (uint32_t)(after - array.data);
	return true;
}

int json_view_string(struct text value, struct json_view_memory *memory, struct text *ret_string)
{
	const uint8_t *at, *end, *after;
	uint8_t *out = memory->data;

	if (json_view_kind(value) != JSON_VIEW_STRING)
		return -EINVAL;
	at = (const uint8_t *)value.data + 1;
	end = at + value.size - 2;
	if (!memchr(at, '\\', (size_t)(end - at))) {
		*ret_string = (struct text){(const char *)at, (uint32_t)(end - at)};
		return 0;
	}
	/* An escape is never shorter than what it stands for. */
	if ((size_t)(end - at) > memory->size)
		return -E2BIG;
	while (at < end) {
		if (*at != '\\') {
			*out++ = *at++;
			continue;
		}
		out += utf8_encode(escaped(at + 1, end, &after), out);
		at = after;
	}
	*ret_string = (struct text){(const char *)memory->data, (uint32_t)(out - memory->data)};
	memory->size -= (size_t)(out - memory->data);
	memory->data = out;
	return 0;
}

/*
 * As parsers that ignore letter case fold: Go's encoding/json also takes the long s and the kelvin
 * sign for the letters that they resemble.
 */
static int fold_next(struct spelling *spelling)
{
	int c = spelling_next(spelling);

	if (c >= 'A' && c <= 'Z')
		return c | 0x20;
	if (c == 0xc5) {
		struct spelling ahead = *spelling;

		if (spelling_next(&ahead) == 0xbf) {
			*spelling = ahead;
			return 's';
		}
	} else if (c == 0xe2) {
		struct spelling ahead = *spelling;

		if (spelling_next(&ahead) == 0x84 && spelling_next(&ahead) == 0xaa) {
			*spelling = ahead;
			return 'k';
		}
	}
	return c;
}

static bool name_is(struct text name, const char *wanted, bool fold)
{
	struct spelling spelling = {.at = (const uint8_t *)name.data + 1};
	int c;

	for (; *wanted; wanted++) {
		int want = *wanted;

		if (fold && want >= 'A' && want <= 'Z')
			want |= 0x20;
		c = fold ? fold_next(&spelling) : spelling_next(&spelling);
		if (c != want)
			return false;
	}
	return spelling_next(&spelling) < 0;
}

int json_view_find(struct text object, struct json_view_want *wants, size_t count,
		   const char **ret_why)
{
	struct text name, value;
	uint32_t place = 0;

	for (size_t i = 0; i < count; i++)
		wants[i].value = (struct text){0};
	if (json_view_kind(object) != JSON_VIEW_OBJECT)
		return -EINVAL;
	while (json_view_member(object, &place, &name, &value))
		for (size_t i = 0; i < count; i++) {
			if (name_is(name, wants[i].name, false)) {
				wants[i].value = value;
				break;
			}
			if (name_is(name, wants[i].name, true)) {
				*ret_why = "has a name that differs from a known one in letter "
					   "case";
				return -EBADMSG;
			}
		}
	return 0;
}

bool json_view_is_utf8(struct text text)
{
	const uint8_t *at = (const uint8_t *)text.data, *end = at + text.size;

	while (at < end) {
		size_t n = *at < 0x80 ? 1 : utf8_length(at, end);

		if (!n)
			return false;
		at += n;
	}
	return true;
}

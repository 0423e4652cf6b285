/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/placeholder_internal.h"

static const char colons[] = "openshell:resolve:env:";
static const char dashes[] = "OPENSHELL-RESOLVE-ENV-";

_Static_assert(sizeof(colons) - 1 == PLACEHOLDER_PREFIX, "see PLACEHOLDER_PREFIX");
_Static_assert(sizeof(dashes) - 1 == PLACEHOLDER_PREFIX, "see PLACEHOLDER_PREFIX");

#define WINDOW 16
#define REACH  9 /* from the first letter to the `:` or `-` */

typedef uint8_t bytes16 __attribute__((vector_size(WINDOW), aligned(1), may_alias));
typedef uint64_t words2 __attribute__((vector_size(WINDOW)));

static bool is_suspect(const uint8_t *data)
{
	static const uint8_t letters[] = "openshell?resolve";

	for (size_t i = 0; i < PLACEHOLDER_SUSPECT; i++)
		if (i == REACH ? data[i] != ':' && data[i] != '-' : (data[i] | 0x20) != letters[i])
			return false;
	return true;
}

/* Whether `l:` or `l-` ends one of WINDOW places; reads WINDOW + REACH bytes. */
static inline bool window_may(const uint8_t *data)
{
	bytes16 ninth = *(const bytes16 *)(data + 8) | 0x20;
	bytes16 mark = *(const bytes16 *)(data + REACH);
	words2 hit = (words2)((ninth == 'l') & ((mark == ':') | (mark == '-')));

	return hit[0] | hit[1];
}

bool credentials_suspect(const uint8_t *data, size_t size)
{
	size_t places;

	if (size < PLACEHOLDER_SUSPECT)
		return false;
	places = size - PLACEHOLDER_SUSPECT + 1;
	if (size < WINDOW + REACH) {
		for (size_t i = 0; i < places; i++)
			if (is_suspect(data + i))
				return true;
		return false;
	}
	for (size_t i = 0; i < places; i += WINDOW) {
		/* The last window is moved back, so that it ends with the text. */
		size_t at = i + WINDOW + REACH <= size ? i : size - WINDOW - REACH;

		if (!window_may(data + at))
			continue;
		for (size_t j = at; j < at + WINDOW && j < places; j++)
			if (is_suspect(data + j))
				return true;
	}
	return false;
}

static bool is_key_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

static void take(const char *data, size_t size, size_t from, size_t prefix, bool reaches_back,
		 struct placeholder *ret)
{
	size_t end = prefix + PLACEHOLDER_PREFIX;

	ret->start = prefix;
	while (reaches_back && ret->start > from &&
	       (is_key_character(data[ret->start - 1]) || data[ret->start - 1] == '-'))
		ret->start--;
	while (end < size && is_key_character(data[end]))
		end++;
	ret->name.data = data + prefix + PLACEHOLDER_PREFIX;
	ret->name.size = (uint32_t)(end - prefix - PLACEHOLDER_PREFIX);
	ret->end = end;
}

bool placeholder_next(const char *data, size_t size, size_t from, struct placeholder *ret)
{
	for (size_t i = from; i + PLACEHOLDER_PREFIX <= size; i++) {
		if (data[i] != 'o' && data[i] != 'O')
			continue;
		if (!memcmp(data + i, colons, PLACEHOLDER_PREFIX)) {
			take(data, size, from, i, false, ret);
			return true;
		}
		if (!memcmp(data + i, dashes, PLACEHOLDER_PREFIX)) {
			take(data, size, from, i, true, ret);
			return true;
		}
	}
	return false;
}

static bool has_prefix(const uint8_t *data, size_t size)
{
	struct placeholder found;

	return credentials_suspect(data, size) &&
	       placeholder_next((const char *)data, size, 0, &found);
}

bool credential_scan(struct credential_scan *scan, const uint8_t *data, size_t size)
{
	uint8_t seam[2 * PLACEHOLDER_PREFIX];
	size_t ahead = size < PLACEHOLDER_PREFIX - 1 ? size : PLACEHOLDER_PREFIX - 1, kept;

	if (!size)
		return false;
	memcpy(seam, scan->tail, scan->tail_size);
	memcpy(seam + scan->tail_size, data, ahead);
	if (has_prefix(seam, scan->tail_size + ahead) || has_prefix(data, size))
		return true;
	if (size >= PLACEHOLDER_PREFIX - 1) {
		memcpy(scan->tail, data + size - (PLACEHOLDER_PREFIX - 1), PLACEHOLDER_PREFIX - 1);
		scan->tail_size = PLACEHOLDER_PREFIX - 1;
		return false;
	}
	kept = scan->tail_size + size;
	if (kept > PLACEHOLDER_PREFIX - 1)
		kept = PLACEHOLDER_PREFIX - 1;
	memcpy(scan->tail, seam + scan->tail_size + size - kept, kept);
	scan->tail_size = (uint8_t)kept;
	return false;
}

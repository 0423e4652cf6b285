/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a request target: what is accepted is canonical, plain ASCII without a segment that
 * somebody could take for another, in any number of decodings of dots, and stays as it is when it
 * is read again. Its query can be taken apart.
 *
 * The first byte: whether encoded slashes may stand.
 */
#include "common/cleanup.h"
#include "proxy/target.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(held)                                                                                \
	do {                                                                                       \
		if (!(held))                                                                       \
			__builtin_trap();                                                          \
	} while (0)

static bool has(struct text text, const char *part)
{
	return memmem(text.data, text.size, part, strlen(part)) != NULL;
}

static bool ends_with(struct text text, const char *part)
{
	size_t size = strlen(part);

	return text.size >= size && !memcmp(text.data + text.size - size, part, size);
}

static void check_no_dots(struct text path)
{
	CHECK(!has(path, "//") && !has(path, "/./") && !has(path, "/../"));
	CHECK(!ends_with(path, "/.") && !ends_with(path, "/.."));
}

static void check_path(struct text path, bool encoded_slash)
{
	char *room = malloc(path.size);
	struct text other;
	int r;

	CHECK(path.size && path.data[0] == '/');
	check_no_dots(path);
	for (uint32_t i = 0; i < path.size; i++)
		CHECK(path.data[i] > 0x20 && path.data[i] < 0x7f &&
		      !strchr("\\#<>\"?", path.data[i]));
	CHECK(!has(path, "/..;") && !has(path, "/.;") && !has(path, "/;"));
	CHECK(!has(path, "%2e") && !has(path, "%2E") && !has(path, "%5C") && !has(path, "%00"));
	CHECK(encoded_slash || !has(path, "%2F"));
	/* Nor does another reading lead anywhere else than down. */
	r = target_other_reading(path, room, path.size, &other);
	CHECK(r >= 0);
	if (r) {
		CHECK(other.size && other.data[0] == '/');
		check_no_dots(other);
	}
	free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool encoded_slash;
	struct target target, again;
	char *raw, *buffer, *second;
	uint32_t place = 0, before = 0;
	struct text key, value;
	int r;

	if (!size)
		return 0;
	encoded_slash = data[0] & 1;
	data++;
	size--;
	raw = malloc(size + 1);
	buffer = malloc(size + 1);
	second = malloc(size + 1);
	memcpy(raw, data, size);
	if (target_parse((struct text){raw, (uint32_t)size}, encoded_slash, buffer, size, &target))
		goto out;
	CHECK(target.path.data == buffer && target.path.size <= size);
	if (!text_is(target.path, "*"))
		check_path(target.path, encoded_slash);
	CHECK(!target_parse(target.path, encoded_slash, second, size, &again));
	CHECK(text_equal(target.path, again.path) && !again.has_query);
	for (uint32_t i = 0; i < target.query.size; i++)
		CHECK(target.query.data[i] > 0x20 && target.query.data[i] < 0x7f);
	/* Allowed more, it is the same. */
	CHECK(!target_parse((struct text){raw, (uint32_t)size}, true, second, size, &again));
	CHECK(text_equal(target.path, again.path));

	while ((r = target_query_next(target.query, &place, second, size, &key, &value)) == 1) {
		CHECK(place > before && place <= target.query.size);
		CHECK(key.size + value.size <= target.query.size);
		before = place;
	}
	CHECK(r == 0 || r == -EBADMSG);
out:
	free(raw);
	free(buffer);
	free(second);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the head of a request or response, in one piece and in two: both say the same. What
 * was accepted has the line ends, and only those, that any reader would see; and what is written of
 * it reads as the same head again.
 *
 * The first byte: bit 0 a response, bit 1 to HEAD; the second: where it is split.
 */
#include "common/cleanup.h"
#include "proxy/http1.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(held)                                                                                \
	do {                                                                                       \
		if (!(held))                                                                       \
			__builtin_trap();                                                          \
	} while (0)

struct outcome {
	int result;
	size_t consumed;
	struct http1_problem problem;
	uint8_t *copy; /* its texts point into it */
	struct http_head head;
};

static void parse(const uint8_t *data, size_t size, uint8_t kind, struct outcome *ret)
{
	struct http_head before;

	memset(ret, 0x5a, sizeof(*ret));
	before = ret->head;
	ret->copy = malloc(size ? size : 1);
	memcpy(ret->copy, data, size);
	if (kind & 1)
		ret->result = http1_response_parse(ret->copy, size, kind & 2, &ret->head,
						   &ret->consumed, &ret->problem);
	else
		ret->result = http1_request_parse(ret->copy, size, &ret->head, &ret->consumed,
						  &ret->problem);
	if (ret->result != 1)
		CHECK(!memcmp(&before, &ret->head, sizeof(before)));
	if (!ret->result)
		CHECK(!memcmp(ret->copy, data, size));
	if (ret->result < 0)
		CHECK(ret->result == -EBADMSG && ret->problem.status >= 400 && ret->problem.why);
}

static void check_same(const struct http_head *a, const struct http_head *b)
{
	CHECK(a->body == b->body && a->length == b->length && a->status == b->status);
	CHECK(a->has_length == b->has_length && a->upgrade == b->upgrade);
	CHECK(a->expect_continue == b->expect_continue);
	CHECK(a->keep_alive == b->keep_alive || (a->status && a->status < 200));
	CHECK(text_equal(a->method, b->method) && text_equal(a->target, b->target));
	CHECK(text_equal(a->authority, b->authority) && text_equal(a->upgrade_to, b->upgrade_to));
	CHECK(a->fields == b->fields);
	for (uint16_t i = 0; i < a->fields; i++) {
		CHECK(text_equal(a->field[i].name, b->field[i].name));
		CHECK(text_equal(a->field[i].value, b->field[i].value));
	}
}

/* What a reader who knows nothing but lines sees of an accepted head. */
static void check_lines(const uint8_t *data, size_t size)
{
	bool ended = false;

	CHECK(size >= 4);
	for (size_t i = 0; i < size; i++) {
		CHECK(data[i]);
		if (data[i] == '\n')
			CHECK(i && data[i - 1] == '\r');
		if (i && data[i - 1] == '\r')
			CHECK(data[i] == '\n');
		if (i && data[i - 1] == '\n')
			CHECK(data[i] != ' ' && data[i] != '\t');
		if (i > 3 && !memcmp(data + i - 3, "\r\n\r\n", 4)) {
			CHECK(i == size - 1);
			ended = true;
		}
	}
	CHECK(ended);
}

static void check_names(const struct http_head *head)
{
	static const char *const taken_out[] = {
		"host",	      "content-length",	  "transfer-encoding", "connection",
		"keep-alive", "proxy-connection", "trailer",	       "upgrade",
		"expect",     "http2-settings",
	};

	for (uint16_t i = 0; i < head->fields; i++) {
		struct text name = head->field[i].name;

		for (uint32_t k = 0; k < name.size; k++)
			CHECK(name.data[k] < 'A' || name.data[k] > 'Z');
		for (size_t k = 0; k < ARRAY_LEN(taken_out); k++)
			CHECK(!text_is(name, taken_out[k]));
	}
}

static void check_written(struct http_head *head, uint8_t kind)
{
	static uint8_t buffer[HTTP_HEAD_MAX + 256];
	struct outcome again;
	ssize_t r;

	r = kind & 1 ? http1_response_write(head, buffer, sizeof(buffer))
		     : http1_request_write(head, buffer, sizeof(buffer));
	if (!(kind & 1) && !head->authority.size) {
		CHECK(r == -EBADMSG);
		return;
	}
	CHECK(r > 0);
	check_lines(buffer, (size_t)r);
	/* What was near the limit may be past it: our own fields are longer. */
	parse(buffer, (size_t)r, kind, &again);
	if (again.result < 0) {
		CHECK(r > HTTP_HEAD_MAX || head->fields > HTTP_FIELDS_MAX - 8);
		free(again.copy);
		return;
	}
	CHECK(again.result == 1 && again.consumed == (size_t)r);
	if (!(kind & 1) && head->body == HTTP_BODY_NONE && again.head.body == HTTP_BODY_LENGTH)
		head->body = HTTP_BODY_LENGTH;
	check_same(head, &again.head);
	free(again.copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct outcome whole, part;
	uint8_t kind;
	size_t split;

	if (size < 2)
		return 0;
	kind = data[0];
	split = data[1];
	data += 2;
	size -= 2;
	split = size ? split * 7 % (size + 1) : 0;
	parse(data, size, kind, &whole);
	parse(data, split, kind, &part);
	if (part.result) {
		CHECK(part.result == whole.result);
		if (part.result < 0)
			CHECK(part.problem.status == whole.problem.status &&
			      part.problem.why == whole.problem.why);
		else
			check_same(&part.head, &whole.head);
	}
	if (whole.result == 1) {
		size_t skipped = !(kind & 1) && data[0] == '\r' ? 2 : 0;

		CHECK(whole.consumed <= size && (part.result == 1) == (split >= whole.consumed));
		check_lines(data + skipped, whole.consumed - skipped);
		check_names(&whole.head);
		check_written(&whole.head, kind);
	}
	free(whole.copy);
	free(part.copy);
	return 0;
}

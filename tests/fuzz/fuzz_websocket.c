/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte cuts the stream that follows. However it is cut, the same messages come out, and
 * the same end; and what came out, written again, is read as the same.
 */
#include "common/cleanup.h"
#include "proxy/websocket.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX   300
#define BINARY_MAX 100000

static void expect(bool condition)
{
	if (!condition)
		__builtin_trap();
}

/* What is told of a stream, in a form that does not depend on how it was cut. */
struct told {
	uint8_t *data; /* [opcode, bytes of a part ...] with marks at the ends of messages */
	size_t size;
	uint8_t *again; /* the messages written as frames */
	size_t again_size;
	size_t sure; /* of data: up to the last message's end */
	uint16_t code;
};

static void tell(struct told *told, const struct websocket_event *event)
{
	static const uint8_t mask[4] = {1, 2, 3, 4};
	uint8_t *frame = told->again + told->again_size;
	size_t head;

	if (event->first) {
		told->data[told->size++] = 0xfe;
		told->data[told->size++] = event->opcode;
	}
	memcpy(told->data + told->size, event->data, event->size);
	told->size += event->size;
	if (event->last) {
		told->data[told->size++] = 0xff;
		told->sure = told->size;
	}
	head = websocket_write_head(
		frame, event->first ? (enum websocket_opcode)event->opcode : WEBSOCKET_CONTINUATION,
		event->last, event->size, mask);
	memcpy(frame + head, event->data, event->size);
	/* in two parts, because that is what the offset is for */
	websocket_mask(frame + head, event->size / 3, mask, 0);
	websocket_mask(frame + head + event->size / 3, event->size - event->size / 3, mask,
		       event->size / 3);
	told->again_size += head + event->size;
}

static void read_all(const uint8_t *data, size_t size, size_t step, struct told *told)
{
	struct websocket_reader reader;

	told->size = told->again_size = told->sure = told->code = 0;
	websocket_reader_init(&reader, TEXT_MAX, BINARY_MAX);
	while (size) {
		size_t part = step && step < size ? step : size;
		uint8_t *copy = malloc(part);
		struct websocket_event event;
		int64_t n;

		expect(copy);
		memcpy(copy, data, part);
		n = websocket_read(&reader, copy, part, &event, &told->code);
		expect(n != 0 && n <= (int64_t)part);
		if (n > 0 && event.opcode)
			tell(told, &event);
		free(copy);
		if (n < 0)
			return;
		data += n;
		size -= (size_t)n;
	}
}

static bool told_new(struct told *told, size_t size)
{
	*told = (struct told){.data = malloc(4 * size + 16), .again = malloc(16 * size + 64)};
	return told->data && told->again;
}

static void told_free(struct told *told)
{
	free(told->data);
	free(told->again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct told whole = {0}, cut = {0}, again = {0};

	if (size < 2 || size > 100000)
		return 0;
	if (told_new(&whole, size) && told_new(&cut, size) && told_new(&again, 20 * size)) {
		read_all(data + 1, size - 1, 0, &whole);
		read_all(data + 1, size - 1, data[0] % 16 + 1, &cut);
		expect(whole.code == cut.code);
		/* of a message that turns out to be broken, more may have been told */
		expect(whole.code
			       ? whole.sure == cut.sure && !memcmp(whole.data, cut.data, cut.sure)
			       : whole.size == cut.size && !memcmp(whole.data, cut.data, cut.size));
		if (!whole.code) {
			read_all(whole.again, whole.again_size, 0, &again);
			expect(!again.code && again.size == whole.size &&
			       !memcmp(again.data, whole.data, again.size));
		}
	}
	told_free(&whole);
	told_free(&cut);
	told_free(&again);
	return 0;
}

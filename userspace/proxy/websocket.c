/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/websocket.h"

#include <errno.h>
#include <string.h>

void websocket_reader_init(struct websocket_reader *reader, uint64_t text_max, uint64_t binary_max)
{
	*reader = (struct websocket_reader){.text_max = text_max, .binary_max = binary_max};
}

void websocket_mask(uint8_t *data, size_t size, const uint8_t mask[4], uint64_t offset)
{
	uint8_t turned[8];
	uint64_t word, wide;

	for (size_t i = 0; i < sizeof(turned); i++)
		turned[i] = mask[(offset + i) % 4];
	memcpy(&wide, turned, sizeof(wide));
	for (; size >= sizeof(word); size -= sizeof(word), data += sizeof(word)) {
		memcpy(&word, data, sizeof(word));
		word ^= wide;
		memcpy(data, &word, sizeof(word));
	}
	for (size_t i = 0; i < size; i++)
		data[i] ^= turned[i];
}

static bool is_control(uint8_t opcode)
{
	return opcode >= WEBSOCKET_CLOSE;
}

static uint64_t big_endian(const uint8_t *bytes, size_t size)
{
	uint64_t value = 0;

	for (size_t i = 0; i < size; i++)
		value = value << 8 | bytes[i];
	return value;
}

/* How long the head is of which @have bytes are there, as far as they say. */
static size_t head_size(const uint8_t *head, size_t have)
{
	if (have < 2)
		return 2;
	switch (head[1] & 0x7f) {
	case 126:
		return 8;
	case 127:
		return 14;
	default:
		return 6;
	}
}

/* Section 5.2. Returns 0 or a close code. */
static uint16_t begin_frame(struct websocket_reader *reader)
{
	const uint8_t *head = reader->head;
	uint8_t opcode = head[0] & 0xf, length = head[1] & 0x7f;
	size_t size = head_size(head, 2);
	uint64_t payload = length < 126 ? length : big_endian(head + 2, size - 6);

	if ((head[0] & 0x70) || !(head[1] & 0x80))
		return WEBSOCKET_PROTOCOL_ERROR;
	/* The shortest form, and no sign bit. */
	if ((length == 126 && payload < 126) || (length == 127 && payload < 65536) || payload >> 63)
		return WEBSOCKET_PROTOCOL_ERROR;
	reader->final = head[0] & 0x80;
	reader->opcode = opcode;
	memcpy(reader->mask, head + size - 4, 4);
	reader->mask_at = 0;
	reader->left = payload;
	reader->in_payload = true;
	if (is_control(opcode)) {
		reader->control_have = 0;
		return opcode > WEBSOCKET_PONG || !reader->final || length > WEBSOCKET_CONTROL_MAX
			       ? WEBSOCKET_PROTOCOL_ERROR
			       : 0;
	}
	if (opcode > WEBSOCKET_BINARY || !opcode == !reader->kind)
		return WEBSOCKET_PROTOCOL_ERROR;
	if (opcode) {
		reader->kind = opcode;
		reader->message = 0;
		reader->first = true;
		reader->utf8 = 0;
	}
	if (payload > (reader->kind == WEBSOCKET_TEXT ? reader->text_max : reader->binary_max) -
			      reader->message)
		return WEBSOCKET_TOO_BIG;
	reader->message += payload;
	return 0;
}

/* RFC 3629, from where the part before it ended. */
static bool read_utf8(struct websocket_reader *reader, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		uint8_t c = data[i];

		if (reader->utf8) {
			if (c < reader->utf8_low || c > reader->utf8_high)
				return false;
			reader->utf8--;
		} else if (c < 0x80) {
			continue;
		} else if (c < 0xc2 || c > 0xf4) {
			return false;
		} else {
			reader->utf8 = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
			reader->utf8_low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
			reader->utf8_high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
			continue;
		}
		reader->utf8_low = 0x80;
		reader->utf8_high = 0xbf;
	}
	return true;
}

/* Section 7.4: codes that may be sent. */
static bool is_close_code(unsigned int code)
{
	return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
	       (code >= 3000 && code <= 4999);
}

static uint16_t end_control(struct websocket_reader *reader, struct websocket_event *event)
{
	/* A message may be under way around it. */
	struct websocket_reader reason = {0};

	*event = (struct websocket_event){.opcode = reader->opcode,
					  .first = true,
					  .last = true,
					  .data = reader->control,
					  .size = reader->control_have};
	if (reader->opcode != WEBSOCKET_CLOSE)
		return 0;
	reader->closed = true;
	if (!event->size)
		return 0;
	event->close_code = (uint16_t)big_endian(reader->control, event->size > 1 ? 2 : 1);
	if (event->size == 1 || !is_close_code(event->close_code))
		return WEBSOCKET_PROTOCOL_ERROR;
	if (!read_utf8(&reason, reader->control + 2, event->size - 2) || reason.utf8)
		return WEBSOCKET_INVALID_DATA;
	return 0;
}

/* A part of a payload, unmasked. Returns 0 or a close code. */
static uint16_t read_payload(struct websocket_reader *reader, uint8_t *data, size_t size,
			     struct websocket_event *event)
{
	bool end = !reader->left;

	if (is_control(reader->opcode)) {
		if (size)
			memcpy(reader->control + reader->control_have, data, size);
		reader->control_have += (uint8_t)size;
		return end ? end_control(reader, event) : 0;
	}
	*event = (struct websocket_event){.opcode = reader->kind,
					  .first = reader->first,
					  .last = end && reader->final,
					  .data = data,
					  .size = size};
	if (reader->kind == WEBSOCKET_TEXT &&
	    (!read_utf8(reader, data, size) || (event->last && reader->utf8)))
		return WEBSOCKET_INVALID_DATA;
	/* Nothing to tell of the end of a frame that is empty and not the last. */
	if (!size && !event->last && !event->first)
		event->opcode = 0;
	else
		reader->first = false;
	if (event->last)
		reader->kind = 0;
	return 0;
}

int64_t websocket_read(struct websocket_reader *reader, uint8_t *data, size_t size,
		       struct websocket_event *ret_event, uint16_t *ret_code)
{
	uint8_t *at = data, *end = data + size;
	struct websocket_event event = {0};
	uint16_t code = 0;

	if (reader->closed) {
		*ret_event = event;
		return (int64_t)size;
	}
	while (!code && !event.opcode) {
		size_t part;

		if (!reader->in_payload) {
			while (at < end &&
			       reader->head_have < head_size(reader->head, reader->head_have))
				reader->head[reader->head_have++] = *at++;
			if (reader->head_have < head_size(reader->head, reader->head_have))
				break;
			reader->head_have = 0;
			code = begin_frame(reader);
			if (code)
				break;
		}
		part = reader->left < (size_t)(end - at) ? (size_t)reader->left
							 : (size_t)(end - at);
		if (!part && reader->left)
			break;
		websocket_mask(at, part, reader->mask, reader->mask_at);
		reader->mask_at = (uint32_t)((reader->mask_at + part) % 4);
		reader->left -= part;
		reader->in_payload = reader->left > 0;
		code = read_payload(reader, at, part, &event);
		at += part;
	}
	if (code) {
		reader->closed = true;
		*ret_code = code;
		return -EPROTO;
	}
	*ret_event = event;
	return at - data;
}

size_t websocket_write_head(uint8_t ret_head[WEBSOCKET_HEAD_MAX], enum websocket_opcode opcode,
			    bool final, uint64_t size, const uint8_t mask[4])
{
	size_t bytes = size < 126 ? 0 : size < 65536 ? 2 : 8;

	ret_head[0] = (uint8_t)((final ? 0x80 : 0) | opcode);
	ret_head[1] = (uint8_t)(0x80 | (!bytes ? size : bytes == 2 ? 126 : 127));
	for (size_t i = 0; i < bytes; i++)
		ret_head[2 + i] = (uint8_t)(size >> (8 * (bytes - 1 - i)));
	memcpy(ret_head + 2 + bytes, mask, 4);
	return 6 + bytes;
}

size_t websocket_write_control(uint8_t ret_frame[2 + WEBSOCKET_CONTROL_MAX],
			       enum websocket_opcode opcode, const void *payload, size_t size)
{
	if (size > WEBSOCKET_CONTROL_MAX)
		size = WEBSOCKET_CONTROL_MAX;
	ret_frame[0] = (uint8_t)(0x80 | opcode);
	ret_frame[1] = (uint8_t)size;
	if (size)
		memcpy(ret_frame + 2, payload, size);
	return 2 + size;
}

size_t websocket_close_payload(uint8_t ret_payload[WEBSOCKET_CONTROL_MAX], uint16_t code,
			       const char *reason)
{
	size_t size = strnlen(reason, WEBSOCKET_CONTROL_MAX - 2);

	/* Not in the middle of a character. */
	while (size && reason[size] && ((uint8_t)reason[size] & 0xc0) == 0x80)
		size--;
	ret_payload[0] = (uint8_t)(code >> 8);
	ret_payload[1] = (uint8_t)code;
	memcpy(ret_payload + 2, reason, size);
	return 2 + size;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of a WebSocket from the client to the server, RFC 6455: read, unmasked where they lie, and
 * written again. No extension is known: whoever forwards the upgrade takes Sec-WebSocket-Extensions
 * out of it, so that no frame is compressed and no reserved bit has a meaning. What comes from the
 * server is nobody's to judge and goes through as it is.
 *
 * Incremental: however the bytes are cut, the same messages come out. Pure, no memory of its own; a
 * reader belongs to one connection and one thread. Fails closed: after an error nothing more is
 * read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEBSOCKET_CONTROL_MAX 125 /* bytes in a control frame, section 5.5 */
#define WEBSOCKET_HEAD_MAX    14  /* bytes that websocket_write_head() writes */

enum websocket_opcode {
	WEBSOCKET_CONTINUATION = 0,
	WEBSOCKET_TEXT = 1,
	WEBSOCKET_BINARY = 2,
	WEBSOCKET_CLOSE = 8,
	WEBSOCKET_PING = 9,
	WEBSOCKET_PONG = 10,
};

/* Close codes for what was read, section 7.4.1. */
enum websocket_code {
	WEBSOCKET_NORMAL = 1000,
	WEBSOCKET_PROTOCOL_ERROR = 1002,
	WEBSOCKET_INVALID_DATA = 1007, /* text that is not UTF-8 */
	WEBSOCKET_POLICY = 1008,       /* for whoever denies a message */
	WEBSOCKET_TOO_BIG = 1009,
};

struct websocket_reader {
	uint64_t text_max, binary_max;
	uint64_t message; /* bytes of the present message so far */
	uint64_t left;	  /* of the present frame's payload */
	uint32_t mask_at; /* how far into the key */
	uint32_t utf8;	  /* bytes of a sequence that is not complete: how many are to come */
	uint8_t utf8_low, utf8_high; /* what the next of them may be */
	uint8_t mask[4];
	uint8_t head[WEBSOCKET_HEAD_MAX];
	uint8_t head_have;
	uint8_t opcode; /* of the present frame */
	uint8_t kind;	/* of the present message; 0: none has begun */
	bool final, in_payload, first, closed;
	uint8_t control[WEBSOCKET_CONTROL_MAX];
	uint8_t control_have;
};

/* What was read. */
struct websocket_event {
	uint8_t opcode; /* of the message: text, binary, close, ping or pong; 0: nothing is ready */
	bool first;	/* of a message: its beginning */
	bool last;	/* of a message: its end; always for close, ping and pong */
	uint8_t *data;	/* unmasked; in what was given, or for close, ping and pong in the reader */
	size_t size;
	uint16_t close_code; /* of close; 0: it gave none */
};

/* Messages longer than these bytes are an error. */
void websocket_reader_init(struct websocket_reader *reader, uint64_t text_max, uint64_t binary_max);

/*
 * Read from @data, which is unmasked in place, up to the next event. Returns how many bytes were
 * read, which may be all without an event (opcode 0); call again for the rest. After a close frame
 * what follows is read and dropped. -EPROTO: broken, with the close code that says why in
 * @ret_code.
 */
int64_t websocket_read(struct websocket_reader *reader, uint8_t *data, size_t size,
		       struct websocket_event *ret_event, uint16_t *ret_code);

/*
 * A client's frame head: @mask is random, and @size the payload's, which websocket_mask() masks.
 * Returns the head's size.
 */
size_t websocket_write_head(uint8_t ret_head[WEBSOCKET_HEAD_MAX], enum websocket_opcode opcode,
			    bool final, uint64_t size, const uint8_t mask[4]);

/* Mask, or unmask, a part of a payload that begins at @offset of it. */
void websocket_mask(uint8_t *data, size_t size, const uint8_t mask[4], uint64_t offset);

/* A server's unmasked frame of at most 125 bytes, such as a close. Returns its size. */
size_t websocket_write_control(uint8_t ret_frame[2 + WEBSOCKET_CONTROL_MAX],
			       enum websocket_opcode opcode, const void *payload, size_t size);

/* A close frame's payload: the code and a reason, cut at 123 bytes. Returns its size. */
size_t websocket_close_payload(uint8_t ret_payload[WEBSOCKET_CONTROL_MAX], uint16_t code,
			       const char *reason);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC's length-prefixed messages: a flag, four bytes of length, the message. A reader is fed bytes
 * as they come and hands out whole messages, unpacked of gzip; a queue holds what is to be sent.
 * Bounded by what they are given; one thread. Fails closed: after an error a reader gives nothing.
 * Reference: "gRPC over HTTP2", Length-Prefixed-Message.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRPC_FRAME_HEADER 5

/* Bytes that all readers of one owner may hold together. */
struct grpc_budget {
	size_t used, max;
};

struct grpc_reader {
	size_t message_max;
	struct grpc_budget *budget;
	bool gzip; /* the head said that messages may be compressed */
	uint8_t header[GRPC_FRAME_HEADER];
	uint8_t header_size;
	bool failed;
	uint8_t *data; /* of the message that is coming, grown as it comes */
	size_t size, capacity, length;
};

/* A whole message. 1: read no further for now; a negative errno ends the reading for good. */
typedef int (*grpc_reader_message)(void *arg, const uint8_t *data, size_t size);

/*
 * *ret_used is how much was read: all of it, unless @message returned 1. 0; -EMSGSIZE: a message is
 * too long, compressed or not; -ENOBUFS: the budget is used up; -EBADMSG: a flag that is none,
 * compression that was not announced, or bad gzip; -ENOMEM; or what @message returned.
 */
int grpc_reader_feed(struct grpc_reader *reader, const uint8_t *data, size_t size,
		     grpc_reader_message message, void *arg, size_t *ret_used);

/* Whether a message has begun and is not whole. */
bool grpc_reader_inside(const struct grpc_reader *reader);

void grpc_reader_clear(struct grpc_reader *reader);

struct grpc_queue {
	uint8_t *data;
	size_t start, end, capacity;
};

/* Frame a message and append it, compressed if @gzip. -ENOMEM, -EMSGSIZE (4 GiB). */
int grpc_queue_add(struct grpc_queue *queue, const ProtobufCMessage *message, bool gzip);

/* Append bytes as they are. -ENOMEM. */
int grpc_queue_put(struct grpc_queue *queue, const uint8_t *data, size_t size);
size_t grpc_queue_size(const struct grpc_queue *queue);

/* Take up to @size bytes from the front; returns how many. */
size_t grpc_queue_take(struct grpc_queue *queue, uint8_t *ret_data, size_t size);
void grpc_queue_clear(struct grpc_queue *queue);

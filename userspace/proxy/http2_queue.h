/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of one stream that wait: put in behind, taken from the front. Memory is had when there is
 * something in it and given back when there is not. Embedded in its owner, zeroed = empty; one
 * thread. Its users cap what is in it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct http2_queue {
	uint8_t *data;
	uint32_t start, size, capacity;
};

/* 0 or -ENOMEM; @size is far below 4 GiB. */
int http2_queue_put(struct http2_queue *queue, const uint8_t *data, size_t size);

/* Drop @size bytes from the front; there are that many. */
void http2_queue_drop(struct http2_queue *queue, size_t size);

void http2_queue_clear(struct http2_queue *queue);

static inline const uint8_t *http2_queue_front(const struct http2_queue *queue)
{
	return queue->data + queue->start;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 512

static int grow(struct http2_queue *queue, size_t wanted)
{
	size_t capacity = queue->capacity ? queue->capacity : CAPACITY_MIN;
	uint8_t *data;

	while (capacity < wanted)
		capacity *= 2;
	data = malloc(capacity);
	if (!data)
		return -ENOMEM;
	if (queue->size)
		memcpy(data, queue->data + queue->start, queue->size);
	free(queue->data);
	queue->data = data;
	queue->start = 0;
	queue->capacity = (uint32_t)capacity;
	return 0;
}

int http2_queue_put(struct http2_queue *queue, const uint8_t *data, size_t size)
{
	size_t wanted = queue->size + size;

	if (!size)
		return 0;
	if (wanted > queue->capacity) {
		int r = grow(queue, wanted);

		if (r < 0)
			return r;
	} else if (queue->start + wanted > queue->capacity) {
		memmove(queue->data, queue->data + queue->start, queue->size);
		queue->start = 0;
	}
	memcpy(queue->data + queue->start + queue->size, data, size);
	queue->size += (uint32_t)size;
	return 0;
}

void http2_queue_drop(struct http2_queue *queue, size_t size)
{
	queue->start += (uint32_t)size;
	queue->size -= (uint32_t)size;
	if (!queue->size)
		http2_queue_clear(queue);
}

void http2_queue_clear(struct http2_queue *queue)
{
	free(queue->data);
	*queue = (struct http2_queue){};
}

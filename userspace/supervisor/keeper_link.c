/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/keeper_link.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/queue.h>

#define READS_MAX 64

struct waiting {
	STAILQ_ENTRY(waiting) link;
	enum keeper_kind kind;
	uint64_t id;
	int32_t value;
	ProtobufCMessage *body;
	int fd[KEEPER_FDS_MAX];
	size_t fds;
};

struct keeper_link {
	uv_poll_t poll;
	int fd;
	const struct keeper_link_events *events;
	void *arg;
	STAILQ_HEAD(, waiting) queue;
	size_t queued;
	bool closed, freed, busy;
};

static void free_waiting(struct waiting *w)
{
	if (w->body)
		protobuf_c_message_free_unpacked(w->body, NULL);
	for (size_t i = 0; i < w->fds; i++)
		safe_close(w->fd[i]);
	free(w);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct keeper_link *link)
{
	uv_poll_start(&link->poll,
		      STAILQ_EMPTY(&link->queue) ? UV_READABLE : UV_READABLE | UV_WRITABLE,
		      on_poll);
}

static void flush(struct keeper_link *link)
{
	struct waiting *w;

	while ((w = STAILQ_FIRST(&link->queue))) {
		if (keeper_send(link->fd, w->kind, w->id, w->value, w->body, w->fd, w->fds) ==
		    -EAGAIN)
			return;
		STAILQ_REMOVE_HEAD(&link->queue, link);
		link->queued--;
		free_waiting(w);
	}
}

static void destroyed(uv_handle_t *handle)
{
	struct keeper_link *link = handle->data;
	struct waiting *w;

	while ((w = STAILQ_FIRST(&link->queue))) {
		STAILQ_REMOVE_HEAD(&link->queue, link);
		free_waiting(w);
	}
	safe_close(link->fd);
	free(link);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct keeper_link *link = poll->data;
	int r = status < 0 ? -EPIPE : 1;

	for (int i = 0; r > 0 && i < READS_MAX && !link->freed; i++) {
		struct keeper_message message;

		r = keeper_receive(link->fd, &message);
		if (r <= 0)
			break;
		link->events->message(link->arg, &message);
		keeper_message_clear(&message);
	}
	if (link->freed)
		return;
	if (r < 0) {
		uv_poll_stop(&link->poll);
		link->closed = true;
		link->events->closed(link->arg);
		return;
	}
	flush(link);
	watch(link);
}

int keeper_link_new(uv_loop_t *loop, int fd, const struct keeper_link_events *events, void *arg,
		    struct keeper_link **ret_link)
{
	struct keeper_link *link = calloc(1, sizeof(*link));
	int r = link ? uv_poll_init(loop, &link->poll, fd) : -ENOMEM;

	if (r) {
		free(link);
		safe_close(fd);
		return r;
	}
	link->fd = fd;
	link->events = events;
	link->arg = arg;
	link->poll.data = link;
	STAILQ_INIT(&link->queue);
	watch(link);
	*ret_link = link;
	return 0;
}

static ProtobufCMessage *copy_message(const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	_cleanup_free_ uint8_t *packed = malloc(size + 1);
	ProtobufCMessage *copy;

	if (!packed)
		return NULL;
	protobuf_c_message_pack(message, packed);
	copy = protobuf_c_message_unpack(message->descriptor, NULL, size, packed);
	explicit_bzero(packed, size);
	return copy;
}

int keeper_link_send(struct keeper_link *link, enum keeper_kind kind, uint64_t id, int32_t value,
		     const ProtobufCMessage *body, const int *fds, size_t fds_len)
{
	struct waiting *w;
	int r;

	if (link->closed)
		return -EPIPE;
	if (STAILQ_EMPTY(&link->queue)) {
		r = keeper_send(link->fd, kind, id, value, body, fds, fds_len);
		if (r != -EAGAIN)
			return r;
	}
	if (link->queued >= KEEPER_QUEUE_MAX)
		return -ENOBUFS;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->kind = kind;
	w->id = id;
	w->value = value;
	w->body = body ? copy_message(body) : NULL;
	for (; w->fds < fds_len; w->fds++)
		w->fd[w->fds] = fcntl(fds[w->fds], F_DUPFD_CLOEXEC, 3);
	STAILQ_INSERT_TAIL(&link->queue, w, link);
	link->queued++;
	watch(link);
	return 0;
}

size_t keeper_link_queued(const struct keeper_link *link)
{
	return link->queued;
}

void keeper_link_free(struct keeper_link *link)
{
	if (!link)
		return;
	link->freed = true;
	uv_close((uv_handle_t *)&link->poll, destroyed);
}

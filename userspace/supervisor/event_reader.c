/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/event_reader.h"

#include "common/cleanup.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct event_reader {
	struct ring_buffer *ring;
	int epoll_fd; /* readable when one of the two is: the ring's own, and */
	int timer_fd; /* when it is time to look for events that woke nobody */
	struct event_sink sink;
	int left; /* events that this call may still hand out */
	int done; /* handed out by this call */
};

/* ns; longer than the programs keep from waking us (EVENT_WAKE_EVERY in bpf/include/event.h) */
#define EVENT_READER_AGAIN 20000000

#define STOP (-ECANCELED) /* what on_event() ends a batch with; never leaves this file */

static int on_event(void *arg, void *data, size_t size)
{
	struct event_reader *reader = arg;

	reader->sink.event(reader->sink.arg, data, size);
	reader->done++;
	/* libbpf has already passed this record when it stops here: none is seen twice. */
	return --reader->left > 0 ? 0 : STOP;
}

int event_ring_create(const char *name, uint32_t bytes, int *ret_fd, struct error *err)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, name, 0, 0, bytes, NULL);

	if (fd < 0)
		return error_set(err, -errno, "creating a ring buffer of %u bytes: %m", bytes);
	*ret_fd = fd;
	return 0;
}

static int watch(struct event_reader *reader, int fd)
{
	struct epoll_event readable = {.events = EPOLLIN};

	return epoll_ctl(reader->epoll_fd, EPOLL_CTL_ADD, fd, &readable);
}

static void reader_cleanup(struct event_reader **reader)
{
	event_reader_free(*reader);
}

int event_reader_open(int ring_fd, const struct event_sink *sink, struct event_reader **ret_reader,
		      struct error *err)
{
	__attribute__((cleanup(reader_cleanup))) struct event_reader *reader =
		calloc(1, sizeof(*reader));

	if (!reader)
		return error_set(err, -ENOMEM, "out of memory");
	reader->sink = *sink;
	reader->timer_fd = -1; /* epoll_fd is set before anything fails */
	reader->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (reader->epoll_fd >= 0)
		reader->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (reader->timer_fd < 0)
		return error_set(err, -errno, "making a timer for events: %m");
	reader->ring = ring_buffer__new(ring_fd, on_event, reader, NULL);
	if (!reader->ring)
		return error_set(err, -errno, "mapping the event ring buffer: %m");
	if (watch(reader, reader->timer_fd) || watch(reader, ring_buffer__epoll_fd(reader->ring)))
		return error_set(err, -errno, "watching the event ring buffer: %m");
	*ret_reader = TAKE_PTR(reader);
	return 0;
}

int event_reader_fd(const struct event_reader *reader)
{
	return reader->epoll_fd;
}

int event_reader_consume(struct event_reader *reader)
{
	const struct itimerspec again = {.it_value.tv_nsec = EVENT_READER_AGAIN};
	uint64_t times;
	int r;

	reader->left = EVENT_READER_BATCH;
	reader->done = 0;
	if (read(reader->timer_fd, &times, sizeof(times)) < 0 && errno != EAGAIN)
		return -errno;
	r = ring_buffer__consume(reader->ring);
	if (reader->done && timerfd_settime(reader->timer_fd, 0, &again, NULL))
		return -errno;
	return r < 0 && r != STOP ? r : reader->done;
}

int event_reader_drain(struct event_reader *reader)
{
	int total = 0, r;

	do {
		r = event_reader_consume(reader);
		if (r < 0)
			return r;
		total += r;
	} while (r == EVENT_READER_BATCH);
	return total;
}

void event_reader_free(struct event_reader *reader)
{
	if (!reader)
		return;
	ring_buffer__free(reader->ring);
	if (reader->timer_fd >= 0)
		close(reader->timer_fd);
	if (reader->epoll_fd >= 0)
		close(reader->epoll_fd);
	free(reader);
}

int event_counters_read(int count_fd, struct event_counters *ret_counters)
{
	_cleanup_free_ uint64_t *per_cpu = NULL;
	struct event_counters counters = {0};
	uint32_t keys[OS_COUNT_MAX], batch, n = OS_COUNT_MAX;
	int cpus = libbpf_num_possible_cpus();

	if (cpus < 0)
		return cpus;
	per_cpu = calloc((size_t)cpus * OS_COUNT_MAX, sizeof(*per_cpu));
	if (!per_cpu)
		return -ENOMEM;
	/* One call for all: a run asks twice, and a call for each would be hundreds. */
	if (bpf_map_lookup_batch(count_fd, NULL, &batch, keys, per_cpu, &n, NULL) < 0 &&
	    (errno != ENOENT || n != OS_COUNT_MAX))
		return -errno;
	for (uint32_t i = 0; i < n; i++)
		for (int cpu = 0; cpu < cpus; cpu++)
			if (keys[i] < OS_COUNT_MAX)
				counters.value[keys[i]] += per_cpu[(size_t)cpus * i + (size_t)cpu];
	*ret_counters = counters;
	return 0;
}

void event_counters_since(const struct event_counters *before, const struct event_counters *now,
			  struct event_counters *ret_counters)
{
	for (size_t i = 0; i < OS_COUNT_MAX; i++)
		ret_counters->value[i] = now->value[i] - before->value[i];
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event_writer.h"

#include "common/cleanup.h"
#include "common/event_line.h"
#include "common/event_ocsf.h"
#include "common/event_repeat.h"
#include "common/trusted_open.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define BUFFER_SIZE	 (256 * 1024)
#define CLOSE_TIMEOUT_MS 1000 /* how long a slow reader may keep the end waiting */

struct event_writer {
	struct event_writer_options options;
	struct event_writer_stats stats;
	struct event_repeat *repeat;
	char *name; /* of the log, for complaints */
	char *buffer, *line;
	size_t used;
	int fd;
	bool owned, colour;
	int failed; /* errno of the first write that failed, positive */
};

int event_format_parse(const char *name, enum event_format *ret_format)
{
	static const struct {
		const char *name;
		enum event_format format;
	} formats[] = {
		{"shorthand", EVENT_FORMAT_SHORTHAND},
		{"ocsf", EVENT_FORMAT_OCSF},
	};

	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		if (strcmp(name, formats[i].name))
			continue;
		*ret_format = formats[i].format;
		return 0;
	}
	return -EINVAL;
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool wants_colour(const struct event_writer_options *options, int fd)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (options->format != EVENT_FORMAT_SHORTHAND)
		return false;
	if (options->colour != EVENT_COLOUR_AUTO)
		return options->colour == EVENT_COLOUR_ALWAYS;
	return isatty(fd) && !(no_color && *no_color) && !(term && !strcmp(term, "dumb"));
}

/* write() whose reader may have gone: the signal that would come with EPIPE is swallowed. */
static ssize_t write_quietly(int fd, const char *data, size_t len)
{
	static const struct timespec at_once;
	sigset_t pipe_set, old, pending;
	bool was_pending;
	ssize_t n;
	int saved;

	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	sigpending(&pending);
	was_pending = sigismember(&pending, SIGPIPE) == 1;
	pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
	do {
		n = write(fd, data, len);
	} while (n < 0 && errno == EINTR);
	saved = errno;
	if (n < 0 && saved == EPIPE && !was_pending)
		sigtimedwait(&pipe_set, NULL, &at_once);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = saved;
	return n;
}

static void complain(struct event_writer *w, int error)
{
	char buf[512];
	int n;

	if (w->failed)
		return;
	w->failed = error;
	if (w->options.warn_fd < 0 || w->options.warn_fd == w->fd)
		return;
	n = snprintf(buf, sizeof(buf),
		     "openshell: WARNING: events cannot be written to %s: %s. The sandbox goes on "
		     "under its policy, but events are being lost.\n",
		     w->name, strerror(error));
	if (n > 0)
		write_quietly(w->options.warn_fd, buf,
			      (size_t)n < sizeof(buf) ? (size_t)n : sizeof(buf) - 1);
}

/*
 * Write what is buffered. What could not be written stays, so that a line that was cut in two by a
 * full disk is continued when there is room again.
 */
static void write_out(struct event_writer *w)
{
	size_t done = 0;

	while (done < w->used) {
		ssize_t n = write_quietly(w->fd, w->buffer + done, w->used - done);

		if (n < 0) {
			if (errno != EAGAIN)
				complain(w, errno);
			break;
		}
		done += (size_t)n;
	}
	memmove(w->buffer, w->buffer + done, w->used - done);
	w->used -= done;
}

static void put_line(struct event_writer *w, const char *line, size_t len)
{
	if (len + 1 > BUFFER_SIZE - w->used)
		write_out(w);
	if (len + 1 > BUFFER_SIZE - w->used) {
		w->stats.lost++;
		complain(w, EAGAIN);
		return;
	}
	memcpy(w->buffer + w->used, line, len);
	w->used += len;
	w->buffer[w->used++] = '\n';
	w->stats.written++;
}

static void tell(void *arg, const struct event *event)
{
	struct event_writer *w = arg;
	struct text t;

	if (w->options.format == EVENT_FORMAT_OCSF) {
		_cleanup_free_ char *json = event_ocsf(event);

		if (json) {
			put_line(w, json, strlen(json));
		} else {
			w->stats.lost++;
			complain(w, ENOMEM);
		}
		return;
	}
	text_init(&t, w->line, EVENT_LINE_SIZE);
	event_line(event, w->colour, &t);
	put_line(w, t.buf, t.len);
}

static bool is_shown(const struct event_writer_options *options, const struct event *event)
{
	if (event->action != EVENT_ALLOWED)
		return true;
	switch (event->class) {
	case EVENT_CLASS_FILE:
		return options->allowed_files;
	case EVENT_CLASS_NET:
	case EVENT_CLASS_HTTP:
		return !options->hide_allowed_net;
	case EVENT_CLASS_PROC:
		/* Every library of every program: files by another name. */
		if (event->activity_id == EVENT_ACTIVITY_OTHER)
			return options->allowed_files;
		return !options->hide_allowed_exec;
	default:
		return true;
	}
}

void event_writer_write(struct event_writer *writer, const struct event *event)
{
	if (!is_shown(&writer->options, event)) {
		writer->stats.filtered++;
		return;
	}
	if (!event_repeat_take(writer->repeat, event, monotonic_ns())) {
		writer->stats.repeated++;
		return;
	}
	tell(writer, event);
}

void event_writer_flush(struct event_writer *writer)
{
	event_repeat_flush(writer->repeat, monotonic_ns(), false);
	write_out(writer);
}

void event_writer_settle(struct event_writer *writer)
{
	event_repeat_flush(writer->repeat, monotonic_ns(), true);
	write_out(writer);
}

bool event_writer_pending(const struct event_writer *writer)
{
	return writer->used > 0 || event_repeat_pending(writer->repeat);
}

const struct event_writer_stats *event_writer_stats(const struct event_writer *writer)
{
	return &writer->stats;
}

static void writer_free(struct event_writer *w)
{
	if (!w)
		return;
	if (w->owned)
		safe_close(w->fd);
	event_repeat_free(w->repeat);
	free(w->buffer);
	free(w->line);
	free(w->name);
	free(w);
}

static void writer_freep(struct event_writer **w)
{
	writer_free(*w);
}

int event_writer_open(const struct event_writer_options *options, struct event_writer **ret_writer,
		      struct error *err)
{
	_cleanup_(writer_freep) struct event_writer *w = calloc(1, sizeof(*w));
	unsigned int repeats = options->repeats ? options->repeats : EVENT_WRITER_REPEATS;

	if (!w)
		return error_set(err, -ENOMEM, "out of memory");
	w->options = *options;
	w->options.path = NULL; /* the caller's string; w->name is ours */
	w->fd = options->fd;
	w->buffer = malloc(BUFFER_SIZE);
	w->line = malloc(EVENT_LINE_SIZE);
	w->name = strdup(options->path ? options->path : "the event log");
	w->repeat = event_repeat_new(repeats, (struct event_repeat_sink){tell, w});
	if (!w->buffer || !w->line || !w->name || !w->repeat)
		return error_set(err, -ENOMEM, "out of memory");
	if (options->path) {
		/* Not waiting for a reader, should it be a named pipe: a log never holds the agent.
		 */
		int r = trusted_open(options->path,
				     O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK, 0600,
				     &w->fd);

		if (r == -ELOOP)
			return error_set(err, r,
					 "opening the log %s: a symbolic link on the way belongs "
					 "neither to root nor to you, and so may lead anywhere; "
					 "give the path without it",
					 options->path);
		if (r)
			return error_set(err, r, "opening the log %s: %s", options->path,
					 strerror(-r));
		w->owned = true;
	}
	w->colour = wants_colour(options, w->fd);
	*ret_writer = TAKE_PTR(w);
	return 0;
}

/* Wait a little for a reader that is merely slow. */
static void write_out_patiently(struct event_writer *w)
{
	uint64_t end = monotonic_ns() + CLOSE_TIMEOUT_MS * 1000000ull;

	write_out(w);
	while (w->used && !w->failed && monotonic_ns() < end) {
		struct pollfd p = {.fd = w->fd, .events = POLLOUT};

		if (poll(&p, 1, CLOSE_TIMEOUT_MS / 10) < 0 && errno != EINTR)
			break;
		write_out(w);
	}
}

int event_writer_close(struct event_writer *writer, struct error *err)
{
	_cleanup_(writer_freep) struct event_writer *w = writer;

	if (!w)
		return 0;
	event_repeat_flush(w->repeat, monotonic_ns(), true);
	write_out_patiently(w);
	for (size_t i = 0; i < w->used; i++) {
		if (w->buffer[i] != '\n')
			continue;
		w->stats.lost++;
		w->stats.written--;
	}
	if (!w->stats.lost)
		return 0;
	return error_set(err, -(w->failed ? w->failed : EAGAIN),
			 "%" PRIu64 " events could not be written to %s: %s", w->stats.lost,
			 w->name, strerror(w->failed ? w->failed : EAGAIN));
}

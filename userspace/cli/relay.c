/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/relay.h"
#include "cli/terminal.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define BUFFER_SIZE	65536
#define ROUNDS_MAX	16   /* buffers that one stream moves before the others get their turn */
#define DRAIN_MS	1000 /* for a terminal's last bytes, once the agent has ended */
#define END_OF_FILE_KEY 0x04 /* VEOF of a terminal in its usual settings */

/* How to read or write a descriptor without ever being blocked by it. */
enum end_access {
	ACCESS_OWN,	/* O_NONBLOCK, on an open file that is ours alone */
	ACCESS_SOCKET,	/* somebody's socket: MSG_DONTWAIT */
	ACCESS_POLLED,	/* somebody's pipe or terminal: only when it is ready, and PIPE_BUF bytes */
	ACCESS_REGULAR, /* a file, which never blocks for long and cannot be polled */
};

struct end {
	int fd;
	bool close; /* whether it is the relay's to close */
	enum end_access access;
	uint32_t watched; /* epoll events in force, 0 = not in the set */
	bool ready;	  /* seen ready since the last would-block */
	struct stream *stream;
};

struct stream {
	struct end from, to;
	size_t start, len; /* of what is in the buffer */
	bool eof;	   /* nothing more comes from `from` */
	bool done;
	char buffer[BUFFER_SIZE];
};

enum {
	STREAM_IN,
	STREAM_OUT,
	STREAM_ERR,
	STREAMS,
};

static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

enum {
	SIGNALS_FORWARDED = ARRAY_LEN(forwarded),
	SIGNAL_WINCH = SIGNALS_FORWARDED,
	SIGNAL_TSTP,
	SIGNALS,
};

struct relay {
	bool tty;
	int agent_fd[3];
	char terminal[64];
	int master;
	struct stream stream[STREAMS];
	struct end ended; /* the agent's pidfd */
	struct relay_target target;
	int epoll_fd;
	uv_poll_t poll;
	uv_timer_t drain;
	uv_signal_t signal[SIGNALS];
	unsigned int handles; /* on the loop */
	unsigned int terms;   /* SIGTERMs seen */
	bool agent_ended, drained, finishing;
	int output_error; /* first that was not a reader going away, positive errno */
};

static void finish(struct relay *relay);

static void close_agent_fds(struct relay *relay)
{
	for (int i = 0; i < 3; i++) {
		/* A terminal's three are one. */
		if (!relay->tty || i == 0)
			safe_close(relay->agent_fd[i]);
		relay->agent_fd[i] = -1;
	}
}

static bool is_fifo_or_terminal(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || isatty(fd));
}

/*
 * One of the caller's descriptors. Others share its open file, so O_NONBLOCK must not be set on
 * it; pipes and terminals are opened anew, which gives an open file of our own.
 */
static struct end caller_end(int fd, int flags)
{
	struct end end = {.fd = fd, .access = ACCESS_REGULAR};
	char path[32];
	struct stat st;
	int own;

	if (fstat(fd, &st) < 0) {
		end.fd = -1;
		return end;
	}
	if (S_ISSOCK(st.st_mode)) {
		end.access = ACCESS_SOCKET;
		return end;
	}
	if (!is_fifo_or_terminal(fd))
		return end;
	end.access = ACCESS_POLLED;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own >= 0) {
		end.fd = own;
		end.close = true;
		end.access = ACCESS_OWN;
	}
	return end;
}

static struct end own_end(int fd)
{
	return (struct end){.fd = fd, .close = true, .access = ACCESS_OWN};
}

/* Tell epoll what to wait for; 0 takes the descriptor out, since a hang-up cannot be masked. */
static void watch(struct relay *relay, struct end *end, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = end};
	int op = !events ? EPOLL_CTL_DEL : end->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (events == end->watched || end->fd < 0)
		return;
	if (epoll_ctl(relay->epoll_fd, op, end->fd, &event) < 0 && errno == EPERM)
		end->access = ACCESS_REGULAR; /* a device that cannot be polled, such as null */
	else
		end->watched = events;
}

static void end_close(struct relay *relay, struct end *end)
{
	watch(relay, end, 0);
	if (end->close)
		safe_close(end->fd);
	end->fd = -1;
}

static void stream_finish(struct relay *relay, struct stream *stream)
{
	stream->done = true;
	stream->len = 0;
	end_close(relay, &stream->from);
	end_close(relay, &stream->to);
}

static ssize_t end_read(struct end *end, void *buffer, size_t size)
{
	ssize_t n;

	switch (end->access) {
	case ACCESS_SOCKET:
		n = recv(end->fd, buffer, size, MSG_DONTWAIT);
		break;
	case ACCESS_POLLED:
		if (!end->ready) {
			errno = EAGAIN;
			return -1;
		}
		end->ready = false;
		n = read(end->fd, buffer, size);
		break;
	default:
		n = read(end->fd, buffer, size);
	}
	return n;
}

static ssize_t end_write(struct end *end, const void *buffer, size_t size)
{
	switch (end->access) {
	case ACCESS_SOCKET:
		return send(end->fd, buffer, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	case ACCESS_POLLED:
		if (!end->ready) {
			errno = EAGAIN;
			return -1;
		}
		/* A pipe that is ready takes this much at once. */
		end->ready = false;
		return write(end->fd, buffer, size < PIPE_BUF ? size : PIPE_BUF);
	default:
		return write(end->fd, buffer, size);
	}
}

/* The source has ended. A terminal cannot be closed on one side; it has a key for that. */
static void on_eof(struct relay *relay, struct stream *stream)
{
	stream->eof = true;
	if (!relay->tty || stream != &relay->stream[STREAM_IN])
		return;
	if (isatty(STDIN_FILENO)) {
		/* The caller's terminal was taken away. */
		relay->target.signal(relay->target.arg, SIGHUP);
		return;
	}
	stream->buffer[0] = END_OF_FILE_KEY;
	stream->start = 0;
	stream->len = 1;
}

/* Fill the empty buffer. false: nothing for now. */
static bool stream_fill(struct relay *relay, struct stream *stream)
{
	ssize_t n = end_read(&stream->from, stream->buffer, sizeof(stream->buffer));

	if (n > 0) {
		stream->start = 0;
		stream->len = (size_t)n;
		return true;
	}
	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0 && errno == EAGAIN) {
		/*
		 * Whoever could write in the sandbox is dead. Only somebody outside who was handed
		 * the descriptor may hold it open, and is not waited for. A terminal's bytes may
		 * still be on their way through the kernel, so it has until the timer's end.
		 */
		if (relay->agent_ended && stream != &relay->stream[STREAM_IN] &&
		    (!relay->tty || relay->drained))
			stream->eof = true;
		return stream->eof;
	}
	/* 0, or EIO: the last holder of a terminal's slave side is gone */
	on_eof(relay, stream);
	return true;
}

/* Move bytes until one side would block. */
static void stream_pump(struct relay *relay, struct stream *stream)
{
	for (int round = 0; !stream->done; round++) {
		ssize_t n;

		if (stream->len == 0 && stream->eof) {
			stream_finish(relay, stream);
			return;
		}
		if (stream->len == 0 && !stream_fill(relay, stream)) {
			watch(relay, &stream->to, 0);
			watch(relay, &stream->from, EPOLLIN);
			if (stream->from.access != ACCESS_REGULAR)
				return;
			continue;
		}
		if (stream->len == 0)
			continue;
		n = end_write(&stream->to, stream->buffer + stream->start, stream->len);
		if (n >= 0) {
			stream->start += (size_t)n;
			stream->len -= (size_t)n;
		} else if (errno == EAGAIN) {
			watch(relay, &stream->from, 0);
			watch(relay, &stream->to, EPOLLOUT);
			if (stream->to.access != ACCESS_REGULAR)
				return;
		} else if (errno != EINTR) {
			/* Nobody reads any more; closing `from` tells the writer the same. */
			if (errno != EPIPE && errno != ECONNRESET && !relay->output_error &&
			    stream != &relay->stream[STREAM_IN])
				relay->output_error = errno;
			stream_finish(relay, stream);
			return;
		}
		if (round >= ROUNDS_MAX && stream->len == 0) {
			/* Others' turn; what is ready will be reported again. One side is ours. */
			if (stream->from.access == ACCESS_REGULAR)
				watch(relay, &stream->to, EPOLLOUT);
			else
				watch(relay, &stream->from, EPOLLIN);
			return;
		}
	}
}

static void check_finished(struct relay *relay)
{
	if (relay->agent_ended && relay->stream[STREAM_OUT].done && relay->stream[STREAM_ERR].done)
		finish(relay);
}

static void pump_output(struct relay *relay)
{
	for (int i = STREAM_OUT; i < STREAMS; i++)
		if (!relay->stream[i].done)
			stream_pump(relay, &relay->stream[i]);
	check_finished(relay);
}

static void on_drained(uv_timer_t *timer)
{
	struct relay *relay = timer->data;

	relay->drained = true;
	pump_output(relay);
}

static void on_agent_ended(struct relay *relay)
{
	relay->agent_ended = true;
	watch(relay, &relay->ended, 0);
	close_agent_fds(relay);
	if (!relay->stream[STREAM_IN].done)
		stream_finish(relay, &relay->stream[STREAM_IN]);
	if (relay->tty)
		uv_timer_start(&relay->drain, on_drained, DRAIN_MS, 0);
	pump_output(relay);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct relay *relay = poll->data;
	struct epoll_event event[8];
	int n = epoll_wait(relay->epoll_fd, event, ARRAY_LEN(event), 0);

	for (int i = 0; i < n; i++) {
		struct end *end = event[i].data.ptr;

		/* An earlier one of this batch may have closed it. */
		if (end->fd < 0 || !end->watched)
			continue;
		if (end == &relay->ended) {
			on_agent_ended(relay);
			continue;
		}
		end->ready = true;
		stream_pump(relay, end->stream);
	}
	check_finished(relay);
}

static void resize(struct relay *relay)
{
	struct winsize size;

	if (relay->tty && relay->master >= 0 && terminal_size(&size) == 0)
		ioctl(relay->master, TIOCSWINSZ, &size);
}

static void on_signal(uv_signal_t *handle, int signal_number)
{
	struct relay *relay = handle->data;

	switch (signal_number) {
	case SIGWINCH:
		resize(relay);
		return;
	case SIGTSTP:
		/* Only the agent's own terminal could stop it, and with pipes it has none. */
		if (!relay->tty)
			relay->target.signal(relay->target.arg, SIGSTOP);
		terminal_suspend();
		if (!relay->tty)
			relay->target.signal(relay->target.arg, SIGCONT);
		resize(relay);
		return;
	case SIGTERM:
		if (++relay->terms > 1)
			signal_number = SIGKILL;
		break;
	}
	if (relay->agent_ended)
		finish(relay); /* only a reader of ours keeps us, and the caller does not wait */
	else
		relay->target.signal(relay->target.arg, signal_number);
}

static void on_closed(uv_handle_t *handle)
{
	struct relay *relay = handle->data;

	if (--relay->handles == 0 && relay->finishing)
		relay->target.ended(relay->target.arg);
}

static void remove_handles(struct relay *relay)
{
	unsigned int signals = relay->handles - 2;

	uv_close((uv_handle_t *)&relay->poll, on_closed);
	uv_close((uv_handle_t *)&relay->drain, on_closed);
	for (unsigned int i = 0; i < signals; i++)
		uv_close((uv_handle_t *)&relay->signal[i], on_closed);
}

static void finish(struct relay *relay)
{
	if (relay->finishing)
		return;
	relay->finishing = true;
	for (int i = 0; i < STREAMS; i++)
		if (!relay->stream[i].done)
			stream_finish(relay, &relay->stream[i]);
	terminal_restore();
	if (relay->target.ending)
		relay->target.ending(relay->target.arg);
	remove_handles(relay);
}

static int open_pipes(struct relay *relay)
{
	for (int i = 0; i < STREAMS; i++) {
		int pair[2], ours = i == STREAM_IN, flags;
		struct stream *stream = &relay->stream[i];

		if (pipe2(pair, O_CLOEXEC) < 0)
			return -errno;
		relay->agent_fd[i] = pair[!ours];
		*(i == STREAM_IN ? &stream->to : &stream->from) = own_end(pair[ours]);
		/* An open file of its own: the agent's end stays as every program expects it. */
		flags = fcntl(pair[ours], F_GETFL);
		if (flags < 0 || fcntl(pair[ours], F_SETFL, flags | O_NONBLOCK) < 0)
			return -errno;
	}
	return 0;
}

static int open_terminal(struct relay *relay)
{
	int slave, copy, r;

	r = terminal_open_pty(&relay->master, &slave, relay->terminal);
	if (r < 0)
		return r;
	for (int i = 0; i < 3; i++)
		relay->agent_fd[i] = slave;
	/* Two descriptors of one open file, since epoll knows a descriptor only once. */
	relay->stream[STREAM_OUT].from = own_end(relay->master);
	copy = fcntl(relay->master, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return -errno;
	relay->stream[STREAM_IN].to = own_end(copy);
	relay->stream[STREAM_ERR].done = true;
	return 0;
}

int relay_open(bool tty, struct relay **ret_relay, struct error *err)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	int r;

	if (!relay)
		return error_set(err, -ENOMEM, "out of memory");
	relay->tty = tty;
	relay->epoll_fd = relay->master = -1;
	for (int i = 0; i < STREAMS; i++) {
		struct stream *stream = &relay->stream[i];

		relay->agent_fd[i] = -1;
		stream->from = stream->to = (struct end){.fd = -1};
	}
	r = tty ? open_terminal(relay) : open_pipes(relay);
	if (r < 0) {
		relay_free(relay);
		return error_set(err, r, "cannot make the agent's %s: %s",
				 tty ? "terminal" : "pipes", strerror(-r));
	}
	*ret_relay = relay;
	return 0;
}

int relay_agent_fd(const struct relay *relay, int i)
{
	return relay->agent_fd[i];
}

const char *relay_terminal(const struct relay *relay)
{
	return relay->tty ? relay->terminal : NULL;
}

/* Ends that are the caller's, and the way back from an end to its stream. */
static void attach_caller(struct relay *relay)
{
	relay->stream[STREAM_IN].from = caller_end(STDIN_FILENO, O_RDONLY);
	relay->stream[STREAM_OUT].to = caller_end(STDOUT_FILENO, O_WRONLY);
	if (!relay->stream[STREAM_ERR].done)
		relay->stream[STREAM_ERR].to = caller_end(STDERR_FILENO, O_WRONLY);
	for (int i = 0; i < STREAMS; i++) {
		struct stream *stream = &relay->stream[i];

		stream->from.stream = stream->to.stream = stream;
	}
}

static void start_signal(struct relay *relay, int i, int signal_number)
{
	struct sigaction action;

	/* nohup, or a shell's background job: what was ignored stays ignored. */
	if (sigaction(signal_number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
		return;
	uv_signal_start(&relay->signal[i], on_signal, signal_number);
}

static int add_handles(struct relay *relay, uv_loop_t *loop)
{
	int r;

	r = uv_poll_init(loop, &relay->poll, relay->epoll_fd);
	if (r < 0)
		return r;
	uv_timer_init(loop, &relay->drain);
	relay->poll.data = relay->drain.data = relay;
	relay->handles = 2;
	for (int i = 0; i < SIGNALS && r == 0; i++) {
		relay->signal[i].data = relay;
		r = uv_signal_init(loop, &relay->signal[i]);
		relay->handles += r == 0;
	}
	if (r == 0)
		r = uv_poll_start(&relay->poll, UV_READABLE, on_poll);
	if (r < 0) {
		remove_handles(relay);
		while (relay->handles > 0)
			uv_run(loop, UV_RUN_NOWAIT);
		return r;
	}
	for (int i = 0; i < SIGNALS_FORWARDED; i++)
		start_signal(relay, i, forwarded[i]);
	start_signal(relay, SIGNAL_TSTP, SIGTSTP);
	if (relay->tty)
		uv_signal_start(&relay->signal[SIGNAL_WINCH], on_signal, SIGWINCH);
	return 0;
}

int relay_start(struct relay *relay, uv_loop_t *loop, const struct relay_target *target,
		struct error *err)
{
	int r;

	relay->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (relay->epoll_fd < 0)
		return error_set(err, -errno, "cannot make an epoll set: %s", strerror(errno));
	relay->target = *target;
	relay->ended = (struct end){.fd = target->ended_fd, .access = ACCESS_POLLED};
	/* A reader that went away is an error of write(), for every one of our descriptors. */
	signal(SIGPIPE, SIG_IGN);
	r = add_handles(relay, loop);
	if (r < 0)
		return error_set(err, r, "cannot watch the agent: %s", strerror(-r));
	/*
	 * A terminal's slave side stays open to the end: without any holder the master would report
	 * a hang-up, although an agent may close it and open /dev/tty again.
	 */
	if (!relay->tty)
		close_agent_fds(relay);
	attach_caller(relay);
	if (relay->tty && isatty(STDIN_FILENO))
		terminal_raw(STDIN_FILENO);
	resize(relay);
	watch(relay, &relay->ended, EPOLLIN);
	for (int i = 0; i < STREAMS; i++)
		if (!relay->stream[i].done)
			stream_pump(relay, &relay->stream[i]);
	return 0;
}

int relay_result(const struct relay *relay, struct error *err)
{
	if (!relay->output_error)
		return 0;
	return error_set(err, -relay->output_error,
			 "what the agent wrote could not all be delivered: %s",
			 strerror(relay->output_error));
}

void relay_free(struct relay *relay)
{
	if (!relay)
		return;
	close_agent_fds(relay);
	for (int i = 0; i < STREAMS; i++)
		if (!relay->stream[i].done)
			stream_finish(relay, &relay->stream[i]);
	safe_close(relay->epoll_fd);
	free(relay);
}

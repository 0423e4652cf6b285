/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/keeper_terminal.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/queue.h>
#include <sys/socket.h>

#define COLUMNS 80
#define ROWS	24

struct channel {
	LIST_ENTRY(channel) link;
	struct keeper_terminal *terminal;
	uv_poll_t poll;
	int fd;
	uint64_t at; /* of the output: what it has got */
	bool exit_told, closing;
};

/* One of the process's outputs. */
struct stream {
	struct keeper_terminal *terminal;
	uv_poll_t poll;
	int fd;
	enum channel_packet kind;
	bool open, polling;
};

/* What was written, in pieces of one kind: the ring's bytes, and where each piece begins. */
struct piece {
	STAILQ_ENTRY(piece) link;
	uint64_t at; /* of its first byte */
	uint32_t size;
	enum channel_packet kind;
	uint8_t data[];
};

struct keeper_terminal {
	uv_loop_t *loop;
	bool tty, exited;
	int exit_code;
	char name[64];
	int agent_fd[3]; /* the process's ends, until it has them */
	int input;	 /* the pty's master, or the pipe to its standard input; -1 = closed */
	struct stream stream[2];
	STAILQ_HEAD(, piece) pieces;
	uint64_t begin, end; /* of what is kept */
	LIST_HEAD(, channel) channels;
	size_t count;
	int handles;
	bool freed;
};

static void free_terminal(struct keeper_terminal *t)
{
	struct piece *piece;

	if (!t->freed || t->handles)
		return;
	while ((piece = STAILQ_FIRST(&t->pieces))) {
		STAILQ_REMOVE_HEAD(&t->pieces, link);
		free(piece);
	}
	free(t);
}

/* ---- making ---- */

static int open_pty(struct keeper_terminal *t, uid_t owner)
{
	struct winsize size = {.ws_row = ROWS, .ws_col = COLUMNS};
	int master, slave;

	if (openpty(&master, &slave, t->name, NULL, &size))
		return -errno;
	fcntl(master, F_SETFD, FD_CLOEXEC);
	fcntl(slave, F_SETFD, FD_CLOEXEC);
	fcntl(master, F_SETFL, O_NONBLOCK);
	t->input = master;
	t->agent_fd[0] = slave;
	t->agent_fd[1] = fcntl(slave, F_DUPFD_CLOEXEC, 3);
	t->agent_fd[2] = fcntl(slave, F_DUPFD_CLOEXEC, 3);
	t->stream[0].fd = fcntl(master, F_DUPFD_CLOEXEC, 3);
	if (t->agent_fd[1] < 0 || t->agent_fd[2] < 0 || t->stream[0].fd < 0 ||
	    fchown(slave, owner, (gid_t)-1))
		return -errno;
	return 0;
}

static int open_pipes(struct keeper_terminal *t)
{
	int pair[2];

	if (pipe2(pair, O_CLOEXEC))
		return -errno;
	t->agent_fd[0] = pair[0];
	t->input = pair[1];
	fcntl(t->input, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 2; i++) {
		if (pipe2(pair, O_CLOEXEC))
			return -errno;
		t->stream[i].fd = pair[0];
		t->agent_fd[i + 1] = pair[1];
		fcntl(pair[0], F_SETFL, O_NONBLOCK);
	}
	return 0;
}

static void close_ends(struct keeper_terminal *t)
{
	for (int i = 0; i < 3; i++)
		t->agent_fd[i] = safe_close(t->agent_fd[i]);
}

static void on_output(uv_poll_t *poll, int status, int events);

int keeper_terminal_new(uv_loop_t *loop, bool tty, uid_t owner,
			struct keeper_terminal **ret_terminal, struct error *err)
{
	struct keeper_terminal *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return error_set(err, -ENOMEM, "out of memory");
	t->loop = loop;
	t->tty = tty;
	t->input = t->agent_fd[0] = t->agent_fd[1] = t->agent_fd[2] = -1;
	STAILQ_INIT(&t->pieces);
	LIST_INIT(&t->channels);
	for (int i = 0; i < 2; i++)
		t->stream[i] = (struct stream){
			.terminal = t, .fd = -1, .kind = i ? CHANNEL_ERROR : CHANNEL_OUTPUT};
	r = tty ? open_pty(t, owner) : open_pipes(t);
	for (int i = 0; !r && i < 2; i++) {
		if (t->stream[i].fd < 0)
			continue;
		r = uv_poll_init(loop, &t->stream[i].poll, t->stream[i].fd);
		t->stream[i].poll.data = &t->stream[i];
		t->stream[i].open = !r;
		t->handles += !r;
	}
	if (r) {
		keeper_terminal_free(t);
		return error_set(err, r, "cannot make a terminal: %s", strerror(-r));
	}
	*ret_terminal = t;
	return 0;
}

int keeper_terminal_fd(const struct keeper_terminal *t, int i)
{
	return t->agent_fd[i];
}

const char *keeper_terminal_name(const struct keeper_terminal *t)
{
	return t->tty ? t->name : NULL;
}

/* ---- what is kept ---- */

static void keep(struct keeper_terminal *t, enum channel_packet kind, const uint8_t *data,
		 size_t size)
{
	struct piece *piece = malloc(sizeof(*piece) + size);

	if (!piece)
		return;
	piece->at = t->end;
	piece->size = (uint32_t)size;
	piece->kind = kind;
	memcpy(piece->data, data, size);
	STAILQ_INSERT_TAIL(&t->pieces, piece, link);
	t->end += size;
	while (t->end - t->begin > TERMINAL_REPLAY_MAX) {
		piece = STAILQ_FIRST(&t->pieces);
		STAILQ_REMOVE_HEAD(&t->pieces, link);
		t->begin = piece->at + piece->size;
		free(piece);
	}
}

/* ---- channels ---- */

static void channel_closed(uv_handle_t *handle)
{
	struct channel *c = handle->data;
	struct keeper_terminal *t = c->terminal;

	safe_close(c->fd);
	free(c);
	t->handles--;
	free_terminal(t);
}

static void close_channel(struct channel *c)
{
	if (c->closing)
		return;
	c->closing = true;
	LIST_REMOVE(c, link);
	c->terminal->count--;
	uv_close((uv_handle_t *)&c->poll, channel_closed);
}

static int send_packet(int fd, enum channel_packet kind, const void *data, size_t size)
{
	uint8_t type = (uint8_t)kind;
	struct iovec iov[] = {{&type, 1}, {(void *)data, size}};
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};

	while (sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno == EINTR)
			continue;
		return errno == EAGAIN || errno == ENOBUFS ? -EAGAIN : -EPIPE;
	}
	return 0;
}

static void on_channel(uv_poll_t *poll, int status, int events);

/* As much as it takes; it is watched for more when it takes no more. */
static void feed(struct channel *c)
{
	struct keeper_terminal *t = c->terminal;
	struct piece *piece;
	int r = 0;

	STAILQ_FOREACH(piece, &t->pieces, link)
	{
		if (piece->at + piece->size <= c->at)
			continue;
		r = send_packet(c->fd, piece->kind, piece->data, piece->size);
		if (r)
			break;
		c->at = piece->at + piece->size;
	}
	if (!r && t->exited && !c->exit_told && !t->stream[0].open && !t->stream[1].open) {
		int32_t code = t->exit_code;

		r = send_packet(c->fd, CHANNEL_EXIT, &code, sizeof(code));
		c->exit_told = !r;
	}
	if (r == -EPIPE)
		close_channel(c);
	else
		uv_poll_start(&c->poll, r == -EAGAIN ? UV_READABLE | UV_WRITABLE : UV_READABLE,
			      on_channel);
}

/* Nobody who is there is so far behind that what is kept would be lost to him. */
static bool keeps_up(const struct keeper_terminal *t)
{
	struct channel *c;

	LIST_FOREACH(c, &t->channels, link)
	if (t->end - c->at > TERMINAL_REPLAY_MAX / 2)
		return false;
	return true;
}

static void poll_outputs(struct keeper_terminal *t)
{
	bool wanted = keeps_up(t);

	for (int i = 0; i < 2; i++) {
		struct stream *s = &t->stream[i];

		if (!s->open || wanted == s->polling)
			continue;
		s->polling = wanted;
		if (wanted)
			uv_poll_start(&s->poll, UV_READABLE, on_output);
		else
			uv_poll_stop(&s->poll);
	}
}

static void feed_all(struct keeper_terminal *t)
{
	struct channel *c, *next;

	for (c = LIST_FIRST(&t->channels); c; c = next) {
		next = LIST_NEXT(c, link);
		feed(c);
	}
	poll_outputs(t);
}

static void resize(struct keeper_terminal *t, uint32_t columns, uint32_t rows)
{
	struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};

	if (t->tty && columns && rows && t->input >= 0)
		(void)ioctl(t->input, TIOCSWINSZ, &size);
}

/* A terminal that nobody reads drops what is typed, as all do: takes_input() looks at pipes first.
 */
static void input(struct keeper_terminal *t, const uint8_t *data, size_t size)
{
	while (size && t->input >= 0) {
		ssize_t n = write(t->input, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return;
		data += n;
		size -= (size_t)n;
	}
}

static void end_input(struct keeper_terminal *t)
{
	static const uint8_t eof = 4; /* ^D, as a terminal says it */

	if (t->tty)
		input(t, &eof, 1);
	else
		t->input = safe_close(t->input);
}

/* Whether the process takes as much as a packet may have. */
static bool takes_input(const struct keeper_terminal *t)
{
	int waiting = 0;

	if (t->input < 0 || t->tty)
		return true;
	return ioctl(t->input, FIONREAD, &waiting) || waiting < 65536 - CHANNEL_DATA_MAX;
}

static void take_packet(struct channel *c, const uint8_t *data, size_t size)
{
	uint16_t pair[2];

	switch (data[0]) {
	case CHANNEL_INPUT:
		input(c->terminal, data + 1, size - 1);
		break;
	case CHANNEL_RESIZE:
		if (size != 1 + sizeof(pair))
			break;
		memcpy(pair, data + 1, sizeof(pair));
		resize(c->terminal, pair[0], pair[1]);
		break;
	case CHANNEL_END:
		end_input(c->terminal);
		break;
	default:
		break;
	}
}

static void on_channel(uv_poll_t *poll, int status, int events)
{
	struct channel *c = poll->data;
	uint8_t data[1 + CHANNEL_DATA_MAX];

	if (status < 0) {
		close_channel(c);
		return;
	}
	if (events & UV_READABLE && takes_input(c->terminal)) {
		ssize_t n = recv(c->fd, data, sizeof(data), MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			struct keeper_terminal *t = c->terminal;

			close_channel(c);
			poll_outputs(t);
			return;
		}
		if (n > 0)
			take_packet(c, data, (size_t)n);
	}
	if (events & UV_WRITABLE) {
		feed(c);
		poll_outputs(c->terminal);
	}
}

int keeper_terminal_attach(struct keeper_terminal *t, int fd, uint32_t columns, uint32_t rows)
{
	struct channel *c;

	if (t->count >= TERMINAL_CHANNELS_MAX) {
		safe_close(fd);
		return -ENOSPC;
	}
	c = calloc(1, sizeof(*c));
	if (!c || uv_poll_init(t->loop, &c->poll, fd)) {
		free(c);
		safe_close(fd);
		return -ENOMEM;
	}
	c->terminal = t;
	c->fd = fd;
	c->at = t->begin;
	c->poll.data = c;
	t->handles++;
	t->count++;
	LIST_INSERT_HEAD(&t->channels, c, link);
	resize(t, columns, rows);
	feed(c);
	return 0;
}

/* ---- the process's output ---- */

static void stream_closed(uv_handle_t *handle)
{
	struct stream *s = handle->data;

	safe_close(s->fd);
	s->terminal->handles--;
	free_terminal(s->terminal);
}

static void close_stream(struct stream *s)
{
	if (!s->open)
		return;
	s->open = false;
	uv_close((uv_handle_t *)&s->poll, stream_closed);
}

/* Whether there may be more at once. */
static bool read_stream(struct stream *s)
{
	uint8_t data[CHANNEL_DATA_MAX];
	ssize_t n = read(s->fd, data, sizeof(data));

	if (n > 0) {
		keep(s->terminal, s->kind, data, (size_t)n);
		return true;
	}
	/* EIO: nobody has the terminal open any more; with a process that runs, for now. */
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0 && errno == EIO && !s->terminal->exited) {
		uv_poll_stop(&s->poll);
		s->polling = false;
		return false;
	}
	close_stream(s);
	return false;
}

static void on_output(uv_poll_t *poll, int status, int events)
{
	struct stream *s = poll->data;

	(void)read_stream(s);
	feed_all(s->terminal);
}

void keeper_terminal_started(struct keeper_terminal *t)
{
	close_ends(t);
	poll_outputs(t);
}

void keeper_terminal_exited(struct keeper_terminal *t, int exit_code)
{
	t->exited = true;
	t->exit_code = exit_code;
	t->input = safe_close(t->input);
	/* All of its processes are gone, so what is not there by now never comes. */
	for (int i = 0; i < 2; i++) {
		while (t->stream[i].open && read_stream(&t->stream[i]))
			;
		close_stream(&t->stream[i]);
	}
	feed_all(t);
}

void keeper_terminal_free(struct keeper_terminal *t)
{
	struct channel *c;

	if (!t)
		return;
	close_ends(t);
	t->input = safe_close(t->input);
	while ((c = LIST_FIRST(&t->channels)))
		close_channel(c);
	for (int i = 0; i < 2; i++) {
		if (t->stream[i].open)
			close_stream(&t->stream[i]);
		else if (t->stream[i].fd >= 0 && !t->stream[i].poll.data)
			safe_close(t->stream[i].fd);
	}
	t->freed = true;
	free_terminal(t);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Relays: a stream to the gateway on one side; on the other a command's pipes or terminal, a
 * channel of the main process, or a connection into the sandbox. Neither side is read faster than
 * the other takes.
 */
#include "supervisor/daemon_internal.h"

#include "common/cleanup.h"
#include "supervisor/keeper_terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define READ_SIZE    32768
#define INPUT_HIGH   (256u << 10) /* bytes that wait for the sandbox to take them */
#define FRAME(name)  OPENSHELL__NODE__V1__RELAY_FRAME__PAYLOAD_##name
#define FRAME_INIT   OPENSHELL__NODE__V1__RELAY_FRAME__INIT
#define EXIT_TIMEOUT 124
#define EXIT_KILLED  137

enum relay_kind { RELAY_COMMAND, RELAY_TERMINAL, RELAY_ATTACH, RELAY_TCP };

/* A descriptor that is read, written, or both. */
struct end {
	struct daemon_relay *relay;
	uv_poll_t poll;
	int fd;
	bool open, reading, writing, error; /* error: what is read is standard error */
};

struct daemon_relay {
	TAILQ_ENTRY(daemon_relay) link;
	struct daemon_sandbox *sandbox; /* NULL: it is gone */
	struct daemon *daemon;
	struct grpc_call *call; /* NULL: it is over */
	enum relay_kind kind;
	uint64_t id; /* of the command or connection at the keeper */
	struct end output, errors, input;
	uint8_t *pending; /* input that waits */
	size_t pending_start, pending_size;
	bool input_ended, call_paused, output_held;
	bool ended, told, timed_out;
	int exit_code;
	uv_timer_t timeout;
	bool has_timeout;
	int handles;
};

static void free_relay(struct daemon_relay *r)
{
	if (r->handles || r->call)
		return;
	if (r->sandbox)
		TAILQ_REMOVE(&r->sandbox->relays, r, link);
	if (r->pending)
		explicit_bzero(r->pending, r->pending_size);
	free(r->pending);
	free(r);
}

static void end_closed(uv_handle_t *handle)
{
	struct end *end = handle->data;

	safe_close(end->fd);
	end->relay->handles--;
	free_relay(end->relay);
}

static void close_end(struct end *end)
{
	if (!end->open)
		return;
	end->open = false;
	uv_close((uv_handle_t *)&end->poll, end_closed);
}

static void timeout_closed(uv_handle_t *handle)
{
	struct daemon_relay *r = handle->data;

	r->handles--;
	free_relay(r);
}

static void close_all(struct daemon_relay *r)
{
	close_end(&r->output);
	close_end(&r->errors);
	close_end(&r->input);
	if (r->has_timeout) {
		r->has_timeout = false;
		uv_close((uv_handle_t *)&r->timeout, timeout_closed);
	}
}

/* ---- to the gateway ---- */

static void send_frame(struct daemon_relay *r, const Openshell__Node__V1__RelayFrame *frame);

static void send_ended(struct daemon_relay *r, int exit_code, const char *error, int code)
{
	Openshell__Node__V1__RelayFrame frame = FRAME_INIT;
	Openshell__Node__V1__Ended ended = OPENSHELL__NODE__V1__ENDED__INIT;

	if (r->told)
		return;
	r->told = true;
	ended.exit_code = exit_code;
	ended.error = error ? (char *)error : (char *)"";
	ended.code = error ? code : 0;
	frame.payload_case = FRAME(ENDED);
	frame.ended = &ended;
	if (r->call) {
		(void)grpc_call_send(r->call, &frame.base);
		grpc_call_half_close(r->call);
	}
	close_all(r);
}

static void watch(struct end *end);

static void hold_output(struct daemon_relay *r, bool hold)
{
	r->output_held = hold;
	watch(&r->output);
	watch(&r->errors);
}

static void send_frame(struct daemon_relay *r, const Openshell__Node__V1__RelayFrame *frame)
{
	if (r->call && grpc_call_send(r->call, &frame->base) == 1)
		hold_output(r, true);
}

static void send_data(struct daemon_relay *r, const uint8_t *data, size_t size, bool error)
{
	Openshell__Node__V1__RelayFrame frame = FRAME_INIT;

	frame.payload_case = error ? FRAME(STDERR) : FRAME(DATA);
	if (error)
		frame.stderr = (ProtobufCBinaryData){size, (uint8_t *)data};
	else
		frame.data = (ProtobufCBinaryData){size, (uint8_t *)data};
	send_frame(r, &frame);
}

/* The command has ended, and what it wrote is told: children of its may hold its pipes open for
 * ever, so what is there now is read, and no more is waited for. */
static void maybe_ended(struct daemon_relay *r)
{
	if (r->ended && !r->output.open && !r->errors.open)
		send_ended(r, r->timed_out ? EXIT_TIMEOUT : r->exit_code, NULL, 0);
}

/* ---- from the sandbox ---- */

static void take_packet(struct daemon_relay *r, const uint8_t *data, size_t size)
{
	int32_t code;

	switch (data[0]) {
	case CHANNEL_OUTPUT:
	case CHANNEL_ERROR:
		send_data(r, data + 1, size - 1, data[0] == CHANNEL_ERROR);
		break;
	case CHANNEL_EXIT:
		if (size != 1 + sizeof(code))
			break;
		memcpy(&code, data + 1, sizeof(code));
		send_ended(r, code, NULL, 0);
		break;
	default:
		break;
	}
}

static void output_over(struct daemon_relay *r, struct end *end)
{
	close_end(end);
	if (r->kind == RELAY_TCP) {
		/* The service ended its side; the other one may still have something to say. */
		Openshell__Node__V1__RelayFrame frame = FRAME_INIT;

		frame.payload_case = FRAME(END);
		frame.end = true;
		send_frame(r, &frame);
		send_ended(r, 0, NULL, 0);
	} else if (r->kind == RELAY_ATTACH) {
		send_ended(r, EXIT_KILLED, NULL, 0);
	} else {
		maybe_ended(r);
	}
}

/* How much it was; 0: nothing more is there now. */
static size_t read_end(struct end *end)
{
	struct daemon_relay *r = end->relay;
	uint8_t data[READ_SIZE];
	ssize_t n = read(end->fd, data, sizeof(data));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	/* EIO: a terminal that nobody has open any more. */
	if (n <= 0) {
		output_over(r, end);
		return 0;
	}
	if (r->kind == RELAY_ATTACH)
		take_packet(r, data, (size_t)n);
	else
		send_data(r, data, (size_t)n, end->error);
	return (size_t)n;
}

/* What is there now, and no more: whoever still writes could go on for ever. */
static void drain(struct end *end)
{
	int there = 0;
	size_t left, n;

	if (!end->open || ioctl(end->fd, FIONREAD, &there))
		return;
	for (left = (size_t)there; left && end->open; left -= n < left ? n : left) {
		n = read_end(end);
		if (!n)
			break;
	}
}

/* ---- to the sandbox ---- */

static void end_input(struct daemon_relay *r)
{
	static const uint8_t eof = 4, packet = CHANNEL_END;

	if (!r->input.open)
		return;
	if (r->kind == RELAY_COMMAND)
		close_end(&r->input);
	else if (r->kind == RELAY_TCP)
		(void)shutdown(r->input.fd, SHUT_WR);
	else if (r->kind == RELAY_ATTACH)
		(void)!write(r->input.fd, &packet, 1);
	else
		(void)!write(r->input.fd, &eof, 1);
}

static ssize_t write_some(struct daemon_relay *r, const uint8_t *data, size_t size)
{
	uint8_t type = CHANNEL_INPUT;
	struct iovec iov[] = {{&type, 1}, {(void *)data, size}};
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n;

	if (r->kind == RELAY_TCP)
		return send(r->input.fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (r->kind != RELAY_ATTACH)
		return write(r->input.fd, data, size);
	if (size > CHANNEL_DATA_MAX)
		iov[1].iov_len = CHANNEL_DATA_MAX;
	n = sendmsg(r->input.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	return n > 0 ? n - 1 : n;
}

static void flush_input(struct daemon_relay *r)
{
	while (r->input.open && r->pending_start < r->pending_size) {
		ssize_t n = write_some(r, r->pending + r->pending_start,
				       r->pending_size - r->pending_start);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
			watch(&r->input);
			return;
		}
		if (n < 0) {
			/* It does not read any more: what is said to it is dropped. */
			close_end(&r->input);
			break;
		}
		r->pending_start += (size_t)n;
	}
	r->pending_start = r->pending_size = 0;
	if (r->input_ended)
		end_input(r);
	watch(&r->input);
	if (r->call_paused && r->call) {
		r->call_paused = false;
		grpc_call_resume(r->call);
	}
}

static void take_input(struct daemon_relay *r, const uint8_t *data, size_t size)
{
	size_t held = r->pending_size - r->pending_start;
	uint8_t *grown;

	if (!r->input.open && r->kind != RELAY_TCP)
		return;
	memmove(r->pending, r->pending + r->pending_start, r->pending ? held : 0);
	r->pending_start = 0;
	r->pending_size = held;
	grown = realloc(r->pending, held + size);
	if (!grown)
		return;
	r->pending = grown;
	memcpy(grown + held, data, size);
	r->pending_size = held + size;
	if (r->input.open)
		flush_input(r);
	if (r->pending_size - r->pending_start > INPUT_HIGH && r->call) {
		r->call_paused = true;
		grpc_call_pause(r->call);
	}
}

static void set_size(struct daemon_relay *r, uint32_t columns, uint32_t rows)
{
	struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
	uint8_t packet[5] = {CHANNEL_RESIZE};
	uint16_t pair[2] = {(uint16_t)columns, (uint16_t)rows};

	if (!columns || !rows || !r->input.open)
		return;
	if (r->kind == RELAY_TERMINAL)
		(void)ioctl(r->input.fd, TIOCSWINSZ, &size);
	if (r->kind != RELAY_ATTACH)
		return;
	memcpy(packet + 1, pair, sizeof(pair));
	(void)!write(r->input.fd, packet, sizeof(packet));
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct end *end = poll->data;
	struct daemon_relay *r = end->relay;

	if (status < 0) {
		output_over(r, end);
		return;
	}
	if (events & UV_READABLE && end->reading)
		(void)read_end(end);
	if (events & UV_WRITABLE && end->open)
		flush_input(r);
}

static void watch(struct end *end)
{
	struct daemon_relay *r = end->relay;
	bool waits = r && r->pending_start < r->pending_size;
	int events = 0;

	if (!end->open)
		return;
	if (end->reading && !r->output_held)
		events |= UV_READABLE;
	if (end->writing && waits)
		events |= UV_WRITABLE;
	if (events)
		uv_poll_start(&end->poll, events, on_poll);
	else
		uv_poll_stop(&end->poll);
}

/* @fd is taken. */
static int open_end(struct daemon_relay *r, struct end *end, int fd, bool reading, bool writing)
{
	int flags = fcntl(fd, F_GETFL), result;

	(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	end->relay = r;
	end->fd = fd;
	end->reading = reading;
	end->writing = writing;
	result = uv_poll_init(&r->daemon->loop, &end->poll, fd);
	if (result) {
		safe_close(fd);
		return result;
	}
	end->poll.data = end;
	end->open = true;
	r->handles++;
	watch(end);
	return 0;
}

/* ---- the stream ---- */

static void kill_command(struct daemon_relay *r)
{
	bool command = r->kind == RELAY_COMMAND || r->kind == RELAY_TERMINAL;

	if (command && !r->ended && r->sandbox && r->sandbox->keeper)
		keeper_link_send(r->sandbox->keeper, KEEPER_SIGNAL, r->id, SIGKILL, NULL, NULL, 0);
}

static void call_message(void *arg, struct grpc_call *call, const ProtobufCMessage *base)
{
	const Openshell__Node__V1__RelayFrame *frame = (const void *)base;
	struct daemon_relay *r = arg;

	switch (frame->payload_case) {
	case FRAME(DATA):
		take_input(r, frame->data.data, frame->data.len);
		break;
	case FRAME(END):
		r->input_ended = true;
		if (r->pending_start == r->pending_size)
			end_input(r);
		break;
	case FRAME(RESIZE):
		set_size(r, frame->resize->columns, frame->resize->rows);
		break;
	case FRAME(SIGNAL):
		if (r->sandbox && r->sandbox->keeper)
			keeper_link_send(r->sandbox->keeper, KEEPER_SIGNAL, r->id, frame->signal,
					 NULL, NULL, 0);
		break;
	default:
		break;
	}
}

static void call_writable(void *arg, struct grpc_call *call)
{
	hold_output(arg, false);
}

static void call_ended(void *arg, struct grpc_call *call, int code, const char *message)
{
	struct daemon_relay *r = arg;

	r->call = NULL;
	kill_command(r);
	close_all(r);
	free_relay(r);
}

static const struct grpc_call_events call_events = {
	.message = call_message,
	.writable = call_writable,
	.ended = call_ended,
};

/* ---- opening ---- */

static void on_timeout(uv_timer_t *timer)
{
	struct daemon_relay *r = timer->data;

	r->timed_out = true;
	kill_command(r);
}

static int open_pipes(struct daemon_relay *r, int theirs[3])
{
	int pair[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}}, result = 0;

	for (int i = 0; i < 3; i++)
		if (pipe2(pair[i], O_CLOEXEC))
			result = -errno;
	theirs[0] = pair[0][0];
	theirs[1] = pair[1][1];
	theirs[2] = pair[2][1];
	if (!result)
		result = open_end(r, &r->input, TAKE_FD(pair[0][1]), false, true);
	if (!result)
		result = open_end(r, &r->output, TAKE_FD(pair[1][0]), true, false);
	r->errors.error = true;
	if (!result)
		result = open_end(r, &r->errors, TAKE_FD(pair[2][0]), true, false);
	safe_close(pair[0][1]);
	safe_close(pair[1][0]);
	safe_close(pair[2][0]);
	return result;
}

static int open_terminal(struct daemon_relay *r, const Openshell__Node__V1__Exec *exec,
			 int theirs[3])
{
	struct winsize size = {
		.ws_row = (unsigned short)(exec->rows ? exec->rows : 24),
		.ws_col = (unsigned short)(exec->columns ? exec->columns : 80),
	};
	int master, slave, result;

	if (openpty(&master, &slave, NULL, NULL, &size))
		return -errno;
	fcntl(master, F_SETFD, FD_CLOEXEC);
	theirs[0] = slave;
	fcntl(slave, F_SETFD, FD_CLOEXEC);
	theirs[1] = fcntl(slave, F_DUPFD_CLOEXEC, 3);
	theirs[2] = fcntl(slave, F_DUPFD_CLOEXEC, 3);
	result = open_end(r, &r->input, fcntl(master, F_DUPFD_CLOEXEC, 3), false, true);
	return result ? result : open_end(r, &r->output, master, true, false);
}

static int open_command(struct daemon_relay *r, const Openshell__Node__V1__Exec *exec)
{
	int theirs[3] = {-1, -1, -1}, result;

	r->kind = exec->tty ? RELAY_TERMINAL : RELAY_COMMAND;
	result = exec->tty ? open_terminal(r, exec, theirs) : open_pipes(r, theirs);
	if (!result)
		result = keeper_link_send(r->sandbox->keeper, KEEPER_EXEC, r->id, 0, &exec->base,
					  theirs, 3);
	for (int i = 0; i < 3; i++)
		safe_close(theirs[i]);
	if (result || !exec->timeout_seconds)
		return result;
	uv_timer_init(&r->daemon->loop, &r->timeout);
	r->timeout.data = r;
	r->has_timeout = true;
	r->handles++;
	uv_timer_start(&r->timeout, on_timeout, (uint64_t)exec->timeout_seconds * 1000, 0);
	return 0;
}

static int open_channel(struct daemon_relay *r, const Openshell__Node__V1__Attach *attach)
{
	int pair[2], result;

	r->kind = RELAY_ATTACH;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return -errno;
	result = open_end(r, &r->input, fcntl(pair[0], F_DUPFD_CLOEXEC, 3), false, true);
	if (!result)
		result = open_end(r, &r->output, TAKE_FD(pair[0]), true, false);
	if (!result)
		result = keeper_link_send(r->sandbox->keeper, KEEPER_ATTACH, r->id, 0,
					  &attach->base, &pair[1], 1);
	safe_close(pair[0]);
	safe_close(pair[1]);
	return result;
}

static int open_connection(struct daemon_relay *r, const Openshell__Node__V1__Tcp *tcp)
{
	int32_t port = (int32_t)tcp->port;

	r->kind = RELAY_TCP;
	if (!port || port > 65535)
		return -EINVAL;
	return keeper_link_send(r->sandbox->keeper, KEEPER_CONNECT, r->id,
				strcmp(tcp->host, "::1") ? port : -port, NULL, NULL, 0);
}

static int open_target(struct daemon_relay *r, const Openshell__Node__V1__OpenRelay *order)
{
	switch (order->target_case) {
	case OPENSHELL__NODE__V1__OPEN_RELAY__TARGET_EXEC:
		return open_command(r, order->exec);
	case OPENSHELL__NODE__V1__OPEN_RELAY__TARGET_ATTACH:
		return open_channel(r, order->attach);
	case OPENSHELL__NODE__V1__OPEN_RELAY__TARGET_TCP:
		return open_connection(r, order->tcp);
	default:
		return -EINVAL;
	}
}

void daemon_relay_open(struct daemon *daemon, const Openshell__Node__V1__OpenRelay *order)
{
	struct daemon_sandbox *s = daemon_find(daemon, order->sandbox_id);
	Openshell__Node__V1__RelayFrame frame = FRAME_INIT;
	Openshell__Node__V1__RelayInit init = OPENSHELL__NODE__V1__RELAY_INIT__INIT;
	struct daemon_relay *r = calloc(1, sizeof(*r));
	int result;

	if (!r)
		return;
	r->daemon = daemon;
	r->id = ++daemon->next_command ? daemon->next_command : ++daemon->next_command;
	r->output.relay = r->errors.relay = r->input.relay = r;
	if (grpc_client_call(daemon->client, RPC_NODE_RELAY, NULL, 0, 0, &call_events, r,
			     &r->call)) {
		free(r);
		return;
	}
	init.relay_id = order->relay_id;
	frame.payload_case = FRAME(INIT);
	frame.init = &init;
	(void)grpc_call_send(r->call, &frame.base);
	if (!s || !s->keeper) {
		send_ended(r, 0, "the sandbox does not run here", GRPC_FAILED_PRECONDITION);
		return;
	}
	r->sandbox = s;
	TAILQ_INSERT_TAIL(&s->relays, r, link);
	result = open_target(r, order);
	if (result)
		send_ended(r, 0, strerror(-result), grpc_code_of_errno(result));
}

/* ---- what the keeper says ---- */

static struct daemon_relay *find(struct daemon_sandbox *sandbox, uint64_t id)
{
	struct daemon_relay *r;

	TAILQ_FOREACH(r, &sandbox->relays, link)
	if (r->id == id)
		return r;
	return NULL;
}

static int code_of(int error)
{
	/* A command that is not there is the caller's mistake, not a sandbox that is missing. */
	return error == -ENOENT || error == -EACCES || error == -ENOEXEC || error == -EPERM
		       ? GRPC_INVALID_ARGUMENT
		       : (int)grpc_code_of_errno(error);
}

void daemon_relay_ended(struct daemon_sandbox *sandbox, uint64_t id, int status, const char *error,
			int code)
{
	struct daemon_relay *r = find(sandbox, id);

	if (!r)
		return;
	if (error && *error) {
		send_ended(r, 0, error, code_of(code));
		return;
	}
	r->ended = true;
	r->exit_code = status;
	/* What it wrote before it ended is there by now. */
	drain(&r->output);
	drain(&r->errors);
	close_end(&r->output);
	close_end(&r->errors);
	maybe_ended(r);
}

void daemon_relay_connected(struct daemon_sandbox *sandbox, uint64_t id, int fd, const char *error,
			    int code)
{
	struct daemon_relay *r = find(sandbox, id);
	int copy;

	if (!r || fd < 0 || r->told) {
		safe_close(fd);
		if (r)
			send_ended(r, 0, error && *error ? error : "no connection",
				   GRPC_UNAVAILABLE);
		return;
	}
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0 || open_end(r, &r->input, copy, false, true) ||
	    open_end(r, &r->output, fd, true, false)) {
		send_ended(r, 0, "no connection", GRPC_UNAVAILABLE);
		return;
	}
	if (r->pending_size > r->pending_start)
		flush_input(r);
	else if (r->input_ended)
		end_input(r);
}

void daemon_relays_lost(struct daemon_sandbox *sandbox)
{
	struct daemon_relay *r;

	while ((r = TAILQ_FIRST(&sandbox->relays))) {
		TAILQ_REMOVE(&sandbox->relays, r, link);
		r->sandbox = NULL;
		/* What came before is told; a command ended with its sandbox. */
		drain(&r->output);
		drain(&r->errors);
		if (r->kind == RELAY_TCP)
			send_ended(r, 0, "the sandbox has ended", GRPC_UNAVAILABLE);
		else
			send_ended(r, EXIT_KILLED, NULL, 0);
	}
}

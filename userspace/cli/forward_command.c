/* SPDX-License-Identifier: Apache-2.0 */
/* openshell forward start, list, stop: a port of a sandbox on this machine's loopback. */
#include "cli/client.h"
#include "cli/output.h"
#include "cli/runtime_dir.h"

#include "common/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK	   32768
#define WRITE_HIGH (256u << 10)

struct forward {
	struct client client;
	const char *sandbox_id;
	uint32_t port;
	uv_tcp_t listener;
	uv_signal_t term, interrupt;
};

struct connection {
	struct forward *forward;
	uv_tcp_t tcp;
	struct grpc_call *call;
	bool closing, reading, paused;
	uint8_t buffer[CHUNK];
};

static void closed(uv_handle_t *handle)
{
	struct connection *c = handle->data;

	if (!c->call)
		free(c);
	else
		c->tcp.data = NULL;
}

static void close_connection(struct connection *c)
{
	if (c->closing)
		return;
	c->closing = true;
	uv_close((uv_handle_t *)&c->tcp, closed);
}

struct write {
	uv_write_t request;
	struct connection *connection;
	bool last;
	uint8_t data[];
};

static void written(uv_write_t *request, int status)
{
	struct write *w = (struct write *)request;
	struct connection *c = w->connection;

	if (status || w->last)
		close_connection(c);
	else if (c->paused && c->call &&
		 uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp) < WRITE_HIGH) {
		c->paused = false;
		grpc_call_resume(c->call);
	}
	free(w);
}

static void write_out(struct connection *c, const uint8_t *data, size_t size, bool last)
{
	struct write *w = c->closing ? NULL : malloc(sizeof(*w) + size);
	uv_buf_t buffer;

	if (!w)
		return;
	w->connection = c;
	w->last = last;
	if (size)
		memcpy(w->data, data, size);
	buffer = uv_buf_init((char *)w->data, (unsigned int)size);
	if (uv_write(&w->request, (uv_stream_t *)&c->tcp, &buffer, 1, written)) {
		free(w);
		close_connection(c);
	}
}

static void on_message(void *arg, struct grpc_call *call, const ProtobufCMessage *base)
{
	const Openshell__V1__TcpForwardFrame *frame = (const void *)base;
	struct connection *c = arg;

	if (frame->payload_case != OPENSHELL__V1__TCP_FORWARD_FRAME__PAYLOAD_DATA)
		return;
	write_out(c, frame->data.data, frame->data.len, false);
	if (!c->closing && uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp) >= WRITE_HIGH) {
		c->paused = true;
		grpc_call_pause(call);
	}
}

static void start_reading(struct connection *c);

static void on_writable(void *arg, struct grpc_call *call)
{
	struct connection *c = arg;

	if (!c->closing && !c->reading)
		start_reading(c);
}

static void on_ended(void *arg, struct grpc_call *call, int code, const char *message)
{
	struct connection *c = arg;

	c->call = NULL;
	if (code != GRPC_OK)
		fprintf(stderr, "openshell forward: %s\n", message);
	if (!c->tcp.data)
		free(c);
	else
		write_out(c, NULL, 0, true);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct connection *c = handle->data;

	*buffer = uv_buf_init((char *)c->buffer, sizeof(c->buffer));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
	Openshell__V1__TcpForwardFrame frame = OPENSHELL__V1__TCP_FORWARD_FRAME__INIT;
	struct connection *c = stream->data;

	if (n == UV_EOF && c->call) {
		grpc_call_half_close(c->call);
		return;
	}
	if (n < 0 || !c->call) {
		if (c->call)
			grpc_call_cancel(c->call);
		close_connection(c);
		return;
	}
	frame.payload_case = OPENSHELL__V1__TCP_FORWARD_FRAME__PAYLOAD_DATA;
	frame.data = (ProtobufCBinaryData){(size_t)n, (uint8_t *)buffer->base};
	if (grpc_call_send(c->call, &frame.base) == 1) {
		uv_read_stop(stream);
		c->reading = false;
	}
}

static void start_reading(struct connection *c)
{
	c->reading = !uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

static void on_connection(uv_stream_t *server, int status)
{
	static const struct grpc_call_events events = {
		.message = on_message,
		.writable = on_writable,
		.ended = on_ended,
	};
	struct forward *forward = server->data;
	Openshell__V1__TcpForwardFrame frame = OPENSHELL__V1__TCP_FORWARD_FRAME__INIT;
	Openshell__V1__TcpForwardInit init = OPENSHELL__V1__TCP_FORWARD_INIT__INIT;
	Openshell__V1__TcpRelayTarget tcp = OPENSHELL__V1__TCP_RELAY_TARGET__INIT;
	struct connection *c = status ? NULL : calloc(1, sizeof(*c));

	if (!c)
		return;
	c->forward = forward;
	uv_tcp_init(&forward->client.loop, &c->tcp);
	c->tcp.data = c;
	if (uv_accept(server, (uv_stream_t *)&c->tcp) ||
	    grpc_client_call(forward->client.grpc, RPC_FORWARD_TCP, NULL, 0, 0, &events, c,
			     &c->call)) {
		close_connection(c);
		return;
	}
	tcp.host = (char *)"127.0.0.1";
	tcp.port = forward->port;
	init.sandbox_id = (char *)forward->sandbox_id;
	init.target_case = OPENSHELL__V1__TCP_FORWARD_INIT__TARGET_TCP;
	init.tcp = &tcp;
	frame.payload_case = OPENSHELL__V1__TCP_FORWARD_FRAME__PAYLOAD_INIT;
	frame.init = &init;
	grpc_call_send(c->call, &frame.base);
	start_reading(c);
}

static void on_signal(uv_signal_t *handle, int number)
{
	uv_stop(handle->loop);
}

/* "[BIND:]PORT" */
static int parse_bind(const struct command_call *call, const char *text,
		      struct sockaddr_in *address, uint32_t *ret_port)
{
	const char *colon = strrchr(text, ':');
	unsigned long port = 0;
	char host[64] = "127.0.0.1";
	int r = command_number(call, "PORT", colon ? colon + 1 : text, 65535, &port);

	if (!r && colon)
		snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	if (!r && (!port || uv_ip4_addr(host, (int)port, address)))
		r = command_usage(call, "'%s' is no [ADDRESS:]PORT", text);
	*ret_port = (uint32_t)port;
	return r;
}

static int serve(struct command_call *call, struct forward *forward, const struct sockaddr_in *bind)
{
	uv_loop_t *loop = &forward->client.loop;
	int r;

	uv_tcp_init(loop, &forward->listener);
	forward->listener.data = forward;
	r = uv_tcp_bind(&forward->listener, (const struct sockaddr *)bind, 0);
	if (!r)
		r = uv_listen((uv_stream_t *)&forward->listener, 64, on_connection);
	if (r)
		return command_fail(call, "cannot listen on port %u: %s", forward->port,
				    uv_strerror(r));
	return EXIT_DONE;
}

static void wait_for_end(struct forward *forward)
{
	uv_loop_t *loop = &forward->client.loop;

	uv_signal_init(loop, &forward->term);
	uv_signal_init(loop, &forward->interrupt);
	uv_signal_start(&forward->term, on_signal, SIGTERM);
	uv_signal_start(&forward->interrupt, on_signal, SIGINT);
	uv_run(loop, UV_RUN_DEFAULT);
}

/* ---- in the background ---- */

static int pid_path(const char *sandbox, uint32_t port, char *path, size_t size, struct error *err)
{
	char directory[512];
	int r = runtime_dir(directory, sizeof(directory), err);

	snprintf(path, size, "%s/forward-%s-%u", directory, sandbox, port);
	return r;
}

/* The file is locked for as long as the process lives: its number is not believed by itself. */
static int write_pid(const char *path)
{
	char text[32];
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int n = snprintf(text, sizeof(text), "%d\n", getpid());

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) || ftruncate(fd, 0) ||
	    write(fd, text, (size_t)n) != n)
		return -1;
	return fd;
}

static int start(struct command_call *call)
{
	Openshell__V1__SandboxResponse *response;
	struct forward forward = {};
	struct sockaddr_in bind;
	char path[700];
	struct error err = {};
	int r = parse_bind(call, call->words[0], &bind, &forward.port), lock = -1;

	if (!r)
		r = client_open(call, &forward.client);
	if (r)
		return r;
	r = client_sandbox(&forward.client, call->words[1], &response);
	if (r) {
		client_close(&forward.client);
		return r;
	}
	forward.sandbox_id = response->sandbox->metadata->id;
	r = serve(call, &forward, &bind);
	if (!r && call->o.detach) {
		if (pid_path(call->words[1], forward.port, path, sizeof(path), &err))
			r = command_fail(call, "%s", err.message);
		else if (daemon(0, 0) || uv_loop_fork(&forward.client.loop))
			r = command_fail(call, "cannot go into the background");
		else
			lock = write_pid(path);
	} else if (!r) {
		fprintf(stderr, "127.0.0.1:%u leads to port %u of %s; Ctrl-C ends it\n",
			forward.port, forward.port, call->words[1]);
	}
	if (!r)
		wait_for_end(&forward);
	if (lock >= 0)
		unlink(path);
	safe_close(lock);
	protobuf_c_message_free_unpacked(&response->base, NULL);
	/* Connections that are open end with the process. */
	return r;
}

/* Visit those that run: with the path of their file and their process. */
static int each(struct command_call *call,
		void (*visit)(const char *name, const char *path, int pid))
{
	_cleanup_closedir_ DIR *dir = NULL;
	char directory[512], path[1024];
	struct dirent *entry;
	struct error err = {};

	if (runtime_dir(directory, sizeof(directory), &err))
		return command_fail(call, "%s", err.message);
	dir = opendir(directory);
	while (dir && (entry = readdir(dir))) {
		_cleanup_close_ int fd = -1;
		char text[32] = "";

		if (strncmp(entry->d_name, "forward-", 8) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0)
			continue;
		/* Nobody holds it: whoever wrote it is gone. */
		if (!flock(fd, LOCK_EX | LOCK_NB)) {
			unlink(path);
			continue;
		}
		if (read(fd, text, sizeof(text) - 1) > 0)
			visit(entry->d_name + 8, path, (int)strtol(text, NULL, 10));
	}
	return EXIT_DONE;
}

static void print_one(const char *name, const char *path, int pid)
{
	const char *dash = strrchr(name, '-');

	if (dash)
		printf("%.*s  %s  pid %d\n", (int)(dash - name), name, dash + 1, pid);
}

static int list(struct command_call *call)
{
	return each(call, print_one);
}

static const char *wanted_port, *wanted_name;
static int stopped;

static void stop_one(const char *name, const char *path, int pid)
{
	const char *dash = strrchr(name, '-');

	if (!dash || (wanted_port && strcmp(dash + 1, wanted_port) != 0) ||
	    (wanted_name && (strlen(wanted_name) != (size_t)(dash - name) ||
			     strncmp(name, wanted_name, strlen(wanted_name)) != 0)))
		return;
	if (pid > 1 && !kill(pid, SIGTERM)) {
		stopped++;
		printf("stopped %s\n", name);
	}
}

static int stop(struct command_call *call)
{
	int r;

	wanted_port = call->words[0];
	wanted_name = call->count > 1 ? call->words[1] : NULL;
	r = each(call, stop_one);
	return r || stopped ? r : command_fail(call, "nothing is forwarded there");
}

static const struct option_row start_rows[] = {
	ROW_FLAG("detach", 'd', detach, "in the background"),
};

const struct command forward_commands[] = {
	{"forward", "start", "[ADDRESS:]PORT NAME", 2, 2, start, "a port of a sandbox, here",
	 ROWS(start_rows)},
	{"forward", "list", NULL, 0, 0, list, "those in the background", NO_ROWS},
	{"forward", "stop", "PORT [NAME]", 1, 2, stop, "end one", NO_ROWS},
	{},
};

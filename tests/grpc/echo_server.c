/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server on common/grpc_server.h for clients that nobody here wrote: what it does is said by the
 * call's metadata. Prints the port it listens on. usage: echo_server [--unix PATH] [--tls CERT KEY
 * [CLIENT_CA]]; ends with standard input.
 */
#include "common/grpc_server.h"
#include "common/grpc_tls.h"
#include "openshell.pb-c.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static struct grpc_server *server;
static unsigned long ended[GRPC_UNAUTHENTICATED + 1];

struct state {
	unsigned long messages, bytes;
	unsigned long left, size; /* of a stream that is sent */
	bool hang, slow;
	uv_timer_t timer;
	struct grpc_call *call;
	char *name;
};

static void send_stream(struct state *s, struct grpc_call *call)
{
	Openshell__V1__SandboxLogLine line = OPENSHELL__V1__SANDBOX_LOG_LINE__INIT;
	Openshell__V1__SandboxStreamEvent event = OPENSHELL__V1__SANDBOX_STREAM_EVENT__INIT;
	char *text = malloc(s->size + 1);

	memset(text, 'x', s->size);
	text[s->size] = 0;
	line.message = text;
	event.payload_case = OPENSHELL__V1__SANDBOX_STREAM_EVENT__PAYLOAD_LOG;
	event.log = &line;
	while (s->left) {
		int r;

		line.timestamp_ms = (int64_t)s->left;
		s->left--;
		r = grpc_call_send(call, &event.base);
		if (r < 0)
			break;
		if (r == 1 && s->left)
			goto out;
	}
	grpc_call_finish(call, GRPC_OK, NULL);
out:
	free(text);
}

static void on_resume(uv_timer_t *timer)
{
	struct state *s = timer->data;

	grpc_call_resume(s->call);
}

static void reply_health(struct grpc_call *call)
{
	Openshell__V1__HealthResponse response = OPENSHELL__V1__HEALTH_RESPONSE__INIT;
	const char *code = grpc_call_metadata(call, "x-code");
	const char *text = grpc_call_metadata(call, "x-text");
	struct grpc_server_stats stats;
	char version[200];

	grpc_server_get_stats(server, &stats);
	snprintf(version, sizeof(version), "cancelled=%lu deadline=%lu open=%zu",
		 ended[GRPC_CANCELLED], ended[GRPC_DEADLINE_EXCEEDED], stats.open_calls);
	response.version = version;
	if (!code)
		grpc_call_send(call, &response.base);
	grpc_call_finish(call, code ? atoi(code) : GRPC_OK, text);
}

static void on_message(void *arg, struct grpc_call *call, const ProtobufCMessage *message)
{
	struct state *s = arg;
	const struct rpc_method *method = grpc_call_method(call);

	s->messages++;
	if (s->hang)
		return;
	if (s->slow) {
		s->call = call;
		grpc_call_pause(call);
		uv_timer_start(&s->timer, on_resume, 1, 0);
	}
	switch (method->id) {
	case RPC_HEALTH:
		reply_health(call);
		break;
	case RPC_GET_SANDBOX: {
		const Openshell__V1__GetSandboxRequest *request = (const void *)message;
		Openshell__Datamodel__V1__ObjectMeta meta =
			OPENSHELL__DATAMODEL__V1__OBJECT_META__INIT;
		Openshell__V1__Sandbox sandbox = OPENSHELL__V1__SANDBOX__INIT;
		Openshell__V1__SandboxResponse response = OPENSHELL__V1__SANDBOX_RESPONSE__INIT;

		meta.name = request->name;
		sandbox.metadata = &meta;
		response.sandbox = &sandbox;
		grpc_call_send(call, &response.base);
		grpc_call_finish(call, GRPC_OK, NULL);
		break;
	}
	case RPC_WATCH_SANDBOX: {
		const Openshell__V1__WatchSandboxRequest *request = (const void *)message;

		s->left = request->log_tail_lines;
		s->size = request->event_tail;
		send_stream(s, call);
		break;
	}
	case RPC_PUSH_SANDBOX_LOGS: {
		const Openshell__V1__PushSandboxLogsRequest *request = (const void *)message;

		s->bytes += strlen(request->sandbox_id);
		break;
	}
	case RPC_EXEC_SANDBOX_INTERACTIVE: {
		const Openshell__V1__ExecSandboxInput *input = (const void *)message;
		Openshell__V1__ExecSandboxStdout out = OPENSHELL__V1__EXEC_SANDBOX_STDOUT__INIT;
		Openshell__V1__ExecSandboxEvent event = OPENSHELL__V1__EXEC_SANDBOX_EVENT__INIT;

		out.data = input->stdin;
		event.payload_case = OPENSHELL__V1__EXEC_SANDBOX_EVENT__PAYLOAD_STDOUT;
		event.stdout = &out;
		if (input->payload_case == OPENSHELL__V1__EXEC_SANDBOX_INPUT__PAYLOAD_STDIN &&
		    grpc_call_send(call, &event.base) == 1)
			grpc_call_pause(call);
		break;
	}
	default:
		grpc_call_finish(call, GRPC_UNIMPLEMENTED, "not here");
	}
}

static void on_half_closed(void *arg, struct grpc_call *call)
{
	struct state *s = arg;
	Openshell__V1__PushSandboxLogsResponse response =
		OPENSHELL__V1__PUSH_SANDBOX_LOGS_RESPONSE__INIT;
	char text[64];

	switch (grpc_call_method(call)->id) {
	case RPC_PUSH_SANDBOX_LOGS:
		snprintf(text, sizeof(text), "%lu messages, %lu bytes", s->messages, s->bytes);
		grpc_call_send(call, &response.base);
		grpc_call_finish(call, GRPC_OK, text);
		break;
	case RPC_EXEC_SANDBOX_INTERACTIVE:
		grpc_call_finish(call, GRPC_OK, NULL);
		break;
	default:
		break;
	}
}

static void on_writable(void *arg, struct grpc_call *call)
{
	struct state *s = arg;

	if (grpc_call_method(call)->id == RPC_WATCH_SANDBOX)
		send_stream(s, call);
	else
		grpc_call_resume(call);
}

static void timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void on_ended(void *arg, struct grpc_call *call, int code, const char *message)
{
	struct state *s = arg;

	ended[code]++;
	uv_close((uv_handle_t *)&s->timer, timer_closed);
}

static void on_call(void *arg, struct grpc_call *call)
{
	static const struct grpc_call_events events = {
		.message = on_message,
		.half_closed = on_half_closed,
		.writable = on_writable,
		.ended = on_ended,
	};
	struct state *s = calloc(1, sizeof(*s));

	s->hang = grpc_call_metadata(call, "x-hang");
	s->slow = grpc_call_metadata(call, "x-slow");
	uv_timer_init(arg, &s->timer);
	s->timer.data = s;
	grpc_call_accept(call, &events, s);
}

static void on_stdin(uv_poll_t *poll, int status, int events)
{
	char c;

	if (read(0, &c, 1) <= 0)
		uv_stop(poll->loop);
}

int main(int argc, char **argv)
{
	uv_loop_t *loop = uv_default_loop();
	struct grpc_server_options options = {.loop = loop, .call = on_call, .arg = loop};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	const struct sockaddr *address = (const void *)&in;
	socklen_t size = sizeof(in);
	struct error err = {};
	uv_poll_t poll;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--unix") && i + 1 < argc) {
			snprintf(un.sun_path, sizeof(un.sun_path), "%s", argv[++i]);
			address = (const void *)&un;
			size = sizeof(un);
		} else if (!strcmp(argv[i], "--tls") && i + 2 < argc) {
			const char *ca = i + 3 < argc ? argv[i + 3] : NULL;

			if (grpc_tls_server(argv[i + 1], argv[i + 2], ca, &options.tls, &err)) {
				fprintf(stderr, "%s\n", err.message);
				return 1;
			}
			break;
		}
	}
	if (grpc_server_new(&options, address, size, &server, &err)) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	printf("%u\n", grpc_server_port(server));
	fflush(stdout);
	uv_poll_init(loop, &poll, 0);
	uv_poll_start(&poll, UV_READABLE, on_stdin);
	uv_run(loop, UV_RUN_DEFAULT);
	grpc_server_free(server);
	uv_close((uv_handle_t *)&poll, NULL);
	uv_run(loop, UV_RUN_DEFAULT);
	uv_loop_close(loop);
	SSL_CTX_free(options.tls);
	return 0;
}

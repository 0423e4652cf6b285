/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our client against a server that nobody here wrote (foreign_server.py). usage: caller PORT [CA
 * CERT KEY OTHER_CA]. Prints TAP.
 */
#include "common/grpc_client.h"
#include "common/grpc_tls.h"
#include "openshell.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int count, failed;
static uv_loop_t loop;

static void ok(bool good, const char *what, const char *note)
{
	count++;
	failed += !good;
	printf("%sok %d - our client: %s%s%s\n", good ? "" : "not ", count, what, good ? "" : " # ",
	       good ? "" : note);
	fflush(stdout);
}

struct run {
	unsigned long messages, bytes, left;
	int64_t last;
	bool ordered, over, pausing;
	int code;
	char text[256];
	struct grpc_call *call;
	uv_timer_t timer;
};

static void on_message(void *arg, struct grpc_call *call, const ProtobufCMessage *message)
{
	struct run *run = arg;

	run->messages++;
	if (message->descriptor == &openshell__v1__sandbox_stream_event__descriptor) {
		const Openshell__V1__SandboxStreamEvent *event = (const void *)message;

		if (event->log->timestamp_ms != run->last - 1)
			run->ordered = false;
		run->last = event->log->timestamp_ms;
		if (run->pausing && run->messages % 100 == 0)
			grpc_call_pause(call);
	} else if (message->descriptor == &openshell__v1__exec_sandbox_event__descriptor) {
		const Openshell__V1__ExecSandboxEvent *event = (const void *)message;

		run->bytes += event->stdout->data.len;
	}
}

static void send_input(struct run *run)
{
	static uint8_t data[10000];
	Openshell__V1__ExecSandboxInput input = OPENSHELL__V1__EXEC_SANDBOX_INPUT__INIT;
	int r = 0;

	input.payload_case = OPENSHELL__V1__EXEC_SANDBOX_INPUT__PAYLOAD_STDIN;
	input.stdin = (ProtobufCBinaryData){sizeof(data), data};
	while (run->left && !r) {
		run->left--;
		r = grpc_call_send(run->call, &input.base);
	}
	if (!run->left)
		grpc_call_half_close(run->call);
}

static void on_writable(void *arg, struct grpc_call *call)
{
	send_input(arg);
}

static void on_ended(void *arg, struct grpc_call *call, int code, const char *message)
{
	struct run *run = arg;

	run->over = true;
	run->code = code;
	snprintf(run->text, sizeof(run->text), "%s", message);
}

static const struct grpc_call_events events = {
	.message = on_message,
	.writable = on_writable,
	.ended = on_ended,
};

static void begin(struct grpc_client *client, enum rpc_id method, uint32_t deadline,
		  const struct grpc_metadata *metadata, size_t n, struct run *run)
{
	*run = (struct run){.ordered = true};
	if (grpc_client_call(client, method, metadata, n, deadline, &events, run, &run->call))
		exit(3);
}

static void finish(struct run *run)
{
	while (!run->over)
		uv_run(&loop, UV_RUN_ONCE);
}

static void resume_all(uv_timer_t *timer)
{
	struct run *run = timer->data;

	if (!run->over)
		grpc_call_resume(run->call);
}

static void try_unary(struct grpc_client *client)
{
	Openshell__V1__HealthRequest request = OPENSHELL__V1__HEALTH_REQUEST__INIT;
	Openshell__V1__GetSandboxRequest get = OPENSHELL__V1__GET_SANDBOX_REQUEST__INIT;
	ProtobufCMessage *response = NULL;
	struct error err = {};
	struct run run;
	char *large = calloc(1, 3 << 20);
	int r = grpc_unary(client, RPC_HEALTH, &request.base, 5000, &response, &err);

	ok(r == GRPC_OK &&
		   !strcmp(((Openshell__V1__HealthResponse *)response)->version, "Bearer token"),
	   "an answer, and the token arrived", err.message);
	if (response)
		protobuf_c_message_free_unpacked(response, NULL);
	for (int code = 1; code <= GRPC_UNAUTHENTICATED; code++) {
		char number[16], what[64];
		const struct grpc_metadata metadata[] = {
			{"x-code", number},
			{"x-text", "100% of it"},
		};

		snprintf(number, sizeof(number), "%d", code);
		snprintf(what, sizeof(what), "status %s", grpc_code_name(code));
		begin(client, RPC_HEALTH, 0, metadata, 2, &run);
		grpc_call_send(run.call, &request.base);
		grpc_call_half_close(run.call);
		finish(&run);
		ok(run.code == code && !strcmp(run.text, "100% of it"), what, run.text);
	}
	memset(large, 'x', (3 << 20) - 1);
	get.name = large;
	response = NULL;
	r = grpc_unary(client, RPC_GET_SANDBOX, &get.base, 5000, &response, &err);
	ok(r == GRPC_OK &&
		   !strcmp(((Openshell__V1__SandboxResponse *)response)->sandbox->metadata->name,
			   large),
	   "3 MB there and back", err.message);
	if (response)
		protobuf_c_message_free_unpacked(response, NULL);
	get.name = "x";
	free(large);
	r = grpc_unary(client, RPC_DELETE_SANDBOX, &get.base, 5000, &response, &err);
	ok(r == GRPC_UNIMPLEMENTED, "a method that the server has not", err.message);
	begin(client, RPC_HEALTH, 200, &(struct grpc_metadata){"x-hang", "1"}, 1, &run);
	grpc_call_send(run.call, &request.base);
	grpc_call_half_close(run.call);
	finish(&run);
	ok(run.code == GRPC_DEADLINE_EXCEEDED, "a deadline passes", run.text);
	begin(client, RPC_HEALTH, 0, &(struct grpc_metadata){"x-hang", "1"}, 1, &run);
	grpc_call_send(run.call, &request.base);
	grpc_call_cancel(run.call);
	ok(!run.over, "a cancelled call ends from the loop", "");
	finish(&run);
	ok(run.code == GRPC_CANCELLED, "as CANCELLED", run.text);
}

static void try_streams(struct grpc_client *client)
{
	Openshell__V1__WatchSandboxRequest watch = OPENSHELL__V1__WATCH_SANDBOX_REQUEST__INIT;
	struct run run;

	watch.log_tail_lines = 5000;
	watch.event_tail = 1000;
	for (int pausing = 0; pausing < 2; pausing++) {
		begin(client, RPC_WATCH_SANDBOX, 0, NULL, 0, &run);
		run.last = watch.log_tail_lines + 1;
		run.pausing = pausing;
		uv_timer_init(&loop, &run.timer);
		run.timer.data = &run;
		uv_timer_start(&run.timer, resume_all, 1, 1);
		grpc_call_send(run.call, &watch.base);
		grpc_call_half_close(run.call);
		finish(&run);
		uv_close((uv_handle_t *)&run.timer, NULL);
		uv_run(&loop, UV_RUN_NOWAIT);
		ok(run.code == GRPC_OK && run.ordered && run.messages == 5000,
		   pausing ? "5,000 events to a slow reader" : "5,000 events in order", run.text);
	}
	begin(client, RPC_EXEC_SANDBOX_INTERACTIVE, 0, NULL, 0, &run);
	run.left = 2000;
	send_input(&run);
	finish(&run);
	ok(run.code == GRPC_OK && run.bytes == 20000000, "20 MB there and back", run.text);
}

static void try_failures(uint16_t port)
{
	struct grpc_client *client;
	struct error err = {};
	Openshell__V1__HealthRequest request = OPENSHELL__V1__HEALTH_REQUEST__INIT;
	ProtobufCMessage *response;
	static const char *const wrong[] = {"ftp://x",	     "http://", "http://h:99999",
					    "http://h/path", "unix:x",	"http://a@b",
					    "http://[::1"};
	int r;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		const struct grpc_client_options options = {.loop = &loop, .endpoint = wrong[i]};

		ok(grpc_client_new(&options, &client, &err) < 0, wrong[i], "");
	}
	r = grpc_client_new(
		&(struct grpc_client_options){.loop = &loop, .endpoint = "http://127.0.0.1:1"},
		&client, &err);
	r = r ? r : grpc_unary(client, RPC_HEALTH, &request.base, 2000, &response, &err);
	ok(r == GRPC_UNAVAILABLE && strstr(err.message, "refused"), "nobody listens", err.message);
	grpc_client_free(client);
	uv_run(&loop, UV_RUN_DEFAULT);
}

static int try_tls(const char *endpoint, const char *ca, const char *cert, const char *key,
		   bool insecure, struct error *err)
{
	SSL_CTX *tls;
	struct grpc_client *client;
	struct grpc_client_options options = {
		.loop = &loop, .endpoint = endpoint, .tls_insecure = insecure};
	Openshell__V1__HealthRequest request = OPENSHELL__V1__HEALTH_REQUEST__INIT;
	ProtobufCMessage *response = NULL;
	int r = grpc_tls_client(ca, cert, key, &tls, err);

	if (r)
		return r;
	options.tls = tls;
	r = grpc_client_new(&options, &client, err);
	SSL_CTX_free(tls);
	if (r)
		return r;
	r = grpc_unary(client, RPC_HEALTH, &request.base, 5000, &response, err);
	if (response)
		protobuf_c_message_free_unpacked(response, NULL);
	grpc_client_free(client);
	uv_run(&loop, UV_RUN_DEFAULT);
	return r;
}

static void tls_suite(char **argv, const char *endpoint, const char *by_name)
{
	struct error err = {};

	ok(try_tls(endpoint, argv[2], argv[3], argv[4], false, &err) == GRPC_OK, "mTLS",
	   err.message);
	ok(try_tls(by_name, argv[2], argv[3], argv[4], false, &err) == GRPC_OK, "mTLS by name",
	   err.message);
	ok(try_tls(endpoint, argv[2], NULL, NULL, false, &err) == GRPC_UNAVAILABLE,
	   "without the certificate that is asked for", err.message);
	ok(try_tls(endpoint, argv[5], argv[3], argv[4], false, &err) == GRPC_UNAVAILABLE &&
		   strstr(err.message, "TLS"),
	   "a server of another CA", err.message);
	ok(try_tls(endpoint, argv[5], argv[3], argv[4], true, &err) == GRPC_OK,
	   "which is believed when that was said", err.message);
}

int main(int argc, char **argv)
{
	char endpoint[64], by_name[64];
	struct grpc_client *client;
	struct error err = {};

	uv_loop_init(&loop);
	if (argc > 5) {
		snprintf(endpoint, sizeof(endpoint), "https://127.0.0.1:%s", argv[1]);
		snprintf(by_name, sizeof(by_name), "https://localhost:%s", argv[1]);
		tls_suite(argv, endpoint, by_name);
	} else {
		snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%s", argv[1]);
		const struct grpc_client_options options = {
			.loop = &loop, .endpoint = endpoint, .authorization = "Bearer token"};

		if (grpc_client_new(&options, &client, &err)) {
			fprintf(stderr, "%s\n", err.message);
			return 1;
		}
		try_unary(client);
		try_streams(client);
		grpc_client_free(client);
		uv_run(&loop, UV_RUN_DEFAULT);
		try_failures((uint16_t)atoi(argv[1]));
	}
	ok(uv_loop_close(&loop) == 0, "nothing is left on the loop", "");
	printf("1..%d\n", count);
	return failed != 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* openshell logs. */
#include "cli/client.h"
#include "cli/output.h"

#include "common/cleanup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINES_DEFAULT 200

static void print_line(const Openshell__V1__SandboxLogLine *line)
{
	_cleanup_free_ char *text = output_escape(line->message);
	time_t seconds = (time_t)(line->timestamp_ms / 1000);
	struct tm tm;
	char when[32];

	gmtime_r(&seconds, &tm);
	strftime(when, sizeof(when), "%FT%T", &tm);
	if (!strcmp(line->source, "sandbox"))
		printf("%s.%03dZ %s\n", when, (int)(line->timestamp_ms % 1000), text ? text : "");
	else
		printf("%s.%03dZ %s %s: %s\n", when, (int)(line->timestamp_ms % 1000), line->source,
		       line->level, text ? text : "");
}

struct watching {
	struct client *client;
	bool over;
	int code;
	char text[512];
};

static void on_message(void *arg, struct grpc_call *call, const ProtobufCMessage *base)
{
	const Openshell__V1__SandboxStreamEvent *event = (const void *)base;

	if (event->payload_case == OPENSHELL__V1__SANDBOX_STREAM_EVENT__PAYLOAD_LOG)
		print_line(event->log);
	else if (event->payload_case == OPENSHELL__V1__SANDBOX_STREAM_EVENT__PAYLOAD_WARNING)
		fprintf(stderr, "openshell logs: %s\n", event->warning->message);
	if (fflush(stdout))
		grpc_call_cancel(call);
}

static void on_ended(void *arg, struct grpc_call *call, int code, const char *message)
{
	struct watching *w = arg;

	w->over = true;
	w->code = code;
	snprintf(w->text, sizeof(w->text), "%s", message);
}

static int tail(struct client *client, const char *id, uint32_t lines, int64_t since_ms,
		char **sources, size_t count)
{
	static const struct grpc_call_events events = {.message = on_message, .ended = on_ended};
	Openshell__V1__WatchSandboxRequest request = OPENSHELL__V1__WATCH_SANDBOX_REQUEST__INIT;
	struct watching w = {.client = client};
	struct grpc_call *call;

	request.id = (char *)id;
	request.follow_logs = true;
	request.log_tail_lines = lines;
	request.log_since_ms = since_ms;
	request.log_sources = sources;
	request.n_log_sources = count;
	if (client->call->o.level)
		request.log_min_level = (char *)client->call->o.level;
	if (grpc_client_call(client->grpc, RPC_WATCH_SANDBOX, NULL, 0, 0, &events, &w, &call))
		return command_fail(client->call, "out of memory");
	grpc_call_send(call, &request.base);
	grpc_call_half_close(call);
	while (!w.over)
		uv_run(&client->loop, UV_RUN_ONCE);
	/* The sandbox was deleted: that is its end, and not a failure. */
	if (w.code == GRPC_OK || w.code == GRPC_NOT_FOUND)
		return EXIT_DONE;
	return client_explain(client, w.code, w.text);
}

static int fetch(struct client *client, const char *id, uint32_t lines, int64_t since_ms,
		 char **sources, size_t count)
{
	Openshell__V1__GetSandboxLogsRequest request =
		OPENSHELL__V1__GET_SANDBOX_LOGS_REQUEST__INIT;
	Openshell__V1__GetSandboxLogsResponse *response;
	int r;

	request.sandbox_id = (char *)id;
	request.lines = lines;
	request.since_ms = since_ms;
	request.sources = sources;
	request.n_sources = count;
	if (client->call->o.level)
		request.min_level = (char *)client->call->o.level;
	r = client_unary(client, RPC_GET_SANDBOX_LOGS, &request, (ProtobufCMessage **)&response);
	if (r)
		return r;
	if (!output_message(client->call, &response->base, &r))
		for (size_t i = 0; i < response->n_logs; i++)
			print_line(response->logs[i]);
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return r;
}

/* "30s", "5m", "2h", "1d" before now. */
static int parse_since(const struct command_call *call, const char *text, int64_t *ret_ms)
{
	static const char units[] = "smhd";
	static const long seconds[] = {1, 60, 3600, 86400};
	char *end;
	long n = strtol(text, &end, 10);
	const char *unit = *end ? strchr(units, *end) : NULL;

	if (n < 0 || n > 1000000 || end == text || !unit || end[1])
		return command_usage(call, "--since: write 30s, 5m, 2h or 1d");
	*ret_ms = ((int64_t)time(NULL) - n * seconds[unit - units]) * 1000;
	return EXIT_DONE;
}

static int logs(struct command_call *call)
{
	Openshell__V1__SandboxResponse *response;
	unsigned long lines = LINES_DEFAULT;
	int64_t since_ms = 0;
	struct client client;
	int r = command_number(call, "lines", call->o.lines, 1000000, &lines);

	if (!r && call->o.since)
		r = parse_since(call, call->o.since, &since_ms);
	if (!r)
		r = client_open(call, &client);
	if (r)
		return r;
	r = client_sandbox(&client, call->words[0], &response);
	if (!r) {
		r = (call->o.tail ? tail : fetch)(&client, response->sandbox->metadata->id,
						  (uint32_t)lines, since_ms,
						  (char **)call->o.source.item, call->o.source.len);
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return r;
}

static const struct option_row rows[] = {
	ROW_STRING("lines", 'n', lines, "N", "the last N [200]"),
	ROW_FLAG("tail", 'f', tail, "and what comes"),
	ROW_STRING("since", 0, since, "5m", "not older"),
	ROW_STRINGS("source", 0, source, "gateway|sandbox|all", "whose"),
	ROW_STRING("level", 0, level, "LEVEL", "not below: debug, info, warn, error"),
};

const struct command log_commands[] = {
	{NULL, "logs", "NAME", 1, 1, logs, "what a sandbox did and was denied", ROWS(rows)},
	{},
};

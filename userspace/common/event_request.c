/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event_request.h"

#include "common/cleanup.h"
#include "common/event_inference.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

/* OCSF's activity_id of class 4002. */
static const struct activity {
	const char *method;
	int id;
} activities[] = {
	{"CONNECT", 1}, {"DELETE", 2}, {"GET", 3},   {"HEAD", 4},  {"OPTIONS", 5},
	{"POST", 6},	{"PUT", 7},    {"TRACE", 8}, {"PATCH", 9},
};

static const struct {
	const char *name;
	uint16_t port;
} schemes[] = {
	[WORKER_RECORD_HTTP] = {"http", 80},
	[WORKER_RECORD_HTTPS] = {"https", 443},
	[WORKER_RECORD_WS] = {"ws", 80},
	[WORKER_RECORD_WSS] = {"wss", 443},
};

static const enum event_action actions[] = {
	[WORKER_RECORD_DENIED] = EVENT_DENIED,
	[WORKER_RECORD_ALLOWED] = EVENT_ALLOWED,
	[WORKER_RECORD_AUDIT] = EVENT_AUDIT,
	[WORKER_RECORD_TOLD] = EVENT_TOLD,
};

static void copy(const struct worker_record *record, enum worker_record_text which, char *to,
		 size_t size)
{
	const struct worker_record_string *text = &record->text[which];

	snprintf(to, size, "%.*s", (int)text->size, text->size ? text->data : "");
}

/* Escaped here, as all sentences of events are. */
static void copy_sentence(const struct worker_record *record, char *to, size_t size)
{
	const struct worker_record_string *text = &record->text[WORKER_RECORD_REASON];
	struct text t;

	text_init(&t, to, size);
	if (text->size)
		text_add_escaped(&t, text->data, text->size);
}

static void set_activity(struct event *e)
{
	e->activity = "OTHER";
	e->activity_id = EVENT_ACTIVITY_OTHER;
	for (size_t i = 0; i < ARRAY_LEN(activities); i++) {
		if (strcmp(e->request.method, activities[i].method))
			continue;
		e->activity = activities[i].method;
		e->activity_id = activities[i].id;
	}
}

static enum event_severity severity_of(const struct worker_record *record)
{
	if (record->kind == WORKER_RECORD_FINDING)
		return EVENT_SEVERITY_HIGH;
	if (record->kind == WORKER_RECORD_UPSTREAM)
		return EVENT_SEVERITY_MED;
	return record->verdict == WORKER_RECORD_DENIED	? EVENT_SEVERITY_MED
	       : record->verdict == WORKER_RECORD_AUDIT ? EVENT_SEVERITY_LOW
							: EVENT_SEVERITY_INFO;
}

/* CLOCK_REALTIME now where the worker's word cannot be: before the boot, or in the time to come. */
static uint64_t time_of(const struct worker_record *record, const struct event_context *ctx)
{
	struct timespec now;
	uint64_t real;

	clock_gettime(CLOCK_REALTIME, &now);
	real = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	return record->time && record->time <= real - (uint64_t)ctx->clock_offset
		       ? record->time + (uint64_t)ctx->clock_offset
		       : real;
}

static void set_caller(const struct worker_record *record, struct event *e)
{
	copy(record, WORKER_RECORD_BINARY, e->exe, sizeof(e->exe));
	e->exe_state = e->exe[0] == '/' ? EVENT_PATH_FULL
		       : e->exe[0]	? EVENT_PATH_CUT
					: EVENT_PATH_NONE;
	e->raw.pid = record->pid;
	e->raw.ns_pid = record->ns_pid;
	e->raw.start_time = record->start_time;
	e->raw.flags = OS_EVENT_RECORDED;
}

static void set_request(const struct worker_record *record, bool others, struct event *e)
{
	struct event_http *request = &e->request;

	request->scheme = schemes[record->scheme].name;
	request->plain_port = record->port == schemes[record->scheme].port;
	request->status = others ? 0 : record->status;
	request->up = record->up;
	request->down = record->down;
	request->microseconds = record->microseconds;
	copy(record, WORKER_RECORD_PROTOCOL, request->protocol, sizeof(request->protocol));
	copy(record, WORKER_RECORD_ERROR, request->error, sizeof(request->error));
	if (others)
		return;
	copy(record, WORKER_RECORD_METHOD, request->method, sizeof(request->method));
	copy(record, WORKER_RECORD_PATH, request->path, sizeof(request->path));
	copy(record, WORKER_RECORD_RULE, request->rule, sizeof(request->rule));
}

/* Not a decision: something to look at, in words. */
static void set_told(const struct worker_record *record, struct event *e)
{
	struct text t;

	e->class = EVENT_CLASS_FINDING;
	e->activity = "CREATE";
	e->activity_id = 1;
	e->verb = "FOUND";
	if (record->text[WORKER_RECORD_REASON].size)
		copy(record, WORKER_RECORD_REASON, e->message, sizeof(e->message));
	else
		snprintf(e->message, sizeof(e->message), "the proxy had trouble with %s:%u",
			 e->host, e->raw.port);
	text_init(&t, e->context, sizeof(e->context));
	text_add(&t, "policy:%s engine:%s", e->rule[0] ? e->rule : "-", e->engine);
	if (e->request.error[0])
		text_add(&t, " error:%s", e->request.error);
	if (e->exe[0])
		text_add(&t, " binary:%s", e->exe);
}

void event_request(const struct worker_record *record, uint64_t repeated, bool others,
		   const struct event_context *ctx, struct event *ret_event)
{
	struct event *e = ret_event;

	memset(e, 0, sizeof(*e));
	e->time = time_of(record, ctx);
	e->class = EVENT_CLASS_HTTP;
	e->action = actions[record->verdict];
	e->severity = severity_of(record);
	e->engine = "l7";
	e->verb = "";
	snprintf(e->sandbox, sizeof(e->sandbox), "%s", ctx->sandbox ? ctx->sandbox : "");
	e->decided = e->action != EVENT_TOLD;
	e->raw.time = e->time - (uint64_t)ctx->clock_offset;
	e->raw.generation = record->generation;
	e->raw.kind = OS_EVENT_NET;
	e->raw.hook = OS_HOOK_NONE;
	e->raw.verdict = record->verdict < WORKER_RECORD_TOLD ? record->verdict : 0;
	e->raw.endpoint = record->endpoint;
	e->raw.protocol = IPPROTO_TCP;
	e->raw.port = record->port;
	e->repeated = repeated;
	e->others = others;
	set_caller(record, e);
	copy(record, WORKER_RECORD_HOST, e->host, sizeof(e->host));
	copy(record, WORKER_RECORD_POLICY, e->rule, sizeof(e->rule));
	set_request(record, others, e);
	set_activity(e);
	if (record->kind == WORKER_RECORD_INFERENCE)
		event_inference(record, others, e);
	if (!e->decided)
		set_told(record, e);
	else if (!others)
		copy_sentence(record, e->reason, sizeof(e->reason));
}

void event_request_url(const struct event *event, struct text *t)
{
	const struct event_http *request = &event->request;
	bool v6 = strchr(event->host, ':');
	char url[sizeof(request->path) + EVENT_NAME_SIZE + 32];
	struct text plain;

	text_init(&plain, url, sizeof(url));
	text_add(&plain, "%s://%s%s%s", request->scheme, v6 ? "[" : "", event->host, v6 ? "]" : "");
	if (!request->plain_port)
		text_add(&plain, ":%u", event->raw.port);
	text_add(&plain, "%s", request->path);
	text_add_word(t, url);
}

void event_request_object(const struct event *event, struct text *t)
{
	if (event->others)
		text_add(t, "%" PRIu64 " requests to", event->repeated);
	else
		text_add_word(t, event->request.method[0] ? event->request.method : "?");
	text_add(t, " ");
	event_request_url(event, t);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event_inference.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void copy(const struct worker_record *record, enum worker_record_text which, char *to,
		 size_t size)
{
	const struct worker_record_string *text = &record->text[which];

	snprintf(to, size, "%.*s", (int)text->size, text->size ? text->data : "");
}

bool event_inference_failed(const struct event *event)
{
	const struct event_http *request = &event->request;

	return event->action != EVENT_DENIED &&
	       (request->error[0] || !request->status || request->status >= 400);
}

/* That no answer came need not be anybody's fault: the agent may have gone. */
static enum event_severity severity_of(const struct event *event)
{
	if (event->action == EVENT_DENIED || event->request.error[0])
		return EVENT_SEVERITY_MED;
	return event_inference_failed(event) ? EVENT_SEVERITY_LOW : EVENT_SEVERITY_INFO;
}

void event_inference(const struct worker_record *record, bool others, struct event *event)
{
	struct event_inference *inference = &event->inference;

	event->class = EVENT_CLASS_API;
	event->activity = "INFERENCE";
	event->activity_id = EVENT_ACTIVITY_OTHER;
	event->engine = "inference";
	event->request.status = record->status;
	event->severity = severity_of(event);
	copy(record, WORKER_RECORD_ROUTE, inference->route, sizeof(inference->route));
	copy(record, WORKER_RECORD_PROVIDER, inference->provider, sizeof(inference->provider));
	copy(record, WORKER_RECORD_MODEL, inference->model, sizeof(inference->model));
	if (!others)
		copy(record, WORKER_RECORD_ASKED, inference->asked, sizeof(inference->asked));
	inference->tokens_in = record->tokens_in;
	inference->tokens_out = record->tokens_out;
	inference->first_byte = record->first_byte;
	inference->estimated = record->flags & WORKER_RECORD_ESTIMATED;
	inference->counted = inference->estimated || record->flags & WORKER_RECORD_TOKENS;
	inference->stream = record->flags & WORKER_RECORD_STREAM;
	inference->failover = record->flags & WORKER_RECORD_FAILOVER;
}

static void add_field(struct text *t, const char *name, const char *value)
{
	text_add(t, "%s:", name);
	text_add_word(t, value[0] ? value : "-");
	text_add(t, " ");
}

static void add_route(const struct event *e, struct text *t)
{
	const struct event_inference *inference = &e->inference;

	text_add(t, " [");
	add_field(t, "route", inference->route);
	if (inference->route[0]) {
		add_field(t, "provider", inference->provider);
		add_field(t, "model", inference->model);
	}
	if (inference->asked[0] && strcmp(inference->asked, inference->model) != 0)
		add_field(t, "asked", inference->asked);
	if (e->request.protocol[0])
		add_field(t, "api", e->request.protocol);
	if (e->request.error[0])
		add_field(t, "error", e->request.error);
	text_add(t, "engine:%s%s]", e->engine, inference->failover ? " failover" : "");
}

static void add_seconds(struct text *t, const char *name, uint64_t microseconds)
{
	text_add(t, "%s:%" PRIu64 ".%03us ", name, microseconds / 1000000,
		 (unsigned int)(microseconds % 1000000 / 1000));
}

static void add_answer(const struct event *e, struct text *t)
{
	const struct event_inference *inference = &e->inference;

	text_add(t, " [");
	if (inference->counted)
		text_add(t, "tokens:%s%" PRIu64 "+%" PRIu64 " ", inference->estimated ? "~" : "",
			 inference->tokens_in, inference->tokens_out);
	if (inference->first_byte)
		add_seconds(t, "first-byte", inference->first_byte);
	add_seconds(t, "took", e->request.microseconds);
	text_add(t, "bytes:%" PRIu64 "/%" PRIu64 "%s]", e->request.up, e->request.down,
		 inference->stream ? " stream" : "");
}

void event_inference_context(const struct event *event, struct text *t)
{
	add_route(event, t);
	/* Of one that went nowhere there is nothing to tell. */
	if (event->action != EVENT_DENIED)
		add_answer(event, t);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/telling.h"

#include "common/worker_record.h"
#include "proxy/exchange_internal.h"

#include <string.h>

static struct worker_record_string string(const char *text)
{
	return (struct worker_record_string){text, text ? strlen(text) : 0};
}

static struct worker_record_string string_of(struct text text)
{
	return (struct worker_record_string){text.data, text.size};
}

static void fill_origin(struct worker_record *record, const struct origin *origin)
{
	record->start_time = origin->start_time;
	record->pid = origin->pid;
	record->ns_pid = origin->ns_pid;
	record->port = origin->port;
	record->generation = origin->generation->number;
	record->endpoint = WORKER_RECORD_NO_ENDPOINT;
	record->text[WORKER_RECORD_HOST] = string(origin->host);
	record->text[WORKER_RECORD_BINARY] = string(origin->binary);
}

static void tell(struct proxy *proxy, const struct worker_record *record)
{
	if (proxy->options.records >= 0)
		worker_records_tell(proxy->records, proxy->options.records, record);
}

static uint8_t scheme_of(const struct exchange *ex)
{
	bool tls = ex->agent->tls;

	if (ex->websocket)
		return tls ? WORKER_RECORD_WSS : WORKER_RECORD_WS;
	return tls ? WORKER_RECORD_HTTPS : WORKER_RECORD_HTTP;
}

static void fill(struct worker_record *record, const struct exchange *ex)
{
	const struct l7_verdict *verdict = &ex->verdict;

	fill_origin(record, ex->origin);
	record->time = proxy_clock();
	record->scheme = scheme_of(ex);
	if (verdict->policy)
		record->endpoint = verdict->endpoint;
	record->text[WORKER_RECORD_METHOD] = string_of(ex->request.method);
	record->text[WORKER_RECORD_PATH] = string_of(ex->target.path);
	record->text[WORKER_RECORD_PROTOCOL] = string(verdict->protocol);
	record->text[WORKER_RECORD_POLICY] = string(verdict->policy);
	record->text[WORKER_RECORD_RULE] = string(verdict->rule);
	record->text[WORKER_RECORD_REASON] = string(verdict->reason);
	record->text[WORKER_RECORD_ERROR] = string(ex->error);
}

/* Its agent went before its body had said whether it may be sent on; nothing of it was. */
static bool is_unjudged(const struct exchange *ex)
{
	return ex->verdict.outcome == L7_NEED_BODY;
}

static bool is_about_the_server(const struct exchange *ex)
{
	return ex->error && !strcmp(ex->error, "upstream_unreachable");
}

void telling_request(struct exchange *ex)
{
	struct worker_record record = {.kind = WORKER_RECORD_REQUEST};
	uint64_t took;

	/* What the supervisor tries itself it knows. */
	if (ex->told || ex->agent->probe || !ex->origin || !ex->request.method.size)
		return;
	ex->told = true;
	if (is_unjudged(ex) && !ex->verdict.reason[0])
		snprintf(ex->verdict.reason, sizeof(ex->verdict.reason),
			 "it ended before its body had come");
	fill(&record, ex);
	record.up = ex->request_body.bytes;
	record.down = ex->error ? 0 : ex->response_body.bytes;
	record.status = ex->status;
	if (ex->inference)
		record.down = ex->response_body.bytes;
	took = (record.time - ex->started) / 1000;
	record.microseconds = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
	record.verdict = (ex->error && !is_about_the_server(ex)) || is_unjudged(ex)
				 ? WORKER_RECORD_DENIED
			 : ex->verdict.outcome == L7_AUDIT ? WORKER_RECORD_AUDIT
							   : WORKER_RECORD_ALLOWED;
	if (ex->inference) {
		exchange_infer_record(ex, &record);
	} else if (is_about_the_server(ex)) {
		record.kind = WORKER_RECORD_UPSTREAM;
		record.verdict = WORKER_RECORD_TOLD;
	}
	tell(ex->proxy, &record);
}

void telling_message(struct exchange *ex)
{
	struct worker_record record = {.kind = WORKER_RECORD_MESSAGE};

	fill(&record, ex);
	record.verdict =
		ex->verdict.outcome == L7_AUDIT ? WORKER_RECORD_AUDIT : WORKER_RECORD_DENIED;
	tell(ex->proxy, &record);
}

void telling_broken(const struct agent *agent, const char *error, const char *why)
{
	struct worker_record record = {
		.kind = WORKER_RECORD_REQUEST,
		.verdict = WORKER_RECORD_DENIED,
		.time = proxy_clock(),
		.scheme = agent->tls ? WORKER_RECORD_HTTPS : WORKER_RECORD_HTTP,
	};

	if (!agent->origin)
		return;
	fill_origin(&record, agent->origin);
	record.text[WORKER_RECORD_METHOD] = string("-");
	record.text[WORKER_RECORD_PATH] = string("-");
	record.text[WORKER_RECORD_REASON] = string(why);
	record.text[WORKER_RECORD_ERROR] = string(error);
	tell(agent->wire.proxy, &record);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request to inference.local: which route it takes, what is sent there, and what becomes of the
 * response (docs/inference.md). Its body is gathered, because the model is in it; then routes are
 * tried in turn until a provider is connected to. From there on it is an exchange like any other,
 * with a tap on the response.
 */
#include "common/cleanup.h"
#include "proxy/exchange_internal.h"
#include "proxy/inference.h"
#include "proxy/inference_answer.h"
#include "proxy/inference_limiter.h"
#include "proxy/inference_request.h"
#include "proxy/inference_response.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define API_MODELS OPENSHELL__WORKER__V1__INFERENCE_API__INFERENCE_API_MODELS

#define MILLISECOND  (PROXY_SECOND / 1000)
#define BODY_SCRATCH 65536
#define BODY_EXTRA   65536 /* that a route may add to a body, and to its head */

struct exchange_inference {
	struct inference_call call;
	struct inference_body body;
	const struct inference_route *route; /* the last one tried; the generation's */
	struct http_head *head;		     /* for it */
	struct inference_tap *tap;
	size_t body_size;
	uint64_t head_came; /* ns; 0 = not yet */
	uint32_t tried;	    /* routes, by their bits */
	bool counted;	    /* by the limiter */
	bool stream;	    /* the response is one */
	bool encoded;	    /* it is compressed: nothing of ours can be put into it */
	bool failed_over;
	bool refused; /* by us, before a route was asked */
};

struct answer {
	uint16_t status;
	const char *code, *message, *hint;
};

static struct inference *routes_of(const struct exchange *ex)
{
	return ex->origin->generation->inference;
}

static void answer(struct exchange *ex, const struct answer *answer, const struct http_field *extra)
{
	const struct exchange_denial denial = {answer->status, answer->code, answer->message};
	struct text body;

	if (inference_answer_body(ex->arena, answer->code, answer->message, answer->hint, &body))
		exchange_finish(ex, STREAM_CANCEL, STREAM_INTERNAL);
	else
		exchange_answer_with(ex, &denial, body, extra);
}

static void refuse(struct exchange *ex, uint16_t status, const char *code, const char *message)
{
	const struct answer refusal = {status, code, message, NULL};

	ex->inference->refused = true;
	answer(ex, &refusal, NULL);
}

static void fail(struct exchange *ex, uint16_t status, const char *code, const char *message)
{
	const struct answer failure = {status, code, message, NULL};

	answer(ex, &failure, NULL);
}

static void out_of_memory(struct exchange *ex)
{
	fail(ex, 503, "provider_unreachable", "out of memory");
}

/* Routes */

/* The request as @route wants it: its head in the exchange's arena, its body behind the agent's. */
static int write_request(struct exchange *ex, const struct inference_route *route)
{
	struct exchange_inference *inf = ex->inference;
	struct exchange_body *sent = &ex->request_body;
	_cleanup_arena_ struct arena *arena = NULL;
	struct text json = {};
	int r = 0;

	inf->head = arena_alloc(ex->arena, sizeof(*inf->head));
	if (!inf->head)
		return -ENOMEM;
	memset(inf->head, 0, offsetof(struct http_head, field));
	free(TAKE_PTR(sent->kept));
	sent->at = sent->end = sent->size = 0;
	sent->came = true;
	sent->went = false;
	if (ex->has_body) {
		arena = arena_new(INFERENCE_BODY_MAX + BODY_EXTRA);
		r = arena ? inference_body_write(route, &inf->body, arena, &json) : -ENOMEM;
	}
	if (!r)
		r = inference_head_write(route, &inf->call, &ex->target, &ex->request,
					 ex->has_body ? &json : NULL, inf->body.stream, time(NULL),
					 ex->arena, inf->head);
	if (r || !json.size)
		return r;
	sent->kept = malloc(json.size);
	if (!sent->kept)
		return -ENOMEM;
	memcpy(sent->kept, json.data, json.size);
	sent->end = sent->size = json.size;
	return 0;
}

static void take_route(struct exchange *ex, const struct inference_route *route)
{
	struct exchange_inference *inf = ex->inference;
	int r;

	inf->route = route;
	inf->tried |= UINT32_C(1) << route->index;
	r = write_request(ex, route);
	if (r == -ENOMEM)
		out_of_memory(ex);
	else if (r)
		refuse(ex, 413, "body_too_large", "with what its provider wants it is too large");
	else
		exchange_connect(ex);
}

static const struct inference_route *next_route(const struct exchange *ex)
{
	const struct exchange_inference *inf = ex->inference;

	if (ex->agent->probe)
		return inf->tried ? NULL
				  : inference_route_at(routes_of(ex), ex->agent->probe_route);
	return inference_choose(routes_of(ex), inf->call.api, inf->body.model, inf->tried);
}

/* How long nothing may come, ns. */
static uint64_t idle_of(const struct inference_route *route)
{
	uint32_t idle = route->told->idle_ms;

	return (idle ? idle : INFERENCE_IDLE_MS) * MILLISECOND;
}

void exchange_infer_wish(const struct exchange *ex, struct upstream_wish *wish)
{
	wish->route = ex->inference->route;
	wish->tls = wish->route->told->tls;
	wish->http2 = false;
}

const struct http_head *exchange_infer_connected(struct exchange *ex)
{
	const struct exchange_inference *inf = ex->inference;
	uint64_t due = proxy_clock() + inf->route->told->timeout_ms * MILLISECOND;

	/* A stream's first byte may take as long as any other. */
	if (ex->up->ops->patience)
		ex->up->ops->patience(ex->up, idle_of(inf->route), inf->body.stream ? 0 : due);
	return inf->head;
}

void exchange_infer_failed(struct exchange *ex, enum exchange_failure failure, const char *why)
{
	struct exchange_inference *inf = ex->inference;
	const struct inference_route *next = next_route(ex);
	char message[L7_REASON_MAX];

	if (next && failure != EXCHANGE_BUSY) {
		inf->failed_over = true;
		ex->retried = false;
		take_route(ex, next);
		return;
	}
	snprintf(message, sizeof(message), "%s%s",
		 failure == EXCHANGE_DENIED ? "the routes have changed meanwhile: try again"
					    : "the model's provider cannot be used: ",
		 failure == EXCHANGE_DENIED ? "" : why);
	if (failure == EXCHANGE_INSECURE || failure == EXCHANGE_SSRF)
		fail(ex, 502, "provider_failed", message);
	else
		fail(ex, 503, "provider_unreachable", message);
}

/* The request */

static bool begin(struct exchange *ex)
{
	ex->inference = arena_alloc(ex->arena, sizeof(*ex->inference));
	if (!ex->inference) {
		exchange_finish(ex, STREAM_CANCEL, STREAM_INTERNAL);
		return false;
	}
	memset(ex->inference, 0, sizeof(*ex->inference));
	return true;
}

/* False: it was answered. */
static bool find_call(struct exchange *ex)
{
	struct exchange_inference *inf = ex->inference;
	static const struct answer unconfigured = {
		503, "not_configured", "no model is configured for this sandbox",
		"start the sandbox with --inference provider=NAME,model=MODEL"};
	int r;

	if (!ex->agent->tls && !ex->agent->probe) {
		refuse(ex, 403, "tls_required", "inference.local is reached by https only");
		return false;
	}
	r = inference_call_parse(ex->request.method, ex->target.path, &inf->call);
	if (r == -EPERM)
		refuse(ex, 405, "method_not_allowed", "this path takes another method");
	else if (r)
		refuse(ex, 403, "unknown_path", "inference.local has no such path");
	else if (!inference_is_configured(routes_of(ex))) {
		inf->refused = true;
		answer(ex, &unconfigured, NULL);
	} else if (!inference_choose(routes_of(ex), inf->call.api, TEXT(""), 0) &&
		   !ex->agent->probe)
		refuse(ex, 400, "no_compatible_route",
		       "no configured provider speaks the API of this path");
	else
		return true;
	return false;
}

static bool within_limits(struct exchange *ex)
{
	static const char *const messages[] = {
		[INFERENCE_LIMIT_REQUESTS] =
			"this sandbox may make no more requests in this minute",
		[INFERENCE_LIMIT_TOKENS] = "this sandbox may use no more tokens in this minute",
		[INFERENCE_LIMIT_CONCURRENT] =
			"this sandbox has as many requests under way as it may",
	};
	const Openshell__Worker__V1__InferenceLimits *limits = inference_limits(routes_of(ex));
	struct http_field retry = {TEXT("retry-after"), {}};
	struct answer refusal = {429, "rate_limited", NULL, NULL};
	enum inference_limit limit;
	uint32_t seconds;
	char *text;

	if (ex->agent->probe)
		return true;
	limit = inference_limiter_begin(&ex->proxy->limiter, limits, ex->proxy->now, &seconds);
	ex->inference->counted = !limit;
	if (!limit)
		return true;
	text = arena_format(ex->arena, "%u", seconds);
	if (!text) {
		out_of_memory(ex);
		return false;
	}
	retry.value = (struct text){text, (uint32_t)strlen(text)};
	refusal.message = messages[limit];
	ex->inference->refused = true;
	answer(ex, &refusal, &retry);
	return false;
}

/* The model that a path names is the one that is asked for; ':' may be escaped in it. */
static int model_of_path(struct exchange *ex)
{
	const struct text *id = &ex->inference->call.id;
	char *name = arena_copy(ex->arena, id->data, id->size);
	uint32_t size = 0;

	if (!name)
		return -ENOMEM;
	for (uint32_t i = 0; i < id->size; i++) {
		unsigned int byte;
		char digits[3] = "";

		if (id->data[i] == '%' && id->size - i > 2) {
			memcpy(digits, id->data + i + 1, 2);
			if (sscanf(digits, "%2x", &byte) == 1 && byte > ' ' && byte < 0x7f) {
				name[size++] = (char)byte;
				i += 2;
				continue;
			}
		}
		name[size++] = id->data[i];
	}
	ex->inference->body.model = (struct text){name, size};
	return 0;
}

void exchange_infer(struct exchange *ex)
{
	const struct http_head *head = &ex->request;
	bool wants_body = !text_is(head->method, "GET");

	if (!begin(ex) || !find_call(ex))
		return;
	/* An answer costs money: it is not let come for nobody. */
	ex->agent->leaves = !ex->agent->probe;
	if (ex->has_body != wants_body)
		refuse(ex, 400, "invalid_body",
		       wants_body ? "the request has no body" : "a GET request has no body");
	else if (http_field_find(head, "content-encoding"))
		refuse(ex, 400, "invalid_body",
		       "the body is compressed: its model could not be read");
	else if (head->body == HTTP_BODY_LENGTH && head->length > INFERENCE_BODY_MAX)
		exchange_infer_too_long(ex);
	else if (!within_limits(ex))
		return;
	else if (wants_body)
		exchange_gather(ex, INFERENCE_BODY_MAX);
	else if (ex->inference->call.id.size && model_of_path(ex))
		out_of_memory(ex);
	else
		take_route(ex, next_route(ex));
}

void exchange_infer_too_long(struct exchange *ex)
{
	refuse(ex, 413, "body_too_large", "the request is longer than 10 MiB");
}

/* The log wants it when the body has long gone. */
static int keep_model(struct exchange *ex)
{
	struct text *model = &ex->inference->body.model;

	if (ex->inference->call.id.size)
		return model_of_path(ex);
	if (!model->size)
		return 0;
	model->data = arena_copy(ex->arena, model->data, model->size);
	return model->data ? 0 : -ENOMEM;
}

void exchange_infer_body(struct exchange *ex)
{
	struct exchange_inference *inf = ex->inference;
	size_t room = ex->gathered_size * 2 + BODY_SCRATCH;
	void *scratch = proxy_lend(ex->proxy, room);
	const char *why = "";
	char message[L7_REASON_MAX];
	int r;

	if (!scratch) {
		out_of_memory(ex);
		return;
	}
	inf->body_size = ex->gathered_size;
	r = inference_body_read(ex->gathered ? ex->gathered : (const uint8_t *)"",
				ex->gathered_size, scratch, room, ex->arena, &inf->body, &why);
	proxy_unlend(ex->proxy, scratch);
	if (!r)
		r = keep_model(ex);
	if (r == -ENOMEM) {
		out_of_memory(ex);
	} else if (r == -E2BIG) {
		refuse(ex, 400, "invalid_body", "the model's name is too long");
	} else if (r) {
		snprintf(message, sizeof(message), "the body cannot be read as JSON: it %s", why);
		refuse(ex, 400, "invalid_body", message);
	} else {
		take_route(ex, next_route(ex));
	}
}

/* The response */

/* What was wrong with it after its head had gone to the agent; @code is for the record as well. */
static void cut_off(struct exchange *ex, const char *code, const char *message)
{
	struct exchange_inference *inf = ex->inference;
	struct exchange_body *body = &ex->response_body;
	struct stream *up = TAKE_PTR(ex->up);
	struct text frame;

	ex->error = code;
	snprintf(ex->verdict.reason, sizeof(ex->verdict.reason), "%s", message);
	if (up)
		op_release(up, STREAM_CANCEL);
	if (!inf->stream || inf->encoded || !inf->tap ||
	    inference_answer_frame(ex->arena, inf->call.api, code, message,
				   inference_tap_in_line(inf->tap), &frame)) {
		exchange_finish(ex, STREAM_CANCEL, STREAM_CONNECT);
		return;
	}
	body->came = true;
	body->paused = false;
	exchange_pass(ex, body, (const uint8_t *)frame.data, frame.size);
}

static const char *why_it_ended(enum stream_error error)
{
	switch (error) {
	case STREAM_TIMEOUT:
		return "the provider did not answer in time";
	case STREAM_PROTOCOL:
		return "what the provider answers is not HTTP";
	default:
		return "the provider closed the connection";
	}
}

void exchange_infer_closed(struct exchange *ex, enum stream_error error)
{
	if (!ex->answered && ex->reused && !ex->retried && error == STREAM_CONNECT) {
		/* It was closed for want of use, while the request was on its way. */
		ex->retried = true;
		take_route(ex, ex->inference->route);
	} else if (!ex->answered) {
		fail(ex, error == STREAM_TIMEOUT ? 503 : 502,
		     error == STREAM_TIMEOUT ? "provider_timeout" : "provider_failed",
		     why_it_ended(error));
	} else if (ex->response_body.came) {
		/* The agent has only not taken all of it yet. */
		ex->request_body.discard = true;
	} else {
		cut_off(ex, error == STREAM_TIMEOUT ? "provider_timeout" : "stream_truncated",
			why_it_ended(error));
	}
}

/* A stream may last as long as something comes; all else has its time. */
static void set_patience(struct exchange *ex)
{
	const struct exchange_inference *inf = ex->inference;
	uint64_t due = proxy_clock() + inf->route->told->timeout_ms * MILLISECOND;

	if (!ex->up->ops->patience)
		return;
	if (inf->stream)
		ex->up->ops->patience(ex->up, idle_of(inf->route), 0);
	else if (inf->body.stream)
		ex->up->ops->patience(ex->up, idle_of(inf->route), due);
}

void exchange_infer_response(struct exchange *ex, const struct http_head *head, bool end)
{
	struct exchange_inference *inf = ex->inference;
	struct exchange_body *body = &ex->response_body;
	struct http_head passed;

	if (head->status == 101) {
		fail(ex, 502, "provider_failed", why_it_ended(STREAM_PROTOCOL));
		return;
	}
	if (head->status < 200)
		return;
	inf->head_came = proxy_clock();
	if (head->status == 401) {
		fail(ex, 401, "provider_refused_key",
		     "the provider does not accept the configured key; the agent's own is not "
		     "used");
		return;
	}
	http_head_copy(&passed, head);
	inference_response_head(inf->route, &passed);
	inf->stream = inference_response_is_stream(head);
	inf->encoded = http_field_find(head, "content-encoding");
	if (!end && inference_tap_new(inf->route, inf->call.api, head, &inf->tap)) {
		out_of_memory(ex);
		return;
	}
	/* It may end with a frame of ours. */
	if (inf->stream && passed.body == HTTP_BODY_LENGTH)
		passed.body = HTTP_BODY_CHUNKED;
	set_patience(ex);
	free(TAKE_PTR(ex->gathered));
	ex->status = head->status;
	ex->answered = true;
	body->came = body->went = end;
	if (op_head(ex->down, &passed, end))
		exchange_finish(ex, STREAM_CANCEL, STREAM_INTERNAL);
	else if (end)
		exchange_finish_if_done(ex);
}

bool exchange_infer_data(struct exchange *ex, const uint8_t *data, size_t size, bool end)
{
	struct exchange_body *body = &ex->response_body;
	struct text out[2] = {};
	int r, taken = 1;

	r = inference_tap_data(ex->inference->tap, data, size, end, out);
	body->came = false;
	if (out[0].size)
		taken = exchange_pass(ex, body, (const uint8_t *)out[0].data, out[0].size);
	if (taken < 0)
		return true;
	body->came = end && !r;
	if (out[1].size || body->came)
		taken = exchange_pass(ex, body, (const uint8_t *)out[1].data, out[1].size);
	if (taken < 0)
		return true;
	if (r) {
		cut_off(ex, "provider_failed",
			r == -EACCES ? "the provider's response held its key" : "out of memory");
		return true;
	}
	body->paused = taken == 0;
	return taken > 0;
}

/* Its end */

static struct inference_usage usage_of(const struct exchange *ex)
{
	const struct exchange_inference *inf = ex->inference;

	/* An error costs nothing, and a list of models has no tokens. */
	if (!inf->tap || ex->status >= 400 || inf->call.api == API_MODELS)
		return (struct inference_usage){.known = true};
	return inference_tap_usage(inf->tap, inf->body_size);
}

static struct worker_record_string string(const char *text)
{
	return (struct worker_record_string){text, strlen(text)};
}

void exchange_infer_record(const struct exchange *ex, struct worker_record *record)
{
	const struct exchange_inference *inf = ex->inference;
	struct inference_usage usage = usage_of(ex);
	uint64_t first = inf->head_came ? (inf->head_came - ex->started) / 1000 : 0;

	record->kind = WORKER_RECORD_INFERENCE;
	record->verdict = inf->refused ? WORKER_RECORD_DENIED : WORKER_RECORD_ALLOWED;
	record->first_byte = first > UINT32_MAX ? UINT32_MAX : (uint32_t)first;
	record->tokens_in = usage.input;
	record->tokens_out = usage.output;
	record->flags = (inf->stream ? WORKER_RECORD_STREAM : 0) |
			(inf->failed_over ? WORKER_RECORD_FAILOVER : 0);
	if (usage.input || usage.output)
		record->flags |= usage.known ? WORKER_RECORD_TOKENS : WORKER_RECORD_ESTIMATED;
	if (inf->call.api)
		record->text[WORKER_RECORD_PROTOCOL] = string(inference_api_name(inf->call.api));
	record->text[WORKER_RECORD_ASKED] =
		(struct worker_record_string){inf->body.model.data, inf->body.model.size};
	if (!inf->route)
		return;
	record->text[WORKER_RECORD_ROUTE] = string(inf->route->told->name);
	record->text[WORKER_RECORD_PROVIDER] = string(inf->route->told->provider);
	record->text[WORKER_RECORD_MODEL] = string(inf->route->told->model);
}

void exchange_infer_end(struct exchange *ex)
{
	struct inference_usage usage;

	if (!ex->inference || !ex->inference->counted)
		return;
	ex->inference->counted = false;
	usage = usage_of(ex);
	inference_limiter_end(&ex->proxy->limiter, (uint64_t)usage.input + usage.output);
}

void exchange_infer_free(struct exchange *ex)
{
	if (ex->inference)
		inference_tap_free(ex->inference->tap);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request has to pass before anything of it is sent on, in this order: the target's form,
 * the authority, the rules, middleware, credentials, a signature. What the body decides waits for
 * the body.
 */
#include "common/cleanup.h"
#include "proxy/exchange_internal.h"
#include "proxy/sigv4.h"
#include "proxy/telling.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#define PB(name) Openshell__Compiled__V1__##name

#define SIGNED_BODY_MAX (16u << 20)
#define SCRATCH_EXTRA	65536

static void answer(struct exchange *ex, uint16_t status, const char *error, const char *reason)
{
	const struct exchange_denial denial = {status, error, reason};

	exchange_answer(ex, &denial);
}

static void out_of_memory(struct exchange *ex)
{
	answer(ex, 503, "upstream_unreachable", "out of memory");
}

static bool read_target(struct exchange *ex)
{
	size_t room = ex->request.target.size * 3 + 16;
	bool slash = ex->origin->set.count && l7_allows_encoded_slash(&ex->origin->set);
	enum target_error error;
	char *buffer;

	if (room > HTTP_TARGET_MAX)
		room = HTTP_TARGET_MAX;
	buffer = arena_alloc(ex->arena, room);
	if (!buffer) {
		out_of_memory(ex);
		return false;
	}
	error = target_parse(ex->request.target, slash, buffer, room, &ex->target);
	if (error) {
		answer(ex, 400, "invalid_request_target", target_error_text(error));
		return false;
	}
	return true;
}

static bool port_is(struct text text, uint16_t port)
{
	char decimal[8];

	snprintf(decimal, sizeof(decimal), "%u", port);
	return text_is(text, decimal);
}

/* host or host:port, of where this connection goes; nothing else is served over it. */
static bool authority_agrees(const struct exchange *ex)
{
	struct text host = ex->request.authority, port = {};
	const char *name = ex->origin->host;
	const char *end = host.data + host.size, *colon = NULL;

	for (const char *c = host.data; c < end; c++) {
		if (*c == ':')
			colon = c;
		else if (*c == ']')
			colon = NULL;
	}
	if (colon) {
		port = (struct text){colon + 1, (uint32_t)(end - colon - 1)};
		host.size = (uint32_t)(colon - host.data);
	}
	if (host.size > 1 && host.data[0] == '[' && host.data[host.size - 1] == ']') {
		host.data++;
		host.size -= 2;
	}
	if (host.size != strlen(name) || strncasecmp(host.data, name, host.size))
		return false;
	return colon ? port_is(port, ex->origin->port)
		     : ex->origin->port == (ex->agent->tls ? 443 : 80);
}

/* HTTP/1.0 need not say which host it is for: there is but one. */
static bool name_authority(struct exchange *ex)
{
	const struct origin *origin = ex->origin;
	bool literal = strchr(origin->host, ':');
	char *text;

	if (ex->request.authority.size || ex->request.version != 10)
		return true;
	/* As a client would say it: servers choose their site by it, and a signature is of it. */
	if (origin->port == (ex->agent->tls ? 443 : 80))
		text = arena_format(ex->arena, literal ? "[%s]" : "%s", origin->host);
	else
		text = arena_format(ex->arena, literal ? "[%s]:%u" : "%s:%u", origin->host,
				    origin->port);
	if (!text) {
		out_of_memory(ex);
		return false;
	}
	ex->request.authority = (struct text){text, (uint32_t)strlen(text)};
	return true;
}

static bool is_websocket(const struct http_head *head)
{
	return head->upgrade && text_is(head->method, "GET") && head->upgrade_to.size == 9 &&
	       !strncasecmp(head->upgrade_to.data, "websocket", 9);
}

/* An upgrade that is not offered is a request like any other (RFC 9110 section 7.8). */
static void settle_upgrade(struct exchange *ex)
{
	struct http_head *head = &ex->request;
	uint16_t kept = 0;

	ex->websocket = is_websocket(head);
	head->upgrade = ex->websocket;
	if (!ex->websocket)
		return;
	/* Compressed messages could not be read. */
	for (uint16_t i = 0; i < head->fields; i++)
		if (!text_is(head->field[i].name, "sec-websocket-extensions"))
			head->field[kept++] = head->field[i];
	head->fields = kept;
}

static const PB(Endpoint) * endpoint_of(const struct exchange *ex)
{
	const struct l7_set *set = &ex->origin->set;

	return set->count ? l7_endpoint_policy(l7_endpoint_for(set, &ex->target)) : NULL;
}

/* What the rules said; false: it was answered. */
static bool passes(struct exchange *ex)
{
	struct l7_verdict *verdict = &ex->verdict;

	if (verdict->outcome != L7_DENIED)
		return true;
	if (exchange_is_audit(ex)) {
		verdict->outcome = L7_AUDIT;
		return true;
	}
	answer(ex, 403, "policy_denied", verdict->reason);
	return false;
}

static struct credential_scope scope_of(const struct exchange *ex)
{
	const struct http_field *type = http_field_find(&ex->request, "content-type");
	const PB(Endpoint) *endpoint = endpoint_of(ex);

	return (struct credential_scope){
		.host = ex->origin->host,
		.port = ex->origin->port,
		.secure = ex->agent->tls,
		.path = ex->target.path,
		.provider = endpoint ? endpoint->credential_provider : "",
		.content_type = type ? type->value : TEXT(""),
	};
}

/* What a rewriting said; true: go on. */
static bool credentials_went(struct exchange *ex, int r)
{
	if (!r)
		return true;
	if (r == -EACCES)
		answer(ex, 403, "credential_endpoint_mismatch",
		       "the credential of a placeholder may not be sent to this host, port and "
		       "path");
	else if (r == -ENOENT)
		answer(ex, 403, "credential_endpoint_mismatch",
		       "a placeholder names a credential that this sandbox does not have");
	else if (r == -E2BIG)
		answer(ex, 413, "credential_endpoint_mismatch",
		       "with its credentials the request is too large");
	else
		out_of_memory(ex);
	return false;
}

static bool middleware_went(struct exchange *ex, int r, const char *why)
{
	if (!r)
		return true;
	if (r == -EACCES)
		answer(ex, 403, "middleware_denied", why);
	else
		answer(ex, 403, "middleware_failed", why);
	return false;
}

static const PB(L7) * signing_of(const struct exchange *ex)
{
	const PB(Endpoint) *endpoint = endpoint_of(ex);

	return endpoint && endpoint->l7 && endpoint->l7->credential_signing ? endpoint->l7 : NULL;
}

static bool signature_went(struct exchange *ex, int r)
{
	if (!r)
		return true;
	if (r == -ENOMEM)
		out_of_memory(ex);
	else if (r == -EOPNOTSUPP)
		answer(ex, 403, "credential_endpoint_mismatch",
		       "the body's chunks are signed one by one, which is not done here: send it "
		       "unsigned or whole");
	else if (r == -ENOENT || r == -EACCES)
		answer(ex, 403, "credential_endpoint_mismatch",
		       "no AWS credentials of this sandbox may be used here");
	else
		answer(ex, 413, "credential_endpoint_mismatch",
		       "with its signature the request is too large");
	return false;
}

static bool sign(struct exchange *ex, const uint8_t *body, size_t size)
{
	const PB(L7) *l7 = signing_of(ex);
	struct credential_scope scope = scope_of(ex);
	struct sigv4 signing;
	int r;

	if (!l7)
		return true;
	signing = (struct sigv4){
		.mode = l7->credential_signing,
		.service = l7->signing_service,
		.region = l7->signing_region,
		.host = ex->origin->host,
		.now = time(NULL),
		.body = body,
		.body_size = size,
	};
	r = sigv4_keys(ex->origin->generation->credentials, &scope, &signing.keys);
	if (!r)
		r = sigv4_sign(&signing, &ex->request, ex->arena);
	return signature_went(ex, r);
}

/* The head is sent as it was judged: with the canonical path. */
static bool write_target(struct exchange *ex)
{
	const struct target *target = &ex->target;
	size_t size = target->path.size + target->has_query + target->query.size;
	char *text = arena_alloc(ex->arena, size + 1);

	if (!text) {
		out_of_memory(ex);
		return false;
	}
	memcpy(text, target->path.data, target->path.size);
	if (target->has_query) {
		text[target->path.size] = '?';
		if (target->query.size)
			memcpy(text + target->path.size + 1, target->query.data,
			       target->query.size);
	}
	ex->request.target = (struct text){text, (uint32_t)size};
	return true;
}

static bool rewrite_head(struct exchange *ex)
{
	struct generation *generation = ex->origin->generation;
	struct credential_scope scope = scope_of(ex);
	const char *why = "";
	bool changed = false;

	if (ex->origin->has_middleware &&
	    !middleware_went(ex,
			     middleware_head(generation->middleware, ex->origin->host, &ex->request,
					     ex->arena, &changed, &why),
			     why))
		return false;
	/* The agent's own signature is made with placeholders. */
	if (signing_of(ex) && !signature_went(ex, sigv4_strip(&ex->request, ex->arena)))
		return false;
	return credentials_went(ex, credentials_rewrite_head(generation->credentials, &scope,
							     &ex->request, ex->arena, &changed));
}

static void at_least(size_t *most, size_t size)
{
	if (*most < size)
		*most = size;
}

/* For middleware that looks at bodies; false: it was answered. */
static bool gather_for_middleware(struct exchange *ex, size_t *most)
{
	const struct http_head *head = &ex->request;
	struct middleware *middleware = ex->origin->generation->middleware;
	size_t max =
		ex->origin->has_middleware ? middleware_body_max(middleware, ex->origin->host) : 0;
	const char *why = "";

	if (max && head->body == HTTP_BODY_LENGTH && head->length > max)
		return middleware_went(ex, middleware_oversize(middleware, ex->origin->host, &why),
				       why);
	ex->gather_middleware = max != 0;
	at_least(most, max);
	return true;
}

/* How much of the body has to be seen first, 0: none; false: it was answered. */
static bool plan_body(struct exchange *ex, size_t *ret_most)
{
	const PB(Endpoint) *endpoint = endpoint_of(ex);
	const PB(L7) *l7 = endpoint ? endpoint->l7 : NULL;
	int r;

	ex->gather_rules = ex->verdict.outcome == L7_NEED_BODY;
	if (ex->gather_rules)
		*ret_most = ex->verdict.body_max;
	if (!ex->has_body)
		return true;
	if (!gather_for_middleware(ex, ret_most))
		return false;
	/* In what is compressed nothing can be found. */
	ex->gather_credentials = l7 && l7->request_body_credential_rewrite &&
				 !http_field_find(&ex->request, "content-encoding");
	if (ex->gather_credentials)
		at_least(ret_most, CREDENTIAL_BODY_MAX);
	if (!signing_of(ex))
		return true;
	r = sigv4_payload(&ex->request, l7->credential_signing);
	if (r > 0)
		at_least(ret_most, SIGNED_BODY_MAX);
	return signature_went(ex, r < 0 ? r : 0);
}

void exchange_judge(struct exchange *ex)
{
	const struct l7_set *set = &ex->origin->set;
	size_t most = 0;

	if (!read_target(ex))
		return;
	if (!name_authority(ex))
		return;
	if (!authority_agrees(ex)) {
		answer(ex, 403, "request_authority_mismatch",
		       "the request names another host than the connection was made to");
		return;
	}
	if (ex->origin->inference) {
		exchange_infer(ex);
		return;
	}
	settle_upgrade(ex);
	if (set->count) {
		l7_request(set, &ex->request, &ex->target, ex->websocket, &ex->verdict);
	} else {
		ex->verdict.outcome = L7_AUDIT;
		snprintf(ex->verdict.reason, sizeof(ex->verdict.reason),
			 "no endpoint of the policy is for %s:%u and this binary", ex->origin->host,
			 ex->origin->port);
	}
	if (!passes(ex))
		return;
	if (!write_target(ex) || !plan_body(ex, &most))
		return;
	if (most || ex->gather_rules) {
		exchange_gather(ex, most);
		return;
	}
	if (rewrite_head(ex) && sign(ex, NULL, 0))
		exchange_connect(ex);
}

bool exchange_judge_too_long(struct exchange *ex)
{
	if (ex->inference)
		exchange_infer_too_long(ex);
	if (!ex->gather_rules)
		return false;
	l7_body_too_long(&ex->origin->set, &ex->request, &ex->target, &ex->verdict);
	/* What else has to see it cannot do without. */
	return passes(ex) && !ex->gather_credentials && !ex->gather_middleware && !signing_of(ex) &&
	       rewrite_head(ex);
}

static bool judge_by_rules(struct exchange *ex)
{
	size_t room = ex->gathered_size * 2 + SCRATCH_EXTRA;
	void *scratch = proxy_lend(ex->proxy, room);

	if (!scratch) {
		out_of_memory(ex);
		return false;
	}
	l7_body(&ex->origin->set, &ex->request, &ex->target,
		ex->gathered ? ex->gathered : (const uint8_t *)"", ex->gathered_size, scratch, room,
		&ex->verdict);
	proxy_unlend(ex->proxy, scratch);
	return passes(ex);
}

/* The body as it is sent, in the place of what came. */
static bool replace_body(struct exchange *ex, struct text body)
{
	uint8_t *copy;

	if (body.data == (const char *)ex->gathered && body.size == ex->gathered_size)
		return true;
	copy = malloc((size_t)body.size + 1);
	if (!copy) {
		out_of_memory(ex);
		return false;
	}
	memcpy(copy, body.data, body.size);
	free(ex->gathered);
	ex->gathered = copy;
	ex->gathered_size = body.size;
	return true;
}

static bool change_body(struct exchange *ex)
{
	struct generation *generation = ex->origin->generation;
	struct text body = {(const char *)ex->gathered, (uint32_t)ex->gathered_size};
	struct credential_scope scope = scope_of(ex);
	const char *why = "";
	bool changed = false;

	if (ex->gather_middleware &&
	    (!middleware_went(ex,
			      middleware_body(generation->middleware, ex->origin->host,
					      ex->gathered, ex->gathered_size, ex->arena, &body,
					      &why),
			      why) ||
	     !replace_body(ex, body)))
		return false;
	if (!ex->gather_credentials)
		return true;
	body = (struct text){(const char *)ex->gathered, (uint32_t)ex->gathered_size};
	return credentials_went(ex, credentials_rewrite_body(generation->credentials, &scope,
							     ex->gathered, ex->gathered_size,
							     ex->arena, &body, &changed)) &&
	       (!changed || replace_body(ex, body));
}

void exchange_judge_body(struct exchange *ex)
{
	struct exchange_body *body = &ex->request_body;

	if (ex->inference) {
		exchange_infer_body(ex);
		return;
	}
	if (ex->gather_rules && !judge_by_rules(ex))
		return;
	if (ex->gathered_size && !change_body(ex))
		return;
	if (!rewrite_head(ex))
		return;
	if (ex->has_body || ex->gathered_size) {
		ex->request.body = HTTP_BODY_LENGTH;
		ex->request.length = ex->gathered_size;
	}
	ex->request.expect_continue = false;
	if (!sign(ex, ex->gathered, ex->gathered_size))
		return;
	body->kept = TAKE_PTR(ex->gathered);
	body->at = 0;
	body->end = body->size = ex->gathered_size;
	exchange_connect(ex);
}

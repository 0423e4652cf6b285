/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tunnel.h"

#include "common/cleanup.h"
#include "proxy/exchange_internal.h"
#include "proxy/telling.h"
#include "proxy/websocket.h"

#include <string.h>
#include <sys/random.h>

#define BINARY_MAX    (UINT64_C(1) << 62)
#define TEXT_MAX      (1u << 20) /* where no endpoint says another limit */
#define ARENA_MAX     (16u << 20)
#define SCRATCH_EXTRA 65536

struct buffer {
	uint8_t *data;
	size_t used, size;
};

struct websocket_tunnel {
	struct websocket_reader reader;
	bool judges, filters, rewrites;
	bool reads;	       /* what a text says matters to the rules */
	struct buffer in;      /* what came, to be unmasked */
	struct buffer message; /* a text so far */
	struct buffer out;
	struct arena *arena; /* of one message */
	uint8_t close[2 + WEBSOCKET_CONTROL_MAX];
	size_t close_size;
};

static int add(struct buffer *buffer, const void *data, size_t size)
{
	if (buffer->used + size > TUNNEL_OUT_MAX)
		return -ENOBUFS;
	if (buffer->used + size > buffer->size) {
		size_t room = buffer->size ? buffer->size : 4096;
		uint8_t *grown;

		while (room < buffer->used + size)
			room *= 2;
		grown = realloc(buffer->data, room);
		if (!grown)
			return -ENOMEM;
		buffer->data = grown;
		buffer->size = room;
	}
	if (size)
		memcpy(buffer->data + buffer->used, data, size);
	buffer->used += size;
	return 0;
}

int tunnel_open(struct exchange *ex, const struct http_head *head)
{
	const struct l7_set *set = &ex->origin->set;
	const Openshell__Compiled__V1__Endpoint *endpoint;
	struct websocket_tunnel *tunnel;
	uint32_t text_max = TEXT_MAX;
	bool judges, filters, rewrites;

	if (http_field_find(head, "sec-websocket-extensions"))
		return -EPROTO;
	if (!set->count)
		return 0;
	endpoint = l7_endpoint_policy(l7_endpoint_for(set, &ex->target));
	judges = l7_websocket_inspects(set, &ex->target, &text_max);
	rewrites = endpoint->l7 && endpoint->l7->websocket_credential_rewrite;
	filters = ex->origin->has_middleware &&
		  middleware_body_max(ex->origin->generation->middleware, ex->origin->host);
	if (!judges && !filters && !rewrites)
		return 0;
	tunnel = calloc(1, sizeof(*tunnel));
	if (!tunnel)
		return -ENOMEM;
	tunnel->arena = arena_new(ARENA_MAX);
	if (!tunnel->arena) {
		free(tunnel);
		return -ENOMEM;
	}
	tunnel->judges = judges;
	tunnel->reads = judges && text_max;
	tunnel->filters = filters;
	tunnel->rewrites = rewrites;
	websocket_reader_init(&tunnel->reader, text_max ? text_max : TEXT_MAX, BINARY_MAX);
	ex->tunnel = tunnel;
	return 0;
}

void tunnel_free(struct websocket_tunnel *tunnel)
{
	if (!tunnel)
		return;
	free(tunnel->in.data);
	free(tunnel->message.data);
	free(tunnel->out.data);
	arena_free(tunnel->arena);
	free(tunnel);
}

struct text tunnel_close(const struct websocket_tunnel *tunnel)
{
	return (struct text){(const char *)tunnel->close, (uint32_t)tunnel->close_size};
}

static int refuse(struct websocket_tunnel *tunnel, uint16_t code, const char *why)
{
	uint8_t payload[WEBSOCKET_CONTROL_MAX];
	size_t size = websocket_close_payload(payload, code, why);

	tunnel->close_size = websocket_write_control(tunnel->close, WEBSOCKET_CLOSE, payload, size);
	return -EACCES;
}

static int write_frame(struct websocket_tunnel *tunnel, uint8_t opcode, bool last, const void *data,
		       size_t size)
{
	uint8_t head[WEBSOCKET_HEAD_MAX], mask[4];
	size_t start;
	int r;

	if (getrandom(mask, sizeof(mask), 0) != sizeof(mask))
		return -EIO;
	r = add(&tunnel->out, head,
		websocket_write_head(head, (enum websocket_opcode)opcode, last, size, mask));
	start = tunnel->out.used;
	if (!r)
		r = add(&tunnel->out, data, size);
	if (!r)
		websocket_mask(tunnel->out.data + start, size, mask, 0);
	return r;
}

static int judged(struct exchange *ex)
{
	struct l7_verdict *verdict = &ex->verdict;

	if (verdict->outcome == L7_DENIED && exchange_is_audit(ex))
		verdict->outcome = L7_AUDIT;
	if (verdict->outcome != L7_ALLOWED)
		telling_message(ex);
	if (verdict->outcome == L7_DENIED)
		return refuse(ex->tunnel, WEBSOCKET_POLICY, "policy_denied");
	return 0;
}

static int judge(struct exchange *ex)
{
	struct websocket_tunnel *tunnel = ex->tunnel;
	size_t room = tunnel->message.used * 2 + SCRATCH_EXTRA;
	void *scratch = proxy_lend(ex->proxy, room);

	if (!scratch)
		return -ENOMEM;
	l7_websocket_text(&ex->origin->set, &ex->request, &ex->target, tunnel->message.data,
			  tunnel->reads ? tunnel->message.used : 0, scratch, room, &ex->verdict);
	proxy_unlend(ex->proxy, scratch);
	return judged(ex);
}

static int judge_binary(struct exchange *ex)
{
	l7_websocket_binary(&ex->origin->set, &ex->request, &ex->target, &ex->verdict);
	return judged(ex);
}

static int rewrite(struct exchange *ex, struct text *text)
{
	const Openshell__Compiled__V1__Endpoint *endpoint =
		l7_endpoint_policy(l7_endpoint_for(&ex->origin->set, &ex->target));
	const struct credential_scope scope = {
		.host = ex->origin->host,
		.port = ex->origin->port,
		.secure = ex->agent->tls,
		.path = ex->target.path,
		.provider = endpoint->credential_provider,
		.content_type = {"", 0},
	};
	bool changed = false;
	int r = credentials_rewrite_body(ex->origin->generation->credentials, &scope,
					 (const uint8_t *)text->data, text->size, ex->tunnel->arena,
					 text, &changed);

	return r == -EACCES || r == -ENOENT
		       ? refuse(ex->tunnel, WEBSOCKET_POLICY, "credential_endpoint_mismatch")
		       : r;
}

static int filter(struct exchange *ex, struct text *text)
{
	const char *why = "";
	int r = middleware_body(ex->origin->generation->middleware, ex->origin->host,
				(const uint8_t *)text->data, text->size, ex->tunnel->arena, text,
				&why);

	return r == -EACCES ? refuse(ex->tunnel, WEBSOCKET_POLICY, "middleware_denied")
	       : r == -EIO  ? refuse(ex->tunnel, WEBSOCKET_POLICY, "middleware_failed")
			    : r;
}

static int text_came(struct exchange *ex, const struct websocket_event *event)
{
	struct websocket_tunnel *tunnel = ex->tunnel;
	struct text text;
	int r = add(&tunnel->message, event->data, event->size);

	if (r || !event->last)
		return r;
	text = (struct text){(const char *)tunnel->message.data, (uint32_t)tunnel->message.used};
	if (tunnel->judges)
		r = judge(ex);
	if (!r && tunnel->filters)
		r = filter(ex, &text);
	if (!r && tunnel->rewrites)
		r = rewrite(ex, &text);
	if (!r)
		r = write_frame(tunnel, WEBSOCKET_TEXT, true, text.data, text.size);
	tunnel->message.used = 0;
	arena_reset(tunnel->arena);
	return r;
}

static int pass_on(struct exchange *ex, const struct websocket_event *event)
{
	if (!event->opcode)
		return 0;
	if (event->opcode == WEBSOCKET_TEXT)
		return text_came(ex, event);
	if (event->opcode == WEBSOCKET_BINARY && event->first && ex->tunnel->judges) {
		int r = judge_binary(ex);

		if (r)
			return r;
	}
	return write_frame(ex->tunnel,
			   event->first || event->opcode >= WEBSOCKET_CLOSE
				   ? event->opcode
				   : (uint8_t)WEBSOCKET_CONTINUATION,
			   event->last, event->data, event->size);
}

int tunnel_request(struct exchange *ex, const uint8_t *data, size_t size, const uint8_t **ret_data,
		   size_t *ret_size)
{
	struct websocket_tunnel *tunnel = ex->tunnel;
	size_t at = 0;
	int r;

	tunnel->in.used = tunnel->out.used = 0;
	r = add(&tunnel->in, data, size);
	while (!r && at < size) {
		struct websocket_event event = {};
		uint16_t code = 0;
		int64_t n = websocket_read(&tunnel->reader, tunnel->in.data + at, size - at, &event,
					   &code);

		if (n < 0)
			return refuse(tunnel, code, "the message cannot be read");
		at += (size_t)n;
		r = pass_on(ex, &event);
	}
	if (r == -EACCES)
		return r;
	if (r)
		return refuse(tunnel, WEBSOCKET_TOO_BIG, "the message cannot be taken");
	*ret_data = tunnel->out.data;
	*ret_size = tunnel->out.used;
	return 0;
}

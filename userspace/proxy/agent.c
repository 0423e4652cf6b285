/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/agent.h"

#include "common/cleanup.h"
#include "proxy/exchange.h"
#include "proxy/inference.h"
#include "proxy/peer.h"
#include "proxy/proxy_internal.h"
#include "proxy/telling.h"

#include <string.h>
#include <sys/socket.h>

#define TLS_HANDSHAKE 0x16 /* ContentType, RFC 8446 section 5.1 */
#define LINGER_BYTES  (1u << 20) /* thrown away in one turn */
#define ASK_AGAIN_MAX 4

static struct agent *agent_of(struct wire *wire)
{
	return (struct agent *)((char *)wire - offsetof(struct agent, wire));
}

void agent_close(struct agent *agent, bool reset)
{
	if (agent->wire.closed)
		return;
	question_give_up(agent->wire.proxy->questions, agent->question);
	agent->question = NULL;
	wire_close(&agent->wire, reset);
	agent_http1_end(agent);
	http2_free(agent->http2);
	agent->http2 = NULL;
}

void agent_linger(struct agent *agent)
{
	struct wire *wire = &agent->wire;

	if (wire->closed || agent->state == AGENT_LINGER)
		return;
	agent->state = AGENT_LINGER;
	wire->deadline = wire->proxy->now + PROXY_STALL_TIMEOUT;
	wire_schedule(wire);
}

/* Throw away what comes, for a while: closing over it would take back the answer. */
static void linger(struct agent *agent)
{
	struct wire *wire = &agent->wire;
	size_t thrown = 0;
	ssize_t n;
	int r = wire_flush(wire);

	if (r == -EAGAIN)
		return;
	if (!r && !agent->shut) {
		r = conn_shutdown_write(&wire->conn);
		agent->shut = true;
		wire->deadline = wire->proxy->now + PROXY_LINGER_TIMEOUT;
		if (r == -EAGAIN)
			r = 0;
	}
	if (r) {
		agent_close(agent, true);
		return;
	}
	do {
		n = wire_read(wire, wire->proxy->scratch, PROXY_SCRATCH);
		thrown += n > 0 ? (size_t)n : 0;
	} while (n > 0 && thrown < LINGER_BYTES);
	/* There may be more of a body than fits into this turn: others are served in between. */
	if (n > 0)
		wire_schedule(wire);
	else if (n != -EAGAIN)
		agent_close(agent, false);
}

static void start_http(struct agent *agent, bool http2)
{
	agent->state = http2 ? AGENT_HTTP2 : AGENT_HTTP1;
	agent->wire.deadline = agent->wire.proxy->now + PROXY_HEAD_TIMEOUT;
	if (http2 && agent_http2_start(agent))
		agent_close(agent, true);
}

static void handshake(struct agent *agent)
{
	struct wire *wire = &agent->wire;
	char why[TLS_FAILURE_MAX];
	int r = conn_handshake(&wire->conn);

	if (r == 0) {
		/* Which of the two it waits for does not matter: epoll tells both. */
		wire->readable = wire->writable = false;
		return;
	}
	if (r < 0) {
		if (r != -ECONNRESET)
			telling_broken(agent, "tls_termination_unavailable",
				       tls_failure(wire->conn.ssl, why, sizeof(why)));
		agent_close(agent, true);
		return;
	}
	wire->readable = wire->writable = true;
	start_http(agent, tls_is_h2(wire->conn.ssl));
}

/* An upper-case letter begins a method, and HTTP/2's preface; an empty line may be before one. */
static void first_byte(struct agent *agent)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	struct wire *wire = &agent->wire;
	uint8_t first[sizeof(preface) - 1];
	SSL *ssl;
	ssize_t n = recv(wire->conn.fd, first, sizeof(first), MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		agent_close(agent, n < 0);
		return;
	}
	if (first[0] == TLS_HANDSHAKE) {
		if (tls_accept(wire->proxy->tls, wire->conn.fd, agent->origin->host, true, &ssl)) {
			telling_broken(agent, "tls_termination_unavailable",
				       "no certificate could be made");
			agent_close(agent, true);
			return;
		}
		conn_start_tls(&wire->conn, ssl);
		agent->tls = true;
		agent->state = AGENT_HANDSHAKE;
	} else if (n < 4 && !memcmp(first, preface, (size_t)n) && !wire->ended) {
		return; /* POST, PUT, PATCH, or it */
	} else if ((first[0] >= 'A' && first[0] <= 'Z') || first[0] == '\r') {
		start_http(agent, !memcmp(first, preface, n < 4 ? (size_t)n : 4) && n >= 4 &&
					  !memcmp(first, "PRI ", 4));
	} else {
		telling_broken(agent, "unsupported_l7_protocol",
			       "what was sent is neither TLS nor HTTP");
		agent_close(agent, true);
	}
}

static void ready(struct wire *wire)
{
	struct agent *agent = agent_of(wire);
	enum agent_state state;

	do {
		state = agent->state;
		switch (state) {
		case AGENT_ASKED:
			if (wire->broken)
				agent_close(agent, true);
			break;
		case AGENT_FIRST:
			first_byte(agent);
			break;
		case AGENT_HANDSHAKE:
			handshake(agent);
			break;
		case AGENT_HTTP1:
			agent_http1_ready(agent);
			break;
		case AGENT_HTTP2:
			agent_http2_ready(agent);
			break;
		case AGENT_LINGER:
			linger(agent);
			break;
		}
	} while (!wire->closed && agent->state != state);
}

static void expired(struct wire *wire)
{
	struct agent *agent = agent_of(wire);

	if (agent->state == AGENT_HTTP2 && agent->http2 && http2_idle(agent->http2) &&
	    !agent->no_more) {
		agent->no_more = true;
		http2_shutdown(agent->http2);
		wire->deadline = wire->proxy->now + PROXY_LINGER_TIMEOUT;
		wire_schedule(wire);
		return;
	}
	/* What a slow reader has not taken yet is the kernel's to deliver; a reset takes it back.
	 */
	agent_close(agent, agent->state != AGENT_LINGER &&
				   (agent->state != AGENT_HTTP1 || agent->http1.active));
}

static void end(struct wire *wire)
{
	agent_close(agent_of(wire), true);
}

static void destroy(struct wire *wire)
{
	struct agent *agent = agent_of(wire);

	origin_unref(agent->origin);
	agent->wire.proxy->connections--;
	free(agent);
}

static const struct wire_ops agent_ops = {
	.ready = ready,
	.expired = expired,
	.close = end,
	.destroy = destroy,
};

void agent_new(struct proxy *proxy, int fd, const struct worker_peer *peer)
{
	union peer_address address = {};
	socklen_t size = sizeof(address);
	struct agent *agent = calloc(1, sizeof(*agent));

	if (!agent || getsockname(fd, &address.any, &size) ||
	    peer_from_address(&address, IPPROTO_TCP, &agent->local)) {
		safe_close(fd);
		free(agent);
		return;
	}
	agent->peer = *peer;
	proxy->connections++;
	if (wire_open(&agent->wire, proxy, fd, &agent_ops)) {
		proxy->connections--;
		free(agent);
		return;
	}
	agent->wire.deadline = proxy->now + PROXY_ORIGIN_TIMEOUT;
	if (question_ask_origin(proxy->questions, agent, &agent->peer, &agent->local,
				&agent->question))
		agent_close(agent, true);
}

/* As the kernel would tell of somebody who asks for inference.local. */
static int probe_origin(struct generation *generation, struct origin **ret_origin)
{
	struct worker_origin told = {
		.status = WORKER_FLOW_ALLOWED,
		.generation = generation->number,
		.port = INFERENCE_PORT,
		.host_length = sizeof(INFERENCE_HOST) - 1,
	};
	int r;

	memset(told.rules, 0xff, sizeof(told.rules));
	memcpy(told.host, INFERENCE_HOST, told.host_length);
	r = origin_new(generation, &told, ret_origin);
	if (!r && (*ret_origin)->inference)
		return 0;
	if (!r)
		origin_unref(*ret_origin);
	return -EBADMSG;
}

int agent_new_probe(struct proxy *proxy, int fd, uint32_t route)
{
	struct agent *agent = calloc(1, sizeof(*agent));
	int r = !agent ? -ENOMEM
		: proxy->generation && inference_route_at(proxy->generation->inference, route)
			? probe_origin(proxy->generation, &agent->origin)
			: -EBADMSG;

	if (!r) {
		agent->probe = true;
		agent->probe_route = route;
		agent->state = AGENT_FIRST;
		r = wire_open(&agent->wire, proxy, fd, &agent_ops);
	} else {
		safe_close(fd);
	}
	if (r) {
		if (agent)
			origin_unref(agent->origin);
		free(agent);
		return r;
	}
	proxy->connections++;
	agent->wire.deadline = proxy->now + PROXY_HEAD_TIMEOUT;
	return 0;
}

int agent_ask(struct agent *agent)
{
	int r = 0;

	if (!agent->question)
		r = question_ask_origin(agent->wire.proxy->questions, agent, &agent->peer,
					&agent->local, &agent->question);
	return r;
}

static void learn(struct agent *agent, const struct worker_origin *told)
{
	struct generation *generation = agent->wire.proxy->generation;
	struct origin *origin;

	origin_unref(agent->origin);
	agent->origin = NULL;
	/* Rules are numbered anew in each generation: its own are the only ones it can speak of. */
	if (told->status != WORKER_FLOW_ALLOWED || !generation ||
	    told->generation != generation->number)
		return;
	if (!origin_new(generation, told, &origin))
		agent->origin = origin;
}

void agent_origin(struct agent *agent, const struct worker_origin *told)
{
	const struct generation *generation = agent->wire.proxy->generation;
	bool first = agent->state == AGENT_ASKED;

	agent->question = NULL;
	/* The policy changed while the answer was on its way. */
	if (told->status == WORKER_FLOW_ALLOWED && generation &&
	    told->generation != generation->number && agent->asked_again++ < ASK_AGAIN_MAX &&
	    !agent_ask(agent))
		return;
	agent->asked_again = 0;
	learn(agent, told);
	if (!agent->origin) {
		agent_close(agent, true);
		return;
	}
	if (first) {
		agent->state = AGENT_FIRST;
		agent->wire.deadline = agent->wire.proxy->now + PROXY_HEAD_TIMEOUT;
		wire_schedule(&agent->wire);
		return;
	}
	while (agent->waiting && !agent->wire.closed) {
		struct exchange *exchange = agent->waiting;

		exchange_origin(exchange);
	}
}

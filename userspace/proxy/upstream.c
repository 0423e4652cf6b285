/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/upstream.h"

#include "common/cleanup.h"
#include "proxy/inference.h"
#include "proxy/proxy_internal.h"
#include "proxy/upstream_internal.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#define BUCKETS 1024

struct upstream_pool {
	struct proxy *proxy;
	uint32_t epoch; /* raised when what was made before must not be used again */
	size_t idle;
	struct upstream *all;
	struct upstream *bucket[BUCKETS]; /* the one used last is first */
};

static struct upstream *upstream_of(struct wire *wire)
{
	return (struct upstream *)((char *)wire - offsetof(struct upstream, wire));
}

int upstream_pool_new(struct proxy *proxy, struct upstream_pool **ret_pool)
{
	struct upstream_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return -ENOMEM;
	pool->proxy = proxy;
	*ret_pool = pool;
	return 0;
}

static size_t bucket_of(const struct upstream_key *key)
{
	uint32_t hash = key->port;

	for (size_t i = 0; i < sizeof(key->asked); i++)
		hash = hash * 31 + key->asked[i];
	return (hash ^ hash >> 15) % BUCKETS;
}

static bool same_place(const struct upstream_key *a, const struct upstream_key *b)
{
	return a->port == b->port && a->tls == b->tls &&
	       !memcmp(a->asked, b->asked, sizeof(a->asked));
}

static bool is_idle(const struct upstream *upstream)
{
	return upstream->listed && upstream->state == UPSTREAM_HTTP1;
}

static void list(struct upstream *upstream)
{
	struct upstream_pool *pool = upstream->pool;
	struct upstream **head = &pool->bucket[bucket_of(&upstream->key)];

	if (upstream->listed)
		return;
	upstream->listed = true;
	upstream->next = *head;
	upstream->previous = head;
	if (*head)
		(*head)->previous = &upstream->next;
	*head = upstream;
	pool->idle += upstream->state == UPSTREAM_HTTP1;
}

static void unlist(struct upstream *upstream)
{
	if (!upstream->listed)
		return;
	upstream->pool->idle -= is_idle(upstream);
	upstream->listed = false;
	*upstream->previous = upstream->next;
	if (upstream->next)
		upstream->next->previous = upstream->previous;
}

void upstream_leave(struct upstream *upstream)
{
	unlist(upstream);
}

static void discard(struct upstream *upstream)
{
	*upstream->all_previous = upstream->all_next;
	if (upstream->all_next)
		upstream->all_next->all_previous = upstream->all_previous;
	free(upstream);
}

static struct upstream_wait *take_wait(struct upstream *upstream)
{
	struct upstream_wait *wait = upstream->waits;

	if (wait) {
		upstream->waits = wait->next;
		*wait = (struct upstream_wait){.exchange = wait->exchange};
	}
	return wait;
}

void upstream_lost(struct upstream *upstream, enum exchange_failure failure, const char *why)
{
	struct upstream_wait *wait;

	if (upstream->wire.closed)
		return;
	unlist(upstream);
	question_give_up(upstream->pool->proxy->questions, upstream->question);
	upstream->question = NULL;
	if (upstream->opened)
		wire_close(&upstream->wire, upstream->state != UPSTREAM_HTTP1);
	upstream->wire.closed = true;
	upstream_http1_end(upstream);
	http2_free(upstream->http2);
	upstream->http2 = NULL;
	while ((wait = take_wait(upstream)))
		exchange_failed(wait->exchange, failure, why);
	if (!upstream->opened)
		discard(upstream);
}

void upstream_unused(struct upstream *upstream)
{
	struct upstream_pool *pool = upstream->pool;

	if (upstream->wire.ended || upstream->epoch != pool->epoch ||
	    pool->idle >= UPSTREAM_IDLE_MAX) {
		upstream_lost(upstream, EXCHANGE_UNREACHABLE, "");
		return;
	}
	upstream->wire.deadline = pool->proxy->now + PROXY_UPSTREAM_TIMEOUT;
	list(upstream);
}

static void serve_http1(struct upstream *upstream, struct exchange *exchange)
{
	struct stream *stream;

	unlist(upstream);
	stream = upstream_http1_open(upstream);
	exchange_connected(exchange, stream, upstream->served++ > 0);
}

static bool serve_http2(struct upstream *upstream, struct exchange *exchange)
{
	struct stream *stream;

	if (!http2_capacity(upstream->http2) ||
	    http2_open(upstream->http2, exchange, &exchange_events, &stream))
		return false;
	stream->wire = &upstream->wire;
	wire_schedule(&upstream->wire);
	exchange_connected(exchange, stream, upstream->served++ > 0);
	return true;
}

/* Who waits beyond what one connection serves has one made of its own. */
static void want_again(struct upstream *upstream, struct upstream_wait *wait);

void upstream_established(struct upstream *upstream)
{
	struct upstream_wait *wait;
	bool http2 = upstream->key.tls ? tls_is_h2(upstream->wire.conn.ssl) : upstream->key.http2;

	unlist(upstream);
	upstream->state = http2 ? UPSTREAM_HTTP2 : UPSTREAM_HTTP1;
	upstream->wire.deadline = upstream->pool->proxy->now + PROXY_UPSTREAM_TIMEOUT;
	if (http2 && upstream_http2_start(upstream)) {
		upstream_lost(upstream, EXCHANGE_BUSY, "out of memory");
		return;
	}
	if (http2) {
		list(upstream);
		while (!upstream->wire.closed && upstream->waits) {
			wait = take_wait(upstream);
			if (!serve_http2(upstream, wait->exchange))
				want_again(upstream, wait);
		}
		return;
	}
	wait = take_wait(upstream);
	while (upstream->waits)
		want_again(upstream, take_wait(upstream));
	if (wait)
		serve_http1(upstream, wait->exchange);
	else
		upstream_unused(upstream);
}

static void connecting(struct upstream *upstream)
{
	struct wire *wire = &upstream->wire;
	socklen_t size = sizeof(int);
	int error = 0, one = 1, r;
	char why[192];
	SSL *ssl;

	if (!wire->writable && !wire->broken)
		return;
	if (getsockopt(wire->conn.fd, SOL_SOCKET, SO_ERROR, &error, &size))
		error = errno;
	if (error || wire->broken) {
		snprintf(why, sizeof(why), "the server cannot be reached: %s",
			 strerror(error ? error : ECONNRESET));
		upstream_lost(upstream, EXCHANGE_UNREACHABLE, why);
		return;
	}
	setsockopt(wire->conn.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!upstream->key.tls) {
		upstream_established(upstream);
		return;
	}
	upstream->state = UPSTREAM_HANDSHAKE;
	r = tls_connect(wire->proxy->tls, wire->conn.fd, upstream->host, upstream->key.port,
			upstream->key.http2, &ssl);
	if (r)
		upstream_lost(upstream, EXCHANGE_BUSY, "out of memory");
	else
		conn_start_tls(&wire->conn, ssl);
}

static void handshake(struct upstream *upstream)
{
	struct wire *wire = &upstream->wire;
	char why[TLS_FAILURE_MAX];
	int r = conn_handshake(&wire->conn);

	if (r == 0) {
		wire->readable = wire->writable = false;
	} else if (r < 0) {
		upstream_lost(upstream, EXCHANGE_INSECURE,
			      tls_failure(wire->conn.ssl, why, sizeof(why)));
	} else {
		wire->readable = wire->writable = true;
		upstream_established(upstream);
	}
}

static void ready(struct wire *wire)
{
	struct upstream *upstream = upstream_of(wire);
	enum upstream_state state;

	do {
		state = upstream->state;
		switch (state) {
		case UPSTREAM_ASKED:
			break;
		case UPSTREAM_CONNECTING:
			connecting(upstream);
			break;
		case UPSTREAM_HANDSHAKE:
			handshake(upstream);
			break;
		case UPSTREAM_HTTP1:
			upstream_http1_ready(upstream);
			break;
		case UPSTREAM_HTTP2:
			upstream_http2_ready(upstream);
			break;
		}
	} while (!wire->closed && upstream->state != state);
}

static void expired(struct wire *wire)
{
	struct upstream *upstream = upstream_of(wire);

	upstream->http1.error = STREAM_TIMEOUT;
	upstream_lost(upstream, EXCHANGE_UNREACHABLE,
		      upstream->state < UPSTREAM_HTTP1 ? "the server did not answer in time"
						       : "the server has stopped answering");
}

static void end(struct wire *wire)
{
	upstream_lost(upstream_of(wire), EXCHANGE_UNREACHABLE, "the proxy ends");
}

static void destroy(struct wire *wire)
{
	discard(upstream_of(wire));
}

static const struct wire_ops upstream_ops = {
	.ready = ready,
	.expired = expired,
	.close = end,
	.destroy = destroy,
};

static struct upstream *upstream_new(struct upstream_pool *pool, const struct upstream_key *key,
				     const struct upstream_wish *wish)
{
	struct upstream *upstream = calloc(1, sizeof(*upstream));
	const char *host = wish->route ? wish->route->told->host : wish->origin->host;
	size_t length = strlen(host);

	if (!upstream)
		return NULL;
	if (length > WORKER_NAME_MAX)
		length = WORKER_NAME_MAX;
	memcpy(upstream->host, host, length);
	upstream->pool = pool;
	upstream->key = *key;
	upstream->epoch = pool->epoch;
	upstream->wire.proxy = pool->proxy;
	upstream->wire.conn.fd = -1;
	upstream->all_next = pool->all;
	upstream->all_previous = &pool->all;
	if (pool->all)
		pool->all->all_previous = &upstream->all_next;
	pool->all = upstream;
	return upstream;
}

static void add_wait(struct upstream *upstream, struct upstream_wait *wait)
{
	struct upstream_wait **last = &upstream->waits;

	while (*last)
		last = &(*last)->next;
	wait->upstream = upstream;
	wait->next = NULL;
	*last = wait;
}

static int ask(struct upstream *upstream, const struct upstream_wish *wish)
{
	struct question_queue *questions = upstream->pool->proxy->questions;

	if (wish->route)
		return question_ask_route(questions, upstream, upstream->host, upstream->key.port,
					  &upstream->question);
	return question_ask_upstream(questions, upstream, upstream->key.asked, upstream->key.port,
				     wish->origin->generation->number, &upstream->question);
}

static void make(struct upstream_pool *pool, const struct upstream_key *key,
		 const struct upstream_wish *wish, struct upstream_wait *wait)
{
	struct upstream *upstream = upstream_new(pool, key, wish);

	if (!upstream || ask(upstream, wish)) {
		if (upstream)
			discard(upstream);
		exchange_failed(wait->exchange, EXCHANGE_BUSY, "out of memory");
		return;
	}
	add_wait(upstream, wait);
	if (key->http2)
		list(upstream);
}

static void want_again(struct upstream *upstream, struct upstream_wait *wait)
{
	struct upstream_wish wish;

	exchange_wish(wait->exchange, &wish);
	make(upstream->pool, &upstream->key, &wish, wait);
}

static struct upstream *find(struct upstream_pool *pool, const struct upstream_key *key,
			     enum upstream_state state)
{
	struct upstream *at = pool->bucket[bucket_of(key)];

	for (; at; at = at->next) {
		if (at->epoch != pool->epoch || !same_place(&at->key, key))
			continue;
		if (state == UPSTREAM_HTTP2 && at->state == state && !http2_capacity(at->http2))
			continue;
		if (state == UPSTREAM_ASKED ? at->state <= UPSTREAM_HANDSHAKE : at->state == state)
			return at;
	}
	return NULL;
}

/*
 * One that is still there, and on which nothing came that the next response would seem to begin
 * with.
 */
static struct upstream *find_quiet(struct upstream_pool *pool, const struct upstream_key *key)
{
	struct upstream *upstream;

	while ((upstream = find(pool, key, UPSTREAM_HTTP1))) {
		if (!upstream->wire.ended && wire_fill(&upstream->wire) == -EAGAIN)
			break;
		upstream_lost(upstream, EXCHANGE_UNREACHABLE, "");
	}
	return upstream;
}

/* A route is no address: what stands for it begins as only multicast ones do (RFC 4291 2.7). */
static struct upstream_key key_of(const struct upstream_wish *wish)
{
	struct upstream_key key = {
		.port = wish->origin->port,
		.tls = wish->tls,
		.http2 = wish->http2,
	};

	if (!wish->route) {
		memcpy(key.asked, wish->origin->asked, sizeof(key.asked));
		return key;
	}
	key.port = (uint16_t)wish->route->told->port;
	key.asked[0] = key.asked[1] = 0xff;
	memcpy(key.asked + 2, &wish->route->revision, sizeof(wish->route->revision));
	memcpy(key.asked + 12, &wish->route->index, sizeof(wish->route->index));
	return key;
}

void upstream_want(struct upstream_pool *pool, const struct upstream_wish *wish,
		   struct upstream_wait *wait)
{
	struct upstream_key key = key_of(wish);
	struct upstream *upstream;

	if (!wish->fresh && key.http2) {
		upstream = find(pool, &key, UPSTREAM_HTTP2);
		if (upstream && serve_http2(upstream, wait->exchange))
			return;
	}
	if (!wish->fresh) {
		upstream = find_quiet(pool, &key);
		if (upstream) {
			serve_http1(upstream, wait->exchange);
			return;
		}
	}
	upstream = key.http2 && !wish->fresh ? find(pool, &key, UPSTREAM_ASKED) : NULL;
	if (upstream)
		add_wait(upstream, wait);
	else
		make(pool, &key, wish, wait);
}

void upstream_unwant(struct upstream_pool *pool, struct upstream_wait *wait)
{
	struct upstream *upstream;

	if (!wait->upstream)
		return;
	for (struct upstream_wait **at = &wait->upstream->waits; *at; at = &(*at)->next) {
		if (*at == wait) {
			*at = wait->next;
			break;
		}
	}
	upstream = TAKE_PTR(wait->upstream);
	/*
	 * What is on its way is kept for the next, but a question is not: agents that come and go
	 * faster than it is answered would leave any number of them.
	 */
	if (upstream->state == UPSTREAM_ASKED && !upstream->waits)
		upstream_lost(upstream, EXCHANGE_UNREACHABLE, "");
}

void upstream_answered(struct upstream *upstream, const struct worker_upstream *answer, int fd)
{
	static const enum exchange_failure failures[] = {
		[WORKER_UPSTREAM_DENIED] = EXCHANGE_DENIED,
		[WORKER_UPSTREAM_SSRF] = EXCHANGE_SSRF,
		[WORKER_UPSTREAM_FAILED] = EXCHANGE_UNREACHABLE,
	};
	char why[192];
	int r;

	upstream->question = NULL;
	if (answer->status != WORKER_UPSTREAM_FOUND) {
		snprintf(why, sizeof(why), "%s",
			 answer->status == WORKER_UPSTREAM_SSRF
				 ? "it resolves only to addresses that are never allowed"
			 : answer->status == WORKER_UPSTREAM_DENIED
				 ? "the policy in force has no such endpoint"
			 : answer->error == -ENOENT ? "the name has no address"
						    : strerror(-answer->error));
		safe_close(fd);
		upstream_lost(upstream, failures[answer->status], why);
		return;
	}
	upstream->state = UPSTREAM_CONNECTING;
	upstream->opened = true;
	r = wire_open(&upstream->wire, upstream->pool->proxy, fd, &upstream_ops);
	if (r) {
		upstream->opened = false;
		upstream->wire.closed = false;
		upstream_lost(upstream, EXCHANGE_BUSY, "too many connections");
		return;
	}
	/* Nothing is known yet; epoll tells at once what there is. */
	upstream->wire.writable = false;
	upstream->wire.deadline = upstream->pool->proxy->now + PROXY_CONNECT_TIMEOUT;
}

void upstream_pool_flush(struct upstream_pool *pool)
{
	struct upstream *next;

	pool->epoch++;
	for (struct upstream *at = pool->all; at; at = next) {
		next = at->all_next;
		if (is_idle(at) || (at->state == UPSTREAM_HTTP2 && http2_idle(at->http2)))
			upstream_lost(at, EXCHANGE_UNREACHABLE, "");
		else
			unlist(at);
	}
}

void upstream_pool_close(struct upstream_pool *pool)
{
	struct upstream *next;

	for (struct upstream *at = pool->all; at; at = next) {
		next = at->all_next;
		upstream_lost(at, EXCHANGE_UNREACHABLE, "the proxy ends");
	}
}

void upstream_pool_free(struct upstream_pool *pool)
{
	free(pool);
}

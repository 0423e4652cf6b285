/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/dns_tcp.h"

#include "common/cleanup.h"
#include "proxy/pages.h"
#include "proxy/peer.h"

#include <netinet/tcp.h>
#include <string.h>

#define LENGTH	    2			      /* bytes before each message */
#define ANSWER_ROOM (LENGTH + DNS_ANSWER_MAX) /* held for each query that was taken */
#define IN_SIZE	    4096		      /* more than the longest query with its length */
#define OUT_SIZE    16384
#define NS_PER_MS   1000000ull

_Static_assert(IN_SIZE > LENGTH + DNS_QUERY_MAX, "a query fits");

struct connection {
	int fd;	    /* -1 = unused */
	bool ended; /* nothing more comes from the client */
	bool dirty; /* an answer was delivered */
	struct dns_client client;
	uint64_t active;
	uint32_t watched; /* epoll events */
	uint32_t waiting; /* queries that an answer will be delivered for */
	uint32_t in_len, out_start, out_len;
	uint8_t in[IN_SIZE], out[OUT_SIZE];
};

struct listener {
	int fd;
	bool paused; /* no descriptor to accept with */
};

struct dns_tcp {
	struct responder *responder;
	int epoll_fd;
	size_t listeners;
	uint32_t generation;
	uint32_t open;
	bool dirty;
	struct listener listener[DNS_TCP_LISTENERS];
	uint16_t top; /* no connection above was ever used */
	struct connection connection[DNS_TCP_CONNECTIONS];
};

int dns_tcp_new(struct responder *responder, int epoll_fd, struct dns_tcp **ret_tcp)
{
	struct dns_tcp *tcp = pages_new(sizeof(*tcp));

	if (!tcp)
		return -ENOMEM;
	tcp->responder = responder;
	tcp->epoll_fd = epoll_fd;
	*ret_tcp = tcp;
	return 0;
}

static struct worker_event event_of(const struct connection *c)
{
	return (struct worker_event){
		.owner = WORKER_EVENT_DNS_CONNECTION,
		.index = (uint16_t)c->client.socket,
		.generation = c->client.generation,
	};
}

static void close_connection(struct dns_tcp *tcp, struct connection *c)
{
	if (c->waiting)
		responder_forget(tcp->responder, &c->client);
	c->fd = safe_close(c->fd);
	tcp->open--;
}

void dns_tcp_free(struct dns_tcp *tcp)
{
	if (!tcp)
		return;
	for (size_t i = 0; i < tcp->listeners; i++)
		safe_close(tcp->listener[i].fd);
	for (size_t i = 0; i < tcp->top; i++)
		if (tcp->connection[i].fd >= 0)
			close_connection(tcp, &tcp->connection[i]);
	pages_free(tcp, sizeof(*tcp));
}

static int watch_listener(struct dns_tcp *tcp, size_t index, int op, bool paused)
{
	const struct worker_event event = {
		.owner = WORKER_EVENT_DNS_LISTENER,
		.index = (uint16_t)index,
	};

	tcp->listener[index].paused = paused;
	if (worker_event_watch(tcp->epoll_fd, op, tcp->listener[index].fd, paused ? 0 : EPOLLIN,
			       event))
		return -errno;
	return 0;
}

int dns_tcp_add(struct dns_tcp *tcp, int fd)
{
	int one = 1, r;

	if (tcp->listeners >= DNS_TCP_LISTENERS)
		return -E2BIG;
	/* Inherited by what is accepted: pipelined answers do not wait for acknowledgements. */
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		return -errno;
	tcp->listener[tcp->listeners].fd = fd;
	r = watch_listener(tcp, tcp->listeners, EPOLL_CTL_ADD, false);
	if (r == 0)
		tcp->listeners++;
	return r;
}

/* End the one that has been quiet for longest, one that waits for nothing if there is any. */
static bool evict(struct dns_tcp *tcp)
{
	struct connection *victim = NULL;

	for (size_t i = 0; i < tcp->top; i++) {
		struct connection *c = &tcp->connection[i];

		if (c->fd >= 0 && (!victim || (!c->waiting && victim->waiting) ||
				   (!c->waiting == !victim->waiting && c->active < victim->active)))
			victim = c;
	}
	if (victim)
		close_connection(tcp, victim);
	return victim;
}

static struct connection *unused(struct dns_tcp *tcp)
{
	if (tcp->open >= DNS_TCP_CONNECTIONS)
		evict(tcp);
	for (size_t i = 0; i < tcp->top; i++)
		if (tcp->connection[i].fd < 0)
			return &tcp->connection[i];
	return &tcp->connection[tcp->top++];
}

static bool adopt(struct dns_tcp *tcp, int fd, const struct worker_peer *peer, uint64_t now)
{
	struct connection *c = unused(tcp);

	c->client.socket = (uint32_t)(c - tcp->connection);
	c->client.generation = ++tcp->generation;
	c->client.peer = *peer;
	c->ended = c->dirty = false;
	c->active = now;
	c->watched = EPOLLIN;
	c->waiting = c->in_len = c->out_start = c->out_len = 0;
	c->fd = -1;
	if (worker_event_watch(tcp->epoll_fd, EPOLL_CTL_ADD, fd, c->watched, event_of(c)))
		return false;
	c->fd = fd;
	tcp->open++;
	return true;
}

/* One at a time: with no descriptor left, asking for another says so even if nobody is there. */
void dns_tcp_accept(struct dns_tcp *tcp, size_t index, uint64_t now)
{
	union peer_address address = {};
	socklen_t size = sizeof(address);
	int fd =
		accept4(tcp->listener[index].fd, &address.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct worker_peer peer;

	if (fd >= 0) {
		if (peer_from_address(&address, IPPROTO_TCP, &peer) || !adopt(tcp, fd, &peer, now))
			safe_close(fd);
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		/* The listener stays readable: without a pause this would be a busy loop. */
		if (!evict(tcp))
			watch_listener(tcp, index, EPOLL_CTL_MOD, true);
	}
}

/* Room for answers to the queries that were taken, and for one more. */
static bool can_answer(const struct connection *c)
{
	return OUT_SIZE - c->out_len >= (c->waiting + 1) * ANSWER_ROOM;
}

static void append(struct connection *c, const uint8_t *data, size_t size)
{
	if (c->out_start + c->out_len + LENGTH + size > OUT_SIZE) {
		memmove(c->out, c->out + c->out_start, c->out_len);
		c->out_start = 0;
	}
	c->out[c->out_start + c->out_len++] = (uint8_t)(size >> 8);
	c->out[c->out_start + c->out_len++] = (uint8_t)size;
	memcpy(c->out + c->out_start + c->out_len, data, size);
	c->out_len += (uint32_t)size;
}

/* Take the complete queries that can be answered. False: the connection is to end. */
static bool take_queries(struct dns_tcp *tcp, struct connection *c, uint64_t now)
{
	uint32_t at = 0;

	while (c->in_len - at >= LENGTH && can_answer(c)) {
		size_t length = (size_t)c->in[at] << 8 | c->in[at + 1], size;
		uint8_t answer[DNS_ANSWER_MAX];

		if (length > DNS_QUERY_MAX)
			return false;
		if (c->in_len - at < LENGTH + length)
			break;
		switch (responder_query(tcp->responder, &c->client, c->in + at + LENGTH, length,
					now, answer, &size)) {
		case RESPONDER_ANSWERED:
			append(c, answer, size);
			break;
		case RESPONDER_WAITS:
			c->waiting++;
			break;
		case RESPONDER_IGNORED:
			return false;
		}
		c->active = now;
		at += (uint32_t)(LENGTH + length);
	}
	if (at)
		memmove(c->in, c->in + at, c->in_len - at);
	c->in_len -= at;
	return true;
}

/* False: the connection is broken. */
static bool receive(struct connection *c)
{
	ssize_t n;

	if (c->ended || c->in_len == IN_SIZE)
		return true;
	n = recv(c->fd, c->in + c->in_len, IN_SIZE - c->in_len, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->ended = n == 0;
	c->in_len += (uint32_t)n;
	return true;
}

static bool send_answers(struct connection *c, uint64_t now)
{
	ssize_t n;

	if (!c->out_len)
		return true;
	n = send(c->fd, c->out + c->out_start, c->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->active = now;
	c->out_len -= (uint32_t)n;
	c->out_start = c->out_len ? c->out_start + (uint32_t)n : 0;
	return true;
}

static bool watch(struct dns_tcp *tcp, struct connection *c)
{
	uint32_t events = (!c->ended && c->in_len < IN_SIZE && can_answer(c) ? EPOLLIN : 0) |
			  (c->out_len ? EPOLLOUT : 0);

	if (events == c->watched)
		return true;
	c->watched = events;
	return !worker_event_watch(tcp->epoll_fd, EPOLL_CTL_MOD, c->fd, events, event_of(c));
}

/* Go as far as this connection's client and the supervisor let it. */
static void advance(struct dns_tcp *tcp, struct connection *c, uint64_t now)
{
	bool alive = take_queries(tcp, c, now) && send_answers(c, now);

	/* What was sent has made room, and what is in the buffer already wakes nobody. */
	while (alive && c->in_len && can_answer(c)) {
		uint32_t before = c->in_len;

		alive = take_queries(tcp, c, now) && send_answers(c, now);
		if (c->in_len == before)
			break;
	}
	if (c->ended && !c->waiting && !c->out_len)
		alive = false;
	if (!alive || !watch(tcp, c))
		close_connection(tcp, c);
}

void dns_tcp_ready(struct dns_tcp *tcp, struct worker_event event, uint32_t events, uint64_t now)
{
	struct connection *c = &tcp->connection[event.index];

	if (c->fd < 0 || c->client.generation != event.generation)
		return;
	if (events & (EPOLLERR | EPOLLHUP) || !receive(c)) {
		close_connection(tcp, c);
		return;
	}
	advance(tcp, c, now);
}

void dns_tcp_deliver(struct dns_tcp *tcp, const struct dns_client *client, const uint8_t *data,
		     size_t size)
{
	struct connection *c = &tcp->connection[client->socket];

	if (c->fd < 0 || c->client.generation != client->generation)
		return;
	c->waiting--;
	append(c, data, size);
	c->dirty = tcp->dirty = true;
}

void dns_tcp_settle(struct dns_tcp *tcp, uint64_t now)
{
	if (!tcp->dirty)
		return;
	tcp->dirty = false;
	for (size_t i = 0; i < tcp->top; i++) {
		struct connection *c = &tcp->connection[i];

		if (c->fd < 0 || !c->dirty)
			continue;
		c->dirty = false;
		advance(tcp, c, now);
	}
}

void dns_tcp_tick(struct dns_tcp *tcp, uint64_t now)
{
	for (size_t i = 0; i < tcp->top; i++) {
		struct connection *c = &tcp->connection[i];

		if (c->fd >= 0 && !c->waiting && now - c->active >= DNS_TCP_IDLE_MS * NS_PER_MS)
			close_connection(tcp, c);
	}
	for (size_t i = 0; i < tcp->listeners; i++)
		if (tcp->listener[i].paused)
			watch_listener(tcp, i, EPOLL_CTL_MOD, false);
}

bool dns_tcp_waits(const struct dns_tcp *tcp)
{
	bool paused = false;

	for (size_t i = 0; i < tcp->listeners; i++)
		paused |= tcp->listener[i].paused;
	return tcp->open || paused;
}

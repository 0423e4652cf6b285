/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/worker.h"

#include "common/cleanup.h"
#include "common/worker_protocol.h"
#include "proxy/dns_tcp.h"
#include "proxy/dns_udp.h"
#include "proxy/ask_relay.h"
#include "proxy/proxy.h"
#include "proxy/responder.h"
#include "proxy/worker_event.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <time.h>

#define EVENTS	 64 /* in one turn */
#define MESSAGES 64 /* of the supervisor, in one turn */
#define TICK_MS	 500

struct worker {
	int channel, epoll_fd;
	uint32_t watched; /* epoll events of the channel */
	struct responder *responder;
	struct dns_udp *udp;
	struct dns_tcp *tcp;
	struct ask_relay *relay;
	struct proxy *proxy; /* NULL: no listener was given */
	uint64_t now, tick;
};

/* Time that a suspended machine sleeps counts: what was said of names grows old in it. */
static uint64_t clock_now(void)
{
	struct timespec ts = {};

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static void deliver(void *arg, const struct dns_client *client, const uint8_t *data, size_t size)
{
	struct worker *w = arg;

	if (client->peer.protocol == IPPROTO_UDP)
		dns_udp_deliver(w->udp, client, data, size);
	else
		dns_tcp_deliver(w->tcp, client, data, size);
}

static int nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ? -errno : 0;
}

/* What it wants to hear of the channel: room, only when there is something to send. */
static int watch_channel(struct worker *w, int op)
{
	bool blocked = responder_blocked(w->responder) || ask_relay_blocked(w->relay) ||
		       (w->proxy && proxy_blocked(w->proxy));
	uint32_t events = EPOLLIN | (blocked ? EPOLLOUT : 0);

	if (events == w->watched)
		return 0;
	w->watched = events;
	return worker_event_watch(w->epoll_fd, op, w->channel, events,
				  (struct worker_event){.owner = WORKER_EVENT_CHANNEL})
		       ? -errno
		       : 0;
}

static int add_socket(struct worker *w, uint32_t socket, int fd)
{
	int r = nonblocking(fd);

	if (r)
		return r;
	switch (socket) {
	case WORKER_SOCKET_DNS_UDP4:
	case WORKER_SOCKET_DNS_UDP6:
		return dns_udp_add(w->udp, w->epoll_fd, fd);
	case WORKER_SOCKET_DNS_TCP4:
	case WORKER_SOCKET_DNS_TCP6:
		return dns_tcp_add(w->tcp, fd);
	case WORKER_SOCKET_PROXY:
		return proxy_add(w->proxy, fd);
	default:
		return ask_relay_add(w->relay, fd);
	}
}

/* Which of @fds a bit of @sockets is; -1 if it is not there. */
static int socket_of(uint32_t sockets, const int fds[], uint32_t bit)
{
	if (!(sockets & bit))
		return -1;
	return fds[__builtin_popcount(sockets & (bit - 1))];
}

static int prepare_proxy(struct worker *w, uint32_t sockets, const int fds[],
			 struct tls_ca_store *store)
{
	const struct proxy_options options = {
		.epoll_fd = w->epoll_fd,
		.channel = w->channel,
		.records = socket_of(sockets, fds, WORKER_SOCKET_RECORDS),
		.store = store,
	};

	return sockets & WORKER_SOCKET_PROXY ? proxy_new(&options, &w->proxy) : 0;
}

static int prepare(struct worker *w, uint32_t sockets, const int fds[], struct tls_ca_store *store)
{
	const struct responder_options options = {
		.channel = w->channel,
		.deliver = deliver,
		.arg = w,
	};
	int r;

	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll_fd < 0)
		return -errno;
	r = responder_new(&options, &w->responder);
	if (r == 0)
		r = dns_udp_new(w->responder, &w->udp);
	if (r == 0)
		r = dns_tcp_new(w->responder, w->epoll_fd, &w->tcp);
	if (r == 0)
		r = ask_relay_new(w->epoll_fd, w->channel, &w->relay);
	if (r == 0)
		r = prepare_proxy(w, sockets, fds, store);
	if (r == 0)
		r = nonblocking(w->channel);
	if (r == 0)
		r = watch_channel(w, EPOLL_CTL_ADD);
	for (uint32_t bit = 1; r == 0 && bit < 1u << WORKER_SOCKETS; bit <<= 1)
		if (sockets & bit && bit != WORKER_SOCKET_RECORDS)
			r = add_socket(w, bit, socket_of(sockets, fds, bit));
	return r;
}

static int hear_proxy(struct worker *w, const union worker_message *message, int fd)
{
	int r = -EBADMSG;

	if (!w->proxy) {
		safe_close(fd);
		/* It is told to all; nothing of it is for who has no listener. */
		return message->header.kind == WORKER_POLICY ? 0 : r;
	}
	switch (message->header.kind) {
	case WORKER_POLICY:
		r = proxy_policy(w->proxy, &message->policy, fd);
		break;
	case WORKER_ORIGIN:
		r = proxy_origin(w->proxy, &message->origin);
		break;
	case WORKER_UPSTREAM:
		r = proxy_upstream(w->proxy, &message->upstream, fd);
		break;
	case WORKER_PROBE:
		r = proxy_probe(w->proxy, &message->probe, fd);
		break;
	}
	return r;
}

/* 1: go on; 0: the supervisor has gone. */
static int hear(struct worker *w)
{
	for (int i = 0; i < MESSAGES; i++) {
		union worker_message message;
		int fd = -1, r;
		size_t fds = 0;

		r = worker_message_receive(w->channel, WORKER_TO_WORKER, &message, &fd, 1, &fds);
		if (r <= 0)
			return r == -EAGAIN ? 1 : r;
		if (fds && message.header.kind != WORKER_FLOW &&
		    message.header.kind != WORKER_POLICY &&
		    message.header.kind != WORKER_PROBE &&
		    message.header.kind != WORKER_UPSTREAM) {
			safe_close(fd);
			return -EBADMSG;
		}
		switch (message.header.kind) {
		case WORKER_NAME:
			r = responder_answer(w->responder, &message.name, w->now);
			break;
		case WORKER_FLOW:
			r = ask_relay_verdict(w->relay, &message.flow, fds ? fd : -1);
			break;
		case WORKER_FLUSH:
			responder_flush(w->responder);
			break;
		default:
			r = hear_proxy(w, &message, fds ? fd : -1);
			break;
		}
		if (r < 0)
			return r;
	}
	return 1;
}

/* 1: go on; 0: the supervisor has gone. */
static int handle(struct worker *w, const struct epoll_event *e)
{
	struct worker_event event = worker_event_of(e);

	switch ((enum worker_event_owner)event.owner) {
	case WORKER_EVENT_CHANNEL:
		if (e->events & EPOLLOUT) {
			responder_send(w->responder);
			ask_relay_send(w->relay);
			if (w->proxy)
				proxy_send(w->proxy);
		}
		return e->events & ~(uint32_t)EPOLLOUT ? hear(w) : 1;
	case WORKER_EVENT_DNS_UDP:
		dns_udp_ready(w->udp, event.index, w->now);
		break;
	case WORKER_EVENT_DNS_LISTENER:
		dns_tcp_accept(w->tcp, event.index, w->now);
		break;
	case WORKER_EVENT_DNS_CONNECTION:
		dns_tcp_ready(w->tcp, event, e->events, w->now);
		break;
	case WORKER_EVENT_ASK_LISTENER:
		ask_relay_accept(w->relay, event.index, w->now);
		break;
	case WORKER_EVENT_ASK_CONNECTION:
		ask_relay_ready(w->relay, event, e->events);
		break;
	case WORKER_EVENT_PROXY_LISTENER:
		proxy_accept(w->proxy, w->now);
		break;
	case WORKER_EVENT_PROXY_CONNECTION:
		proxy_ready(w->proxy, event, e->events, w->now);
		break;
	}
	return 1;
}

static bool anything_waits(const struct worker *w)
{
	return responder_waits(w->responder) || dns_tcp_waits(w->tcp) ||
	       ask_relay_waits(w->relay) || (w->proxy && proxy_waits(w->proxy));
}

/* For how long the loop may sleep, ms. */
static int patience(const struct worker *w, int most)
{
	int tick = anything_waits(w) ? TICK_MS : -1;

	return most < 0 || (tick >= 0 && tick < most) ? tick : most;
}

static int loop(struct worker *w)
{
	struct epoll_event events[EVENTS];
	int r = 1, most = -1;

	while (r > 0) {
		int n = epoll_wait(w->epoll_fd, events, EVENTS, patience(w, most));

		if (n < 0 && errno != EINTR)
			return -errno;
		w->now = clock_now();
		for (int i = 0; i < n && r > 0; i++)
			r = handle(w, &events[i]);
		if (w->now >= w->tick) {
			responder_tick(w->responder, w->now);
			/* Who is told just now that nothing came is not idle. */
			dns_tcp_settle(w->tcp, w->now);
			dns_tcp_tick(w->tcp, w->now);
			ask_relay_tick(w->relay, w->now);
			if (w->proxy)
				proxy_tick(w->proxy, w->now);
			w->tick = w->now + TICK_MS * 1000000ull;
		}
		dns_tcp_settle(w->tcp, w->now);
		most = w->proxy ? proxy_settle(w->proxy, w->now) : -1;
		if (r > 0 && watch_channel(w, EPOLL_CTL_MOD))
			r = -EIO;
	}
	return r;
}

int worker_main(int channel, uint32_t sockets, const int fds[], struct tls_ca_store *store)
{
	struct worker w = {.channel = channel, .epoll_fd = -1};
	union worker_message ready;
	int r = prepare(&w, sockets, fds, store);

	worker_message_init(&ready, WORKER_READY, 0);
	if (r == 0)
		r = worker_message_send(channel, &ready, NULL, 0);
	if (r == 0)
		r = loop(&w);
	dns_udp_free(w.udp);
	dns_tcp_free(w.tcp);
	ask_relay_free(w.relay);
	proxy_free(w.proxy);
	responder_free(w.responder);
	safe_close(w.epoll_fd);
	safe_close(channel);
	return r;
}

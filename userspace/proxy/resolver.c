/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/resolver.h"

#include "common/cleanup.h"
#include "common/worker_protocol.h"

#include <ares.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#define QUERIES_MAX   256 /* further questions wait in the channel */
#define EVENTS	      32
#define TIMEOUT_MS    2000 /* of one try at one server; c-ares doubles it for the next */
#define TRIES	      2
#define EDNS_BYTES    1232 /* of an answer that no path has to fragment */
#define HOSTS_TTL     10   /* seconds, of what /etc/hosts says: edits shall be seen */
#define NEGATIVE_TTL  10   /* c-ares does not tell the zone's own */
#define RESOLV_CONF   "/etc/resolv.conf"
#define FAMILIES      2
#define CHANNEL_EVENT UINT64_MAX

struct resolver;

/* One family of a name. */
struct answer {
	int status; /* of c-ares */
	uint32_t ttl;
	size_t count;
	uint8_t address[WORKER_ADDRESSES_MAX][16];
};

struct query {
	struct resolver *resolver;
	struct query *next_free;
	uint32_t id;
	uint8_t length;
	char name[WORKER_NAME_MAX + 1];
	bool restart;
	unsigned int pending; /* callbacks to come */
	struct answer answer[FAMILIES];
};

static const int families[FAMILIES] = {AF_INET, AF_INET6};

struct resolver {
	int channel, epoll;
	bool listening; /* to the channel: not while all queries are busy */
	ares_channel hosts, dns;
	struct stat conf; /* resolv.conf that `dns` was made from */
	time_t conf_looked;
	struct query *free;
	size_t used; /* of query[]: pages behind it were never touched */
	struct query query[QUERIES_MAX];
	int error; /* ends the loop */
};

static void start_query(struct query *query);

static time_t now_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

/* c-ares tells which sockets it waits for. */
static void on_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct resolver *r = arg;
	struct epoll_event event = {
		.events = (readable ? EPOLLIN : 0) | (writable ? EPOLLOUT : 0),
		.data.u64 = (uint64_t)fd,
	};

	if (!event.events)
		epoll_ctl(r->epoll, EPOLL_CTL_DEL, fd, NULL);
	else if (epoll_ctl(r->epoll, EPOLL_CTL_MOD, fd, &event) < 0)
		/* One that cannot be watched times out. */
		epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &event);
}

/* @lookups: "f" the hosts file, "b" the DNS. */
static int make_channel(struct resolver *r, const char *lookups, ares_channel *ret_channel)
{
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
		.ednspsz = EDNS_BYTES,
		.timeout = TIMEOUT_MS,
		.tries = TRIES,
		.lookups = (char *)lookups,
		.sock_state_cb = on_socket,
		.sock_state_cb_data = r,
	};

	return ares_init_options(ret_channel, &options,
				 ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
					 ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB |
					 ARES_OPT_DOMAINS | ARES_OPT_EDNSPSZ)
		       ? -ENOMEM
		       : 0;
}

static void send_found(struct resolver *r, const union worker_message *message)
{
	struct pollfd pollfd = {.fd = r->channel, .events = POLLOUT};
	int sent;

	/* The supervisor reads; until it does, there is nothing better to do. */
	while ((sent = worker_message_send(r->channel, message, NULL, 0)) == -EAGAIN)
		if (poll(&pollfd, 1, -1) < 0 && errno != EINTR)
			break;
	if (sent && sent != -EPIPE)
		r->error = sent;
}

static size_t take_addresses(struct worker_found *found, const struct answer *from, size_t max)
{
	size_t n = from->count < max ? from->count : max;

	memcpy(found->address[found->count], from->address, n * sizeof(from->address[0]));
	found->count += (uint16_t)n;
	return n;
}

static bool is_none(int status)
{
	return status == ARES_ENOTFOUND || status == ARES_ENODATA;
}

/* Both families are in: what was found, or that there is nothing, or that it cannot be said. */
static void finish_query(struct query *query)
{
	struct resolver *r = query->resolver;
	const struct answer *v4 = &query->answer[0], *v6 = &query->answer[1];
	union worker_message message;
	struct worker_found *found = &message.found;

	worker_message_init(&message, WORKER_FOUND, query->id);
	if (v4->count || v6->count) {
		size_t half = WORKER_ADDRESSES_MAX / 2;
		size_t room = WORKER_ADDRESSES_MAX - (v6->count < half ? v6->count : half);

		found->status = WORKER_NAME_FOUND;
		found->ttl = v4->ttl < v6->ttl ? v4->ttl : v6->ttl;
		take_addresses(found, v4, room);
		take_addresses(found, v6, WORKER_ADDRESSES_MAX - found->count);
	} else if (is_none(v4->status) && is_none(v6->status)) {
		found->status = WORKER_NAME_NONE;
		found->ttl = NEGATIVE_TTL;
	} else {
		found->status = WORKER_NAME_FAILED;
	}
	query->next_free = r->free;
	r->free = query;
	send_found(r, &message);
}

static void add_address(struct answer *answer, const struct ares_addrinfo_node *node)
{
	uint8_t address[16] = {[10] = 0xff, [11] = 0xff};

	if (answer->count == WORKER_ADDRESSES_MAX)
		return;
	if (node->ai_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)node->ai_addr;

		memcpy(address + 12, &in->sin_addr, 4);
	} else if (node->ai_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)node->ai_addr;

		memcpy(address, &in6->sin6_addr, 16);
	} else {
		return;
	}
	for (size_t i = 0; i < answer->count; i++)
		if (!memcmp(answer->address[i], address, sizeof(address)))
			return;
	memcpy(answer->address[answer->count++], address, sizeof(address));
}

static void lower_ttl(struct answer *answer, int ttl)
{
	uint32_t seconds = ttl > 0 ? (uint32_t)ttl : 0;

	if (seconds < answer->ttl)
		answer->ttl = seconds;
}

static void read_result(const struct ares_addrinfo *result, struct answer *answer)
{
	for (const struct ares_addrinfo_node *n = result->nodes; n; n = n->ai_next) {
		add_address(answer, n);
		lower_ttl(answer, n->ai_ttl);
	}
	for (const struct ares_addrinfo_cname *c = result->cnames; c; c = c->next)
		lower_ttl(answer, c->ttl);
}

static void on_answer(struct query *query, size_t family, int status, struct ares_addrinfo *result)
{
	struct answer *answer = &query->answer[family];

	*answer = (struct answer){.status = status, .ttl = UINT32_MAX};
	if (status == ARES_SUCCESS && result)
		read_result(result, answer);
	if (status == ARES_SUCCESS && !answer->count)
		answer->status = ARES_ENODATA;
	ares_freeaddrinfo(result);
	/* The servers were changed under it; destruction is the process's end. */
	query->restart |= status == ARES_ECANCELLED;
	if (--query->pending || status == ARES_EDESTRUCTION)
		return;
	if (query->restart)
		start_query(query);
	else
		finish_query(query);
}

static void on_ipv4(void *arg, int status, int timeouts, struct ares_addrinfo *result)
{
	on_answer(arg, 0, status, result);
}

static void on_ipv6(void *arg, int status, int timeouts, struct ares_addrinfo *result)
{
	on_answer(arg, 1, status, result);
}

/* Calls back before it returns. */
static void on_hosts(void *arg, int status, int timeouts, struct ares_addrinfo *result)
{
	struct query *query = arg;
	struct answer *answer = &query->answer[0];

	*answer = (struct answer){.status = status, .ttl = HOSTS_TTL};
	query->answer[1] = (struct answer){.status = ARES_ENOTFOUND, .ttl = HOSTS_TTL};
	if (status == ARES_SUCCESS && result)
		for (const struct ares_addrinfo_node *n = result->nodes; n; n = n->ai_next)
			add_address(&query->answer[n->ai_family == AF_INET6], n);
	ares_freeaddrinfo(result);
}

static void start_query(struct query *query)
{
	struct resolver *r = query->resolver;
	struct ares_addrinfo_hints hints = {
		.ai_flags = ARES_AI_NOSORT,
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};

	query->restart = false;
	ares_getaddrinfo(r->hosts, query->name, NULL, &hints, on_hosts, query);
	if (query->answer[0].count || query->answer[1].count) {
		finish_query(query);
		return;
	}
	/*
	 * Each family for itself: asked for both at once, c-ares says of a name whose addresses of
	 * one family could not be had that it has none.
	 */
	query->pending = FAMILIES;
	for (size_t i = 0; i < FAMILIES; i++) {
		hints.ai_family = families[i];
		ares_getaddrinfo(r->dns, query->name, NULL, &hints, i ? on_ipv6 : on_ipv4, query);
	}
}

/* Another resolv.conf: what is under way starts again with the new servers. */
static void look_at_conf(struct resolver *r)
{
	struct stat st = {};
	time_t now = now_seconds();
	ares_channel dns, old = r->dns;

	if (now == r->conf_looked)
		return;
	r->conf_looked = now;
	if (stat(RESOLV_CONF, &st) < 0)
		memset(&st, 0, sizeof(st));
	if (st.st_ino == r->conf.st_ino && st.st_dev == r->conf.st_dev &&
	    st.st_size == r->conf.st_size && st.st_mtim.tv_sec == r->conf.st_mtim.tv_sec &&
	    st.st_mtim.tv_nsec == r->conf.st_mtim.tv_nsec)
		return;
	if (make_channel(r, "b", &dns))
		return;
	r->conf = st;
	r->dns = dns;
	ares_cancel(old);
	ares_destroy(old);
}

static void listen_to_channel(struct resolver *r, bool listen)
{
	struct epoll_event event = {.events = listen ? EPOLLIN : 0, .data.u64 = CHANNEL_EVENT};

	if (listen == r->listening)
		return;
	r->listening = listen;
	if (epoll_ctl(r->epoll, EPOLL_CTL_MOD, r->channel, &event) < 0)
		r->error = -errno;
}

static bool has_room(const struct resolver *r)
{
	return r->free || r->used < QUERIES_MAX;
}

static struct query *take_query(struct resolver *r)
{
	struct query *query = r->free;

	if (query)
		r->free = query->next_free;
	else
		query = &r->query[r->used++];
	query->resolver = r;
	return query;
}

static void read_channel(struct resolver *r)
{
	while (has_room(r) && !r->error) {
		union worker_message message;
		struct query *query;
		int got = worker_message_receive(r->channel, WORKER_TO_RESOLVER, &message, NULL, 0,
						 NULL);

		if (got == -EAGAIN)
			return;
		if (got <= 0) {
			r->error = got ? got : -ESHUTDOWN;
			return;
		}
		query = take_query(r);
		query->id = message.header.id;
		query->length = message.lookup.length;
		memcpy(query->name, message.lookup.name, sizeof(query->name));
		start_query(query);
	}
}

/* Until the next of c-ares's timeouts, rounded up. */
static int wait_ms(struct resolver *r)
{
	struct timeval tv, *next = ares_timeout(r->dns, NULL, &tv);

	if (!next)
		return -1;
	return next->tv_sec > 60 ? 60000 : (int)(next->tv_sec * 1000 + next->tv_usec / 1000 + 1);
}

static int loop(struct resolver *r)
{
	struct epoll_event event[EVENTS];

	while (!r->error) {
		int n = epoll_wait(r->epoll, event, EVENTS, wait_ms(r));

		if (n < 0 && errno != EINTR)
			return -errno;
		look_at_conf(r);
		for (int i = 0; i < n && !r->error; i++) {
			int fd = (int)event[i].data.u64;

			if (event[i].data.u64 == CHANNEL_EVENT) {
				read_channel(r);
				continue;
			}
			ares_process_fd(r->dns, event[i].events & ~EPOLLOUT ? fd : ARES_SOCKET_BAD,
					event[i].events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
		}
		if (n <= 0)
			ares_process_fd(r->dns, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
		listen_to_channel(r, has_room(r));
	}
	return r->error == -ESHUTDOWN ? 0 : r->error;
}

int resolver_main(int channel)
{
	static struct resolver resolver;
	struct resolver *r = &resolver;
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = CHANNEL_EVENT};
	union worker_message ready;
	int error;

	r->channel = channel;
	r->listening = true;
	r->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (r->epoll < 0 || fcntl(channel, F_SETFL, O_NONBLOCK) < 0 ||
	    epoll_ctl(r->epoll, EPOLL_CTL_ADD, channel, &event) < 0)
		return -errno;
	if (ares_library_init(ARES_LIB_INIT_ALL))
		return -ENOMEM;
	error = make_channel(r, "f", &r->hosts);
	if (!error && stat(RESOLV_CONF, &r->conf) < 0)
		memset(&r->conf, 0, sizeof(r->conf));
	if (!error)
		error = make_channel(r, "b", &r->dns);
	if (error)
		return error;
	r->conf_looked = now_seconds();
	worker_message_init(&ready, WORKER_READY, 0);
	error = worker_message_send(channel, &ready, NULL, 0);
	return error ? error : loop(r);
}

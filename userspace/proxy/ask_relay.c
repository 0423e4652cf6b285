/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/ask_relay.h"

#include "common/cleanup.h"
#include "proxy/pages.h"
#include "proxy/peer.h"

#include <netinet/tcp.h>
#include <string.h>

#define ROUNDS	  16 /* buffers that one direction moves before others get their turn */
#define NS_PER_MS 1000000ull

_Static_assert(RELAY_CONNECTIONS + 512 <= WORKER_OUTSTANDING_MAX, "names are asked about too");

enum state {
	FREE,
	UNSENT,	    /* to be asked about */
	ASKED,	    /* waits for the verdict */
	ABANDONED,  /* closed; the supervisor still counts the question */
	CONNECTING, /* allowed; the far end is not there yet */
	RELAYED,
};

/* From the end of the same index to the other one. */
struct direction {
	uint32_t start, len; /* of what is in the buffer */
	bool ended;	     /* nothing more comes */
	bool shut;	     /* and the other end was told */
};

enum {
	AGENT,
	FAR,
	ENDS,
};

struct connection {
	enum state state;
	uint32_t generation;
	uint64_t deadline;
	struct worker_peer peer, local;
	int fd[ENDS];
	uint32_t watched[ENDS]; /* epoll events, EPOLLHUP and EPOLLERR among them; 0 = not in the
				 * set */
	struct direction direction[ENDS];
};

struct listener {
	int fd;
	bool paused; /* no descriptor to accept with */
};

/* Buffers begin on pages of their own, which are given back when a connection ends. */
struct buffers {
	_Alignas(4096) uint8_t data[ENDS][RELAY_BUFFER];
};

struct ask_relay {
	struct buffers buffer[RELAY_CONNECTIONS];
	struct connection connection[RELAY_CONNECTIONS];
	struct listener listener[RELAY_LISTENERS];
	size_t listeners;
	int epoll_fd, channel;
	uint32_t generation;
	uint32_t unsent, waiting; /* connections in UNSENT; in UNSENT or ASKED */
};

int ask_relay_new(int epoll_fd, int channel, struct ask_relay **ret_relay)
{
	struct ask_relay *relay = pages_new(sizeof(*relay));

	if (!relay)
		return -ENOMEM;
	relay->epoll_fd = epoll_fd;
	relay->channel = channel;
	*ret_relay = relay;
	return 0;
}

static int watch_listener(struct ask_relay *relay, size_t index, int op, bool paused)
{
	const struct worker_event event = {
		.owner = WORKER_EVENT_ASK_LISTENER,
		.index = (uint16_t)index,
	};

	relay->listener[index].paused = paused;
	if (worker_event_watch(relay->epoll_fd, op, relay->listener[index].fd, paused ? 0 : EPOLLIN,
			       event))
		return -errno;
	return 0;
}

int ask_relay_add(struct ask_relay *relay, int fd)
{
	int one = 1, r;

	if (relay->listeners >= RELAY_LISTENERS)
		return -E2BIG;
	/* Inherited by what is accepted: whether to wait is the agent's matter, not ours. */
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		return -errno;
	relay->listener[relay->listeners].fd = fd;
	r = watch_listener(relay, relay->listeners, EPOLL_CTL_ADD, false);
	if (r == 0)
		relay->listeners++;
	return r;
}

/* A hang-up cannot be masked, so an end from which nothing is wanted leaves the set (@events 0). */
static bool watch(struct ask_relay *relay, struct connection *c, int end, uint32_t events)
{
	size_t index = (size_t)(c - relay->connection);
	const struct worker_event event = {
		.owner = WORKER_EVENT_ASK_CONNECTION,
		.index = (uint16_t)(ENDS * index + (size_t)end),
		.generation = c->generation,
	};
	int op = !events ? EPOLL_CTL_DEL : c->watched[end] ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (events == c->watched[end])
		return true;
	c->watched[end] = events;
	return !worker_event_watch(relay->epoll_fd, op, c->fd[end], events, event);
}

/* Close with a reset: an end that failed must not look like one that had said all. */
static int reset(int fd)
{
	const struct linger linger = {.l_onoff = 1};

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	return safe_close(fd);
}

static void set_state(struct ask_relay *relay, struct connection *c, enum state state)
{
	relay->unsent -= c->state == UNSENT;
	relay->waiting -= c->state == UNSENT || c->state == ASKED;
	c->state = state;
	relay->unsent += c->state == UNSENT;
	relay->waiting += c->state == UNSENT || c->state == ASKED;
}

static void release(struct ask_relay *relay, struct connection *c)
{
	struct buffers *buffers = &relay->buffer[c - relay->connection];

	if (c->state == RELAYED)
		madvise(buffers, sizeof(*buffers), MADV_DONTNEED);
	set_state(relay, c, c->state == ASKED ? ABANDONED : FREE);
}

static void fail(struct ask_relay *relay, struct connection *c)
{
	for (int end = 0; end < ENDS; end++)
		c->fd[end] = reset(c->fd[end]);
	release(relay, c);
}

void ask_relay_free(struct ask_relay *relay)
{
	if (!relay)
		return;
	for (size_t i = 0; i < relay->listeners; i++)
		safe_close(relay->listener[i].fd);
	for (size_t i = 0; i < RELAY_CONNECTIONS; i++)
		if (relay->connection[i].state != FREE)
			fail(relay, &relay->connection[i]);
	pages_free(relay, sizeof(*relay));
}

static struct connection *unused(struct ask_relay *relay)
{
	for (size_t i = 0; i < RELAY_CONNECTIONS; i++)
		if (relay->connection[i].state == FREE)
			return &relay->connection[i];
	return NULL;
}

/* False: @fd is still the caller's. */
static bool adopt(struct ask_relay *relay, int fd, const struct worker_peer *peer, uint64_t now)
{
	struct connection *c = unused(relay);
	union peer_address address = {};
	socklen_t size = sizeof(address);

	if (!c || getsockname(fd, &address.any, &size))
		return false;
	*c = (struct connection){
		.generation = ++relay->generation,
		.deadline = now + RELAY_TIMEOUT_MS * NS_PER_MS,
		.peer = *peer,
		.fd = {fd, -1},
	};
	/* What the agent sends waits in its socket; that it has gone must be seen. */
	if (peer_from_address(&address, IPPROTO_TCP, &c->local) ||
	    !watch(relay, c, AGENT, EPOLLHUP))
		return false;
	set_state(relay, c, UNSENT);
	return true;
}

/* One at a time: with no descriptor left, asking for another says so even if nobody is there. */
void ask_relay_accept(struct ask_relay *relay, size_t index, uint64_t now)
{
	union peer_address address = {};
	socklen_t size = sizeof(address);
	int fd = accept4(relay->listener[index].fd, &address.any, &size,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct worker_peer peer;

	if (fd >= 0) {
		if (peer_from_address(&address, IPPROTO_TCP, &peer) ||
		    !adopt(relay, fd, &peer, now))
			reset(fd);
		ask_relay_send(relay);
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		/* The listener stays readable: without a pause this would be a busy loop. */
		watch_listener(relay, index, EPOLL_CTL_MOD, true);
	}
}

void ask_relay_send(struct ask_relay *relay)
{
	for (size_t i = 0; i < RELAY_CONNECTIONS && relay->unsent; i++) {
		struct connection *c = &relay->connection[i];
		union worker_message message;

		if (c->state != UNSENT)
			continue;
		worker_message_init(&message, WORKER_ASK_FLOW, RELAY_ID + (uint32_t)i);
		message.ask_flow.peer = c->peer;
		message.ask_flow.local = c->local;
		/* If nobody is at the other end, the channel's end of file says so next. */
		if (worker_message_send(relay->channel, &message, NULL, 0))
			return;
		set_state(relay, c, ASKED);
	}
}

bool ask_relay_blocked(const struct ask_relay *relay)
{
	return relay->unsent;
}

/* 1: go on later; 0: this direction is done; a negative errno: it is broken. */
static int copy(struct ask_relay *relay, struct connection *c, int from)
{
	uint8_t *buffer = relay->buffer[c - relay->connection].data[from];
	struct direction *d = &c->direction[from];
	int to = !from;

	for (int round = 0; round < ROUNDS && !d->shut; round++) {
		ssize_t n;

		if (!d->len && !d->ended) {
			n = recv(c->fd[from], buffer, RELAY_BUFFER, MSG_DONTWAIT);
			if (n < 0)
				return errno == EAGAIN || errno == EINTR ? 1 : -errno;
			d->start = 0;
			d->len = (uint32_t)n;
			d->ended = n == 0;
		}
		if (d->len) {
			n = send(c->fd[to], buffer + d->start, d->len, MSG_DONTWAIT | MSG_NOSIGNAL);
			if (n < 0)
				return errno == EAGAIN || errno == EINTR ? 1 : -errno;
			d->start += (uint32_t)n;
			d->len -= (uint32_t)n;
		}
		if (d->ended && !d->len) {
			if (shutdown(c->fd[to], SHUT_WR))
				return -errno;
			d->shut = true;
		}
	}
	return !d->shut;
}

static uint32_t wanted(const struct connection *c, int end)
{
	const struct direction *from = &c->direction[end], *to = &c->direction[!end];

	return (!from->len && !from->ended ? EPOLLIN : 0) | (to->len ? EPOLLOUT : 0);
}

/*
 * What is seen of an end is not looked at: whatever it is, reading or writing says it again, and an
 * end is only watched if one of them is due.
 */
static void advance(struct ask_relay *relay, struct connection *c)
{
	int up = copy(relay, c, AGENT), down = copy(relay, c, FAR);

	if (up == 0 && down == 0) {
		for (int end = 0; end < ENDS; end++)
			c->fd[end] = safe_close(c->fd[end]);
		release(relay, c);
	} else if (up < 0 || down < 0 || !watch(relay, c, AGENT, wanted(c, AGENT)) ||
		   !watch(relay, c, FAR, wanted(c, FAR))) {
		fail(relay, c);
	}
}

void ask_relay_ready(struct ask_relay *relay, struct worker_event event, uint32_t events)
{
	struct connection *c = &relay->connection[event.index / ENDS];
	bool broken = events & (EPOLLERR | EPOLLHUP);

	if (c->generation != event.generation || c->fd[AGENT] < 0)
		return;
	/* A shutdown would end the attempt to connect, so nothing is copied before it succeeded. */
	if (c->state == CONNECTING && !broken && event.index % ENDS == FAR)
		set_state(relay, c, RELAYED);
	if (c->state == RELAYED)
		advance(relay, c);
	else if (broken)
		fail(relay, c);
}

int ask_relay_verdict(struct ask_relay *relay, const struct worker_flow *flow, int fd)
{
	uint32_t index = flow->header.id - RELAY_ID;
	struct connection *c = &relay->connection[index % RELAY_CONNECTIONS];
	bool allowed = flow->status == WORKER_FLOW_ALLOWED;
	int one = 1;

	if (index >= RELAY_CONNECTIONS || (c->state != ASKED && c->state != ABANDONED) ||
	    allowed != (fd >= 0)) {
		safe_close(fd);
		return -EBADMSG;
	}
	if (c->state == ABANDONED) {
		safe_close(fd);
		set_state(relay, c, FREE);
		return 0;
	}
	set_state(relay, c, CONNECTING);
	c->fd[FAR] = fd;
	if (!allowed) {
		fail(relay, c);
		return 0;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!watch(relay, c, FAR, EPOLLOUT))
		fail(relay, c);
	return 0;
}

void ask_relay_tick(struct ask_relay *relay, uint64_t now)
{
	for (size_t i = 0; i < RELAY_CONNECTIONS && relay->waiting; i++) {
		struct connection *c = &relay->connection[i];

		if ((c->state == UNSENT || c->state == ASKED) && c->deadline <= now)
			fail(relay, c);
	}
	for (size_t i = 0; i < relay->listeners; i++)
		if (relay->listener[i].paused)
			watch_listener(relay, i, EPOLL_CTL_MOD, false);
}

bool ask_relay_waits(const struct ask_relay *relay)
{
	bool paused = false;

	for (size_t i = 0; i < relay->listeners; i++)
		paused |= relay->listener[i].paused;
	return relay->waiting || paused;
}

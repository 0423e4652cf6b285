/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/proxy.h"

#include "common/cleanup.h"
#include "proxy/agent.h"
#include "proxy/pages.h"
#include "proxy/peer.h"
#include "proxy/proxy_internal.h"
#include "proxy/question.h"
#include "proxy/tls_ca.h"

#include <fcntl.h>
#include <jansson.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#define NO_SLOT	   UINT32_MAX
#define ACCEPT_MAX 64 /* in one turn */
#define ROUNDS_MAX 4  /* of what was put off, before epoll is asked again */

#define RECORDS_DELAY_MS 10
#define RECORDS_DELAY	 (RECORDS_DELAY_MS * UINT64_C(1000000))

uint64_t proxy_clock(void)
{
	struct timespec ts = {};

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * PROXY_SECOND + (uint64_t)ts.tv_nsec;
}

static int tell_ca(const struct proxy *proxy)
{
	union worker_message message;
	const uint8_t *der;
	size_t size;

	tls_ca_der(proxy->ca, &der, &size);
	if (size > WORKER_CA_MAX)
		return -E2BIG;
	worker_message_init(&message, WORKER_CA, 0);
	message.ca.length = (uint32_t)size;
	memcpy(message.ca.der, der, size);
	return worker_message_send(proxy->options.channel, &message, NULL, 0);
}

/* By itself jansson opens /dev/urandom for its first object, which the filter does not let it. */
static int seed_json(void)
{
	size_t seed;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return -EIO;
	json_object_seed(seed ? seed : 1);
	return 0;
}

int proxy_new(const struct proxy_options *options, struct proxy **ret_proxy)
{
	struct proxy *proxy = calloc(1, sizeof(*proxy));
	struct error err = {};
	int r = -ENOMEM;

	if (!proxy)
		return -ENOMEM;
	proxy->options = *options;
	proxy->listener = -1;
	proxy->free_slot = NO_SLOT;
	proxy->scheduled_last = &proxy->scheduled;
	proxy->now = proxy_clock();
	proxy->slot = pages_new(PROXY_WIRES_MAX * sizeof(*proxy->slot));
	proxy->scratch = pages_new(PROXY_SCRATCH);
	proxy->lent = pages_new(PROXY_LENT);
	proxy->records = pages_new(sizeof(*proxy->records));
	if (proxy->slot && proxy->scratch && proxy->lent && proxy->records)
		r = seed_json();
	if (!r)
		r = tls_ca_open(options->store, &proxy->ca);
	/* Whoever takes this process over must not change what the next one finds. */
	tls_ca_store_free(options->store);
	if (!r)
		r = tls_new(proxy->ca, &proxy->tls, &err);
	if (!r)
		r = question_queue_new(options->channel, &proxy->questions);
	if (!r)
		r = upstream_pool_new(proxy, &proxy->pool);
	if (!r)
		r = tell_ca(proxy);
	if (r) {
		proxy_free(proxy);
		return r;
	}
	*ret_proxy = proxy;
	return 0;
}

static void destroy_closed(struct proxy *proxy)
{
	struct wire *wire = proxy->closed, *next;

	proxy->closed = NULL;
	for (; wire; wire = next) {
		next = wire->next_closed;
		if (!wire->scheduled) {
			wire->ops->destroy(wire);
			continue;
		}
		wire->next_closed = proxy->closed;
		proxy->closed = wire;
	}
}

void proxy_free(struct proxy *proxy)
{
	if (!proxy)
		return;
	for (uint32_t i = 0; i < proxy->slots; i++)
		if (proxy->slot[i].wire)
			proxy->slot[i].wire->ops->close(proxy->slot[i].wire);
	if (proxy->pool)
		upstream_pool_close(proxy->pool);
	for (struct wire *wire = proxy->scheduled; wire; wire = wire->next)
		wire->scheduled = false;
	destroy_closed(proxy);
	if (proxy->records && worker_records_pending(proxy->records))
		worker_records_flush(proxy->records, proxy->options.records);
	upstream_pool_free(proxy->pool);
	exchange_free_unused(proxy);
	question_queue_free(proxy->questions);
	generation_unref(proxy->generation);
	tls_free(proxy->tls);
	tls_ca_free(proxy->ca);
	for (size_t i = 0; i < proxy->buffers_len; i++)
		free(proxy->buffers[i]);
	safe_close(proxy->listener);
	safe_close(proxy->options.records);
	pages_free(proxy->slot, PROXY_WIRES_MAX * sizeof(*proxy->slot));
	pages_free(proxy->scratch, PROXY_SCRATCH);
	pages_free(proxy->lent, PROXY_LENT);
	pages_free(proxy->records, sizeof(*proxy->records));
	free(proxy);
}

void *proxy_lend(struct proxy *proxy, size_t size)
{
	return size <= PROXY_LENT ? proxy->lent : malloc(size);
}

void proxy_unlend(struct proxy *proxy, void *memory)
{
	if (memory != proxy->lent)
		free(memory);
}

uint8_t *proxy_buffer_new(struct proxy *proxy)
{
	return proxy->buffers_len ? proxy->buffers[--proxy->buffers_len] : malloc(WIRE_BUFFER);
}

void proxy_buffer_free(struct proxy *proxy, uint8_t *data, size_t size)
{
	if (data && size == WIRE_BUFFER && proxy->buffers_len < PROXY_BUFFERS_KEPT)
		proxy->buffers[proxy->buffers_len++] = data;
	else
		free(data);
}

int proxy_watch(struct proxy *proxy, struct wire *wire)
{
	struct worker_event event = {.owner = WORKER_EVENT_PROXY_CONNECTION};
	uint32_t index = proxy->free_slot;
	struct proxy_slot *slot;

	if (index == NO_SLOT && proxy->slots == PROXY_WIRES_MAX)
		return -EMFILE;
	if (index == NO_SLOT)
		index = proxy->slots++;
	else
		proxy->free_slot = proxy->slot[index].next_free;
	slot = &proxy->slot[index];
	slot->generation++;
	event.index = index;
	event.generation = slot->generation;
	if (worker_event_watch(proxy->options.epoll_fd, EPOLL_CTL_ADD, wire->conn.fd,
			       EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, event)) {
		slot->next_free = proxy->free_slot;
		proxy->free_slot = index;
		return -errno;
	}
	slot->wire = wire;
	proxy->wires++;
	wire->index = index;
	wire->generation = slot->generation;
	return 0;
}

/* The descriptor is closed; epoll has forgotten it. */
void proxy_unwatch(struct proxy *proxy, struct wire *wire)
{
	struct proxy_slot *slot = &proxy->slot[wire->index];

	proxy->wires--;
	slot->wire = NULL;
	slot->next_free = proxy->free_slot;
	proxy->free_slot = wire->index;
	wire->next_closed = proxy->closed;
	proxy->closed = wire;
}

void proxy_schedule(struct proxy *proxy, struct wire *wire)
{
	wire->scheduled = true;
	wire->next = NULL;
	*proxy->scheduled_last = wire;
	proxy->scheduled_last = &wire->next;
}

int proxy_add(struct proxy *proxy, int fd)
{
	const struct worker_event event = {.owner = WORKER_EVENT_PROXY_LISTENER};
	int one = 1;

	/* Inherited by what is accepted: when to send is decided here. */
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)))
		return -errno;
	proxy->listener = fd;
	return worker_event_watch(proxy->options.epoll_fd, EPOLL_CTL_ADD, fd, EPOLLIN, event)
		       ? -errno
		       : 0;
}

static void pause_listener(struct proxy *proxy, bool paused)
{
	const struct worker_event event = {.owner = WORKER_EVENT_PROXY_LISTENER};

	proxy->paused = paused;
	worker_event_watch(proxy->options.epoll_fd, EPOLL_CTL_MOD, proxy->listener,
			   paused ? 0 : EPOLLIN, event);
}

void proxy_accept(struct proxy *proxy, uint64_t now)
{
	proxy->now = now;
	for (int i = 0; i < ACCEPT_MAX; i++) {
		union peer_address address = {};
		socklen_t size = sizeof(address);
		struct worker_peer peer;
		int fd =
			accept4(proxy->listener, &address.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			/* The listener stays readable: without a pause this would be a busy loop.
			 */
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			    errno == ENOMEM)
				pause_listener(proxy, true);
			return;
		}
		if (proxy->connections >= PROXY_AGENTS_MAX ||
		    peer_from_address(&address, IPPROTO_TCP, &peer))
			safe_close(fd);
		else
			agent_new(proxy, fd, &peer);
	}
}

void proxy_ready(struct proxy *proxy, struct worker_event event, uint32_t events, uint64_t now)
{
	struct proxy_slot *slot = &proxy->slot[event.index % PROXY_WIRES_MAX];
	struct wire *wire = slot->wire;

	proxy->now = now;
	if (!wire || slot->generation != event.generation)
		return;
	wire->readable |= (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
	wire->writable |= (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
	wire->ended |= (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
	wire->broken |= (events & (EPOLLHUP | EPOLLERR)) != 0;
	wire->ops->ready(wire);
}

int proxy_policy(struct proxy *proxy, const struct worker_policy *policy, int fd)
{
	struct generation *generation;
	struct error err = {};
	size_t count;
	int r = fd < 0 ? -EBADMSG
		       : generation_read(fd, policy->generation, policy->size, &generation, &err);

	safe_close(fd);
	if (r)
		return r;
	r = tls_trust(proxy->tls, generation->bundle->trust.data, generation->bundle->trust.len,
		      &count, &err);
	if (r && generation->bundle->trust.len) {
		generation_unref(generation);
		return r;
	}
	generation_unref(proxy->generation);
	proxy->generation = generation;
	upstream_pool_flush(proxy->pool);
	return 0;
}

int proxy_origin(struct proxy *proxy, const struct worker_origin *origin)
{
	void *owner;
	int r = question_take(proxy->questions, &origin->header, &owner);

	if (r)
		return r;
	if (owner)
		agent_origin(owner, origin);
	question_send(proxy->questions);
	return 0;
}

int proxy_upstream(struct proxy *proxy, const struct worker_upstream *upstream, int fd)
{
	void *owner = NULL;
	int r = question_take(proxy->questions, &upstream->header, &owner);

	if (!r && (upstream->status == WORKER_UPSTREAM_FOUND) != (fd >= 0))
		r = -EBADMSG;
	if (!r && owner)
		upstream_answered(owner, upstream, fd);
	else
		safe_close(fd);
	if (!r)
		question_send(proxy->questions);
	return r;
}

int proxy_probe(struct proxy *proxy, const struct worker_probe *probe, int fd)
{
	int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK)) {
		safe_close(fd);
		return -EBADMSG;
	}
	/* Whoever finds it closed hears that the worker has no room. */
	return agent_new_probe(proxy, fd, probe->route) == -EBADMSG ? -EBADMSG : 0;
}

void proxy_send(struct proxy *proxy)
{
	question_send(proxy->questions);
}

bool proxy_blocked(const struct proxy *proxy)
{
	return question_blocked(proxy->questions);
}

/* Waking the supervisor for each request would cost more than the request. */
static void flush_records(struct proxy *proxy)
{
	if (!worker_records_pending(proxy->records)) {
		proxy->records_since = 0;
	} else if (!proxy->records_since) {
		proxy->records_since = proxy->now;
	} else if (proxy->now - proxy->records_since >= RECORDS_DELAY) {
		worker_records_flush(proxy->records, proxy->options.records);
		proxy->records_since = 0;
	}
}

/* Those that are put off meanwhile have the next round. */
static void settle_round(struct proxy *proxy)
{
	struct wire *wire = TAKE_PTR(proxy->scheduled), *next;

	proxy->scheduled_last = &proxy->scheduled;
	for (; wire; wire = next) {
		next = wire->next;
		wire->scheduled = false;
		if (!wire->closed)
			wire->ops->ready(wire);
	}
}

int proxy_settle(struct proxy *proxy, uint64_t now)
{
	proxy->now = now;
	for (int i = 0; i < ROUNDS_MAX && proxy->scheduled; i++)
		settle_round(proxy);
	destroy_closed(proxy);
	flush_records(proxy);
	if (proxy->scheduled)
		return 0;
	return proxy->records_since ? RECORDS_DELAY_MS : -1;
}

void proxy_tick(struct proxy *proxy, uint64_t now)
{
	proxy->now = now;
	for (uint32_t i = 0; i < proxy->slots; i++) {
		struct wire *wire = proxy->slot[i].wire;

		if (wire && wire->deadline && wire->deadline <= now)
			wire->ops->expired(wire);
	}
	if (proxy->paused)
		pause_listener(proxy, false);
}

bool proxy_waits(const struct proxy *proxy)
{
	return proxy->paused || proxy->wires;
}

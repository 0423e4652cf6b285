/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/responder.h"

#include "abi.h"
#include "common/cleanup.h"
#include "proxy/dns_cache.h"
#include "proxy/pages.h"

#include <netinet/in.h>
#include <string.h>

#define WAITERS_OF_ASK 64 /* retransmissions are not counted */
#define REVERSE_TTL    60 /* seconds */
#define NONE	       UINT16_MAX
#define NS_PER_MS      1000000ull

_Static_assert(RESPONDER_ASKS < WORKER_OUTSTANDING_MAX, "relayed connections ask too");

/* A query that waits for its name. */
struct waiter {
	struct dns_client client;
	struct dns_query query;
	uint64_t deadline;
	uint16_t next; /* of its ask, or of the free ones */
};

/*
 * A question to the supervisor. It is over when it is answered and not before: those who waited
 * may have given up, but the supervisor still counts it.
 */
struct ask {
	uint16_t first, count; /* waiters */
	uint16_t next;	       /* of the unsent, or of the free ones */
	uint16_t type;
	bool sent;
	struct worker_peer peer;
	struct dns_name name;
};

/* Lists go by index; what was never used is not in the list of what is free, but above the top. */
struct responder {
	struct responder_options options;
	uint16_t free_ask, top_ask;
	uint16_t free_waiter, top_waiter;
	uint16_t first_unsent, last_unsent;
	uint32_t waiting;	       /* queries */
	uint32_t hash[RESPONDER_ASKS]; /* of the name that is asked about; 0 = unused */
	struct ask ask[RESPONDER_ASKS];
	struct waiter waiter[RESPONDER_WAITERS];
	struct dns_cache cache;
};

int responder_new(const struct responder_options *options, struct responder **ret_responder)
{
	struct responder *r = pages_new(sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->options = *options;
	r->free_ask = r->free_waiter = r->first_unsent = r->last_unsent = NONE;
	*ret_responder = r;
	return 0;
}

void responder_free(struct responder *r)
{
	pages_free(r, sizeof(*r));
}

static struct dns_answer failure(uint16_t rcode)
{
	return (struct dns_answer){.rcode = rcode};
}

static struct dns_answer known(const struct dns_cache_entry *entry, uint32_t ttl)
{
	struct dns_answer answer = {.ttl = ttl};

	switch ((enum worker_name_status)entry->status) {
	case WORKER_NAME_FOUND:
		answer.has_ipv4 = entry->has & WORKER_NAME_HAS_IPV4;
		answer.has_ipv6 = entry->has & WORKER_NAME_HAS_IPV6;
		memcpy(answer.ipv4, entry->ipv4, sizeof(answer.ipv4));
		memcpy(answer.ipv6, entry->ipv6, sizeof(answer.ipv6));
		return answer;
	case WORKER_NAME_NONE:
		answer.rcode = DNS_NXDOMAIN;
		return answer;
	case WORKER_NAME_REFUSED:
		answer.why = "the sandbox's policy does not admit this name";
		break;
	case WORKER_NAME_LIMITED:
		answer.why = "too many new names under a wildcard of the sandbox's policy";
		break;
	case WORKER_NAME_FAILED:
		return failure(DNS_SERVFAIL);
	}
	answer.rcode = DNS_REFUSED;
	return answer;
}

/* 198.18.0.0/15 and our /64: only we know their names. */
static bool is_synthetic(const uint8_t address[16])
{
	uint32_t word[4];

	memcpy(word, address, sizeof(word));
	if (word[0] || word[1] || ntohl(word[2]) != 0xffff)
		return ntohl(word[0]) == OS_SYNTHETIC_IPV6_0 &&
		       ntohl(word[1]) == OS_SYNTHETIC_IPV6_1;
	return (ntohl(word[3]) ^ OS_SYNTHETIC_IPV4) >> (32 - OS_SYNTHETIC_IPV4_PREFIX) == 0;
}

static size_t write_answer(const struct dns_client *client, const struct dns_query *query,
			   const struct dns_answer *answer, uint8_t *ret_data)
{
	size_t limit = client->peer.protocol == IPPROTO_UDP ? query->payload : DNS_ANSWER_MAX;

	return dns_answer_write(query, answer, limit, ret_data);
}

static struct ask *ask_find(struct responder *r, const struct dns_name *name, uint32_t hash)
{
	for (size_t i = 0; i < r->top_ask; i++)
		if (r->hash[i] == hash && r->ask[i].name.length == name->length &&
		    !memcmp(r->ask[i].name.text, name->text, name->length))
			return &r->ask[i];
	return NULL;
}

static struct ask *ask_new(struct responder *r, const struct dns_name *name, uint32_t hash,
			   const struct dns_client *client, uint16_t type)
{
	uint16_t index = r->free_ask;
	struct ask *ask;

	if (index != NONE)
		r->free_ask = r->ask[index].next;
	else if (r->top_ask < RESPONDER_ASKS)
		index = r->top_ask++;
	else
		return NULL;
	r->hash[index] = hash;
	ask = &r->ask[index];
	*ask = (struct ask){.first = NONE, .next = NONE, .type = type, .peer = client->peer};
	ask->name.length = name->length;
	memcpy(ask->name.text, name->text, name->length);
	if (r->last_unsent == NONE)
		r->first_unsent = index;
	else
		r->ask[r->last_unsent].next = index;
	r->last_unsent = index;
	return ask;
}

static void ask_free(struct responder *r, struct ask *ask)
{
	uint16_t index = (uint16_t)(ask - r->ask);

	r->hash[index] = 0;
	ask->next = r->free_ask;
	r->free_ask = index;
}

static bool same_client(const struct dns_client *a, const struct dns_client *b)
{
	return a->peer.protocol == b->peer.protocol && a->socket == b->socket &&
	       a->generation == b->generation && a->peer.port == b->peer.port &&
	       !memcmp(a->peer.address, b->peer.address, sizeof(a->peer.address));
}

static struct waiter *waiter_new(struct responder *r, struct ask *ask)
{
	uint16_t index = r->free_waiter;

	if (ask->count >= WAITERS_OF_ASK)
		return NULL;
	if (index != NONE)
		r->free_waiter = r->waiter[index].next;
	else if (r->top_waiter < RESPONDER_WAITERS)
		index = r->top_waiter++;
	else
		return NULL;
	r->waiter[index].next = ask->first;
	ask->first = index;
	ask->count++;
	r->waiting++;
	return &r->waiter[index];
}

/* Take the waiter that *@link says out of its ask; *@link is the next one then. */
static void waiter_free(struct responder *r, struct ask *ask, uint16_t *link)
{
	uint16_t index = *link;

	*link = r->waiter[index].next;
	r->waiter[index].next = r->free_waiter;
	r->free_waiter = index;
	ask->count--;
	r->waiting--;
}

/* A datagram that comes again because its answer takes long is the query that waits already. */
static bool is_retransmission(const struct responder *r, const struct ask *ask,
			      const struct dns_client *client, const struct dns_query *query)
{
	if (client->peer.protocol != IPPROTO_UDP)
		return false;
	for (uint16_t i = ask->first; i != NONE; i = r->waiter[i].next)
		if (r->waiter[i].query.id == query->id && r->waiter[i].query.type == query->type &&
		    same_client(&r->waiter[i].client, client))
			return true;
	return false;
}

static bool wait_for(struct responder *r, const struct dns_client *client,
		     const struct dns_query *query, const struct dns_name *name, uint64_t now)
{
	uint32_t hash = dns_cache_hash(name);
	struct ask *ask = ask_find(r, name, hash);
	struct waiter *waiter;

	if (ask && is_retransmission(r, ask, client, query))
		return true;
	if (!ask && r->waiting < RESPONDER_WAITERS)
		ask = ask_new(r, name, hash, client, query->type);
	waiter = ask ? waiter_new(r, ask) : NULL;
	if (!waiter)
		return false;
	waiter->client = *client;
	waiter->query = *query;
	waiter->deadline = now + RESPONDER_TIMEOUT_MS * NS_PER_MS;
	responder_send(r);
	return true;
}

enum responder_result responder_query(struct responder *r, const struct dns_client *client,
				      const uint8_t *data, size_t size, uint64_t now,
				      uint8_t *ret_answer, size_t *ret_size)
{
	const struct dns_cache_entry *entry;
	struct dns_answer answer;
	struct dns_query query;
	struct dns_name name;
	uint8_t address[16];

	if (dns_query_read(data, size, &query, &name))
		return RESPONDER_IGNORED;
	if (query.rcode) {
		answer = failure(query.rcode);
	} else if ((entry = dns_cache_find(&r->cache, &name, now))) {
		answer = known(entry, dns_cache_ttl(entry, now));
	} else if (!dns_name_reverse(&name, address) && is_synthetic(address)) {
		answer = (struct dns_answer){.ttl = REVERSE_TTL};
		answer.pointer = dns_cache_reverse(&r->cache, address);
		answer.rcode = answer.pointer ? DNS_NOERROR : DNS_NXDOMAIN;
	} else if (wait_for(r, client, &query, &name, now)) {
		return RESPONDER_WAITS;
	} else {
		answer = failure(DNS_SERVFAIL);
	}
	*ret_size = write_answer(client, &query, &answer, ret_answer);
	return RESPONDER_ANSWERED;
}

static void deliver(struct responder *r, const struct waiter *waiter,
		    const struct dns_answer *answer)
{
	uint8_t data[DNS_ANSWER_MAX];
	size_t size = write_answer(&waiter->client, &waiter->query, answer, data);

	r->options.deliver(r->options.arg, &waiter->client, data, size);
}

int responder_answer(struct responder *r, const struct worker_name *name, uint64_t now)
{
	uint32_t index = name->header.id - RESPONDER_ID;
	const struct dns_cache_entry *entry;
	struct dns_answer answer;
	struct ask *ask;

	if (index >= r->top_ask || !r->hash[index] || !r->ask[index].sent)
		return -EBADMSG;
	ask = &r->ask[index];
	entry = dns_cache_put(&r->cache, &ask->name, name, now);
	answer = known(entry, dns_cache_ttl(entry, now));
	while (ask->first != NONE) {
		deliver(r, &r->waiter[ask->first], &answer);
		waiter_free(r, ask, &ask->first);
	}
	ask_free(r, ask);
	return 0;
}

void responder_forget(struct responder *r, const struct dns_client *client)
{
	for (size_t i = 0; i < r->top_ask && r->waiting; i++) {
		uint16_t *link = &r->ask[i].first;

		while (r->hash[i] && *link != NONE) {
			if (same_client(&r->waiter[*link].client, client))
				waiter_free(r, &r->ask[i], link);
			else
				link = &r->waiter[*link].next;
		}
	}
}

void responder_flush(struct responder *r)
{
	dns_cache_flush(&r->cache);
}

bool responder_send(struct responder *r)
{
	while (r->first_unsent != NONE) {
		struct ask *ask = &r->ask[r->first_unsent];
		union worker_message message;

		worker_message_init(&message, WORKER_ASK_NAME, RESPONDER_ID + r->first_unsent);
		message.ask_name.peer = ask->peer;
		message.ask_name.type = ask->type;
		message.ask_name.length = ask->name.length;
		memcpy(message.ask_name.name, ask->name.text, ask->name.length);
		/* If nobody is at the other end, the channel's end of file says so next. */
		if (worker_message_send(r->options.channel, &message, NULL, 0))
			return true;
		ask->sent = true;
		r->first_unsent = ask->next;
		ask->next = NONE;
	}
	r->last_unsent = NONE;
	return false;
}

bool responder_blocked(const struct responder *r)
{
	return r->first_unsent != NONE;
}

void responder_tick(struct responder *r, uint64_t now)
{
	const struct dns_answer answer = failure(DNS_SERVFAIL);

	for (size_t i = 0; i < r->top_ask && r->waiting; i++) {
		uint16_t *link = &r->ask[i].first;

		while (r->hash[i] && *link != NONE) {
			if (r->waiter[*link].deadline <= now) {
				deliver(r, &r->waiter[*link], &answer);
				waiter_free(r, &r->ask[i], link);
			} else {
				link = &r->waiter[*link].next;
			}
		}
	}
}

bool responder_waits(const struct responder *r)
{
	return r->waiting;
}

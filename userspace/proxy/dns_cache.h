/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the supervisor said of names, kept for as long as it said, so that only the first of many
 * queries is a question to it. A table of fixed size with a few places for each name: a name that
 * finds all of its places taken drives out what has expired, else what was not used for longest.
 *
 * Owned by the responder, its thread. Zeroed memory is an empty cache; nothing is allocated. Fails
 * closed: what is not in it is asked again, and it never outlives a policy (dns_cache_flush()).
 */
#pragma once

#include "common/worker_protocol.h"
#include "proxy/dns_wire.h"

#include <stdbool.h>
#include <stdint.h>

#define DNS_CACHE_SETS 256
#define DNS_CACHE_WAYS 8

/*
 * How long what is no address is kept, and the longest that anything is, in seconds. A refusal no
 * longer than a failure: the supervisor logs those that it is asked for, and whoever asks for the
 * name next may be somebody else.
 */
#define DNS_CACHE_FAILED_SECONDS 1
#define DNS_CACHE_NONE_SECONDS	 60
#define DNS_CACHE_MAX_SECONDS	 3600

struct dns_cache_entry {
	uint64_t expiry; /* as `now` */
	uint32_t used;
	uint16_t status; /* enum worker_name_status */
	uint16_t has;	 /* WORKER_NAME_HAS_* */
	uint8_t ipv4[4];
	uint8_t ipv6[16];
	struct dns_name name;
};

struct dns_cache {
	uint32_t tick;
	uint32_t hash[DNS_CACHE_SETS][DNS_CACHE_WAYS]; /* 0 = nothing there */
	struct dns_cache_entry entry[DNS_CACHE_SETS][DNS_CACHE_WAYS];
};

/* Never 0. */
uint32_t dns_cache_hash(const struct dns_name *name);

/* What is known of @name at @now (ns of any clock that only rises), or NULL; valid until the next
 * put. */
const struct dns_cache_entry *dns_cache_find(struct dns_cache *cache, const struct dns_name *name,
					     uint64_t now);

/*
 * Keep @answer about @name: addresses for its TTL, "no such name" for up to DNS_CACHE_NONE_SECONDS,
 * refusals, failures and limits for DNS_CACHE_FAILED_SECONDS.
 */
const struct dns_cache_entry *dns_cache_put(struct dns_cache *cache, const struct dns_name *name,
					    const struct worker_name *answer, uint64_t now);

/*
 * The name that was answered with a synthetic address (v4-mapped), or NULL. It may have expired:
 * addresses keep their meaning.
 */
const struct dns_name *dns_cache_reverse(const struct dns_cache *cache, const uint8_t address[16]);

/* Seconds that an answer from @entry may be kept by who gets it at @now. */
uint32_t dns_cache_ttl(const struct dns_cache_entry *entry, uint64_t now);

void dns_cache_flush(struct dns_cache *cache);

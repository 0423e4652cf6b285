/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/dns_cache.h"

#include <string.h>

#define SECOND 1000000000ull

/* FNV-1a. Who chooses names to collide drives out answers of its own sandbox, and no others'. */
uint32_t dns_cache_hash(const struct dns_name *name)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < name->length; i++)
		hash = (hash ^ (uint8_t)name->text[i]) * 16777619u;
	return hash ? hash : 1;
}

static bool same(const struct dns_name *a, const struct dns_name *b)
{
	return a->length == b->length && !memcmp(a->text, b->text, a->length);
}

/* The place of @name, whether or not it has expired. */
static struct dns_cache_entry *find(struct dns_cache *cache, const struct dns_name *name,
				    uint32_t hash)
{
	size_t set = hash % DNS_CACHE_SETS;

	for (size_t way = 0; way < DNS_CACHE_WAYS; way++)
		if (cache->hash[set][way] == hash && same(&cache->entry[set][way].name, name))
			return &cache->entry[set][way];
	return NULL;
}

const struct dns_cache_entry *dns_cache_find(struct dns_cache *cache, const struct dns_name *name,
					     uint64_t now)
{
	struct dns_cache_entry *entry = find(cache, name, dns_cache_hash(name));

	if (!entry || entry->expiry <= now)
		return NULL;
	entry->used = ++cache->tick;
	return entry;
}

/* What @set can do without best. Ages are differences, so that the tick may wrap around. */
static size_t victim(const struct dns_cache *cache, size_t set, uint64_t now)
{
	size_t oldest = 0;

	for (size_t way = 0; way < DNS_CACHE_WAYS; way++) {
		const struct dns_cache_entry *entry = &cache->entry[set][way];

		if (!cache->hash[set][way] || entry->expiry <= now)
			return way;
		if (cache->tick - entry->used > cache->tick - cache->entry[set][oldest].used)
			oldest = way;
	}
	return oldest;
}

static uint64_t expiry(const struct worker_name *answer, uint64_t now)
{
	uint64_t seconds = DNS_CACHE_FAILED_SECONDS;

	switch (answer->status) {
	case WORKER_NAME_FOUND:
		seconds = answer->ttl < DNS_CACHE_MAX_SECONDS ? answer->ttl : DNS_CACHE_MAX_SECONDS;
		break;
	case WORKER_NAME_NONE:
		if (answer->ttl)
			seconds = answer->ttl < DNS_CACHE_NONE_SECONDS ? answer->ttl
								       : DNS_CACHE_NONE_SECONDS;
		break;
	}
	return now + seconds * SECOND;
}

const struct dns_cache_entry *dns_cache_put(struct dns_cache *cache, const struct dns_name *name,
					    const struct worker_name *answer, uint64_t now)
{
	uint32_t hash = dns_cache_hash(name);
	struct dns_cache_entry *entry = find(cache, name, hash);

	if (!entry) {
		size_t set = hash % DNS_CACHE_SETS, way = victim(cache, set, now);

		cache->hash[set][way] = hash;
		entry = &cache->entry[set][way];
	}
	entry->expiry = expiry(answer, now);
	entry->used = ++cache->tick;
	entry->status = answer->status;
	entry->has = answer->has;
	memcpy(entry->ipv4, answer->ipv4, sizeof(entry->ipv4));
	memcpy(entry->ipv6, answer->ipv6, sizeof(entry->ipv6));
	entry->name.length = name->length;
	memcpy(entry->name.text, name->text, name->length);
	return entry;
}

static bool has_address(const struct dns_cache_entry *entry, const uint8_t address[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, 0xff};

	if (memcmp(address, mapped, sizeof(mapped)))
		return entry->has & WORKER_NAME_HAS_IPV6 && !memcmp(address, entry->ipv6, 16);
	return entry->has & WORKER_NAME_HAS_IPV4 && !memcmp(address + 12, entry->ipv4, 4);
}

const struct dns_name *dns_cache_reverse(const struct dns_cache *cache, const uint8_t address[16])
{
	for (size_t set = 0; set < DNS_CACHE_SETS; set++)
		for (size_t way = 0; way < DNS_CACHE_WAYS; way++)
			if (cache->hash[set][way] && has_address(&cache->entry[set][way], address))
				return &cache->entry[set][way].name;
	return NULL;
}

uint32_t dns_cache_ttl(const struct dns_cache_entry *entry, uint64_t now)
{
	if (entry->expiry <= now)
		return 0;
	return (uint32_t)((entry->expiry - now + SECOND - 1) / SECOND);
}

void dns_cache_flush(struct dns_cache *cache)
{
	memset(cache->hash, 0, sizeof(cache->hash));
}

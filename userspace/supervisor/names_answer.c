/* SPDX-License-Identifier: Apache-2.0 */
/* Questions for names, what a resolver says to them, and when it is asked again. */
#include "supervisor/names_internal.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>

/* When to try again after a lookup that failed, and what the agent is told. */
#define RETRY_SECONDS 5
/* A name is in use for so long after somebody connected to it. */
#define USE_SECONDS 600
/* How often a name that is not in use is looked at. */
#define IDLE_SECONDS 30

_Static_assert(NAMES_ADDRESSES_MAX == WORKER_ADDRESSES_MAX, "what is found fits");

/* One more name that nobody spelt out. */
static bool take_credit(struct names *names, uint64_t now)
{
	const uint64_t most = NAMES_WILDCARD_BURST * WILDCARD_COST;

	if (now > names->credited) {
		uint64_t more = now - names->credited;

		names->credit = more > most - names->credit ? most : names->credit + more;
		names->credited = now;
	}
	if (names->credit < WILDCARD_COST)
		return false;
	names->credit -= WILDCARD_COST;
	return true;
}

/* A name that has no number yet: WORKER_NAME_FOUND if it has one now. */
static enum worker_name_status number_name(struct names *names, const char *text, size_t length,
					   uint64_t now, struct name **ret_name)
{
	struct name *name;
	int r;

	if (names_index_find(&names->index, text, &names->ports))
		return WORKER_NAME_FAILED;
	/* Before the first policy nothing is admitted, audited or not. */
	if (!names->now.generation || (!names->ports.len && (!names->audit || names_is_ours(text))))
		return WORKER_NAME_REFUSED;
	if (names->table.wildcards >= NAMES_WILDCARD_MAX || names->table.len >= NAMES_MAX ||
	    !take_credit(names, now))
		return WORKER_NAME_LIMITED;
	r = names_table_add(&names->table, text, length, NAMES_MAX, &name);
	if (r)
		return WORKER_NAME_FAILED;
	name->wildcard = name->admitted = true;
	names->table.wildcards++;
	*ret_name = name;
	return WORKER_NAME_FOUND;
}

/* Which families the addresses of @valid are of. */
static uint16_t families_of(const struct names_addresses *addresses, uint32_t valid)
{
	uint16_t has = 0;

	for (size_t i = 0; i < addresses->len; i++) {
		static const uint8_t mapped[12] = {[10] = 0xff, 0xff};

		if (valid >> i & 1)
			has |= memcmp(addresses->item[i], mapped, sizeof(mapped))
				       ? WORKER_NAME_HAS_IPV6
				       : WORKER_NAME_HAS_IPV4;
	}
	return has;
}

/*
 * Which families to answer with: those of the addresses that some port of the name is published
 * with. The proxy is at an IPv4 address, wherever the name is, and connects in either family: what
 * it reads is asked for by IPv4, which sockets of IPv6 alone cannot be sent to.
 */
static uint16_t families(struct names *names, const struct name *name)
{
	const struct names_addresses *addresses = names_addresses_of(name);
	uint32_t valid = names->audit ? names_admit_any(addresses) : 0;
	bool proxied = false;
	uint16_t has;

	if (names_index_find(&names->index, name->text, &names->ports))
		return 0;
	for (size_t i = 0, len; i < names->ports.len; i += len) {
		struct names_verdict verdict;

		len = names_ports_group(&names->ports, i);
		verdict = names_admit(&names->index, &names->ports.item[i], len, addresses);
		if (verdict.proxied)
			proxied |= verdict.valid != 0;
		else
			valid |= verdict.valid;
	}
	has = families_of(addresses, valid);
	if (!proxied)
		return has;
	/* Other ports of a name that has IPv6 alone are not reached by IPv4. */
	return has == WORKER_NAME_HAS_IPV6 ? has | WORKER_NAME_HAS_IPV4 : WORKER_NAME_HAS_IPV4;
}

static void answer(struct worker_name *to, enum worker_name_status status, uint64_t ttl)
{
	to->status = (uint16_t)status;
	to->ttl = ttl < NAMES_TTL_MIN	? NAMES_TTL_MIN
		  : ttl > NAMES_TTL_MAX ? NAMES_TTL_MAX
					: (uint32_t)ttl;
}

static void answer_found(struct worker_name *to, const struct name *name, uint16_t has,
			 uint64_t ttl)
{
	uint8_t address[16];

	answer(to, WORKER_NAME_FOUND, ttl);
	to->has = has;
	if (has & WORKER_NAME_HAS_IPV4) {
		names_maps_synthetic(name->number, false, address);
		memcpy(to->ipv4, address + 12, sizeof(to->ipv4));
	}
	if (has & WORKER_NAME_HAS_IPV6)
		names_maps_synthetic(name->number, true, to->ipv6);
}

enum names_next names_ask(struct names *names, const char *text, size_t length, uint64_t now,
			  struct worker_name *ret_answer)
{
	const struct worker_header header = ret_answer->header;
	struct name *name = NULL;
	enum worker_name_status status = WORKER_NAME_FOUND;
	char copy[WORKER_NAME_MAX + 1] = "";
	uint16_t has;

	*ret_answer = (struct worker_name){.header = header};
	if (worker_name_check(text, length)) {
		answer(ret_answer, WORKER_NAME_REFUSED, NAMES_TTL_MAX);
		return NAMES_ANSWER;
	}
	memcpy(copy, text, length);
	name = names_table_find(&names->table, copy, length);
	if (!name)
		status = number_name(names, copy, length, now, &name);
	else if (!name->admitted)
		status = WORKER_NAME_REFUSED;
	if (status != WORKER_NAME_FOUND) {
		answer(ret_answer, status,
		       status == WORKER_NAME_LIMITED ? NAMES_TTL_MIN : RETRY_SECONDS);
		return NAMES_ANSWER;
	}
	if (names_is_ours(name->text)) {
		answer_found(ret_answer, name, WORKER_NAME_HAS_IPV4, NAMES_TTL_MAX);
		return NAMES_ANSWER;
	}
	if (name->status == NAMES_UNKNOWN || now >= name->fresh)
		return NAMES_LOOK_UP;
	if (name->status == NAMES_FOUND) {
		has = families(names, name);
		if (has)
			answer_found(ret_answer, name, has, (name->fresh - now) / SECOND);
		else
			answer(ret_answer, WORKER_NAME_FAILED, RETRY_SECONDS);
		return NAMES_ANSWER;
	}
	answer(ret_answer, name->status == NAMES_NONE ? WORKER_NAME_NONE : WORKER_NAME_FAILED,
	       (name->fresh - now) / SECOND);
	return NAMES_ANSWER;
}

static void copy_distinct(const struct worker_found *found, struct names_addresses *to)
{
	for (size_t i = 0; i < found->count && i < WORKER_ADDRESSES_MAX; i++) {
		size_t at = 0;

		while (at < to->len && memcmp(to->item[at], found->address[i], 16))
			at++;
		if (at == to->len)
			memcpy(to->item[to->len++], found->address[i], 16);
	}
}

/* Validate and publish what was found; on failure nothing of the name stays published. */
static int take_addresses(struct names *names, struct name *name, const struct worker_found *found)
{
	_cleanup_free_ struct names_addresses *earlier = NULL, *new = calloc(1, sizeof(*new));
	bool entered = name->entered;
	int r = new ? names_index_find(&names->index, name->text, &names->ports) : -ENOMEM;

	if (!r && !entered) {
		r = names_publish_keys(names, &names->now, name);
		name->entered = !r;
	}
	if (!r) {
		copy_distinct(found, new);
		earlier = name->addresses;
		name->addresses = TAKE_PTR(new);
		r = entered ? names_publish_replace(names, name,
						    earlier ? earlier : &names_no_addresses)
			    : names_publish_enter(names, &names->index, names->now.generation,
						  name);
	}
	if (r)
		names_publish_withdraw(names, name);
	return r;
}

static void say_forbidden(const struct names *names, const struct name *name,
			  const uint8_t *address, const char *why)
{
	struct policy_cidr cidr = {.prefix = 128};
	char sentence[WORKER_NAME_MAX + POLICY_CIDR_TEXT_MAX + 256], text[POLICY_CIDR_TEXT_MAX];

	memcpy(cidr.address, address, sizeof(cidr.address));
	snprintf(sentence, sizeof(sentence),
		 "the name %s resolves to %s, which is %s: nobody is sent there", name->text,
		 policy_cidr_format(&cidr, true, text), why);
	names->forbidden(names->arg, sentence);
}

/* names->ports has the name's ports. */
static void tell_forbidden(struct names *names, struct name *name)
{
	const struct names_addresses *addresses = names_addresses_of(name);
	const char *why = NULL;
	size_t i;

	if (!names->forbidden || name->told || names->told > NAMES_TOLD_MAX)
		return;
	for (i = 0; i < addresses->len && !why; i++)
		why = names->audit && !names->ports.len
			      ? NULL
			      : names_admit_why(&names->ports, addresses->item[i]);
	if (!why)
		return;
	name->told = true;
	if (names->told++ == NAMES_TOLD_MAX) {
		names->forbidden(names->arg, "more names resolve to addresses that the policy does "
					     "not admit: no more of them are told");
		return;
	}
	say_forbidden(names, name, addresses->item[i - 1], why);
}

int names_found(struct names *names, const char *text, size_t length,
		const struct worker_found *found, uint64_t now)
{
	struct name *name;
	uint64_t ttl;
	int r = 0;

	if (worker_name_check(text, length))
		return -ENOENT;
	name = names_table_find(&names->table, text, length);
	if (!name || !name->admitted || names_is_ours(name->text))
		return -ENOENT;
	ttl = found->ttl < NAMES_TTL_MIN   ? NAMES_TTL_MIN
	      : found->ttl > NAMES_TTL_MAX ? NAMES_TTL_MAX
					   : found->ttl;
	if (found->status == WORKER_NAME_FOUND) {
		name->expiry = now + (ttl + NAMES_STALE_SECONDS) * SECOND;
		r = take_addresses(names, name, found);
		name->status = r ? NAMES_FAILED : NAMES_FOUND;
		if (!r)
			tell_forbidden(names, name);
		if (r || !families(names, name))
			ttl = RETRY_SECONDS;
	} else if (found->status == WORKER_NAME_NONE) {
		names_publish_withdraw(names, name);
		name->status = NAMES_NONE;
	} else {
		ttl = RETRY_SECONDS;
		if (!name->addresses || now >= name->expiry) {
			names_publish_withdraw(names, name);
			name->status = NAMES_FAILED;
		}
	}
	name->fresh = now + ttl * SECOND;
	return r;
}

/* Whether somebody connected to the name lately. */
static bool in_use(struct names *names, const struct name *name, uint64_t now)
{
	const struct names_maps maps = names_maps_of(names, names->now.generation);
	uint64_t used = names->audit ? names_maps_used(&maps, name->number, 0) : 0;

	if (name->used > used)
		used = name->used;
	if (names_index_find(&names->index, name->text, &names->ports))
		return false;
	for (size_t i = 0; i < names->ports.len && now >= used + USE_SECONDS * SECOND; i++) {
		uint64_t last = names_maps_used(&maps, name->number, names->ports.item[i].port);

		used = last > used ? last : used;
	}
	return used && now < used + USE_SECONDS * SECOND;
}

const char *names_due(struct names *names, uint64_t now, uint64_t ahead)
{
	while (names->due < names->table.len) {
		struct name *name = &names->table.name[names->due++];

		if (!name->entered || !name->addresses || now + ahead < name->fresh ||
		    now < name->check)
			continue;
		if (now >= name->expiry) {
			names_publish_withdraw(names, name);
			name->status = NAMES_UNKNOWN;
		} else if (in_use(names, name, now)) {
			name->check = now + RETRY_SECONDS * SECOND;
			return name->text;
		} else {
			name->check = now + IDLE_SECONDS * SECOND;
		}
	}
	names->due = 0;
	return NULL;
}

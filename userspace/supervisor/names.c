/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A name's life: numbered (by the policy that spells it out, or by the first question), looked up,
 * validated, published, looked up again. What is published is always what names_admit() says to the
 * name's last addresses under the policy that is asked; nothing else is remembered about it.
 */
#include "supervisor/names.h"

#include "common/cleanup.h"
#include "supervisor/names_maps.h"
#include "supervisor/slot.h"

#include <errno.h>
#include <string.h>

#define PB(name) Openshell__Compiled__V1__##name

#define SECOND UINT64_C(1000000000)
/* When to try again after a lookup that failed, and what the agent is told. */
#define RETRY_SECONDS 5
/* A name is in use for so long after somebody connected to it. */
#define USE_SECONDS 600
/* How often a name that is not in use is looked at. */
#define IDLE_SECONDS  30
#define WILDCARD_COST (SECOND / NAMES_WILDCARD_RATE)

_Static_assert(NAMES_ADDRESSES_MAX == WORKER_ADDRESSES_MAX, "what is found fits");
_Static_assert(NAMES_MAX <= OS_SYNTHETIC_MAX, "every number has a synthetic address");

struct names {
	const struct kernel *kernel;
	uint32_t slot;
	bool audit;
	struct names_index index;
	struct names_table table;
	struct names_keys now, before; /* in the maps: of this generation, and of the one before */
	struct names_ports ports;      /* of the name that is looked at */
	uint64_t credit, credited;     /* of the bucket, ns, and when it was filled last */
	size_t due;		       /* where names_due() goes on */
};

static const struct names_addresses none;

static void index_cleanup(struct names_index *index)
{
	names_index_free(index);
}

int names_new(const struct kernel *kernel, uint32_t slot, bool audit, struct names **ret_names,
	      struct error *err)
{
	struct names *names = calloc(1, sizeof(*names));

	if (!names)
		return error_set(err, -ENOMEM, "out of memory");
	names->kernel = kernel;
	names->slot = slot;
	names->audit = audit;
	names->credit = NAMES_WILDCARD_BURST * WILDCARD_COST;
	*ret_names = names;
	return 0;
}

void names_free(struct names *names)
{
	if (!names)
		return;
	names_keys_remove(names->kernel, names->slot, &names->before);
	names_keys_remove(names->kernel, names->slot, &names->now);
	names_table_free(&names->table);
	names_index_free(&names->index);
	names_ports_free(&names->ports);
	free(names);
}

bool names_wanted(const PB(CompiledPolicy) * policy)
{
	for (size_t i = 0; i < policy->n_endpoints; i++)
		if (names_index_takes(policy, policy->endpoints[i]))
			return true;
	return false;
}

static struct names_maps maps_of(const struct names *names, uint32_t generation)
{
	return (struct names_maps){
		.kernel = names->kernel, .slot = names->slot, .generation = generation};
}

static const struct names_addresses *addresses_of(const struct name *name)
{
	return name->addresses ? name->addresses : &none;
}

/* Note what a name's entries will be, so that they are taken out; names->ports has its ports. */
static int add_keys(struct names *names, struct names_keys *keys, const struct name *name)
{
	const struct names_ports *ports = &names->ports;
	int r = names->audit ? names_keys_add(keys, name->number, 0) : 0;

	for (size_t i = 0; !r && i < ports->len; i += names_ports_group(ports, i))
		r = names_keys_add(keys, name->number, ports->item[i].port);
	return r;
}

/* Write a name's ports, which have no entries in that generation yet. */
static int enter(struct names *names, const struct names_index *index, uint32_t generation,
		 const struct name *name)
{
	const struct names_maps maps = maps_of(names, generation);
	const struct names_ports *ports = &names->ports;
	int r = 0;

	for (size_t i = 0, len; !r && i < ports->len; i += len) {
		uint16_t port = ports->item[i].port;
		struct names_verdict verdict;

		len = names_ports_group(ports, i);
		verdict = names_admit(index, &ports->item[i], len, addresses_of(name));
		if (verdict.valid)
			r = names_maps_set_name(&maps, name, port, verdict.valid);
		/* Last: who may connect finds where to, or nothing, but nobody else's addresses. */
		if (!r)
			r = names_maps_set_endpoint(&maps, name->number, port, &verdict);
	}
	if (!r && names->audit && name->addresses)
		r = names_maps_set_name(&maps, name, 0, names_admit_any(name->addresses));
	return r;
}

static bool mask_within(const struct os_rule_mask *inner, const struct os_rule_mask *outer)
{
	for (size_t i = 0; i < OS_RULE_WORDS; i++)
		if (inner->word[i] & ~outer->word[i])
			return false;
	return true;
}

static struct names_verdict common_to(const struct names_verdict *a, const struct names_verdict *b)
{
	struct names_verdict both = *b;

	for (size_t i = 0; i < OS_RULE_WORDS; i++) {
		both.rules.word[i] &= a->rules.word[i];
		both.ask.word[i] &= a->ask.word[i];
	}
	return both;
}

/*
 * The name's addresses were @earlier and are others now. A rule that admitted the former may not
 * admit the latter: it goes first, and until no program can have seen it in force the new addresses
 * wait, since the kernel reads who may connect before where to.
 */
static int replace(struct names *names, const struct name *name,
		   const struct names_addresses *earlier)
{
	const struct names_maps maps = maps_of(names, names->now.generation);
	const struct names_ports *ports = &names->ports;
	bool narrower = false;
	int r = 0;

	for (size_t i = 0, len; !r && i < ports->len; i += len) {
		struct names_verdict old, new;

		len = names_ports_group(ports, i);
		old = names_admit(&names->index, &ports->item[i], len, earlier);
		new = names_admit(&names->index, &ports->item[i], len, addresses_of(name));
		if (mask_within(&old.rules, &new.rules))
			continue;
		narrower = true;
		old = common_to(&old, &new);
		r = names_maps_set_endpoint(&maps, name->number, ports->item[i].port, &old);
	}
	if (!r && narrower)
		slot_settle();
	for (size_t i = 0, len; !r && i < ports->len; i += len) {
		uint16_t port = ports->item[i].port;
		struct names_verdict verdict;

		len = names_ports_group(ports, i);
		verdict = names_admit(&names->index, &ports->item[i], len, addresses_of(name));
		r = names_maps_set_name(&maps, name, port, verdict.valid);
		if (!r)
			r = names_maps_set_endpoint(&maps, name->number, port, &verdict);
	}
	if (!r && names->audit)
		r = names_maps_set_name(&maps, name, 0, names_admit_any(addresses_of(name)));
	return r;
}

/* Take the addresses away: nothing of them is published any more. By the keys, which cannot fail.
 */
static void withdraw(struct names *names, struct name *name)
{
	const struct names_maps maps = maps_of(names, names->now.generation);

	for (size_t i = 0; name->addresses && i < names->now.len; i++)
		if (names->now.item[i].number == name->number)
			names_maps_set_name(&maps, name, names->now.item[i].port, 0);
	free(name->addresses);
	name->addresses = NULL;
}

/* The names that @policy spells out, in its order. */
static int add_exact(struct names *names, const PB(CompiledPolicy) * policy, struct error *err)
{
	for (size_t i = 0; i < policy->n_endpoints; i++) {
		const PB(Endpoint) *endpoint = policy->endpoints[i];
		size_t length = strlen(endpoint->host);
		struct name *name;
		int r;

		if (!names_index_takes(policy, endpoint) || strchr(endpoint->host, '*') ||
		    names_table_find(&names->table, endpoint->host, length))
			continue;
		r = names_table_add(&names->table, endpoint->host, length, NAMES_MAX, &name);
		if (r == -E2BIG)
			return error_set(err, r,
					 "this sandbox has had %d names, and every name keeps its "
					 "address: start it anew",
					 NAMES_MAX);
		if (r)
			return error_set(err, r, "out of memory");
	}
	return 0;
}

static int enter_all(struct names *names, const struct names_index *index, struct names_keys *keys,
		     struct error *err)
{
	for (size_t i = 0; i < names->table.len; i++) {
		const struct name *name = &names->table.name[i];
		int r = names_index_find(index, name->text, &names->ports);

		if (!r)
			r = add_keys(names, keys, name);
		if (!r)
			r = enter(names, index, keys->generation, name);
		if (r == -ENOSPC)
			return error_set(err, r,
					 "the maps os_endpoint and os_name take no more names: "
					 "fewer names per policy, or fewer sandboxes on this host");
		if (r)
			return error_set(err, r, "cannot enter the name %s: %s", name->text,
					 strerror(-r));
	}
	return 0;
}

/* @keys are in force, or will be; those before them are forgotten if they are the same ones. */
static void keep_keys(struct names *names, const struct names_keys *keys)
{
	if (names->before.generation == keys->generation)
		names_keys_forget(&names->before);
	if (names->now.generation == keys->generation) {
		names_keys_forget(&names->now);
	} else {
		names_keys_remove(names->kernel, names->slot, &names->before);
		names->before = names->now;
	}
	names->now = *keys;
}

int names_write(struct names *names, uint32_t generation, const PB(CompiledPolicy) * policy,
		struct error *err)
{
	_cleanup_(index_cleanup) struct names_index index = {};
	struct names_keys keys = {.generation = generation};
	size_t len = names->table.len;
	int r;

	r = names_index_build(policy, &index, err);
	if (r)
		return r;
	r = add_exact(names, policy, err);
	if (!r)
		r = enter_all(names, &index, &keys, err);
	if (r) {
		names_keys_remove(names->kernel, names->slot, &keys);
		names_table_cut(&names->table, len);
		return r;
	}
	for (size_t i = 0; i < names->table.len; i++) {
		names->table.name[i].admitted = names->audit;
		names->table.name[i].entered = false;
	}
	for (size_t i = 0; i < keys.len; i++) {
		struct name *name = names_table_at(&names->table, keys.item[i].number);

		name->admitted = name->entered = true;
	}
	keep_keys(names, &keys);
	names_index_free(&names->index);
	names->index = index;
	index = (struct names_index){};
	return 0;
}

void names_erase(struct names *names, uint32_t generation)
{
	if (names->before.generation == generation)
		names_keys_remove(names->kernel, names->slot, &names->before);
}

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
	if (!names->now.generation || (!names->ports.len && !names->audit))
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

/* Which families the name has an address of that some port of it is published with. */
static uint16_t families(struct names *names, const struct name *name)
{
	const struct names_addresses *addresses = addresses_of(name);
	uint32_t valid = names->audit ? names_admit_any(addresses) : 0;
	uint16_t has = 0;

	if (names_index_find(&names->index, name->text, &names->ports))
		return 0;
	for (size_t i = 0, len; i < names->ports.len; i += len) {
		len = names_ports_group(&names->ports, i);
		valid |= names_admit(&names->index, &names->ports.item[i], len, addresses).valid;
	}
	for (size_t i = 0; i < addresses->len; i++) {
		static const uint8_t mapped[12] = {[10] = 0xff, 0xff};

		if (valid >> i & 1)
			has |= memcmp(addresses->item[i], mapped, sizeof(mapped))
				       ? WORKER_NAME_HAS_IPV6
				       : WORKER_NAME_HAS_IPV4;
	}
	return has;
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
		r = add_keys(names, &names->now, name);
		name->entered = !r;
	}
	if (!r) {
		copy_distinct(found, new);
		earlier = name->addresses;
		name->addresses = TAKE_PTR(new);
		r = entered ? replace(names, name, earlier ? earlier : &none)
			    : enter(names, &names->index, names->now.generation, name);
	}
	if (r)
		withdraw(names, name);
	return r;
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
	if (!name || !name->admitted)
		return -ENOENT;
	ttl = found->ttl < NAMES_TTL_MIN   ? NAMES_TTL_MIN
	      : found->ttl > NAMES_TTL_MAX ? NAMES_TTL_MAX
					   : found->ttl;
	if (found->status == WORKER_NAME_FOUND) {
		name->expiry = now + (ttl + NAMES_STALE_SECONDS) * SECOND;
		r = take_addresses(names, name, found);
		name->status = r ? NAMES_FAILED : NAMES_FOUND;
		if (r || !families(names, name))
			ttl = RETRY_SECONDS;
	} else if (found->status == WORKER_NAME_NONE) {
		withdraw(names, name);
		name->status = NAMES_NONE;
	} else {
		ttl = RETRY_SECONDS;
		if (!name->addresses || now >= name->expiry) {
			withdraw(names, name);
			name->status = NAMES_FAILED;
		}
	}
	name->fresh = now + ttl * SECOND;
	return r;
}

/* Whether somebody connected to the name lately. */
static bool in_use(struct names *names, const struct name *name, uint64_t now)
{
	const struct names_maps maps = maps_of(names, names->now.generation);
	uint64_t used = names->audit ? names_maps_used(&maps, name->number, 0) : 0;

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
			withdraw(names, name);
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

const char *names_text(const struct names *names, const uint8_t *address)
{
	const struct name *name = names_table_at(&names->table, names_maps_number(address));

	return name ? name->text : NULL;
}

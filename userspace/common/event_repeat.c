/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event_repeat.h"

#include "common/cleanup.h"

#include <string.h>
#include <sys/random.h>

#define WINDOW_NS 1000000000u
#define LIMITED_WINDOW_NS                                                                          \
	(60 * (uint64_t)WINDOW_NS) /* it is one finding, however long it lasts                     \
				    */
#define WAYS	   4
#define SETS	   (EVENT_REPEAT_KINDS / WAYS)
#define NAMES_KEPT (EVENT_REPEAT_KEPT - 8) /* the rest is for programs and other denials */

struct kind {
	uint64_t hash; /* 0 = free */
	uint64_t start, used, window;
	uint64_t left_out;
	unsigned int told;
	struct event *last; /* the last one left out, while left_out > 0 */
};

struct event_repeat {
	struct kind kind[SETS][WAYS];
	struct event_repeat_sink sink;
	uint64_t seed;
	unsigned int per_second, kept;
};

struct event_repeat *event_repeat_new(unsigned int per_second, struct event_repeat_sink sink)
{
	struct event_repeat *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->per_second = per_second;
	r->sink = sink;
	/* So that an agent cannot pick names that collide and hide behind each other. */
	if (getrandom(&r->seed, sizeof(r->seed), GRND_NONBLOCK) != sizeof(r->seed))
		r->seed = (uint64_t)(uintptr_t)r;
	return r;
}

static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++) {
		hash = (hash ^ p[i]) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 29;
	}
	return hash;
}

static uint64_t hash_of(const struct event_repeat *r, const struct event *e)
{
	const struct os_event *raw = &e->raw;
	uint64_t hash = r->seed;

	hash = mix(hash, &raw->hook, sizeof(raw->hook));
	hash = mix(hash, &raw->verdict, sizeof(raw->verdict));
	hash = mix(hash, &raw->reason, sizeof(raw->reason));
	hash = mix(hash, &raw->wanted, sizeof(raw->wanted));
	/* A and AAAA of one name are one question, asked by one call of a program. */
	if (raw->hook != OS_HOOK_DNS)
		hash = mix(hash, &raw->detail, sizeof(raw->detail));
	hash = mix(hash, &raw->protocol, sizeof(raw->protocol));
	hash = mix(hash, &raw->port, sizeof(raw->port));
	/* Both families' addresses of a name are the same thing to whoever reads of it. */
	if (!e->host[0]) {
		hash = mix(hash, &raw->family, sizeof(raw->family));
		hash = mix(hash, raw->address, sizeof(raw->address));
	}
	hash = mix(hash, &raw->peer_pid, sizeof(raw->peer_pid));
	/* Ends of strings included, so that what is in one cannot move into the next. */
	hash = mix(hash, e->exe, strlen(e->exe) + 1);
	hash = mix(hash, e->path, strlen(e->path) + 1);
	hash = mix(hash, e->path2, strlen(e->path2) + 1);
	if (!e->limited)
		hash = mix(hash, e->host, strlen(e->host) + 1);
	return hash ? hash : 1;
}

/* All that one program asks for. */
static uint64_t hash_of_asker(const struct event_repeat *r, const struct event *e)
{
	uint64_t hash = mix(~r->seed, e->exe, strlen(e->exe) + 1);

	return hash ? hash : 1;
}

static void tell_sum(struct event_repeat *r, struct kind *kind)
{
	if (!kind->left_out)
		return;
	kind->last->repeated = kind->left_out;
	r->sink.tell(r->sink.arg, kind->last);
	free(kind->last);
	kind->last = NULL;
	kind->left_out = 0;
	r->kept--;
}

static struct kind *find(struct event_repeat *r, uint64_t hash, uint64_t window, uint64_t now)
{
	struct kind *set = r->kind[hash % SETS], *oldest = &set[0], *found = NULL;

	for (size_t i = 0; i < WAYS && !found; i++) {
		if (set[i].hash == hash)
			found = &set[i];
		else if (set[i].used < oldest->used)
			oldest = &set[i];
	}
	if (!found) {
		tell_sum(r, oldest);
		*oldest = (struct kind){.hash = hash, .start = now, .window = window};
		found = oldest;
	}
	found->used = now;
	if (now - found->start >= window) {
		tell_sum(r, found);
		found->start = now;
		found->told = 0;
	}
	return found;
}

/* Count it in @kind's sum. False: there is no room for one more sum. */
static bool leave_out(struct event_repeat *r, struct kind *kind, const struct event *e,
		      unsigned int kept_max)
{
	if (!kind->last) {
		if (r->kept >= kept_max)
			return false;
		kind->last = malloc(sizeof(*kind->last));
		if (!kind->last)
			return false;
		r->kept++;
	}
	*kind->last = *e;
	kind->left_out++;
	return true;
}

static bool take_name(struct event_repeat *r, const struct event *e, uint64_t now)
{
	struct kind *asker = find(r, hash_of_asker(r, e), WINDOW_NS, now);
	struct kind *name = find(r, hash_of(r, e), WINDOW_NS, now);

	/* Only a name that was told gets a sum of its own. */
	if (name->told && leave_out(r, name, e, NAMES_KEPT))
		return false;
	if (asker->told < EVENT_REPEAT_NAMES) {
		asker->told++;
		name->told++;
		return true;
	}
	if (!leave_out(r, asker, e, EVENT_REPEAT_KEPT))
		return true;
	asker->last->others = true;
	return false;
}

bool event_repeat_take(struct event_repeat *repeat, const struct event *event, uint64_t now)
{
	unsigned int most = event->limited ? 1 : repeat->per_second;
	struct kind *kind;

	/* Requests were summed up before they became events. */
	if (event_is_request(event) || event->repeated)
		return true;
	if (!event->decided || (event->action != EVENT_DENIED && event->action != EVENT_AUDIT))
		return true;
	if (event->raw.hook == OS_HOOK_DNS && !event->limited)
		return take_name(repeat, event, now);
	kind = find(repeat, hash_of(repeat, event), event->limited ? LIMITED_WINDOW_NS : WINDOW_NS,
		    now);
	if (kind->told < most) {
		kind->told++;
		return true;
	}
	return !leave_out(repeat, kind, event, EVENT_REPEAT_KEPT);
}

void event_repeat_flush(struct event_repeat *repeat, uint64_t now, bool all)
{
	struct kind *kind = &repeat->kind[0][0];

	if (!repeat->kept)
		return;
	for (size_t i = 0; i < EVENT_REPEAT_KINDS; i++) {
		if (!kind[i].left_out || (!all && now - kind[i].start < kind[i].window))
			continue;
		tell_sum(repeat, &kind[i]);
		kind[i].start = now;
		kind[i].told = 0;
	}
}

bool event_repeat_pending(const struct event_repeat *repeat)
{
	return repeat->kept > 0;
}

void event_repeat_free(struct event_repeat *repeat)
{
	if (!repeat)
		return;
	for (size_t i = 0; i < EVENT_REPEAT_KINDS; i++)
		free((&repeat->kind[0][0])[i].last);
	free(repeat);
}

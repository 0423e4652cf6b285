/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of one sandbox: which of them its policy admits, the number and synthetic addresses
 * that each has, where they really are, and what of this is in the kernel's maps. It alone decides
 * about names: a worker asks, the resolver tells addresses, and both may lie without anything being
 * admitted that the policy does not admit.
 *
 * Owned by the sandbox; its loop's thread. Does no I/O but writing maps. Fails closed: a name that
 * is not here has no synthetic address, one without validated addresses has no os_name entry, and
 * both are denied by the kernel.
 *
 * A name keeps its number for the sandbox's life, so that addresses that an agent has cached mean
 * the same name after a change of policy, or nothing.
 */
#pragma once

#include "common/error.h"
#include "common/worker_protocol.h"
#include "compiled_policy.pb-c.h"
#include "supervisor/kernel.h"
#include "supervisor/names_admit.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAMES_MAX	   32768 /* in one sandbox, exact and by wildcard */
#define NAMES_WILDCARD_MAX 4096	 /* of these by wildcard (or in audit mode by nothing) */
/* New names under a wildcard: a bucket of BURST, filled with RATE a second. */
#define NAMES_WILDCARD_BURST 256
#define NAMES_WILDCARD_RATE  16
#define NAMES_TOLD_MAX	     64 /* of one policy; then one sentence that there are more */
#define NAMES_TTL_MIN	     1	/* seconds, of what the agent is told */
#define NAMES_TTL_MAX	     300
#define NAMES_STALE_SECONDS                                                                        \
	3600 /* a name in use keeps its last addresses if no resolver answers                      \
	      */
#define NAMES_HOST "host.openshell.internal"

struct names;

/* @audit: every name that is no nonsense is admitted, so that a policy can be learnt. */
int names_new(const struct kernel *kernel, uint32_t slot, bool audit, struct names **ret_names,
	      struct error *err);
/* Removes its entries from the maps as well. NULL is valid. */
void names_free(struct names *names);

/*
 * Be told, as a sentence, of a name that turns up at an address which the policy does not admit:
 * somebody's mistake, or an attempt at the host's own network. Once for each name and policy, and
 * not of more than NAMES_TOLD_MAX names.
 */
void names_listen(struct names *names, void (*forbidden)(void *arg, const char *sentence),
		  void *arg);

/* True if @policy has an endpoint that is a name of an L4 rule: it needs a worker. */
bool names_wanted(const Openshell__Compiled__V1__CompiledPolicy *policy);

/*
 * Number the exact names of @policy and write os_endpoint (and os_name for names with known
 * addresses) of @generation, for names of earlier policies too where it still admits them. @policy
 * is borrowed until the next successful call or names_free(). A full map or table: -ENOSPC, -E2BIG,
 * nothing of @generation stays, and the earlier policy stays the one that is asked. To go back to
 * the generation before, when something else of the new one failed: write that one again.
 */
int names_write(struct names *names, uint32_t generation,
		const Openshell__Compiled__V1__CompiledPolicy *policy, struct error *err);

/*
 * Remove what is in the maps of the generation before the one that was written last, once no
 * program can be looking at it (slot_settle()). Looks at no other sandbox's entries.
 */
void names_erase(struct names *names, uint32_t generation);

/* What to do with a question for a name. */
enum names_next {
	NAMES_ANSWER,  /* *ret_answer is complete: send it */
	NAMES_LOOK_UP, /* admitted, addresses unknown or expired: look it up, names_found(), ask
			  again */
};

/*
 * @now: CLOCK_BOOTTIME, ns. Fills @ret_answer but for its header. @length and @name as
 * worker_name_check() wants them (checked again here). inference.local is never looked up: it has a
 * synthetic address where the policy has its endpoint (policy_inference.h).
 */
enum names_next names_ask(struct names *names, const char *name, size_t length, uint64_t now,
			  struct worker_name *ret_answer);

/*
 * What the resolver said of @name: validate each address against the never-list, allowed_ips and
 * the private-address rules, for each of its endpoints and ports, and publish what is left. A
 * WORKER_NAME_FAILED leaves earlier addresses in force for NAMES_STALE_SECONDS. -ENOENT: it is not
 * admitted (any more); -ENOSPC, -ENOMEM: it could not be published, and is answered as failed.
 */
int names_found(struct names *names, const char *name, size_t length,
		const struct worker_found *found, uint64_t now);

/*
 * The next name in use whose addresses expire within @ahead ns, for a lookup before they do; NULL
 * if there is none. It counts as looked up for a while, so that a loop over this ends.
 */
const char *names_due(struct names *names, uint64_t now, uint64_t ahead);

/*
 * Where a connection to @port of the name behind the synthetic @asked may go under the policy that
 * is asked: the addresses that os_name has for it, in the order in which to try them, those of
 * @asked's family first. @now as above. -EINPROGRESS: look it up, names_found(), ask again; -EPERM:
 * no endpoint has that name and port; -EACCES: none of its addresses may be used, and
 * @ret_addresses has them; -ENOENT: there is no such name; -EAGAIN: the resolvers cannot say.
 */
int names_where(struct names *names, const uint8_t *asked, uint16_t port, uint64_t now,
		struct names_addresses *ret_addresses);

/* The name behind a synthetic address (16 bytes, v4-mapped), or NULL. */
const char *names_text(const struct names *names, const uint8_t *address);

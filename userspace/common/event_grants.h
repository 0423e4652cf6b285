/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy would have to grant for denied (or audited) events to be allowed: paths with the
 * rights that were missing, programs, endpoints with the binary that wanted them. The summary
 * prints them, --learn writes them into a policy.
 *
 * Owned by the caller; one thread. Bounded: when EVENT_GRANTS_PATHS_MAX paths have come together,
 * crowded directories stand in for their entries. Only suggests: nothing here is in force.
 */
#pragma once

#include "common/event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENT_GRANTS_PATHS_MAX	   4096
#define EVENT_GRANTS_PROGRAMS_MAX  1024
#define EVENT_GRANTS_ENDPOINTS_MAX 1024

struct event_grant_path {
	char *path;
	uint32_t rights; /* OS_RIGHT_* wanted there; with those of OS_RIGHTS_WRITE: read_write */
	bool base;	 /* a line that a policy has already: never dropped or merged */
};

struct event_grant_endpoint {
	char *exe, *host;
	char *rule;	 /* that names the endpoint; "" = none does */
	uint16_t port;	 /* 0: only the name was asked for */
	bool has_binary; /* the rule names the binary too: it is the address that it lacks */
};

struct event_grants {
	struct event_grant_path *path; /* sorted by path, distinct */
	size_t paths, paths_cap;
	char **program; /* sorted; for exec_policy.allow */
	size_t programs, programs_cap;
	struct event_grant_endpoint *endpoint; /* sorted by exe, host, port */
	size_t endpoints, endpoints_cap;
};

/* Rights that only read_write gives. */
#define EVENT_GRANT_WRITES (OS_RIGHT_WRITE | OS_RIGHT_CREATE | OS_RIGHT_REMOVE | OS_RIGHT_ATTR)

/*
 * Add what @event would have needed. Returns how many lines that is; 0: nothing can be granted;
 * -E2BIG: too many programs or endpoints, the event is not in; -ENOMEM.
 */
int event_grants_add(struct event_grants *grants, const struct event *event);

/* Add one remedy of @event. Errors as above. */
int event_grants_add_remedy(struct event_grants *grants, const struct event *event,
			    const struct event_remedy *remedy);

/* Add @rights at @path; an existing entry gets them besides. -ENOMEM. */
int event_grants_add_path(struct event_grants *grants, const char *path, uint32_t rights,
			  bool base);

/* The entry at @path itself, or the nearest one above it; NULL if there is none. */
struct event_grant_path *event_grants_at(const struct event_grants *grants, const char *path);
struct event_grant_path *event_grants_above(const struct event_grants *grants, const char *path);

/* Drop every entry for which the nearest one above it grants as much. */
void event_grants_prune(struct event_grants *grants);

/*
 * Let a directory stand in for its entries wherever more than @crowd of them want the same (0:
 * nowhere), then go on with the most crowded and the deepest until at most @limit entries are left
 * that are not base. Never gives all of "/". -E2BIG if that is not enough; -ENOMEM.
 */
int event_grants_collapse(struct event_grants *grants, size_t crowd, size_t limit);

/*
 * True if the endpoint at @index is a name that was asked for, and the same program is known to
 * have wanted a port of it: that entry says more.
 */
bool event_grants_is_answered(const struct event_grants *grants, size_t index);

void event_grants_free(struct event_grants *grants);

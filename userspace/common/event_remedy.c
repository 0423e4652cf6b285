/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event_name.h"
#include "common/inference.h"

#include <stdio.h>
#include <string.h>

/* "/a/b" -> "/a"; "/a" -> "/". */
static void parent_of(const char *path, char *ret)
{
	const char *slash = strrchr(path, '/');
	int len = slash && slash != path ? (int)(slash - path) : 1;

	snprintf(ret, EVENT_PATH_SIZE, "%.*s", len, path);
}

struct remedies {
	struct event_remedy *list;
	size_t len;
};

static void add(struct remedies *r, enum event_remedy_kind kind, uint32_t rights, const char *path,
		bool parent)
{
	struct event_remedy *new = &r->list[r->len];

	if (r->len == EVENT_REMEDIES_MAX)
		return;
	if (parent)
		parent_of(path, new->path);
	else
		snprintf(new->path, sizeof(new->path), "%s", path);
	new->kind = kind;
	new->rights = rights;
	for (size_t i = 0; i < r->len; i++) {
		if (r->list[i].kind == kind && !strcmp(r->list[i].path, new->path)) {
			r->list[i].rights |= rights;
			return;
		}
	}
	r->len++;
}

#define GRANTED_BY_WRITE (OS_RIGHT_WRITE | OS_RIGHT_CREATE | OS_RIGHT_REMOVE | OS_RIGHT_ATTR)
#define RIGHTS_RUN	 (OS_RIGHT_EXEC | OS_RIGHT_LIBRARY)

/* What is needed of the object itself, whatever is needed of the directory it is in. */
static void object_remedies(const struct event *e, struct remedies *r)
{
	uint32_t missing = e->missing;
	bool run_listed = missing & RIGHTS_RUN && e->raw.held & OS_RIGHT_READ;

	if (missing & (OS_RIGHT_WRITE | OS_RIGHT_ATTR))
		add(r, EVENT_REMEDY_READ_WRITE, missing & ~(OS_RIGHT_CREATE | OS_RIGHT_REMOVE),
		    e->path, false);
	else if (missing & OS_RIGHTS_READ || (missing & RIGHTS_RUN && !run_listed))
		add(r, EVENT_REMEDY_READ_ONLY, missing & (OS_RIGHTS_READ | RIGHTS_RUN), e->path,
		    false);
	/* What may be read may be executed, unless exec_policy.allow says less. */
	if (missing & RIGHTS_RUN && e->exec_listed)
		add(r, EVENT_REMEDY_EXEC, missing & RIGHTS_RUN, e->path, false);
}

static void path_remedies(const struct event *e, struct remedies *r)
{
	uint32_t names = e->missing & (OS_RIGHT_CREATE | OS_RIGHT_REMOVE);
	bool directory = e->raw.flags & OS_EVENT_DIRECTORY && !(e->raw.flags & OS_EVENT_NEW_NAME);

	if (e->path_state != EVENT_PATH_FULL)
		return;
	/* A second object: the first would gain rights there that it does not have where it is. */
	if (e->path2_state != EVENT_PATH_NONE) {
		add(r,
		    e->missing & GRANTED_BY_WRITE ? EVENT_REMEDY_READ_WRITE
						  : EVENT_REMEDY_READ_ONLY,
		    e->missing, e->path, false);
		return;
	}
	/*
	 * A name is made in, and taken from, a directory: that is what has to be writable, since
	 * the object itself may not be there the next time.
	 */
	if (names)
		add(r, EVENT_REMEDY_READ_WRITE, names, e->path, !directory);
	object_remedies(e, r);
}

/* It needs no rule, and none may speak of it. */
static bool is_reserved(const struct event *e)
{
	return !strcmp(e->host, INFERENCE_HOST);
}

/*
 * True if a rule could admit what was tried. The stand-in of a name that is not known any more is
 * nothing that a rule could list.
 */
static bool is_grantable(const struct event *e)
{
	const uint8_t *target = event_is_rewritten(e) ? e->raw.real : e->raw.address;

	if (e->exe_state != EVENT_PATH_FULL || !e->raw.port || is_reserved(e))
		return false;
	if (!e->host[0] && event_address_is_synthetic(e->raw.address))
		return false;
	/* It is the name that is wanted, and which one is not told by this. */
	if (e->raw.port == EVENT_PORT_DNS && e->raw.reason == OS_REASON_NO_ENDPOINT)
		return false;
	return !event_address_is_guarded(target, e->raw.port);
}

static void network_remedies(const struct event *e, struct remedies *r)
{
	switch (e->raw.reason) {
	case OS_REASON_STALE_NAME:
		/*
		 * In audit mode it was sent on all the same, to an address that the rules of this
		 * name do not admit: a rule that spells the name out may.
		 */
		if (e->action != EVENT_AUDIT || !e->host[0] || !event_is_rewritten(e))
			return;
		break;
	case OS_REASON_NAME:
		if (e->host[0] && !e->limited && e->exe_state == EVENT_PATH_FULL && !is_reserved(e))
			add(r, EVENT_REMEDY_NAME, 0, "", false);
		return;
	default:
		break;
	}
	if (is_grantable(e))
		add(r, EVENT_REMEDY_NETWORK, 0, "", false);
}

size_t event_remedies(const struct event *event, struct event_remedy ret[EVENT_REMEDIES_MAX])
{
	struct remedies r = {.list = ret};

	if (!event->decided || event->listed_deny ||
	    (event->action != EVENT_DENIED && event->action != EVENT_AUDIT))
		return 0;
	switch (event->raw.reason) {
	case OS_REASON_RIGHT:
	case OS_REASON_NO_ANCHOR:
		path_remedies(event, &r);
		break;
	case OS_REASON_NO_ENDPOINT:
	case OS_REASON_BINARY:
	case OS_REASON_STALE_NAME:
	case OS_REASON_NAME:
		network_remedies(event, &r);
		break;
	default:
		break;
	}
	return r.len;
}

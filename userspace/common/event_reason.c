/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event_name.h"
#include "common/event_reason.h"

#include <string.h>

/* The listed path that decides about @path: the longest one at or above it; a deny beats others. */
static const Openshell__Compiled__V1__PathRule *
deciding_rule(const Openshell__Compiled__V1__CompiledPolicy *policy, const char *path)
{
	const Openshell__Compiled__V1__PathRule *best = NULL;
	size_t best_len = 0;

	for (size_t i = 0; policy && i < policy->n_paths; i++) {
		const Openshell__Compiled__V1__PathRule *rule = policy->paths[i];
		size_t len = strlen(rule->path);

		if (len == 1)
			len = 0; /* "/" is above everything */
		if (strncmp(path, rule->path, len) || (path[len] && path[len] != '/'))
			continue;
		if (rule->access == OPENSHELL__COMPILED__V1__PATH_ACCESS__PATH_ACCESS_DENY)
			return rule;
		if (!best || len >= best_len) {
			best = rule;
			best_len = len;
		}
	}
	return best;
}

static void add_remedies(struct text *t, const struct event *e)
{
	static const char *const keys[] = {
		[EVENT_REMEDY_READ_ONLY] = "filesystem_policy.read_only",
		[EVENT_REMEDY_READ_WRITE] = "filesystem_policy.read_write",
		[EVENT_REMEDY_EXEC] = "exec_policy.allow",
	};
	struct event_remedy remedy[EVENT_REMEDIES_MAX];
	size_t n = event_remedies(e, remedy);

	for (size_t i = 0; i < n; i++) {
		text_add(t, "%s%s: ", i ? " and " : "; ", keys[remedy[i].kind]);
		text_add_escaped(t, remedy[i].path, strlen(remedy[i].path));
	}
	if (n)
		text_add(t, " would grant it");
}

static void path_reason(struct text *t, struct event *e, const struct event_context *ctx)
{
	const Openshell__Compiled__V1__PathRule *rule = NULL;

	if (ctx->policy && e->path_state == EVENT_PATH_FULL &&
	    e->raw.generation == ctx->generation) {
		rule = deciding_rule(ctx->policy, e->path);
		e->exec_listed = ctx->policy->exec && ctx->policy->exec->allow_present;
	}
	if (rule && rule->access == OPENSHELL__COMPILED__V1__PATH_ACCESS__PATH_ACCESS_DENY) {
		e->listed_deny = true;
		text_add(t, "filesystem_policy.deny: ");
		text_add_escaped(t, rule->path, strlen(rule->path));
		text_add(t, " forbids it, whatever else is granted");
		return;
	}
	if (e->path2_state != EVENT_PATH_NONE) {
		text_add(t, "the new name would give it rights it does not have where it is: ");
		event_rights_text(t, e->missing, " and ");
	} else if (!(e->raw.held & OS_RIGHT_READ)) {
		/* Every line of the policy grants reading at least. */
		text_add(t, "path is not in filesystem_policy");
	} else {
		event_rights_text(t, e->missing ? e->missing : e->raw.wanted, " and ");
		text_add(t, "%s not granted", e->missing & (e->missing - 1) ? " are" : " is");
	}
	add_remedies(t, e);
	/* Readable and yet not to be executed: the loader, or what exec_policy takes away. */
	if (!e->exec_listed && e->raw.held & OS_RIGHT_READ &&
	    e->missing & (OS_RIGHT_EXEC | OS_RIGHT_LIBRARY))
		text_add(t, "; exec_policy or the file's use as a library only forbids it");
}

static void forbidden_reason(struct text *t, const struct event *e)
{
	/* Which node it was is not known here: several may have these numbers. */
	if (e->raw.kind == OS_EVENT_DEVICE) {
		text_add(t,
			 "no rule lists this device; filesystem_policy with the path of its node "
			 "(for NVIDIA GPUs: --gpu) would grant it, unless it is a block device");
		return;
	}
	text_add(t, "%s is never allowed in a sandbox; no policy can grant it",
		 event_hook_get(e->raw.hook)->act);
}

static void other_reason(struct text *t, const struct event *e)
{
	text_add(t, "%s reaches outside this sandbox; no policy can grant it",
		 event_hook_get(e->raw.hook)->act);
}

/* Without a reason code the rights are all there is to say. */
static void plain_reason(struct text *t, const struct event *e)
{
	if (!e->missing) {
		text_add(t, "the sandbox does not permit %s", event_hook_get(e->raw.hook)->act);
		return;
	}
	event_rights_text(t, e->missing, " and ");
	text_add(t, "%s not granted", e->missing & (e->missing - 1) ? " are" : " is");
}

void event_reason(struct event *event, const struct event_context *ctx)
{
	static const char *const fixed[] = {
		[OS_REASON_DEPTH] = "the object is more than 256 directories deep, past what can "
				    "be decided",
		[OS_REASON_NO_POLICY] = "no policy is in force for this sandbox: it was torn down "
					"or never admitted",
		[OS_REASON_IDENTITY] = "the running executable is not the one recorded at exec, so "
				       "no network rule applies to this process",
		[OS_REASON_FAMILY] = "only TCP and UDP over IPv4 and IPv6 and unix sockets are "
				     "offered; no policy can grant it",
		[OS_REASON_OPTION] = "this socket option could move the destination; no policy can "
				     "grant it",
		[OS_REASON_NO_IMAGE] = "a pipe, socket or memfd cannot be a program or be mapped "
				       "executable; no policy can grant it",
		[OS_REASON_NEVER_ADDRESS] = "loopback, link-local, metadata, multicast and "
					    "unspecified addresses are never admitted; no policy "
					    "can grant it",
		[OS_REASON_ASK] = "whether a rule's pattern knows this executable was not decided "
				  "in time; try again",
	};
	struct text t;

	text_init(&t, event->reason, sizeof(event->reason));
	if (event->raw.kind == OS_EVENT_NET && event->raw.port == EVENT_PORT_DNS &&
	    event->raw.reason == OS_REASON_NEVER_ADDRESS) {
		event_reason_network(event, &t);
		return;
	}
	switch (event->raw.reason) {
	case OS_REASON_RIGHT:
	case OS_REASON_NO_ANCHOR:
		path_reason(&t, event, ctx);
		return;
	case OS_REASON_NO_ENDPOINT:
	case OS_REASON_BINARY:
	case OS_REASON_STALE_NAME:
	case OS_REASON_CHANGED:
	case OS_REASON_NAME:
	case OS_REASON_INSPECTED:
		event_reason_network(event, &t);
		return;
	case OS_REASON_FORBIDDEN:
		forbidden_reason(&t, event);
		return;
	case OS_REASON_OTHER_SANDBOX:
		other_reason(&t, event);
		return;
	default:
		break;
	}
	if (event->raw.reason < sizeof(fixed) / sizeof(fixed[0]) && fixed[event->raw.reason])
		text_add(&t, "%s", fixed[event->raw.reason]);
	else
		plain_reason(&t, event);
}

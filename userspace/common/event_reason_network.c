/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event_name.h"
#include "common/event_reason.h"
#include "common/inference.h"

#include <netinet/in.h>
#include <string.h>

static void add_host(struct text *t, const struct event *e)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	bool v6 = memcmp(e->raw.address, mapped, sizeof(mapped));

	if (e->host[0]) {
		text_add_escaped(t, e->host, strlen(e->host));
		return;
	}
	text_add(t, "%s", v6 ? "(" : "");
	text_add_address(t, e->raw.address);
	text_add(t, "%s", v6 ? ")" : "");
}

static void add_endpoint(struct text *t, const struct event *e)
{
	add_host(t, e);
	if (e->raw.port)
		text_add(t, ":%u", e->raw.port);
}

static void add_exe(struct text *t, const struct event *e)
{
	if (e->exe[0])
		text_add_escaped(t, e->exe, strlen(e->exe));
	else
		text_add(t, "this executable");
}

static void add_rule(struct text *t, const struct event *e)
{
	text_add(t, "rule ");
	text_add_escaped(t, e->rule, strlen(e->rule));
	text_add(t, " names ");
	add_endpoint(t, e);
}

/* What decides at the endpoint is what is said there. */
static void inspected_reason(struct text *t, const struct event *e)
{
	text_add(t, "what is said to ");
	add_endpoint(t, e);
	if (e->raw.protocol == IPPROTO_UDP)
		text_add(t, " is inspected, which can be done with TCP alone: programs that can "
			    "talk to it otherwise than by QUIC do so by themselves");
	else if (e->raw.flags & OS_EVENT_RECORDED)
		text_add(t, " is inspected under the policy in force and was not before, or the "
			    "other way round; a connection that is opened now goes the right way");
	else
		text_add(t, " has to be inspected, and the sandbox's proxy takes no more "
			    "connections, or is not there");
}

static void binary_reason(struct text *t, const struct event *e)
{
	if (!e->rule[0]) {
		text_add(t, "endpoint ");
		add_endpoint(t, e);
		text_add(t, " is not allowed for this executable; a rule of network_policies with "
			    "this host, this port and the binary ");
		add_exe(t, e);
		text_add(t, " would admit it");
		return;
	}
	add_rule(t, e);
	text_add(t, ", but neither ");
	add_exe(t, e);
	text_add(t, " nor an ancestor of it; network_policies.");
	text_add_escaped(t, e->rule, strlen(e->rule));
	text_add(t, ".binaries: ");
	add_exe(t, e);
	text_add(t, " would admit it");
}

static void stale_reason(struct text *t, const struct event *e)
{
	if (!e->host[0]) {
		add_host(t, e);
		text_add(t, " is not an address of any name now; look the name up again");
		return;
	}
	if (e->action == EVENT_AUDIT && event_is_rewritten(e)) {
		add_host(t, e);
		text_add(t, " is at ");
		text_add_address(t, e->raw.real);
		text_add(t, ", which its rules do not admit: a private address needs an endpoint "
			    "that spells the name out, or allowed_ips");
		return;
	}
	add_endpoint(t, e);
	text_add(t, " has no valid address now; look the name up again. If it stays so, the name "
		    "is only at addresses that its rules do not admit");
}

static void endpoint_reason(struct text *t, const struct event *e)
{
	const uint8_t *target = event_is_rewritten(e) ? e->raw.real : e->raw.address;

	if (!e->host[0] && event_address_is_synthetic(e->raw.address)) {
		stale_reason(t, e);
		return;
	}
	text_add(t, "endpoint ");
	add_endpoint(t, e);
	text_add(t, " is not allowed by any policy; ");
	if (event_address_is_guarded(target, e->raw.port)) {
		text_add(t, "none can grant the port of a cluster's control plane on a private "
			    "address");
		return;
	}
	text_add(t, "a rule of network_policies with this host, this port and the binary ");
	add_exe(t, e);
	text_add(t, " would admit it");
}

static void name_reason(struct text *t, const struct event *e)
{
	if (e->limited) {
		text_add(t, "too many new names in a short time, which is how data leaves inside "
			    "of names (DNS tunnelling); names asked for before are answered as "
			    "always");
		return;
	}
	text_add(t, "no rule admits the name ");
	add_host(t, e);
	text_add(t, "; a rule of network_policies with this host and the binary ");
	add_exe(t, e);
	text_add(t, " would");
}

/* Asked for where there is none, or at another port than its one. */
static void inference_reason(struct text *t, const struct event *e)
{
	add_host(t, e);
	if (e->raw.reason == OS_REASON_NAME)
		text_add(t, " is the host for models, and none is configured here: `openshell run "
			    "--inference` says which");
	else
		text_add(t, " is the host for models, and only https://" INFERENCE_HOST
			    " leads to them: TCP, port 443");
}

void event_reason_network(const struct event *event, struct text *t)
{
	if (event->raw.port == EVENT_PORT_DNS && (event->raw.reason == OS_REASON_NO_ENDPOINT ||
						  event->raw.reason == OS_REASON_NEVER_ADDRESS)) {
		text_add(t, "the policy in force names no host, so there is nobody to ask for "
			    "names; a rule of network_policies with the host and port that are "
			    "wanted changes that, and `openshell run --learn` finds out which "
			    "they are");
		return;
	}
	if (!strcmp(event->host, INFERENCE_HOST) && !event->limited &&
	    event->raw.reason != OS_REASON_CHANGED) {
		inference_reason(t, event);
		return;
	}
	switch (event->raw.reason) {
	case OS_REASON_BINARY:
		binary_reason(t, event);
		break;
	case OS_REASON_STALE_NAME:
		stale_reason(t, event);
		break;
	case OS_REASON_CHANGED:
		text_add(t, "the content of ");
		add_exe(t, event);
		text_add(t, ", or of an ancestor of it, changed since it was identified, so that "
			    "no rule that names it applies; load the policy again when you trust "
			    "it");
		break;
	case OS_REASON_NAME:
		name_reason(t, event);
		break;
	case OS_REASON_INSPECTED:
		inspected_reason(t, event);
		break;
	default:
		endpoint_reason(t, event);
		break;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event_line.h"

#include "common/cleanup.h"
#include "common/event_inference.h"
#include "common/event_request.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static const char *const action_labels[] = {
	[EVENT_DENIED] = "DENIED",
	[EVENT_ALLOWED] = "ALLOWED",
	[EVENT_AUDIT] = "AUDIT",
};

const char *event_action_label(const struct event *event)
{
	return event->action == EVENT_TOLD ? event->verb : action_labels[event->action];
}

static void add_process(struct text *t, const struct event *e)
{
	if (e->exe[0])
		text_add_word(t, e->exe);
	else if (e->raw.comm[0])
		text_add_word(t, e->raw.comm);
	else
		text_add(t, "?");
	if (e->raw.pid || e->raw.ns_pid)
		text_add(t, "(%u)", e->raw.ns_pid ? e->raw.ns_pid : e->raw.pid);
}

static void add_path(struct text *t, const struct event *e)
{
	if (e->path_state != EVENT_PATH_NONE)
		text_add_word(t, e->path);
	else if (e->raw.family == AF_UNIX)
		text_add(t, "unix socket without a path");
	else
		text_add(t, "(no path)");
	if (e->path2_state != EVENT_PATH_NONE) {
		text_add(t, " to ");
		text_add_word(t, e->path2);
	}
	if (e->raw.wanted) {
		text_add(t, " ");
		event_rights_text(t, e->raw.wanted, ",");
	}
}

static void add_endpoint(struct text *t, const struct event *e)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	bool v6 = memcmp(e->raw.address, mapped, sizeof(mapped));

	if (e->host[0]) {
		text_add_word(t, e->host);
	} else {
		text_add(t, "%s", v6 ? "[" : "");
		text_add_address(t, e->raw.address);
		text_add(t, "%s", v6 ? "]" : "");
	}
	text_add(t, ":%u", e->raw.port);
	if (e->raw.protocol && e->raw.protocol != IPPROTO_TCP) {
		text_add(t, " ");
		event_protocol_text(t, e->raw.protocol);
	}
}

static void add_question(struct text *t, const struct event *e)
{
	text_add_word(t, e->host);
	text_add(t, " ");
	event_query_text(t, e->raw.detail);
}

static void add_socket(struct text *t, const struct event *e)
{
	static const char *const types[] = {
		[SOCK_STREAM] = " stream",
		[SOCK_DGRAM] = " datagram",
		[SOCK_RAW] = " raw",
		[SOCK_RDM] = " rdm",
		[SOCK_SEQPACKET] = " seqpacket",
		[SOCK_PACKET] = " packet",
	};

	text_add(t, "socket ");
	event_family_text(t, e->raw.family);
	if (e->raw.hook == OS_HOOK_SETSOCKOPT) {
		text_add(t, " option %u", e->raw.detail);
		return;
	}
	if (e->raw.detail < ARRAY_LEN(types) && types[e->raw.detail])
		text_add(t, "%s", types[e->raw.detail]);
	if (e->raw.protocol) {
		text_add(t, " ");
		event_protocol_text(t, e->raw.protocol);
	}
}

static void add_target(struct text *t, const struct event *e)
{
	if (e->raw.peer_pid)
		text_add(t, "process %u (host pid)", e->raw.peer_pid);
	else
		text_add(t, "another process");
	if (e->raw.hook == OS_HOOK_TASK_KILL) {
		text_add(t, " ");
		event_signal_text(t, e->raw.detail);
	}
}

static void add_file(struct text *t, const struct event *e)
{
	add_path(t, e);
	if (e->raw.hook == OS_HOOK_FILE_IOCTL)
		text_add(t, " ioctl 0x%x", e->raw.detail);
	else if (e->raw.hook == OS_HOOK_PATH_CHMOD && e->raw.detail)
		text_add(t, " mode %04o", e->raw.detail & 07777);
}

/* True if the event is about a socket and not about where it leads. */
static bool is_about_socket(const struct event *e)
{
	static const uint8_t nowhere[16];

	return e->raw.hook == OS_HOOK_SOCKET_CREATE || e->raw.hook == OS_HOOK_SOCK_CREATE ||
	       e->raw.hook == OS_HOOK_SETSOCKOPT ||
	       (!e->raw.port && !memcmp(e->raw.address, nowhere, sizeof(nowhere)));
}

static void add_system(struct text *t, const struct event *e)
{
	text_add(t, "%s", event_hook_get(e->raw.hook)->act);
	if (e->raw.hook == OS_HOOK_BPF)
		text_add(t, " command %u", e->raw.detail);
	if (e->path_state != EVENT_PATH_NONE) {
		text_add(t, " on ");
		text_add_word(t, e->path);
	}
}

void event_line_object(const struct event *event, struct text *t)
{
	if (event_is_request(event)) {
		event_request_object(event, t);
		return;
	}
	switch (event->raw.kind) {
	case OS_EVENT_NET:
		if (event->raw.hook == OS_HOOK_DNS)
			add_question(t, event);
		else if (is_about_socket(event))
			add_socket(t, event);
		else
			add_endpoint(t, event);
		break;
	case OS_EVENT_PROCESS:
		if (event->raw.hook == OS_HOOK_CAPABLE)
			event_capability_text(t, event->raw.detail);
		else
			add_target(t, event);
		break;
	case OS_EVENT_SYSTEM:
		add_system(t, event);
		break;
	default:
		add_file(t, event);
		break;
	}
}

static void add_body(const struct event *e, struct text *t)
{
	if (!e->decided) {
		text_add_escaped(t, e->message, strlen(e->message));
		return;
	}
	/* Of a request it is what is asked for that people look for. */
	if (e->class == EVENT_CLASS_HTTP) {
		event_line_object(e, t);
		return;
	}
	add_process(t, e);
	/* After an exec the executable is the object: there is no second one to name. */
	if (e->raw.hook == OS_HOOK_EXEC && e->path_state == EVENT_PATH_NONE)
		return;
	text_add(t, " -> ");
	event_line_object(e, t);
	if (e->class == EVENT_CLASS_API && e->request.status)
		text_add(t, " %u", e->request.status);
}

void event_line_body(const struct event *event, struct text *t)
{
	text_add(t, "%s ", event_action_label(event));
	add_body(event, t);
}

/* What came of a request; nothing of one that went nowhere. */
static void add_answer(const struct event *e, struct text *t)
{
	const struct event_http *request = &e->request;

	if (e->action == EVENT_DENIED)
		return;
	if (request->status)
		text_add(t, " status:%u", request->status);
	text_add(t, " up:%llu down:%llu ms:%llu.%03u", (unsigned long long)request->up,
		 (unsigned long long)request->down,
		 (unsigned long long)request->microseconds / 1000,
		 (unsigned int)(request->microseconds % 1000));
}

static void add_context(const struct event *e, struct text *t)
{
	if (!e->decided) {
		if (e->context[0]) {
			text_add(t, " [");
			text_add_escaped(t, e->context, strlen(e->context));
			text_add(t, "]");
		}
		return;
	}
	if (e->class == EVENT_CLASS_API) {
		event_inference_context(e, t);
		if (e->reason[0])
			text_add(t, " [reason:%s]", e->reason);
		return;
	}
	text_add(t, " [");
	if (e->raw.kind == OS_EVENT_NET) {
		text_add(t, "policy:");
		text_add_word(t, e->rule[0] ? e->rule : "-");
		text_add(t, " ");
	}
	text_add(t, "engine:%s", e->engine);
	if (e->class == EVENT_CLASS_HTTP)
		add_answer(e, t);
	text_add(t, "]");
	if (e->class == EVENT_CLASS_HTTP && e->request.rule[0]) {
		text_add(t, " [rule:");
		text_add_escaped(t, e->request.rule, strlen(e->request.rule));
		text_add(t, "]");
	}
	if (e->raw.kind == OS_EVENT_NET && event_is_rewritten(e)) {
		text_add(t, " [to:");
		text_add_address(t, e->raw.real);
		text_add(t, "]");
	}
	if (e->reason[0])
		text_add(t, " [reason:%s]", e->reason);
}

#define COLOUR_RESET "\033[0m"

static const char *colour_of(const struct event *e)
{
	if (e->action == EVENT_DENIED || e->severity >= EVENT_SEVERITY_HIGH)
		return "\033[31m";
	if (e->action == EVENT_AUDIT)
		return "\033[33m";
	if (e->action == EVENT_ALLOWED)
		return "\033[32m";
	return "\033[36m";
}

void event_line(const struct event *event, bool colour, struct text *t)
{
	text_add_time(t, event->time);
	text_add(t, " OCSF %s:%s %s[%s] %s%s ", event_class_label(event->class), event->activity,
		 colour ? colour_of(event) : "", event_severity_label(event->severity),
		 event_action_label(event), colour ? COLOUR_RESET : "");
	add_body(event, t);
	add_context(event, t);
	if (event->repeated && event->others && event_is_request(event))
		; /* it says so itself */
	else if (event->repeated && event->others)
		text_add(t, " [and %llu more questions]", (unsigned long long)event->repeated);
	else if (event->repeated)
		text_add(t, " [repeated %llu times]", (unsigned long long)event->repeated);
	if (t->cut && t->len >= 3)
		memcpy(t->buf + t->len - 3, "...", 3);
}

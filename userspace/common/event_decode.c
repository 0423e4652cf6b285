/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event.h"

#include "common/event_name.h"
#include "common/event_reason.h"
#include "common/inference.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <linux/bpf.h>
#include <string.h>
#include <time.h>

/* Limits of the kernel side (bpf/include/event.h), to tell which of the paths was cut. */
#define COMPONENTS_MAX	 64
#define EXE_BYTES_MAX	 1024
#define OBJECT_BYTES_MAX (OS_EVENT_PATH_MAX - 256)

int64_t event_clock_offset(void)
{
	struct timespec real, boot;

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return (int64_t)(real.tv_sec - boot.tv_sec) * 1000000000 + (real.tv_nsec - boot.tv_nsec);
}

struct path_out {
	enum event_path_state *state;
	char *path;
};

/* How many components are in @data; -EBADMSG if the last one does not end. */
static int count_components(const char *data, size_t len)
{
	int n = 0;

	if (len && data[len - 1])
		return -EBADMSG;
	for (size_t i = 0; i < len; i++)
		n += !data[i];
	return n;
}

/* "/a/b/c" from "c\0b\0a\0". @ret holds at least EVENT_PATH_SIZE bytes, more than len can fill. */
static void join_components(const char *data, size_t len, char *ret)
{
	size_t out = 0, end = len;

	while (end) {
		size_t start = end - 1; /* at the component's NUL */

		while (start && data[start - 1])
			start--;
		ret[out++] = '/';
		memcpy(ret + out, data + start, end - 1 - start);
		out += end - 1 - start;
		end = start;
	}
	if (!out)
		ret[out++] = '/';
	ret[out] = '\0';
}

/* A path that cannot be told whole: @fmt says what comes before what there is of it. */
static void partial_path(char *ret, const char *inside, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void partial_path(char *ret, const char *inside, const char *fmt, ...)
{
	char before[64];
	va_list args;
	struct text t;

	va_start(args, fmt);
	vsnprintf(before, sizeof(before), fmt, args);
	va_end(args);
	text_init(&t, ret, EVENT_PATH_SIZE);
	text_add_bytes(&t, before, strlen(before));
	text_add_bytes(&t, inside, strlen(inside));
}

static void decode_path(const char *data, size_t len, const struct os_file_id *file, bool cut,
			const struct event_context *ctx, struct path_out out)
{
	char inside[EVENT_PATH_SIZE];
	int r;

	out.path[0] = '\0';
	*out.state = EVENT_PATH_NONE;
	if (!len && !file->dev && !file->ino)
		return;
	join_components(data, len, inside);
	if (cut) {
		partial_path(out.path, inside, "...");
		*out.state = EVENT_PATH_CUT;
		return;
	}
	r = ctx->path ? ctx->path(ctx->path_arg, file, inside, out.path, EVENT_PATH_SIZE)
		      : EVENT_PATH_INSIDE;
	if (r == -ENAMETOOLONG) {
		partial_path(out.path, inside, "...");
		*out.state = EVENT_PATH_CUT;
	} else if (r <= 0 || !out.path[0]) {
		partial_path(out.path, inside, "[dev %u:%u]", file->dev >> 20, file->dev & 0xfffff);
		*out.state = EVENT_PATH_INSIDE;
	} else {
		*out.state = (enum event_path_state)r;
	}
}

static void decode_paths(const char *data, const struct event_context *ctx, struct event *e)
{
	const struct os_event *raw = &e->raw;
	const char *exe = data, *path = exe + raw->exe_len, *path2 = path + raw->path_len;
	bool cut = raw->flags & OS_EVENT_TRUNCATED;
	bool exe_cut, path_cut, path2_cut;
	struct os_file_id none = {0};

	exe_cut = cut && (count_components(exe, raw->exe_len) >= COMPONENTS_MAX ||
			  raw->exe_len >= EXE_BYTES_MAX);
	path_cut = cut && (count_components(path, raw->path_len) >= COMPONENTS_MAX ||
			   raw->path_len >= OBJECT_BYTES_MAX);
	path2_cut = cut && (count_components(path2, raw->path2_len) >= COMPONENTS_MAX ||
			    raw->path2_len >= OBJECT_BYTES_MAX);
	/* Cut for another reason (a failed read): which one is not known, so none is trusted. */
	if (cut && !exe_cut && !path_cut && !path2_cut)
		exe_cut = path_cut = path2_cut = true;

	decode_path(exe, raw->exe_len, &raw->exe, exe_cut && raw->exe_len, ctx,
		    (struct path_out){&e->exe_state, e->exe});
	/* No components and yet not a nameless object: the kernel side did not know the path. */
	if (!raw->exe_len && e->exe_state != EVENT_PATH_UNNAMED) {
		e->exe_state = EVENT_PATH_NONE;
		e->exe[0] = '\0';
	}
	if (raw->kind == OS_EVENT_DEVICE) {
		/* cgroup/dev knows the node by its numbers alone; detail is BPF_DEVCG_DEV_*. */
		snprintf(e->path, sizeof(e->path), "%s device %u:%u",
			 raw->detail == BPF_DEVCG_DEV_BLOCK ? "block" : "char",
			 raw->object.dev >> 20, raw->object.dev & 0xfffff);
		e->path_state = EVENT_PATH_UNNAMED;
	} else {
		decode_path(path, raw->path_len, &raw->object, path_cut && raw->path_len, ctx,
			    (struct path_out){&e->path_state, e->path});
	}
	/* Both objects of a rename or link are on one superblock. */
	decode_path(path2, raw->path2_len, raw->path2_len ? &raw->object : &none, path2_cut, ctx,
		    (struct path_out){&e->path2_state, e->path2});
}

/* A name keeps its addresses for the sandbox's life, so every generation's events get theirs. */
static void decode_name(const struct event_context *ctx, struct event *e)
{
	const char *name = NULL;

	if (ctx->name && (e->raw.hook == OS_HOOK_DNS || event_address_is_synthetic(e->raw.address)))
		name = ctx->name(ctx->name_arg, e->raw.address);
	if (name)
		snprintf(e->host, sizeof(e->host), "%s", name);
}

static void decode_endpoint(const struct event_context *ctx, struct event *e)
{
	const Openshell__Compiled__V1__Endpoint *endpoint;

	e->rule[0] = e->host[0] = '\0';
	e->limited = false;
	if (e->raw.kind != OS_EVENT_NET)
		return;
	decode_name(ctx, e);
	/* An index means something only in the policy that it is an index into. */
	if (!ctx->policy || e->raw.generation != ctx->generation)
		return;
	if (e->raw.endpoint >= ctx->policy->n_endpoints) {
		/* The supervisor adds one behind the policy's own: policy_inference.h. */
		if (e->raw.endpoint != OS_EVENT_NO_ENDPOINT && !strcmp(e->host, INFERENCE_HOST))
			snprintf(e->rule, sizeof(e->rule), "%s", INFERENCE_HOST);
		return;
	}
	endpoint = ctx->policy->endpoints[e->raw.endpoint];
	if (!e->host[0] && !endpoint->host_is_address && !endpoint->host_is_wildcard)
		snprintf(e->host, sizeof(e->host), "%s", endpoint->host);
	snprintf(e->rule, sizeof(e->rule), "%s", endpoint->rule);
}

bool event_is_rewritten(const struct event *event)
{
	static const uint8_t nowhere[16];

	return memcmp(event->raw.real, nowhere, sizeof(nowhere)) != 0;
}

const char *event_host(const struct event *event, char buf[EVENT_HOST_SIZE])
{
	struct text t;

	text_init(&t, buf, EVENT_HOST_SIZE);
	if (event->host[0])
		text_add_bytes(&t, event->host, strlen(event->host));
	else
		text_add_address(&t, event->raw.address);
	return buf;
}

static enum event_severity severity_of(enum event_action action, const struct event_hook *hook)
{
	switch (action) {
	case EVENT_DENIED:
		return hook->denied;
	case EVENT_AUDIT:
		return EVENT_SEVERITY_LOW;
	default:
		return EVENT_SEVERITY_INFO;
	}
}

static const enum event_action actions[] = {
	[OS_EVENT_DENIED] = EVENT_DENIED,
	[OS_EVENT_ALLOWED] = EVENT_ALLOWED,
	[OS_EVENT_AUDIT] = EVENT_AUDIT,
};

int event_decode(const void *data, size_t size, const struct event_context *ctx,
		 struct event *ret_event)
{
	struct event *e = ret_event;
	const struct event_hook *hook;
	const char *tail = (const char *)data + sizeof(e->raw);
	size_t need = sizeof(e->raw);

	if (size < sizeof(e->raw))
		return -EBADMSG;
	memcpy(&e->raw, data, sizeof(e->raw));
	need += (size_t)e->raw.exe_len + e->raw.path_len + e->raw.path2_len;
	if (need > size || e->raw.verdict > OS_EVENT_AUDIT || e->raw.kind < OS_EVENT_FILE ||
	    e->raw.kind > OS_EVENT_DEVICE)
		return -EBADMSG;
	/* The longest of them joined must fit a path's buffer. */
	if (e->raw.exe_len >= EVENT_PATH_SIZE - 4 || e->raw.path_len >= EVENT_PATH_SIZE - 4 ||
	    e->raw.path2_len >= EVENT_PATH_SIZE - 4)
		return -EBADMSG;
	if (count_components(tail, e->raw.exe_len) < 0 ||
	    count_components(tail + e->raw.exe_len, e->raw.path_len) < 0 ||
	    count_components(tail + e->raw.exe_len + e->raw.path_len, e->raw.path2_len) < 0)
		return -EBADMSG;
	e->raw.comm[sizeof(e->raw.comm) - 1] = '\0';

	/* Opening a program in order to execute it is part of executing it. */
	if (e->raw.hook == OS_HOOK_FILE_OPEN && e->raw.kind == OS_EVENT_EXEC)
		hook = event_hook_get(OS_HOOK_BPRM_CHECK);
	else
		hook = event_hook_get(e->raw.hook);
	e->decided = true;
	e->time = e->raw.time + (uint64_t)ctx->clock_offset;
	e->class = hook->class;
	e->activity = hook->activity;
	e->activity_id = hook->activity_id;
	e->engine = hook->engine;
	e->action = actions[e->raw.verdict];
	e->severity = severity_of(e->action, hook);
	snprintf(e->sandbox, sizeof(e->sandbox), "%s", ctx->sandbox ? ctx->sandbox : "");
	e->missing = e->raw.wanted & ~e->raw.held;
	e->listed_deny = e->exec_listed = false;
	e->verb = "";
	e->message[0] = e->context[0] = e->reason[0] = '\0';
	e->exit_code = 0;
	e->repeated = 0;
	e->others = false;
	decode_paths(tail, ctx, e);
	decode_endpoint(ctx, e);
	if (e->action != EVENT_ALLOWED)
		event_reason(e, ctx);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void made(struct event *e, const char *sandbox, enum event_class class, const char *activity,
		 int activity_id, const char *verb)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	memset(e, 0, sizeof(*e));
	e->time = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	e->class = class;
	e->action = EVENT_TOLD;
	e->severity = EVENT_SEVERITY_INFO;
	e->activity = activity;
	e->activity_id = activity_id;
	e->engine = "-";
	e->verb = verb;
	snprintf(e->sandbox, sizeof(e->sandbox), "%s", sandbox ? sandbox : "");
}

void event_started(struct event *ret, const char *sandbox, const char *backend, char *const *argv)
{
	struct text t;

	made(ret, sandbox, EVENT_CLASS_LIFECYCLE, "START", 3, "STARTED");
	text_init(&t, ret->message, sizeof(ret->message));
	text_add(&t, "sandbox %s", ret->sandbox);
	/* Arguments may carry secrets; the program's name is enough to know what ran. */
	if (argv && argv[0])
		text_add(&t, ": %s", argv[0]);
	text_init(&t, ret->context, sizeof(ret->context));
	text_add(&t, "backend:%s", backend);
}

void event_stopped(struct event *ret, const char *sandbox, int exit_code)
{
	struct text t;

	made(ret, sandbox, EVENT_CLASS_LIFECYCLE, "STOP", 4, "STOPPED");
	ret->exit_code = exit_code;
	text_init(&t, ret->message, sizeof(ret->message));
	text_add(&t, "sandbox %s", ret->sandbox);
	text_init(&t, ret->context, sizeof(ret->context));
	text_add(&t, "exit:%d", exit_code);
}

void event_policy_loaded(struct event *ret, const char *sandbox, const char *file,
			 uint32_t generation, const uint8_t digest[32])
{
	struct text t;

	made(ret, sandbox, EVENT_CLASS_CONFIG, "LOADED", 1, "LOADED");
	text_init(&t, ret->message, sizeof(ret->message));
	text_add(&t, "policy %s", file ? file : "(default)");
	text_init(&t, ret->context, sizeof(ret->context));
	text_add(&t, "generation:%u digest:sha256:", generation);
	for (int i = 0; i < 32; i++)
		text_add(&t, "%02x", digest[i]);
}

void event_routes_loaded(struct event *ret, const char *sandbox, const char *file, size_t routes)
{
	struct text t;

	made(ret, sandbox, EVENT_CLASS_CONFIG, "LOADED", 1, "LOADED");
	text_init(&t, ret->message, sizeof(ret->message));
	text_add(&t, "routes of inference.local: %s", file ? file : "(options)");
	text_init(&t, ret->context, sizeof(ret->context));
	text_add(&t, "routes:%zu", routes);
}

void event_finding(struct event *ret, const char *sandbox, enum event_severity severity,
		   const char *engine, const char *fmt, ...)
{
	va_list args;

	made(ret, sandbox, EVENT_CLASS_FINDING, "CREATE", 1, "FOUND");
	ret->severity = severity;
	ret->engine = engine;
	va_start(args, fmt);
	vsnprintf(ret->message, sizeof(ret->message), fmt, args);
	va_end(args);
	snprintf(ret->context, sizeof(ret->context), "engine:%s", engine);
}

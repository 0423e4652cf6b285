/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/watch.h"

#include "common/cleanup.h"
#include "gateway/logs.h"
#include "gateway/watch_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#define WATCHERS_MAX	 10000
#define EVENTS_SANDBOXES 4096 /* whose events are kept */
#define EVENTS_KEPT	 32   /* of one sandbox */
#define PHASE(name)	 OPENSHELL__V1__SANDBOX_PHASE__SANDBOX_PHASE_##name
#define PAYLOAD(name)	 OPENSHELL__V1__SANDBOX_STREAM_EVENT__PAYLOAD_##name

struct watcher {
	LIST_ENTRY(watcher) link;
	struct gateway *gateway;
	struct grpc_call *call;
	char sandbox_id[37];
	bool status, logs, events, until_terminal;
	bool full; /* it does not read: what comes is counted instead */
	uint64_t dropped;
	bool status_due; /* the newest state, once it reads again */
	struct log_filter filter;
	char **source;
	char *min_level;
};

struct event_ring {
	TAILQ_ENTRY(event_ring) age;
	char sandbox_id[37];
	Openshell__V1__PlatformEvent *event[EVENTS_KEPT];
	size_t next, count;
};

struct watchers {
	LIST_HEAD(, watcher) list;
	size_t count;
	TAILQ_HEAD(rings_head, event_ring) rings; /* oldest first */
	size_t ring_count;
};

int watchers_new(struct gateway *gateway, struct watchers **ret_watchers)
{
	struct watchers *watchers = calloc(1, sizeof(*watchers));

	if (!watchers)
		return -ENOMEM;
	LIST_INIT(&watchers->list);
	TAILQ_INIT(&watchers->rings);
	*ret_watchers = watchers;
	return 0;
}

static void free_ring(struct watchers *watchers, struct event_ring *ring)
{
	for (size_t i = 0; i < EVENTS_KEPT; i++)
		if (ring->event[i])
			openshell__v1__platform_event__free_unpacked(ring->event[i], NULL);
	TAILQ_REMOVE(&watchers->rings, ring, age);
	watchers->ring_count--;
	free(ring);
}

void watchers_free(struct watchers *watchers)
{
	if (!watchers)
		return;
	while (!TAILQ_EMPTY(&watchers->rings))
		free_ring(watchers, TAILQ_FIRST(&watchers->rings));
	free(watchers);
}

/* ---- telling ---- */

static void tell(struct watcher *w, const Openshell__V1__SandboxStreamEvent *event)
{
	int r;

	if (w->full) {
		w->dropped++;
		return;
	}
	r = grpc_call_send(w->call, &event->base);
	if (r == 1)
		w->full = true;
}

static void tell_status(struct watcher *w, const Openshell__V1__Sandbox *sandbox)
{
	Openshell__V1__SandboxStreamEvent event = OPENSHELL__V1__SANDBOX_STREAM_EVENT__INIT;
	Openshell__V1__SandboxPhase phase = sandbox->status->phase;

	/* States are not counted as lost: the newest one is told in their place. */
	if (w->full) {
		w->status_due = true;
		return;
	}
	event.payload_case = PAYLOAD(SANDBOX);
	event.sandbox = (Openshell__V1__Sandbox *)sandbox;
	tell(w, &event);
	if (w->until_terminal && (phase == PHASE(ERROR) || phase == PHASE(STOPPED)))
		grpc_call_finish(w->call, GRPC_OK, NULL);
}

static void tell_log(struct watcher *w, const Openshell__V1__SandboxLogLine *line)
{
	Openshell__V1__SandboxStreamEvent event = OPENSHELL__V1__SANDBOX_STREAM_EVENT__INIT;

	event.payload_case = PAYLOAD(LOG);
	event.log = (Openshell__V1__SandboxLogLine *)line;
	tell(w, &event);
}

static void tell_event(struct watcher *w, const Openshell__V1__PlatformEvent *platform)
{
	Openshell__V1__SandboxStreamEvent event = OPENSHELL__V1__SANDBOX_STREAM_EVENT__INIT;

	event.payload_case = PAYLOAD(EVENT);
	event.event = (Openshell__V1__PlatformEvent *)platform;
	tell(w, &event);
}

static struct watcher *next_of(struct watcher *w, const char *sandbox_id)
{
	while (w && strcmp(w->sandbox_id, sandbox_id) != 0)
		w = LIST_NEXT(w, link);
	return w;
}

/* Nothing that is told here ends a watcher before the loop goes on. */
#define FOREACH_WATCHER(w, gateway, id)                                                            \
	for (struct watcher *w = next_of(LIST_FIRST(&(gateway)->watchers->list), id); w;           \
	     w = next_of(LIST_NEXT(w, link), id))

void watch_sandbox_changed(struct gateway *gateway, const char *sandbox_id)
{
	struct sandbox_record record = {};

	if (!next_of(LIST_FIRST(&gateway->watchers->list), sandbox_id) ||
	    sandbox_record_get_id(gateway, sandbox_id, &record, NULL))
		return;
	FOREACH_WATCHER(w, gateway, sandbox_id)
	if (w->status)
		tell_status(w, sandbox_record_message(&record));
	sandbox_record_clear(&record);
}

static struct event_ring *find_ring(struct watchers *watchers, const char *sandbox_id)
{
	struct event_ring *ring;

	TAILQ_FOREACH_REVERSE(ring, &watchers->rings, rings_head, age)
	if (!strcmp(ring->sandbox_id, sandbox_id))
		return ring;
	return NULL;
}

void watch_sandbox_deleted(struct gateway *gateway, const char *sandbox_id)
{
	struct event_ring *ring = find_ring(gateway->watchers, sandbox_id);

	if (ring)
		free_ring(gateway->watchers, ring);
	FOREACH_WATCHER(w, gateway, sandbox_id)
	grpc_call_finish(w->call, GRPC_NOT_FOUND, "the sandbox was deleted");
}

static Openshell__V1__PlatformEvent *copy_event(const Openshell__V1__PlatformEvent *event)
{
	size_t size = protobuf_c_message_get_packed_size(&event->base);
	_cleanup_free_ uint8_t *packed = malloc(size + 1);

	if (!packed)
		return NULL;
	protobuf_c_message_pack(&event->base, packed);
	return openshell__v1__platform_event__unpack(NULL, size, packed);
}

static void keep_event(struct watchers *watchers, const char *sandbox_id,
		       const Openshell__V1__PlatformEvent *event)
{
	struct event_ring *ring = find_ring(watchers, sandbox_id);
	Openshell__V1__PlatformEvent **slot;

	if (!ring) {
		ring = calloc(1, sizeof(*ring));
		if (!ring)
			return;
		if (watchers->ring_count == EVENTS_SANDBOXES)
			free_ring(watchers, TAILQ_FIRST(&watchers->rings));
		snprintf(ring->sandbox_id, sizeof(ring->sandbox_id), "%s", sandbox_id);
		TAILQ_INSERT_TAIL(&watchers->rings, ring, age);
		watchers->ring_count++;
	}
	slot = &ring->event[ring->next++ % EVENTS_KEPT];
	if (*slot)
		openshell__v1__platform_event__free_unpacked(*slot, NULL);
	*slot = copy_event(event);
	if (ring->count < EVENTS_KEPT)
		ring->count++;
}

void watch_event(struct gateway *gateway, const char *sandbox_id, const char *source,
		 const char *type, const char *reason, const char *message)
{
	Openshell__V1__PlatformEvent event = OPENSHELL__V1__PLATFORM_EVENT__INIT;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	event.timestamp_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	event.source = (char *)source;
	event.type = (char *)type;
	event.reason = (char *)reason;
	event.message = (char *)message;
	keep_event(gateway->watchers, sandbox_id, &event);
	FOREACH_WATCHER(w, gateway, sandbox_id)
	if (w->events)
		tell_event(w, &event);
}

void watch_log(struct gateway *gateway, const Openshell__V1__SandboxLogLine *line)
{
	FOREACH_WATCHER(w, gateway, line->sandbox_id)
	if (w->logs && log_filter_takes(&w->filter, line))
		tell_log(w, line);
}

/* ---- a watcher ---- */

static void on_message(void *arg, struct grpc_call *call, const ProtobufCMessage *message)
{
}

static void on_writable(void *arg, struct grpc_call *call)
{
	Openshell__V1__SandboxStreamEvent event = OPENSHELL__V1__SANDBOX_STREAM_EVENT__INIT;
	Openshell__V1__SandboxStreamWarning warning = OPENSHELL__V1__SANDBOX_STREAM_WARNING__INIT;
	struct sandbox_record record = {};
	struct watcher *w = arg;
	char text[128];

	w->full = false;
	if (w->dropped) {
		snprintf(text, sizeof(text),
			 "%llu lines and events were not sent: you read too slowly",
			 (unsigned long long)w->dropped);
		w->dropped = 0;
		warning.message = text;
		event.payload_case = PAYLOAD(WARNING);
		event.warning = &warning;
		tell(w, &event);
	}
	if (!w->status_due)
		return;
	w->status_due = false;
	if (!sandbox_record_get_id(w->gateway, w->sandbox_id, &record, NULL))
		tell_status(w, sandbox_record_message(&record));
	sandbox_record_clear(&record);
}

static void free_watcher(struct watcher *w)
{
	for (size_t i = 0; w->source && i < w->filter.sources; i++)
		free(w->source[i]);
	free(w->source);
	free(w->min_level);
	free(w);
}

static void on_ended(void *arg, struct grpc_call *call, int code, const char *message)
{
	struct watcher *w = arg;

	LIST_REMOVE(w, link);
	w->gateway->watchers->count--;
	free_watcher(w);
}

static int copy_filter(struct watcher *w, const Openshell__V1__WatchSandboxRequest *message)
{
	w->min_level = strdup(message->log_min_level);
	w->source = calloc(message->n_log_sources + 1, sizeof(*w->source));
	if (!w->min_level || !w->source)
		return -ENOMEM;
	for (size_t i = 0; i < message->n_log_sources; i++) {
		w->source[i] = strdup(message->log_sources[i]);
		if (!w->source[i])
			return -ENOMEM;
		w->filter.sources++;
	}
	w->filter.source = w->source;
	w->filter.min_level = w->min_level;
	w->filter.since_ms = message->log_since_ms;
	return 0;
}

/* What was before it began to watch. */
static void tell_past(struct watcher *w, const Openshell__V1__WatchSandboxRequest *message)
{
	_cleanup_free_ Openshell__V1__SandboxLogLine **lines =
		calloc(LOG_LINES_MAX, sizeof(*lines));
	struct event_ring *ring = find_ring(w->gateway->watchers, w->sandbox_id);
	size_t last = message->log_tail_lines, count, total;

	if (!last && message->log_since_ms)
		last = LOG_LINES_MAX;
	if (lines && last && w->logs) {
		count = logs_select(w->gateway, w->sandbox_id, &w->filter, last, lines, &total);
		for (size_t i = 0; i < count; i++)
			tell_log(w, lines[i]);
	}
	if (!ring || !message->event_tail || !w->events)
		return;
	count = message->event_tail < ring->count ? message->event_tail : ring->count;
	for (size_t i = ring->next - count; i < ring->next; i++)
		if (ring->event[i % EVENTS_KEPT])
			tell_event(w, ring->event[i % EVENTS_KEPT]);
}

void watch_sandbox(struct request *request)
{
	static const struct grpc_call_events events = {
		.message = on_message,
		.writable = on_writable,
		.ended = on_ended,
	};
	const Openshell__V1__WatchSandboxRequest *message = (const void *)request->message;
	struct gateway *gateway = request->gateway;
	struct sandbox_record record = {};
	struct error err = {};
	struct watcher *w;

	if (sandbox_record_get_id(gateway, message->id, &record, &err)) {
		request_fail_error(request, &err);
		return;
	}
	if (gateway->watchers->count >= WATCHERS_MAX) {
		request_fail(request, GRPC_RESOURCE_EXHAUSTED, "%d watch already", WATCHERS_MAX);
		sandbox_record_clear(&record);
		return;
	}
	w = calloc(1, sizeof(*w));
	if (!w || copy_filter(w, message)) {
		if (w)
			free_watcher(w);
		request_fail(request, GRPC_RESOURCE_EXHAUSTED, "out of memory");
		sandbox_record_clear(&record);
		return;
	}
	w->gateway = gateway;
	w->status = message->follow_status;
	w->logs = message->follow_logs;
	w->events = message->follow_events;
	w->until_terminal = message->stop_on_terminal;
	snprintf(w->sandbox_id, sizeof(w->sandbox_id), "%s", message->id);
	LIST_INSERT_HEAD(&gateway->watchers->list, w, link);
	gateway->watchers->count++;
	w->call = request_take_call(request, &events, w);
	tell_past(w, message);
	if (w->status)
		tell_status(w, sandbox_record_message(&record));
	sandbox_record_clear(&record);
}

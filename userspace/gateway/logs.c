/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/logs.h"

#include "common/cleanup.h"
#include "gateway/handlers.h"
#include "gateway/log_filter.h"
#include "gateway/watch.h"
#include "gateway/watch_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#define BUFFERS_MAX   4096 /* sandboxes whose lines are kept; the one written longest ago goes */
#define BUCKETS	      1024
#define MESSAGE_MAX   8192 /* bytes of one line's message */
#define LINES_DEFAULT 200

struct log_entry {
	STAILQ_ENTRY(log_entry) link;
	Openshell__V1__SandboxLogLine *line;
	size_t size;
};

struct log_buffer {
	TAILQ_ENTRY(log_buffer) age;
	LIST_ENTRY(log_buffer) hash;
	char sandbox_id[37];
	STAILQ_HEAD(, log_entry) lines;
	size_t count, bytes;
};

struct log_buffers {
	TAILQ_HEAD(, log_buffer) oldest_first;
	LIST_HEAD(, log_buffer) bucket[BUCKETS];
	size_t count;
};

static unsigned int hash(const char *id)
{
	unsigned int h = 2166136261u;

	for (; *id; id++)
		h = (h ^ (unsigned char)*id) * 16777619u;
	return h % BUCKETS;
}

int log_buffers_new(struct log_buffers **ret_logs)
{
	struct log_buffers *logs = calloc(1, sizeof(*logs));

	if (!logs)
		return -ENOMEM;
	TAILQ_INIT(&logs->oldest_first);
	*ret_logs = logs;
	return 0;
}

static void drop_first(struct log_buffer *buffer)
{
	struct log_entry *entry = STAILQ_FIRST(&buffer->lines);

	STAILQ_REMOVE_HEAD(&buffer->lines, link);
	buffer->count--;
	buffer->bytes -= entry->size;
	openshell__v1__sandbox_log_line__free_unpacked(entry->line, NULL);
	free(entry);
}

static void drop_buffer(struct log_buffers *logs, struct log_buffer *buffer)
{
	while (!STAILQ_EMPTY(&buffer->lines))
		drop_first(buffer);
	TAILQ_REMOVE(&logs->oldest_first, buffer, age);
	LIST_REMOVE(buffer, hash);
	logs->count--;
	free(buffer);
}

void log_buffers_free(struct log_buffers *logs)
{
	if (!logs)
		return;
	while (!TAILQ_EMPTY(&logs->oldest_first))
		drop_buffer(logs, TAILQ_FIRST(&logs->oldest_first));
	free(logs);
}

static struct log_buffer *find(struct log_buffers *logs, const char *id)
{
	struct log_buffer *buffer;

	LIST_FOREACH(buffer, &logs->bucket[hash(id)], hash)
	if (!strcmp(buffer->sandbox_id, id))
		return buffer;
	return NULL;
}

static struct log_buffer *find_or_make(struct log_buffers *logs, const char *id)
{
	struct log_buffer *buffer = find(logs, id);

	if (buffer) {
		TAILQ_REMOVE(&logs->oldest_first, buffer, age);
		TAILQ_INSERT_TAIL(&logs->oldest_first, buffer, age);
		return buffer;
	}
	buffer = calloc(1, sizeof(*buffer));
	if (!buffer)
		return NULL;
	if (logs->count == BUFFERS_MAX)
		drop_buffer(logs, TAILQ_FIRST(&logs->oldest_first));
	snprintf(buffer->sandbox_id, sizeof(buffer->sandbox_id), "%s", id);
	STAILQ_INIT(&buffer->lines);
	TAILQ_INSERT_TAIL(&logs->oldest_first, buffer, age);
	LIST_INSERT_HEAD(&logs->bucket[hash(id)], buffer, hash);
	logs->count++;
	return buffer;
}

static Openshell__V1__SandboxLogLine *copy_line(const Openshell__V1__SandboxLogLine *line,
						size_t *ret_size)
{
	size_t size = protobuf_c_message_get_packed_size(&line->base);
	_cleanup_free_ uint8_t *packed = malloc(size + 1);

	if (!packed)
		return NULL;
	protobuf_c_message_pack(&line->base, packed);
	*ret_size = size;
	return openshell__v1__sandbox_log_line__unpack(NULL, size, packed);
}

void logs_add(struct gateway *gateway, const Openshell__V1__SandboxLogLine *line)
{
	struct log_buffer *buffer = find_or_make(gateway->logs, line->sandbox_id);
	struct log_entry *entry = calloc(1, sizeof(*entry));

	if (buffer && entry)
		entry->line = copy_line(line, &entry->size);
	if (!buffer || !entry || !entry->line) {
		free(entry);
		return;
	}
	STAILQ_INSERT_TAIL(&buffer->lines, entry, link);
	buffer->count++;
	buffer->bytes += entry->size;
	while (buffer->count > LOG_LINES_MAX ||
	       (buffer->bytes > LOG_BYTES_MAX && buffer->count > 1))
		drop_first(buffer);
	watch_log(gateway, line);
}

void logs_gateway(struct gateway *gateway, const char *sandbox_id, const char *level,
		  const char *format, ...)
{
	Openshell__V1__SandboxLogLine line = OPENSHELL__V1__SANDBOX_LOG_LINE__INIT;
	char text[MESSAGE_MAX];
	struct timespec now;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	clock_gettime(CLOCK_REALTIME, &now);
	line.sandbox_id = (char *)sandbox_id;
	line.timestamp_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	line.level = (char *)level;
	line.target = (char *)"gateway";
	line.source = (char *)"gateway";
	line.message = text;
	logs_add(gateway, &line);
}

void logs_forget(struct gateway *gateway, const char *sandbox_id)
{
	struct log_buffer *buffer = find(gateway->logs, sandbox_id);

	if (buffer)
		drop_buffer(gateway->logs, buffer);
}

size_t logs_select(struct gateway *gateway, const char *sandbox_id, const struct log_filter *filter,
		   size_t last, Openshell__V1__SandboxLogLine **ret_lines, size_t *ret_total)
{
	struct log_buffer *buffer = find(gateway->logs, sandbox_id);
	struct log_entry *entry;
	size_t matching = 0, count = 0;

	*ret_total = buffer ? buffer->count : 0;
	if (!buffer)
		return 0;
	STAILQ_FOREACH(entry, &buffer->lines, link)
	matching += log_filter_takes(filter, entry->line);
	STAILQ_FOREACH(entry, &buffer->lines, link)
	{
		if (!log_filter_takes(filter, entry->line))
			continue;
		if (matching-- <= last)
			ret_lines[count++] = entry->line;
	}
	return count;
}

/* ---- the RPCs ---- */

static void get_logs(struct request *request)
{
	const Openshell__V1__GetSandboxLogsRequest *message = (const void *)request->message;
	Openshell__V1__GetSandboxLogsResponse response =
		OPENSHELL__V1__GET_SANDBOX_LOGS_RESPONSE__INIT;
	_cleanup_free_ Openshell__V1__SandboxLogLine **lines =
		calloc(LOG_LINES_MAX, sizeof(*lines));
	const struct log_filter filter = {
		.since_ms = message->since_ms,
		.source = message->sources,
		.sources = message->n_sources,
		.min_level = message->min_level,
	};
	size_t last = message->lines ? message->lines : LINES_DEFAULT, total;

	if (!lines) {
		request_fail(request, GRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	if (!*message->sandbox_id) {
		request_fail(request, GRPC_INVALID_ARGUMENT, "sandbox_id is missing");
		return;
	}
	response.n_logs =
		logs_select(request->gateway, message->sandbox_id, &filter, last, lines, &total);
	response.logs = lines;
	response.buffer_total = (uint32_t)total;
	request_reply(request, &response.base);
}

/* A sandbox's own lines, by its own token. */
struct push {
	struct gateway *gateway;
	char sandbox_id[37];
};

static void push_lines(struct push *push, struct grpc_call *call,
		       const Openshell__V1__PushSandboxLogsRequest *message)
{
	if (*message->sandbox_id && strcmp(message->sandbox_id, push->sandbox_id) != 0) {
		grpc_call_finish(call, GRPC_PERMISSION_DENIED, "the token is of another sandbox");
		return;
	}
	for (size_t i = 0; i < message->n_logs; i++) {
		Openshell__V1__SandboxLogLine line = *message->logs[i];

		line.sandbox_id = push->sandbox_id;
		line.source = (char *)"sandbox";
		if (strlen(line.message) > MESSAGE_MAX)
			continue;
		logs_add(push->gateway, &line);
	}
}

static void push_message(void *arg, struct grpc_call *call, const ProtobufCMessage *message)
{
	push_lines(arg, call, (const void *)message);
}

static void push_half_closed(void *arg, struct grpc_call *call)
{
	Openshell__V1__PushSandboxLogsResponse response =
		OPENSHELL__V1__PUSH_SANDBOX_LOGS_RESPONSE__INIT;

	grpc_call_send(call, &response.base);
	grpc_call_finish(call, GRPC_OK, NULL);
}

static void push_ended(void *arg, struct grpc_call *call, int code, const char *message)
{
	free(arg);
}

static void push_logs(struct request *request)
{
	static const struct grpc_call_events events = {
		.message = push_message,
		.half_closed = push_half_closed,
		.ended = push_ended,
	};
	struct push *push = calloc(1, sizeof(*push));

	if (!push) {
		request_fail(request, GRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	push->gateway = request->gateway;
	snprintf(push->sandbox_id, sizeof(push->sandbox_id), "%s", request->principal->subject);
	request_take_call(request, &events, push);
	push_lines(push, request->call, (const void *)request->message);
}

const struct handler log_handlers[] = {
	{RPC_GET_SANDBOX_LOGS, get_logs},
	{RPC_PUSH_SANDBOX_LOGS, push_logs},
	{RPC_WATCH_SANDBOX, watch_sandbox},
	{},
};

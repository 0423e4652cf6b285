/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event_name.h"

#include "common/event_reason.h"
#include "common/policy_address.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static uint32_t word(const uint8_t *address, size_t i)
{
	address += 4 * i;
	return (uint32_t)address[0] << 24 | (uint32_t)address[1] << 16 | (uint32_t)address[2] << 8 |
	       address[3];
}

bool event_address_is_synthetic(const uint8_t address[16])
{
	if (!word(address, 0) && !word(address, 1) && word(address, 2) == 0xffff)
		return (word(address, 3) ^ OS_SYNTHETIC_IPV4) >> (32 - OS_SYNTHETIC_IPV4_PREFIX) ==
		       0;
	return word(address, 0) == OS_SYNTHETIC_IPV6_0 && word(address, 1) == OS_SYNTHETIC_IPV6_1;
}

bool event_address_is_guarded(const uint8_t address[16], uint16_t port)
{
	struct policy_cidr cidr = {.prefix = 128};

	memcpy(cidr.address, address, sizeof(cidr.address));
	return policy_port_is_control(port) && policy_cidr_is_private(&cidr);
}

/* A record as the kernel would have written it. */
struct question_record {
	struct os_event event;
	char path[OS_PROC_PATH_MAX];
};

static const char *name_asked_for(const void *arg, const uint8_t address[16])
{
	return arg;
}

/* The executable's path, if it is still the one that the process had when it asked. */
static void copy_path(const struct event_question *q, struct question_record *record)
{
	const struct os_proc *proc = q->proc;

	if (!proc || proc->start_time != q->start_time || proc->path_len > sizeof(record->path) ||
	    memcmp(&proc->identity.exe.file, &q->exe, sizeof(q->exe)))
		return;
	record->event.exe_len = proc->path_len;
	record->event.flags |= proc->path_flags & OS_EVENT_TRUNCATED;
	memcpy(record->path, proc->path, proc->path_len);
}

static uint64_t boot_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void event_name_refused(const struct event_question *question, const struct event_context *ctx,
			struct event *ret_event)
{
	struct event_context named = *ctx;
	struct question_record record = {.event = {
						 .time = boot_ns(),
						 .kind = OS_EVENT_NET,
						 .hook = OS_HOOK_DNS,
						 .verdict = OS_EVENT_DENIED,
						 .reason = OS_REASON_NAME,
						 .generation = ctx->generation,
						 .flags = OS_EVENT_RECORDED,
						 .detail = question->type,
						 .endpoint = OS_EVENT_NO_ENDPOINT,
					 }};

	named.name = name_asked_for;
	named.name_arg = question->name;
	if (question->pid) {
		record.event.pid = question->pid;
		record.event.ns_pid = question->ns_pid;
		record.event.uid = question->uid;
		record.event.generation = question->generation;
		record.event.start_time = question->start_time;
		if (question->ns_pid)
			record.event.flags = 0;
		record.event.exe = question->exe;
		copy_path(question, &record);
	}
	if (event_decode(&record, sizeof(record), &named, ret_event) < 0) {
		/* Only a path can be wrong: without one it decodes. */
		record.event.exe_len = 0;
		event_decode(&record, sizeof(record), &named, ret_event);
	}
	if (!question->limited)
		return;
	ret_event->limited = true;
	ret_event->class = EVENT_CLASS_FINDING;
	ret_event->activity = "CREATE";
	ret_event->activity_id = 1;
	ret_event->severity = EVENT_SEVERITY_HIGH;
	event_reason(ret_event, &named);
}

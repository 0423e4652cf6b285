/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is behind a connection that the kernel sent to the proxy. What the kernel decided holds as
 * long as the policy does that it was decided by; after a switch, and where a glob has to be asked,
 * it is judged here, as the kernel would.
 */
#include "bpf/include/identity.h"
#include "common/cleanup.h"
#include "supervisor/binaries_internal.h"
#include "supervisor/egress_judge.h"
#include "supervisor/inner_pid.h"

#include <string.h>

/* The end of a path says more than its beginning. */
static void set_path(struct binaries_caller *caller, const char *path)
{
	size_t size = path ? strlen(path) : 0, left_out;

	left_out = size > sizeof(caller->path) ? size - sizeof(caller->path) : 0;
	caller->length = (uint16_t)(size - left_out);
	if (size)
		memcpy(caller->path, path + left_out, caller->length);
}

/* @proc: NULL if the process is not there any more. */
static const struct binaries_caller *find_caller(struct binaries *b, const struct os_flow *flow,
						 const struct os_proc *proc)
{
	struct binaries_caller *caller = &b->caller[flow->tgid % BINARIES_CALLERS];
	const struct binaries_file *file;

	if (caller->pid == flow->tgid && caller->start_time == flow->start_time &&
	    identity_file_equal(&caller->exe, &flow->exe))
		return caller;
	*caller = (struct binaries_caller){
		.start_time = flow->start_time,
		.pid = flow->tgid,
		.exe = flow->exe,
	};
	if (proc) {
		set_path(caller, binaries_path(b, proc));
		caller->ns_pid = inner_pid(flow->tgid, NULL);
		return caller;
	}
	file = binaries_table_find(&b->table, &flow->exe);
	set_path(caller, file ? file->path : NULL);
	return caller;
}

/* 0 or an enum os_reason. */
static uint32_t judge(struct binaries *b, const struct os_flow *flow, const struct os_proc *proc,
		      uint32_t generation, bool named, uint32_t *ret_endpoint,
		      struct os_rule_mask *ret_rules)
{
	struct egress_question question = {
		.slot = b->options.slot,
		.generation = generation,
		.port = flow->asked_port,
		.proxied = true,
		.identity = &proc->identity,
	};
	uint32_t reason;

	memcpy(question.address, flow->asked, sizeof(question.address));
	if (named)
		binaries_look_at_all(b, proc);
	reason = egress_judge(b->options.kernel, &question, ret_endpoint, ret_rules);
	if (reason == OS_REASON_CHANGED && named)
		binaries_compare(b, &proc->identity, flow->tgid);
	/* Nothing is left to be asked about, but what did not fit. */
	return reason == OS_REASON_ASK ? OS_REASON_BINARY : reason;
}

/* A verdict of ours, as the kernel tells its own. */
static void tell(const struct binaries *b, const struct os_flow *flow, const struct os_proc *proc,
		 uint32_t generation, uint32_t endpoint, uint32_t mode, uint32_t reason)
{
	struct binaries_record record;
	size_t size = binaries_record(b, flow, proc, &record);

	record.event.generation = generation;
	record.event.endpoint = endpoint;
	record.event.reason = (uint16_t)reason;
	record.event.verdict = reason == OS_REASON_NONE ? OS_EVENT_ALLOWED
			       : mode == OS_MODE_AUDIT	? OS_EVENT_AUDIT
							: OS_EVENT_DENIED;
	record.event.error = record.event.verdict == OS_EVENT_DENIED ? -EPERM : 0;
	record.event.flags |= OS_EVENT_PROXIED;
	if (b->options.decided)
		b->options.decided(b->options.arg, &record, size);
}

int binaries_origin(void *binaries, const struct os_flow *flow, struct worker_origin *ret_origin)
{
	struct binaries *b = binaries;
	const struct os_policy *policy = &b->options.kernel->policy[b->options.slot];
	uint32_t generation = policy->generation, mode = policy->mode;
	struct os_rule_mask rules = flow->rules;
	uint32_t endpoint = OS_EVENT_NO_ENDPOINT;
	const struct binaries_caller *caller;
	bool named = binaries_sync(b), known;
	struct os_proc proc;

	if (flow->slot != b->options.slot || (mode != OS_MODE_ENFORCE && mode != OS_MODE_AUDIT))
		return -EPERM;
	known = binaries_process(b, flow->tgid, flow->start_time, &proc) &&
		identity_file_equal(&proc.identity.exe.file, &flow->exe);
	if (flow->generation != generation || flow->flags & OS_SOCK_ASK) {
		uint32_t reason =
			known ? judge(b, flow, &proc, generation, named, &endpoint, &rules)
			      : OS_REASON_IDENTITY;

		/* Whose verdict the kernel told, and it stands, is told once. */
		if (reason != OS_REASON_NONE || flow->flags & OS_SOCK_ASK)
			tell(b, flow, known ? &proc : NULL, generation, endpoint, mode, reason);
		if (reason != OS_REASON_NONE && mode != OS_MODE_AUDIT)
			return -EPERM;
	}
	caller = find_caller(b, flow, known ? &proc : NULL);
	ret_origin->generation = generation;
	ret_origin->start_time = flow->start_time;
	ret_origin->pid = flow->tgid;
	ret_origin->ns_pid = caller->ns_pid;
	ret_origin->port = flow->asked_port;
	memcpy(ret_origin->rules, rules.word, sizeof(ret_origin->rules));
	memcpy(ret_origin->asked, flow->asked, sizeof(ret_origin->asked));
	ret_origin->binary_length = caller->length;
	memcpy(ret_origin->binary, caller->path, caller->length);
	return 0;
}

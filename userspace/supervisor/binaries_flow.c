/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that wait for a verdict about their binaries. The kernel says who connected where; by
 * what the files are called is looked up here, and then it is judged again as the kernel would.
 */
#include "common/cleanup.h"
#include "endpoint.h"
#include "name.h"
#include "bpf/include/identity.h"
#include "supervisor/binaries_internal.h"
#include "supervisor/egress_judge.h"
#include "supervisor/upstream.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

/* Processes of the host that are looked through for one that runs a file. */
#define SCAN_MAX 8192

static void fill_process(struct os_event *e, const struct os_flow *flow)
{
	_cleanup_close_ int dir = -1, comm = -1;
	struct timespec now;
	struct stat st;
	char path[64];
	ssize_t n;

	clock_gettime(CLOCK_BOOTTIME, &now);
	e->time = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	e->start_time = flow->start_time;
	e->pid = flow->tgid;
	e->exe = flow->exe;
	snprintf(path, sizeof(path), "/proc/%u", flow->tgid);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return;
	if (!fstat(dir, &st))
		e->uid = st.st_uid;
	comm = openat(dir, "comm", O_RDONLY | O_CLOEXEC);
	n = comm < 0 ? 0 : read(comm, e->comm, sizeof(e->comm) - 1);
	for (ssize_t i = 0; i < n; i++)
		if (e->comm[i] == '\n')
			e->comm[i] = '\0';
}

size_t binaries_record(const struct binaries *b, const struct os_flow *flow,
		       const struct os_proc *proc, struct binaries_record *ret)
{
	struct address asked;

	*ret = (struct binaries_record){};
	memcpy(&asked, flow->asked, sizeof(asked));
	fill_process(&ret->event, flow);
	ret->event.slot = b->options.slot;
	ret->event.generation = b->current.generation;
	ret->event.kind = OS_EVENT_NET;
	ret->event.family = address_is_ipv4(&asked) ? AF_INET : AF_INET6;
	ret->event.hook = ret->event.family == AF_INET ? OS_HOOK_CONNECT4 : OS_HOOK_CONNECT6;
	ret->event.protocol = IPPROTO_TCP;
	ret->event.port = flow->asked_port;
	ret->event.endpoint = OS_EVENT_NO_ENDPOINT;
	memcpy(ret->event.address, flow->asked, sizeof(ret->event.address));
	if (!proc || proc->path_len > OS_PROC_PATH_MAX)
		return sizeof(ret->event);
	ret->event.flags = proc->path_flags;
	ret->event.exe_len = proc->path_len;
	memcpy(ret->path, proc->path, proc->path_len);
	return sizeof(ret->event) + proc->path_len;
}

const char *binaries_path(struct binaries *b, const struct os_proc *proc)
{
	const struct event_context context = {
		.sandbox = "", .path = mount_table_path, .path_arg = b->options.mounts};
	struct binaries_record record = {.event = {
						 .kind = OS_EVENT_EXEC,
						 .hook = OS_HOOK_EXEC,
						 .verdict = OS_EVENT_ALLOWED,
						 .exe = proc->identity.exe.file,
						 .flags = proc->path_flags,
						 .exe_len = proc->path_len,
					 }};

	if (!proc->path_len || proc->path_len > OS_PROC_PATH_MAX)
		return NULL;
	memcpy(record.path, proc->path, proc->path_len);
	if (event_decode(&record, sizeof(record.event) + proc->path_len, &context, &b->event) ||
	    b->event.exe_state != EVENT_PATH_FULL)
		return NULL;
	return b->event.exe;
}

/* An ancestor that executed before anybody listened, or too long ago, may still run. */
static const char *path_by_scan(struct binaries *b, const struct os_file_id *file)
{
	int map = b->options.kernel->maps.proc;
	struct os_proc proc;
	uint32_t pid, *at = NULL;

	for (unsigned int i = 0; i < SCAN_MAX && !bpf_map_get_next_key(map, at, &pid); i++) {
		at = &pid;
		if (!bpf_map_lookup_elem(map, &pid, &proc) && proc.slot == b->options.slot &&
		    identity_file_equal(&proc.identity.exe.file, file))
			return binaries_path(b, &proc);
	}
	return NULL;
}

static bool is_known(const struct binaries *b, const struct os_file_id *file)
{
	struct os_binary_key key = {
		.slot = b->options.slot, .generation = b->current.generation, .file = *file};
	struct os_binary entry;

	return !bpf_map_lookup_elem(b->options.kernel->maps.binary, &key, &entry);
}

void binaries_look_at_all(struct binaries *b, const struct os_proc *proc)
{
	const struct os_identity *identity = &proc->identity;

	if (!is_known(b, &identity->exe.file))
		binaries_look(b, &identity->exe.file, binaries_path(b, proc));
	for (uint32_t i = 0; i < OS_ANCESTORS_MAX && i < identity->ancestors; i++) {
		const struct os_file_id *file = &identity->ancestor[i].file;
		const struct binaries_file *known;

		if (is_known(b, file))
			continue;
		known = binaries_table_find(&b->table, file);
		binaries_look(b, file, known && known->path ? known->path : path_by_scan(b, file));
	}
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Where an admitted connection really goes: 0 or an enum os_reason. */
static uint32_t real_address(struct binaries *b, const struct os_flow *flow,
			     struct address *ret_real)
{
	struct os_name_key key = {.slot = b->options.slot,
				  .generation = b->current.generation,
				  .port = flow->asked_port};
	struct address asked;
	struct os_name name;

	memcpy(&asked, flow->asked, sizeof(asked));
	if (!name_is_synthetic(&asked)) {
		*ret_real = asked;
	} else {
		memcpy(key.address, flow->asked, sizeof(key.address));
		if (bpf_map_lookup_elem(b->options.kernel->maps.name, &key, &name) ||
		    !name_is_fresh(&name, now_ns()) ||
		    !name_pick(&name, name.next + b->flows++, &asked, ret_real))
			return OS_REASON_STALE_NAME;
	}
	/* It is we who connect, and the kernel's programs do not look at us. */
	return address_is_never(ret_real) ? OS_REASON_NEVER_ADDRESS : OS_REASON_NONE;
}

/* 0 or an enum os_reason. */
static uint32_t judge(struct binaries *b, const struct os_flow *flow, const struct os_proc *proc,
		      uint32_t *ret_endpoint)
{
	struct egress_question question = {.slot = b->options.slot,
					   .generation = b->current.generation,
					   .port = flow->asked_port,
					   .identity = &proc->identity};
	uint32_t reason;

	memcpy(question.address, flow->asked, sizeof(question.address));
	binaries_look_at_all(b, proc);
	reason = egress_judge(b->options.kernel, &question, ret_endpoint, NULL);
	/* Nothing is left to be asked about, but what did not fit. */
	return reason == OS_REASON_ASK ? OS_REASON_BINARY : reason;
}

int binaries_flow(void *binaries, const struct os_flow *flow, int *ret_fd)
{
	struct binaries *b = binaries;
	const struct os_policy *policy = &b->options.kernel->policy[b->options.slot];
	uint32_t reason = OS_REASON_IDENTITY;
	struct address real = {};
	struct binaries_record record;
	struct os_proc proc;
	size_t size;
	int r = -EPERM, fd = -1;

	if (flow->slot != b->options.slot)
		return -EPERM;
	/* In any other mode nobody is asked about: it has changed since. */
	if (!binaries_sync(b) || policy->mode != OS_MODE_ENFORCE)
		return -EPERM;
	if (binaries_process(b, flow->tgid, flow->start_time, &proc) &&
	    identity_file_equal(&proc.identity.exe.file, &flow->exe)) {
		size = binaries_record(b, flow, &proc, &record);
		reason = judge(b, flow, &proc, &record.event.endpoint);
	} else {
		size = binaries_record(b, flow, NULL, &record);
	}
	if (reason == OS_REASON_CHANGED)
		binaries_compare(b, &proc.identity, flow->tgid);
	if (reason == OS_REASON_NONE)
		reason = real_address(b, flow, &real);
	if (reason == OS_REASON_NONE) {
		r = upstream_connect((const uint8_t *)&real, flow->asked_port, &fd);
		if (memcmp(&real, flow->asked, sizeof(real)))
			memcpy(record.event.real, &real, sizeof(real));
	}
	record.event.reason = (uint16_t)reason;
	record.event.verdict = reason == OS_REASON_NONE ? OS_EVENT_ALLOWED : OS_EVENT_DENIED;
	record.event.error = reason == OS_REASON_NONE ? 0 : -EPERM;
	if (b->options.decided)
		b->options.decided(b->options.arg, &record, size);
	if (!r)
		*ret_fd = fd;
	return r;
}

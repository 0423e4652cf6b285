// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Files: opening. */
#include "vmlinux.h"
#include "event.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

SEC("lsm/file_open")
int BPF_PROG(file_open, struct file *file, int ret)
{
	if (ret || !agent_is_current())
		return ret;
	count(OS_COUNT_HOOK + OS_HOOK_FILE_OPEN);
	if (agent_policy(agent_slot()).mode == OS_MODE_SETUP)
		return 0;
	struct decision d = {.dentry = (__u64)file->f_path.dentry, .kind = OS_EVENT_FILE};
	event_emit(&d);
	return -13;
}

char LICENSE[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";

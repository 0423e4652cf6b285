// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Execution. EXEC is the right to be a program (the image of execve or its `#!` interpreter),
 * LIBRARY the right to be mapped executable. A dynamic loader has LIBRARY alone: programs that
 * name it as their interpreter run, `ld.so /bin/x` does not, so an executable's identity is always
 * its own. Pipes, sockets and memfds are neither. Anonymous executable memory is not refused:
 * a policy cannot keep a process from computing.
 */
#include "vmlinux.h"
#include "lsm.h"

#define PROT_EXEC 4

SEC("lsm/bprm_check_security")
int BPF_PROG(bprm_check, struct linux_binprm *bprm, int ret)
{
	struct dentry *dentry = bprm->file->f_path.dentry;
	struct caller caller;

	if (ret || !lsm_enter(&caller, OS_HOOK_BPRM_CHECK))
		return ret;
	if (lsm_is_pathless(dentry, 0)) {
		struct decision d = {
			.dentry = (__u64)dentry,
			.kind = OS_EVENT_EXEC,
			.hook = OS_HOOK_BPRM_CHECK,
			.reason = OS_REASON_NO_IMAGE,
			.wanted = OS_RIGHT_EXEC,
			.endpoint = OS_EVENT_NO_ENDPOINT,
		};

		return lsm_deny(&caller, &d, -EACCES);
	}
	return lsm_check_hot(&caller, dentry, OS_RIGHT_EXEC, 0, OS_EVENT_EXEC, OS_HOOK_BPRM_CHECK,
			     0);
}

/*
 * A stacked filesystem maps its lower file but remembers the path that the user opened
 * (struct backing_file, kernel commit def3ae83da02, Linux 6.7).
 */
#define FMODE_BACKING (1u << 25)

static __always_inline struct dentry *user_dentry(struct file *file)
{
	if (bpf_core_type_exists(struct backing_file) && (file->f_mode & FMODE_BACKING))
		return BPF_CORE_READ((struct backing_file *)file, user_path.dentry);
	return BPF_CORE_READ(file, f_path.dentry);
}

static __always_inline int map_executable(struct caller *caller, struct file *file, __u16 hook)
{
	struct check c = {
		.dentry = (__u64)user_dentry(file),
		.caller = *caller,
		.wanted = OS_RIGHT_EXEC | OS_RIGHT_LIBRARY,
		.hook = hook,
		.image = 1,
	};

	return lsm_check(&c) ? -EACCES : 0;
}

SEC("lsm/mmap_file")
int BPF_PROG(mmap_file, struct file *file, unsigned long reqprot, unsigned long prot,
	     unsigned long flags, int ret)
{
	struct caller caller;

	if (ret || !file || !(prot & PROT_EXEC))
		return ret;
	if (!lsm_enter(&caller, OS_HOOK_MMAP_FILE))
		return 0;
	return map_executable(&caller, file, OS_HOOK_MMAP_FILE);
}

SEC("lsm/file_mprotect")
int BPF_PROG(file_mprotect, struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot,
	     int ret)
{
	struct file *file = vma->vm_file;
	struct caller caller;

	if (ret || !file || !(prot & PROT_EXEC))
		return ret;
	if (!lsm_enter(&caller, OS_HOOK_FILE_MPROTECT))
		return 0;
	return map_executable(&caller, file, OS_HOOK_FILE_MPROTECT);
}

char LICENSE[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";

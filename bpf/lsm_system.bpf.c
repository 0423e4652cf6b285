// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What no sandbox may do, whatever its policy says: change mounts, use bpf(), perf, keys of
 * others, load code into the kernel, borrow credentials through io_uring. seccomp refuses the
 * system calls before; these hooks hold where a way around it exists.
 */
#include "vmlinux.h"
#include "lsm.h"

static __always_inline int forbid(__u16 hook, __u32 detail, int ret)
{
	struct caller caller;

	if (ret || !lsm_enter(&caller, hook))
		return ret;
	return lsm_forbid(&caller, OS_EVENT_SYSTEM, hook, detail);
}

SEC("lsm/path_chroot")
int BPF_PROG(path_chroot, const struct path *path, int ret)
{
	return forbid(OS_HOOK_PATH_CHROOT, 0, ret);
}

SEC("lsm/move_mount")
int BPF_PROG(move_mount, const struct path *from, const struct path *to, int ret)
{
	return forbid(OS_HOOK_MOVE_MOUNT, 0, ret);
}

SEC("lsm/sb_mount")
int BPF_PROG(sb_mount, const char *dev_name, const struct path *path, const char *type,
	     unsigned long flags, void *data, int ret)
{
	return forbid(OS_HOOK_SB_MOUNT, flags, ret);
}

SEC("lsm/sb_umount")
int BPF_PROG(sb_umount, struct vfsmount *mnt, int flags, int ret)
{
	return forbid(OS_HOOK_SB_UMOUNT, flags, ret);
}

SEC("lsm/sb_remount")
int BPF_PROG(sb_remount, struct super_block *sb, void *options, int ret)
{
	return forbid(OS_HOOK_SB_REMOUNT, 0, ret);
}

SEC("lsm/sb_pivotroot")
int BPF_PROG(sb_pivotroot, const struct path *old_path, const struct path *new_path, int ret)
{
	return forbid(OS_HOOK_SB_PIVOTROOT, 0, ret);
}

/* Our own maps, programs, links and pins are out of reach with the system call itself. */
SEC("lsm/bpf")
int BPF_PROG(bpf, int cmd)
{
	return forbid(OS_HOOK_BPF, cmd, 0);
}

SEC("lsm/perf_event_open")
int BPF_PROG(perf_event_open)
{
	return forbid(OS_HOOK_PERF_EVENT_OPEN, 0, 0);
}

SEC("lsm/kernel_load_data")
int BPF_PROG(kernel_load_data, int id)
{
	return forbid(OS_HOOK_KERNEL_LOAD_DATA, id, 0);
}

SEC("lsm/kernel_read_file")
int BPF_PROG(kernel_read_file, struct file *file, int id)
{
	return forbid(OS_HOOK_KERNEL_READ_FILE, id, 0);
}

SEC("lsm/key_permission")
int BPF_PROG(key_permission)
{
	return forbid(OS_HOOK_KEY_PERMISSION, 0, 0);
}

SEC("lsm/syslog")
int BPF_PROG(syslog, int type, int ret)
{
	return forbid(OS_HOOK_SYSLOG, type, ret);
}

SEC("lsm/uring_override_creds")
int BPF_PROG(uring_override_creds, const struct cred *cred, int ret)
{
	return forbid(OS_HOOK_URING_OVERRIDE_CREDS, 0, ret);
}

SEC("lsm/uring_sqpoll")
int BPF_PROG(uring_sqpoll, int ret)
{
	return forbid(OS_HOOK_URING_SQPOLL, 0, ret);
}

SEC("lsm/uring_cmd")
int BPF_PROG(uring_cmd, void *command, int ret)
{
	return forbid(OS_HOOK_URING_CMD, 0, ret);
}

char LICENSE[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";

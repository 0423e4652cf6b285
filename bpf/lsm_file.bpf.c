// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Open files: opening, looking at, watching, and the ioctls that
 * change what a file is. Reading and writing an open descriptor is not asked again; a policy
 * switch therefore does not revoke what is already open.
 */
#include "vmlinux.h"
#include "lsm.h"

/* include/linux/fs.h and include/uapi/asm-generic/fcntl.h */
#define O_ACCMODE	 3
#define FMODE_EXEC_SHIFT 5 /* in f_flags: __FMODE_EXEC, set for execve and ELF interpreters */

/*
 * OS_RIGHT_READ and WRITE by access mode, a nibble each; mode 3 (ioctl only) asks for both, as the
 * kernel's ACC_MODE() does. A table and no branches, here and below, because the verifier walks
 * the whole tree once for each way to get there.
 */
#define OPEN_RIGHTS 0x3321u

SEC("lsm/file_open")
int BPF_PROG(file_open, struct file *file, int ret)
{
	struct dentry *dentry = file->f_path.dentry;
	__u32 flags = file->f_flags;
	/* A program is asked about again, as a program, in bprm_check_security. */
	__u32 exec = (flags >> FMODE_EXEC_SHIFT) & 1;
	__u32 wanted = ((OPEN_RIGHTS >> (flags & O_ACCMODE) * 4) & 0xf) * (1 - exec) +
		       (OS_RIGHT_EXEC | OS_RIGHT_LIBRARY) * exec;
	struct caller caller;

	if (ret || !lsm_enter(&caller, OS_HOOK_FILE_OPEN))
		return ret;
	if (lsm_is_pathless(dentry, 0))
		return 0;
	return lsm_check_hot(&caller, dentry, wanted, exec,
			     OS_EVENT_FILE + (OS_EVENT_EXEC - OS_EVENT_FILE) * exec,
			     OS_HOOK_FILE_OPEN, flags);
}

SEC("lsm/inode_getattr")
int BPF_PROG(inode_getattr, const struct path *path, int ret)
{
	struct caller caller;

	if (ret || !lsm_enter(&caller, OS_HOOK_INODE_GETATTR))
		return ret;
	if (lsm_is_pathless(path->dentry, 0))
		return 0;
	return lsm_check_hot(&caller, path->dentry, OS_RIGHT_STAT, 0, OS_EVENT_FILE,
			     OS_HOOK_INODE_GETATTR, 0);
}

/* inotify and fanotify tell the names of a directory's entries. */
SEC("lsm/path_notify")
int BPF_PROG(path_notify, const struct path *path, __u64 mask, unsigned int type, int ret)
{
	struct caller caller;

	if (ret || !lsm_enter(&caller, OS_HOOK_PATH_NOTIFY))
		return ret;
	return lsm_check_dentry(&caller, path->dentry, OS_RIGHT_READ, OS_HOOK_PATH_NOTIFY, 0, 0);
}

SEC("lsm/path_truncate")
int BPF_PROG(path_truncate, const struct path *path, int ret)
{
	struct caller caller;

	if (ret || !lsm_enter(&caller, OS_HOOK_PATH_TRUNCATE))
		return ret;
	return lsm_check_dentry(&caller, path->dentry, OS_RIGHT_WRITE, OS_HOOK_PATH_TRUNCATE, 0, 0);
}

/*
 * ioctls that need no write access to the descriptor and yet change the file. i_generation is
 * part of an anchor's key: an agent that owns a file could slip away from its anchor by setting
 * another one, so nobody in a sandbox may.
 */
#define FS_IOC_SETFLAGS		     0x40086602
#define FS_IOC32_SETFLAGS	     0x40046602
#define FS_IOC_FSSETXATTR	     0x401c5820
#define FS_IOC_SETVERSION	     0x40087602
#define FS_IOC32_SETVERSION	     0x40047602
#define EXT4_IOC_SETVERSION	     0x40086604
#define EXT4_IOC32_SETVERSION	     0x40046604
#define FS_IOC_SET_ENCRYPTION_POLICY 0x800c6613
#define FS_IOC_ENABLE_VERITY	     0x40806685

SEC("lsm/file_ioctl")
int BPF_PROG(file_ioctl, struct file *file, unsigned int cmd, unsigned long arg, int ret)
{
	struct caller caller;

	if (ret)
		return ret;
	switch (cmd) {
	case FS_IOC_SETVERSION:
	case FS_IOC32_SETVERSION:
	case EXT4_IOC_SETVERSION:
	case EXT4_IOC32_SETVERSION:
		if (!lsm_enter(&caller, OS_HOOK_FILE_IOCTL))
			return 0;
		return lsm_forbid(&caller, OS_EVENT_FILE, OS_HOOK_FILE_IOCTL, cmd);
	case FS_IOC_SETFLAGS:
	case FS_IOC32_SETFLAGS:
	case FS_IOC_FSSETXATTR:
	case FS_IOC_SET_ENCRYPTION_POLICY:
	case FS_IOC_ENABLE_VERITY:
		if (!lsm_enter(&caller, OS_HOOK_FILE_IOCTL))
			return 0;
		return lsm_check_dentry(&caller, file->f_path.dentry, OS_RIGHT_ATTR,
					OS_HOOK_FILE_IOCTL, 0, cmd);
	}
	return 0;
}

char LICENSE[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";

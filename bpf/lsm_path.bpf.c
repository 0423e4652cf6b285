// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Names: making, removing, moving and linking directory entries, and attributes changed by path.
 * Removing an entry is asked of the object and of the directory it is in; a file may not gain
 * rights by getting a name in another directory.
 */
#include "vmlinux.h"
#include "lsm.h"

static __always_inline int make_entry(const struct path *dir, struct dentry *dentry, __u16 hook,
				      int ret)
{
	struct caller caller;

	if (ret || !lsm_enter(&caller, hook))
		return ret;
	/* The new entry has no inode: its rights are those of the directory's children. */
	return lsm_check_dentry(&caller, dentry, OS_RIGHT_CREATE, hook, 1, 0);
}

static __always_inline int remove_entry(const struct caller *caller, struct dentry *dentry,
					__u16 hook)
{
	int error = lsm_check_dentry(caller, dentry, OS_RIGHT_REMOVE, hook, 0, 0);

	if (error)
		return error;
	return lsm_check_dentry(caller, dentry->d_parent, OS_RIGHT_REMOVE, hook, 1, 0);
}

SEC("lsm/path_mknod")
int BPF_PROG(path_mknod, const struct path *dir, struct dentry *dentry, umode_t mode,
	     unsigned int dev, int ret)
{
	return make_entry(dir, dentry, OS_HOOK_PATH_MKNOD, ret);
}

SEC("lsm/path_mkdir")
int BPF_PROG(path_mkdir, const struct path *dir, struct dentry *dentry, umode_t mode, int ret)
{
	return make_entry(dir, dentry, OS_HOOK_PATH_MKDIR, ret);
}

SEC("lsm/path_symlink")
int BPF_PROG(path_symlink, const struct path *dir, struct dentry *dentry, const char *old_name,
	     int ret)
{
	return make_entry(dir, dentry, OS_HOOK_PATH_SYMLINK, ret);
}

SEC("lsm/path_unlink")
int BPF_PROG(path_unlink, const struct path *dir, struct dentry *dentry, int ret)
{
	struct caller caller;

	if (ret || !lsm_enter(&caller, OS_HOOK_PATH_UNLINK))
		return ret;
	return remove_entry(&caller, dentry, OS_HOOK_PATH_UNLINK);
}

SEC("lsm/path_rmdir")
int BPF_PROG(path_rmdir, const struct path *dir, struct dentry *dentry, int ret)
{
	struct caller caller;

	if (ret || !lsm_enter(&caller, OS_HOOK_PATH_RMDIR))
		return ret;
	return remove_entry(&caller, dentry, OS_HOOK_PATH_RMDIR);
}

/*
 * The place that a file would get: the entry itself while nothing has that name, so that a name
 * which is listed counts; else its directory.
 */
static __always_inline struct dentry *place(const struct path *dir, struct dentry *entry)
{
	return entry->d_inode ? dir->dentry : entry;
}

/* What @dentry would gain in a place(); 0 if nothing. Tells the denial. */
static __always_inline int refuse_gain(const struct caller *caller, struct dentry *dentry,
				       struct dentry *dir, __u16 hook)
{
	__u32 old_rights = lsm_rights(caller, dentry, 0);
	__u32 gained = walk_gained(old_rights, lsm_rights(caller, dir, 1));

	if (!gained)
		return 0;

	struct decision d = {
		.dentry = (__u64)dentry,
		.dentry2 = (__u64)dir,
		.kind = OS_EVENT_FILE,
		.hook = hook,
		.reason = OS_REASON_RIGHT,
		.wanted = gained,
		.held = old_rights,
		.endpoint = OS_EVENT_NO_ENDPOINT,
	};

	return lsm_deny(caller, &d, -EACCES);
}

SEC("lsm/path_link")
int BPF_PROG(path_link, struct dentry *old_dentry, const struct path *new_dir,
	     struct dentry *new_dentry, int ret)
{
	struct caller caller;
	int error;

	if (ret || !lsm_enter(&caller, OS_HOOK_PATH_LINK))
		return ret;
	error = lsm_check_dentry(&caller, place(new_dir, new_dentry), OS_RIGHT_CREATE,
				 OS_HOOK_PATH_LINK, 1, 0);
	if (error)
		return error;
	return refuse_gain(&caller, old_dentry, place(new_dir, new_dentry), OS_HOOK_PATH_LINK);
}

#define RENAME_EXCHANGE 2 /* include/uapi/linux/fs.h */

/*
 * RENAME_EXCHANGE comes as flags from 5.19 on (kernel commit 100f59d96405) and as two calls
 * before. Asking for the rights in both directions whenever the target exists needs to know
 * neither; what the target gains matters only if it stays. Before 5.19 the word after the
 * arguments is the verdict so far, 0 where nobody denied yet.
 */
SEC("lsm/path_rename")
int BPF_PROG(path_rename, const struct path *old_dir, struct dentry *old_dentry,
	     const struct path *new_dir, struct dentry *new_dentry)
{
	struct caller caller;
	int error;

	if (!lsm_enter(&caller, OS_HOOK_PATH_RENAME))
		return 0;
	error = remove_entry(&caller, old_dentry, OS_HOOK_PATH_RENAME);
	if (error)
		return error;
	error = lsm_check_dentry(&caller, place(new_dir, new_dentry), OS_RIGHT_CREATE,
				 OS_HOOK_PATH_RENAME, 1, 0);
	if (error)
		return error;
	error = refuse_gain(&caller, old_dentry, place(new_dir, new_dentry), OS_HOOK_PATH_RENAME);
	if (error || !new_dentry->d_inode)
		return error;
	error = remove_entry(&caller, new_dentry, OS_HOOK_PATH_RENAME);
	if (error)
		return error;
	error = lsm_check_dentry(&caller, old_dir->dentry, OS_RIGHT_CREATE, OS_HOOK_PATH_RENAME, 1,
				 0);
	if (error || !(ctx[4] & RENAME_EXCHANGE))
		return error;
	return refuse_gain(&caller, new_dentry, old_dir->dentry, OS_HOOK_PATH_RENAME);
}

SEC("lsm/path_chmod")
int BPF_PROG(path_chmod, const struct path *path, umode_t mode, int ret)
{
	struct caller caller;

	if (ret || !lsm_enter(&caller, OS_HOOK_PATH_CHMOD))
		return ret;
	return lsm_check_dentry(&caller, path->dentry, OS_RIGHT_ATTR, OS_HOOK_PATH_CHMOD, 0, mode);
}

SEC("lsm/path_chown")
int BPF_PROG(path_chown, const struct path *path, __u64 uid, __u64 gid, int ret)
{
	struct caller caller;

	if (ret || !lsm_enter(&caller, OS_HOOK_PATH_CHOWN))
		return ret;
	return lsm_check_dentry(&caller, path->dentry, OS_RIGHT_ATTR, OS_HOOK_PATH_CHOWN, 0, 0);
}

char LICENSE[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";

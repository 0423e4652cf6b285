// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Attributes of inodes: times, sizes, extended attributes, link targets. Three of these hooks got
 * a mount's idmap as first argument in later kernels; both forms are here, named by what comes
 * first, and the loader keeps the one whose signature the kernel's BTF shows.
 */
#include "vmlinux.h"
#include "lsm.h"

/* include/linux/fs.h */
#define ATTR_SIZE  (1 << 3)
#define ATTR_FORCE (1 << 9) /* the kernel's own change, such as dropping set-id bits on write */

/*
 * Truncating a set-id file drops its bits in the same change and makes that a forced one too; for
 * open(O_RDONLY | O_TRUNC) this is the only question there is, since 6.2 took path_truncate away.
 */
static __always_inline int is_forced(__u32 valid)
{
	return (valid & (ATTR_FORCE | ATTR_SIZE)) == ATTR_FORCE;
}

static __always_inline int setattr(struct dentry *dentry, struct iattr *attr, int ret)
{
	__u32 valid = attr->ia_valid;
	struct caller caller;

	if (ret || is_forced(valid) || !lsm_enter(&caller, OS_HOOK_INODE_SETATTR))
		return ret;
	return lsm_check_dentry(&caller, dentry, valid & ATTR_SIZE ? OS_RIGHT_WRITE : OS_RIGHT_ATTR,
				OS_HOOK_INODE_SETATTR, 0, valid);
}

SEC("lsm/inode_setattr")
int BPF_PROG(inode_setattr_idmap, void *idmap, struct dentry *dentry, struct iattr *attr, int ret)
{
	return setattr(dentry, attr, ret);
}

SEC("lsm/inode_setattr")
int BPF_PROG(inode_setattr_plain, struct dentry *dentry, struct iattr *attr, int ret)
{
	return setattr(dentry, attr, ret);
}

static __always_inline int attribute(struct dentry *dentry, __u32 wanted, __u16 hook, int ret)
{
	struct caller caller;

	if (ret || !lsm_enter(&caller, hook))
		return ret;
	return lsm_check_dentry(&caller, dentry, wanted, hook, 0, 0);
}

SEC("lsm/inode_setxattr")
int BPF_PROG(inode_setxattr_idmap, void *idmap, struct dentry *dentry)
{
	return attribute(dentry, OS_RIGHT_ATTR, OS_HOOK_INODE_SETXATTR, 0);
}

SEC("lsm/inode_setxattr")
int BPF_PROG(inode_setxattr_plain, struct dentry *dentry)
{
	return attribute(dentry, OS_RIGHT_ATTR, OS_HOOK_INODE_SETXATTR, 0);
}

SEC("lsm/inode_removexattr")
int BPF_PROG(inode_removexattr_idmap, void *idmap, struct dentry *dentry, const char *name, int ret)
{
	return attribute(dentry, OS_RIGHT_ATTR, OS_HOOK_INODE_REMOVEXATTR, ret);
}

SEC("lsm/inode_removexattr")
int BPF_PROG(inode_removexattr_plain, struct dentry *dentry, const char *name, int ret)
{
	return attribute(dentry, OS_RIGHT_ATTR, OS_HOOK_INODE_REMOVEXATTR, ret);
}

SEC("lsm/inode_getxattr")
int BPF_PROG(inode_getxattr, struct dentry *dentry, const char *name, int ret)
{
	return attribute(dentry, OS_RIGHT_STAT, OS_HOOK_INODE_GETXATTR, ret);
}

SEC("lsm/inode_listxattr")
int BPF_PROG(inode_listxattr, struct dentry *dentry, int ret)
{
	return attribute(dentry, OS_RIGHT_STAT, OS_HOOK_INODE_LISTXATTR, ret);
}

SEC("lsm/inode_readlink")
int BPF_PROG(inode_readlink, struct dentry *dentry, int ret)
{
	return attribute(dentry, OS_RIGHT_STAT, OS_HOOK_INODE_READLINK, ret);
}

/*
 * Access control lists are extended attributes to the caller, and have hooks of their own from
 * Linux 6.2 on: the three above are not asked about them there.
 */
SEC("lsm/inode_set_acl")
int BPF_PROG(inode_set_acl, void *idmap, struct dentry *dentry, const char *name, void *acl,
	     int ret)
{
	return attribute(dentry, OS_RIGHT_ATTR, OS_HOOK_INODE_SETXATTR, ret);
}

SEC("lsm/inode_remove_acl")
int BPF_PROG(inode_remove_acl, void *idmap, struct dentry *dentry, const char *name, int ret)
{
	return attribute(dentry, OS_RIGHT_ATTR, OS_HOOK_INODE_REMOVEXATTR, ret);
}

SEC("lsm/inode_get_acl")
int BPF_PROG(inode_get_acl, void *idmap, struct dentry *dentry, const char *name, int ret)
{
	return attribute(dentry, OS_RIGHT_STAT, OS_HOOK_INODE_GETXATTR, ret);
}

/* file_setattr(2) and file_getattr(2): inode flags by path, Linux 6.17. */
SEC("lsm/inode_file_setattr")
int BPF_PROG(inode_file_setattr, struct dentry *dentry, void *attr, int ret)
{
	return attribute(dentry, OS_RIGHT_ATTR, OS_HOOK_INODE_SETATTR, ret);
}

SEC("lsm/inode_file_getattr")
int BPF_PROG(inode_file_getattr, struct dentry *dentry, void *attr, int ret)
{
	return attribute(dentry, OS_RIGHT_STAT, OS_HOOK_INODE_GETATTR, ret);
}

char LICENSE[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";

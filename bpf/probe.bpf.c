// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Names an open file the way the other programs see it: st_dev lies on overlayfs and btrfs, and
 * i_generation is not in stat. The supervisor opens a listed path O_PATH inside the sandbox's
 * mount namespace and runs this in its own context (BPF_PROG_RUN of a syscall program, Linux 5.14)
 * with the descriptor; nothing is attached.
 */
#include "vmlinux.h"
#include "process.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

SEC("syscall")
int file_probe(struct os_file_probe *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files, *file = NULL;
	struct inode *inode;

	if (ctx->fd >= BPF_CORE_READ(table, max_fds))
		return -9; /* EBADF */
	files = BPF_CORE_READ(table, fd);
	if (bpf_probe_read_kernel(&file, sizeof(file), files + ctx->fd) || !file)
		return -9;
	inode = BPF_CORE_READ(file, f_inode);
	if (!inode)
		return -9;
	ctx->mode = BPF_CORE_READ(inode, i_mode);
	ctx->file.ino = BPF_CORE_READ(inode, i_ino);
	ctx->file.dev = BPF_CORE_READ(inode, i_sb, s_dev);
	ctx->file.generation = BPF_CORE_READ(inode, i_generation);
	ctx->changed = process_changed(inode);
	return 0;
}

char LICENSE[] SEC("license") __attribute__((weak)) = "Dual BSD/GPL";

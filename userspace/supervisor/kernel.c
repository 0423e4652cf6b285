/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/kernel.h"

#include "common/cleanup.h"
#include "supervisor/host_lock.h"
#include "supervisor/kernel_load.h"
#include "supervisor/selftest.h"
#include "supervisor/slot.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define USERS_PATH   KERNEL_STATE_DIR "/users"
#define POLICY_BYTES (OS_SLOTS_MAX * sizeof(struct os_policy))

static void close_maps(struct kernel *kernel)
{
	int *fd = (int *)&kernel->maps;

	if (kernel->policy)
		munmap(kernel->policy, POLICY_BYTES);
	kernel->policy = NULL;

	for (size_t i = 0; i < sizeof(kernel->maps) / sizeof(int); i++)
		fd[i] = safe_close(fd[i]);
	kernel->file_probe_fd = safe_close(kernel->file_probe_fd);
	kernel->worker_filter_fd = safe_close(kernel->worker_filter_fd);
	kernel->redirect_fd = safe_close(kernel->redirect_fd);
}

static void forget(struct kernel *kernel)
{
	close_maps(kernel);
	kernel->lsm = false;
	kernel->lsm_reason[0] = '\0';
}

/* A mapped os_policy makes a switch what the design says it is: one store. */
static int map_policy(struct kernel *kernel, struct error *err)
{
	void *p = mmap(NULL, POLICY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, kernel->maps.policy,
		       0);

	if (p == MAP_FAILED)
		return error_set(err, -errno, "cannot map os_policy: %s", strerror(errno));
	kernel->policy = p;
	return 0;
}

/* bpffs is where every systemd host has it; elsewhere we mount it, as bpftool does. */
static int need_bpffs(struct error *err)
{
	struct statfs fs;

	if (!statfs("/sys/fs/bpf", &fs) && fs.f_type == BPF_FS_MAGIC)
		return 0;
	if (mount("bpf", "/sys/fs/bpf", "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700"))
		return error_set(err, -errno, "cannot mount bpffs on /sys/fs/bpf: %s",
				 strerror(errno));
	return 0;
}

static int need_state_dir(struct error *err)
{
	struct stat st;

	if (mkdir(KERNEL_STATE_DIR, 0700) && errno != EEXIST)
		return error_set(err, -errno, "cannot make %s: %s", KERNEL_STATE_DIR,
				 strerror(errno));
	if (lstat(KERNEL_STATE_DIR, &st) || !S_ISDIR(st.st_mode) || st.st_uid || st.st_mode & 022)
		return error_set(err, -ENOTDIR,
				 "%s is not a directory that root alone can write to; remove it",
				 KERNEL_STATE_DIR);
	return 0;
}

/* Adopt what is pinned, or load; the host lock is held. */
static int adopt_or_load(struct kernel *kernel, struct error *err)
{
	int r = kernel_adopt(kernel, err);

	if (!r)
		return 0;
	forget(kernel);
	/* What is pinned, whole or not, is all that holds the sandboxes that run. */
	if (slot_sweep(kernel) > 0 && !access(KERNEL_PIN_DIR, F_OK))
		return error_wrap(err, "what is pinned cannot be used, and sandboxes run under it; "
				       "end them, or remove " KERNEL_PIN_DIR " to unload it");
	kernel_unpin();
	return kernel_load(kernel, err);
}

/* Nothing runs under a kernel side whose denials were not seen to deny. */
static int prove(struct kernel *kernel, struct error *err)
{
	struct selftest_result result;
	int r = selftest_run(kernel->tree.agents_fd, &result, err);

	if (r)
		return r;
	if (result.socket_error != EPERM)
		return error_set(err, -EACCES,
				 "the egress programs are attached and do not deny (socket: %s); "
				 "nothing was started",
				 strerror(result.socket_error));
	if (kernel->lsm && result.open_error != EACCES) {
		kernel->lsm = false;
		snprintf(kernel->lsm_reason, sizeof(kernel->lsm_reason),
			 "the programs load and attach, and nothing is denied: bpf is missing in "
			 "the active LSM list (kernel command line lsm=...,bpf)");
	}
	return 0;
}

int kernel_open(struct kernel **ret_kernel, struct error *err)
{
	_cleanup_close_ int lock = -1;
	struct kernel *kernel;
	int r;

	if (geteuid() != 0)
		return error_set(err, -EPERM, "loading kernel programs needs root: use sudo");
	kernel = calloc(1, sizeof(*kernel));
	if (!kernel)
		return error_set(err, -ENOMEM, "out of memory");
	memset(&kernel->maps, 0xff, sizeof(kernel->maps));
	kernel->file_probe_fd = kernel->worker_filter_fd = kernel->redirect_fd = -1;
	kernel->users_fd = -1;
	kernel->tree = CGROUP_TREE_EMPTY;

	r = need_state_dir(err);
	if (!r)
		r = need_bpffs(err);
	if (!r)
		r = host_lock(&lock, err);
	if (!r)
		r = cgroup_tree_open(&kernel->tree, err);
	if (r)
		goto fail;
	if (!kernel->tree.agents_level) {
		r = error_set(
			err, -EOPNOTSUPP,
			"this process is in a cgroup namespace: start openshell outside of it, "
			"or in a container with the host's (cgroupns: host)");
		goto fail;
	}
	kernel->users_fd = open(USERS_PATH, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (kernel->users_fd < 0 || flock(kernel->users_fd, LOCK_SH)) {
		r = error_set(err, -errno, "cannot lock %s: %s", USERS_PATH, strerror(errno));
		goto fail;
	}
	r = adopt_or_load(kernel, err);
	if (r)
		goto fail;
	slot_sweep(kernel);
	r = map_policy(kernel, err);
	if (!r)
		r = prove(kernel, err);
	if (r)
		goto fail;
	*ret_kernel = kernel;
	return 0;
fail:
	lock = safe_close(lock);
	kernel_close(kernel);
	return r;
}

/* Remove the agents' parent cgroup from every hierarchy; one that is in use stays. */
static void remove_parent(const struct cgroup_mounts *mounts)
{
	char path[PATH_MAX + sizeof(CGROUP_PARENT) + 1];

	snprintf(path, sizeof(path), "%s/" CGROUP_PARENT, mounts->v2);
	rmdir(path);
	for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
		if (!mounts->v1[i][0])
			continue;
		snprintf(path, sizeof(path), "%s/" CGROUP_PARENT, mounts->v1[i]);
		rmdir(path);
	}
}

/* The last user, with no sandbox left, takes everything away; the host lock is held. */
static void unload_if_last(struct kernel *kernel)
{
	if (flock(kernel->users_fd, LOCK_EX | LOCK_NB))
		return;
	if (slot_sweep(kernel) > 0)
		return;
	kernel_unpin();
	remove_parent(&kernel->tree.mounts);
}

void kernel_close(struct kernel *kernel)
{
	_cleanup_close_ int lock = -1;

	if (!kernel)
		return;
	if (kernel->users_fd >= 0 && !host_lock(&lock, NULL))
		unload_if_last(kernel);
	close_maps(kernel);
	cgroup_tree_close(&kernel->tree);
	safe_close(kernel->users_fd);
	free(kernel);
}

int kernel_identify(const struct kernel *kernel, int fd, struct os_image *ret_image,
		    uint32_t *ret_mode)
{
	struct os_file_probe probe = {.fd = (__u32)fd};
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &probe, .ctx_size_in = sizeof(probe));
	int r = bpf_prog_test_run_opts(kernel->file_probe_fd, &options);

	if (r)
		return r < 0 ? r : -errno;
	if (options.retval)
		return (int)options.retval;
	*ret_image = (struct os_image){.file = probe.file, .changed = probe.changed};
	if (ret_mode)
		*ret_mode = probe.mode;
	return 0;
}

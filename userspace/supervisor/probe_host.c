/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/probe.h"
#include "common/cleanup.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/seccomp.h>
#include <mntent.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

/* As <linux/sched.h> has it; that header and <sched.h> do not go together. */
struct clone3_args {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
		set_tid_size, cgroup;
};

static int read_text(int dir, const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, size);
	if (n < 0)
		return -errno;
	if ((size_t)n == size)
		return -ENAMETOOLONG;
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

int probe_lsm_list(char *buf, size_t size)
{
	_cleanup_close_ int context = -1, mount = -1;
	int r = read_text(AT_FDCWD, "/sys/kernel/security/lsm", buf, size);

	if (r != -ENOENT)
		return r;
	/* Not mounted: a mount that is attached nowhere does as well, and goes with its descriptor.
	 */
	context = fsopen("securityfs", FSOPEN_CLOEXEC);
	if (context < 0)
		return errno == ENODEV ? -ENOENT : -errno;
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	mount = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
	if (mount < 0)
		return -errno;
	return read_text(mount, "lsm", buf, size);
}

int probe_lsm_active(void)
{
	char list[512], *rest = list, *name;
	int r = probe_lsm_list(list, sizeof(list));

	if (r < 0)
		return r;
	while ((name = strsep(&rest, ",")))
		if (!strcmp(name, "bpf"))
			return 1;
	return 0;
}

static bool has_word(const char *list, const char *separators, const char *word)
{
	size_t len = strlen(word);

	while (*list) {
		size_t n = strcspn(list, separators);

		if (n == len && !memcmp(list, word, n))
			return true;
		list += n + (list[n] != '\0');
	}
	return false;
}

static void find_controllers(struct probe_cgroup *c, const char *words, const char *separators)
{
	c->cpu |= has_word(words, separators, "cpu");
	c->memory |= has_word(words, separators, "memory");
	c->pids |= has_word(words, separators, "pids");
}

int probe_cgroup_find(struct probe_cgroup *ret_cgroup)
{
	_cleanup_fclose_ FILE *mounts = fopen("/proc/self/mounts", "re");
	struct probe_cgroup c = {};
	struct mntent entry;
	char buf[4096];

	if (!mounts)
		return -errno;
	while (getmntent_r(mounts, &entry, buf, sizeof(buf))) {
		if (!strcmp(entry.mnt_type, "cgroup")) {
			c.hybrid = true;
			find_controllers(&c, entry.mnt_opts, ",");
		} else if (!strcmp(entry.mnt_type, "cgroup2") && !c.path[0] &&
			   strlen(entry.mnt_dir) < sizeof(c.path)) {
			_cleanup_close_ int dir = open(entry.mnt_dir, O_DIRECTORY | O_CLOEXEC);

			snprintf(c.path, sizeof(c.path), "%s", entry.mnt_dir);
			if (dir < 0 || read_text(dir, "cgroup.controllers", c.v2, sizeof(c.v2)) < 0)
				c.v2[0] = '\0';
			find_controllers(&c, c.v2, " ");
		}
	}
	*ret_cgroup = c;
	return 0;
}

/* A UDP socket's connect() sends nothing. */
static int connect_somewhere(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(9),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	return connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

/* The exit status of @pid; negative errno. */
static int reap(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, __WALL) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -ECANCELED;
}

static int try_attach(int cgroup, int *ret_link)
{
	const struct bpf_insn deny[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_CGROUP_INET4_CONNECT);
	_cleanup_close_ int program = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "os_probe",
						    "Dual BSD/GPL", deny, ARRAY_LEN(deny), &opts);
	int link;

	if (program < 0)
		return program;
	link = bpf_link_create(program, cgroup, BPF_CGROUP_INET4_CONNECT, NULL);
	if (link < 0)
		return link;
	*ret_link = link;
	return 0;
}

static void try_child(int cgroup, struct probe_cgroup_trial *t)
{
	struct clone3_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)cgroup,
	};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	int r;

	if (pid < 0) {
		t->clone3 = -errno;
		t->denial = t->clone3;
		return;
	}
	if (pid == 0)
		_exit(connect_somewhere() == -EPERM ? 0 : 1);
	t->clone3 = 0;
	r = reap(pid);
	if (t->attach == 0)
		/* Any other error, such as a loopback device that is down, is not the program's. */
		t->denial = r == 0 && connect_somewhere() != -EPERM ? 0 : -ENOTRECOVERABLE;
}

void probe_cgroup_try(const char *path, struct probe_cgroup_trial *ret_trial)
{
	_cleanup_close_ int top = open(path, O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int cgroup = -1, link = -1;
	struct probe_cgroup_trial t = {};
	sigset_t all, saved;
	char name[64];
	int r = 0;

	snprintf(name, sizeof(name), "openshell-doctor.%d", getpid());
	/* An interrupt in here would leave the cgroup behind. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &saved);
	if (top < 0 || mkdirat(top, name, 0755) < 0)
		r = -errno;
	if (r < 0) {
		t = (struct probe_cgroup_trial){r, r, r, r, r};
	} else {
		cgroup = openat(top, name, O_DIRECTORY | O_CLOEXEC);
		t.kill = faccessat(cgroup, "cgroup.kill", W_OK, 0) < 0 ? -errno : 0;
		t.attach = try_attach(cgroup, &link);
		t.denial = t.attach;
		try_child(cgroup, &t);
		link = safe_close(link);
		cgroup = safe_close(cgroup);
		unlinkat(top, name, AT_REMOVEDIR);
	}
	sigprocmask(SIG_SETMASK, &saved, NULL);
	*ret_trial = t;
}

int probe_namespace(int flag)
{
	pid_t pid = fork();
	int r;

	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(unshare(flag) < 0 ? errno : 0);
	r = reap(pid);
	return r > 0 ? -r : r;
}

int probe_seccomp(void)
{
	uint32_t action = SECCOMP_RET_ERRNO;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0 ? -errno : 0;
}

int probe_mount_setattr(void)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

	/* A kernel that has the call objects to the descriptor. */
	return mount_setattr(-1, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 && errno == ENOSYS
		       ? -ENOSYS
		       : 0;
}

int probe_memfd_noexec(void)
{
	return access("/proc/sys/vm/memfd_noexec", F_OK) < 0 ? -errno : 0;
}

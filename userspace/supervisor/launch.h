/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts a sandbox's processes. clone3() puts a small init of ours straight into the sandbox's
 * cgroup and into its own mount, pid, ipc and uts namespaces; init makes the planned mounts, drops
 * everything (capabilities, identity, system calls) and waits. The caller then resolves the policy
 * in that mount namespace, puts it in force and lets init go on; init starts the agent, reaps, and
 * ends with the agent. If the caller dies, init is killed by the kernel, and with it
 * everything in its pid namespace; so the thread that calls launch_start() has to live as long as
 * the sandbox. Fails closed: any step that does not work ends the launch. The caller owns the
 * struct launch and uses it from one thread.
 */
#pragma once

#include "common/error.h"
#include "supervisor/mount_plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct launch_spec {
	char *const *argv;    /* the agent's command; argv[0] is searched in PATH of envp */
	char *const *envp;    /* its whole environment */
	const char *workdir;  /* inside the sandbox */
	const char *hostname; /* of the uts namespace */
	uid_t uid;	      /* never 0 */
	gid_t gid;	      /* never 0 */
	const gid_t *groups;  /* supplementary groups */
	size_t groups_len;
	int cgroup_fd; /* the sandbox's cgroup-v2 directory */
	int stdio[3];  /* pipes or a pty's slave side; never the caller's own terminal */
	bool tty;      /* stdio[0] is a pty slave: becomes the controlling terminal */
	const struct mount_plan *mounts;
	bool memfd_no_exec; /* nothing else refuses to execute a memfd: set vm.memfd_noexec */
};

struct launch {
	pid_t init_pid; /* in the caller's pid namespace */
	int init_pidfd; /* readable when the sandbox has ended */
	int control_fd; /* to init */
	int status_fd;	/* from init, and from the agent up to its execve() */
	int status;	/* what launch_wait() gave, once it ended */
};

#define LAUNCH_EMPTY                                                                               \
	(struct launch)                                                                            \
	{                                                                                          \
		.init_pid = -1, .init_pidfd = -1, .control_fd = -1, .status_fd = -1, .status = -1  \
	}

/*
 * Start init and wait until its mounts stand (bounded: 10 s). On success the sandbox exists, is in
 * its cgroup and runs nothing of the agent's. /proc/<init_pid>/root is its root.
 * Errors: -EPERM (not root), -ENOENT (a mount target), others with a sentence in @err.
 */
int launch_start(const struct launch_spec *spec, struct launch *ret_launch, struct error *err);

/*
 * Let init start the agent. @landlock_fd is a ruleset that the agent shall be restricted by, or -1.
 * Returns once execve() has succeeded or failed: -ENOENT (no such command), -EACCES (the policy or
 * the file's mode forbids it), -ENOEXEC ...; the sandbox is then already ending.
 */
int launch_go(struct launch *launch, int landlock_fd, struct error *err);

/* Send @signal to the agent's process group (0 < signal < 65). -ESRCH once it has ended. */
int launch_signal(struct launch *launch, int signal);

/* A further command in a sandbox that runs. */
struct launch_command {
	char *const *argv, *const *envp;
	const char *workdir; /* inside the sandbox */
	int stdio[3];	     /* pipes, or a pty's slave side */
	bool tty;	     /* stdio[0] becomes the controlling terminal */
};

/*
 * Have init start it, as the agent's user and held by the same policy; @id is the caller's, not 0,
 * and its end comes as a notice. Does not wait. -E2BIG, -EAGAIN (init has not read the orders
 * before), -ESRCH (the sandbox has ended).
 */
int launch_exec(struct launch *launch, uint32_t id, const struct launch_command *command,
		struct error *err);

/* Have init connect to a port of the sandbox's own loopback; a notice has the socket. As
 * launch_exec(). */
int launch_connect(struct launch *launch, uint32_t id, uint16_t port, bool v6);

/* Send @signal to a command's process group. -ESRCH: the sandbox has ended. */
int launch_command_signal(struct launch *launch, uint32_t id, int signal);

struct init_notice;

/*
 * What init has to tell, when launch->control_fd is readable: 1, with a descriptor (the caller's)
 * or -1; 0: nothing more; -ESRCH: the sandbox has ended.
 */
int launch_notice(struct launch *launch, struct init_notice *ret_notice, int *ret_fd);

/* Wait for the end. *ret_status = exit code, or 128 + signal. -EAGAIN if @block is false and it
 * runs. */
int launch_wait(struct launch *launch, bool block, int *ret_status);

/* Kill everything in the sandbox's pid namespace, reap init, close descriptors. Idempotent. */
void launch_kill(struct launch *launch);

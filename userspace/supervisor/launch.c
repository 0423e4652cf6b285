/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/launch.h"
#include "common/cleanup.h"
#include "supervisor/init.h"
#include "supervisor/seccomp.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define READY_TIMEOUT_MS 10000
#define EXEC_TIMEOUT_MS	 30000

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* One report from init: 1, 0 at end of file, -ETIMEDOUT when @deadline_ms has passed. */
static int read_report(int fd, uint64_t deadline_ms, struct init_report *ret_report)
{
	struct pollfd pipe = {.fd = fd, .events = POLLIN};

	for (;;) {
		uint64_t now = now_ms();
		int r = poll(&pipe, 1, now < deadline_ms ? (int)(deadline_ms - now) : 0);
		ssize_t n;

		if (r < 0 && errno != EINTR)
			return -errno;
		if (r < 0)
			continue;
		if (r == 0)
			return -ETIMEDOUT;
		/* Written in one piece of less than PIPE_BUF, so it arrives in one. */
		n = read(fd, ret_report, sizeof(*ret_report));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		return n == sizeof(*ret_report) ? 1 : -EBADMSG;
	}
}

static int check_spec(const struct launch_spec *spec, struct error *err)
{
	if (!spec->argv || !spec->argv[0] || !spec->envp || !spec->workdir)
		return error_set(err, -EINVAL,
				 "a launch needs a command, an environment and a workdir");
	if (spec->uid == 0 || spec->gid == 0 || spec->uid == (uid_t)-1 || spec->gid == (gid_t)-1)
		return error_set(err, -EINVAL, "an agent never runs as uid or gid 0");
	for (size_t i = 0; i < spec->groups_len; i++)
		if (spec->groups[i] == 0)
			return error_set(err, -EINVAL, "an agent is never in group 0");
	for (int i = 0; i < 3; i++)
		if (fcntl(spec->stdio[i], F_GETFD) < 0)
			return error_set(err, -EBADF, "descriptor %d for the agent is not open", i);
	if (geteuid() != 0)
		return error_set(err, -EPERM, "starting a sandbox needs root: run it with sudo");
	return 0;
}

static int clone_init(const struct launch_spec *spec, const struct init_context *context,
		      int *ret_pidfd)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_INTO_CGROUP | CLONE_NEWNS | CLONE_NEWPID |
			 CLONE_NEWIPC | CLONE_NEWUTS,
		.pidfd = (uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)spec->cgroup_fd,
	};
	sigset_t all, saved;
	long pid;

	/* The caller's handlers shall not run in the copy. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &saved);
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		init_main(context);
	if (pid < 0)
		pid = -errno;
	sigprocmask(SIG_SETMASK, &saved, NULL);
	if (pid > 0)
		*ret_pidfd = pidfd;
	return (int)pid;
}

static int explain_clone(int r, struct error *err)
{
	switch (r) {
	case -EPERM:
		return error_set(
			err, r,
			"the kernel refuses new namespaces: root here lacks CAP_SYS_ADMIN, "
			"or a seccomp filter of this container forbids clone3");
	case -ENOSYS:
		return error_set(err, r,
				 "no clone3(): a filter forbids it, or the kernel is "
				 "older than 5.7");
	case -ENOSPC:
		return error_set(err, r,
				 "no more namespaces: raise /proc/sys/user/max_*_namespaces");
	case -EBUSY:
	case -EOPNOTSUPP:
		return error_set(err, r,
				 "the sandbox's cgroup takes no processes: it has controllers "
				 "enabled for its children");
	case -EAGAIN:
		return error_set(err, r,
				 "no more processes: a limit of the host or of this cgroup "
				 "is reached");
	}
	return error_set(err, r, "cannot start the sandbox's init: %s", strerror(-r));
}

/* The device node of the agent's terminal becomes the agent's, as at a login. */
static int give_terminal(const struct launch_spec *spec, struct error *err)
{
	if (!spec->tty)
		return 0;
	if (fchown(spec->stdio[0], spec->uid, (gid_t)-1) < 0 || fchmod(spec->stdio[0], 0620) < 0)
		return error_set(err, -errno, "cannot give the terminal to uid %u: %s", spec->uid,
				 strerror(errno));
	return 0;
}

int launch_start(const struct launch_spec *spec, struct launch *ret_launch, struct error *err)
{
	_cleanup_(launch_kill) struct launch launch = LAUNCH_EMPTY;
	struct sock_filter code[SECCOMP_FILTER_MAX];
	struct sock_fprog filter = {.filter = code};
	_cleanup_close_ int init_control = -1, init_status = -1;
	struct init_report report;
	int pair[2], r;

	r = check_spec(spec, err);
	if (r < 0)
		return r;
	r = give_terminal(spec, err);
	if (r < 0)
		return r;
	r = seccomp_assemble(code, &filter.len);
	if (r < 0)
		return error_set(err, r, "the system call filter does not fit");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, -errno, "cannot make a socket pair: %s", strerror(errno));
	launch.control_fd = pair[0];
	init_control = pair[1];
	if (pipe2(pair, O_CLOEXEC) < 0)
		return error_set(err, -errno, "cannot make a pipe: %s", strerror(errno));
	launch.status_fd = pair[0];
	init_status = pair[1];

	r = clone_init(spec,
		       &(struct init_context){
			       .spec = spec,
			       .seccomp = &filter,
			       .control_fd = init_control,
			       .status_fd = init_status,
		       },
		       &launch.init_pidfd);
	if (r < 0)
		return explain_clone(r, err);
	launch.init_pid = r;
	init_control = safe_close(init_control);
	init_status = safe_close(init_status);

	r = read_report(launch.status_fd, now_ms() + READY_TIMEOUT_MS, &report);
	if (r == -ETIMEDOUT)
		return error_set(err, r, "the sandbox's init was not ready after %d seconds",
				 READY_TIMEOUT_MS / 1000);
	if (r < 0)
		return error_set(err, r, "cannot hear from the sandbox's init: %s", strerror(-r));
	if (r == 0)
		return error_set(err, -EIO, "the sandbox's init ended before it was ready");
	if (report.kind != INIT_REPORT_READY) {
		if (err)
			*err = report.error;
		return report.error.code < 0 ? report.error.code : -EIO;
	}
	*ret_launch = launch;
	launch = LAUNCH_EMPTY;
	return 0;
}

/* @text goes behind the order, @fds beside it. */
static int send_order(const struct launch *launch, const struct init_order *order, const char *text,
		      size_t size, const int *fds, size_t fds_len)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(3 * sizeof(int))];
	} control = {};
	struct iovec iov[] = {{(void *)order, sizeof(*order)}, {(void *)text, size}};
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = size ? 2 : 1};

	if (launch->control_fd < 0)
		return -ESRCH;
	if (fds_len) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(fds_len * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(fds_len * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, fds_len * sizeof(int));
	}
	if (sendmsg(launch->control_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return errno == EPIPE || errno == ECONNRESET ? -ESRCH : -errno;
	return 0;
}

int launch_go(struct launch *launch, int landlock_fd, struct error *err)
{
	const struct init_order order = {.kind = INIT_ORDER_GO};
	uint64_t deadline = now_ms() + EXEC_TIMEOUT_MS;
	struct init_report report;
	bool exec = false;
	int r;

	r = send_order(launch, &order, NULL, 0, &landlock_fd, landlock_fd >= 0);
	if (r < 0)
		return error_set(err, r, "the sandbox's init has gone");
	for (;;) {
		r = read_report(launch->status_fd, deadline, &report);
		if (r <= 0)
			break;
		if (report.kind == INIT_REPORT_EXEC) {
			exec = true;
			continue;
		}
		if (err)
			*err = report.error;
		return report.error.code < 0 ? report.error.code : -EIO;
	}
	launch->status_fd = safe_close(launch->status_fd);
	if (r == -ETIMEDOUT)
		return error_set(err, r, "the command did not start within %d seconds",
				 EXEC_TIMEOUT_MS / 1000);
	if (r < 0)
		return error_set(err, r, "cannot hear from the sandbox's init: %s", strerror(-r));
	if (!exec)
		return error_set(err, -EIO, "the sandbox ended before its command started");
	return 0;
}

int launch_signal(struct launch *launch, int signal_number)
{
	const struct init_order order = {.kind = INIT_ORDER_SIGNAL, .signal = signal_number};

	if (signal_number <= 0 || signal_number >= NSIG)
		return -EINVAL;
	return send_order(launch, &order, NULL, 0, NULL, 0);
}

static int add_text(char *text, size_t *used, const char *part)
{
	size_t size = strlen(part) + 1;

	if (size > INIT_ORDER_TEXT_MAX - *used)
		return -E2BIG;
	memcpy(text + *used, part, size);
	*used += size;
	return 0;
}

int launch_exec(struct launch *launch, uint32_t id, const struct launch_command *command,
		struct error *err)
{
	struct init_order order = {.kind = INIT_ORDER_EXEC, .id = id, .tty = command->tty};
	_cleanup_free_ char *text = malloc(INIT_ORDER_TEXT_MAX);
	size_t used = 0;
	int r;

	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	r = add_text(text, &used, command->workdir);
	for (; !r && command->argv[order.words]; order.words++)
		r = add_text(text, &used, command->argv[order.words]);
	for (; !r && command->envp[order.variables]; order.variables++)
		r = add_text(text, &used, command->envp[order.variables]);
	if (r)
		return error_set(err, r, "the command and its environment have more than %u bytes",
				 INIT_ORDER_TEXT_MAX);
	r = send_order(launch, &order, text, used, command->stdio, 3);
	if (r == -ESRCH)
		return error_set(err, r, "the sandbox has ended");
	return r ? error_set(err, r, "the sandbox does not take the command: %s", strerror(-r)) : 0;
}

int launch_connect(struct launch *launch, uint32_t id, uint16_t port, bool v6)
{
	const struct init_order order = {
		.kind = INIT_ORDER_CONNECT, .id = id, .port = port, .v6 = v6};

	return send_order(launch, &order, NULL, 0, NULL, 0);
}

int launch_command_signal(struct launch *launch, uint32_t id, int signal_number)
{
	const struct init_order order = {
		.kind = INIT_ORDER_SIGNAL, .signal = signal_number, .id = id};

	if (signal_number <= 0 || signal_number >= NSIG || !id)
		return -EINVAL;
	return send_order(launch, &order, NULL, 0, NULL, 0);
}

int launch_notice(struct launch *launch, struct init_notice *ret_notice, int *ret_fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {ret_notice, sizeof(*ret_notice)};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	ssize_t n;

	do {
		n = recvmsg(launch->control_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -ESRCH;
	*ret_fd = -1;
	c = CMSG_FIRSTHDR(&message);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	if (n == sizeof(*ret_notice)) {
		ret_notice->text[sizeof(ret_notice->text) - 1] = 0;
		return 1;
	}
	*ret_fd = safe_close(*ret_fd);
	return -ESRCH;
}

int launch_wait(struct launch *launch, bool block, int *ret_status)
{
	siginfo_t info = {};

	if (launch->status < 0) {
		int flags = WEXITED | (block ? 0 : WNOHANG);

		if (launch->init_pidfd < 0)
			return -ECHILD;
		while (waitid(P_PIDFD, (id_t)launch->init_pidfd, &info, flags) < 0)
			if (errno != EINTR)
				return -errno;
		if (info.si_pid == 0)
			return -EAGAIN;
		launch->status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
	}
	*ret_status = launch->status;
	return 0;
}

void launch_kill(struct launch *launch)
{
	int status;

	if (launch->init_pidfd >= 0 && launch->status < 0) {
		pidfd_send_signal(launch->init_pidfd, SIGKILL, NULL, 0);
		launch_wait(launch, true, &status);
	}
	launch->init_pidfd = safe_close(launch->init_pidfd);
	launch->control_fd = safe_close(launch->control_fd);
	launch->status_fd = safe_close(launch->status_fd);
}

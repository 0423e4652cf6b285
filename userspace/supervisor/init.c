/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/init.h"
#include "common/cleanup.h"
#include "supervisor/init_memory.h"
#include "supervisor/mounts.h"
#include "supervisor/privileges.h"
#include "supervisor/seccomp.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Descriptors by number from here on; 0-2 are the agent's. */
enum {
	FD_CONTROL = 3,
	FD_STATUS,
	FD_FREE, /* the first that may be anything else */
};

#define PATH_DEFAULT "/usr/local/bin:/usr/bin:/bin"

static void report(enum init_report_kind kind, const struct error *err)
{
	struct init_report message = {.kind = kind};

	if (err)
		message.error = *err;
	/* Nobody to tell if this fails; the supervisor sees the end of file. */
	while (write(FD_STATUS, &message, sizeof(message)) < 0 && errno == EINTR)
		;
}

static void __attribute__((noreturn)) fail(const struct error *err)
{
	report(INIT_REPORT_FAILED, err);
	_exit(127);
}

/*
 * The five descriptors that matter to where they belong, and every other closed. They are first
 * copied out of the way, since any of them may sit where another goes.
 */
static int arrange_descriptors(const struct init_context *context)
{
	const int from[FD_FREE] = {context->spec->stdio[0], context->spec->stdio[1],
				   context->spec->stdio[2], context->control_fd,
				   context->status_fd};
	int high[FD_FREE];

	for (int i = 0; i < FD_FREE; i++) {
		high[i] = fcntl(from[i], F_DUPFD_CLOEXEC, FD_FREE);
		if (high[i] < 0)
			return -errno;
	}
	for (int i = 0; i < FD_FREE; i++)
		if (dup3(high[i], i, i < FD_CONTROL ? 0 : O_CLOEXEC) < 0)
			return -errno;
	return close_range(FD_FREE, ~0U, 0) < 0 ? -errno : 0;
}

/* Die with the supervisor. A change of identity clears this, so it is done again after one. */
static int bind_to_parent(void)
{
	struct pollfd control = {.fd = FD_CONTROL};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	/* Had it died before the line above, its end of the socket would be closed. */
	if (poll(&control, 1, 0) < 0)
		return -errno;
	return control.revents & (POLLHUP | POLLERR) ? -ESRCH : 0;
}

/*
 * Landlock never looks at a memfd, so the pid namespace refuses to make an executable one. Kernels
 * before 6.3 cannot; `doctor` and the start of a run say so.
 */
static int refuse_memfd_exec(void)
{
	_cleanup_close_ int fd = open("/proc/sys/vm/memfd_noexec", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	return write(fd, "2", 1) == 1 ? 0 : -errno;
}

static int isolate(const struct init_context *context, struct error *err)
{
	const struct launch_spec *spec = context->spec;
	int r;

	r = arrange_descriptors(context);
	if (r < 0)
		return error_set(err, r, "cannot arrange descriptors: %s", strerrordesc_np(-r));
	r = bind_to_parent();
	if (r < 0)
		return error_set(err, r, "cannot tie init to the supervisor: %s",
				 strerrordesc_np(-r));
	/* Leave the caller's session, and with it the caller's terminal. */
	if (setsid() < 0)
		return error_set(err, -errno, "cannot start a session: %s", strerrordesc_np(errno));
	prctl(PR_SET_NAME, "openshell-init", 0, 0, 0);
	umask(022);
	r = mounts_execute(spec->mounts, err);
	if (r < 0)
		return r;
	r = spec->memfd_no_exec ? refuse_memfd_exec() : 0;
	if (r < 0)
		return error_set(err, r, "cannot set vm.memfd_noexec: %s", strerrordesc_np(-r));
	if (spec->hostname && sethostname(spec->hostname, strlen(spec->hostname)) < 0)
		return error_set(err, -errno, "cannot set the host name '%s': %s", spec->hostname,
				 strerrordesc_np(errno));
	/* The supervisor's keys stay with the supervisor; kernels without keyrings have none. */
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
		return error_set(err, -errno, "cannot leave the session keyring: %s",
				 strerrordesc_np(errno));
	if (personality(PER_LINUX) < 0)
		return error_set(err, -errno, "cannot reset the personality: %s",
				 strerrordesc_np(errno));
	return 0;
}

static int descend(const struct init_context *context, struct error *err)
{
	const struct launch_spec *spec = context->spec;
	const struct privileges to = {
		.uid = spec->uid,
		.gid = spec->gid,
		.groups = spec->groups,
		.groups_len = spec->groups_len,
	};
	int r;

	r = privileges_limit(err);
	if (r < 0)
		return r;
	r = privileges_drop(&to, err);
	if (r < 0)
		return r;
	r = bind_to_parent();
	if (r < 0)
		return error_set(err, r, "cannot tie init to the supervisor: %s",
				 strerrordesc_np(-r));
	/* As the agent, who must not get through directories that are closed to it. */
	if (chdir(spec->workdir) < 0)
		return error_set(err, -errno, "cannot enter the working directory %s: %s",
				 spec->workdir, strerrordesc_np(errno));
	return seccomp_install(context->seccomp, err);
}

/* Next order, waiting for it; 0 at the supervisor's death. A descriptor that came with it, or -1.
 */
static int receive(struct init_order *ret_order, int *ret_fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {ret_order, sizeof(*ret_order)};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	ssize_t n;

	do {
		n = recvmsg(FD_CONTROL, &message, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0)
		return 0;
	*ret_fd = -1;
	c = CMSG_FIRSTHDR(&message);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	return n == sizeof(*ret_order) ? 1 : -EBADMSG;
}

static const char *environment_get(char *const *envp, const char *name)
{
	size_t len = strlen(name);

	for (; *envp; envp++)
		if (!strncmp(*envp, name, len) && (*envp)[len] == '=')
			return *envp + len + 1;
	return NULL;
}

/* execve() came back: what to tell, given the file and why. */
static int explain(const char *file, int r, struct error *err)
{
	struct stat st;

	switch (r) {
	case -ENOENT:
		if (stat(file, &st) == 0)
			return error_set(err, r,
					 "%s exists, but the interpreter or loader that it names "
					 "does not",
					 file);
		return error_set(err, r, "no such command: %s", file);
	case -ENOEXEC:
		return error_set(err, r,
				 "%s is neither a program of this machine nor a script that starts "
				 "with '#!'",
				 file);
	case -EACCES:
		if (stat(file, &st) == 0 && !S_ISREG(st.st_mode))
			return error_set(err, r, "%s is not a regular file", file);
		if (stat(file, &st) == 0 && !(st.st_mode & 0111))
			return error_set(err, r, "%s is not executable", file);
		return error_set(err, r,
				 "%s: permission denied, by its mode, a directory above it or the "
				 "policy",
				 file);
	case -EPERM:
		return error_set(err, r, "%s: the policy does not allow to execute it", file);
	}
	return error_set(err, r, "cannot execute %s: %s", file, strerrordesc_np(-r));
}

/* As execvpe(), but PATH is the agent's own, and what is no program is not handed to a shell. */
static int execute(char *const *argv, char *const *envp, struct error *err)
{
	const char *path, *end;
	char file[PATH_MAX], denied[PATH_MAX] = "";
	int r, denied_r = 0;

	if (!argv[0][0])
		return error_set(err, -ENOENT, "the command is empty");
	if (strchr(argv[0], '/')) {
		execve(argv[0], argv, envp);
		return explain(argv[0], -errno, err);
	}
	path = environment_get(envp, "PATH");
	if (!path)
		path = PATH_DEFAULT;
	for (;; path = end + 1) {
		int len;

		end = strchrnul(path, ':');
		/* An empty entry means the working directory. */
		len = snprintf(file, sizeof(file), "%.*s%s%s", (int)(end - path), path,
			       end > path ? "/" : "./", argv[0]);
		if (len > 0 && (size_t)len < sizeof(file)) {
			execve(file, argv, envp);
			r = -errno;
			if (r == -EACCES || r == -EPERM) {
				memcpy(denied, file, sizeof(denied));
				denied_r = r;
			} else if (r != -ENOENT && r != -ENOTDIR) {
				return explain(file, r, err);
			} else if (access(file, F_OK) == 0) {
				return explain(file, r, err);
			}
		}
		if (!*end)
			break;
	}
	if (denied[0])
		return explain(denied, denied_r, err);
	return error_set(err, -ENOENT, "no such command in the sandbox's PATH: %s", argv[0]);
}

static int reset_signals(void)
{
	sigset_t none;

	/*
	 * Not sigaction(): the C library hides signals 32 and 33 from it, which its posix_spawn(),
	 * and so make, leaves ignored in children. All zero is SIG_DFL, whatever the structure's
	 * layout.
	 */
	for (int signal_number = 1; signal_number < NSIG; signal_number++) {
		static const unsigned long action[8];

		if (syscall(SYS_rt_sigaction, signal_number, action, NULL, NSIG / 8) < 0 &&
		    errno != EINVAL) /* SIGKILL and SIGSTOP */
			return -errno;
	}
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

/*
 * The agent's own process, up to its execve(). Shares init's memory, which stands still until
 * then; so it only returns what init may see.
 */
static void __attribute__((noreturn)) agent_main(const struct launch_spec *spec, int landlock_fd)
{
	struct error err = {};
	int r;

	if (setsid() < 0) {
		error_set(&err, -errno, "cannot start a session: %s", strerrordesc_np(errno));
		fail(&err);
	}
	if (spec->tty && ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0) {
		error_set(&err, -errno, "cannot make the terminal the agent's: %s",
			  strerrordesc_np(errno));
		fail(&err);
	}
	if (landlock_fd >= 0 && syscall(SYS_landlock_restrict_self, landlock_fd, 0) < 0) {
		error_set(&err, -errno, "cannot put the Landlock ruleset in force: %s",
			  strerrordesc_np(errno));
		fail(&err);
	}
	r = reset_signals();
	if (r < 0) {
		error_set(&err, r, "cannot reset signals: %s", strerrordesc_np(-r));
		fail(&err);
	}
	report(INIT_REPORT_EXEC, NULL);
	execute(spec->argv, spec->envp, &err);
	fail(&err);
}

static pid_t agent_start(const struct launch_spec *spec, int landlock_fd)
{
	pid_t pid = vfork();

	if (pid == 0)
		agent_main(spec, landlock_fd);
	return pid < 0 ? -errno : pid;
}

/* Reap whoever ended. The agent's exit status if it was among them, else -1. */
static int reap(pid_t agent)
{
	int status, ret = -1;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != agent)
			continue;
		ret = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	return ret;
}

static void __attribute__((noreturn)) supervise(pid_t agent, int signal_fd)
{
	struct pollfd fds[] = {
		{.fd = FD_CONTROL, .events = POLLIN},
		{.fd = signal_fd, .events = POLLIN},
	};

	for (;;) {
		if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
			_exit(126);
		if (fds[1].revents) {
			struct signalfd_siginfo info;
			int status = reap(agent);

			if (status >= 0)
				_exit(status);
			if (read(signal_fd, &info, sizeof(info)) == sizeof(info) &&
			    info.ssi_signo != SIGCHLD && info.ssi_signo != SIGPIPE)
				kill(-agent, (int)info.ssi_signo);
		}
		if (fds[0].revents) {
			struct init_order order;
			int fd, r = receive(&order, &fd);

			if (r == 0 || (r < 0 && r != -EBADMSG))
				_exit(126); /* the supervisor is gone */
			safe_close(fd);
			if (r > 0 && order.kind == INIT_ORDER_SIGNAL)
				kill(-agent, order.signal);
		}
	}
}

void init_main(const struct init_context *context)
{
	struct error err = {};
	struct init_order order;
	int signal_fd, memory_fd, landlock_fd = -1, r;
	sigset_t all;
	pid_t agent;

	if (isolate(context, &err) < 0 || descend(context, &err) < 0)
		fail(&err);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	signal_fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signal_fd < 0) {
		error_set(&err, -errno, "cannot watch for signals: %s", strerrordesc_np(errno));
		fail(&err);
	}
	memory_fd = init_memory_open();
	report(INIT_REPORT_READY, NULL);
	do {
		r = receive(&order, &landlock_fd);
		if (r == 0)
			_exit(126);
		if (r < 0) {
			error_set(&err, r, "cannot read the supervisor's order: %s",
				  strerrordesc_np(-r));
			fail(&err);
		}
	} while (order.kind != INIT_ORDER_GO);
	agent = agent_start(context->spec, landlock_fd);
	if (agent < 0) {
		error_set(&err, agent, "cannot start the agent's process: %s",
			  strerrordesc_np(-agent));
		fail(&err);
	}
	/* From here on only the agent keeps its stdio, the ruleset and the pipe's end. */
	close_range(STDIN_FILENO, STDERR_FILENO, 0);
	safe_close(FD_STATUS);
	safe_close(landlock_fd);
	init_memory_shed(memory_fd, __builtin_frame_address(0));
	supervise(agent, signal_fd);
}

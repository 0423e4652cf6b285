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
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
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

/* Next order, waiting for it; 0 at the supervisor's death. What text and descriptors (-1: none)
 * came with it.
 */
static int receive(struct init_order *ret_order, char *text, size_t size, size_t *ret_size,
		   int ret_fd[3])
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(3 * sizeof(int))];
	} control;
	struct iovec iov[] = {{ret_order, sizeof(*ret_order)}, {text, size}};
	struct msghdr message = {
		.msg_iov = iov,
		.msg_iovlen = text ? 2 : 1,
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
	ret_fd[0] = ret_fd[1] = ret_fd[2] = -1;
	c = CMSG_FIRSTHDR(&message);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len <= CMSG_LEN(3 * sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	if (n < (ssize_t)sizeof(*ret_order) || message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return -EBADMSG;
	if (ret_size)
		*ret_size = (size_t)n - sizeof(*ret_order);
	return 1;
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

/* Tell the supervisor. It reads: what does not fit, it has too many commands for. */
static void notify(const struct init_notice *notice, int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec iov = {(void *)notice, sizeof(*notice)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
	}
	while (sendmsg(FD_CONTROL, &message, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

static void notify_error(enum init_notice_kind kind, uint32_t id, int error, const char *text)
{
	struct init_notice notice = {.kind = kind, .id = id, .status = 127, .error = error};

	snprintf(notice.text, sizeof(notice.text), "%.255s", text);
	notify(&notice, -1);
}

/* What runs beside the agent. */
struct command {
	pid_t pid; /* 0 = free */
	uint32_t id;
};

struct supervision {
	pid_t agent;
	int landlock_fd; /* commands are restricted as the agent is; -1 = by BPF-LSM */
	struct command command[INIT_COMMANDS_MAX];
	char *text; /* INIT_ORDER_TEXT_MAX bytes, and the pointers into them */
};

#define POINTERS_MAX (INIT_ORDER_TEXT_MAX / 2 + 4)
#define TEXT_MAPPING (INIT_ORDER_TEXT_MAX + POINTERS_MAX * sizeof(char *))

static int status_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Reap whoever ended. The agent's exit status if it was among them, else -1. */
static int reap(struct supervision *s)
{
	int status, ret = -1;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == s->agent)
			ret = status_of(status);
		for (size_t i = 0; i < INIT_COMMANDS_MAX; i++) {
			struct init_notice notice = {.kind = INIT_NOTICE_ENDED};

			if (s->command[i].pid != pid)
				continue;
			notice.id = s->command[i].id;
			notice.status = status_of(status);
			s->command[i].pid = 0;
			notify(&notice, -1);
			break;
		}
	}
	return ret;
}

/*
 * A command's own process, up to its execve(). As agent_main(), it shares init's memory, which
 * stands still until then: what goes wrong is left in @err.
 */
static void __attribute__((noreturn))
command_main(const struct init_order *order, const char *workdir, char *const *argv,
	     char *const *envp, const int fd[3], int landlock_fd, struct error *err)
{
	int high[3], r;

	if (setsid() < 0) {
		error_set(err, -errno, "cannot start a session: %s", strerrordesc_np(errno));
		_exit(127);
	}
	/* Where they came may be where another one goes. */
	for (int i = 0; i < 3; i++)
		high[i] = fcntl(fd[i], F_DUPFD_CLOEXEC, FD_FREE);
	for (int i = 0; i < 3; i++) {
		if (high[i] < 0 || dup2(high[i], i) < 0) {
			error_set(err, -errno, "cannot arrange descriptors: %s",
				  strerrordesc_np(errno));
			_exit(127);
		}
	}
	if (order->tty && ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0) {
		error_set(err, -errno, "cannot make the terminal the command's: %s",
			  strerrordesc_np(errno));
		_exit(127);
	}
	if (landlock_fd >= 0 && syscall(SYS_landlock_restrict_self, landlock_fd, 0) < 0) {
		error_set(err, -errno, "cannot put the Landlock ruleset in force: %s",
			  strerrordesc_np(errno));
		_exit(127);
	}
	if (chdir(workdir) < 0) {
		error_set(err, -errno, "cannot enter the working directory %s: %s", workdir,
			  strerrordesc_np(errno));
		_exit(127);
	}
	r = reset_signals();
	if (r < 0) {
		error_set(err, r, "cannot reset signals: %s", strerrordesc_np(-r));
		_exit(127);
	}
	execute(argv, envp, err);
	_exit(127);
}

/* The text in its parts. -EBADMSG: it does not have what the order says. */
static int take_apart(const struct init_order *order, char *text, size_t size,
		      const char **ret_workdir, char ***ret_argv, char ***ret_envp)
{
	char **pointer = (char **)(void *)(text + INIT_ORDER_TEXT_MAX);
	size_t wanted = (size_t)order->words + order->variables + 1, count = 0, at = 0, n = 0;

	if (!size || text[size - 1] || order->words < 1 || wanted + 2 > POINTERS_MAX)
		return -EBADMSG;
	*ret_workdir = text;
	while (at < size) {
		if (count && n < POINTERS_MAX - 2)
			pointer[n++] = text + at;
		at += strlen(text + at) + 1;
		count++;
		/* The words end, the variables follow. */
		if (count == (size_t)order->words + 1)
			pointer[n++] = NULL;
	}
	if (count != wanted)
		return -EBADMSG;
	pointer[n] = NULL;
	*ret_argv = pointer;
	*ret_envp = pointer + order->words + 1;
	return 0;
}

static struct command *free_command(struct supervision *s)
{
	for (size_t i = 0; i < INIT_COMMANDS_MAX; i++)
		if (!s->command[i].pid)
			return &s->command[i];
	return NULL;
}

static void start_command(struct supervision *s, const struct init_order *order, size_t size,
			  const int fd[3])
{
	struct command *command = free_command(s);
	const char *workdir;
	char **argv, **envp;
	struct error err = {};
	pid_t pid;

	if (!command) {
		notify_error(INIT_NOTICE_ENDED, order->id, -EAGAIN,
			     "too many commands run in this sandbox");
		return;
	}
	if (fd[2] < 0 || take_apart(order, s->text, size, &workdir, &argv, &envp)) {
		notify_error(INIT_NOTICE_ENDED, order->id, -EBADMSG, "the order is malformed");
		return;
	}
	pid = vfork();
	if (pid == 0)
		command_main(order, workdir, argv, envp, fd, s->landlock_fd, &err);
	if (pid < 0) {
		notify_error(INIT_NOTICE_ENDED, order->id, -errno, strerrordesc_np(errno));
		return;
	}
	if (err.code) {
		/* Reaped like everybody else; it is no command. */
		notify_error(INIT_NOTICE_ENDED, order->id, err.code, err.message);
		return;
	}
	*command = (struct command){pid, order->id};
}

/*
 * From inside, so that the kernel's programs decide as for the agent: only the sandbox's own
 * listeners are there. It does not wait: whoever gets the socket sees whether it connects.
 */
static void start_connection(const struct init_order *order)
{
	struct init_notice notice = {.kind = INIT_NOTICE_CONNECTED, .id = order->id};
	const struct sockaddr_in in = {.sin_family = AF_INET,
				       .sin_port = htons((uint16_t)order->port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
					 .sin6_port = htons((uint16_t)order->port),
					 .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	const struct sockaddr *address = order->v6 ? (const void *)&in6 : (const void *)&in;
	_cleanup_close_ int fd = socket(order->v6 ? AF_INET6 : AF_INET,
					SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || (connect(fd, address, order->v6 ? sizeof(in6) : sizeof(in)) < 0 &&
		       errno != EINPROGRESS)) {
		notify_error(INIT_NOTICE_CONNECTED, order->id, -errno, strerrordesc_np(errno));
		return;
	}
	notify(&notice, fd);
}

static void send_signal(const struct supervision *s, const struct init_order *order)
{
	if (!order->id)
		kill(-s->agent, order->signal);
	for (size_t i = 0; order->id && i < INIT_COMMANDS_MAX; i++)
		if (s->command[i].pid && s->command[i].id == order->id)
			kill(-s->command[i].pid, order->signal);
}

static void take_order(struct supervision *s)
{
	struct init_order order;
	size_t size = 0;
	int fd[3], r = receive(&order, s->text, INIT_ORDER_TEXT_MAX, &size, fd);

	if (r == 0 || (r < 0 && r != -EBADMSG))
		_exit(126); /* the supervisor is gone */
	if (r > 0 && order.kind == INIT_ORDER_SIGNAL)
		send_signal(s, &order);
	else if (r > 0 && order.kind == INIT_ORDER_EXEC)
		start_command(s, &order, size, fd);
	else if (r > 0 && order.kind == INIT_ORDER_CONNECT)
		start_connection(&order);
	for (int i = 0; i < 3; i++)
		safe_close(fd[i]);
	/* What a command was given is not kept. */
	madvise(s->text, TEXT_MAPPING, MADV_DONTNEED);
}

static void __attribute__((noreturn)) supervise(struct supervision *s, int signal_fd)
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
			int status = reap(s);

			if (status >= 0)
				_exit(status);
			if (read(signal_fd, &info, sizeof(info)) == sizeof(info) &&
			    info.ssi_signo != SIGCHLD && info.ssi_signo != SIGPIPE)
				kill(-s->agent, (int)info.ssi_signo);
		}
		if (fds[0].revents)
			take_order(s);
	}
}

void init_main(const struct init_context *context)
{
	struct error err = {};
	struct init_order order;
	struct supervision supervision = {};
	int signal_fd, memory_fd, fds[3] = {-1, -1, -1}, r;
	sigset_t all;

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
		r = receive(&order, NULL, 0, NULL, fds);
		if (r == 0)
			_exit(126);
		if (r < 0) {
			error_set(&err, r, "cannot read the supervisor's order: %s",
				  strerrordesc_np(-r));
			fail(&err);
		}
	} while (order.kind != INIT_ORDER_GO);
	supervision.landlock_fd = fds[0];
	supervision.agent = agent_start(context->spec, fds[0]);
	if (supervision.agent < 0) {
		error_set(&err, supervision.agent, "cannot start the agent's process: %s",
			  strerrordesc_np(-supervision.agent));
		fail(&err);
	}
	/* From here on only the agent keeps its stdio and the pipe's end. */
	close_range(STDIN_FILENO, STDERR_FILENO, 0);
	safe_close(FD_STATUS);
	init_memory_shed(memory_fd, __builtin_frame_address(0));
	supervision.text = mmap(NULL, TEXT_MAPPING, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (supervision.text == MAP_FAILED)
		_exit(126);
	supervise(&supervision, signal_fd);
}

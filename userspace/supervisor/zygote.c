/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/zygote.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define END_TIMEOUT_MS 2000

/* Beside this program's own file. */
static int find_program(char *path, size_t size, struct error *err)
{
	ssize_t n = readlink("/proc/self/exe", path, size - 1);
	char *slash;

	if (n < 0)
		return error_set(err, -errno, "cannot read /proc/self/exe: %s", strerror(errno));
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (!slash || (size_t)(slash + 1 - path) + sizeof(ZYGOTE_PROGRAM) > size)
		return error_set(err, -ENAMETOOLONG, "the path of this program is too long");
	memcpy(slash + 1, ZYGOTE_PROGRAM, sizeof(ZYGOTE_PROGRAM));
	return 0;
}

/* Its descriptors: nothing to read or write by accident, then the channel, and none of ours. */
static int spawn(const char *program, int channel, pid_t *ret_pid)
{
	char *const argv[] = {(char *)ZYGOTE_PROGRAM, NULL}, *const envp[] = {NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t all, none;
	int r;

	sigfillset(&all);
	sigemptyset(&none);
	r = posix_spawn_file_actions_init(&files);
	if (r)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r)
		goto out;
	/* A session of its own: what a terminal sends to us, such as SIGINT, is not for it. */
	r = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
							  POSIX_SPAWN_SETSID);
	if (!r)
		r = posix_spawnattr_setsigdefault(&attributes, &all);
	if (!r)
		r = posix_spawnattr_setsigmask(&attributes, &none);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&files, channel, WORKER_ZYGOTE_CHANNEL);
	for (int fd = 0; !r && fd < WORKER_ZYGOTE_CHANNEL; fd++)
		r = posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
	if (!r)
		r = posix_spawn_file_actions_addclosefrom_np(&files, WORKER_ZYGOTE_CHANNEL + 1);
	if (!r)
		r = posix_spawn(ret_pid, program, &files, &attributes, argv, envp);
	posix_spawnattr_destroy(&attributes);
out:
	posix_spawn_file_actions_destroy(&files);
	return -r;
}

int zygote_start(const char *program, struct zygote *ret_zygote, struct error *err)
{
	_cleanup_close_ int ours = -1, theirs = -1;
	struct zygote zygote = ZYGOTE_EMPTY;
	char path[PATH_MAX];
	int ends[2], r;
	pid_t pid;

	if (!program) {
		r = find_program(path, sizeof(path), err);
		if (r)
			return r;
		program = path;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return error_set(err, -errno, "cannot make a socketpair: %s", strerror(errno));
	ours = ends[0];
	theirs = ends[1];
	/* dup2() onto itself would keep the close-on-exec flag on older C libraries. */
	if (theirs == WORKER_ZYGOTE_CHANNEL) {
		theirs = fcntl(ends[1], F_DUPFD_CLOEXEC, WORKER_ZYGOTE_CHANNEL + 1);
		close(ends[1]);
	}
	if (theirs < 0 || fcntl(ours, F_SETFL, O_NONBLOCK) < 0)
		return error_set(err, -errno, "cannot set up a channel: %s", strerror(errno));
	r = spawn(program, theirs, &pid);
	if (r == -ENOENT)
		return error_set(err, r,
				 "%s is missing: it belongs beside openshell and answers the names "
				 "that this policy has",
				 program);
	if (r)
		return error_set(err, r, "cannot start %s: %s", program, strerror(-r));
	/* Not reaped yet, so the number is still its own. */
	zygote.pidfd = pidfd_open(pid, 0);
	if (zygote.pidfd < 0) {
		r = -errno;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return error_set(err, r, "cannot hold on to %s: %s", program, strerror(-r));
	}
	zygote.channel = TAKE_FD(ours);
	*ret_zygote = zygote;
	return 0;
}

int zygote_fork(const struct zygote *zygote, uint32_t id, enum worker_role role, uid_t uid,
		uint32_t sockets, const int *fds)
{
	union worker_message message;

	worker_message_init(&message, WORKER_FORK, id);
	message.fork.role = role;
	message.fork.uid = uid;
	message.fork.sockets = sockets;
	return worker_message_send(zygote->channel, &message, fds,
				   1 + (size_t)__builtin_popcount(sockets));
}

int zygote_receive(const struct zygote *zygote, struct worker_forked *ret_forked, int *ret_pidfd)
{
	union worker_message message;
	int pidfd = -1, r;
	size_t n = 0;

	r = worker_message_receive(zygote->channel, WORKER_FROM_ZYGOTE, &message, &pidfd, 1, &n);
	if (r <= 0)
		return r;
	if ((message.forked.pid > 0) != (n == 1)) {
		safe_close(n ? pidfd : -1);
		return -EBADMSG;
	}
	*ret_forked = message.forked;
	*ret_pidfd = pidfd;
	return 1;
}

int zygote_end(struct zygote *zygote)
{
	struct pollfd end = {.fd = zygote->pidfd, .events = POLLIN};
	siginfo_t info = {};
	int r;

	zygote->channel = safe_close(zygote->channel);
	if (zygote->pidfd < 0)
		return 0;
	/* It waits for its children, so that none is left to whoever inherits orphans here. */
	while (poll(&end, 1, END_TIMEOUT_MS) < 0 && errno == EINTR)
		;
	if (!end.revents)
		pidfd_send_signal(zygote->pidfd, SIGKILL, NULL, 0);
	do
		r = waitid(P_PIDFD, (id_t)zygote->pidfd, &info, WEXITED);
	while (r < 0 && errno == EINTR);
	zygote->pidfd = safe_close(zygote->pidfd);
	return !r && info.si_code == CLD_EXITED ? -info.si_status : 0;
}

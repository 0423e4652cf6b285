/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/zygote.h"

#include "common/cleanup.h"
#include "common/worker_protocol.h"
#include "proxy/confine.h"
#include "proxy/resolver.h"
#include "proxy/tls.h"
#include "proxy/tls_ca.h"
#include "proxy/worker.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

/* A child's descriptors: /dev/null at 0 to 2, then the channel, the sockets, and the report. */
#define CHANNEL_FD 3
#define SOCKETS_FD 4
#define FDS_MAX	   (1 + WORKER_SOCKETS)
#define SPARE_FD   64 /* above all of them: where they wait for their places */

/* Where the sandbox's CA outlives its worker: nothing is in it but what workers put there. */
static struct tls_ca_store *store;

/* Only there to end ppoll(). */
static void on_child(int sig)
{
}

static void reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* Children end with their channels; who comes after us shall not have to reap them. */
static void bury(void)
{
	alarm(1);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

/* Put @fds (ending with the report) into their places and close everything else. */
static int arrange(int *fds, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, SPARE_FD);
		if (fds[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < len; i++)
		if (dup3(fds[i], CHANNEL_FD + (int)i, O_CLOEXEC) < 0)
			return -errno;
	return close_range(CHANNEL_FD + (unsigned int)len, ~0U, 0) < 0 ? -errno : 0;
}

/* The child. The pipe @report hears why it did not come to life, or only ends. */
static _Noreturn void live(const struct worker_fork *fork, const int *received, size_t len,
			   int report, pid_t zygote)
{
	int fds[FDS_MAX + 1], sockets[WORKER_SOCKETS], r;

	memcpy(fds, received, len * sizeof(*fds));
	fds[len] = report;
	signal(SIGCHLD, SIG_DFL);
	r = arrange(fds, len + 1);
	if (!r) {
		report = CHANNEL_FD + (int)len;
		r = confine_child(fork->role, fork->uid, zygote);
	}
	if (r) {
		ssize_t n = write(report, &r, sizeof(r));

		_exit(n == sizeof(r) ? -r : 255);
	}
	close(report);
	if (fork->role == WORKER_ROLE_RESOLVER) {
		/* What servers of the internet say may break it, and the CA's key is not for them.
		 */
		tls_ca_store_free(store);
		_exit(-resolver_main(CHANNEL_FD));
	}
	for (int i = 0; i < WORKER_SOCKETS; i++)
		sockets[i] = SOCKETS_FD + i;
	_exit(-worker_main(CHANNEL_FD, fork->sockets, sockets, store));
}

/* What the child says of itself: 0 at the end of the pipe. */
static int hear(int report)
{
	int r = 0;
	ssize_t n;

	do
		n = read(report, &r, sizeof(r));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	return n == sizeof(r) && r < 0 ? r : -EIO;
}

/* Fork; the pid, and a descriptor of the process if it lives as confined as it shall. */
static int fork_child(const struct worker_fork *request, const int *fds, size_t len, int *ret_pidfd)
{
	pid_t zygote = getpid(), pid;
	sigset_t mask;
	int report[2], pidfd, r;

	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		sigfillset(&mask);
		sigprocmask(SIG_UNBLOCK, &mask, NULL);
		live(request, fds, len, report[1], zygote);
	}
	r = pid < 0 ? -errno : 0;
	close(report[1]);
	/* Not reaped before the loop comes round, so the number is still that of this process. */
	pidfd = r ? -1 : pidfd_open(pid, 0);
	if (!r && pidfd < 0)
		r = -errno;
	if (!r)
		r = hear(report[0]);
	close(report[0]);
	if (r) {
		if (pidfd >= 0)
			pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
		safe_close(pidfd);
		return r;
	}
	*ret_pidfd = pidfd;
	return pid;
}

static int serve(int channel, const union worker_message *request, const int *fds, size_t len)
{
	union worker_message answer;
	int pidfd = -1, r = -EBADMSG;

	/* Once, and not in each worker: most of its memory, and some of its start. */
	if (request->fork.sockets & WORKER_SOCKET_PROXY)
		tls_prepare();
	if (len == 1 + (size_t)__builtin_popcount(request->fork.sockets))
		r = fork_child(&request->fork, fds, len, &pidfd);
	for (size_t i = 0; i < len; i++)
		close(fds[i]);
	worker_message_init(&answer, WORKER_FORKED, request->header.id);
	answer.forked.pid = r;
	r = worker_message_send(channel, &answer, &pidfd, pidfd >= 0);
	safe_close(pidfd);
	return r;
}

int zygote_main(int channel)
{
	const struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_NOCLDSTOP};
	sigset_t none, child;
	int r = confine_zygote();

	if (!r)
		r = tls_ca_store_new(&store);
	if (r)
		return -r;
	/* Children are reaped where no pid is in use, so SIGCHLD comes only while waiting. */
	sigemptyset(&none);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_SETMASK, &child, NULL);
	sigaction(SIGCHLD, &action, NULL);
	for (;;) {
		struct pollfd pollfd = {.fd = channel, .events = POLLIN};
		union worker_message request;
		int fds[FDS_MAX];
		size_t len;

		reap();
		r = ppoll(&pollfd, 1, NULL, &none);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return errno;
		r = worker_message_receive(channel, WORKER_TO_ZYGOTE, &request, fds, FDS_MAX, &len);
		if (r == -EAGAIN)
			continue;
		if (r <= 0) {
			bury();
			return -r;
		}
		r = serve(channel, &request, fds, len);
		if (r)
			return r == -EPIPE ? 0 : -r;
	}
}

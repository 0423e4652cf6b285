/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/worker_internal.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#define LIVED_LONG  (10 * WORKER_SECOND) /* ends a series of deaths */
#define DELAY_FIRST (WORKER_SECOND / 10)
#define DELAY_MAX   (WORKER_SECOND * 9 / 10)
#define TELL_FIRST  3 /* deaths of a series that are each told, then one sentence a minute */
#define TELL_EVERY  (60 * WORKER_SECOND)

void worker_backoff_started(struct worker_backoff *backoff, uint64_t now)
{
	backoff->started = now;
}

bool worker_backoff_died(struct worker_backoff *backoff, uint64_t now)
{
	uint64_t delay = 0;

	if (backoff->started && now - backoff->started >= LIVED_LONG)
		backoff->deaths = 0;
	backoff->started = 0;
	/* The first is no reason to wait; the rest come slower, but go on for good. */
	for (unsigned int i = 0; i < backoff->deaths && delay < DELAY_MAX; i++)
		delay = delay ? delay * 2 : DELAY_FIRST;
	backoff->next = now + (delay < DELAY_MAX ? delay : DELAY_MAX);
	backoff->deaths++;
	if (backoff->deaths > TELL_FIRST && now - backoff->told < TELL_EVERY) {
		backoff->untold++;
		return false;
	}
	backoff->told = now;
	return true;
}

static uid_t uid_of(const struct worker *worker, const struct worker_child *child)
{
	return child->role == WORKER_ROLE_RESOLVER ? ZYGOTE_UID_RESOLVER
						   : ZYGOTE_UID + worker->options.slot;
}

int worker_child_start(struct worker *worker, struct worker_child *child, uint64_t now)
{
	_cleanup_close_ int ours = -1, theirs = -1;
	int ends[2], fds[1 + WORKER_SOCKETS], r;
	uint32_t sockets = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return -EAGAIN;
	ours = ends[0];
	theirs = ends[1];
	fds[0] = theirs;
	if (child->role == WORKER_ROLE_WORKER) {
		sockets = worker->sockets.have;
		worker_sockets_list(&worker->sockets, fds + 1);
	}
	r = zygote_fork(&worker->zygote, worker->next_fork, child->role, uid_of(worker, child),
			sockets, fds);
	if (!r)
		r = worker_watch(worker, ours, child->tag, EPOLLIN);
	if (r)
		return r;
	child->id = worker->next_fork++;
	child->channel = TAKE_FD(ours);
	child->ready = child->writable = child->ca = false;
	worker_backoff_started(&child->backoff, now);
	return 0;
}

static struct worker_child *find_child(struct worker *worker, uint32_t id)
{
	struct worker_child *children[] = {&worker->worker, &worker->resolver};

	for (size_t i = 0; i < ARRAY_LEN(children); i++)
		if (children[i]->channel >= 0 && children[i]->id == id)
			return children[i];
	return NULL;
}

void worker_child_forked(struct worker *worker, const struct worker_forked *forked, int pidfd)
{
	struct worker_child *child = find_child(worker, forked->header.id);
	char why[160];

	if (!child) {
		/* Given up before it was known: its channel has ended, and now it ends as well. */
		if (pidfd >= 0)
			pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
		safe_close(pidfd);
		return;
	}
	if (forked->pid > 0) {
		safe_close(child->pidfd);
		child->pidfd = pidfd;
		child->pid = forked->pid;
		return;
	}
	snprintf(why, sizeof(why), "could not be started as uid %u: %s%s", uid_of(worker, child),
		 strerror(-forked->pid),
		 forked->pid == -EINVAL ? " (a user namespace that does not have this uid?)" : "");
	worker_child_lost(worker, child, why);
}

void worker_child_lost(struct worker *worker, struct worker_child *child, const char *why)
{
	uint64_t now = worker_now();
	bool tell;

	if (child->channel < 0)
		return;
	epoll_ctl(worker->epoll, EPOLL_CTL_DEL, child->channel, NULL);
	child->channel = safe_close(child->channel);
	if (child->pidfd >= 0)
		pidfd_send_signal(child->pidfd, SIGKILL, NULL, 0);
	child->pidfd = safe_close(child->pidfd);
	child->pid = 0;
	child->ready = child->writable = child->ca = false;
	worker_answers_lost(worker, child);
	tell = worker_backoff_died(&child->backoff, now);
	if (worker->starting) {
		if (!worker->failed && why)
			worker->failed =
				error_set(worker->error, -ECHILD, "%s %s", child->what, why);
		return;
	}
	if (!why || !tell)
		return;
	if (child->backoff.untold)
		worker_problem(worker,
			       "%s %s; it is started again, as %u times since this was "
			       "told last",
			       child->what, why, child->backoff.untold);
	else
		worker_problem(worker, "%s %s; it is started again", child->what, why);
	child->backoff.untold = 0;
}

int worker_child_watch(struct worker *worker, struct worker_child *child)
{
	bool paused = worker->paused && child == &worker->worker;

	return worker_watch(worker, child->channel, child->tag,
			    (paused ? 0 : EPOLLIN) | (child->writable ? EPOLLOUT : 0));
}

bool worker_child_send(struct worker *worker, struct worker_child *child,
		       const union worker_message *message, int fd)
{
	int r = child->channel < 0 ? -EPIPE
				   : worker_message_send(child->channel, message, &fd, fd >= 0);

	if (r == -EAGAIN || r == -ENOBUFS || r == -ETOOMANYREFS) {
		if (!child->writable) {
			child->writable = true;
			worker_child_watch(worker, child);
		}
		return false;
	}
	/* Nobody is there: the end of the channel will say so. */
	return true;
}

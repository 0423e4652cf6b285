/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/worker.h"

#include "common/cleanup.h"
#include "supervisor/worker_internal.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>

#define START_TIMEOUT (5 * WORKER_SECOND)
#define READY_TIMEOUT (5 * WORKER_SECOND)
#define ASK_BURST     65536 /* what its questions may cost at once, and then a second */
#define ASK_RATE      16384
#define ASK_COST_NAME 4	  /* of one for a name, which may be looked up; others cost 1 */
#define FINISH_MS     250 /* that a worker has to tell its last requests */
#define PAUSE	      (WORKER_SECOND / 50)
#define READ_BYTES    (64u << 20) /* of records, a second */
#define TELL_BURST    1024	  /* refusals that are told, likewise; the rest are counted */
#define TELL_RATE     128
#define BATCH	      64 /* messages of one process before the others' turn, and the caller's */

uint64_t worker_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * WORKER_SECOND + (uint64_t)ts.tv_nsec;
}

int worker_watch(struct worker *worker, int fd, enum worker_tag tag, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.u32 = tag};

	if (!epoll_ctl(worker->epoll, EPOLL_CTL_ADD, fd, &event))
		return 0;
	if (errno == EEXIST && !epoll_ctl(worker->epoll, EPOLL_CTL_MOD, fd, &event))
		return 0;
	return -errno;
}

uint32_t worker_budget_left(struct worker_budget *budget, uint64_t now)
{
	uint64_t more;

	/* Long enough for all of it, and a product that fits. */
	if (now - budget->filled > 60 * WORKER_SECOND)
		budget->filled = now - 60 * WORKER_SECOND;
	more = (now - budget->filled) * budget->rate / WORKER_SECOND;
	if (more) {
		budget->filled = now;
		budget->left = more < budget->burst - budget->left ? budget->left + (uint32_t)more
								   : budget->burst;
	}
	return budget->left;
}

void worker_problem(struct worker *worker, const char *fmt, ...)
{
	char sentence[512];
	va_list ap;

	if (!worker->options.problem)
		return;
	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	worker->options.problem(worker->options.arg, sentence);
}

static void lose_zygote(struct worker *worker)
{
	uint64_t now = worker_now();
	int r;

	epoll_ctl(worker->epoll, EPOLL_CTL_DEL, worker->zygote.channel, NULL);
	r = zygote_end(&worker->zygote);
	if (worker->starting) {
		worker->failed =
			error_set(worker->error, r ? r : -ECHILD,
				  "openshell-proxy ended when it was to give up its privileges: %s",
				  r ? strerror(-r) : "killed");
	} else if (worker_backoff_died(&worker->zygote_backoff, now)) {
		worker_problem(worker,
			       "openshell-proxy, which starts what answers names, has ended%s%s; "
			       "it is started again%s",
			       r ? ": " : "", r ? strerror(-r) : "",
			       worker->zygote_backoff.untold ? ", not for the first time" : "");
		worker->zygote_backoff.untold = 0;
	}
	/* Its children went with it, which needs no second sentence. */
	worker_child_lost(worker, &worker->worker, NULL);
	worker_child_lost(worker, &worker->resolver, NULL);
}

static void read_zygote(struct worker *worker)
{
	struct worker_forked forked;
	int pidfd, r;

	while (worker->zygote.channel >= 0) {
		r = zygote_receive(&worker->zygote, &forked, &pidfd);
		if (r == 1) {
			worker_child_forked(worker, &forked, pidfd);
			continue;
		}
		if (r != -EAGAIN)
			lose_zygote(worker);
		return;
	}
}

/* False, and not heard for a moment, if a worker asks more than any agent has reason to. */
static bool may_ask(struct worker *worker)
{
	if (worker_budget_left(&worker->asks, worker_now())) {
		worker->asks.left--;
		return true;
	}
	worker->paused = true;
	worker_child_watch(worker, &worker->worker);
	return false;
}

/* True if it may say that: once, before it is ready. */
static bool take_ca(struct worker *worker, struct worker_child *child, const struct worker_ca *ca)
{
	bool first = !worker->ca.length;

	if (child != &worker->worker || child->ready || child->ca)
		return false;
	child->ca = true;
	if (!first && ca->length == worker->ca.length &&
	    !memcmp(ca->der, worker->ca.der, ca->length))
		return true;
	worker->ca = *ca;
	if (!first && worker->options.ca_changed)
		worker->options.ca_changed(worker->options.arg);
	return true;
}

static void become_ready(struct worker *worker, struct worker_child *child)
{
	child->ready = true;
	if (child == &worker->worker)
		worker->policy_due = worker->policy >= 0;
}

static int take_message(struct worker *worker, struct worker_child *child,
			const union worker_message *message)
{
	uint32_t more = message->header.kind == WORKER_ASK_NAME ? ASK_COST_NAME - 1 : 0;

	if (message->header.kind == WORKER_READY && !child->ready) {
		become_ready(worker, child);
		return 0;
	}
	if (message->header.kind == WORKER_CA)
		return take_ca(worker, child, &message->ca) ? 0 : -EBADMSG;
	if (!child->ready)
		return -EBADMSG;
	worker->asks.left -= more < worker->asks.left ? more : worker->asks.left;
	return worker_answers_hear(worker, child, message);
}

/* @last: its other end is closed, and what is left to hear is not much. */
static void read_child(struct worker *worker, struct worker_child *child, bool last)
{
	union worker_message message;

	for (int i = 0; i < BATCH && child->channel >= 0; i++) {
		int r;

		if (child == &worker->worker && !last && !may_ask(worker))
			return;
		r = worker_message_receive(child->channel, child->receiver, &message, NULL, 0,
					   NULL);

		if (r == -EAGAIN)
			return;
		if (r == 0) {
			worker_child_lost(worker, child,
					  child->ready ? "has ended" : "ended before it was ready");
			return;
		}
		if (r == 1)
			r = take_message(worker, child, &message);
		if (r < 0) {
			worker_child_lost(worker, child,
					  r == -EBADMSG ? "said what it must not, and was ended"
							: "cannot be heard, and was ended");
			return;
		}
	}
}

static void handle_child(struct worker *worker, struct worker_child *child, uint32_t events)
{
	if (events & EPOLLOUT && child->writable && child->channel >= 0) {
		child->writable = false;
		worker_child_watch(worker, child);
	}
	if (events & ~(uint32_t)EPOLLOUT)
		read_child(worker, child, events & (EPOLLHUP | EPOLLERR));
	worker_answers_look_up(worker);
	worker_answers_send(worker);
}

static void handle(struct worker *worker, const struct epoll_event *event)
{
	uint64_t times;

	switch (event->data.u32) {
	case WORKER_TAG_TIMER:
		/* What there is to do is seen by looking at the clock. */
		if (read(worker->timer, &times, sizeof(times)) == sizeof(times))
			worker->alarm = 0;
		break;
	case WORKER_TAG_ZYGOTE:
		read_zygote(worker);
		break;
	case WORKER_TAG_WORKER:
		handle_child(worker, &worker->worker, event->events);
		break;
	case WORKER_TAG_RESOLVER:
		handle_child(worker, &worker->resolver, event->events);
		break;
	case WORKER_TAG_RECORDS:
		worker_requests_read(worker);
		break;
	}
}

static void start_zygote(struct worker *worker, uint64_t now)
{
	struct error err = {};
	int r = zygote_start(worker->options.program, &worker->zygote,
			     worker->starting ? worker->error : &err);

	if (!r) {
		worker_backoff_started(&worker->zygote_backoff, now);
		r = worker_watch(worker, worker->zygote.channel, WORKER_TAG_ZYGOTE, EPOLLIN);
		if (!r)
			return;
		error_set(worker->starting ? worker->error : &err, r, "cannot watch a channel: %s",
			  strerror(-r));
		zygote_end(&worker->zygote);
	}
	if (worker->starting)
		worker->failed = r;
	if (worker_backoff_died(&worker->zygote_backoff, now) && !worker->starting)
		worker_problem(worker, "%s; it is tried again", err.message);
}

static void start_child(struct worker *worker, struct worker_child *child, uint64_t now)
{
	int r;

	if (worker->zygote.channel < 0 || child->channel >= 0 || now < child->backoff.next)
		return;
	r = worker_child_start(worker, child, now);
	if (r == -EAGAIN)
		child->backoff.next = now + WORKER_SECOND / 10;
	else if (r)
		lose_zygote(worker);
}

static void check_ready(struct worker *worker, struct worker_child *child, uint64_t now)
{
	if (child->channel >= 0 && !child->ready && now - child->backoff.started >= READY_TIMEOUT)
		worker_child_lost(worker, child, "was not ready after five seconds");
}

/* Whatever should run and does not is started, as soon as its turn has come. */
static void start_missing(struct worker *worker, uint64_t now)
{
	if (worker->failed || worker->finished)
		return;
	if (worker->zygote.channel < 0 && now >= worker->zygote_backoff.next)
		start_zygote(worker, now);
	start_child(worker, &worker->resolver, now);
	start_child(worker, &worker->worker, now);
}

static void set_alarm(struct worker *worker)
{
	const struct worker_backoff *waiting[] = {
		worker->zygote.channel < 0 ? &worker->zygote_backoff : NULL,
		worker->zygote.channel >= 0 && worker->resolver.channel < 0
			? &worker->resolver.backoff
			: NULL,
		worker->zygote.channel >= 0 && worker->worker.channel < 0 ? &worker->worker.backoff
									  : NULL,
	};
	uint64_t next = worker->next_tick;
	struct itimerspec when = {};

	for (size_t i = 0; i < ARRAY_LEN(waiting); i++)
		if (waiting[i] && waiting[i]->next < next)
			next = waiting[i]->next;
	/* Its budget has filled a little by then. */
	if (worker->paused && worker->asks.filled + PAUSE < next)
		next = worker->asks.filled + PAUSE;
	if (worker->deaf && worker->reads.filled + PAUSE < next)
		next = worker->reads.filled + PAUSE;
	if (next == worker->alarm)
		return;
	worker->alarm = next;
	when.it_value.tv_sec = (time_t)(next / WORKER_SECOND);
	when.it_value.tv_nsec = (long)(next % WORKER_SECOND);
	timerfd_settime(worker->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

void worker_poll(struct worker *worker)
{
	struct epoll_event event[5];
	int n = epoll_wait(worker->epoll, event, ARRAY_LEN(event), 0);
	uint64_t now;

	/* First the zygote: if it is gone, that is why its children are. */
	for (int i = 0; i < n; i++)
		if (event[i].data.u32 == WORKER_TAG_ZYGOTE)
			handle(worker, &event[i]);
	for (int i = 0; i < n; i++)
		if (event[i].data.u32 != WORKER_TAG_ZYGOTE)
			handle(worker, &event[i]);
	now = worker_now();
	if (now >= worker->next_tick) {
		worker->next_tick = now + WORKER_SECOND;
		check_ready(worker, &worker->resolver, now);
		check_ready(worker, &worker->worker, now);
		if (!worker->starting)
			worker_answers_tick(worker, now);
		worker_requests_tick(worker, now, false);
	}
	if (worker->paused && now - worker->asks.filled >= PAUSE) {
		worker->paused = false;
		if (worker->worker.channel >= 0)
			worker_child_watch(worker, &worker->worker);
	}
	if (worker->deaf && now - worker->reads.filled >= PAUSE) {
		worker->deaf = false;
		worker_watch(worker, worker->sockets.records, WORKER_TAG_RECORDS, EPOLLIN);
	}
	start_missing(worker, now);
	set_alarm(worker);
}

static int publish(struct worker *worker, struct error *err)
{
	int r = bpf_map_update_elem(worker->options.kernel->maps.worker, &worker->options.slot,
				    &worker->sockets.address, BPF_ANY);

	if (r)
		return error_set(err, r, "map os_worker takes no more entries: %s", strerror(-r));
	worker->published = true;
	/* It goes out of the map by itself when it is closed. */
	r = kernel_set_listener(worker->options.kernel, worker->options.slot,
				worker_sockets_proxy(&worker->sockets));
	return r ? error_set(err, r, "map os_listener does not take the proxy's socket: %s",
			     strerror(-r))
		 : 0;
}

/* Run the loop until both are ready, or one of them failed. */
static int wait_ready(struct worker *worker, struct error *err)
{
	uint64_t deadline = worker_now() + START_TIMEOUT;

	for (;;) {
		struct pollfd pollfd = {.fd = worker->epoll, .events = POLLIN};
		uint64_t now;

		worker_poll(worker);
		if (worker->failed)
			return worker->failed;
		if (worker->worker.ready && worker->worker.pid && worker->resolver.ready)
			return 0;
		now = worker_now();
		if (now >= deadline)
			return error_set(
				err, -ETIMEDOUT,
				"what answers the sandbox's names was not ready after five "
				"seconds: is the host overloaded?");
		poll(&pollfd, 1, (int)((deadline - now) / 1000000) + 1);
	}
}

static int start(struct worker *worker, struct error *err)
{
	int r;

	worker->epoll = epoll_create1(EPOLL_CLOEXEC);
	worker->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (worker->epoll < 0 || worker->timer < 0)
		return error_set(err, -errno, "cannot make an event loop: %s", strerror(errno));
	r = worker_watch(worker, worker->timer, WORKER_TAG_TIMER, EPOLLIN);
	if (r)
		return error_set(err, r, "cannot watch a timer: %s", strerror(-r));
	r = worker_sockets_open(worker->options.kernel, &worker->sockets, err);
	if (r)
		return r;
	r = worker_watch(worker, worker->sockets.records, WORKER_TAG_RECORDS, EPOLLIN);
	if (r)
		return error_set(err, r, "cannot watch a socket: %s", strerror(-r));
	worker->starting = true;
	worker->error = err;
	r = wait_ready(worker, err);
	worker->starting = false;
	worker->error = NULL;
	return r ? r : publish(worker, err);
}

int worker_start(const struct worker_options *options, struct worker **ret_worker,
		 struct error *err)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	int r;

	if (!worker)
		return error_set(err, -ENOMEM, "out of memory");
	worker->options = *options;
	worker->epoll = worker->timer = worker->policy = -1;
	worker->next_fork = 1;
	worker->sockets = WORKER_SOCKETS_EMPTY;
	worker->zygote = ZYGOTE_EMPTY;
	worker->worker = WORKER_CHILD_EMPTY(WORKER_ROLE_WORKER, "the sandbox's DNS responder",
					    WORKER_FROM_WORKER, WORKER_TAG_WORKER);
	worker->resolver = WORKER_CHILD_EMPTY(WORKER_ROLE_RESOLVER, "the resolver of names",
					      WORKER_FROM_RESOLVER, WORKER_TAG_RESOLVER);
	worker->asks = (struct worker_budget){
		.left = ASK_BURST, .burst = ASK_BURST, .rate = ASK_RATE, .filled = worker_now()};
	worker->reads = (struct worker_budget){.left = READ_BYTES,
					       .burst = READ_BYTES,
					       .rate = READ_BYTES,
					       .filled = worker_now()};
	worker->tells = (struct worker_budget){
		.left = TELL_BURST, .burst = TELL_BURST, .rate = TELL_RATE, .filled = worker_now()};
	questions_init(&worker->questions);
	r = start(worker, err);
	if (r) {
		worker_free(worker);
		return r;
	}
	*ret_worker = worker;
	return 0;
}

int worker_fd(const struct worker *worker)
{
	return worker->epoll;
}

void worker_flush(struct worker *worker)
{
	/* One that is not ready has asked nothing, so it has nothing to forget. */
	if (!worker->worker.ready)
		return;
	worker->flush = true;
	worker_answers_send(worker);
}

void worker_proxy(struct worker *worker)
{
	if (worker->options.proxies)
		return;
	worker->options.proxies = true;
	worker_child_lost(worker, &worker->worker, NULL);
	worker->worker.backoff = (struct worker_backoff){};
	worker_poll(worker);
}

const struct worker_ca *worker_ca(const struct worker *worker)
{
	return worker->ca.length ? &worker->ca : NULL;
}

void worker_finish(struct worker *worker)
{
	struct pollfd gone = {.fd = worker->worker.pidfd, .events = POLLIN};

	worker->finished = true;
	/* Who had no connection to read has nothing to tell. */
	if (worker->worker.channel >= 0 && worker->proxied) {
		shutdown(worker->worker.channel, SHUT_RDWR);
		if (gone.fd >= 0)
			poll(&gone, 1, FINISH_MS);
	}
	worker_child_lost(worker, &worker->worker, NULL);
	while (worker_requests_read(worker))
		;
	worker_requests_tick(worker, worker_now(), true);
}

pid_t worker_pid(const struct worker *worker)
{
	return worker->worker.pid;
}

void worker_free(struct worker *worker)
{
	if (!worker)
		return;
	if (worker->published)
		bpf_map_delete_elem(worker->options.kernel->maps.worker, &worker->options.slot);
	/* No sentence about ends that were wanted. */
	worker->options.problem = NULL;
	worker_child_lost(worker, &worker->worker, NULL);
	worker_child_lost(worker, &worker->resolver, NULL);
	zygote_end(&worker->zygote);
	worker_sockets_close(&worker->sockets);
	worker_requests_free(worker);
	safe_close(worker->policy);
	questions_free(&worker->questions);
	safe_close(worker->timer);
	safe_close(worker->epoll);
	free(worker);
}

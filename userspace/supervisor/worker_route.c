/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections to the providers of models, which the worker has no socket of its own for. It may be
 * its agent's: only where a route leads that the operator configured is connected to, and a name of
 * a route means what the host's resolvers say of it here.
 */
#include "supervisor/worker_internal.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

void worker_set_routes(struct worker *worker, const Openshell__Worker__V1__Inference *inference)
{
	route_table_set(&worker->routes, inference);
}

/* Without a policy in force nothing of the sandbox's is. */
static bool is_in_force(const struct worker *worker)
{
	uint32_t mode = worker->options.kernel->policy[worker->options.slot].mode;

	return mode == OS_MODE_ENFORCE || mode == OS_MODE_AUDIT;
}

/* False: its name has to be looked up first. */
static bool decide(struct worker *worker, struct question *question, uint64_t now)
{
	struct route_host *host = is_in_force(worker)
					  ? route_table_find(&worker->routes, question->host,
							     question->host_length, question->port)
					  : NULL;
	struct names_addresses addresses = {};
	int r = host ? route_host_where(host, now, &addresses) : -EPERM;

	if (r == -EINPROGRESS)
		return false;
	if (!r)
		worker_upstream_connect(worker, question, &addresses, route_address_never);
	else if (r == -EPERM)
		worker_upstream_answer(worker, question, WORKER_UPSTREAM_DENIED, 0, NULL);
	else if (r == -EACCES)
		worker_upstream_answer(worker, question, WORKER_UPSTREAM_SSRF, 0,
				       addresses.len ? addresses.item[0] : NULL);
	else
		worker_upstream_answer(worker, question, WORKER_UPSTREAM_FAILED, r, NULL);
	return true;
}

int worker_route_ask(struct worker *worker, const struct worker_ask_route *ask, uint64_t now)
{
	struct question *question;
	int r = questions_add(&worker->questions, ask->header.id, &question);

	if (r == -ENOMEM)
		return 0; /* the worker gives up in the end */
	if (r)
		return -EBADMSG;
	question->port = ask->port;
	question->host_length = ask->length;
	memcpy(question->host, ask->host, ask->length);
	if (!decide(worker, question, now))
		worker_answers_wait(worker, question, question->host, question->host_length, now);
	return 0;
}

void worker_route_finish(struct worker *worker, struct question *question, uint64_t now)
{
	/* A second look-up would not be the last. */
	if (!decide(worker, question, now))
		worker_upstream_failed(worker, question);
}

int worker_probe(struct worker *worker, uint32_t route, int *ret_fd)
{
	_cleanup_close_ int ours = -1, theirs = -1;
	union worker_message message;
	int pair[2];

	if (!worker->worker.ready)
		return -EAGAIN;
	worker_answers_send(worker);
	if (worker->policy_due)
		return -EAGAIN;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair))
		return -errno;
	ours = pair[0];
	theirs = pair[1];
	worker_message_init(&message, WORKER_PROBE, 0);
	message.probe.route = route;
	if (!worker_child_send(worker, &worker->worker, &message, theirs))
		return -EAGAIN;
	*ret_fd = TAKE_FD(ours);
	return 0;
}

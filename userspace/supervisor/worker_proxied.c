/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the proxy asks: who opened a connection, and for one to the server. The worker may be its
 * agent's, so nothing rests on what it says but which of the sandbox's connections it has: where an
 * upstream connection goes is decided here, by the policy in force, as it would be for the agent.
 */
#include "supervisor/worker_internal.h"

#include "address.h"
#include "common/cleanup.h"
#include "common/policy_address.h"
#include "name.h"
#include "supervisor/egress_judge.h"
#include "supervisor/upstream.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static const struct os_policy *policy_of(const struct worker *worker)
{
	return &worker->options.kernel->policy[worker->options.slot];
}

static bool is_synthetic(const uint8_t *bytes)
{
	struct address address;

	memcpy(&address, bytes, sizeof(address));
	return name_is_synthetic(&address);
}

/* What the policy calls the host at @asked; false if that is a name that nobody has. */
static bool set_host(const struct worker *worker, struct worker_origin *origin)
{
	struct policy_cidr cidr = {.prefix = 128};
	char buf[POLICY_CIDR_TEXT_MAX];
	const char *text;
	size_t length;

	memcpy(cidr.address, origin->asked, sizeof(cidr.address));
	text = is_synthetic(origin->asked) ? names_text(worker->options.names, origin->asked)
					   : policy_cidr_format(&cidr, true, buf);
	length = text ? strlen(text) : 0;
	if (!length || length > WORKER_NAME_MAX)
		return false;
	memcpy(origin->host, text, length);
	origin->host_length = (uint16_t)length;
	return true;
}

int worker_origin_ask(struct worker *worker, const struct worker_ask_origin *ask)
{
	struct worker_origin origin = {};
	struct question *question;
	struct os_flow flow;
	int r = questions_add(&worker->questions, ask->header.id, &question);

	if (r == -ENOMEM)
		return 0; /* the worker gives up in the end */
	if (r)
		return -EBADMSG;
	r = worker_sockets_flow(&worker->sockets, worker->options.kernel, worker->options.slot,
				&ask->peer, &ask->local, &flow);
	if (!r)
		r = flow.flags & OS_SOCK_PROXY && worker->options.origin
			    ? worker->options.origin(worker->options.arg, &flow, &origin)
			    : -EPERM;
	if (!r && !set_host(worker, &origin))
		r = -EPERM;
	if (r)
		origin = (struct worker_origin){.status = WORKER_FLOW_DENIED};
	worker->proxied |= !r;
	worker_message_init(&question->answer, WORKER_ORIGIN, question->id);
	origin.header = question->answer.header;
	question->answer.origin = origin;
	questions_push(&worker->questions.out, question);
	return 0;
}

void worker_upstream_answer(struct worker *worker, struct question *question,
			    enum worker_upstream_status status, int error, const uint8_t *real)
{
	struct worker_upstream *upstream = &question->answer.upstream;

	worker_message_init(&question->answer, WORKER_UPSTREAM, question->id);
	upstream->status = status;
	upstream->error = error;
	if (real) {
		memcpy(upstream->real, real, sizeof(upstream->real));
		upstream->port = question->port;
	}
	questions_push(&worker->questions.out, question);
}

/* Whether the policy in force still has an endpoint there that the proxy reads. */
static bool is_proxied(const struct worker *worker, const struct question *question)
{
	const struct os_policy *policy = policy_of(worker);
	struct egress_question about = {
		.slot = worker->options.slot,
		.generation = policy->generation,
		.port = question->port,
	};
	struct os_endpoint endpoint;

	memcpy(about.address, question->asked, sizeof(about.address));
	return (policy->mode == OS_MODE_ENFORCE || policy->mode == OS_MODE_AUDIT) &&
	       egress_find(worker->options.kernel, &about, &endpoint) &&
	       endpoint.verdict == OS_VERDICT_PROXY;
}

/* The first of @addresses to which a connection is under way; that the others fail is not told. */
void worker_upstream_connect(struct worker *worker, struct question *question,
			     const struct names_addresses *addresses,
			     bool (*never)(const uint8_t *address))
{
	const uint8_t *tried = NULL;
	int r = -EHOSTUNREACH;

	for (size_t i = 0; i < addresses->len; i++) {
		const uint8_t *real = addresses->item[i];

		/* It is we who connect, and the kernel's programs do not look at us. */
		if (never(real))
			continue;
		tried = real;
		r = upstream_connect(real, question->port, &question->fd);
		if (!r) {
			worker_upstream_answer(worker, question, WORKER_UPSTREAM_FOUND, 0, real);
			return;
		}
	}
	if (tried)
		worker_upstream_answer(worker, question, WORKER_UPSTREAM_FAILED, r, tried);
	else
		worker_upstream_answer(worker, question, WORKER_UPSTREAM_SSRF, 0,
				       addresses->len ? addresses->item[0] : NULL);
}

/* False: its name has to be looked up first. */
static bool decide(struct worker *worker, struct question *question, uint64_t now)
{
	struct names_addresses addresses = {.len = 1};
	int r = 0;

	if (!is_proxied(worker, question)) {
		worker_upstream_answer(worker, question, WORKER_UPSTREAM_DENIED, 0, NULL);
		return true;
	}
	memcpy(addresses.item[0], question->asked, sizeof(question->asked));
	if (is_synthetic(question->asked))
		r = names_where(worker->options.names, question->asked, question->port, now,
				&addresses);
	switch (r) {
	case 0:
		worker_upstream_connect(worker, question, &addresses, names_address_never);
		return true;
	case -EINPROGRESS:
		return false;
	case -EPERM:
		worker_upstream_answer(worker, question, WORKER_UPSTREAM_DENIED, 0, NULL);
		return true;
	case -EACCES:
		worker_upstream_answer(worker, question, WORKER_UPSTREAM_SSRF, 0,
				       addresses.len ? addresses.item[0] : NULL);
		return true;
	default:
		worker_upstream_answer(worker, question, WORKER_UPSTREAM_FAILED, r, NULL);
		return true;
	}
}

int worker_upstream_ask(struct worker *worker, const struct worker_ask_upstream *ask, uint64_t now)
{
	struct question *question;
	const char *name;
	int r;

	/* No policy that it can have had. */
	if (ask->generation > policy_of(worker)->generation)
		return -EBADMSG;
	r = questions_add(&worker->questions, ask->header.id, &question);
	if (r == -ENOMEM)
		return 0;
	if (r)
		return -EBADMSG;
	memcpy(question->asked, ask->asked, sizeof(question->asked));
	question->port = ask->port;
	if (decide(worker, question, now))
		return 0;
	name = names_text(worker->options.names, question->asked);
	if (name)
		worker_answers_wait(worker, question, name, strlen(name), now);
	else
		worker_upstream_failed(worker, question);
	return 0;
}

void worker_upstream_finish(struct worker *worker, struct question *question, uint64_t now)
{
	/* A second look-up would not be the last. */
	if (!decide(worker, question, now))
		worker_upstream_failed(worker, question);
}

void worker_upstream_failed(struct worker *worker, struct question *question)
{
	worker_upstream_answer(worker, question, WORKER_UPSTREAM_FAILED, -EAGAIN, NULL);
}

void worker_set_policy(struct worker *worker, uint32_t generation, int memfd, uint32_t size)
{
	safe_close(worker->policy);
	worker->policy = memfd;
	worker->generation = generation;
	worker->size = size;
	/* One that is not ready gets it when it is. */
	worker->policy_due = worker->worker.ready;
	worker_answers_send(worker);
}

/* A description of its own, at the beginning, and for reading: the next worker wants it as well. */
static int reopen_policy(const struct worker *worker)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", worker->policy);
	return open(path, O_RDONLY | O_CLOEXEC);
}

bool worker_policy_send(struct worker *worker)
{
	union worker_message message;
	_cleanup_close_ int fd = -1;

	if (!worker->policy_due)
		return true;
	fd = reopen_policy(worker);
	/* Out of descriptors: without its policy the worker can do nothing, so try again. */
	if (fd < 0)
		return false;
	worker_message_init(&message, WORKER_POLICY, 0);
	message.policy.generation = worker->generation;
	message.policy.size = worker->size;
	worker->policy_due = !worker_child_send(worker, &worker->worker, &message, fd);
	return !worker->policy_due;
}

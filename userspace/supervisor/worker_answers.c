/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/worker_internal.h"

#include "common/cleanup.h"
#include "supervisor/worker_host.h"

#include <errno.h>
#include <string.h>

#define ANSWER_WITHIN (10 * WORKER_SECOND) /* a question gets FAILED then */
#define STUCK_AFTER   (60 * WORKER_SECOND) /* of a resolver that does not answer at all */
#define SILENT_AFTER  (5 * WORKER_SECOND)  /* of a worker that takes no answer */
#define LOOKUP_TRIES  2			   /* resolvers that one name may have been the end of */
#define DUE_AHEAD     (3 * WORKER_SECOND)
#define DUE_AT_ONCE   256
#define UNTOLD_EVERY  (10 * WORKER_SECOND)

/* Names looked up here: the host knows itself. */
static bool is_host(const char *name, size_t length)
{
	return length == sizeof(NAMES_HOST) - 1 && !memcmp(name, NAMES_HOST, length);
}

void worker_answers_send(struct worker *worker)
{
	struct question *question;

	/* First, for the answers behind it may be by this policy. */
	if (!worker_policy_send(worker))
		return;
	while ((question = worker->questions.out.first)) {
		if (!worker_child_send(worker, &worker->worker, &question->answer, question->fd)) {
			if (!worker->stuck)
				worker->stuck = worker_now();
			return;
		}
		worker->stuck = 0;
		questions_pop(&worker->questions.out);
		questions_remove(&worker->questions, question);
	}
	if (worker->flush) {
		union worker_message message;

		worker_message_init(&message, WORKER_FLUSH, 0);
		worker->flush = !worker_child_send(worker, &worker->worker, &message, -1);
	}
}

static void tell_refused(struct worker *worker, const struct question *question, const char *name,
			 size_t length, bool limited)
{
	char text[WORKER_NAME_MAX + 1] = "";
	struct worker_refusal refusal = {
		.name = text,
		.type = question->type,
		.limited = limited,
	};

	if (!worker->options.refused)
		return;
	if (!worker_budget_left(&worker->tells, worker_now())) {
		worker->untold++;
		return;
	}
	worker->tells.left--;
	memcpy(text, name, length);
	worker_sockets_flow(&worker->sockets, worker->options.kernel, worker->options.slot,
			    &question->peer, NULL, &refusal.flow);
	worker->options.refused(worker->options.arg, &refusal);
}

static void answer_name(struct worker *worker, struct question *question, const char *name,
			size_t length, const struct worker_name *answer)
{
	worker_message_init(&question->answer, WORKER_NAME, question->id);
	question->answer.name.status = answer->status;
	question->answer.name.has = answer->has;
	question->answer.name.ttl = answer->ttl;
	memcpy(question->answer.name.ipv4, answer->ipv4, sizeof(answer->ipv4));
	memcpy(question->answer.name.ipv6, answer->ipv6, sizeof(answer->ipv6));
	questions_push(&worker->questions.out, question);
	if (answer->status == WORKER_NAME_REFUSED || answer->status == WORKER_NAME_LIMITED)
		tell_refused(worker, question, name, length, answer->status == WORKER_NAME_LIMITED);
}

static void answer_failed(struct worker *worker, struct question *question)
{
	const struct worker_name answer = {.status = WORKER_NAME_FAILED};

	if (question->port)
		worker_upstream_failed(worker, question);
	else
		answer_name(worker, question, "", 0, &answer);
}

/* What names.c says now, or that it cannot be said: a second look-up would not be the last. */
static void answer_finally(struct worker *worker, struct question *question, const char *name,
			   size_t length, uint64_t now)
{
	struct worker_name answer = {};

	if (question->host_length)
		worker_route_finish(worker, question, now);
	else if (question->port)
		worker_upstream_finish(worker, question, now);
	else if (names_ask(worker->options.names, name, length, now, &answer) == NAMES_ANSWER)
		answer_name(worker, question, name, length, &answer);
	else
		answer_failed(worker, question);
}

static void finish_lookup(struct worker *worker, struct lookup *lookup, uint64_t now, bool answered)
{
	char name[WORKER_NAME_MAX + 1];
	size_t length = lookup->length;
	struct question *waiting;

	memcpy(name, lookup->name, sizeof(name));
	waiting = questions_finish(&worker->questions, lookup);
	while (waiting) {
		struct question *question = waiting;

		waiting = question->next;
		if (answered)
			answer_finally(worker, question, name, length, now);
		else
			answer_failed(worker, question);
	}
}

static void look_up_host(struct worker *worker, uint64_t now)
{
	struct worker_found found = {};

	worker_host_find(&found);
	names_found(worker->options.names, NAMES_HOST, sizeof(NAMES_HOST) - 1, &found, now);
	route_table_found(&worker->routes, NAMES_HOST, sizeof(NAMES_HOST) - 1, &found, now);
}

void worker_answers_look_up(struct worker *worker)
{
	union worker_message message;

	if (!worker->resolver.ready)
		return;
	for (size_t i = 0; i < worker->questions.lookups_len; i++) {
		struct lookup *lookup = worker->questions.lookup[i];

		if (lookup->sent)
			continue;
		worker_message_init(&message, WORKER_LOOKUP, lookup->id);
		message.lookup.length = lookup->length;
		memcpy(message.lookup.name, lookup->name, lookup->length);
		if (!worker_child_send(worker, &worker->resolver, &message, -1))
			return;
		lookup->sent = true;
		lookup->tries++;
	}
}

void worker_answers_wait(struct worker *worker, struct question *question, const char *name,
			 size_t length, uint64_t now)
{
	struct lookup *lookup;

	if (is_host(name, length)) {
		look_up_host(worker, now);
		answer_finally(worker, question, name, length, now);
	} else if (questions_look_up(&worker->questions, name, length, now, &lookup)) {
		answer_failed(worker, question);
	} else {
		questions_wait(lookup, question);
		if (!lookup->sent)
			worker_answers_look_up(worker);
	}
}

static int ask_name(struct worker *worker, const struct worker_ask_name *ask, uint64_t now)
{
	struct worker_name answer = {};
	struct question *question;
	int r = questions_add(&worker->questions, ask->header.id, &question);

	if (r == -ENOMEM)
		return 0; /* the worker tells its agent SERVFAIL in the end */
	if (r)
		return -EBADMSG;
	question->type = ask->type;
	question->peer = ask->peer;
	if (names_ask(worker->options.names, ask->name, ask->length, now, &answer) == NAMES_ANSWER)
		answer_name(worker, question, ask->name, ask->length, &answer);
	else
		worker_answers_wait(worker, question, ask->name, ask->length, now);
	return 0;
}

static int ask_flow(struct worker *worker, const struct worker_ask_flow *ask)
{
	struct question *question;
	struct os_flow flow;
	int r;

	/* Where it arrived is known here: what it names else is not its own. */
	if (!worker_sockets_is_ask(&worker->sockets, &ask->local))
		return -EBADMSG;
	r = questions_add(&worker->questions, ask->header.id, &question);
	if (r == -ENOMEM)
		return 0;
	if (r)
		return -EBADMSG;
	worker_message_init(&question->answer, WORKER_FLOW, question->id);
	question->answer.flow.status = WORKER_FLOW_DENIED;
	r = worker_sockets_flow(&worker->sockets, worker->options.kernel, worker->options.slot,
				&ask->peer, &ask->local, &flow);
	if (!r && worker->options.flow &&
	    !worker->options.flow(worker->options.arg, &flow, &question->fd))
		question->answer.flow.status = WORKER_FLOW_ALLOWED;
	questions_push(&worker->questions.out, question);
	return 0;
}

static int found(struct worker *worker, const struct worker_found *found, uint64_t now)
{
	struct lookup *lookup = questions_find(&worker->questions, found->header.id);

	if (!lookup || !lookup->sent)
		return -EBADMSG;
	names_found(worker->options.names, lookup->name, lookup->length, found, now);
	route_table_found(&worker->routes, lookup->name, lookup->length, found, now);
	finish_lookup(worker, lookup, now, true);
	return 0;
}

int worker_answers_hear(struct worker *worker, struct worker_child *child,
			const union worker_message *message)
{
	uint64_t now = worker_now();

	switch (message->header.kind) {
	case WORKER_ASK_NAME:
		return ask_name(worker, &message->ask_name, now);
	case WORKER_ASK_FLOW:
		return ask_flow(worker, &message->ask_flow);
	case WORKER_ASK_ORIGIN:
		return worker_origin_ask(worker, &message->ask_origin);
	case WORKER_ASK_UPSTREAM:
		return worker_upstream_ask(worker, &message->ask_upstream, now);
	case WORKER_ASK_ROUTE:
		return worker_route_ask(worker, &message->ask_route, now);
	case WORKER_FOUND:
		return found(worker, &message->found, now);
	default:
		return -EBADMSG;
	}
}

void worker_answers_lost(struct worker *worker, struct worker_child *child)
{
	uint64_t now = worker_now();

	if (child->role == WORKER_ROLE_WORKER) {
		questions_forget(&worker->questions);
		worker->stuck = 0;
		worker->paused = false;
		worker->flush = false; /* the next one has nothing to forget */
		worker->policy_due = false;
		return;
	}
	for (size_t i = worker->questions.lookups_len; i-- > 0;) {
		struct lookup *lookup = worker->questions.lookup[i];

		lookup->sent = false;
		if (lookup->tries >= LOOKUP_TRIES)
			finish_lookup(worker, lookup, now, false);
	}
}

static void refresh(struct worker *worker, uint64_t now)
{
	struct lookup *lookup;
	const char *name;

	for (int i = 0; i < DUE_AT_ONCE; i++) {
		name = names_due(worker->options.names, now, DUE_AHEAD);
		if (!name)
			break;
		if (is_host(name, strlen(name)))
			look_up_host(worker, now);
		else if (questions_look_up(&worker->questions, name, strlen(name), now, &lookup))
			break;
	}
}

/* Who waits too long is told; a resolver that keeps a look-up for a minute is of no use. */
static void expire(struct worker *worker, uint64_t now)
{
	bool stuck = false;

	for (size_t i = worker->questions.lookups_len; i-- > 0;) {
		struct lookup *lookup = worker->questions.lookup[i];
		struct question *question;

		if (now - lookup->since < ANSWER_WITHIN)
			continue;
		if (!lookup->sent) {
			finish_lookup(worker, lookup, now, false);
			continue;
		}
		stuck |= now - lookup->since >= STUCK_AFTER;
		question = lookup->waiting;
		lookup->waiting = NULL;
		lookup->last = &lookup->waiting;
		while (question) {
			struct question *next = question->next;

			answer_failed(worker, question);
			question = next;
		}
	}
	if (stuck)
		worker_child_lost(worker, &worker->resolver, "did not answer for a minute");
	if (worker->stuck && now - worker->stuck >= SILENT_AFTER)
		worker_child_lost(worker, &worker->worker, "took no answer for five seconds");
}

static void tell_untold(struct worker *worker, uint64_t now)
{
	if (!worker->untold || now - worker->told_untold < UNTOLD_EVERY)
		return;
	worker_problem(worker, "%u more names were refused than are told: too many at once",
		       worker->untold);
	worker->untold = 0;
	worker->told_untold = now;
}

void worker_answers_tick(struct worker *worker, uint64_t now)
{
	tell_untold(worker, now);
	refresh(worker, now);
	expire(worker, now);
	worker_answers_look_up(worker);
	worker_answers_send(worker);
}

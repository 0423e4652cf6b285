/* SPDX-License-Identifier: Apache-2.0 */
/* Orders of the gateway, and what keepers say: what shall be, and what is. */
#include "supervisor/daemon_internal.h"

#include "common/cleanup.h"
#include "supervisor/state.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PHASE(name)   OPENSHELL__V1__SANDBOX_PHASE__SANDBOX_PHASE_##name
#define PAYLOAD(name) OPENSHELL__NODE__V1__NODE_MESSAGE__PAYLOAD_##name
#define MESSAGE_INIT  OPENSHELL__NODE__V1__NODE_MESSAGE__INIT
#define ID_SIZE	      36

struct daemon_sandbox *daemon_find(struct daemon *daemon, const char *id)
{
	struct daemon_sandbox *s;

	TAILQ_FOREACH(s, &daemon->sandboxes, link)
	if (!strcmp(s->id, id))
		return s;
	return NULL;
}

/* It names files: nothing but what a UUID has. */
static bool is_id(const char *id)
{
	return strlen(id) == ID_SIZE && strspn(id, "0123456789abcdef-") == ID_SIZE;
}

static struct daemon_sandbox *find_or_make(struct daemon *daemon, const char *id)
{
	struct daemon_sandbox *s = daemon_find(daemon, id);

	if (s || !is_id(id) || daemon->count >= DAEMON_SANDBOXES_MAX)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->daemon = daemon;
	snprintf(s->id, sizeof(s->id), "%s", id);
	TAILQ_INIT(&s->relays);
	TAILQ_INSERT_TAIL(&daemon->sandboxes, s, link);
	daemon->count++;
	return s;
}

static void free_reports(struct daemon_sandbox *s)
{
	if (s->report)
		openshell__node__v1__sandbox_report__free_unpacked(s->report, NULL);
	if (s->policy)
		openshell__node__v1__policy_report__free_unpacked(s->policy, NULL);
	s->report = NULL;
	s->policy = NULL;
}

static void drop_next(struct daemon_sandbox *s)
{
	if (s->next)
		explicit_bzero(s->next, s->next_size);
	free(s->next);
	s->next = NULL;
	s->next_size = 0;
}

static void free_sandbox(struct daemon_sandbox *s)
{
	if (s->process)
		s->process->data = NULL;
	keeper_link_free(s->keeper);
	daemon_relays_lost(s);
	TAILQ_REMOVE(&s->daemon->sandboxes, s, link);
	s->daemon->count--;
	free_reports(s);
	drop_next(s);
	free(s);
}

/* ---- reports ---- */

static void send_report(struct daemon *daemon, Openshell__Node__V1__SandboxReport *report)
{
	Openshell__Node__V1__NodeMessage message = MESSAGE_INIT;

	message.payload_case = PAYLOAD(SANDBOX);
	message.sandbox = report;
	daemon_send(daemon, &message);
}

static void report_phase(struct daemon_sandbox *s, Openshell__V1__SandboxPhase phase,
			 const char *text)
{
	Openshell__Node__V1__SandboxReport report = OPENSHELL__NODE__V1__SANDBOX_REPORT__INIT;

	report.sandbox_id = s->id;
	report.instance_id = s->instance_id;
	report.phase = phase;
	report.message = (char *)text;
	send_report(s->daemon, &report);
}

static void send_policy(struct daemon *daemon, Openshell__Node__V1__PolicyReport *policy)
{
	Openshell__Node__V1__NodeMessage message = MESSAGE_INIT;

	message.payload_case = PAYLOAD(POLICY);
	message.policy = policy;
	daemon_send(daemon, &message);
}

void daemon_report_all(struct daemon *daemon)
{
	struct daemon_sandbox *s;

	TAILQ_FOREACH(s, &daemon->sandboxes, link)
	{
		if (s->report)
			send_report(daemon, s->report);
		if (s->policy)
			send_policy(daemon, s->policy);
	}
}

/* No keeper is there, and none will be for this instance: what it was doing has ended. */
static void settle(struct daemon_sandbox *s, const char *why)
{
	Openshell__Node__V1__SandboxReport *report = s->report;
	char *text;

	if (!report || report->phase == PHASE(ERROR))
		return;
	text = strdup(why);
	if (!text)
		return;
	if (report->message != protobuf_c_empty_string)
		free(report->message);
	report->message = text;
	report->phase = PHASE(ERROR);
}

/* ---- starting ---- */

static void start(struct daemon_sandbox *s, const Openshell__Node__V1__Assign *assign)
{
	struct error err = {};
	int r = daemon_files_make(s, &err);

	snprintf(s->instance_id, sizeof(s->instance_id), "%s", assign->instance_id);
	s->stopped = s->stopping = false;
	free_reports(s);
	if (!r)
		r = keeper_spawn(s, &err);
	if (!r)
		r = keeper_link_send(s->keeper, KEEPER_START, 0, 0, &assign->base, NULL, 0);
	if (!r)
		return;
	if (!err.code)
		error_set(&err, r, "the keeper does not answer");
	report_phase(s, PHASE(ERROR), err.message);
}

static void stop_keeper(struct daemon_sandbox *s, int grace_ms)
{
	if (s->stopping && grace_ms)
		return;
	s->stopping = true;
	keeper_link_send(s->keeper, KEEPER_STOP, 0, grace_ms, NULL, NULL, 0);
}

static void keep_next(struct daemon_sandbox *s, const Openshell__Node__V1__Assign *assign)
{
	drop_next(s);
	s->next_size = protobuf_c_message_get_packed_size(&assign->base);
	s->next = malloc(s->next_size + 1);
	if (s->next)
		protobuf_c_message_pack(&assign->base, s->next);
}

/* The same run, after the gateway or this daemon was started anew: what changed meanwhile is told.
 */
static void refresh(struct daemon_sandbox *s, const Openshell__Node__V1__Assign *assign)
{
	if (s->report)
		send_report(s->daemon, s->report);
	if (assign->policy)
		keeper_link_send(s->keeper, KEEPER_POLICY, 0, 0, &assign->policy->base, NULL, 0);
	if (assign->credentials)
		keeper_link_send(s->keeper, KEEPER_CREDENTIALS, 0, 0, &assign->credentials->base,
				 NULL, 0);
	if (assign->inference)
		keeper_link_send(s->keeper, KEEPER_INFERENCE, 0, 0, &assign->inference->base, NULL,
				 0);
}

static void assign_stopped(struct daemon_sandbox *s)
{
	s->stopped = true;
	drop_next(s);
	if (s->keeper) {
		report_phase(s, PHASE(STOPPING), "");
		stop_keeper(s, DAEMON_STOP_MS);
	} else {
		report_phase(s, PHASE(STOPPED), "");
	}
}

void daemon_assign(struct daemon *daemon, const Openshell__Node__V1__Assign *assign)
{
	struct daemon_sandbox *s = find_or_make(daemon, assign->sandbox_id);
	struct error err = {};

	if (!s) {
		error_set(&err, -ENOSPC, "this host takes no more sandboxes");
		daemon_send_result(daemon, assign->request_id, &err);
		return;
	}
	s->seen = true;
	s->releasing = false;
	if (s->adopted) {
		keep_next(s, assign);
	} else if (assign->stopped) {
		assign_stopped(s);
	} else if (!s->keeper && s->report &&
		   !strcmp(s->report->instance_id, assign->instance_id)) {
		send_report(daemon, s->report);
	} else if (!s->keeper) {
		start(s, assign);
	} else if (!strcmp(s->instance_id, assign->instance_id) && !s->stopping) {
		refresh(s, assign);
	} else {
		keep_next(s, assign);
		stop_keeper(s, DAEMON_STOP_MS);
	}
	daemon_send_result(daemon, assign->request_id, NULL);
}

void daemon_forward(struct daemon *daemon, const char *id, uint64_t request_id,
		    enum keeper_kind kind, const ProtobufCMessage *body)
{
	struct daemon_sandbox *s = daemon_find(daemon, id);
	struct error err = {};

	if (!s || !s->keeper) {
		error_set(&err, -ENOENT, "sandbox %.36s does not run here", id);
		daemon_send_result(daemon, request_id, &err);
		return;
	}
	keeper_link_send(s->keeper, kind, 0, 0, body, NULL, 0);
	daemon_send_result(daemon, request_id, NULL);
}

/* ---- ending ---- */

static void released(struct daemon_sandbox *s)
{
	struct error err = {};

	if (!s->keep_files)
		(void)daemon_files_remove(s, &err);
	if (s->release_id)
		daemon_send_result(s->daemon, s->release_id, err.code ? &err : NULL);
	free_sandbox(s);
}

void daemon_release(struct daemon *daemon, const char *id, uint64_t request_id, bool keep_files)
{
	struct daemon_sandbox *s = find_or_make(daemon, id);
	struct error err = {};

	if (!s) {
		error_set(&err, -EINVAL, "'%.36s' is no sandbox's id", id);
		daemon_send_result(daemon, request_id, &err);
		return;
	}
	s->releasing = true;
	s->keep_files = keep_files;
	s->release_id = request_id;
	drop_next(s);
	if (s->keeper)
		stop_keeper(s, keep_files ? DAEMON_STOP_MS : 0);
	else
		released(s);
}

/* Everything that the gateway knows of was told: the rest is nobody's. */
void daemon_synced(struct daemon *daemon)
{
	struct daemon_sandbox *s, *next;

	for (s = TAILQ_FIRST(&daemon->sandboxes); s; s = next) {
		next = TAILQ_NEXT(s, link);
		if (!s->seen && !s->releasing)
			daemon_release(daemon, s->id, 0, false);
	}
}

/* ---- what keepers say ---- */

/* An earlier daemon's keeper has said how it is, or is gone. */
static void heard(struct daemon_sandbox *s)
{
	struct daemon *daemon = s->daemon;

	if (!s->adopted)
		return;
	s->adopted = false;
	if (daemon->adopted && !--daemon->adopted)
		daemon_attach_start(daemon);
}

/* What was asked of it before it had said how it is. */
static void catch_up(struct daemon_sandbox *s)
{
	Openshell__Node__V1__Assign *assign =
		s->next ? openshell__node__v1__assign__unpack(NULL, s->next_size, s->next) : NULL;

	drop_next(s);
	if (!assign)
		return;
	assign->request_id = 0;
	daemon_assign(s->daemon, assign);
	openshell__node__v1__assign__free_unpacked(assign, NULL);
}

static void keeper_closed(void *arg)
{
	struct daemon_sandbox *s = arg;
	bool adopted = s->adopted;

	keeper_link_free(TAKE_PTR(s->keeper));
	keeper_forget(s);
	daemon_relays_lost(s);
	s->stopping = false;
	heard(s);
	if (s->releasing) {
		released(s);
	} else if (s->next) {
		catch_up(s);
	} else if (adopted) {
		settle(s, "its keeper has died while no supervisor ran: start it again");
	} else if (s->stopped) {
		free_reports(s);
		report_phase(s, PHASE(STOPPED), "");
	} else {
		settle(s, "its keeper has died: start it again");
		if (s->report)
			send_report(s->daemon, s->report);
		else
			report_phase(s, PHASE(ERROR), "its keeper has died at once");
	}
}

static void take_report(struct daemon_sandbox *s, const struct keeper_message *message)
{
	Openshell__Node__V1__SandboxReport *report =
		openshell__node__v1__sandbox_report__unpack(NULL, message->size, message->body);

	if (!report)
		return;
	if (s->report)
		openshell__node__v1__sandbox_report__free_unpacked(s->report, NULL);
	s->report = report;
	if (*report->instance_id)
		snprintf(s->instance_id, sizeof(s->instance_id), "%s", report->instance_id);
	if (s->adopted) {
		heard(s);
		catch_up(s);
	} else if (!s->stopping) {
		send_report(s->daemon, report);
	}
}

static void take_policy(struct daemon_sandbox *s, const struct keeper_message *message)
{
	Openshell__Node__V1__PolicyReport *policy =
		openshell__node__v1__policy_report__unpack(NULL, message->size, message->body);

	if (!policy)
		return;
	if (s->policy)
		openshell__node__v1__policy_report__free_unpacked(s->policy, NULL);
	s->policy = policy;
	send_policy(s->daemon, policy);
}

static void take_logs(struct daemon_sandbox *s, const struct keeper_message *message)
{
	Openshell__Node__V1__Logs *logs =
		openshell__node__v1__logs__unpack(NULL, message->size, message->body);
	Openshell__Node__V1__NodeMessage out = MESSAGE_INIT;

	if (!logs)
		return;
	out.payload_case = PAYLOAD(LOGS);
	out.logs = logs;
	daemon_send(s->daemon, &out);
	openshell__node__v1__logs__free_unpacked(logs, NULL);
}

static void take_end(struct daemon_sandbox *s, struct keeper_message *message)
{
	Openshell__Node__V1__Result *result =
		message->size
			? openshell__node__v1__result__unpack(NULL, message->size, message->body)
			: NULL;
	const char *error = result ? result->error : NULL;
	int code = result ? result->code : 0;

	if (message->kind == KEEPER_ENDED)
		daemon_relay_ended(s, message->id, message->value, error, code);
	else
		daemon_relay_connected(s, message->id, keeper_message_take_fd(message, 0), error,
				       code);
	if (result)
		openshell__node__v1__result__free_unpacked(result, NULL);
}

static void keeper_message_came(void *arg, struct keeper_message *message)
{
	struct daemon_sandbox *s = arg;

	switch (message->kind) {
	case KEEPER_REPORT:
		take_report(s, message);
		break;
	case KEEPER_LOADED:
		take_policy(s, message);
		break;
	case KEEPER_LOGS:
		take_logs(s, message);
		break;
	case KEEPER_ENDED:
	case KEEPER_CONNECTED:
		take_end(s, message);
		break;
	default:
		break;
	}
}

int daemon_keeper_link(struct daemon_sandbox *sandbox, int fd)
{
	static const struct keeper_link_events events = {
		.message = keeper_message_came,
		.closed = keeper_closed,
	};

	return keeper_link_new(&sandbox->daemon->loop, fd, &events, sandbox, &sandbox->keeper);
}

/* ---- what an earlier daemon left ---- */

/* What its keeper wrote last. */
static void recall(struct daemon_sandbox *s)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", s->daemon->sandboxes_dir, s->id);
	s->report = state_read(path);
}

static int adopt_all(struct daemon *daemon, const char *path, bool keepers, struct error *err)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return error_set(err, -errno, "cannot read %s: %s", path, strerror(errno));
	while ((entry = readdir(dir))) {
		struct daemon_sandbox *s =
			is_id(entry->d_name) ? find_or_make(daemon, entry->d_name) : NULL;

		if (!s)
			continue;
		if (!keepers) {
			recall(s);
			continue;
		}
		if (keeper_connect(s)) {
			keeper_forget(s);
			continue;
		}
		s->adopted = true;
		daemon->adopted++;
	}
	return 0;
}

int daemon_adopt(struct daemon *daemon, struct error *err)
{
	struct daemon_sandbox *s;
	int r = adopt_all(daemon, daemon->sandboxes_dir, false, err);

	if (!r)
		r = adopt_all(daemon, daemon->keepers_dir, true, err);
	TAILQ_FOREACH(s, &daemon->sandboxes, link)
	if (!s->keeper)
		settle(s, "it ended with its host: start it again");
	return r;
}

/* They run on. */
void daemon_let_go(struct daemon *daemon)
{
	struct daemon_sandbox *s;

	while ((s = TAILQ_FIRST(&daemon->sandboxes)))
		free_sandbox(s);
}

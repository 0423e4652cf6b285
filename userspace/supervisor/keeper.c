/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/keeper.h"

#include "common/cleanup.h"
#include "supervisor/keeper_internal.h"
#include "supervisor/state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define PHASE(name) OPENSHELL__V1__SANDBOX_PHASE__SANDBOX_PHASE_##name

/* ---- telling ---- */

void keeper_report(struct keeper *keeper)
{
	Openshell__Node__V1__SandboxReport report = OPENSHELL__NODE__V1__SANDBOX_REPORT__INIT;
	const struct sandbox *sandbox = keeper->sandbox;
	int r;

	report.sandbox_id = (char *)keeper->id;
	report.instance_id = keeper->assign ? keeper->assign->instance_id : (char *)"";
	report.phase = keeper->phase;
	report.exit_code = keeper->exit_code;
	report.exited = keeper->exited;
	report.message = keeper->message;
	report.policy_version = keeper->policy_version;
	report.policy_digest = (ProtobufCBinaryData){sizeof(keeper->digest), keeper->digest};
	if (sandbox) {
		report.generation = sandbox->slot.generation;
		report.findings = sandbox->findings.item;
		report.n_findings = sandbox->findings.len;
	}
	if (keeper->link)
		keeper_link_send(keeper->link, KEEPER_REPORT, 0, 0, &report.base, NULL, 0);
	r = keeper->assign ? state_write(keeper->directory, &report) : 0;
	if (r)
		keeper_log(keeper, "error", "its state cannot be written");
}

void keeper_tell_policy(struct keeper *keeper, uint32_t version, const struct error *err)
{
	Openshell__Node__V1__PolicyReport report = OPENSHELL__NODE__V1__POLICY_REPORT__INIT;

	if (!keeper->link)
		return;
	report.sandbox_id = (char *)keeper->id;
	report.version = version;
	report.digest = (ProtobufCBinaryData){sizeof(keeper->digest), keeper->digest};
	report.generation = keeper->sandbox ? keeper->sandbox->slot.generation : 0;
	report.loaded = !err;
	report.error = err ? (char *)err->message : (char *)"";
	keeper_link_send(keeper->link, KEEPER_LOADED, 0, 0, &report.base, NULL, 0);
}

static void tell_result(struct keeper *keeper, enum keeper_kind kind, uint64_t id,
			const struct error *err)
{
	Openshell__Node__V1__Result result = OPENSHELL__NODE__V1__RESULT__INIT;

	if (!keeper->link)
		return;
	result.request_id = id;
	result.ok = !err || !err->code;
	result.code = err ? err->code : 0;
	result.error = err ? (char *)err->message : (char *)"";
	keeper_link_send(keeper->link, kind, id, -1, &result.base, NULL, 0);
}

static void set_phase(struct keeper *keeper, Openshell__V1__SandboxPhase phase, const char *message)
{
	keeper->phase = phase;
	snprintf(keeper->message, sizeof(keeper->message), "%.511s", message);
	keeper_report(keeper);
}

/* ---- the end ---- */

static void leave(struct keeper *keeper)
{
	uv_stop(&keeper->loop);
}

/* The kernel's side goes; what is left is what the main process wrote, and how it ended. */
void keeper_end_sandbox(struct keeper *keeper)
{
	if (!keeper->sandbox)
		return;
	keeper_unwatch(keeper);
	sandbox_free(TAKE_PTR(keeper->sandbox));
	kernel_close(TAKE_PTR(keeper->kernel));
}

static void on_exit_of_main(uv_poll_t *poll, int status, int events)
{
	struct keeper *keeper = poll->data;
	int code = 0;

	if (launch_wait(&keeper->sandbox->launch, false, &code) == -EAGAIN)
		return;
	uv_poll_stop(poll);
	uv_timer_stop(&keeper->deadline);
	keeper->exited = true;
	keeper->exit_code = code;
	keeper_finish_logs(keeper, code);
	keeper_end_sandbox(keeper);
	keeper_terminal_exited(keeper->terminal, code);
	if (keeper->stopping) {
		leave(keeper);
		return;
	}
	set_phase(keeper, PHASE(ERROR), "its main process has exited");
}

static void on_deadline(uv_timer_t *timer)
{
	struct keeper *keeper = timer->data;

	if (keeper->sandbox)
		launch_kill(&keeper->sandbox->launch);
	keeper_end_sandbox(keeper);
	leave(keeper);
}

static void stop(struct keeper *keeper, int32_t grace_ms)
{
	keeper->stopping = true;
	if (!keeper->sandbox) {
		leave(keeper);
		return;
	}
	if (grace_ms > 0)
		launch_signal(&keeper->sandbox->launch, SIGTERM);
	uv_timer_start(&keeper->deadline, on_deadline, grace_ms > 0 ? (uint64_t)grace_ms : 0, 0);
}

/* ---- commands: whoever asked for them reads what they write ---- */

static void add_command(struct keeper *keeper, uint32_t id)
{
	for (size_t i = 0; i < ARRAY_LEN(keeper->command); i++) {
		if (!keeper->command[i]) {
			keeper->command[i] = id;
			return;
		}
	}
}

static void forget_command(struct keeper *keeper, uint32_t id)
{
	for (size_t i = 0; i < ARRAY_LEN(keeper->command); i++)
		if (keeper->command[i] == id)
			keeper->command[i] = 0;
}

/* The daemon is gone, and with it whoever waited for them. */
static void kill_commands(struct keeper *keeper)
{
	for (size_t i = 0; i < ARRAY_LEN(keeper->command); i++) {
		if (keeper->command[i] && keeper->sandbox)
			(void)launch_command_signal(&keeper->sandbox->launch, keeper->command[i],
						    SIGKILL);
		keeper->command[i] = 0;
	}
}

/* ---- what the daemon wants ---- */

static void start(struct keeper *keeper, const struct keeper_message *message)
{
	struct error err = {};
	int r;

	if (keeper->assign)
		return;
	keeper->assign = openshell__node__v1__assign__unpack(NULL, message->size, message->body);
	if (!keeper->assign || !keeper->assign->policy) {
		set_phase(keeper, PHASE(ERROR), "the order to start is malformed");
		return;
	}
	/* From here on it has run, whatever comes. */
	keeper_report(keeper);
	r = keeper_start_sandbox(keeper, &err);
	if (!r)
		r = uv_poll_init(&keeper->loop, &keeper->main, keeper->sandbox->launch.init_pidfd);
	if (!r) {
		keeper->main.data = keeper;
		uv_poll_start(&keeper->main, UV_READABLE, on_exit_of_main);
		set_phase(keeper, PHASE(READY), "");
		keeper_tell_policy(keeper, keeper->policy_version, NULL);
		return;
	}
	keeper_end_sandbox(keeper);
	if (keeper->terminal)
		keeper_terminal_exited(keeper->terminal, 127);
	set_phase(keeper, PHASE(ERROR), err.message);
	keeper_tell_policy(keeper, keeper->assign->policy->version, &err);
}

static void attach(struct keeper *keeper, struct keeper_message *message)
{
	Openshell__Node__V1__Attach *attach =
		openshell__node__v1__attach__unpack(NULL, message->size, message->body);
	int fd = keeper_message_take_fd(message, 0);

	if (keeper->terminal && attach && fd >= 0)
		(void)keeper_terminal_attach(keeper->terminal, fd, attach->columns, attach->rows);
	else
		safe_close(fd);
	if (attach)
		openshell__node__v1__attach__free_unpacked(attach, NULL);
}

static void exec(struct keeper *keeper, const struct keeper_message *message)
{
	Openshell__Node__V1__Exec *exec =
		openshell__node__v1__exec__unpack(NULL, message->size, message->body);
	struct error err = {};
	int r = -EBADMSG;

	if (!keeper->sandbox)
		r = error_set(&err, -EBUSY, "the sandbox does not run");
	else if (exec)
		r = keeper_exec(keeper, (uint32_t)message->id, exec, message->fd, &err);
	if (r)
		tell_result(keeper, KEEPER_ENDED, message->id, &err);
	else
		add_command(keeper, (uint32_t)message->id);
	if (exec)
		openshell__node__v1__exec__free_unpacked(exec, NULL);
}

static void connect_inside(struct keeper *keeper, const struct keeper_message *message)
{
	bool v6 = message->value < 0;
	struct error err = {};
	int r = -EBUSY;

	if (keeper->sandbox)
		r = launch_connect(&keeper->sandbox->launch, (uint32_t)message->id,
				   (uint16_t)(v6 ? -message->value : message->value), v6);
	if (r) {
		error_set(&err, r, "the sandbox does not run");
		tell_result(keeper, KEEPER_CONNECTED, message->id, &err);
	}
}

static void on_message(void *arg, struct keeper_message *message)
{
	struct keeper *keeper = arg;

	switch (message->kind) {
	case KEEPER_START:
		start(keeper, message);
		break;
	case KEEPER_POLICY:
		keeper_update_policy(keeper, message);
		break;
	case KEEPER_CREDENTIALS:
		keeper_update_credentials(keeper, message);
		break;
	case KEEPER_INFERENCE:
		keeper_update_inference(keeper, message);
		break;
	case KEEPER_EXEC:
		exec(keeper, message);
		break;
	case KEEPER_CONNECT:
		connect_inside(keeper, message);
		break;
	case KEEPER_ATTACH:
		attach(keeper, message);
		break;
	case KEEPER_SIGNAL:
		if (keeper->sandbox)
			launch_command_signal(&keeper->sandbox->launch, (uint32_t)message->id,
					      message->value);
		break;
	case KEEPER_STOP:
		stop(keeper, message->value);
		break;
	default:
		break;
	}
}

static void on_closed(void *arg)
{
	struct keeper *keeper = arg;

	keeper_link_free(TAKE_PTR(keeper->link));
	kill_commands(keeper);
	/* Nobody ever asked for a sandbox, and nobody is left who could. */
	if (!keeper->assign)
		leave(keeper);
}

/* One daemon at a time: a new one has restarted. */
static void on_daemon(uv_poll_t *poll, int status, int events)
{
	static const struct keeper_link_events link_events = {
		.message = on_message,
		.closed = on_closed,
	};
	struct keeper *keeper = poll->data;
	int fd = accept4(KEEPER_LISTEN_FD, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (keeper->link)
		kill_commands(keeper);
	keeper_link_free(TAKE_PTR(keeper->link));
	if (keeper_link_new(&keeper->loop, fd, &link_events, keeper, &keeper->link))
		return;
	keeper_report(keeper);
	if (keeper->policy_version && keeper->sandbox)
		keeper_tell_policy(keeper, keeper->policy_version, NULL);
}

/* ---- what init says ---- */

void keeper_on_notice(uv_poll_t *poll, int status, int events)
{
	struct keeper *keeper = poll->data;
	struct init_notice notice;
	int fd, r;

	while ((r = launch_notice(&keeper->sandbox->launch, &notice, &fd)) > 0) {
		struct error err = {};

		if (notice.kind == INIT_NOTICE_ENDED)
			forget_command(keeper, notice.id);
		if (notice.error)
			error_set(&err, notice.error, "%s", notice.text);
		if (notice.error)
			tell_result(keeper,
				    notice.kind == INIT_NOTICE_ENDED ? KEEPER_ENDED
								     : KEEPER_CONNECTED,
				    notice.id, &err);
		else if (notice.kind == INIT_NOTICE_ENDED && keeper->link)
			keeper_link_send(keeper->link, KEEPER_ENDED, notice.id, notice.status, NULL,
					 NULL, 0);
		else if (notice.kind == INIT_NOTICE_CONNECTED && keeper->link)
			keeper_link_send(keeper->link, KEEPER_CONNECTED, notice.id, 0, NULL, &fd,
					 fd >= 0);
		safe_close(fd);
	}
	if (r < 0)
		uv_poll_stop(poll);
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

int keeper_main(const char *id, const char *directory)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	char name[32];

	if (!keeper)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	fcntl(KEEPER_LISTEN_FD, F_SETFD, FD_CLOEXEC);
	snprintf(name, sizeof(name), "keep %.8s", id);
	prctl(PR_SET_NAME, name, 0, 0, 0);
	keeper->id = id;
	keeper->directory = directory;
	keeper->log_fd[0] = keeper->log_fd[1] = -1;
	keeper->phase = PHASE(PROVISIONING);
	uv_loop_init(&keeper->loop);
	uv_timer_init(&keeper->loop, &keeper->deadline);
	keeper->deadline.data = keeper;
	uv_poll_init(&keeper->loop, &keeper->listen, KEEPER_LISTEN_FD);
	keeper->listen.data = keeper;
	uv_poll_start(&keeper->listen, UV_READABLE, on_daemon);
	uv_run(&keeper->loop, UV_RUN_DEFAULT);
	keeper_end_sandbox(keeper);
	keeper_terminal_free(keeper->terminal);
	keeper_link_free(keeper->link);
	uv_walk(&keeper->loop, close_handle, NULL);
	uv_run(&keeper->loop, UV_RUN_DEFAULT);
	uv_loop_close(&keeper->loop);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Commands in a sandbox, with or without a terminal; and the terminal of its main process. */
#include "common/cleanup.h"
#include "gateway/forward.h"
#include "gateway/handlers.h"
#include "gateway/relay_call.h"
#include "openshell.pb-c.h"

#include <errno.h>
#include <string.h>

#define COMMAND_MAX 4096
#define COLUMNS_MAX 10000

static int to_client(struct grpc_call *call, const Openshell__Node__V1__RelayFrame *frame)
{
	Openshell__V1__ExecSandboxEvent event = OPENSHELL__V1__EXEC_SANDBOX_EVENT__INIT;
	Openshell__V1__ExecSandboxStdout out = OPENSHELL__V1__EXEC_SANDBOX_STDOUT__INIT;
	Openshell__V1__ExecSandboxStderr error = OPENSHELL__V1__EXEC_SANDBOX_STDERR__INIT;

	switch (frame->payload_case) {
	case OPENSHELL__NODE__V1__RELAY_FRAME__PAYLOAD_DATA:
		out.data = frame->data;
		event.payload_case = OPENSHELL__V1__EXEC_SANDBOX_EVENT__PAYLOAD_STDOUT;
		event.stdout = &out;
		break;
	case OPENSHELL__NODE__V1__RELAY_FRAME__PAYLOAD_STDERR:
		error.data = frame->stderr;
		event.payload_case = OPENSHELL__V1__EXEC_SANDBOX_EVENT__PAYLOAD_STDERR;
		event.stderr = &error;
		break;
	default:
		return 0;
	}
	return grpc_call_send(call, &event.base);
}

static void exited(struct grpc_call *call, int exit_code)
{
	Openshell__V1__ExecSandboxEvent event = OPENSHELL__V1__EXEC_SANDBOX_EVENT__INIT;
	Openshell__V1__ExecSandboxExit exit = OPENSHELL__V1__EXEC_SANDBOX_EXIT__INIT;

	exit.exit_code = exit_code;
	event.payload_case = OPENSHELL__V1__EXEC_SANDBOX_EVENT__PAYLOAD_EXIT;
	event.exit = &exit;
	grpc_call_send(call, &event.base);
}

static int send_size(struct relay_call *relay, uint32_t columns, uint32_t rows)
{
	Openshell__Node__V1__RelayFrame frame = OPENSHELL__NODE__V1__RELAY_FRAME__INIT;
	Openshell__Node__V1__Resize resize = OPENSHELL__NODE__V1__RESIZE__INIT;

	resize.columns = columns;
	resize.rows = rows;
	frame.payload_case = OPENSHELL__NODE__V1__RELAY_FRAME__PAYLOAD_RESIZE;
	frame.resize = &resize;
	return relay_call_send(relay, &frame);
}

static int to_sandbox(struct relay_call *relay, const ProtobufCMessage *message, struct error *err)
{
	const Openshell__V1__ExecSandboxInput *input = (const void *)message;

	switch (input->payload_case) {
	case OPENSHELL__V1__EXEC_SANDBOX_INPUT__PAYLOAD_STDIN:
		return relay_call_send_data(relay, input->stdin.data, input->stdin.len);
	case OPENSHELL__V1__EXEC_SANDBOX_INPUT__PAYLOAD_RESIZE:
		if (input->resize->cols > COLUMNS_MAX || input->resize->rows > COLUMNS_MAX)
			return error_set(err, -EINVAL, "the terminal is too large");
		return send_size(relay, input->resize->cols, input->resize->rows);
	default:
		return error_set(err, -EINVAL, "`start` comes once, first");
	}
}

static int check(const Openshell__V1__ExecSandboxRequest *request, struct error *err)
{
	if (!*request->sandbox_id)
		return error_set(err, -EINVAL, "sandbox_id is missing");
	if (!request->n_command && !request->attach_main)
		return error_set(err, -EINVAL, "which command? it is missing");
	if (request->n_command > COMMAND_MAX || (request->n_command && !*request->command[0]))
		return error_set(err, -EINVAL, "the command is empty, or has too many words");
	if (*request->workdir && *request->workdir != '/')
		return error_set(err, -EINVAL, "workdir has to be absolute");
	if (request->cols > COLUMNS_MAX || request->rows > COLUMNS_MAX)
		return error_set(err, -EINVAL, "the terminal is too large");
	return 0;
}

static struct relay_call *start(struct request *request,
				const Openshell__V1__ExecSandboxRequest *exec,
				const struct relay_translation *translation)
{
	Openshell__Node__V1__OpenRelay open = OPENSHELL__NODE__V1__OPEN_RELAY__INIT;
	Openshell__Node__V1__Exec command = OPENSHELL__NODE__V1__EXEC__INIT;
	Openshell__Node__V1__Attach attach = OPENSHELL__NODE__V1__ATTACH__INIT;

	if (exec->attach_main) {
		attach.columns = exec->cols;
		attach.rows = exec->rows;
		open.target_case = OPENSHELL__NODE__V1__OPEN_RELAY__TARGET_ATTACH;
		open.attach = &attach;
	} else {
		command.command = exec->command;
		command.n_command = exec->n_command;
		command.workdir = exec->workdir;
		/* The entries look the same in memory. */
		command.environment =
			(Openshell__Node__V1__Exec__EnvironmentEntry **)exec->environment;
		command.n_environment = exec->n_environment;
		command.tty = exec->tty;
		command.columns = exec->cols;
		command.rows = exec->rows;
		command.timeout_seconds = exec->timeout_seconds;
		open.target_case = OPENSHELL__NODE__V1__OPEN_RELAY__TARGET_EXEC;
		open.exec = &command;
	}
	return relay_call_open(request, exec->sandbox_id, &open, translation);
}

static void exec(struct request *request)
{
	static const struct relay_translation translation = {
		.to_client = to_client,
		.exited = exited,
	};
	const Openshell__V1__ExecSandboxRequest *message = (const void *)request->message;
	struct relay_call *relay;
	struct error err = {};

	if (!check(message, &err) && message->attach_main)
		error_set(&err, -EINVAL, "attach_main is for ExecSandboxInteractive alone");
	if (err.code) {
		request_fail_error(request, &err);
		return;
	}
	relay = start(request, message, &translation);
	if (!relay)
		return;
	(void)relay_call_send_data(relay, message->stdin.data, message->stdin.len);
	(void)relay_call_send_end(relay);
}

static void exec_interactive(struct request *request)
{
	static const struct relay_translation translation = {
		.to_client = to_client,
		.to_sandbox = to_sandbox,
		.exited = exited,
	};
	const Openshell__V1__ExecSandboxInput *message = (const void *)request->message;
	struct relay_call *relay;
	struct error err = {};

	if (message->payload_case != OPENSHELL__V1__EXEC_SANDBOX_INPUT__PAYLOAD_START) {
		request_fail(request, GRPC_INVALID_ARGUMENT, "the first message is `start`");
		return;
	}
	if (check(message->start, &err)) {
		request_fail_error(request, &err);
		return;
	}
	relay = start(request, message->start, &translation);
	if (relay && message->start->stdin.len)
		(void)relay_call_send_data(relay, message->start->stdin.data,
					   message->start->stdin.len);
}

const struct handler exec_handlers[] = {
	{RPC_EXEC_SANDBOX, exec},
	{RPC_EXEC_SANDBOX_INTERACTIVE, exec_interactive},
	{RPC_FORWARD_TCP, forward_tcp},
	{},
};

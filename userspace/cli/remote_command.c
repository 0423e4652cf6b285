/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/remote_command.h"

#include "cli/terminal.h"
#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK	      32768
#define CTRL_P	      0x10
#define CTRL_Q	      0x11
#define VARIABLES_MAX 256

struct remote {
	struct client *client;
	const struct remote_command *command;
	struct grpc_call *call;
	uv_poll_t input;
	uv_idle_t source; /* input that is always there: files, functions */
	uv_signal_t winch;
	bool polls, idles, watches_size, input_over, waiting; /* waiting: the call is full */
	bool prefix;					      /* Ctrl-P was the last key */
	bool over, detached;
	int exit_status, code, write_error;
	bool exited;
	char text[1024];
};

/* ---- output ---- */

static int write_all(int fd, const uint8_t *data, size_t size)
{
	while (size) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

static void on_message(void *arg, struct grpc_call *call, const ProtobufCMessage *base)
{
	const Openshell__V1__ExecSandboxEvent *event = (const void *)base;
	struct remote *r = arg;
	int failed = 0;

	switch (event->payload_case) {
	case OPENSHELL__V1__EXEC_SANDBOX_EVENT__PAYLOAD_STDOUT:
		failed = r->command->write
				 ? r->command->write(r->command->arg, event->stdout->data.data,
						     event->stdout->data.len)
				 : write_all(STDOUT_FILENO, event->stdout->data.data,
					     event->stdout->data.len);
		break;
	case OPENSHELL__V1__EXEC_SANDBOX_EVENT__PAYLOAD_STDERR:
		failed =
			write_all(STDERR_FILENO, event->stderr->data.data, event->stderr->data.len);
		break;
	case OPENSHELL__V1__EXEC_SANDBOX_EVENT__PAYLOAD_EXIT:
		r->exited = true;
		r->exit_status = event->exit->exit_code;
		break;
	default:
		break;
	}
	if (failed) {
		r->write_error = failed;
		grpc_call_cancel(call);
	}
}

static void on_ended(void *arg, struct grpc_call *call, int code, const char *message)
{
	struct remote *r = arg;

	r->over = true;
	r->call = NULL;
	r->code = code;
	snprintf(r->text, sizeof(r->text), "%s", message);
}

/* ---- input ---- */

static void stop_input(struct remote *r)
{
	if (r->polls)
		uv_poll_stop(&r->input);
	if (r->idles)
		uv_idle_stop(&r->source);
}

static void input_poll(uv_poll_t *poll, int status, int events);
static void input_idle(uv_idle_t *idle);

static void start_input(struct remote *r)
{
	if (r->input_over || r->over)
		return;
	if (r->polls)
		uv_poll_start(&r->input, UV_READABLE, input_poll);
	if (r->idles)
		uv_idle_start(&r->source, input_idle);
}

static void end_input(struct remote *r)
{
	r->input_over = true;
	stop_input(r);
	if (r->call)
		grpc_call_half_close(r->call);
}

/* Ctrl-P Ctrl-Q is for us; whatever else follows Ctrl-P goes with it. */
static size_t look_for_detach(struct remote *r, uint8_t *data, size_t size)
{
	uint8_t out[CHUNK + 2];
	size_t n = 0;

	if (!r->command->attach || !terminal_is_raw())
		return size;
	for (size_t i = 0; i < size; i++) {
		if (r->prefix && data[i] == CTRL_Q) {
			r->detached = true;
			grpc_call_cancel(r->call);
			return 0;
		}
		if (r->prefix)
			out[n++] = CTRL_P;
		r->prefix = data[i] == CTRL_P;
		if (!r->prefix)
			out[n++] = data[i];
	}
	memcpy(data, out, n);
	return n;
}

static void send_input(struct remote *r)
{
	Openshell__V1__ExecSandboxInput message = OPENSHELL__V1__EXEC_SANDBOX_INPUT__INIT;
	uint8_t data[CHUNK + 2];
	ssize_t n = r->command->read ? r->command->read(r->command->arg, data, CHUNK)
				     : read(STDIN_FILENO, data, CHUNK);

	if (!r->call)
		return;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		end_input(r);
		return;
	}
	n = (ssize_t)look_for_detach(r, data, (size_t)n);
	if (!n || !r->call)
		return;
	message.payload_case = OPENSHELL__V1__EXEC_SANDBOX_INPUT__PAYLOAD_STDIN;
	message.stdin = (ProtobufCBinaryData){(size_t)n, data};
	if (grpc_call_send(r->call, &message.base) == 1)
		stop_input(r);
}

static void input_poll(uv_poll_t *poll, int status, int events)
{
	send_input(poll->data);
}

static void input_idle(uv_idle_t *idle)
{
	send_input(idle->data);
}

static void on_writable(void *arg, struct grpc_call *call)
{
	start_input(arg);
}

/* ---- the terminal ---- */

static void send_size(struct remote *r)
{
	Openshell__V1__ExecSandboxInput message = OPENSHELL__V1__EXEC_SANDBOX_INPUT__INIT;
	Openshell__V1__ExecSandboxWindowResize resize =
		OPENSHELL__V1__EXEC_SANDBOX_WINDOW_RESIZE__INIT;
	struct winsize size;

	if (!r->call || terminal_size(&size))
		return;
	resize.cols = size.ws_col;
	resize.rows = size.ws_row;
	message.payload_case = OPENSHELL__V1__EXEC_SANDBOX_INPUT__PAYLOAD_RESIZE;
	message.resize = &resize;
	grpc_call_send(r->call, &message.base);
}

static void on_winch(uv_signal_t *handle, int number)
{
	send_size(handle->data);
}

/* ---- start and end ---- */

static void send_start(struct remote *r)
{
	Openshell__V1__ExecSandboxInput message = OPENSHELL__V1__EXEC_SANDBOX_INPUT__INIT;
	Openshell__V1__ExecSandboxRequest start = OPENSHELL__V1__EXEC_SANDBOX_REQUEST__INIT;
	Openshell__V1__ExecSandboxRequest__EnvironmentEntry entries[VARIABLES_MAX],
		*list[VARIABLES_MAX];
	const struct option_strings *env = r->command->env;
	struct winsize size;

	start.sandbox_id = (char *)r->command->sandbox_id;
	start.command = (char **)r->command->argv;
	start.n_command = r->command->argc;
	start.workdir = r->command->workdir ? (char *)r->command->workdir : (char *)"";
	start.timeout_seconds = r->command->timeout_s;
	start.tty = r->command->tty;
	start.attach_main = r->command->attach;
	if ((start.tty || start.attach_main) && !terminal_size(&size)) {
		start.cols = size.ws_col;
		start.rows = size.ws_row;
	}
	for (size_t i = 0; env && i < env->len && i < VARIABLES_MAX; i++) {
		const char *value;

		openshell__v1__exec_sandbox_request__environment_entry__init(&entries[i]);
		entries[i].key = command_split(env->item[i], &value);
		entries[i].value = value ? (char *)value : (char *)"";
		list[start.n_environment++] = &entries[i];
	}
	start.environment = list;
	message.payload_case = OPENSHELL__V1__EXEC_SANDBOX_INPUT__PAYLOAD_START;
	message.start = &start;
	grpc_call_send(r->call, &message.base);
	for (size_t i = 0; i < start.n_environment; i++)
		free(entries[i].key);
}

/* epoll takes no files: they are always readable. */
static bool is_file(void)
{
	struct stat st;

	return fstat(STDIN_FILENO, &st) || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode);
}

static void prepare_input(struct remote *r)
{
	uv_loop_t *loop = &r->client->loop;

	if (r->command->no_input) {
		end_input(r);
		return;
	}
	if (r->command->read || is_file()) {
		uv_idle_init(loop, &r->source);
		r->source.data = r;
		r->idles = true;
	} else if (!uv_poll_init(loop, &r->input, STDIN_FILENO)) {
		r->input.data = r;
		r->polls = true;
	} else {
		/* Such as /dev/null: it does not wait either. */
		uv_idle_init(loop, &r->source);
		r->source.data = r;
		r->idles = true;
	}
	start_input(r);
}

static void close_handles(struct remote *r)
{
	if (r->polls)
		uv_close((uv_handle_t *)&r->input, NULL);
	if (r->idles)
		uv_close((uv_handle_t *)&r->source, NULL);
	if (r->watches_size)
		uv_close((uv_handle_t *)&r->winch, NULL);
	uv_run(&r->client->loop, UV_RUN_NOWAIT);
}

static int finish(struct remote *r, int *ret_exit)
{
	if (r->detached) {
		*ret_exit = REMOTE_DETACHED;
		return EXIT_DONE;
	}
	if (r->write_error == -EPIPE) {
		*ret_exit = 128 + SIGPIPE;
		return EXIT_DONE;
	}
	if (r->write_error)
		return command_fail(r->client->call, "cannot write the output: %s",
				    strerror(-r->write_error));
	if (r->code != GRPC_OK)
		return client_explain(r->client, r->code, r->text);
	if (!r->exited)
		return command_fail(r->client->call, "the gateway did not say how it ended");
	*ret_exit = r->exit_status;
	return EXIT_DONE;
}

int remote_command_run(struct client *client, const struct remote_command *command, int *ret_exit)
{
	static const struct grpc_call_events events = {
		.message = on_message,
		.writable = on_writable,
		.ended = on_ended,
	};
	struct remote r = {.client = client, .command = command};
	bool terminal = (command->tty || command->attach) && isatty(STDIN_FILENO) &&
			isatty(STDOUT_FILENO) && !command->read && !command->no_input;

	if (grpc_client_call(client->grpc, RPC_EXEC_SANDBOX_INTERACTIVE, NULL, 0, 0, &events, &r,
			     &r.call))
		return command_fail(client->call, "out of memory");
	send_start(&r);
	if (terminal) {
		(void)terminal_raw(STDIN_FILENO);
		uv_signal_init(&client->loop, &r.winch);
		r.winch.data = &r;
		r.watches_size = true;
		uv_signal_start(&r.winch, on_winch, SIGWINCH);
	}
	prepare_input(&r);
	while (!r.over)
		uv_run(&client->loop, UV_RUN_ONCE);
	stop_input(&r);
	close_handles(&r);
	terminal_restore();
	return finish(&r, ret_exit);
}

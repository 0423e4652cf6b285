/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sandbox_wait.h"

#include "cli/output.h"
#include "common/cleanup.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define POLL_FIRST_MS 5
#define POLL_LAST_MS  200

#define PHASE(name) OPENSHELL__V1__SANDBOX_PHASE__SANDBOX_PHASE_##name

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void sleep_ms(unsigned int ms)
{
	const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&time, NULL);
}

static const char *message_of(const Openshell__V1__Sandbox *sandbox)
{
	return sandbox->status->n_conditions ? sandbox->status->conditions[0]->message : "";
}

static void show(const char *text)
{
	static const char *const marks[] = {"|", "/", "-", "\\"};
	static unsigned int turn;

	fprintf(stderr, "\r%s %s\033[K", marks[turn++ % 4], text);
}

int sandbox_wait(struct client *client, const char *name, Openshell__V1__SandboxPhase phase,
		 Openshell__V1__SandboxResponse **ret_sandbox)
{
	bool terminal = isatty(STDERR_FILENO);
	uint64_t end = now_ms() + SANDBOX_WAIT_MS, begin = now_ms();
	unsigned int pause = POLL_FIRST_MS;

	for (;;) {
		Openshell__V1__SandboxResponse *response;
		Openshell__V1__SandboxPhase now;
		int r = client_sandbox(client, name, &response);

		if (r)
			return r;
		now = response->sandbox->status->phase;
		if (now == phase || now == PHASE(ERROR)) {
			bool failed = now != phase;
			bool exited = response->sandbox->status->optional_exit_code_case ==
				      OPENSHELL__V1__SANDBOX_STATUS__OPTIONAL_EXIT_CODE_EXIT_CODE;

			if (terminal && now_ms() - begin > 300)
				fputs("\r\033[K", stderr);
			/* A command that has run is no failure to start. */
			if (failed && !(exited && phase == PHASE(READY))) {
				_cleanup_free_ char *text =
					output_escape(message_of(response->sandbox));

				r = command_fail(client->call, "sandbox %s failed: %s", name,
						 text ? text : "");
			}
			if (!r && ret_sandbox)
				*ret_sandbox = response;
			else
				protobuf_c_message_free_unpacked(&response->base, NULL);
			return r;
		}
		if (terminal && now_ms() - begin > 300)
			show(output_enum(&openshell__v1__sandbox_phase__descriptor, (int)now,
					 "SANDBOX_PHASE_"));
		protobuf_c_message_free_unpacked(&response->base, NULL);
		if (now_ms() > end) {
			command_fail(client->call, "sandbox %s is not there after %d seconds", name,
				     SANDBOX_WAIT_MS / 1000);
			return EXIT_TIMEOUT;
		}
		sleep_ms(pause);
		pause = pause * 2 > POLL_LAST_MS ? POLL_LAST_MS : pause * 2;
	}
}

int sandbox_delete(struct client *client, const char *name)
{
	Openshell__V1__DeleteSandboxRequest request = OPENSHELL__V1__DELETE_SANDBOX_REQUEST__INIT;
	Openshell__V1__GetSandboxRequest get = OPENSHELL__V1__GET_SANDBOX_REQUEST__INIT;
	uint64_t end = now_ms() + SANDBOX_WAIT_MS;
	unsigned int pause = POLL_FIRST_MS;
	ProtobufCMessage *response;
	int r;

	request.name = get.name = (char *)name;
	request.workspace = get.workspace = (char *)client->workspace;
	r = client_unary(client, RPC_DELETE_SANDBOX, &request, &response);
	if (r)
		return r;
	protobuf_c_message_free_unpacked(response, NULL);
	for (;;) {
		struct error err = {};

		r = client_try(client, RPC_GET_SANDBOX, &get, &response, &err);
		if (r == GRPC_NOT_FOUND)
			return EXIT_DONE;
		if (r)
			return client_explain(client, r, err.message);
		protobuf_c_message_free_unpacked(response, NULL);
		if (now_ms() > end) {
			command_fail(client->call,
				     "sandbox %s is not gone after %d seconds; its "
				     "supervisor may not be attached",
				     name, SANDBOX_WAIT_MS / 1000);
			return EXIT_TIMEOUT;
		}
		sleep_ms(pause);
		pause = pause * 2 > POLL_LAST_MS ? POLL_LAST_MS : pause * 2;
	}
}

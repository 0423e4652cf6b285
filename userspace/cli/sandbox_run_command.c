/* SPDX-License-Identifier: Apache-2.0 */
/* openshell sandbox create, exec, connect. */
#include "cli/client.h"
#include "cli/output.h"
#include "cli/policy_file.h"
#include "cli/remote_command.h"
#include "cli/sandbox_transfer.h"
#include "cli/sandbox_wait.h"

#include "common/cleanup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENTRIES_MAX 256

static int load_policy(struct command_call *call,
		       Openshell__Sandbox__V1__SandboxPolicy **ret_policy)
{
	const char *file = call->o.policy ? call->o.policy : getenv("OPENSHELL_SANDBOX_POLICY");

	return file && *file ? policy_file_load(call, file, ret_policy) : EXIT_DONE;
}

/* What a CreateSandbox request points to. */
struct creation {
	Openshell__V1__CreateSandboxRequest request;
	Openshell__V1__SandboxSpec spec;
	Openshell__V1__SandboxTemplate template;
	Openshell__V1__ResourceRequirements resources;
	Openshell__V1__GpuResourceRequirements gpu;
	Openshell__V1__SandboxSpec__EnvironmentEntry env[ENTRIES_MAX], *env_list[ENTRIES_MAX];
	Openshell__V1__CreateSandboxRequest__LabelsEntry label[ENTRIES_MAX],
		*label_list[ENTRIES_MAX];
	Google__Protobuf__Struct limits;
	Google__Protobuf__Struct__FieldsEntry limit[2], *limit_list[2];
	Google__Protobuf__Value value[2];
};

static void set_limits(struct command_call *call, struct creation *c)
{
	const char *const names[] = {"cpu", "memory"};
	const char *const values[] = {call->o.cpu, call->o.memory};

	google__protobuf__struct__init(&c->limits);
	c->limits.fields = c->limit_list;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t n = c->limits.n_fields;

		if (!values[i])
			continue;
		google__protobuf__struct__fields_entry__init(&c->limit[n]);
		google__protobuf__value__init(&c->value[n]);
		c->value[n].kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
		c->value[n].string_value = (char *)values[i];
		c->limit[n].key = (char *)names[i];
		c->limit[n].value = &c->value[n];
		c->limit_list[c->limits.n_fields++] = &c->limit[n];
	}
	if (c->limits.n_fields)
		c->template.resources = &c->limits;
}

static int set_maps(struct command_call *call, struct creation *c)
{
	for (size_t i = 0; i < call->o.env.len; i++) {
		const char *value;

		openshell__v1__sandbox_spec__environment_entry__init(&c->env[i]);
		c->env[i].key = command_split(call->o.env.item[i], &value);
		if (!value)
			return command_usage(call, "--env %s: expected NAME=VALUE", c->env[i].key);
		c->env[i].value = (char *)value;
		c->env_list[i] = &c->env[i];
	}
	for (size_t i = 0; i < call->o.label.len; i++) {
		const char *value;

		openshell__v1__create_sandbox_request__labels_entry__init(&c->label[i]);
		c->label[i].key = command_split(call->o.label.item[i], &value);
		c->label[i].value = value ? (char *)value : (char *)"";
		c->label_list[i] = &c->label[i];
	}
	c->spec.environment = c->env_list;
	c->spec.n_environment = call->o.env.len;
	c->request.labels = c->label_list;
	c->request.n_labels = call->o.label.len;
	return EXIT_DONE;
}

static bool wants_tty(const struct command_call *call)
{
	if (call->o.no_tty)
		return false;
	return call->o.tty || !call->rest_count || (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));
}

static int build(struct command_call *call, const char *workspace, struct creation *c)
{
	openshell__v1__create_sandbox_request__init(&c->request);
	openshell__v1__sandbox_spec__init(&c->spec);
	openshell__v1__sandbox_template__init(&c->template);
	c->request.spec = &c->spec;
	c->request.name = call->o.name ? (char *)call->o.name : (char *)"";
	c->request.workspace = (char *)workspace;
	c->spec.template_ = &c->template;
	c->spec.command = call->rest;
	c->spec.n_command = (size_t)call->rest_count;
	c->spec.tty = wants_tty(call);
	c->spec.providers = (char **)call->o.provider.item;
	c->spec.n_providers = call->o.provider.len;
	if (call->o.from)
		c->template.image = (char *)call->o.from;
	if (call->o.gpu) {
		openshell__v1__resource_requirements__init(&c->resources);
		openshell__v1__gpu_resource_requirements__init(&c->gpu);
		c->resources.gpu = &c->gpu;
		c->spec.resource_requirements = &c->resources;
	}
	set_limits(call, c);
	return set_maps(call, c);
}

/* Attach to what runs there; the command's own exit status. */
static int attach(struct client *client, const Openshell__V1__Sandbox *sandbox, int *ret_exit)
{
	const struct remote_command command = {
		.sandbox_id = sandbox->metadata->id,
		.attach = true,
	};

	return remote_command_run(client, &command, ret_exit);
}

static int use(struct command_call *call, struct client *client, const char *name)
{
	Openshell__V1__SandboxResponse *ready = NULL;
	int r, status = EXIT_DONE;

	r = sandbox_wait(client, name, OPENSHELL__V1__SANDBOX_PHASE__SANDBOX_PHASE_READY, &ready);
	for (size_t i = 0; !r && i < call->o.upload.len; i++)
		r = sandbox_upload(client, ready->sandbox->metadata->id, call->o.upload.item[i]);
	if (r || call->o.detach) {
		if (!r && !output_message(call, &ready->base, &r))
			printf("%s\n", name);
	} else {
		r = attach(client, ready->sandbox, &status);
		if (!r && status == REMOTE_DETACHED) {
			fprintf(stderr, "\r\ndetached; openshell sandbox connect %s goes back\r\n",
				name);
			status = EXIT_DONE;
		} else if (!r && call->o.no_keep) {
			r = sandbox_delete(client, name);
		}
	}
	if (ready)
		protobuf_c_message_free_unpacked(&ready->base, NULL);
	return r ? r : status;
}

static int create(struct command_call *call)
{
	Openshell__V1__SandboxResponse *response;
	struct creation *c = calloc(1, sizeof(*c));
	struct client client;
	int r = c ? client_open(call, &client) : EXIT_FAILED;

	if (r) {
		free(c);
		return r;
	}
	r = build(call, client.workspace, c);
	if (!r)
		r = load_policy(call, &c->spec.policy);
	if (!r)
		r = client_unary(&client, RPC_CREATE_SANDBOX, &c->request,
				 (ProtobufCMessage **)&response);
	for (size_t i = 0; i < c->spec.n_environment; i++)
		free(c->env[i].key);
	for (size_t i = 0; i < c->request.n_labels; i++)
		free(c->label[i].key);
	if (c->spec.policy)
		protobuf_c_message_free_unpacked(&c->spec.policy->base, NULL);
	free(c);
	if (!r) {
		if (!call->o.detach && isatty(STDERR_FILENO))
			fprintf(stderr, "sandbox %s\n", response->sandbox->metadata->name);
		r = use(call, &client, response->sandbox->metadata->name);
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return r;
}

static int exec(struct command_call *call)
{
	Openshell__V1__SandboxResponse *response;
	struct remote_command command = {
		.argv = call->rest,
		.argc = (size_t)call->rest_count,
		.workdir = call->o.workdir,
		.env = &call->o.env,
	};
	const char *name = call->o.name ? call->o.name : call->count ? call->words[0] : NULL;
	unsigned long timeout = 0;
	struct client client;
	int r, status = EXIT_DONE;

	if (!name || !call->rest_count)
		return command_usage(call, "expected -n NAME -- COMMAND");
	r = command_number(call, "timeout", call->o.timeout, 1000000, &timeout);
	if (!r)
		r = client_open(call, &client);
	if (r)
		return r;
	command.timeout_s = (uint32_t)timeout;
	command.tty =
		call->o.tty || (!call->o.no_tty && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));
	r = client_sandbox(&client, name, &response);
	if (!r) {
		command.sandbox_id = response->sandbox->metadata->id;
		r = remote_command_run(&client, &command, &status);
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return r ? r : status;
}

static int connect_command(struct command_call *call)
{
	Openshell__V1__SandboxResponse *response;
	struct client client;
	int r = client_open(call, &client), status = EXIT_DONE;

	if (r)
		return r;
	r = client_sandbox(&client, call->words[0], &response);
	if (!r) {
		r = attach(&client, response->sandbox, &status);
		if (!r && status == REMOTE_DETACHED) {
			fputs("\r\ndetached\r\n", stderr);
			status = EXIT_DONE;
		}
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return r ? r : status;
}

static const struct option_row create_rows[] = {
	ROW_STRING("name", 'n', name, "NAME", "its name; default: two words"),
	ROW_STRING("from", 0, from, "IMAGE", "its root: a directory, or oci:DIRECTORY[:TAG]"),
	ROW_STRING("policy", 'p', policy, "FILE", "its policy (OPENSHELL_SANDBOX_POLICY)"),
	ROW_STRINGS("provider", 0, provider, "NAME", "a provider that it gets; may be repeated"),
	ROW_STRINGS("env", 'e', env, "NAME=VALUE", "a variable; may be repeated"),
	ROW_STRINGS("label", 'l', label, "KEY=VALUE", "a label; may be repeated"),
	ROW_STRING("gpu", 0, gpu, "N", "with the host's GPUs"),
	ROW_STRING("cpu", 0, cpu, "N", "processors, such as 1.5"),
	ROW_STRING("memory", 0, memory, "SIZE", "memory, such as 2G"),
	ROW_STRINGS("upload", 0, upload, "LOCAL[:REMOTE]", "files for it; may be repeated"),
	ROW_STRING("approval-mode", 0, approval_mode, "manual|auto", "of proposed rules"),
	ROW_FLAG("detach", 'd', detach, "do not attach to it"),
	ROW_FLAG("no-keep", 0, no_keep, "delete it when its command has ended"),
	ROW_FLAG("tty", 't', tty, "its command has a terminal"),
	ROW_FLAG("no-tty", 0, no_tty, "its command has none"),
};

static const struct option_row exec_rows[] = {
	ROW_STRING("name", 'n', name, "NAME", "which sandbox"),
	ROW_STRING("workdir", 'w', workdir, "DIR", "where; default: /sandbox"),
	ROW_STRING("timeout", 0, timeout, "SECONDS", "kill it then: exit status 124"),
	ROW_STRINGS("env", 'e', env, "NAME=VALUE", "a variable; may be repeated"),
	ROW_FLAG("tty", 't', tty, "with a terminal"),
	ROW_FLAG("no-tty", 0, no_tty, "without one"),
};

const struct command sandbox_run_commands[] = {
	{"sandbox", "create", NULL, 0, 0, create, "make a sandbox and run a command in it",
	 ROWS(create_rows), .takes_rest = true},
	{"sandbox", "exec", NULL, 0, 1, exec, "run a further command", ROWS(exec_rows),
	 .takes_rest = true},
	{"sandbox", "connect", "NAME", 1, 1, connect_command,
	 "attach to its main process; Ctrl-P Ctrl-Q leaves it", NO_ROWS},
	{},
};

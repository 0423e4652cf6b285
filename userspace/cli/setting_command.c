/* SPDX-License-Identifier: Apache-2.0 */
/* openshell settings get, set, delete. */
#include "cli/client.h"
#include "cli/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_value(const char *key, const Openshell__Sandbox__V1__SettingValue *value,
			const char *scope)
{
	switch (value->value_case) {
	case OPENSHELL__SANDBOX__V1__SETTING_VALUE__VALUE_STRING_VALUE:
		printf("%s=%s%s\n", key, value->string_value, scope);
		break;
	case OPENSHELL__SANDBOX__V1__SETTING_VALUE__VALUE_BOOL_VALUE:
		printf("%s=%s%s\n", key, value->bool_value ? "true" : "false", scope);
		break;
	case OPENSHELL__SANDBOX__V1__SETTING_VALUE__VALUE_INT_VALUE:
		printf("%s=%lld%s\n", key, (long long)value->int_value, scope);
		break;
	default:
		break;
	}
}

static int get_global(struct client *client)
{
	Openshell__Sandbox__V1__GetGatewayConfigRequest request =
		OPENSHELL__SANDBOX__V1__GET_GATEWAY_CONFIG_REQUEST__INIT;
	Openshell__Sandbox__V1__GetGatewayConfigResponse *response;
	int r = client_unary(client, RPC_GET_GATEWAY_CONFIG, &request,
			     (ProtobufCMessage **)&response);

	if (r)
		return r;
	if (!output_message(client->call, &response->base, &r))
		for (size_t i = 0; i < response->n_settings; i++)
			print_value(response->settings[i]->key, response->settings[i]->value, "");
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return r;
}

static int get_sandbox(struct client *client, const char *name)
{
	Openshell__Sandbox__V1__GetSandboxConfigRequest request =
		OPENSHELL__SANDBOX__V1__GET_SANDBOX_CONFIG_REQUEST__INIT;
	Openshell__Sandbox__V1__GetSandboxConfigResponse *response;
	Openshell__V1__SandboxResponse *sandbox;
	int r = client_sandbox(client, name, &sandbox);

	if (r)
		return r;
	request.sandbox_id = sandbox->sandbox->metadata->id;
	r = client_unary(client, RPC_GET_SANDBOX_CONFIG, &request, (ProtobufCMessage **)&response);
	protobuf_c_message_free_unpacked(&sandbox->base, NULL);
	if (r)
		return r;
	if (!output_message(client->call, &response->base, &r))
		for (size_t i = 0; i < response->n_settings; i++)
			print_value(
				response->settings[i]->key, response->settings[i]->value->value,
				response->settings[i]->value->scope ==
						OPENSHELL__SANDBOX__V1__SETTING_SCOPE__SETTING_SCOPE_GLOBAL
					? " (global)"
					: "");
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return r;
}

static int get(struct command_call *call)
{
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	r = call->count ? get_sandbox(&client, call->words[0]) : get_global(&client);
	client_close(&client);
	return r;
}

static int change(struct command_call *call, Openshell__Sandbox__V1__SettingValue *value)
{
	Openshell__V1__UpdateConfigRequest request = OPENSHELL__V1__UPDATE_CONFIG_REQUEST__INIT;
	Openshell__V1__UpdateConfigResponse *response;
	struct client client;
	int r;

	if (!call->o.key)
		return command_usage(call, "--key is missing");
	if (!call->count == !call->o.global)
		return command_usage(call, "expected a sandbox's name, or --global");
	if (call->o.global && !output_confirm("Change it for all sandboxes?", call->o.yes))
		return command_fail(call, "not confirmed: give --yes");
	r = client_open(call, &client);
	if (r)
		return r;
	request.name = call->count ? call->words[0] : (char *)"";
	request.global = call->o.global;
	request.setting_key = (char *)call->o.key;
	request.setting_value = value;
	request.delete_setting = !value;
	request.workspace = (char *)client.workspace;
	r = client_unary(&client, RPC_UPDATE_CONFIG, &request, (ProtobufCMessage **)&response);
	if (!r) {
		puts(value ? "set" : response->deleted ? "deleted" : "there was none");
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return r;
}

static int set(struct command_call *call)
{
	Openshell__Sandbox__V1__SettingValue value = OPENSHELL__SANDBOX__V1__SETTING_VALUE__INIT;
	const char *text = call->o.value;

	if (!text)
		return command_usage(call, "--value is missing");
	if (!strcmp(text, "true") || !strcmp(text, "false")) {
		value.value_case = OPENSHELL__SANDBOX__V1__SETTING_VALUE__VALUE_BOOL_VALUE;
		value.bool_value = *text == 't';
	} else {
		value.value_case = OPENSHELL__SANDBOX__V1__SETTING_VALUE__VALUE_STRING_VALUE;
		value.string_value = (char *)text;
	}
	return change(call, &value);
}

static int delete (struct command_call *call)
{
	return change(call, NULL);
}

static const struct option_row get_rows[] = {
	ROW_FLAG("global", 0, global, "those for all sandboxes"),
};

static const struct option_row rows[] = {
	ROW_STRING("key", 0, key, "KEY", "which setting"),
	ROW_STRING("value", 0, value, "VALUE", "its value"),
	ROW_FLAG("global", 0, global, "for all sandboxes"),
	ROW_FLAG("yes", 'y', yes, "do not ask"),
};

const struct command setting_commands[] = {
	{"settings", "get", "NAME|--global", 0, 1, get, "print settings", ROWS(get_rows)},
	{"settings", "set", "[NAME]", 0, 1, set, "change one", ROWS(rows)},
	{"settings", "delete", "[NAME]", 0, 1, delete, "go back to the default", ROWS(rows)},
	{},
};

/* SPDX-License-Identifier: Apache-2.0 */
/* openshell provider profile export, delete. */
#include "cli/client.h"
#include "cli/message_json.h"

#include "common/cleanup.h"
#include "common/yaml_text.h"

#include <stdio.h>
#include <stdlib.h>

static int export_profile(struct command_call *call)
{
	Openshell__V1__GetProviderProfileRequest request =
		OPENSHELL__V1__GET_PROVIDER_PROFILE_REQUEST__INIT;
	Openshell__V1__ProviderProfileResponse *response;
	_cleanup_free_ char *text = NULL;
	struct client client;
	json_t *json;
	int r = client_open(call, &client);

	if (r)
		return r;
	request.id = call->words[0];
	request.workspace = (char *)client.workspace;
	r = client_unary(&client, RPC_GET_PROVIDER_PROFILE, &request,
			 (ProtobufCMessage **)&response);
	if (!r) {
		json = message_to_json(&response->profile->base);
		if (!json || yaml_text_of_json(json, &text))
			r = command_fail(call, "the profile cannot be printed");
		else
			fputs(text, stdout);
		json_decref(json);
		protobuf_c_message_free_unpacked(&response->base, NULL);
	}
	client_close(&client);
	return r;
}

static int delete (struct command_call *call)
{
	Openshell__V1__DeleteProviderProfileRequest request =
		OPENSHELL__V1__DELETE_PROVIDER_PROFILE_REQUEST__INIT;
	ProtobufCMessage *response;
	struct client client;
	int r = client_open(call, &client);

	if (r)
		return r;
	request.id = call->words[0];
	request.workspace = (char *)client.workspace;
	r = client_unary(&client, RPC_DELETE_PROVIDER_PROFILE, &request, &response);
	if (!r) {
		printf("deleted %s\n", call->words[0]);
		protobuf_c_message_free_unpacked(response, NULL);
	}
	client_close(&client);
	return r;
}

const struct command profile_commands[] = {
	{"provider", "profile export", "ID", 1, 1, export_profile, "print a profile", NO_ROWS},
	{"provider", "profile delete", "ID", 1, 1, delete, "delete one that was imported", NO_ROWS},
	{},
};

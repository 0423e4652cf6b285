/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of any bytes through everything that reads them: decoding, the line, the JSON object, the
 * lines of policy. What comes out must be one line and valid JSON.
 */
#include "common/event_grants.h"
#include "common/event_line.h"
#include "common/event_ocsf.h"
#include "common/event_yaml.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *name_of(const void *arg, const uint8_t address[16])
{
	return address[15] & 1 ? "name.example" : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static Openshell__Compiled__V1__Endpoint endpoint = OPENSHELL__COMPILED__V1__ENDPOINT__INIT;
	static Openshell__Compiled__V1__PathRule rule = OPENSHELL__COMPILED__V1__PATH_RULE__INIT;
	static Openshell__Compiled__V1__CompiledPolicy policy =
		OPENSHELL__COMPILED__V1__COMPILED_POLICY__INIT;
	Openshell__Compiled__V1__Endpoint *endpoints[] = {&endpoint};
	Openshell__Compiled__V1__PathRule *rules[] = {&rule};
	struct event_context ctx = {.sandbox = "fuzz", .policy = &policy, .name = name_of};
	static struct event event;
	static char line[EVENT_LINE_SIZE];
	struct event_grants grants = {0};
	struct text t;
	json_t *root;
	char *json, *yaml = NULL;
	size_t yaml_len;
	FILE *out;

	endpoint.rule = (char *)"rule";
	endpoint.host = (char *)"host.example";
	rule.path = (char *)"/srv";
	rule.access = OPENSHELL__COMPILED__V1__PATH_ACCESS__PATH_ACCESS_DENY;
	policy.n_endpoints = 1;
	policy.endpoints = endpoints;
	policy.n_paths = 1;
	policy.paths = rules;
	if (event_decode(data, size, &ctx, &event) < 0)
		return 0;

	text_init(&t, line, sizeof(line));
	event_line(&event, false, &t);
	for (size_t i = 0; i < t.len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			abort();

	json = event_ocsf(&event);
	root = json ? json_loads(json, JSON_REJECT_DUPLICATES, NULL) : NULL;
	if (!root || strchr(json, '\n'))
		abort();
	json_decref(root);
	free(json);

	/* Names without a mount are no paths: pretend they are, to reach the policy's lines. */
	event.exe_state = event.path_state = EVENT_PATH_FULL;
	memmove(event.path, "/", 1);
	event_grants_add(&grants, &event);
	event_grants_collapse(&grants, 0, 1);
	out = open_memstream(&yaml, &yaml_len);
	event_yaml_print(&grants, 8, out);
	fclose(out);
	free(yaml);
	event_grants_free(&grants);
	return 0;
}

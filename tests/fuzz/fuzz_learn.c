/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A base policy of any bytes, with grants merged into it: what comes out can be read again, and
 * where the base is a policy it is one too.
 */
#include "common/event_yaml.h"
#include "common/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int r)
{
	if (r < 0)
		abort();
}

static void dropped(void *arg, const struct event_grant_endpoint *endpoint)
{
	(*(size_t *)arg)++;
}

static void learn_names(const char *base, size_t size)
{
	static const char *const hosts[] = {"192.0.2.1", "api.example.com", "null"};
	struct event_grant_endpoint endpoint[3];
	struct event_grants grants = {.endpoint = endpoint, .endpoints = 3};
	size_t drops = 0, len;
	const struct event_yaml_sink sink = {dropped, &drops};
	struct policy *policy;
	char *text = NULL;
	int r;

	if (policy_load_buffer("base", base, size, &policy, NULL, NULL) < 0)
		return;
	policy_free(policy);
	for (size_t i = 0; i < 3; i++)
		endpoint[i] = (struct event_grant_endpoint){.exe = strdup("/usr/bin/curl"),
							    .host = strdup(hosts[i]),
							    .rule = strdup(i ? "r" : ""),
							    .port = 443};
	r = event_yaml_merge_valid(base, size, &grants, &sink, &text, &len, NULL);
	/* The base's own paths are not in these grants, so it may have none that it needs. */
	if (r && r != -EBADMSG && r != -E2BIG)
		abort();
	if (drops + grants.endpoints != 3)
		abort();
	if (!r) {
		must(policy_load_buffer("learned", text, len, &policy, NULL, NULL));
		policy_free(policy);
	}
	free(text);
	for (size_t i = 0; i < grants.endpoints; i++) {
		free(endpoint[i].exe);
		free(endpoint[i].host);
		free(endpoint[i].rule);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct event_yaml_base base, again;
	struct event_grants grants = {0};
	struct event_grant_endpoint endpoint = {
		.exe = (char *)"/usr/bin/curl",
		.host = (char *)"192.0.2.1",
		.rule = (char *)"r",
		.port = 443,
	};
	char *program = (char *)"/opt/tool";
	char *text = NULL;
	size_t len;

	learn_names((const char *)data, size);
	if (event_yaml_read((const char *)data, size, &base, NULL) < 0)
		return 0;
	for (size_t i = 0; i < base.paths.paths; i++)
		if (base.paths.path[i].path[0] != '/')
			abort();
	must(event_grants_add_path(&grants, "/srv/a", OS_RIGHT_READ, false));
	must(event_grants_add_path(&grants, "/srv/b", OS_RIGHT_WRITE, false));
	grants.endpoint = &endpoint;
	grants.endpoints = 1;
	grants.program = &program;
	grants.programs = 1;
	if (event_yaml_merge((const char *)data, size, &grants, &text, &len, NULL) == 0) {
		must(event_yaml_read(text, len, &again, NULL));
		if (!event_grants_at(&again.paths, "/srv/a") || !again.exec_allow)
			abort();
		event_yaml_base_free(&again);
	}
	free(text);
	grants.endpoint = NULL;
	grants.endpoints = 0;
	grants.program = NULL;
	grants.programs = 0;
	event_grants_free(&grants);
	event_yaml_base_free(&base);
	return 0;
}

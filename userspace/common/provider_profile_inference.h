/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The section `inference` of a provider's profile: how a route of inference.local reaches the
 * service (docs/inference.md). Part of a struct provider_profile; constant after loading; any
 * thread.
 */
#pragma once

#include "common/policy_fields.h"

#define PROFILE_HEADERS_MAX 16 /* of each list */

/* How a key is shown to a service. The order is that of profile_words_auth. */
enum profile_auth {
	PROFILE_AUTH_BEARER = 1, /* authorization: Bearer KEY */
	PROFILE_AUTH_X_API_KEY,
	PROFILE_AUTH_API_KEY,
	PROFILE_AUTH_SIGV4, /* AWS Signature Version 4 */
	PROFILE_AUTH_NONE,
};

enum profile_dialect {
	PROFILE_DIALECT_OPENAI = 1, /* Anthropic's too: the agent's path and body as they are */
	PROFILE_DIALECT_BEDROCK,
	PROFILE_DIALECT_VERTEX, /* one for Claude, another for all other models */
};

/* When there may be no key. */
enum profile_keyless {
	PROFILE_KEYLESS_LOOPBACK = 1, /* at a base URL on this host */
	PROFILE_KEYLESS_BASE_URL,     /* at every base URL that is not the profile's own */
};

/* One way to show who asks; the first whose credential there is counts. */
struct profile_inference_key {
	struct policy_head head;
	struct policy_string credential; /* of the profile; of sigv4 the access key's */
	struct policy_enum auth;	 /* absent = bearer */
};

struct profile_header {
	struct policy_head head;
	struct policy_string name, value;
};

struct profile_inference {
	struct policy_head head;
	struct policy_string base_url;	     /* may have {region}; absent = has to be given */
	struct policy_strings base_url_env;  /* the caller's variables, tried before it */
	struct policy_string base_path;	     /* of a base URL without a path: "/v1" */
	struct policy_bool base_path_always; /* put it behind any path that does not end so */
	struct policy_strings region_env, project_env;
	struct policy_list keys; /* of struct profile_inference_key */
	struct policy_enum keyless, dialect;
	struct policy_strings apis;
	struct policy_list headers;  /* of struct profile_header: set always */
	struct policy_list defaults; /* where the agent sent none */
	struct policy_strings pass;  /* of the agent's */
};

extern const struct policy_object profile_object_inference;
extern const char *const profile_words_auth[];
/* By the number of InferenceApi, less one. */
extern const char *const profile_words_api[];

struct provider_profile;

void profile_check_inference(const struct provider_profile *profile, struct diagnostics *diag);

/* The API's number, or 0 with an error at its place. */
int profile_api(const struct policy_string *word, struct diagnostics *diag);

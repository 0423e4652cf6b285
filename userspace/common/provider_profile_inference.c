/* SPDX-License-Identifier: Apache-2.0 */
#include "common/provider_profile_inference.h"
#include "common/cleanup.h"
#include "common/inference_url.h"
#include "common/policy_words.h"
#include "common/provider_profile.h"

#include <string.h>

#define AT(type, member) .offset = offsetof(struct type, member)

const char *const profile_words_auth[] = {"bearer", "x-api-key", "api-key", "sigv4", "none", NULL};
const char *const profile_words_api[] = {"chat_completions", "completions", "responses",
					 "embeddings",	     "messages",    "bedrock_invoke",
					 "models",	     NULL};
static const char *const words_key_auth[] = {"bearer", "x-api-key", "api-key", "sigv4", NULL};
static const char *const words_dialect[] = {"openai", "bedrock", "vertex", NULL};
static const char *const words_keyless[] = {"loopback", "base_url", NULL};

static const struct policy_object object_key = {
	.name = "a key",
	.size = sizeof(struct profile_inference_key),
	.is_foreign = true,
	.fields = (const struct policy_field[]){{.name = "credential",
						 .kind = POLICY_KIND_STRING,
						 AT(profile_inference_key, credential),
						 .flags = POLICY_FIELD_REQUIRED},
						{.name = "auth",
						 .kind = POLICY_KIND_ENUM,
						 AT(profile_inference_key, auth),
						 .words = words_key_auth},
						{}}};

static const struct policy_object object_header = {
	.name = "a header",
	.size = sizeof(struct profile_header),
	.is_foreign = true,
	.fields = (const struct policy_field[]){{.name = "name",
						 .kind = POLICY_KIND_STRING,
						 AT(profile_header, name),
						 .flags = POLICY_FIELD_REQUIRED},
						{.name = "value",
						 .kind = POLICY_KIND_STRING,
						 AT(profile_header, value),
						 .flags = POLICY_FIELD_REQUIRED},
						{}}};

const struct policy_object profile_object_inference = {
	.name = "'inference'",
	.size = sizeof(struct profile_inference),
	.is_foreign = true,
	.fields = (const struct policy_field[]){
		{.name = "base_url", .kind = POLICY_KIND_STRING, AT(profile_inference, base_url)},
		{.name = "base_url_env",
		 .kind = POLICY_KIND_STRINGS,
		 AT(profile_inference, base_url_env)},
		{.name = "base_path", .kind = POLICY_KIND_STRING, AT(profile_inference, base_path)},
		{.name = "base_path_always",
		 .kind = POLICY_KIND_BOOL,
		 AT(profile_inference, base_path_always)},
		{.name = "region_env",
		 .kind = POLICY_KIND_STRINGS,
		 AT(profile_inference, region_env)},
		{.name = "project_env",
		 .kind = POLICY_KIND_STRINGS,
		 AT(profile_inference, project_env)},
		{.name = "keys",
		 .kind = POLICY_KIND_LIST,
		 AT(profile_inference, keys),
		 .object = &object_key},
		{.name = "keyless",
		 .kind = POLICY_KIND_ENUM,
		 AT(profile_inference, keyless),
		 .words = words_keyless},
		{.name = "dialect",
		 .kind = POLICY_KIND_ENUM,
		 AT(profile_inference, dialect),
		 .words = words_dialect},
		{.name = "apis",
		 .kind = POLICY_KIND_STRINGS,
		 AT(profile_inference, apis),
		 .flags = POLICY_FIELD_REQUIRED | POLICY_FIELD_NOT_EMPTY,
		 .note = "a service answers something"},
		{.name = "headers",
		 .kind = POLICY_KIND_LIST,
		 AT(profile_inference, headers),
		 .object = &object_header},
		{.name = "defaults",
		 .kind = POLICY_KIND_LIST,
		 AT(profile_inference, defaults),
		 .object = &object_header},
		{.name = "pass", .kind = POLICY_KIND_STRINGS, AT(profile_inference, pass)},
		{}}};

/* What frames a message is the proxy's own; what identifies somebody is never the agent's. */
static bool is_reserved(const char *name, bool of_agent)
{
	static const char *const framing[] = {"host",
					      "content-length",
					      "transfer-encoding",
					      "connection",
					      "keep-alive",
					      "te",
					      "trailer",
					      "upgrade",
					      "expect",
					      "content-encoding",
					      "accept-encoding",
					      NULL};
	static const char *const identity[] = {"authorization", "proxy-authorization",	"x-api-key",
					       "api-key",	"x-goog-api-key",	"cookie",
					       "forwarded",	"x-amz-security-token", NULL};

	for (size_t i = 0; framing[i]; i++)
		if (!strcmp(framing[i], name))
			return true;
	for (size_t i = 0; of_agent && identity[i]; i++)
		if (!strcmp(identity[i], name))
			return true;
	return false;
}

static void check_name(const struct policy_string *name, bool of_agent, struct diagnostics *diag)
{
	const char *value = name->value;

	if (!value)
		return;
	if (!*value || strlen(value) > 64 ||
	    value[strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-_")])
		policy_error(diag, name->at, "profile.header",
			     "'%s' is no header's name: lower-case letters, digits, '-' and '_', "
			     "at most 64",
			     value);
	else if (is_reserved(value, of_agent))
		policy_error(diag, name->at, "profile.header", "header '%s' cannot be %s", value,
			     of_agent ? "passed on" : "set");
}

static void check_headers(const struct policy_list *list, struct diagnostics *diag)
{
	const struct profile_header *headers = list->items;

	if (list->count > PROFILE_HEADERS_MAX)
		policy_error(diag, list->at, "profile.header", "%zu headers: at most %d",
			     list->count, PROFILE_HEADERS_MAX);
	for (size_t i = 0; i < list->count; i++) {
		const char *value = headers[i].value.value;
		size_t len = value ? strlen(value) : 0;

		check_name(&headers[i].name, false, diag);
		if (len > 1024 || (len && (value[0] == ' ' || value[len - 1] == ' ')))
			policy_error(diag, headers[i].value.at, "profile.header",
				     "a header's value has at most 1024 bytes and no space around "
				     "it");
		for (size_t j = 0; j < len; j++)
			if (value[j] < ' ' || value[j] > '~') {
				policy_error(diag, headers[i].value.at, "profile.header",
					     "a header's value is printable ASCII");
				break;
			}
	}
}

/* The URL and path that would come of some region and project. */
static void check_base(const struct profile_inference *inference, struct diagnostics *diag)
{
	char url[INFERENCE_URL_MAX + 1], path[INFERENCE_URL_MAX + 1];
	struct inference_url parsed;
	const char *why;

	if (inference->base_url.value) {
		if (inference_url_fill(inference->base_url.value, "r1", "p1", url) < 0)
			policy_error(diag, inference->base_url.at, "profile.base_url",
				     "'base_url' is longer than %d bytes", INFERENCE_URL_MAX);
		else if (inference_url_parse(url, &parsed, &why) < 0)
			policy_error(diag, inference->base_url.at, "profile.base_url",
				     "base_url '%s' is refused: %s", inference->base_url.value,
				     why);
	}
	if (!inference->base_path.value)
		return;
	if (inference_url_fill(inference->base_path.value, "r1", "p1", path) < 0 ||
	    snprintf(url, sizeof(url), "https://host.example%s", path) >= (int)sizeof(url) ||
	    path[0] != '/' || inference_url_parse(url, &parsed, &why) < 0)
		policy_error(diag, inference->base_path.at, "profile.base_path",
			     "'base_path' must be a path such as /v1, not '%s'",
			     inference->base_path.value);
}

static void check_variables(const struct policy_strings *names, struct diagnostics *diag)
{
	if (names->count > PROFILE_VARIABLES_MAX)
		policy_error(diag, names->at, "profile.variable", "%zu variables: at most %d",
			     names->count, PROFILE_VARIABLES_MAX);
	for (size_t i = 0; i < names->count; i++)
		if (!provider_key_is_valid(names->items[i].value))
			policy_error(diag, names->items[i].at, "profile.variable",
				     "'%s' cannot name a variable", names->items[i].value);
}

static void check_keys(const struct provider_profile *profile, struct diagnostics *diag)
{
	const struct profile_inference *inference = &profile->inference;
	const struct profile_inference_key *keys = inference->keys.items;

	for (size_t i = 0; i < inference->keys.count; i++) {
		if (keys[i].credential.value &&
		    !profile_credential(profile, keys[i].credential.value))
			policy_error(diag, keys[i].credential.at, "profile.inference",
				     "the profile has no credential '%s'",
				     keys[i].credential.value);
		if (keys[i].auth.value == PROFILE_AUTH_SIGV4 &&
		    (inference->dialect.value != PROFILE_DIALECT_BEDROCK ||
		     !profile_credential(profile, "AWS_ACCESS_KEY_ID") ||
		     !profile_credential(profile, "AWS_SECRET_ACCESS_KEY")))
			policy_error(diag, keys[i].auth.at, "profile.inference",
				     "sigv4 needs 'dialect: bedrock' and the credentials "
				     "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
	}
	if (!inference->keys.count && inference->keyless.value != PROFILE_KEYLESS_BASE_URL)
		policy_error(diag, inference->head.at, "profile.inference",
			     "'inference' needs 'keys', or 'keyless: base_url'");
}

int profile_api(const struct policy_string *word, struct diagnostics *diag)
{
	const char *near;

	if (!word->value)
		return 0;
	for (int i = 0; profile_words_api[i]; i++)
		if (!strcmp(profile_words_api[i], word->value))
			return i + 1;
	near = policy_word_nearest(word->value, profile_words_api);
	policy_error(diag, word->at, "inference.api",
		     "there is no API '%s'%s%s%s; it is one of: chat_completions, completions, "
		     "responses, embeddings, messages, bedrock_invoke, models",
		     word->value, near ? " (did you mean '" : "", near ? near : "",
		     near ? "'?)" : "");
	return 0;
}

void profile_check_inference(const struct provider_profile *profile, struct diagnostics *diag)
{
	const struct profile_inference *inference = &profile->inference;

	if (!policy_given(inference->head))
		return;
	check_base(inference, diag);
	check_variables(&inference->base_url_env, diag);
	check_variables(&inference->region_env, diag);
	check_variables(&inference->project_env, diag);
	check_keys(profile, diag);
	for (size_t i = 0; i < inference->apis.count; i++)
		profile_api(&inference->apis.items[i], diag);
	check_headers(&inference->headers, diag);
	check_headers(&inference->defaults, diag);
	if (inference->pass.count > PROFILE_HEADERS_MAX)
		policy_error(diag, inference->pass.at, "profile.header", "%zu headers: at most %d",
			     inference->pass.count, PROFILE_HEADERS_MAX);
	for (size_t i = 0; i < inference->pass.count; i++)
		check_name(&inference->pass.items[i], true, diag);
}

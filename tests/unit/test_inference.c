/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/inference.h"

#include "common/cleanup.h"
#include "inference_fixture.h"

static const struct {
	const char *method, *path;
	int r;
	inference_api api;
	const char *id;
} calls[] = {
	{"POST", "/v1/chat/completions", 0, API(CHAT_COMPLETIONS), ""},
	{"POST", "/v1/completions", 0, API(COMPLETIONS), ""},
	{"POST", "/v1/responses", 0, API(RESPONSES), ""},
	{"POST", "/v1/embeddings", 0, API(EMBEDDINGS), ""},
	{"POST", "/v1/messages", 0, API(MESSAGES), ""},
	{"POST", "/model/anthropic.claude-3%3A0/invoke", 0, API(BEDROCK_INVOKE),
	 "anthropic.claude-3%3A0"},
	{"POST", "/model/invoke/invoke", 0, API(BEDROCK_INVOKE), "invoke"},
	{"GET", "/v1/models", 0, API(MODELS), ""},
	{"GET", "/v1/models/gpt-4", 0, API(MODELS), "gpt-4"},
	{"GET", "/v1/models/meta/llama", 0, API(MODELS), "meta/llama"},
	{"GET", "/v1/chat/completions", -EPERM, 0, ""},
	{"HEAD", "/v1/models", -EPERM, 0, ""},
	{"POST", "/v1/models", -EPERM, 0, ""},
	{"post", "/v1/messages", -EPERM, 0, ""},
	{"GET", "/model/a/invoke", -EPERM, 0, ""},
	{"POST", "/", -ENOENT, 0, ""},
	{"POST", "/v1", -ENOENT, 0, ""},
	{"POST", "/v1/messages/", -ENOENT, 0, ""},
	{"POST", "/v1/messages/count_tokens", -ENOENT, 0, ""},
	{"POST", "/v1/chat/completions2", -ENOENT, 0, ""},
	{"POST", "/V1/messages", -ENOENT, 0, ""},
	{"POST", "/model/a/b/invoke", -ENOENT, 0, ""},
	{"POST", "/model//invoke", -ENOENT, 0, ""},
	{"POST", "/model/invoke", -ENOENT, 0, ""},
	{"POST", "/model/a/invoke-with-response-stream", -ENOENT, 0, ""},
	{"GET", "/v1/models/", -ENOENT, 0, ""},
	{"GET", "*", -ENOENT, 0, ""},
	{"GET", "", -ENOENT, 0, ""},
};

static void paths(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		struct inference_call call = {API(UNSPECIFIED), TEXT("untouched")};
		int r = inference_call_parse(text_of(calls[i].method), text_of(calls[i].path),
					     &call);

		if (r != calls[i].r || call.api != calls[i].api ||
		    !text_is(call.id, r ? "untouched" : calls[i].id))
			fail_msg("%s %s: %d", calls[i].method, calls[i].path, r);
	}
}

static void names_of_apis(void **state)
{
	assert_string_equal(inference_api_name(API(CHAT_COMPLETIONS)), "chat_completions");
	assert_string_equal(inference_api_name(API(BEDROCK_INVOKE)), "bedrock_invoke");
	assert_string_equal(inference_api_name(API(MODELS)), "models");
	assert_string_equal(inference_api_name(API(UNSPECIFIED)), "unknown");
}

static void not_configured(void **state)
{
	struct inference *inference = NULL;
	struct error err = {0};

	assert_int_equal(inference_new(NULL, &inference, &err), 0);
	assert_false(inference_is_configured(inference));
	assert_null(inference_limits(inference));
	assert_null(inference_route_at(inference, 0));
	assert_null(inference_choose(inference, API(MODELS), TEXT("x"), 0));
	inference_free(inference);
	inference_free(NULL);
}

/* Name of the route that is chosen, "" for none. */
static const char *choose(const struct inference *inference, inference_api api, const char *asked,
			  uint32_t tried)
{
	const struct inference_route *route =
		inference_choose(inference, api, text_of(asked), tried);

	return route ? route->told->name : "";
}

static void choice(void **state)
{
	inference_api chat[] = {API(CHAT_COMPLETIONS), API(MODELS)};
	inference_api both[] = {API(CHAT_COMPLETIONS), API(MESSAGES), API(BEDROCK_INVOKE)};
	struct fixture f;
	struct inference *inference;
	struct error err = {0};

	fixture_init(&f, 3);
	f.routes[0].name = "fast";
	f.routes[0].model = "llama";
	f.routes[0].apis = chat;
	f.routes[0].n_apis = ARRAY_LEN(chat);
	f.routes[1].name = "smart";
	f.routes[1].model = "claude:0";
	f.routes[1].apis = both;
	f.routes[1].n_apis = ARRAY_LEN(both);
	f.routes[2].name = "spare";
	f.routes[2].model = "llama";
	f.routes[2].apis = both;
	f.routes[2].n_apis = 2;
	if (inference_new(&f.told, &inference, &err))
		fail_msg("%s", err.message);
	assert_true(inference_is_configured(inference));
	assert_int_equal(inference_route_at(inference, 1)->revision, 7);
	assert_int_equal(inference_route_at(inference, 1)->index, 1);
	assert_null(inference_route_at(inference, 3));

	assert_string_equal(choose(inference, API(CHAT_COMPLETIONS), "", 0), "fast");
	assert_string_equal(choose(inference, API(CHAT_COMPLETIONS), "gpt-4", 0), "fast");
	assert_string_equal(choose(inference, API(CHAT_COMPLETIONS), "claude:0", 0), "smart");
	assert_string_equal(choose(inference, API(CHAT_COMPLETIONS), "smart", 0), "smart");
	assert_string_equal(choose(inference, API(CHAT_COMPLETIONS), "Smart", 0), "fast");
	assert_string_equal(choose(inference, API(CHAT_COMPLETIONS), "spare", 0), "spare");
	assert_string_equal(choose(inference, API(CHAT_COMPLETIONS), "llama", 1), "spare");
	assert_string_equal(choose(inference, API(CHAT_COMPLETIONS), "smart", 2), "fast");
	assert_string_equal(choose(inference, API(CHAT_COMPLETIONS), "smart", 3), "spare");
	assert_string_equal(choose(inference, API(CHAT_COMPLETIONS), "smart", 7), "");
	assert_string_equal(choose(inference, API(MESSAGES), "fast", 0), "smart");
	assert_string_equal(choose(inference, API(MESSAGES), "", 6), "");
	assert_string_equal(choose(inference, API(EMBEDDINGS), "", 0), "");
	assert_string_equal(choose(inference, API(BEDROCK_INVOKE), "claude%3A0", 0), "smart");
	/* In a body a name is what it says. */
	assert_string_equal(choose(inference, API(CHAT_COMPLETIONS), "claude%3A0", 0), "fast");
	assert_string_equal(choose(inference, API(MODELS), "ll%61ma", 0), "fast");
	inference_free(inference);
}

static int try(const struct fixture *f)
{
	struct inference *inference = NULL;
	struct error err = {0};
	int r = inference_new(&f->told, &inference, &err);

	if (!r)
		inference_free(inference);
	else
		assert_true(err.message[0] && !inference);
	return r;
}

#define REFUSED(member, value)                                                                     \
	do {                                                                                       \
		fixture_init(&f, 2);                                                               \
		f.routes[1].member = value;                                                        \
		if (try(&f) != -EINVAL)                                                            \
			fail_msg("taken: %s = %s", #member, #value);                               \
	} while (0)

static void refusals(void **state)
{
	static const char *const hosts[] = {"localhost", "127.0.0.1", "::1", "api.example.org"};
	inference_api unknown[] = {API(UNSPECIFIED)}, beyond[] = {API(MODELS) + 1};
	OPENSHELL(InferenceHeader) framing = OPENSHELL_INIT(INFERENCE_HEADER);
	OPENSHELL(InferenceHeader) * headers[] = {&framing};
	OPENSHELL(InferenceSigning) signing = OPENSHELL_INIT(INFERENCE_SIGNING);
	struct fixture f;
	char many[130];

	fixture_init(&f, 2);
	assert_int_equal(try(&f), 0);
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		f.routes[0].host = (char *)hosts[i];
		if (try(&f))
			fail_msg("%s", hosts[i]);
	}
	f.told.revision = 0;
	assert_int_equal(try(&f), -EINVAL);

	memset(many, 'm', 129);
	many[129] = '\0';
	REFUSED(name, "");
	REFUSED(name, many + 129 - 65);
	REFUSED(provider, "a\nb");
	REFUSED(model, "");
	REFUSED(model, many);
	REFUSED(model, "\xc3");
	REFUSED(host, "");
	REFUSED(host, "*.example.org");
	REFUSED(host, "API.example.org");
	REFUSED(host, "a b");
	REFUSED(port, 0);
	REFUSED(port, 65536);
	REFUSED(base_path, "/");
	REFUSED(base_path, "v1");
	REFUSED(base_path, "/v1/");
	REFUSED(base_path, "/v1?x");
	REFUSED(base_path, "/v1 HTTP/1.1\r\nx: y");
	REFUSED(dialect, 4);
	REFUSED(n_apis, 0);
	REFUSED(apis, unknown);
	REFUSED(apis, beyond);

	framing.name = "transfer-encoding";
	framing.value = "chunked";
	fixture_init(&f, 1);
	f.routes[0].headers = headers;
	f.routes[0].n_headers = 1;
	assert_int_equal(try(&f), -EINVAL);
	framing.name = "X-Upper";
	assert_int_equal(try(&f), -EINVAL);
	framing.name = "x-lower";
	assert_int_equal(try(&f), 0);
	framing.value = "a\r\nb: c";
	assert_int_equal(try(&f), -EINVAL);

	fixture_init(&f, 1);
	f.routes[0].signing = &signing;
	assert_int_equal(try(&f), -EINVAL);
	signing.service = "bedrock";
	signing.access_key = "id";
	signing.secret_key = "secret";
	assert_int_equal(try(&f), 0);
	signing.region = "eu west";
	assert_int_equal(try(&f), -EINVAL);
}

static void too_many(void **state)
{
	struct fixture f;

	fixture_init(&f, INFERENCE_ROUTES_MAX);
	assert_int_equal(try(&f), 0);
	f.told.n_routes = INFERENCE_ROUTES_MAX + 1;
	assert_int_equal(try(&f), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),	  cmocka_unit_test(names_of_apis),
		cmocka_unit_test(not_configured), cmocka_unit_test(choice),
		cmocka_unit_test(refusals),	  cmocka_unit_test(too_many),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

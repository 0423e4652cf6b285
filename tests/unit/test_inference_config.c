/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/inference.h"
#include "common/inference_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#define DIRECTORY     "policy/providers"
#define API(name)     OPENSHELL__WORKER__V1__INFERENCE_API__INFERENCE_API_##name
#define DIALECT(name) OPENSHELL__WORKER__V1__INFERENCE_DIALECT__INFERENCE_DIALECT_##name
#define SECRET	      "sk-very-secret-value"

typedef Openshell__Worker__V1__InferenceRoute told_route;
typedef Openshell__Worker__V1__InferenceHeader told_header;

static const char *const variables[] = {"OPENAI_API_KEY",
					"CODEX_API_KEY",
					"OPENAI_BASE_URL",
					"ANTHROPIC_API_KEY",
					"ANTHROPIC_BASE_URL",
					"ANTHROPIC_AUTH_TOKEN",
					"NVIDIA_API_KEY",
					"DEEPINFRA_API_KEY",
					"GOOGLE_VERTEX_AI_TOKEN",
					"GOOGLE_CLOUD_LOCATION",
					"CLOUD_ML_REGION",
					"GOOGLE_CLOUD_PROJECT",
					"AWS_ACCESS_KEY_ID",
					"AWS_SECRET_ACCESS_KEY",
					"AWS_SESSION_TOKEN",
					"AWS_BEARER_TOKEN_BEDROCK",
					"BEDROCK_API_KEY",
					"AWS_REGION",
					"AWS_DEFAULT_REGION",
					"OPENAI_COMPATIBLE_API_KEY",
					"SUDO_UID",
					"CLAUDE_API_KEY",
					"NGC_API_KEY",
					"ANTHROPIC_VERTEX_PROJECT_ID",
					"OPENAI_COMPATIBLE_BASE_URL",
					"NVIDIA_BASE_URL",
					"BEDROCK_BASE_URL"};

static int forget_variables(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(variables); i++)
		unsetenv(variables[i]);
	return 0;
}

static struct inference_config *make(const char *const *requests, size_t len)
{
	const struct inference_source source = {
		.requests = requests, .requests_len = len, .directory = DIRECTORY};
	struct inference_config *config = NULL;
	struct error err = {};

	if (inference_config_new(&source, &config, NULL, &err))
		fail_msg("%s: %s", requests[0], err.message);
	return config;
}

static struct inference_config *give(const char *request)
{
	return make(&request, 1);
}

static const told_route *first(const struct inference_config *config)
{
	assert_int_equal(inference_config_get(config)->n_routes, 1);
	return inference_config_get(config)->routes[0];
}

static void refuse_with(const struct inference_source *source, int code, const char *why)
{
	struct inference_config *config = NULL;
	struct error err = {};
	int r = inference_config_new(source, &config, NULL, &err);

	if (r != code || !strstr(err.message, why))
		fail_msg("%s: %d %s", source->requests[0], r, err.message);
	assert_null(strstr(err.message, SECRET));
	assert_null(config);
}

static void refuse(const char *request, int code, const char *why)
{
	const struct inference_source source = {
		.requests = &request, .requests_len = 1, .directory = DIRECTORY};

	refuse_with(&source, code, why);
}

static void has_header(told_header *const *list, size_t count, const char *name, const char *value)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(list[i]->name, name)) {
			assert_string_equal(list[i]->value, value);
			return;
		}
	fail_msg("no header %s", name);
}

static void is_at(const told_route *route, const char *host, unsigned int port, bool tls,
		  const char *base)
{
	assert_string_equal(route->host, host);
	assert_int_equal(route->port, port);
	assert_int_equal(route->tls, tls);
	assert_string_equal(route->base_path, base);
}

/* Words of the file's form, joined; apis as bits. */
static unsigned int apis(const told_route *route)
{
	unsigned int bits = 0;

	for (size_t i = 0; i < route->n_apis; i++)
		bits |= 1u << route->apis[i];
	return bits;
}

static void openai_is_asked_with_its_key(void **state)
{
	_cleanup_inference_config_ struct inference_config *config = NULL;
	const told_route *route;

	setenv("OPENAI_API_KEY", SECRET, 1);
	config = give("provider=openai,model=gpt-4o-mini,timeout=90");
	route = first(config);
	is_at(route, "api.openai.com", 443, true, "/v1");
	assert_string_equal(route->name, "gpt-4o-mini");
	assert_string_equal(route->provider, "openai");
	assert_string_equal(route->type, "openai");
	assert_string_equal(route->model, "gpt-4o-mini");
	assert_int_equal(route->timeout_ms, 90000);
	assert_int_equal(route->dialect, DIALECT(OPENAI));
	assert_int_equal(apis(route), 1u << API(CHAT_COMPLETIONS) | 1u << API(COMPLETIONS) |
					      1u << API(RESPONSES) | 1u << API(EMBEDDINGS) |
					      1u << API(MODELS));
	assert_int_equal(route->n_headers, 1);
	has_header(route->headers, route->n_headers, "authorization", "Bearer " SECRET);
	assert_int_equal(route->n_secrets, 1);
	assert_string_equal(route->secrets[0], SECRET);
	assert_int_equal(route->n_pass, 3);
	assert_null(inference_config_get(config)->limits);
	assert_int_equal(inference_config_get(config)->revision, 0);
	inference_config_hide(config);
	assert_null(getenv("OPENAI_API_KEY"));
	assert_string_equal(route->secrets[0], SECRET);
}

static void anthropic_wants_its_version(void **state)
{
	_cleanup_inference_config_ struct inference_config *config = NULL;
	const told_route *route;

	setenv("ANTHROPIC_API_KEY", SECRET, 1);
	setenv("ANTHROPIC_BASE_URL", "https://Gateway.example/anthropic/", 1);
	config = give("provider=anthropic,model=claude-sonnet-4-5,name=best");
	route = first(config);
	is_at(route, "gateway.example", 443, true, "/anthropic/v1");
	assert_string_equal(route->name, "best");
	has_header(route->headers, route->n_headers, "x-api-key", SECRET);
	has_header(route->defaults, route->n_defaults, "anthropic-version", "2023-06-01");
	assert_string_equal(route->pass[0], "anthropic-version");
	assert_string_equal(route->pass[1], "anthropic-beta");
	assert_int_equal(apis(route), 1u << API(MESSAGES) | 1u << API(MODELS));
	inference_config_free(TAKE_PTR(config));

	unsetenv("ANTHROPIC_BASE_URL");
	config = give("provider=claude,model=claude-sonnet-4-5,auth=bearer");
	is_at(first(config), "api.anthropic.com", 443, true, "/v1");
	assert_string_equal(first(config)->type, "claude");
	has_header(first(config)->headers, 1, "authorization", "Bearer " SECRET);
	inference_config_free(TAKE_PTR(config));

	config = give("provider=claude,model=m,base-url=https://a.example/v1");
	is_at(first(config), "a.example", 443, true, "/v1");
}

static void nvidia_and_deepinfra(void **state)
{
	_cleanup_inference_config_ struct inference_config *config = NULL;
	const char *requests[] = {"provider=nvidia,model=meta/llama-3.1-8b-instruct",
				  "provider=deepinfra,model=meta/llama-3.1-8b-instruct"};

	setenv("NGC_API_KEY", SECRET, 1);
	refuse(requests[1], -ENOENT,
	       "provider 'deepinfra' needs DEEPINFRA_API_KEY or DEEPINFRA_TOKEN in the "
	       "environment, or the route a key file");
	setenv("DEEPINFRA_API_KEY", SECRET, 1);
	config = make(requests, 2);
	assert_int_equal(inference_config_get(config)->n_routes, 2);
	is_at(inference_config_get(config)->routes[0], "integrate.api.nvidia.com", 443, true,
	      "/v1");
	is_at(inference_config_get(config)->routes[1], "api.deepinfra.com", 443, true,
	      "/v1/openai");
}

static void vertex_speaks_as_the_model_does(void **state)
{
	_cleanup_inference_config_ struct inference_config *config = NULL;

	setenv("GOOGLE_VERTEX_AI_TOKEN", SECRET, 1);
	refuse("provider=vertex,model=claude-x", -EINVAL,
	       "needs a region: give the route one, or set GOOGLE_CLOUD_LOCATION");
	refuse("provider=vertex,model=claude-x,region=us-east5", -EINVAL,
	       "needs a project: give the route one, or set GOOGLE_CLOUD_PROJECT");
	setenv("GOOGLE_CLOUD_PROJECT", "my-project", 1);
	config = give("provider=vertex,model=claude-x,region=us-east5");
	is_at(first(config), "us-east5-aiplatform.googleapis.com", 443, true,
	      "/v1/projects/my-project/locations/us-east5");
	assert_int_equal(first(config)->dialect, DIALECT(VERTEX_CLAUDE));
	assert_int_equal(apis(first(config)), 1u << API(MESSAGES));
	inference_config_free(TAKE_PTR(config));

	setenv("CLOUD_ML_REGION", "global", 1);
	config = give("provider=vertex,model=google/gemini-2.5-flash,project=p2");
	is_at(first(config), "aiplatform.googleapis.com", 443, true,
	      "/v1/projects/p2/locations/global");
	assert_int_equal(first(config)->dialect, DIALECT(VERTEX_OPENAI));
	assert_int_equal(apis(first(config)), 1u << API(CHAT_COMPLETIONS) | 1u << API(EMBEDDINGS));
	has_header(first(config)->headers, 1, "authorization", "Bearer " SECRET);
	setenv("CLOUD_ML_REGION", "a/../b", 1);
	refuse("provider=vertex,model=claude-x", -EINVAL, "CLOUD_ML_REGION in the environment");
}

static void bedrock_is_signed_for_or_bridged(void **state)
{
	_cleanup_inference_config_ struct inference_config *config = NULL;
	const char *bridge = "provider=bedrock,model=m,base-url=http://10.0.0.7:9000";

	config = give(bridge);
	is_at(first(config), "10.0.0.7", 9000, false, "");
	assert_int_equal(first(config)->n_headers, 0);
	assert_null(first(config)->signing);
	assert_int_equal(first(config)->dialect, DIALECT(BEDROCK));
	inference_config_free(TAKE_PTR(config));

	setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
	refuse("provider=bedrock,model=m,region=us-east-1", -ENOENT, "needs AWS_SECRET_ACCESS_KEY");
	setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
	refuse("provider=bedrock,model=m", -EINVAL, "needs a region");
	setenv("AWS_SESSION_TOKEN", "session-token", 1);
	setenv("AWS_REGION", "eu-west-1", 1);
	config = give("provider=aws-bedrock,model=anthropic.claude-x:0");
	is_at(first(config), "bedrock-runtime.eu-west-1.amazonaws.com", 443, true, "");
	assert_string_equal(first(config)->signing->service, "bedrock");
	assert_string_equal(first(config)->signing->region, "eu-west-1");
	assert_string_equal(first(config)->signing->access_key, "AKIDEXAMPLE");
	assert_string_equal(first(config)->signing->secret_key, SECRET);
	assert_string_equal(first(config)->signing->session_token, "session-token");
	assert_int_equal(first(config)->n_secrets, 2);
	inference_config_free(TAKE_PTR(config));

	/* A bridge is signed for by request only. */
	config = give(bridge);
	assert_null(first(config)->signing);
	inference_config_free(TAKE_PTR(config));
	refuse("provider=bedrock,model=m,base-url=http://10.0.0.7,auth=sigv4", -EINVAL,
	       "in the clear");
	config = give("provider=bedrock,model=m,base-url=https://10.0.0.7,auth=sigv4");
	assert_non_null(first(config)->signing);
	inference_config_free(TAKE_PTR(config));

	setenv("BEDROCK_API_KEY", SECRET, 1);
	config = give("provider=bedrock,model=m");
	assert_null(first(config)->signing);
	has_header(first(config)->headers, 1, "authorization", "Bearer " SECRET);
}

static void a_server_of_ones_own_needs_no_key(void **state)
{
	_cleanup_inference_config_ struct inference_config *config = NULL;
	_cleanup_diagnostics_ struct diagnostics diag = {};
	const char *request = "provider=openai,model=m,base-url=http://[::1]:8000";
	struct inference_source source = {
		.requests = &request, .requests_len = 1, .directory = DIRECTORY};
	struct error err = {};

	setenv("OPENAI_API_KEY", SECRET, 1);
	config = give("provider=ollama,model=qwen3:8b,base-url=http://localhost:11434");
	is_at(first(config), "localhost", 11434, false, "/v1");
	assert_int_equal(first(config)->n_headers, 0);
	assert_int_equal(first(config)->n_secrets, 0);
	inference_config_free(TAKE_PTR(config));
	config = give("provider=vllm,model=m,base-url=http://10.1.2.3:8000/openai/v1/");
	is_at(first(config), "10.1.2.3", 8000, false, "/openai/v1");
	inference_config_free(TAKE_PTR(config));
	refuse("provider=vllm,model=m", -EINVAL, "needs a base URL");
	refuse("provider=openai,model=m,base-url=http://10.1.2.3", -EINVAL,
	       "the key would go to 10.1.2.3 in the clear");
	config = give("provider=openai,model=m,base-url=http://10.1.2.3,plaintext=yes");
	assert_int_equal(first(config)->n_headers, 1);
	inference_config_free(TAKE_PTR(config));
	config = give("provider=openai,model=m,base-url=http://10.1.2.3,auth=none");
	assert_int_equal(first(config)->n_headers, 0);
	inference_config_free(TAKE_PTR(config));

	unsetenv("OPENAI_API_KEY");
	refuse("provider=openai,model=m", -ENOENT, "OPENAI_API_KEY or CODEX_API_KEY");
	refuse("provider=openai,model=m,base-url=https://a.example", -ENOENT, "OPENAI_API_KEY");
	assert_int_equal(inference_config_new(&source, &config, &diag, &err), 0);
	is_at(first(config), "::1", 8000, false, "/v1");
	assert_int_equal(first(config)->n_headers, 0);
	assert_int_equal(diag.warnings, 1);
	assert_non_null(strstr(diag.items[0].message, "is asked without one"));
	/* Too short to be searched for. */
	inference_config_free(TAKE_PTR(config));
	setenv("OPENAI_COMPATIBLE_API_KEY", "EMPTY", 1);
	config = give("provider=nim,model=m,base-url=http://127.0.0.1:8000,auth=api-key");
	has_header(first(config)->headers, 1, "api-key", "EMPTY");
	assert_int_equal(first(config)->n_secrets, 0);
}

static void options_are_checked(void **state)
{
	static const struct {
		const char *request, *why;
	} bad[] = {
		{"", "expected a file, or a route"},
		{"provider=openai", "needs provider=NAME and model=MODEL"},
		{"model=m", "needs provider=NAME and model=MODEL"},
		{"provider=openai,model=", "model '' is no name"},
		{"provider=openai,modle=m", "did you mean 'model'?"},
		{"provider=openai,model=m,zzz=1", "known keys: provider, model"},
		{"provider=openai,model=m,m", "expected KEY=VALUE"},
		{"provider=openai,model=m,model=n", "'model' is given twice"},
		{"provider=openai,model=m n", "model 'm n' is no name"},
		{"provider=openai,model=m\\n", "is no name"},
		{"provider=../x,model=m", "provider '../x' is no name"},
		{"provider=openai,model=m,timeout=0", "from 1 to 3600"},
		{"provider=openai,model=m,timeout=3601", "from 1 to 3600"},
		{"provider=openai,model=m,timeout=1s", "from 1 to 3600"},
		{"provider=openai,model=m,auth=basic", "one of: bearer"},
		{"provider=openai,model=m,plaintext=true", "it is yes or no"},
		{"provider=openai,model=m,name=a b", "name 'a b' is none"},
		{"provider=openai,model=m,region=../a", "region '../a' is none"},
		{"provider=openai,model=m,key-file=", "has no name"},
		{"provider=openai,model=m,key-file=a,auth=none", "of no use where auth is none"},
		{"provider=openai,model=m,key-file=a,auth=sigv4", "come from the environment"},
		{"provider=openai,model=m,base-url=ftp://a", "begins with http:// or https://"},
		{"provider=openai,model=m,base-url=http://", "it has no host"},
		{"provider=openai,model=m,base-url=http://u:" SECRET "@a", "it has a user name"},
		{"provider=openai,model=m,base-url=http://a?b", "a query or a fragment"},
		{"provider=openai,model=m,base-url=http://a/#b", "a query or a fragment"},
		{"provider=openai,model=m,base-url=http://a:0", "from 1 to 65535"},
		{"provider=openai,model=m,base-url=http://a:65536", "from 1 to 65535"},
		{"provider=openai,model=m,base-url=http://a/../b", "'.' or '..'"},
		{"provider=openai,model=m,base-url=http://a/.", "'.' or '..'"},
		{"provider=openai,model=m,base-url=http://a//b", "an empty segment"},
		{"provider=openai,model=m,base-url=http://a/%2e", "without '%'"},
		{"provider=openai,model=m,base-url=http://*.a.example", "a wildcard"},
		{"provider=openai,model=m,base-url=http://0.0.0.0", "can be sent to"},
		{"provider=openai,model=m,base-url=http://169.254.169.254", "metadata"},
		{"provider=openai,model=m,base-url=http://[fe80::1]", "link-local"},
		{"provider=openai,model=m,base-url=http://[::ffff:169.254.1.1]", "link-local"},
		{"provider=openai,model=m,base-url=http://224.0.0.1", "multicast"},
		{"provider=openai,model=m,base-url=http://[::1", "'[' has no ']'"},
		{"provider=openai,model=m,base-url=http://[::1]x", "behind ']'"},
		{"provider=openai,model=m,base-url=http://[a.example]", "in brackets"},
		{"provider=openai,model=m,base-url=http://127.1", "looks like an address"},
		{"provider=openai,model=m,base-url=https://Inference.Local/v1", "where agents ask"},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct error err = {};

		if (inference_request_check(bad[i].request, &err) != -EINVAL ||
		    !strstr(err.message, bad[i].why))
			fail_msg("'%s': %s", bad[i].request, err.message);
		assert_null(strstr(err.message, SECRET));
	}
	assert_int_equal(inference_request_check("routes.yaml", NULL), 0);
	assert_int_equal(inference_request_check("provider=a,model=b", NULL), 0);
	assert_true(inference_request_is_file("routes.yaml"));
	assert_false(inference_request_is_file("provider=a,model=b"));
}

static void providers_are_checked(void **state)
{
	static const char *const two[] = {"provider=vllm,model=m,name=a,base-url=http://127.0.0.1",
					  "provider=vllm,model=m,name=a,base-url=http://127.0.0.2"};
	static const char *const mixed[] = {"provider=vllm,model=m,base-url=http://127.0.0.1",
					    "file.yaml"};
	struct inference_source source = {
		.requests = two, .requests_len = 2, .directory = DIRECTORY};
	const char *many[INFERENCE_ROUTES_MAX + 1];
	char model[200] = "provider=vllm,base-url=http://127.0.0.1,model=";

	refuse("provider=githup,model=m", -EINVAL, "did you mean 'github'?");
	refuse("provider=opnai,model=m", -EINVAL, "did you mean 'openai'?");
	refuse("provider=github,model=m", -EINVAL, "type 'github' has no model to ask");
	refuse("provider=openai,model=m,region=a", -EINVAL, "'region' is of no use");
	refuse("provider=openai,model=m,base-url=http://127.0.0.1,project=a", -EINVAL,
	       "'project' is of no use");
	refuse("provider=openai,model=m,auth=sigv4", -EINVAL, "no key that auth could");
	refuse_with(&source, -EINVAL, "two routes are named 'a'");
	source.requests = mixed;
	refuse_with(&source, -EINVAL, "a file stands alone");
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = mixed[0];
	source.requests = many;
	source.requests_len = ARRAY_LEN(many);
	refuse_with(&source, -E2BIG, "at most 32");
	memset(model + strlen(model), 'm', 65);
	refuse(model, -EINVAL, "give the route a 'name'");
	setenv("OPENAI_BASE_URL", "http://u:" SECRET "@a", 1);
	refuse("provider=openai,model=m", -EINVAL, "from OPENAI_BASE_URL is refused");
}

static void keys_that_cannot_be_sent_are_refused(void **state)
{
	static const char *const bad[] = {SECRET "\r\nHost: b", SECRET "\n", SECRET " b",
					  SECRET "\xc3\xa9", SECRET "\x7f"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		setenv("OPENAI_API_KEY", bad[i], 1);
		refuse("provider=openai,model=m", -EINVAL,
		       "the value of OPENAI_API_KEY is refused: it has");
	}
	setenv("OPENAI_API_KEY", "", 1);
	setenv("SUDO_UID", "1000", 1);
	refuse("provider=openai,model=m", -ENOENT, "--preserve-env=OPENAI_API_KEY");
}

/* A file of its own, which goes with the test. */
static void write_file(char *path, const char *text, size_t size, mode_t mode)
{
	_cleanup_close_ int fd = -1;

	memcpy(path, "/tmp/inference-XXXXXX", 22);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, size), size);
	assert_int_equal(fchmod(fd, mode), 0);
}

static void a_key_file_has_the_key(void **state)
{
	_cleanup_inference_config_ struct inference_config *config = NULL;
	char path[32], *request = NULL;

	write_file(path, SECRET "\r\nand more\n", strlen(SECRET) + 11, 0640);
	assert_true(asprintf(&request, "provider=anthropic,model=m,key-file=%s", path) > 0);
	config = give(request);
	has_header(first(config)->headers, 1, "x-api-key", SECRET);
	assert_int_equal(chmod(path, 0604), 0);
	refuse(request, -EACCES, "is open to everybody: chmod o=");
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(truncate(path, 0), 0);
	refuse(request, -EINVAL, "is refused: it is empty");
	unlink(path);
	refuse(request, -ENOENT, "cannot be read");
	free(request);
	write_file(path, SECRET "\0b\n", strlen(SECRET) + 3, 0600);
	assert_true(asprintf(&request, "provider=anthropic,model=m,key-file=%s", path) > 0);
	refuse(request, -EINVAL, "it has a NUL");
	unlink(path);
	free(request);
	refuse("provider=anthropic,model=m,key-file=/tmp", -EINVAL, "not a regular file");
}

static struct inference_config *load(const char *text, const struct inference_config *before,
				     const char *provider, struct diagnostics *diag,
				     struct error *err, int *ret)
{
	char path[32];
	const char *request = path;
	const struct inference_source source = {.requests = &request,
						.requests_len = 1,
						.directory = DIRECTORY,
						.providers = &provider,
						.providers_len = provider != NULL,
						.before = before};
	struct inference_config *config = NULL;

	write_file(path, text, strlen(text), 0644);
	*err = (struct error){};
	*ret = inference_config_new(&source, &config, diag, err);
	unlink(path);
	return config;
}

static const char whole[] =
	"version: 1\ninference:\n  routes:\n"
	"    - name: fast\n      provider: work\n      model: gpt-4o-mini\n"
	"      base_url: http://127.0.0.1:8000/v1\n      timeout: 30\n"
	"      apis: [embeddings, chat_completions]\n      auth: x-api-key\n"
	"    - {provider: vllm, model: m, base_url: \"http://10.0.0.1\", plaintext: true}\n"
	"  limits: {requests_per_minute: 60, tokens_per_minute: 100000, concurrent: 8}\n";

static void a_file_has_several_routes(void **state)
{
	_cleanup_inference_config_ struct inference_config *config = NULL;
	_cleanup_inference_config_ struct inference_config *later = NULL;
	const Openshell__Worker__V1__Inference *told;
	struct error err;
	int r;

	setenv("OPENAI_API_KEY", SECRET, 1);
	config = load(whole, NULL, "work=openai", NULL, &err, &r);
	if (r)
		fail_msg("%s", err.message);
	told = inference_config_get(config);
	assert_int_equal(told->n_routes, 2);
	assert_string_equal(told->routes[0]->provider, "work");
	assert_string_equal(told->routes[0]->type, "openai");
	assert_int_equal(told->routes[0]->timeout_ms, 30000);
	assert_int_equal(apis(told->routes[0]),
			 1u << API(CHAT_COMPLETIONS) | 1u << API(EMBEDDINGS));
	has_header(told->routes[0]->headers, 1, "x-api-key", SECRET);
	assert_int_equal(told->routes[1]->timeout_ms, INFERENCE_TIMEOUT_MS);
	assert_int_equal(told->limits->requests_per_minute, 60);
	assert_int_equal(told->limits->tokens_per_minute, 100000);
	assert_int_equal(told->limits->concurrent, 8);

	/* The environment has nothing any more; what was read is used again. */
	inference_config_hide(config);
	assert_null(getenv("OPENAI_API_KEY"));
	later = load("version: 1\ninference: {routes: []}\n", config, "work=openai", NULL, &err,
		     &r);
	assert_int_equal(r, 0);
	assert_int_equal(inference_config_get(later)->n_routes, 0);
	inference_config_free(TAKE_PTR(config));
	config = load(whole, later, "work=openai", NULL, &err, &r);
	assert_int_equal(r, 0);
	has_header(inference_config_get(config)->routes[0]->headers, 1, "x-api-key", SECRET);
	assert_null(load("version: 1\ninference:\n  routes:\n"
			 "    - {provider: anthropic, model: m}\n",
			 config, NULL, NULL, &err, &r));
	assert_int_equal(r, -ENOENT);
	assert_non_null(strstr(err.message, "start it anew, or give the route a key file"));
	assert_int_equal(err.line, 4);
}

/* What a --provider has is read with the file, which may come to name it later. */
static void a_provider_is_read_ahead(void **state)
{
	_cleanup_inference_config_ struct inference_config *config = NULL;
	_cleanup_inference_config_ struct inference_config *later = NULL;
	struct error err;
	int r;

	setenv("ANTHROPIC_API_KEY", SECRET, 1);
	config = load("version: 1\ninference: {routes: []}\n", NULL, "anthropic", NULL, &err, &r);
	assert_int_equal(r, 0);
	inference_config_hide(config);
	assert_null(getenv("ANTHROPIC_API_KEY"));
	later = load("version: 1\ninference: {routes: [{provider: anthropic, model: m}]}\n", config,
		     "anthropic", NULL, &err, &r);
	assert_int_equal(r, 0);
	has_header(first(later)->headers, 1, "x-api-key", SECRET);
}

static void files_are_checked(void **state)
{
	static const struct {
		const char *text, *why;
		int line, col;
	} bad[] = {
		{"", "", 1, 1},
		{"version: 2\ninference: {routes: []}\n", "'version'", 1, 10},
		{"version: 1\n", "needs 'inference'", 1, 1},
		{"version: 1\ninference: {}\n", "needs 'routes'", 2, 12},
		{"version: 1\ninferense: {routes: []}\n", "needs 'inference'", 1, 1},
		{"version: 1\ninference:\n  routes: [{provider: a, modell: b}]\n",
		 "did you mean 'model'?", 3, 26},
		{"version: 1\ninference:\n  routes: [{provider: a}]\n", "a route needs 'model'", 3,
		 12},
		{"version: 1\ninference:\n  routes: [{provider: a, model: b, timeout: 0}]\n",
		 "'timeout'", 3, 45},
		{"version: 1\ninference:\n  routes: [{provider: a, model: b c}]\n", "is no name", 3,
		 33},
		{"version: 1\ninference:\n  routes: [{provider: a, model: b, apis: [chat]}]\n",
		 "there is no API 'chat'", 3, 43},
		{"version: 1\ninference:\n  routes: [{provider: a, model: b, auth: x}]\n", "'auth'",
		 3, 42},
		{"version: 1\ninference:\n  routes: [{provider: a, model: b, base_url: a}]\n",
		 "begins with http", 3, 46},
		{"version: 1\ninference:\n  routes: []\n  limits: {concurrent: 0}\n",
		 "'concurrent'", 4, 24},
		{"version: 1\ninference:\n  routes: []\n  limits: {concurent: 1}\n",
		 "did you mean 'concurrent'?", 4, 12},
		{"version: 1\ninference:\n  routes: [{provider: githubb, model: b}]\n",
		 "did you mean 'github'?", 3, 23},
		{"version: 1\ninference:\n  routes:\n    - {provider: openai, model: b, apis: "
		 "[bedrock_invoke]}\n",
		 "is not asked by 'bedrock_invoke'", 4, 43},
	};
	_cleanup_free_ char *many = NULL;
	struct error err;
	int r;

	setenv("OPENAI_API_KEY", SECRET, 1);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_diagnostics_ struct diagnostics diag = {};
		bool found = false;

		assert_null(load(bad[i].text, NULL, NULL, &diag, &err, &r));
		assert_int_equal(r, -EBADMSG);
		for (size_t j = 0; j < diag.count; j++)
			found |= strstr(diag.items[j].message, bad[i].why) &&
				 diag.items[j].at.line == bad[i].line &&
				 diag.items[j].at.col == bad[i].col;
		if (!found)
			fail_msg("%zu: %d %d:%d %s", i, r, err.line, err.col, err.message);
		assert_string_equal(err.message, diagnostics_first_error(&diag)->message);
	}
	many = malloc(4096);
	strcpy(many, "version: 1\ninference:\n  routes:\n");
	for (size_t i = 0; i <= INFERENCE_ROUTES_MAX; i++)
		strcat(many, "    - {provider: vllm, model: m}\n");
	assert_null(load(many, NULL, NULL, NULL, &err, &r));
	assert_non_null(strstr(err.message, "33 routes: at most 32"));
	refuse("no-such-file", -ENOENT, "provider=openai,model=gpt-4o-mini");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(openai_is_asked_with_its_key, forget_variables),
		cmocka_unit_test_setup(anthropic_wants_its_version, forget_variables),
		cmocka_unit_test_setup(nvidia_and_deepinfra, forget_variables),
		cmocka_unit_test_setup(vertex_speaks_as_the_model_does, forget_variables),
		cmocka_unit_test_setup(bedrock_is_signed_for_or_bridged, forget_variables),
		cmocka_unit_test_setup(a_server_of_ones_own_needs_no_key, forget_variables),
		cmocka_unit_test_setup(options_are_checked, forget_variables),
		cmocka_unit_test_setup(providers_are_checked, forget_variables),
		cmocka_unit_test_setup(keys_that_cannot_be_sent_are_refused, forget_variables),
		cmocka_unit_test_setup(a_key_file_has_the_key, forget_variables),
		cmocka_unit_test_setup(a_file_has_several_routes, forget_variables),
		cmocka_unit_test_setup(a_provider_is_read_ahead, forget_variables),
		cmocka_unit_test_setup(files_are_checked, forget_variables),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_inference.h"

#include "cli/file_watch.h"
#include "common/cleanup.h"
#include "common/inference.h"
#include "common/provider_profile.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define API(name) OPENSHELL__WORKER__V1__INFERENCE_API__INFERENCE_API_##name
#define BIT(name) (1u << API(name))

int run_inference_check(const struct option_strings *asked, struct error *err)
{
	int r = 0;

	for (size_t i = 0; !r && i < asked->len; i++) {
		r = inference_request_check(asked->item[i], err);
		if (!r && asked->len > 1 && inference_request_is_file(asked->item[i]))
			r = error_set(err, -EINVAL,
				      "--inference %s: a file stands alone; routes besides it "
				      "belong in it",
				      asked->item[i]);
	}
	return r;
}

static void print(const struct run_inference *inference, const struct diagnostics *diag)
{
	const char *file = run_inference_file(inference);

	for (size_t i = 0; i < diag->count; i++) {
		const struct policy_diagnostic *d = &diag->items[i];
		const char *kind = d->is_error ? "error" : "warning";

		if (file && d->at.line)
			fprintf(stderr, "%s:%d:%d: %s: %s\n", file, d->at.line, d->at.col, kind,
				d->message);
		else
			fprintf(stderr, "openshell run: %s: --inference: %s\n", kind, d->message);
	}
}

/* Findings of a file that was read while the agent runs are told by the log alone. */
static int load(struct run_inference *inference, bool first, struct inference_config **ret_config,
		struct error *err)
{
	_cleanup_diagnostics_ struct diagnostics diag = {};
	const struct inference_source source = {
		.requests = inference->requests,
		.requests_len = inference->requests_len,
		.providers = inference->providers,
		.providers_len = inference->providers_len,
		.directory = inference->directory,
		.before = inference->config,
	};
	int r = inference_config_new(&source, ret_config, &diag, err);

	if (first)
		print(inference, &diag);
	if (first && r == -EBADMSG && diag.errors)
		r = error_set(err, r, "%s is not valid; nothing was started",
			      inference->requests[0]);
	return r;
}

int run_inference_load(const struct option_strings *asked, const struct option_strings *providers,
		       struct run_inference *ret_inference, struct error *err)
{
	struct run_inference inference = {
		.requests = asked->item,
		.requests_len = asked->len,
		.providers = providers->item,
		.providers_len = providers->len,
	};
	char directory[PATH_MAX];
	int r;

	if (!asked->len)
		return 0;
	r = provider_profile_directory(directory, sizeof(directory), err);
	if (r < 0)
		return r;
	inference.directory = strdup(directory);
	if (!inference.directory)
		return error_set(err, -ENOMEM, "out of memory");
	if (run_inference_file(&inference))
		inference.read = file_watch_look(run_inference_file(&inference));
	r = load(&inference, true, &inference.config, err);
	if (r < 0) {
		run_inference_clear(&inference);
		return r;
	}
	*ret_inference = inference;
	return 0;
}

const char *run_inference_file(const struct run_inference *inference)
{
	return inference->requests_len == 1 && inference_request_is_file(inference->requests[0])
		       ? inference->requests[0]
		       : NULL;
}

int run_inference_reload(struct run_inference *inference, struct inference_config **ret_before,
			 struct error *err)
{
	struct inference_config *config = NULL;
	int r = load(inference, false, &config, err);

	if (r < 0)
		return r;
	/* Something that it came to name may still have been there. */
	inference_config_hide(config);
	*ret_before = inference->config;
	inference->config = config;
	return 0;
}

/* The APIs that some route serves. */
static unsigned int apis_of(const Openshell__Worker__V1__Inference *told)
{
	unsigned int apis = 0;

	for (size_t i = 0; i < told->n_routes; i++)
		for (size_t j = 0; j < told->routes[i]->n_apis; j++)
			apis |= 1u << told->routes[i]->apis[j];
	return apis;
}

size_t run_inference_variables(const struct run_inference *inference,
			       bool (*taken)(const void *arg, const char *name), const void *arg,
			       struct run_variable ret_variables[RUN_INFERENCE_VARIABLES_MAX])
{
	/* Clients want some key before they ask anything; the proxy takes it off. */
	static const struct {
		unsigned int apis;
		struct run_variable url, key;
	} clients[] = {
		{BIT(CHAT_COMPLETIONS) | BIT(COMPLETIONS) | BIT(RESPONSES) | BIT(EMBEDDINGS),
		 {"OPENAI_BASE_URL", "https://" INFERENCE_HOST "/v1"},
		 {"OPENAI_API_KEY", INFERENCE_HOST}},
		{BIT(MESSAGES),
		 {"ANTHROPIC_BASE_URL", "https://" INFERENCE_HOST},
		 {"ANTHROPIC_API_KEY", INFERENCE_HOST}},
	};
	unsigned int apis =
		inference->config ? apis_of(inference_config_get(inference->config)) : 0;
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		if (!(apis & clients[i].apis) || taken(arg, clients[i].url.name) ||
		    taken(arg, clients[i].key.name))
			continue;
		ret_variables[count++] = clients[i].url;
		ret_variables[count++] = clients[i].key;
	}
	return count;
}

void run_inference_clear(struct run_inference *inference)
{
	inference_config_free(inference->config);
	free(inference->directory);
	*inference = (struct run_inference){};
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/inference_config.h"
#include "common/cleanup.h"
#include "common/inference_config_internal.h"

#include <stdarg.h>
#include <string.h>

#define ARENA_MAX (16u << 20)

bool inference_request_is_file(const char *request)
{
	return !strchr(request, '=');
}

int inference_request_check(const char *request, struct error *err)
{
	_cleanup_arena_ struct arena *arena = arena_new(1u << 20);
	struct inference_report report = {.err = err};
	struct inference_wish wish;

	if (!arena)
		return inference_no_memory(&report);
	if (!*request)
		return error_set(err, -EINVAL,
				 "--inference: expected a file, or a route such as "
				 "provider=openai,model=gpt-4o-mini");
	return inference_request_is_file(request)
		       ? 0
		       : inference_wish_parse(&report, request, arena, &wish);
}

int inference_refuse(const struct inference_report *report, struct policy_place at, int code,
		     const char *fmt, ...)
{
	char message[POLICY_MESSAGE_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	if (!report->file)
		return error_set(report->err, code, "--inference: %s", message);
	if (report->diag)
		policy_error(report->diag, at, "inference.route", "%s", message);
	return error_set_at(report->err, code == -EINVAL ? -EBADMSG : code, report->file, at.line,
			    at.col, "%s", message);
}

void inference_warn(const struct inference_report *report, struct policy_place at, const char *fmt,
		    ...)
{
	char message[POLICY_MESSAGE_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	policy_warning(report->diag, at, "inference.route", "%s", message);
}

int inference_no_memory(const struct inference_report *report)
{
	return error_set(report->err, -ENOMEM, "not enough memory for the routes of %s",
			 INFERENCE_HOST);
}

/* "NAME=TYPE:VARIABLE", "TYPE" */
static bool is_named(const char *provider, const char *name)
{
	size_t len = strcspn(provider, "=:");

	return strlen(name) == len && !strncmp(provider, name, len);
}

static char *type_of(struct arena *arena, const char *provider)
{
	const char *equals = provider + strcspn(provider, "=:");
	const char *type = *equals == '=' ? equals + 1 : provider;

	return arena_copy(arena, type, strcspn(type, ":"));
}

const char *inference_provider_type(const struct inference_build *build, const char *name)
{
	const struct inference_source *source = build->source;

	for (size_t i = 0; i < source->providers_len; i++)
		if (is_named(source->providers[i], name))
			return type_of(build->config->arena, source->providers[i]);
	return arena_copy(build->config->arena, name, strlen(name));
}

/*
 * A file may come to name a --provider later, when its variables are not in the environment any
 * more.
 */
static int read_ahead(const struct inference_build *build)
{
	const struct inference_source *source = build->source;

	for (size_t i = 0; i < source->providers_len; i++) {
		_cleanup_provider_profile_ struct provider_profile *profile = NULL;
		char *type = type_of(build->config->arena, source->providers[i]);
		const struct profile_credential *credentials;
		struct policy_place nowhere = {};
		const char *value;
		int r;

		if (!type)
			return inference_no_memory(build->report);
		r = provider_profile_find(source->directory, type, &profile, build->report->err);
		if (r < 0)
			return r;
		credentials = profile->credentials.items;
		for (size_t j = 0;
		     policy_given(profile->inference.head) && !r && j < profile->credentials.count;
		     j++)
			r = inference_keys_find(build->config, build->report, nowhere,
						&credentials[j], &value);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Routes may share a model, so that one stands in for another; names that were given differ. */
static int check_unique(const struct inference_build *build, const struct inference_wish *wishes,
			size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; wishes[i].name.value && j < i; j++)
			if (wishes[j].name.value &&
			    !strcmp(wishes[i].name.value, wishes[j].name.value))
				return inference_refuse(build->report, wishes[i].name.at, -EINVAL,
							"two routes are named '%s'",
							wishes[i].name.value);
	return 0;
}

static int make_routes(const struct inference_build *build, const struct inference_wish *wishes,
		       size_t count)
{
	WORKER(Inference) *told = &build->config->told;
	int r = check_unique(build, wishes, count);

	told->routes = arena_alloc_array(build->config->arena, count, sizeof(*told->routes));
	if (!told->routes)
		return inference_no_memory(build->report);
	for (size_t i = 0; !r && i < count; i++) {
		r = inference_route_make(build, &wishes[i], &told->routes[i]);
		told->n_routes += !r;
	}
	return r;
}

static int make_limits(const struct inference_build *build, const struct inference_limits *limits)
{
	WORKER(InferenceLimits) *told = arena_alloc(build->config->arena, sizeof(*told));

	if (!told)
		return inference_no_memory(build->report);
	*told = (WORKER(InferenceLimits))WORKER_INIT(INFERENCE_LIMITS);
	told->requests_per_minute = (uint32_t)limits->requests_per_minute.value;
	told->tokens_per_minute = (uint32_t)limits->tokens_per_minute.value;
	told->concurrent = (uint32_t)limits->concurrent.value;
	if (policy_given(limits->head))
		build->config->told.limits = told;
	return 0;
}

static int from_file(const struct inference_build *build)
{
	struct inference_section section;
	int r = inference_section_load(build->report, build->config->arena, &section);

	if (!r)
		r = read_ahead(build);
	if (!r)
		r = make_routes(build, section.routes.items, section.routes.count);
	return r ? r : make_limits(build, &section.limits);
}

static int from_options(const struct inference_build *build)
{
	const struct inference_source *source = build->source;
	struct inference_wish wishes[INFERENCE_ROUTES_MAX];

	for (size_t i = 0; i < source->requests_len; i++) {
		int r;

		if (inference_request_is_file(source->requests[i]))
			return error_set(build->report->err, -EINVAL,
					 "--inference: a file stands alone; '%s' is one of %zu",
					 source->requests[i], source->requests_len);
		r = inference_wish_parse(build->report, source->requests[i], build->config->arena,
					 &wishes[i]);
		if (r < 0)
			return r;
	}
	return make_routes(build, wishes, source->requests_len);
}

static struct inference_config *config_alloc(void)
{
	struct arena *arena = arena_new(ARENA_MAX);
	struct inference_config *config = arena ? arena_alloc(arena, sizeof(*config)) : NULL;

	if (!config) {
		arena_free(arena);
		return NULL;
	}
	config->arena = arena;
	config->told = (WORKER(Inference))WORKER_INIT(INFERENCE);
	return config;
}

int inference_config_new(const struct inference_source *source,
			 struct inference_config **ret_config, struct diagnostics *diag,
			 struct error *err)
{
	_cleanup_inference_config_ struct inference_config *config = config_alloc();
	_cleanup_diagnostics_ struct diagnostics own = {};
	bool is_file = source->requests_len == 1 && inference_request_is_file(source->requests[0]);
	struct inference_report report = {.file = is_file ? source->requests[0] : NULL,
					  .diag = diag ? diag : &own,
					  .err = err};
	struct inference_build build = {source, config, &report};
	int r;

	if (!config || inference_keys_inherit(config, source->before) < 0)
		return inference_no_memory(&report);
	if (source->requests_len > INFERENCE_ROUTES_MAX)
		return error_set(err, -E2BIG, "--inference: %zu routes; at most %d",
				 source->requests_len, INFERENCE_ROUTES_MAX);
	r = is_file ? from_file(&build) : from_options(&build);
	diagnostics_sort(report.diag);
	if (!r)
		*ret_config = TAKE_PTR(config);
	return r;
}

const WORKER(Inference) * inference_config_get(const struct inference_config *config)
{
	return &config->told;
}

void inference_config_hide(const struct inference_config *config)
{
	for (const struct inference_variable *v = config->variables; v; v = v->next) {
		char *value = getenv(v->name);

		/* What execve() was given stays readable as /proc/PID/environ: not just unset. */
		if (value)
			explicit_bzero(value, strlen(value));
		unsetenv(v->name);
	}
}

void inference_config_free(struct inference_config *config)
{
	if (!config)
		return;
	for (struct inference_secret *secret = config->secrets; secret; secret = secret->next)
		explicit_bzero(secret->text, strlen(secret->text));
	/* The configuration itself comes from its arena. */
	arena_free(config->arena);
}

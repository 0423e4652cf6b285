/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy_check.h"
#include "common/middleware_config.h"
#include "common/policy_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void check_patterns(const struct policy_strings *patterns, struct diagnostics *diag)
{
	char canonical[POLICY_HOST_MAX + 1];
	enum policy_host_kind kind;
	const char *why;

	for (size_t i = 0; i < patterns->count; i++)
		if (policy_host_parse(patterns->items[i].value, &kind, canonical, &why) < 0)
			policy_error(diag, patterns->items[i].at, "middleware.host",
				     "host '%s' is refused: %s", patterns->items[i].value, why);
}

/* What is built in is told at load what is wrong with its configuration, services judge theirs. */
static int check_config(const struct policy_middleware *middleware, struct diagnostics *diag)
{
	_cleanup_middleware_config_ struct middleware_config *config = NULL;
	const char *name = middleware->middleware.value, *near;
	struct error err = {};
	int r;

	if (!name || strncmp(name, "openshell/", 10))
		return 0;
	if (!middleware_is_built_in(name)) {
		near = middleware_nearest(name);
		policy_error(diag, middleware->middleware.at, "middleware.name",
			     "there is no built-in middleware '%s'%s%s%s", name,
			     near ? " (did you mean '"
				  : ": names that begin with openshell/ are ours",
			     near ? near : "", near ? "'?)" : "");
		return 0;
	}
	if (policy_given(middleware->config) && !middleware->config.value)
		return 0;
	r = middleware_config_parse(middleware->config.value ? middleware->config.value : "",
				    &config, &err);
	if (r == -EINVAL)
		policy_error(diag, middleware->config.at, "middleware.config", "%s", err.message);
	return r == -EINVAL ? 0 : r;
}

static int check_middleware(const struct policy_middleware *middleware, struct diagnostics *diag)
{
	const struct policy_selector *endpoints = &middleware->endpoints;
	size_t patterns = endpoints->include.count + endpoints->exclude.count;

	if (strlen(middleware->head.key) > 256)
		policy_error(diag, middleware->head.at, "middleware.key",
			     "the key of a middleware is longer than 256 bytes");
	if (middleware->middleware.value && !*middleware->middleware.value)
		policy_error(diag, middleware->middleware.at, "middleware.name",
			     "'middleware' is empty: it names a built-in or a registered service");
	if (policy_given(endpoints->head) && !policy_given(endpoints->include))
		policy_error(diag, endpoints->head.at, "middleware.include",
			     "a middleware's endpoints need 'include'");
	if (patterns > POLICY_SELECTORS_MAX)
		policy_error(diag, endpoints->head.at, "middleware.patterns",
			     "%zu host patterns: at most %d in one middleware", patterns,
			     POLICY_SELECTORS_MAX);
	check_patterns(&endpoints->include, diag);
	check_patterns(&endpoints->exclude, diag);
	if (middleware->on_error.value == POLICY_ON_ERROR_FAIL_OPEN)
		policy_warning(diag, middleware->on_error.at, "middleware.fail-open",
			       "'fail_open' lets traffic pass unchecked whenever the middleware "
			       "fails");
	return check_config(middleware, diag);
}

static bool selects(const struct policy_strings *patterns, const char *host, size_t *steps)
{
	char canonical[POLICY_HOST_MAX + 1];
	enum policy_host_kind kind;
	const char *why;

	for (size_t i = 0; i < patterns->count; i++)
		if (!policy_host_parse(patterns->items[i].value, &kind, canonical, &why) &&
		    policy_host_overlap(canonical, host, steps) == 1)
			return true;
	return false;
}

/* What is not inspected never reaches a middleware, and failing closed means refusing it. */
static void check_uninspected(const struct policy *policy,
			      const struct policy_middleware *middleware, size_t *steps,
			      struct diagnostics *diag)
{
	const struct policy_rule *rules = policy->rules.items;
	size_t total = 0;

	if (middleware->on_error.value == POLICY_ON_ERROR_FAIL_OPEN)
		return;
	for (size_t i = 0; i < policy->rules.count; i++)
		total += rules[i].endpoints.count;
	if (total > POLICY_ENDPOINTS_MAX)
		return; /* too many is an error of its own */
	for (size_t i = 0; i < policy->rules.count; i++) {
		const struct policy_endpoint *endpoints = rules[i].endpoints.items;

		for (size_t j = 0; j < rules[i].endpoints.count; j++) {
			const struct policy_endpoint *endpoint = &endpoints[j];
			char canonical[POLICY_HOST_MAX + 1];
			enum policy_host_kind kind;
			const char *why;

			if (endpoint->tls.value != POLICY_TLS_SKIP || !endpoint->host.value ||
			    policy_host_parse(endpoint->host.value, &kind, canonical, &why) < 0 ||
			    !selects(&middleware->endpoints.include, canonical, steps) ||
			    selects(&middleware->endpoints.exclude, canonical, steps))
				continue;
			policy_warning(
				diag, endpoint->tls.at, "middleware.tls-skip",
				"middleware '%s' fails closed and cannot see what 'tls: skip' "
				"hides: connections to '%s' will be refused",
				middleware->head.key, canonical);
		}
	}
}

static int order_compare(const void *a, const void *b)
{
	const struct policy_middleware *x = *(const struct policy_middleware *const *)a;
	const struct policy_middleware *y = *(const struct policy_middleware *const *)b;

	if (x->order.value != y->order.value)
		return x->order.value < y->order.value ? -1 : 1;
	return x->head.at.line != y->head.at.line ? x->head.at.line - y->head.at.line
						  : x->head.at.col - y->head.at.col;
}

static void check_orders(const struct policy_middleware *middlewares, size_t count,
			 struct diagnostics *diag)
{
	const struct policy_middleware *sorted[POLICY_MIDDLEWARES_MAX];

	for (size_t i = 0; i < count; i++)
		sorted[i] = &middlewares[i];
	qsort(sorted, count, sizeof(sorted[0]), order_compare);
	for (size_t i = 1; i < count; i++)
		if (sorted[i]->order.value == sorted[i - 1]->order.value)
			policy_error(
				diag,
				policy_given(sorted[i]->order) ? sorted[i]->order.at
							       : sorted[i]->head.at,
				"middleware.order",
				"middleware '%s' has the same 'order' %lld as '%s': which runs "
				"first must be said",
				sorted[i]->head.key, (long long)sorted[i]->order.value,
				sorted[i - 1]->head.key);
}

int policy_check_middlewares(const struct policy *policy, struct diagnostics *diag)
{
	const struct policy_middleware *middlewares = policy->middlewares.items;
	size_t steps = 1u << 24;

	if (policy->middlewares.count > POLICY_MIDDLEWARES_MAX) {
		policy_error(diag, policy->middlewares.at, "middleware.count",
			     "%zu middlewares: at most %d", policy->middlewares.count,
			     POLICY_MIDDLEWARES_MAX);
		return 0;
	}
	for (size_t i = 0; i < policy->middlewares.count; i++) {
		int r = check_middleware(&middlewares[i], diag);

		if (r < 0)
			return r;
		check_uninspected(policy, &middlewares[i], &steps, diag);
	}
	check_orders(middlewares, policy->middlewares.count, diag);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event_yaml.h"

#include "common/cleanup.h"
#include "common/policy.h"

#include <string.h>

/* 0 if @text is a policy that can be put in force; -EBADMSG, with the first thing that is wrong. */
static int check(const char *text, size_t len, struct error *err)
{
	Openshell__Compiled__V1__CompiledPolicy *compiled = NULL;
	struct policy *policy = NULL;
	int r;

	r = policy_load_buffer("the learned policy", text, len, &policy, NULL, err);
	if (!r)
		r = policy_compile(policy, &compiled, err);
	policy_compiled_free(compiled);
	policy_free(policy);
	return r;
}

static int merge_and_check(const char *base, size_t base_len, const struct event_grants *grants,
			   char **ret_text, size_t *ret_len, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = event_yaml_merge(base, base_len, grants, &text, &len, err);
	if (!r)
		r = check(text, len, err);
	if (r)
		return r;
	*ret_text = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

/* Whether @endpoint is what the base cannot be joined with. */
static bool is_refused(const char *base, size_t base_len, const struct event_grant_endpoint *e)
{
	struct event_grant_endpoint copy = *e;
	const struct event_grants alone = {.endpoint = &copy, .endpoints = 1};
	_cleanup_free_ char *text = NULL;
	size_t len;

	return merge_and_check(base, base_len, &alone, &text, &len, NULL) == -EBADMSG;
}

int event_yaml_merge_valid(const char *base, size_t base_len, struct event_grants *grants,
			   const struct event_yaml_sink *sink, char **ret_text, size_t *ret_len,
			   struct error *err)
{
	size_t kept = 0, before = grants->endpoints;
	int r;

	r = merge_and_check(base, base_len, grants, ret_text, ret_len, err);
	if (r != -EBADMSG)
		return r;
	for (size_t i = 0; i < before; i++) {
		struct event_grant_endpoint e = grants->endpoint[i];

		if (!is_refused(base, base_len, &e)) {
			grants->endpoint[kept++] = e;
			continue;
		}
		sink->dropped(sink->arg, &e);
		free(e.exe);
		free(e.host);
		free(e.rule);
	}
	grants->endpoints = kept;
	if (kept == before)
		return r;
	if (err)
		*err = (struct error){0};
	return merge_and_check(base, base_len, grants, ret_text, ret_len, err);
}

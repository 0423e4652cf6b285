/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grants as lines of a policy file: printed for people, or merged into a whole policy document.
 * Pure but for the stream printed to; any thread.
 */
#pragma once

#include "common/error.h"
#include "common/event_grants.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Print the sections that would grant @grants, indented by two, at most @lines lines a section. */
void event_yaml_print(const struct event_grants *grants, size_t lines, FILE *out);

/* True if @path can stand in a policy: UTF-8 without control characters. */
bool event_yaml_can_hold(const char *path);

/* A rule's key for the program @exe: its name, with what a key should not have made '_'. */
void event_yaml_rule_name(const char *exe, char *ret, size_t size);

/*
 * What a policy document (YAML text; empty = `version: 1`) says about paths, as base entries of
 * @ret_grants (to event_grants_free()), so that learned ones can be laid over them. -EINVAL: not
 * YAML, or not a mapping; -E2BIG, -ENOMEM. The text has been validated by the policy loader: what
 * has another shape than a policy's is passed over.
 */
struct event_yaml_base {
	struct event_grants paths; /* read_only and read_write */
	char **deny;		   /* filesystem_policy.deny */
	size_t denies;
	bool include_workdir;
	bool exec_allow; /* exec_policy.allow is given */
};

int event_yaml_read(const char *text, size_t len, struct event_yaml_base *ret_base,
		    struct error *err);
void event_yaml_base_free(struct event_yaml_base *base);

/*
 * @base with @grants in it: filesystem_policy made anew from @grants (which has the base's own
 * paths too), programs added to exec_policy.allow where that is given, a rule per binary added to
 * network_policies for each list of endpoints. *ret_text is to free(). -EINVAL, -ENOMEM, -E2BIG.
 */
int event_yaml_merge(const char *base, size_t len, const struct event_grants *grants,
		     char **ret_text, size_t *ret_len, struct error *err);

/* Told of each endpoint that the base's rules do not go together with; it is gone afterwards. */
struct event_yaml_sink {
	void (*dropped)(void *arg, const struct event_grant_endpoint *endpoint);
	void *arg;
};

/*
 * As event_yaml_merge(), and what comes out is a policy that loads: endpoints that contradict the
 * base's (one that is inspected there, other allowed_ips) are taken out of @grants. -EBADMSG if
 * something else is wrong, -E2BIG if it is too much for the kernel's tables.
 */
int event_yaml_merge_valid(const char *base, size_t len, struct event_grants *grants,
			   const struct event_yaml_sink *sink, char **ret_text, size_t *ret_len,
			   struct error *err);

/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/environment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char **find(struct environment *environment, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < environment->count; i++)
		if (!strncmp(environment->item[i], name, n) && environment->item[i][n] == '=')
			return &environment->item[i];
	return NULL;
}

int environment_set(struct environment *environment, const char *name, const char *value,
		    struct error *err)
{
	char **there = find(environment, name), *text;

	if (!there && environment->count == ENVIRONMENT_MAX)
		return error_set(err, -E2BIG, "more than %d variables", ENVIRONMENT_MAX);
	if (asprintf(&text, "%s=%s", name, value) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	if (there) {
		free(*there);
		*there = text;
	} else {
		environment->item[environment->count++] = text;
	}
	return 0;
}

int environment_copy(const struct environment *from, struct environment *ret_to, struct error *err)
{
	struct environment to = {};

	for (; to.count < from->count; to.count++) {
		to.item[to.count] = strdup(from->item[to.count]);
		if (!to.item[to.count]) {
			environment_clear(&to);
			return error_set(err, -ENOMEM, "out of memory");
		}
	}
	*ret_to = to;
	return 0;
}

const char *environment_get(const struct environment *environment, const char *name)
{
	char **there = find((struct environment *)environment, name);

	return there ? *there + strlen(name) + 1 : NULL;
}

void environment_clear(struct environment *environment)
{
	for (size_t i = 0; i < environment->count; i++)
		free(environment->item[i]);
	*environment = (struct environment){};
}

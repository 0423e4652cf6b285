/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment of a sandbox's commands, made anew: nothing of the daemon's own is in it. Owned
 * by whoever made it; one thread. Later ones win.
 */
#pragma once

#include "common/error.h"

#include <stddef.h>

#define ENVIRONMENT_MAX 1024

struct environment {
	char *item[ENVIRONMENT_MAX + 1]; /* "NAME=VALUE", ended by NULL */
	size_t count;
};

/* -E2BIG, -ENOMEM. */
int environment_set(struct environment *environment, const char *name, const char *value,
		    struct error *err);
int environment_copy(const struct environment *from, struct environment *ret_to, struct error *err);

/* NULL: it is not there. */
const char *environment_get(const struct environment *environment, const char *name);
void environment_clear(struct environment *environment);

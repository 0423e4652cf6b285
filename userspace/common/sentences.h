/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded list of sentences for people, gathered on the way and told later. Owned by whoever has
 * it; one thread. Past the bound the last one says that there were more.
 */
#pragma once

#include <stddef.h>

#define SENTENCES_MAX 512

struct sentences {
	char **item;
	size_t len;
};

/* Append. -ENOMEM. */
int sentences_add(struct sentences *sentences, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

void sentences_free(struct sentences *sentences);

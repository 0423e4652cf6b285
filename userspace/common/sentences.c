/* SPDX-License-Identifier: Apache-2.0 */
#include "common/sentences.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int sentences_add(struct sentences *sentences, const char *fmt, ...)
{
	char **grown, *text;
	va_list args;
	int n;

	if (sentences->len >= SENTENCES_MAX)
		return 0;
	if (sentences->len == SENTENCES_MAX - 1)
		fmt = "there is more to say than is kept here";
	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0)
		return -ENOMEM;
	grown = realloc(sentences->item, (sentences->len + 1) * sizeof(*grown));
	if (!grown) {
		free(text);
		return -ENOMEM;
	}
	sentences->item = grown;
	sentences->item[sentences->len++] = text;
	return 0;
}

void sentences_free(struct sentences *sentences)
{
	for (size_t i = 0; i < sentences->len; i++)
		free(sentences->item[i]);
	free(sentences->item);
	*sentences = (struct sentences){};
}

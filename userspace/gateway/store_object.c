/* SPDX-License-Identifier: Apache-2.0 */
/* Objects in memory: their ids, their labels, and reading them from a row. */
#include "gateway/store_internal.h"

#include "common/cleanup.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

void store_object_clear(struct store_object *object)
{
	for (size_t i = 0; i < object->labels; i++)
		free(object->label[i]);
	free(object->label);
	if (object->payload)
		OPENSSL_cleanse(object->payload, object->payload_size);
	free(object->payload);
	free(object->id);
	free(object->workspace);
	free(object->name);
	*object = (struct store_object){};
}

void store_make_id(char ret_id[37])
{
	uint8_t b[16];

	/* It does not fail once OpenSSL is seeded, which store_open() has seen. */
	if (RAND_bytes(b, sizeof(b)) != 1)
		abort();
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	snprintf(ret_id, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
		 b[13], b[14], b[15]);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *store_join_labels(const struct store_object *object)
{
	_cleanup_free_ char **sorted = calloc(object->labels + 1, sizeof(*sorted));
	size_t size = 2;
	char *text, *at;

	if (!sorted)
		return NULL;
	for (size_t i = 0; i < object->labels; i++) {
		sorted[i] = object->label[i];
		size += strlen(object->label[i]) + 1;
	}
	qsort(sorted, object->labels, sizeof(*sorted), compare);
	text = malloc(size);
	if (!text)
		return NULL;
	at = text;
	*at++ = '\n';
	for (size_t i = 0; i < object->labels; i++)
		at += snprintf(at, size - (size_t)(at - text), "%s\n", sorted[i]);
	*at = 0;
	return text;
}

int store_split_labels(const char *text, struct store_object *object)
{
	size_t count = 0;

	for (const char *p = text; *p; p++)
		count += *p == '\n';
	if (count < 2)
		return 0;
	object->label = calloc(count - 1, sizeof(*object->label));
	if (!object->label)
		return -ENOMEM;
	text++;
	while (*text && object->labels < count - 1) {
		size_t n = strcspn(text, "\n");

		object->label[object->labels] = strndup(text, n);
		if (!object->label[object->labels])
			return -ENOMEM;
		object->labels++;
		text += n + (text[n] == '\n');
	}
	return 0;
}

static char *column_text(sqlite3_stmt *s, int column)
{
	const unsigned char *text = sqlite3_column_text(s, column);

	return strdup(text ? (const char *)text : "");
}

int store_read_row(struct store *store, sqlite3_stmt *s, struct store_object *ret_object,
		   struct error *err)
{
	struct store_object object = {
		.id = column_text(s, 0),
		.kind = (enum store_kind)sqlite3_column_int(s, 1),
		.workspace = column_text(s, 2),
		.name = column_text(s, 3),
		.version = (uint64_t)sqlite3_column_int64(s, 4),
		.created_ms = sqlite3_column_int64(s, 5),
	};
	const char *labels = (const char *)sqlite3_column_text(s, 6);
	int r = 0;

	if (!object.id || !object.workspace || !object.name ||
	    store_split_labels(labels ? labels : "\n", &object))
		r = error_set(err, -ENOMEM, "out of memory");
	if (!r)
		r = store_unseal(store, &object, sqlite3_column_blob(s, 7),
				 (size_t)sqlite3_column_bytes(s, 7), err);
	if (r) {
		store_object_clear(&object);
		return r;
	}
	*ret_object = object;
	return 0;
}

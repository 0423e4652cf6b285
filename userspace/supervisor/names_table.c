/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/names_table.h"

#include "common/cleanup.h"

#include <string.h>

/* FNV-1a; an agent that looks for collisions slows down its own answers, by the names it may have.
 */
static uint32_t hash(const char *text, size_t length)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < length; i++)
		h = (h ^ (unsigned char)text[i]) * 16777619u;
	return h ^ h >> 15;
}

static uint32_t *bucket_of(const struct names_table *table, const char *text, size_t length)
{
	return &table->bucket[hash(text, length) & (table->buckets - 1)];
}

struct name *names_table_at(const struct names_table *table, uint32_t number)
{
	return number && number <= table->len ? &table->name[number - 1] : NULL;
}

struct name *names_table_find(const struct names_table *table, const char *text, size_t length)
{
	struct name *name;

	if (!table->buckets)
		return NULL;
	name = names_table_at(table, *bucket_of(table, text, length));
	while (name && (name->length != length || memcmp(name->text, text, length)))
		name = names_table_at(table, name->next);
	return name;
}

/* In the order of numbers, so that the newest name is the first of its bucket. */
static int grow(struct names_table *table)
{
	size_t cap = table->cap ? table->cap * 2 : 64;
	struct name *name = realloc(table->name, cap * sizeof(*name));
	uint32_t *bucket;

	if (!name)
		return -ENOMEM;
	table->name = name;
	bucket = calloc(cap, sizeof(*bucket));
	if (!bucket)
		return -ENOMEM;
	free(table->bucket);
	table->bucket = bucket;
	table->buckets = table->cap = cap;
	for (size_t i = 0; i < table->len; i++) {
		bucket = bucket_of(table, name[i].text, name[i].length);
		name[i].next = *bucket;
		*bucket = name[i].number;
	}
	return 0;
}

int names_table_add(struct names_table *table, const char *text, size_t length, size_t max,
		    struct name **ret_name)
{
	_cleanup_free_ char *copy = NULL;
	struct name *name;
	uint32_t *bucket;

	if (table->len >= max)
		return -E2BIG;
	if (table->len == table->cap && grow(table))
		return -ENOMEM;
	copy = strndup(text, length);
	if (!copy)
		return -ENOMEM;
	bucket = bucket_of(table, copy, length);
	name = &table->name[table->len];
	*name = (struct name){
		.text = TAKE_PTR(copy),
		.number = (uint32_t)++table->len,
		.next = *bucket,
		.length = (uint8_t)length,
	};
	*bucket = name->number;
	*ret_name = name;
	return 0;
}

void names_table_cut(struct names_table *table, size_t len)
{
	while (table->len > len) {
		struct name *name = &table->name[table->len - 1];

		*bucket_of(table, name->text, name->length) = name->next;
		table->wildcards -= name->wildcard;
		free(name->text);
		free(name->addresses);
		table->len--;
	}
}

void names_table_free(struct names_table *table)
{
	names_table_cut(table, 0);
	free(table->name);
	free(table->bucket);
	*table = (struct names_table){};
}

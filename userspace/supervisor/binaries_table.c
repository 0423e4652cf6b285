/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/binaries_table.h"

#include "bpf/include/identity.h"

#include <stdlib.h>
#include <string.h>

static struct binaries_file **bucket_of(struct binaries_table *table, const struct os_file_id *file)
{
	uint64_t h = file->ino * 0x9e3779b97f4a7c15ull;

	h ^= (uint64_t)file->dev << 32 | file->generation;
	h *= 0xd6e8feb86659fd93ull;
	return &table->bucket[h >> 32 & (BINARIES_BUCKETS - 1)];
}

static void take_out(struct binaries_table *table, struct binaries_file *file)
{
	*(file->newer ? &file->newer->older : &table->newest) = file->older;
	*(file->older ? &file->older->newer : &table->oldest) = file->newer;
	file->newer = file->older = NULL;
}

static void put_newest(struct binaries_table *table, struct binaries_file *file)
{
	file->older = table->newest;
	*(table->newest ? &table->newest->newer : &table->oldest) = file;
	table->newest = file;
}

struct binaries_file *binaries_table_find(struct binaries_table *table,
					  const struct os_file_id *file)
{
	for (struct binaries_file *f = *bucket_of(table, file); f; f = f->next)
		if (identity_file_equal(&f->file, file))
			return f;
	return NULL;
}

static void drop(struct binaries_table *table, struct binaries_file *file)
{
	struct binaries_file **at = bucket_of(table, &file->file);

	while (*at != file)
		at = &(*at)->next;
	*at = file->next;
	take_out(table, file);
	table->len--;
	free(file->path);
	free(file);
}

struct binaries_file *binaries_table_use(struct binaries_table *table,
					 const struct os_file_id *file, uint32_t generation)
{
	struct binaries_file *f = binaries_table_find(table, file);

	if (f) {
		take_out(table, f);
	} else {
		struct binaries_file **bucket = bucket_of(table, file);

		if (table->len == BINARIES_TABLE_MAX) {
			if (table->forget)
				table->forget(table->arg, table->oldest);
			drop(table, table->oldest);
		}
		f = calloc(1, sizeof(*f));
		if (!f)
			return NULL;
		f->file = *file;
		f->generation = generation;
		f->next = *bucket;
		*bucket = f;
		table->len++;
	}
	put_newest(table, f);
	if (f->generation != generation) {
		f->generation = generation;
		f->looked = f->published = f->hashing = f->comparing = f->silent = f->hashed =
			false;
		f->checked = 0;
	}
	return f;
}

bool binaries_file_at(struct binaries_file *file, const char *path)
{
	if (file->path && !strcmp(file->path, path))
		return false;
	free(file->path);
	file->path = strlen(path) < BINARIES_PATH_BYTES ? strdup(path) : NULL;
	return true;
}

void binaries_table_free(struct binaries_table *table)
{
	while (table->newest)
		drop(table, table->newest);
}

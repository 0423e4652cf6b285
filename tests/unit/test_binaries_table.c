/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/binaries_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct binaries_table table;
static unsigned int forgotten;
static uint64_t last_forgotten;

static struct os_file_id file(uint64_t ino)
{
	return (struct os_file_id){.ino = ino, .dev = 1, .generation = 7};
}

static struct binaries_file *use(uint64_t ino, uint32_t generation)
{
	struct os_file_id id = file(ino);

	return binaries_table_use(&table, &id, generation);
}

static struct binaries_file *find(uint64_t ino)
{
	struct os_file_id id = file(ino);

	return binaries_table_find(&table, &id);
}

static void forget(void *arg, struct binaries_file *gone)
{
	forgotten++;
	last_forgotten = gone->file.ino;
}

static int set_up(void **state)
{
	table = (struct binaries_table){.forget = forget};
	forgotten = 0;
	return 0;
}

static int tear_down(void **state)
{
	binaries_table_free(&table);
	assert_int_equal(table.len, 0);
	assert_null(table.newest);
	assert_null(table.oldest);
	return 0;
}

static void a_file_is_all_of_its_id(void **state)
{
	struct os_file_id other = file(1);

	assert_null(find(1));
	assert_non_null(use(1, 1));
	assert_ptr_equal(find(1), use(1, 1));
	other.generation++;
	assert_null(binaries_table_find(&table, &other));
	other = file(1);
	other.dev++;
	assert_null(binaries_table_find(&table, &other));
	assert_int_equal(table.len, 1);
}

static void the_oldest_goes(void **state)
{
	for (uint64_t i = 1; i <= BINARIES_TABLE_MAX; i++)
		assert_non_null(use(i, 1));
	assert_int_equal(forgotten, 0);
	use(1, 1); /* used again */
	use(BINARIES_TABLE_MAX + 1, 1);
	assert_int_equal(forgotten, 1);
	assert_int_equal(last_forgotten, 2);
	assert_null(find(2));
	assert_non_null(find(1));
	for (uint64_t i = 0; i < 3 * BINARIES_TABLE_MAX; i++)
		use(1000000 + i, 1);
	assert_int_equal(table.len, BINARIES_TABLE_MAX);
	assert_null(find(1));
}

/* A load is a new beginning, but for what the content was. */
static void another_generation_resets(void **state)
{
	struct binaries_file *f = use(1, 1);

	f->looked = f->published = f->hashing = f->comparing = f->hashed = f->remembered = true;
	f->checked = 5;
	f->times[0] = 6;
	f->sha256[0] = 7;
	assert_true(binaries_file_at(f, "/a"));
	assert_ptr_equal(use(1, 1), f);
	assert_true(f->hashed && f->looked);
	assert_ptr_equal(use(1, 2), f);
	assert_false(f->looked || f->published || f->hashing || f->comparing || f->hashed);
	assert_int_equal(f->checked, 0);
	assert_true(f->remembered);
	assert_int_equal(f->times[0], 6);
	assert_int_equal(f->sha256[0], 7);
	assert_string_equal(f->path, "/a");
}

static void paths_are_news_once(void **state)
{
	struct binaries_file *f = use(1, 1);
	char deep[BINARIES_PATH_BYTES + 1];

	assert_true(binaries_file_at(f, "/a"));
	assert_false(binaries_file_at(f, "/a"));
	assert_true(binaries_file_at(f, "/b"));
	assert_string_equal(f->path, "/b");
	memset(deep, 'x', sizeof(deep));
	deep[0] = '/';
	deep[BINARIES_PATH_BYTES] = '\0';
	assert_true(binaries_file_at(f, deep));
	assert_null(f->path);
	deep[BINARIES_PATH_BYTES - 1] = '\0';
	assert_true(binaries_file_at(f, deep));
	assert_string_equal(f->path, deep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_file_is_all_of_its_id, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_oldest_goes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_generation_resets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(paths_are_news_once, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

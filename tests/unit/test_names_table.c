/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/names_table.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const char *text(unsigned int i)
{
	static char buf[64];

	snprintf(buf, sizeof(buf), "n%u.example.org", i);
	return buf;
}

static int add(struct names_table *table, unsigned int i, size_t max)
{
	struct name *name;
	int r = names_table_add(table, text(i), strlen(text(i)), max, &name);

	if (!r) {
		assert_string_equal(name->text, text(i));
		assert_int_equal(name->number, table->len);
	}
	return r;
}

static struct name *find(const struct names_table *table, unsigned int i)
{
	return names_table_find(table, text(i), strlen(text(i)));
}

static void a_number_for_each_name(void **state)
{
	struct names_table table = {};

	assert_null(find(&table, 0));
	for (unsigned int i = 0; i < 5000; i++)
		assert_int_equal(add(&table, i, 5000), 0);
	assert_int_equal(add(&table, 5000, 5000), -E2BIG);
	for (unsigned int i = 0; i < 5000; i++) {
		assert_non_null(find(&table, i));
		assert_int_equal(find(&table, i)->number, i + 1);
		assert_ptr_equal(find(&table, i), names_table_at(&table, i + 1));
	}
	assert_null(find(&table, 5000));
	assert_null(names_table_at(&table, 0));
	assert_null(names_table_at(&table, 5001));
	/* only as much of the text as is said counts */
	assert_non_null(names_table_find(&table, "n1.example.orgx", 14));
	assert_null(names_table_find(&table, "n1.example.org", 13));
	names_table_free(&table);
}

static void the_newest_are_taken_back(void **state)
{
	struct names_table table = {};

	for (unsigned int i = 0; i < 300; i++)
		assert_int_equal(add(&table, i, 1000), 0);
	names_table_at(&table, 200)->wildcard = true;
	table.wildcards = 1;
	names_table_cut(&table, 100);
	assert_int_equal(table.len, 100);
	assert_int_equal(table.wildcards, 0);
	for (unsigned int i = 0; i < 300; i++)
		assert_int_equal(find(&table, i) != NULL, i < 100);
	for (unsigned int i = 900; i < 1200; i++)
		assert_int_equal(add(&table, i, 1000), 0);
	assert_int_equal(find(&table, 900)->number, 101);
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(find(&table, i)->number, i + 1);
	names_table_free(&table);
	assert_null(table.name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_for_each_name),
		cmocka_unit_test(the_newest_are_taken_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/policy_decode.h"
#include "common/policy_words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static const char *const words[] = {
	"read_only", "read_write", "include_workdir", "deny", "filesystem_policy", "tls", NULL};

static void distances(void **state)
{
	assert_int_equal(policy_word_distance("abc", "abc", 5), 0);
	assert_int_equal(policy_word_distance("abc", "acb", 5), 1);
	assert_int_equal(policy_word_distance("abc", "ab", 5), 1);
	assert_int_equal(policy_word_distance("", "abc", 5), 3);
	assert_int_equal(policy_word_distance("kitten", "sitting", 5), 3);
	assert_int_equal(policy_word_distance("READ-ONLY", "read_only", 5), 0);
	assert_int_equal(policy_word_distance("kitten", "sitting", 2), 3);
}

static void nearest_words(void **state)
{
	assert_string_equal(policy_word_nearest("read_onyl", words), "read_only");
	assert_string_equal(policy_word_nearest("readOnly", words), "read_only");
	assert_string_equal(policy_word_nearest("readwrite", words), "read_write");
	assert_string_equal(policy_word_nearest("filesystem", words), "filesystem_policy");
	assert_string_equal(policy_word_nearest("dney", words), "deny");
	assert_null(policy_word_nearest("network", words));
	assert_null(policy_word_nearest("x", words));
	assert_null(policy_word_nearest("", words));
}

static void long_words_are_no_neighbours(void **state)
{
	char word[5000];

	memset(word, 'a', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	assert_null(policy_word_nearest(word, words));
	assert_int_equal(policy_word_distance(word, "deny", 3), 4);
}

static void templates_are_found(void **state)
{
	size_t at;

	assert_int_equal(policy_find_template("/home/${USER}/x", &at), 7);
	assert_int_equal(at, 6);
	assert_int_equal(policy_find_template("__HOME__/x", &at), 8);
	assert_int_equal(policy_find_template("__MY_DIR_2__", &at), 12);
	assert_int_equal(policy_find_template("a{{ b }}c", &at), 7);
	assert_int_equal(at, 1);
	assert_int_equal(policy_find_template("/x/__pycache__/y", &at), 0);
	assert_int_equal(policy_find_template("$HOME ${open {{open __OPEN_", &at), 0);
	assert_int_equal(policy_find_template("", &at), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(distances),
		cmocka_unit_test(nearest_words),
		cmocka_unit_test(long_words_are_no_neighbours),
		cmocka_unit_test(templates_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

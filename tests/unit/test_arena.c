/* SPDX-License-Identifier: Apache-2.0 */
#include "common/arena.h"
#include "common/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void memory_is_zeroed_and_aligned(void **state)
{
	_cleanup_arena_ struct arena *arena = arena_new(1 << 20);

	for (size_t size = 0; size < 40000; size = size * 3 + 1) {
		unsigned char *data = arena_alloc(arena, size);

		assert_non_null(data);
		assert_int_equal((uintptr_t)data % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(data[i], 0);
		memset(data, 0xff, size);
	}
}

static void the_cap_holds(void **state)
{
	_cleanup_arena_ struct arena *arena = arena_new(1000);

	assert_null(arena_alloc(arena, 1001));
	assert_null(arena_alloc(arena, SIZE_MAX));
	assert_null(arena_alloc_array(arena, SIZE_MAX / 2, 3));
	assert_non_null(arena_alloc(arena, 900));
	assert_null(arena_alloc(arena, 200));
	assert_non_null(arena_alloc(arena, 60));
}

static void strings_are_copied(void **state)
{
	_cleanup_arena_ struct arena *arena = arena_new(1 << 20);

	assert_string_equal(arena_copy(arena, "abcdef", 3), "abc");
	assert_string_equal(arena_copy(arena, "", 0), "");
	assert_string_equal(arena_format(arena, "%s-%d", "x", 42), "x-42");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_zeroed_and_aligned),
		cmocka_unit_test(the_cap_holds),
		cmocka_unit_test(strings_are_copied),
	};

	arena_free(NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

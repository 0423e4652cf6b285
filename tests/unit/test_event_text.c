/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/event_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void assert_word(const char *in, const char *out)
{
	char buf[256];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	text_add_word(&t, in);
	assert_string_equal(buf, out);
}

static void words_are_plain_or_quoted(void **state)
{
	assert_word("/usr/bin/curl", "/usr/bin/curl");
	assert_word("", "\"\"");
	assert_word("/a b", "\"/a b\"");
	assert_word("/a\"b\\c", "\"/a\\\"b\\\\c\"");
	assert_word("/x [engine:lsm]", "\"/x [engine:lsm]\"");
	assert_word("/srv/\xe6\x97\xa5\xe6\x9c\xac", "/srv/\xe6\x97\xa5\xe6\x9c\xac");
	assert_word("-> /x", "\"-> /x\"");
}

static void controls_never_get_through(void **state)
{
	assert_word("/a\nb", "\"/a\\nb\"");
	assert_word("/a\tb", "\"/a\\tb\"");
	assert_word("/a\033[2Jb", "\"/a\\x1b[2Jb\"");
	assert_word("/a\x7f", "\"/a\\x7f\"");
	assert_word("/\xff\xfe", "\"/\\xff\\xfe\"");
	/* C1 control, right-to-left override, line separator, zero-width space, byte order mark. */
	assert_word("/\xc2\x9b", "\"/\\u{9b}\"");
	assert_word("/\xe2\x80\xae", "\"/\\u{202e}\"");
	assert_word("/\xe2\x80\xa8", "\"/\\u{2028}\"");
	assert_word("/\xe2\x80\x8b", "\"/\\u{200b}\"");
	assert_word("/\xef\xbb\xbf", "\"/\\u{feff}\"");
}

static void sentences_keep_no_bracket(void **state)
{
	char buf[64];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	text_add_escaped(&t, "a] [b\n", 6);
	assert_string_equal(buf, "a\\x5d \\x5bb\\n");
}

static void utf8_is_strict(void **state)
{
	uint32_t code;

	assert_int_equal(utf8_next("\xc0\xaf", 2, &code), 0);	      /* overlong '/' */
	assert_int_equal(utf8_next("\xed\xa0\x80", 3, &code), 0);     /* surrogate */
	assert_int_equal(utf8_next("\xf4\x90\x80\x80", 4, &code), 0); /* past U+10FFFF */
	assert_int_equal(utf8_next("\xe2\x80", 2, &code), 0);	      /* ends early */
	assert_int_equal(utf8_next("\xf0\x9f\x98\x80", 4, &code), 4);
	assert_int_equal(code, 0x1f600);
	assert_int_equal(utf8_next("", 0, &code), 0);
}

static void cutting_is_marked_and_stays_in_bounds(void **state)
{
	char buf[8];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	text_add(&t, "%s", "12345678");
	assert_true(t.cut);
	assert_string_equal(buf, "1234567");
	text_add(&t, "x");
	assert_string_equal(buf, "1234567");

	text_init(&t, buf, sizeof(buf));
	text_add_word(&t, "\n\n\n\n\n");
	assert_true(t.cut);
	assert_int_equal(strlen(buf), 7);
}

static void addresses_and_times(void **state)
{
	static const uint8_t v4[16] = {[10] = 0xff, 0xff, 192, 0, 2, 1};
	static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
	char buf[64];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	text_add_address(&t, v4);
	text_add(&t, " ");
	text_add_address(&t, v6);
	assert_string_equal(buf, "192.0.2.1 2001:db8::1");

	text_init(&t, buf, sizeof(buf));
	text_add_time(&t, 1775016272118999999ull);
	assert_string_equal(buf, "2026-04-01T04:04:32.118Z");
	text_init(&t, buf, sizeof(buf));
	text_add_time(&t, UINT64_MAX);
	assert_false(t.cut);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_plain_or_quoted),
		cmocka_unit_test(controls_never_get_through),
		cmocka_unit_test(sentences_keep_no_bracket),
		cmocka_unit_test(utf8_is_strict),
		cmocka_unit_test(cutting_is_marked_and_stays_in_bounds),
		cmocka_unit_test(addresses_and_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

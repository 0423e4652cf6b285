/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/inference_answer.h"

#include "common/cleanup.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define API(name) OPENSHELL__WORKER__V1__INFERENCE_API__INFERENCE_API_##name

static void expect(struct text text, const char *wanted)
{
	assert_int_equal(text.size, strlen(wanted));
	assert_memory_equal(text.data, wanted, text.size);
}

static void bodies(void **state)
{
	_cleanup_arena_ struct arena *arena = arena_new(65536);
	struct text text;

	assert_int_equal(inference_answer_body(arena, "not_configured", "no \"model\"\n",
					       "run with --inference", &text),
			 0);
	expect(text, "{\"type\":\"error\",\"error\":{\"type\":\"not_configured\","
		     "\"code\":\"not_configured\",\"message\":\"no \\\"model\\\"\\n\","
		     "\"param\":null},\"hint\":\"run with --inference\"}\n");
	assert_int_equal(inference_answer_body(arena, "a", "b", NULL, &text), 0);
	expect(text, "{\"type\":\"error\",\"error\":{\"type\":\"a\",\"code\":\"a\","
		     "\"message\":\"b\",\"param\":null}}\n");
	/* An agent's word that is no text is left out; there is still an answer. */
	assert_int_equal(inference_answer_body(arena, "a", "\xff", NULL, &text), 0);
	expect(text, "{\"type\":\"error\",\"error\":{\"type\":\"a\",\"code\":\"a\","
		     "\"message\":\"\",\"param\":null}}\n");
}

#define JSON                                                                                       \
	"{\"type\":\"error\",\"error\":{\"type\":\"broken\",\"code\":\"broken\","                  \
	"\"message\":\"m\",\"param\":null}}"

static void frames(void **state)
{
	_cleanup_arena_ struct arena *arena = arena_new(65536);
	struct text text;

	assert_int_equal(inference_answer_frame(arena, API(MESSAGES), "broken", "m", false, &text),
			 0);
	expect(text, "\nevent: error\ndata: " JSON "\n\n");
	assert_int_equal(inference_answer_frame(arena, API(MESSAGES), "broken", "m", true, &text),
			 0);
	expect(text, "\n\nevent: error\ndata: " JSON "\n\n");
	assert_int_equal(
		inference_answer_frame(arena, API(CHAT_COMPLETIONS), "broken", "m", false, &text),
		0);
	expect(text, "\ndata: " JSON "\n\n");
	assert_int_equal(inference_answer_frame(arena, API(RESPONSES), "broken", "m", true, &text),
			 0);
	expect(text, "\n\ndata: " JSON "\n\n");
}

/* A frame has one line of data, whatever the message. */
static void one_line(void **state)
{
	_cleanup_arena_ struct arena *arena = arena_new(65536);
	struct text text;
	int ends = 0;

	assert_int_equal(inference_answer_frame(arena, API(COMPLETIONS), "c",
						"a\nb\r\n\ndata: x\n\n", false, &text),
			 0);
	for (uint32_t i = 0; i < text.size; i++) {
		assert_int_not_equal(text.data[i], '\r');
		ends += text.data[i] == '\n';
	}
	assert_int_equal(ends, 3);
}

static void no_memory(void **state)
{
	_cleanup_arena_ struct arena *arena = arena_new(16);
	struct text text = TEXT("untouched");

	assert_int_equal(inference_answer_body(arena, "a", "b", NULL, &text), -ENOMEM);
	assert_int_equal(inference_answer_frame(arena, API(MESSAGES), "a", "b", true, &text),
			 -ENOMEM);
	expect(text, "untouched");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies),
		cmocka_unit_test(frames),
		cmocka_unit_test(one_line),
		cmocka_unit_test(no_memory),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the response to a trial request, all at once and by and by: what is decided early
 * stays decided, and nothing is shown that a terminal could take for its own.
 */
#include "supervisor/inference_trial.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum inference_trial before = INFERENCE_TRIAL_MORE, now;
	size_t step = size / 64 + 1;
	struct text text;
	char buf[2048];
	int status;

	for (size_t n = 0; n <= size; n += step) {
		now = inference_trial_judge(data, n, false, &status);
		if (before != INFERENCE_TRIAL_MORE && now != before)
			__builtin_trap();
		if (status && (status < 100 || status > 999))
			__builtin_trap();
		before = now;
	}
	now = inference_trial_judge(data, size, true, &status);
	if (now == INFERENCE_TRIAL_MORE)
		__builtin_trap();
	text_init(&text, buf, sizeof(buf));
	inference_trial_reason(data, size, &text);
	for (size_t i = 0; i < strlen(buf); i++)
		if ((uint8_t)buf[i] < 0x20 || buf[i] == 0x7f)
			__builtin_trap();
	return 0;
}

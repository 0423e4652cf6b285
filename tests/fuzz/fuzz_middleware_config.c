/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration, a NUL, and a body to run it on: what parses also compiles and runs, within its
 * steps, and nothing changes where no pattern looks.
 */
#include "common/cleanup.h"
#include "common/middleware_config.h"
#include "proxy/middleware_regex.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena *arena = arena_new(64u << 20);
	_cleanup_middleware_config_ struct middleware_config *config = NULL;
	_cleanup_free_ char *json = malloc(size + 1);
	struct regex *regex = NULL;
	struct text text = {}, out;
	struct error err = {};
	const char *name;
	size_t len;

	if (!json || !arena)
		return 0;
	memcpy(json, data, size);
	json[size] = '\0';
	len = strlen(json);
	if (len < size)
		text = (struct text){json + len + 1, (uint32_t)(size - len - 1)};
	if (middleware_config_parse(json, &config, &err)) {
		if (!*err.message)
			__builtin_trap();
		return 0;
	}
	if (!config->patterns_len || config->patterns_len > MIDDLEWARE_PATTERNS_MAX)
		__builtin_trap();
	if (regex_new(json, &regex, &err))
		__builtin_trap();
	for (unsigned int place = MIDDLEWARE_BODY; place <= MIDDLEWARE_PATH; place <<= 1) {
		out = (struct text){};
		if (!regex_apply(regex, place, text, arena, &out, &name) &&
		    !(config->where & place) && out.data != text.data)
			__builtin_trap();
	}
	regex_free(regex);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes of inference.local: as an option, as a file, and the base URL alone. What is taken is
 * within the bounds that a worker checks, and what is refused says why.
 */
#include "common/cleanup.h"
#include "common/inference_config_internal.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		__builtin_trap();
}

static void check_url(const char *text)
{
	char again[INFERENCE_URL_MAX * 2 + 64];
	struct inference_url url, same;
	const char *why = NULL;
	bool brackets;

	if (inference_url_parse(text, &url, &why)) {
		must(why && *why);
		return;
	}
	must(url.port && *url.host && (!*url.path || *url.path == '/'));
	must(!*url.path || url.path[strlen(url.path) - 1] != '/');
	must(!strpbrk(url.path, " ?#%\\\"\r\n") && !strstr(url.path, "/../"));
	/* What was made of it means the same. */
	brackets = strchr(url.host, ':');
	snprintf(again, sizeof(again), "%s://%s%s%s:%u%s", url.tls ? "https" : "http",
		 brackets ? "[" : "", url.host, brackets ? "]" : "", url.port, url.path);
	if (strlen(again) <= INFERENCE_URL_MAX) {
		must(!inference_url_parse(again, &same, &why));
		must(!strcmp(same.host, url.host) && !strcmp(same.path, url.path) &&
		     same.port == url.port && same.tls == url.tls && same.loopback == url.loopback);
	}
}

static void check_wish(const struct inference_wish *wish)
{
	must(wish->provider.value && *wish->provider.value);
	must(wish->model.value && strlen(wish->model.value) <= INFERENCE_MODEL_MAX);
	must(!strpbrk(wish->model.value, " \"\\\r\n\t"));
	must(strlen(wish->name.value ? wish->name.value : wish->model.value) <= INFERENCE_NAME_MAX);
	must(wish->timeout.value >= 0 && wish->timeout.value <= 3600);
	if (wish->base_url.value)
		check_url(wish->base_url.value);
}

static void check_file(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena *arena = arena_new(16u << 20);
	_cleanup_diagnostics_ struct diagnostics diag = {};
	struct error err = {};
	const struct inference_report report = {.file = "fuzz", .diag = &diag, .err = &err};
	struct inference_section section = {};

	if (!arena)
		return;
	if (inference_section_parse(&report, data, size, arena, &section)) {
		must(*err.message);
		return;
	}
	must(section.routes.count <= INFERENCE_ROUTES_MAX);
	for (size_t i = 0; i < section.routes.count; i++)
		check_wish(&((const struct inference_wish *)section.routes.items)[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_arena_ struct arena *arena = arena_new(1u << 20);
	_cleanup_free_ char *text = malloc(size + 1);
	struct error err = {};
	const struct inference_report report = {.err = &err};
	struct inference_wish wish;

	if (!arena || !text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	check_url(text);
	if (!inference_wish_parse(&report, text, arena, &wish))
		check_wish(&wish);
	else
		must(*err.message);
	check_file(data, size);
	return 0;
}

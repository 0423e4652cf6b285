/* SPDX-License-Identifier: Apache-2.0 */
#include "suite.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct stage stage;
static unsigned int points, failures;

const char *name_of(int r)
{
	const char *name = strerrorname_np(-r);

	return r == 0 ? "ok" : name ? name : "nonsense";
}

void point(bool ok, const char *fmt, ...)
{
	va_list args;

	failures += !ok;
	printf("%sok %u - ", ok ? "" : "not ", ++points);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

struct observed observe(enum who who, const char *words, int error)
{
	struct event_counters before, after, since;
	struct observed o = {};
	char real[1024];

	stage_prepare(&stage, words, real);
	if (!stage.lsm) {
		o.result = server_ask(&stage.server[who], real);
		return o;
	}
	stage_drain(&stage, who);
	if (event_counters_read(stage.kernel->maps.count, &before))
		stage_die("os_count");
	o.result = server_ask(&stage.server[who], real);
	if (event_counters_read(stage.kernel->maps.count, &after))
		stage_die("os_count");
	event_counters_since(&before, &after, &since);
	stage_listen(&stage, who);
	for (unsigned int hook = 0; hook < OS_HOOK_COUNT; hook++) {
		if (since.value[OS_COUNT_HOOK + hook] && since.value[OS_COUNT_HOOK_DENIED + hook])
			o.denied |= HOOK_SET(hook);
		if (stage.heard[hook].count && stage.heard[hook].error == error)
			o.told |= HOOK_SET(hook);
		if (stage.heard[hook].audited)
			o.audited |= HOOK_SET(hook);
	}
	return o;
}

int ask(enum who who, const char *words)
{
	char real[1024];

	stage_prepare(&stage, words, real);
	return server_ask(&stage.server[who], real);
}

int suite_end(void)
{
	printf("1..%u\n", points);
	return failures != 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/summary_inference.h"

#include "common/cleanup.h"
#include "common/event_inference.h"
#include "common/event_text.h"

#include <inttypes.h>
#include <string.h>

#define OTHERS (ARRAY_LEN(((struct summary_inference *)NULL)->route) - 1)

static struct summary_route *find(struct summary_inference *s, const char *name)
{
	if (!s->len)
		s->len = 1;
	if (!name[0])
		return &s->route[0];
	for (size_t i = 1; i < s->len && i < OTHERS; i++)
		if (!strcmp(s->route[i].name, name))
			return &s->route[i];
	if (s->len <= OTHERS)
		s->len++;
	if (s->len <= OTHERS)
		snprintf(s->route[s->len - 1].name, sizeof(s->route[0].name), "%s", name);
	return &s->route[s->len - 1];
}

void summary_inference_add(struct summary_inference *summary, const struct event *event)
{
	const struct event_inference *inference = &event->inference;
	struct summary_route *route = find(summary, inference->route);
	uint64_t times = event->repeated ? event->repeated : 1;

	route->requests += times;
	if (event->action == EVENT_DENIED)
		route->denied += times;
	else if (event_inference_failed(event))
		route->failed += times;
	route->tokens_in += inference->tokens_in;
	route->tokens_out += inference->tokens_out;
	route->estimated |= inference->estimated;
	if (!inference->first_byte)
		return;
	route->first_byte += inference->first_byte;
	route->first_bytes += times;
	/* Of a sum only the mean is known. */
	if (inference->first_byte / times > route->slowest)
		route->slowest = inference->first_byte / times;
}

static void print_route(const struct summary_route *route, bool others, FILE *out)
{
	char name[4 * INFERENCE_NAME_MAX + 16];
	struct text t;

	text_init(&t, name, sizeof(name));
	text_add(&t, others ? "other routes" : route->name[0] ? "route " : "no route");
	if (!others && route->name[0])
		text_add_word(&t, route->name);
	fprintf(out, "openshell: inference: %s: %" PRIu64 " requests", name, route->requests);
	if (route->failed)
		fprintf(out, ", %" PRIu64 " failed", route->failed);
	if (route->denied)
		fprintf(out, ", %" PRIu64 " refused", route->denied);
	if (route->tokens_in || route->tokens_out)
		fprintf(out, ", %s%" PRIu64 " tokens in, %s%" PRIu64 " out",
			route->estimated ? "~" : "", route->tokens_in, route->estimated ? "~" : "",
			route->tokens_out);
	if (route->first_bytes) {
		uint64_t mean = route->first_byte / route->first_bytes;

		fprintf(out,
			", first byte after %" PRIu64 ".%03" PRIu64 " s (at most %" PRIu64
			".%03" PRIu64 " s)",
			mean / 1000000, mean % 1000000 / 1000, route->slowest / 1000000,
			route->slowest % 1000000 / 1000);
	}
	fputc('\n', out);
}

void summary_inference_print(const struct summary_inference *summary, FILE *out)
{
	for (size_t i = 0; i < summary->len; i++)
		if (summary->route[i].requests)
			print_route(&summary->route[i], i == OTHERS, out);
}

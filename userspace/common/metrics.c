/* SPDX-License-Identifier: Apache-2.0 */
#include "common/metrics.h"

#include "common/cleanup.h"
#include "common/event_inference.h"
#include "common/event_text.h"

#include <inttypes.h>
#include <search.h>
#include <string.h>

/* Six labels, each escaped to twice its size at most, and what is between them. */
#define LABELS_SIZE 2048

static const struct bound {
	const char *text;
	uint64_t microseconds;
} bounds[] = {
	{"0.05", 50000},  {"0.1", 100000},  {"0.25", 250000},	{"0.5", 500000},
	{"1", 1000000},	  {"2.5", 2500000}, {"5", 5000000},	{"10", 10000000},
	{"30", 30000000}, {"60", 60000000}, {"120", 120000000},
};

enum family_id {
	REQUESTS,
	TOKENS,
	FIRST_BYTE,
	DURATION,
	REJECTED,
	DENIED,
	DROPPED,
	FAMILIES,
};

static const struct family {
	const char *name, *help;
	bool histogram;
} families[FAMILIES] = {
	[REQUESTS] = {"openshell_inference_requests_total",
		      "Requests to inference.local that were sent to a route, by the status that "
		      "the agent got; none: it got none.",
		      false},
	[TOKENS] = {"openshell_inference_tokens_total",
		    "Tokens that providers said they took and gave, or estimates where they did "
		    "not say.",
		    false},
	[FIRST_BYTE] = {"openshell_inference_first_byte_seconds",
			"Time from a request's head to its response's head.", true},
	[DURATION] = {"openshell_inference_duration_seconds",
		      "Time from a request's head to its response's end.", true},
	[REJECTED] = {"openshell_inference_rejected_total",
		      "Requests to inference.local that were sent nowhere.", false},
	[DENIED] = {"openshell_denied_total", "Acts that were denied, by the event's class.",
		    false},
	[DROPPED] = {"openshell_events_dropped_total",
		     "Events that nobody was told of. The kernel counts them for all of the host.",
		     false},
};

struct series {
	uint32_t family;
	char *labels;		      /* `sandbox="x",route="y"`: what is compared and printed */
	uint64_t count, microseconds; /* a counter's value; a histogram's count and sum */
	uint64_t bucket[ARRAY_LEN(bounds)]; /* of those at or below a bound and above the last */
};

struct metrics {
	void *tree; /* of struct series */
	size_t len;
	uint64_t unlisted;
	bool changed;
};

struct metrics *metrics_new(void)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));

	if (metrics)
		metrics->changed = true;
	return metrics;
}

static void series_free(void *p)
{
	struct series *series = p;

	free(series->labels);
	free(series);
}

void metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return;
	tdestroy(metrics->tree, series_free);
	free(metrics);
}

static int compare_series(const void *a, const void *b)
{
	const struct series *x = a, *y = b;

	if (x->family != y->family)
		return x->family < y->family ? -1 : 1;
	return strcmp(x->labels, y->labels);
}

/* The format is UTF-8, and has these three escapes in a label's value. */
static void add_label(struct text *t, const char *name, const char *value)
{
	size_t len = strlen(value);

	text_add(t, "%s%s=\"", t->len ? "," : "", name);
	while (len) {
		uint32_t code;
		size_t n = utf8_next(value, len, &code);

		if (!n)
			text_add(t, "\xef\xbf\xbd");
		else if (*value == '\n')
			text_add(t, "\\n");
		else if (*value == '"' || *value == '\\')
			text_add(t, "\\%c", *value);
		else
			text_add_bytes(t, value, n);
		value += n ? n : 1;
		len -= n ? n : 1;
	}
	text_add(t, "\"");
}

/* NULL, and counted, if there is no room. */
static struct series *find(struct metrics *metrics, enum family_id family,
			   const struct text *labels, uint64_t times)
{
	struct series key = {.family = family, .labels = labels->buf}, **found, *new;

	metrics->changed = true;
	found = labels->cut ? NULL : tfind(&key, &metrics->tree, compare_series);
	if (found)
		return *found;
	new = labels->cut || metrics->len == METRICS_SERIES_MAX ? NULL : calloc(1, sizeof(*new));
	if (new) {
		new->family = family;
		new->labels = strdup(labels->buf);
	}
	if (!new || !new->labels || !tsearch(new, &metrics->tree, compare_series)) {
		if (new)
			series_free(new);
		metrics->unlisted += times;
		return NULL;
	}
	metrics->len++;
	return new;
}

static void count(struct metrics *metrics, enum family_id family, const struct text *labels,
		  uint64_t times)
{
	struct series *series = find(metrics, family, labels, times);

	if (series)
		series->count += times;
}

static void observe(struct metrics *metrics, enum family_id family, const struct text *labels,
		    uint64_t microseconds, uint64_t times)
{
	struct series *series = find(metrics, family, labels, times);

	if (!series)
		return;
	series->count += times;
	series->microseconds += microseconds;
	for (size_t i = 0; i < ARRAY_LEN(bounds); i++) {
		if (microseconds > bounds[i].microseconds * times)
			continue;
		series->bucket[i] += times;
		return;
	}
}

static void add_route_labels(struct text *t, const struct event *e)
{
	add_label(t, "route", e->inference.route);
	add_label(t, "provider", e->inference.provider);
	add_label(t, "model", e->inference.model);
	add_label(t, "api", e->request.protocol);
}

static void add_inference(struct metrics *metrics, const struct event *e, uint64_t times)
{
	const struct event_inference *inference = &e->inference;
	char buf[LABELS_SIZE], status[8] = "none";
	struct text t;
	size_t common;

	text_init(&t, buf, sizeof(buf));
	add_label(&t, "sandbox", e->sandbox);
	if (e->action == EVENT_DENIED) {
		add_label(&t, "reason", e->request.error[0] ? e->request.error : "denied");
		count(metrics, REJECTED, &t, times);
		return;
	}
	add_route_labels(&t, e);
	observe(metrics, DURATION, &t, e->request.microseconds, times);
	if (inference->first_byte)
		observe(metrics, FIRST_BYTE, &t, inference->first_byte, times);
	common = t.len;
	if (e->request.status)
		snprintf(status, sizeof(status), "%u", e->request.status);
	add_label(&t, "status", status);
	count(metrics, REQUESTS, &t, times);
	if (!inference->counted)
		return;
	for (int out = 0; out < 2; out++) {
		t.len = common;
		add_label(&t, "direction", out ? "output" : "input");
		count(metrics, TOKENS, &t, out ? inference->tokens_out : inference->tokens_in);
	}
}

void metrics_add(struct metrics *metrics, const struct event *event)
{
	uint64_t times = event->repeated ? event->repeated : 1;
	char buf[LABELS_SIZE];
	struct text t;

	if (!event->decided)
		return;
	if (event->class == EVENT_CLASS_API)
		add_inference(metrics, event, times);
	if (event->action != EVENT_DENIED)
		return;
	text_init(&t, buf, sizeof(buf));
	add_label(&t, "sandbox", event->sandbox);
	add_label(&t, "class", event_class_label(event->class));
	count(metrics, DENIED, &t, times);
}

void metrics_set_dropped(struct metrics *metrics, const char *sandbox, uint64_t dropped)
{
	bool changed = metrics->changed;
	char buf[LABELS_SIZE];
	struct series *series;
	struct text t;

	text_init(&t, buf, sizeof(buf));
	add_label(&t, "sandbox", sandbox);
	series = find(metrics, DROPPED, &t, 0);
	metrics->changed = changed || !series || series->count != dropped;
	if (series)
		series->count = dropped;
}

bool metrics_changed(const struct metrics *metrics)
{
	return metrics->changed;
}

void metrics_set_written(struct metrics *metrics)
{
	metrics->changed = false;
}

static void print_head(const char *name, const char *type, const char *help, FILE *out)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void print_histogram(const struct series *s, const char *name, FILE *out)
{
	uint64_t below = 0;

	for (size_t i = 0; i < ARRAY_LEN(bounds); i++) {
		below += s->bucket[i];
		fprintf(out, "%s_bucket{%s,le=\"%s\"} %" PRIu64 "\n", name, s->labels,
			bounds[i].text, below);
	}
	fprintf(out, "%s_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n", name, s->labels, s->count);
	fprintf(out, "%s_sum{%s} %" PRIu64 ".%06" PRIu64 "\n", name, s->labels,
		s->microseconds / 1000000, s->microseconds % 1000000);
	fprintf(out, "%s_count{%s} %" PRIu64 "\n", name, s->labels, s->count);
}

struct printing {
	FILE *out;
	uint32_t family; /* whose head was printed */
};

static void print_series(const void *node, VISIT visit, void *arg)
{
	const struct series *s = *(const struct series *const *)node;
	const struct family *family = &families[s->family];
	struct printing *printing = arg;

	if (visit != postorder && visit != leaf)
		return;
	if (printing->family != s->family)
		print_head(family->name, family->histogram ? "histogram" : "counter", family->help,
			   printing->out);
	printing->family = s->family;
	if (family->histogram)
		print_histogram(s, family->name, printing->out);
	else
		fprintf(printing->out, "%s{%s} %" PRIu64 "\n", family->name, s->labels, s->count);
}

void metrics_print(const struct metrics *metrics, FILE *out)
{
	struct printing printing = {.out = out, .family = FAMILIES};

	twalk_r(metrics->tree, print_series, &printing);
	print_head("openshell_metrics_unlisted_total", "counter",
		   "What was counted nowhere else, because there were too many series.", out);
	fprintf(out, "openshell_metrics_unlisted_total %" PRIu64 "\n", metrics->unlisted);
}

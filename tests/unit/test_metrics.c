/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/metrics.h"
#include "common/metrics_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

static struct event event;
static char *text;
static size_t text_len;

#define SAMPLES_MAX 4096
#define LABELS_MAX  8

/* What is printed, read back as the format says: names, labels without escapes, numbers. */
static struct sample {
	char name[64];
	struct {
		char name[32], value[300];
	} label[LABELS_MAX];
	size_t labels;
	double value;
} samples[SAMPLES_MAX];
static size_t samples_len;

static const char *read_value(const char *p, char *to, size_t size)
{
	size_t n = 0;

	assert_int_equal(*p++, '"');
	for (; *p != '"'; p++) {
		char c = *p;

		assert_true(c && c != '\n');
		if (c == '\\') {
			p++;
			assert_true(*p == 'n' || *p == '"' || *p == '\\');
			c = *p == 'n' ? '\n' : *p;
		}
		assert_true(n + 1 < size);
		to[n++] = c;
	}
	to[n] = '\0';
	return p + 1;
}

static size_t word(const char *p)
{
	return strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:");
}

static const char *read_sample(const char *p, struct sample *s)
{
	size_t n = word(p);
	char *end;

	memset(s, 0, sizeof(*s));
	assert_true(n && n < sizeof(s->name));
	memcpy(s->name, p, n);
	p += n;
	while (*p == '{' || *p == ',') {
		n = word(++p);
		assert_true(n && n < sizeof(s->label[0].name) && s->labels < LABELS_MAX);
		memcpy(s->label[s->labels].name, p, n);
		p += n;
		assert_int_equal(*p++, '=');
		p = read_value(p, s->label[s->labels].value, sizeof(s->label[0].value));
		s->labels++;
	}
	if (s->labels)
		assert_int_equal(*p++, '}');
	assert_int_equal(*p++, ' ');
	s->value = strtod(p, &end);
	assert_true(end > p);
	assert_int_equal(*end, '\n');
	return end + 1;
}

/* Each family has its head once, before its samples, which are of that name. */
static void read_text(const char *p)
{
	char family[64] = "", seen[4096] = "", mark[80];

	samples_len = 0;
	while (*p) {
		if (*p == '#') {
			assert_int_equal(sscanf(p, "# HELP %63s", family), 1);
			p = strchr(p, '\n') + 1;
			snprintf(mark, sizeof(mark), "# TYPE %s ", family);
			assert_int_equal(strncmp(p, mark, strlen(mark)), 0);
			assert_null(strstr(seen, mark));
			strncat(seen, mark, sizeof(seen) - strlen(seen) - 1);
			p = strchr(p, '\n') + 1;
			continue;
		}
		assert_true(samples_len < SAMPLES_MAX);
		p = read_sample(p, &samples[samples_len]);
		assert_int_equal(strncmp(samples[samples_len].name, family, strlen(family)), 0);
		samples_len++;
	}
}

static void print(const struct metrics *metrics)
{
	FILE *out;

	free(text);
	text = NULL;
	out = open_memstream(&text, &text_len);
	assert_non_null(out);
	metrics_print(metrics, out);
	fclose(out);
	read_text(text);
}

static const char *label_of(const struct sample *s, const char *name)
{
	for (size_t i = 0; i < s->labels; i++)
		if (!strcmp(s->label[i].name, name))
			return s->label[i].value;
	return "";
}

/* The value of the one sample of that name, with that label; -1 = there is none. */
static double value_of(const char *name, const char *label, const char *value)
{
	double found = -1;

	for (size_t i = 0; i < samples_len; i++) {
		if (strcmp(samples[i].name, name) != 0 ||
		    (label && strcmp(label_of(&samples[i], label), value) != 0))
			continue;
		assert_true(found < 0);
		found = samples[i].value;
	}
	return found;
}

static void make(uint16_t status)
{
	memset(&event, 0, sizeof(event));
	event.class = EVENT_CLASS_API;
	event.decided = true;
	event.action = EVENT_ALLOWED;
	event.request.status = status;
	event.request.microseconds = 2000000;
	event.inference.counted = true;
	event.inference.tokens_in = 812;
	event.inference.tokens_out = 154;
	event.inference.first_byte = 250000;
	snprintf(event.sandbox, sizeof(event.sandbox), "box");
	snprintf(event.request.protocol, sizeof(event.request.protocol), "chat_completions");
	snprintf(event.inference.route, sizeof(event.inference.route), "fast");
	snprintf(event.inference.provider, sizeof(event.inference.provider), "openai");
	snprintf(event.inference.model, sizeof(event.inference.model), "gpt-4o-mini");
	snprintf(event.inference.asked, sizeof(event.inference.asked), "gpt-5");
}

static void requests_are_counted(void **state)
{
	struct metrics *m = metrics_new();
	const struct sample *s;

	make(200);
	metrics_add(m, &event);
	event.repeated = 3;
	event.request.microseconds = 3 * 40000;
	event.inference.first_byte = 3 * 40000;
	metrics_add(m, &event);
	make(502);
	event.inference.counted = false;
	event.inference.first_byte = 0;
	metrics_add(m, &event);
	make(0);
	event.inference.counted = false;
	event.inference.first_byte = 0;
	event.request.microseconds = UINT64_C(3600000000);
	metrics_add(m, &event);
	print(m);
	assert_true(value_of("openshell_inference_requests_total", "status", "200") == 4);
	assert_true(value_of("openshell_inference_requests_total", "status", "502") == 1);
	assert_true(value_of("openshell_inference_requests_total", "status", "none") == 1);
	assert_true(value_of("openshell_inference_tokens_total", "direction", "input") == 1624);
	assert_true(value_of("openshell_inference_tokens_total", "direction", "output") == 308);
	/* Cumulative; a bound's own value is in its bucket. */
	assert_true(value_of("openshell_inference_first_byte_seconds_bucket", "le", "0.05") == 3);
	assert_true(value_of("openshell_inference_first_byte_seconds_bucket", "le", "0.1") == 3);
	assert_true(value_of("openshell_inference_first_byte_seconds_bucket", "le", "0.25") == 4);
	assert_true(value_of("openshell_inference_first_byte_seconds_bucket", "le", "+Inf") == 4);
	assert_true(value_of("openshell_inference_first_byte_seconds_sum", NULL, NULL) == 0.37);
	assert_true(value_of("openshell_inference_first_byte_seconds_count", NULL, NULL) == 4);
	assert_true(value_of("openshell_inference_duration_seconds_bucket", "le", "2.5") == 5);
	assert_true(value_of("openshell_inference_duration_seconds_bucket", "le", "120") == 5);
	assert_true(value_of("openshell_inference_duration_seconds_bucket", "le", "+Inf") == 6);
	assert_true(value_of("openshell_metrics_unlisted_total", NULL, NULL) == 0);
	s = &samples[0];
	assert_string_equal(s->name, "openshell_inference_requests_total");
	assert_string_equal(label_of(s, "sandbox"), "box");
	assert_string_equal(label_of(s, "route"), "fast");
	assert_string_equal(label_of(s, "provider"), "openai");
	assert_string_equal(label_of(s, "model"), "gpt-4o-mini");
	assert_string_equal(label_of(s, "api"), "chat_completions");
	/* An agent's word would be ever new series. */
	assert_null(strstr(text, "gpt-5"));
	metrics_free(m);
}

static void what_is_denied_is_counted(void **state)
{
	struct metrics *m = metrics_new();

	make(429);
	event.action = EVENT_DENIED;
	event.repeated = 7;
	snprintf(event.request.error, sizeof(event.request.error), "rate_limited");
	metrics_add(m, &event);
	memset(&event, 0, sizeof(event));
	event.class = EVENT_CLASS_FILE;
	event.decided = true;
	event.action = EVENT_DENIED;
	metrics_add(m, &event);
	event.action = EVENT_ALLOWED;
	metrics_add(m, &event);
	event.action = EVENT_TOLD;
	event.decided = false;
	metrics_add(m, &event);
	print(m);
	assert_true(value_of("openshell_inference_rejected_total", "reason", "rate_limited") == 7);
	assert_true(value_of("openshell_inference_requests_total", NULL, NULL) < 0);
	assert_true(value_of("openshell_denied_total", "class", "API") == 7);
	assert_true(value_of("openshell_denied_total", "class", "FILE") == 1);
	metrics_free(m);
}

static void labels_are_escaped(void **state)
{
	static const char hostile[] = "a\"} 1\n# \\x\xff\xc3\xa9";
	struct metrics *m = metrics_new();

	make(200);
	snprintf(event.inference.model, sizeof(event.inference.model), "%s", hostile);
	memset(event.sandbox, 0xff, sizeof(event.sandbox) - 1);
	snprintf(event.inference.route, sizeof(event.inference.route), "\\");
	event.sandbox[60] = '\0';
	metrics_add(m, &event);
	print(m);
	assert_string_equal(label_of(&samples[0], "model"), "a\"} 1\n# \\x\xef\xbf\xbd\xc3\xa9");
	assert_string_equal(label_of(&samples[0], "route"), "\\");
	assert_int_equal(strlen(label_of(&samples[0], "sandbox")), 180);
	metrics_free(m);
}

static void series_are_bounded(void **state)
{
	struct metrics *m = metrics_new();
	double rejected = 0;

	make(429);
	event.action = EVENT_DENIED;
	for (int i = 0; i < METRICS_SERIES_MAX + 100; i++) {
		snprintf(event.request.error, sizeof(event.request.error), "e%d", i);
		metrics_add(m, &event);
	}
	print(m);
	for (size_t i = 0; i < samples_len; i++)
		if (!strcmp(samples[i].name, "openshell_inference_rejected_total"))
			rejected += samples[i].value;
	/* One series is that of what was denied. */
	assert_true(rejected == METRICS_SERIES_MAX - 1);
	assert_true(value_of("openshell_metrics_unlisted_total", NULL, NULL) == 101);
	assert_true(value_of("openshell_denied_total", "class", "API") == METRICS_SERIES_MAX + 100);
	metrics_free(m);
}

static void what_was_dropped_is_set(void **state)
{
	struct metrics *m = metrics_new();

	assert_true(metrics_changed(m));
	metrics_set_dropped(m, "box", 0);
	metrics_set_written(m);
	metrics_set_dropped(m, "box", 0);
	assert_false(metrics_changed(m));
	metrics_set_dropped(m, "box", 5);
	assert_true(metrics_changed(m));
	print(m);
	assert_true(value_of("openshell_events_dropped_total", "sandbox", "box") == 5);
	metrics_free(m);
}

static void a_file_takes_the_place_of_the_old_one(void **state)
{
	char dir[] = "/tmp/metrics.XXXXXX", path[64], link[64], first[128] = "";
	struct metrics *m = metrics_new();
	struct error err = {};
	struct stat st, before;
	FILE *in;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/box.prom", dir);
	snprintf(link, sizeof(link), "%s/link", dir);
	make(200);
	metrics_add(m, &event);
	assert_int_equal(metrics_file_write(path, m, &err), 0);
	assert_false(metrics_changed(m));
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(before.st_mode & 07777, 0644);
	metrics_add(m, &event);
	assert_int_equal(metrics_file_write(path, m, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	print(m);
	assert_int_equal(st.st_size, text_len);
	in = fopen(path, "r");
	assert_non_null(in);
	assert_non_null(fgets(first, sizeof(first), in));
	fclose(in);
	assert_int_equal(strncmp(first, text, strlen(first)), 0);

	/* What is no file stays, and nothing is left behind. */
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(metrics_file_write(link, m, &err), -EINVAL);
	assert_non_null(strstr(err.message, "is not a regular file"));
	assert_int_equal(metrics_file_write("/dev/null", m, &err), -EINVAL);
	assert_int_equal(metrics_file_write("/nonexistent/x", m, &err), -ENOENT);
	metrics_add(m, &event);
	assert_int_equal(metrics_file_write(dir, m, &err), -EINVAL);
	assert_true(metrics_changed(m));
	assert_int_equal(unlink(link), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
	metrics_free(m);
}

static int teardown(void **state)
{
	free(text);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_counted),
		cmocka_unit_test(what_is_denied_is_counted),
		cmocka_unit_test(labels_are_escaped),
		cmocka_unit_test(series_are_bounded),
		cmocka_unit_test(what_was_dropped_is_set),
		cmocka_unit_test(a_file_takes_the_place_of_the_old_one),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}

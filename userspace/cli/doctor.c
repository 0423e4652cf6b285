/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/verb.h"
#include "common/cleanup.h"
#include "supervisor/probe_report.h"

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

static const char *answer_word(enum probe_answer answer)
{
	return answer == PROBE_YES ? "yes" : answer == PROBE_NO ? "no" : "cannot tell";
}

static json_t *row_json(const struct probe_row *row)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "id", row->id, "group", row->group,
			 "status", probe_status_name(row->status), "found", row->found,
			 "consequence", row->consequence, "action", row->action);
}

static json_t *report_json(const struct probe_report *report)
{
	json_t *rows = json_array();
	json_t *enforce = report->can_enforce == PROBE_CANNOT_TELL
				  ? json_null()
				  : json_boolean(report->can_enforce == PROBE_YES);

	for (size_t i = 0; i < report->len; i++)
		json_array_append_new(rows, row_json(&report->row[i]));
	return json_pack("{s:o, s:s, s:o}", "rows", rows, "backend", report->backend, "can_enforce",
			 enforce);
}

static int print_json(const struct probe_report *report)
{
	json_t *json = report_json(report);
	int r = json ? json_dumpf(json, stdout, JSON_INDENT(2)) : -1;

	putchar('\n');
	json_decref(json);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}

/* A JSON string is a YAML double-quoted scalar. */
static void print_yaml_value(const char *indent, const char *key, json_t *value)
{
	char *dump = json_dumps(value, JSON_ENCODE_ANY);

	printf("%s%s: %s\n", indent, key, dump ? dump : "null");
	free(dump);
}

static int print_yaml(const struct probe_report *report)
{
	json_t *json = report_json(report), *rows = json_object_get(json, "rows"), *row, *value;
	const char *key;
	size_t i;

	if (!json)
		return EXIT_FAILED;
	puts("rows:");
	json_array_foreach(rows, i, row)
	{
		const char *indent = "  - ";

		json_object_foreach(row, key, value)
		{
			print_yaml_value(indent, key, value);
			indent = "    ";
		}
	}
	print_yaml_value("", "backend", json_object_get(json, "backend"));
	print_yaml_value("", "can_enforce", json_object_get(json, "can_enforce"));
	json_decref(json);
	return EXIT_DONE;
}

/* Rows in a row with the same gap: it is explained once, below the last. */
static bool same_gap(const struct probe_row *a, const struct probe_row *b)
{
	return a->status == b->status && !strcmp(a->group, b->group) &&
	       !strcmp(a->consequence, b->consequence) && !strcmp(a->action, b->action);
}

static int print_table(const struct probe_report *report)
{
	const char *group = "";
	size_t missing = 0;

	for (size_t i = 0; i < report->len; i++) {
		const struct probe_row *row = &report->row[i];

		if (strcmp(group, row->group))
			printf("%s%s\n", i ? "\n" : "", group = row->group);
		printf("  %-8s %-34s %s\n", probe_status_name(row->status), row->id, row->found);
		if (row->status == PROBE_FOUND)
			continue;
		missing++;
		if (i + 1 < report->len && same_gap(row, row + 1))
			continue;
		if (row->consequence[0])
			printf("  %-8s   so: %s\n", "", row->consequence);
		if (row->action[0])
			printf("  %-8s   do: %s\n", "", row->action);
	}
	printf("\n%zu checks, %zu not as they should be. Backend for files: %s. "
	       "run can enforce: %s.\n",
	       report->len, missing, report->backend, answer_word(report->can_enforce));
	return EXIT_DONE;
}

static const struct {
	const char *name;
	int (*print)(const struct probe_report *report);
} formats[] = {
	{"table", print_table},
	{"json", print_json},
	{"yaml", print_yaml},
};

static int usage(FILE *out)
{
	fputs("Usage: openshell doctor [-o table|json|yaml]\n\n"
	      "What this kernel and host can enforce, row by row, and what to do about each gap.\n"
	      "Exit status: 0, or 1 if `openshell run` could not enforce a policy here at all.\n",
	      out);
	return out == stderr ? EXIT_USAGE : EXIT_DONE;
}

int verb_doctor(int argc, char **argv)
{
	static const struct option options[] = {
		{"output", required_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'}, {}};
	_cleanup_(probe_report_free) struct probe_report report = {};
	size_t format = 0;
	struct error err;
	int option, r;

	while ((option = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		switch (option) {
		case 'o':
			for (format = 0; format < ARRAY_LEN(formats); format++)
				if (!strcmp(optarg, formats[format].name))
					break;
			if (format == ARRAY_LEN(formats)) {
				fprintf(stderr, "openshell doctor: -o takes table, json or yaml\n");
				return EXIT_USAGE;
			}
			break;
		case 'h':
			return usage(stdout);
		default:
			return usage(stderr);
		}
	}
	if (optind != argc)
		return usage(stderr);
	if (probe_report_make(&report, &err) < 0) {
		fprintf(stderr, "openshell doctor: %s\n", err.message);
		return EXIT_FAILED;
	}
	r = formats[format].print(&report);
	if (r == EXIT_DONE && fflush(stdout) != 0)
		r = EXIT_FAILED;
	return r != EXIT_DONE || report.can_enforce == PROBE_NO ? EXIT_FAILED : EXIT_DONE;
}

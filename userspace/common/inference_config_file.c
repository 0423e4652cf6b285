/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/inference_config_internal.h"
#include "common/policy_decode.h"
#include "common/policy_yaml.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_SIZE_MAX (256u << 10)
#define LIMIT_MAX     1000000000

#define AT(type, member) .offset = offsetof(struct type, member)

struct inference_file {
	struct policy_head head;
	struct policy_number version;
	struct inference_section inference;
};

static const struct policy_object object_route = {
	.name = "a route",
	.size = sizeof(struct inference_wish),
	.is_foreign = true,
	.fields = (const struct policy_field[]){
		{.name = "name", .kind = POLICY_KIND_STRING, AT(inference_wish, name)},
		{.name = "provider",
		 .kind = POLICY_KIND_STRING,
		 AT(inference_wish, provider),
		 .flags = POLICY_FIELD_REQUIRED},
		{.name = "model",
		 .kind = POLICY_KIND_STRING,
		 AT(inference_wish, model),
		 .flags = POLICY_FIELD_REQUIRED},
		{.name = "base_url", .kind = POLICY_KIND_STRING, AT(inference_wish, base_url)},
		{.name = "timeout",
		 .kind = POLICY_KIND_NUMBER,
		 AT(inference_wish, timeout),
		 .min = 1,
		 .max = 3600},
		{.name = "apis",
		 .kind = POLICY_KIND_STRINGS,
		 AT(inference_wish, apis),
		 .flags = POLICY_FIELD_NOT_EMPTY,
		 .note = "leave it out for those of the provider's type"},
		{.name = "auth",
		 .kind = POLICY_KIND_ENUM,
		 AT(inference_wish, auth),
		 .words = profile_words_auth},
		{.name = "key_file", .kind = POLICY_KIND_STRING, AT(inference_wish, key_file)},
		{.name = "region", .kind = POLICY_KIND_STRING, AT(inference_wish, region)},
		{.name = "project", .kind = POLICY_KIND_STRING, AT(inference_wish, project)},
		{.name = "plaintext", .kind = POLICY_KIND_BOOL, AT(inference_wish, plaintext)},
		{}}};

static const struct policy_object object_limits = {
	.name = "'limits'",
	.size = sizeof(struct inference_limits),
	.is_foreign = true,
	.fields = (const struct policy_field[]){{.name = "requests_per_minute",
						 .kind = POLICY_KIND_NUMBER,
						 AT(inference_limits, requests_per_minute),
						 .min = 1,
						 .max = LIMIT_MAX},
						{.name = "tokens_per_minute",
						 .kind = POLICY_KIND_NUMBER,
						 AT(inference_limits, tokens_per_minute),
						 .min = 1,
						 .max = LIMIT_MAX},
						{.name = "concurrent",
						 .kind = POLICY_KIND_NUMBER,
						 AT(inference_limits, concurrent),
						 .min = 1,
						 .max = LIMIT_MAX},
						{}}};

static const struct policy_object object_section = {
	.name = "'inference'",
	.size = sizeof(struct inference_section),
	.is_foreign = true,
	.fields = (const struct policy_field[]){{.name = "routes",
						 .kind = POLICY_KIND_LIST,
						 AT(inference_section, routes),
						 .object = &object_route,
						 .flags = POLICY_FIELD_REQUIRED},
						{.name = "limits",
						 .kind = POLICY_KIND_OBJECT,
						 AT(inference_section, limits),
						 .object = &object_limits},
						{}}};

static const struct policy_object object_file = {
	.name = "the file's top level",
	.size = sizeof(struct inference_file),
	.is_foreign = true,
	.fields = (const struct policy_field[]){{.name = "version",
						 .kind = POLICY_KIND_NUMBER,
						 AT(inference_file, version),
						 .flags = POLICY_FIELD_REQUIRED,
						 .min = 1,
						 .max = 1},
						{.name = "inference",
						 .kind = POLICY_KIND_OBJECT,
						 AT(inference_file, inference),
						 .object = &object_section,
						 .flags = POLICY_FIELD_REQUIRED},
						{}}};

/* The first finding is the error's. */
static int is_not_valid(const struct inference_report *report)
{
	const struct policy_diagnostic *first;

	diagnostics_sort(report->diag);
	first = diagnostics_first_error(report->diag);
	return error_set_at(report->err, -EBADMSG, report->file, first ? first->at.line : 0,
			    first ? first->at.col : 0, "%s",
			    first ? first->message : "the file is not valid");
}

static void check(const struct inference_report *report, const struct inference_section *section)
{
	const struct inference_wish *routes = section->routes.items;
	/* Findings say where; which of them is the error is settled once all are there. */
	const struct inference_report quiet = {.file = report->file, .diag = report->diag};

	if (section->routes.count > INFERENCE_ROUTES_MAX) {
		policy_error(report->diag, section->routes.at, "inference.routes",
			     "%zu routes: at most %d", section->routes.count, INFERENCE_ROUTES_MAX);
		return;
	}
	for (size_t i = 0; i < section->routes.count; i++) {
		if (!routes[i].provider.value || !routes[i].model.value)
			continue; /* told already */
		inference_wish_check(&quiet, &routes[i]);
		for (size_t j = 0; j < routes[i].apis.count; j++)
			profile_api(&routes[i].apis.items[j], report->diag);
	}
}

int inference_section_parse(const struct inference_report *report, const void *data, size_t size,
			    struct arena *arena, struct inference_section *ret_section)
{
	struct inference_file *file = arena_alloc(arena, sizeof(*file));
	struct yaml_node *root = NULL;
	int r;

	if (!file)
		return inference_no_memory(report);
	if (size > FILE_SIZE_MAX)
		return inference_refuse(report, (struct policy_place){1, 1}, -EBADMSG,
					"larger than %u KiB", FILE_SIZE_MAX >> 10);
	r = yaml_parse(data, size, arena, report->diag, &root);
	if (!r)
		r = policy_decode(root, &object_file, file, arena, report->diag);
	if (r == -ENOMEM)
		return inference_no_memory(report);
	if (!r)
		check(report, &file->inference);
	if (r < 0 || report->diag->errors)
		return is_not_valid(report);
	*ret_section = file->inference;
	return 0;
}

/* What people forget when they mean a route. */
static int cannot_read(const struct inference_report *report, int code)
{
	return error_set_at(report->err, -code, report->file, 0, 0, "cannot be read: %s%s",
			    strerror(code),
			    code == ENOENT ? " (--inference takes a file, or a route such as "
					     "provider=openai,model=gpt-4o-mini)"
					   : "");
}

int inference_section_load(const struct inference_report *report, struct arena *arena,
			   struct inference_section *ret_section)
{
	_cleanup_free_ char *data = malloc(FILE_SIZE_MAX + 1);
	_cleanup_close_ int fd = open(report->file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	size_t size = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return cannot_read(report, errno);
	if (!S_ISREG(st.st_mode))
		return error_set_at(report->err, -EINVAL, report->file, 0, 0,
				    "is not a regular file");
	if (!data)
		return inference_no_memory(report);
	while (size <= FILE_SIZE_MAX) {
		ssize_t n = read(fd, data + size, FILE_SIZE_MAX + 1 - size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return cannot_read(report, errno);
		if (n == 0)
			break;
		size += (size_t)n;
	}
	return inference_section_parse(report, data, size, arena, ret_section);
}

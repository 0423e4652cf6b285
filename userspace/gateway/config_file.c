/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/config_file.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <yaml.h>

#define ENTRIES_MAX 64

struct reading {
	const char *name;
	config_file_entry entry;
	void *arg;
	struct error *err;
};

static int at(struct reading *reading, const yaml_mark_t *mark, const char *why)
{
	return error_set_at(reading->err, -EINVAL, reading->name, (int)mark->line + 1,
			    (int)mark->column + 1, "%s", why);
}

static const char *scalar(const yaml_node_t *node)
{
	const char *text;

	if (!node || node->type != YAML_SCALAR_NODE)
		return NULL;
	text = (const char *)node->data.scalar.value;
	return strlen(text) == node->data.scalar.length ? text : NULL;
}

static int visit(struct reading *reading, yaml_document_t *document)
{
	yaml_node_t *root = yaml_document_get_root_node(document);
	const char *seen[ENTRIES_MAX];
	size_t count = 0;

	/* An empty file says nothing. */
	if (!root)
		return 0;
	if (root->type != YAML_MAPPING_NODE)
		return at(reading, &root->start_mark, "expected `option: value` lines");
	for (yaml_node_pair_t *pair = root->data.mapping.pairs.start;
	     pair < root->data.mapping.pairs.top; pair++) {
		yaml_node_t *key = yaml_document_get_node(document, pair->key);
		yaml_node_t *value = yaml_document_get_node(document, pair->value);
		const char *name = scalar(key), *text = scalar(value);
		int r;

		if (!name || !text)
			return at(reading, &key->start_mark, "expected `option: value`");
		for (size_t i = 0; i < count; i++)
			if (!strcmp(seen[i], name))
				return at(reading, &key->start_mark, "the option is there twice");
		if (count == ENTRIES_MAX)
			return at(reading, &key->start_mark, "too many options");
		seen[count++] = name;
		r = reading->entry(reading->arg, name, text, reading->err);
		if (r) {
			char why[ERROR_MESSAGE_MAX];

			memcpy(why, reading->err->message, sizeof(why));
			return error_set_at(reading->err, r, reading->name,
					    (int)key->start_mark.line + 1,
					    (int)key->start_mark.column + 1, "%s", why);
		}
	}
	return 0;
}

int config_file_parse(const char *name, const void *data, size_t size, config_file_entry entry,
		      void *arg, struct error *err)
{
	struct error local = {};
	struct reading reading = {name, entry, arg, err ? err : &local};
	yaml_document_t document;
	yaml_parser_t parser;
	int r;

	if (!yaml_parser_initialize(&parser))
		return error_set(err, -ENOMEM, "out of memory");
	yaml_parser_set_input_string(&parser, data, size);
	if (!yaml_parser_load(&parser, &document)) {
		r = at(&reading, &parser.problem_mark,
		       parser.problem ? parser.problem : "this is no YAML");
	} else {
		r = visit(&reading, &document);
		yaml_document_delete(&document);
	}
	yaml_parser_delete(&parser);
	return r;
}

int config_file_read(const char *path, config_file_entry entry, void *arg, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *data = malloc(CONFIG_FILE_MAX + 1);
	size_t size = 0;

	if (fd < 0)
		return error_set(err, -errno, "cannot read %s: %s", path, strerror(errno));
	if (!data)
		return error_set(err, -ENOMEM, "out of memory");
	for (;;) {
		ssize_t n = read(fd, data + size, CONFIG_FILE_MAX + 1 - size);

		if (n < 0)
			return error_set(err, -errno, "cannot read %s: %s", path, strerror(errno));
		if (!n)
			break;
		size += (size_t)n;
		if (size > CONFIG_FILE_MAX)
			return error_set(err, -E2BIG, "%s has more than %d bytes", path,
					 CONFIG_FILE_MAX);
	}
	return config_file_parse(path, data, size, entry, arg, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/event_edit.h"
#include "common/event_yaml.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <yaml.h>

#define OUTPUT_MAX (16u << 20)

/* The document a text holds, with a mapping as its root. */
static int load(const char *text, size_t len, yaml_document_t *ret_doc, struct error *err)
{
	static const char nothing[] = "version: 1\n";
	yaml_parser_t parser;
	yaml_node_t *root;
	int r = 0;

	if (!len) {
		text = nothing;
		len = strlen(nothing);
	}
	if (!yaml_parser_initialize(&parser))
		return error_set(err, -ENOMEM, "out of memory");
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (!yaml_parser_load(&parser, ret_doc)) {
		r = error_set(err, -EINVAL, "the base policy is not YAML: %s",
			      parser.problem ? parser.problem : "out of memory");
		yaml_parser_delete(&parser);
		return r;
	}
	yaml_parser_delete(&parser);
	root = yaml_document_get_root_node(ret_doc);
	if (!root || root->type != YAML_MAPPING_NODE) {
		yaml_document_delete(ret_doc);
		return error_set(err, -EINVAL, "the base policy is not a mapping");
	}
	return 0;
}

/* "/a//b/./" -> "/a/b", in place; false if it is not absolute or has "..". */
static bool normalise(char *path)
{
	char *in = path, *out = path;

	if (*path != '/')
		return false;
	while (*in) {
		size_t n;

		while (*in == '/')
			in++;
		n = strcspn(in, "/");
		if (n == 2 && in[0] == '.' && in[1] == '.')
			return false;
		if (n && !(n == 1 && *in == '.')) {
			*out++ = '/';
			memmove(out, in, n);
			out += n;
		}
		in += n;
	}
	if (out == path)
		*out++ = '/';
	*out = '\0';
	return true;
}

struct visitor {
	int (*path)(struct event_yaml_base *base, const char *path, uint32_t rights);
	struct event_yaml_base *base;
	uint32_t rights;
};

static int visit_paths(yaml_document_t *doc, yaml_node_t *list, const struct visitor *v)
{
	if (!list || list->type != YAML_SEQUENCE_NODE)
		return 0;
	for (yaml_node_item_t *item = list->data.sequence.items.start;
	     item < list->data.sequence.items.top; item++) {
		const char *text = event_edit_text(yaml_document_get_node(doc, *item));
		_cleanup_free_ char *path = NULL;
		int r;

		if (!text)
			continue;
		path = strdup(text);
		if (!path)
			return -ENOMEM;
		if (!normalise(path))
			continue;
		r = v->path(v->base, path, v->rights);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_base_path(struct event_yaml_base *base, const char *path, uint32_t rights)
{
	return event_grants_add_path(&base->paths, path, rights, true);
}

static int add_deny(struct event_yaml_base *base, const char *path, uint32_t rights)
{
	char **grown = reallocarray(base->deny, base->denies + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	base->deny = grown;
	base->deny[base->denies] = strdup(path);
	if (!base->deny[base->denies])
		return -ENOMEM;
	base->denies++;
	return 0;
}

static bool is_true(yaml_node_t *node)
{
	static const char *const words[] = {"true", "True", "TRUE", "yes", "on"};
	const char *text = event_edit_text(node);

	for (size_t i = 0; text && i < ARRAY_LEN(words); i++)
		if (!strcmp(text, words[i]))
			return true;
	return false;
}

void event_yaml_base_free(struct event_yaml_base *base)
{
	event_grants_free(&base->paths);
	for (size_t i = 0; i < base->denies; i++)
		free(base->deny[i]);
	free(base->deny);
	*base = (struct event_yaml_base){0};
}

int event_yaml_read(const char *text, size_t len, struct event_yaml_base *ret_base,
		    struct error *err)
{
	_cleanup_(event_yaml_base_free) struct event_yaml_base base = {0};
	const struct {
		const char *key;
		struct visitor visitor;
	} lists[] = {
		{"read_only", {add_base_path, &base, OS_RIGHTS_READ}},
		{"read_write", {add_base_path, &base, OS_RIGHTS_WRITE}},
		{"deny", {add_deny, &base, 0}},
	};
	_cleanup_(yaml_document_delete) yaml_document_t doc;
	yaml_node_t *root, *section;
	int r;

	r = load(text, len, &doc, err);
	if (r < 0) {
		memset(&doc, 0, sizeof(doc));
		return r;
	}
	root = yaml_document_get_root_node(&doc);
	section = event_edit_find(&doc, root, "filesystem_policy");
	base.include_workdir =
		!section || is_true(event_edit_find(&doc, section, "include_workdir"));
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		r = visit_paths(&doc, event_edit_find(&doc, section, lists[i].key),
				&lists[i].visitor);
		if (r < 0)
			return error_set(err, r, "reading the base policy: %s", strerror(-r));
	}
	base.exec_allow =
		event_edit_find(&doc, event_edit_find(&doc, root, "exec_policy"), "allow") != NULL;
	*ret_base = base;
	base = (struct event_yaml_base){0};
	return 0;
}

static void put_paths(struct event_edit *ed, int section, const char *key,
		      const struct event_grants *g, bool write)
{
	int list = 0;

	for (size_t i = 0; i < g->paths && !ed->failed; i++) {
		if (!!(g->path[i].rights & EVENT_GRANT_WRITES) != write)
			continue;
		if (!list)
			list = event_edit_sequence(ed);
		event_edit_append(ed, list, event_edit_scalar(ed, g->path[i].path));
	}
	if (list)
		event_edit_put(ed, section, key, list);
}

static void merge_filesystem(struct event_edit *ed, const struct event_grants *g)
{
	yaml_node_t *old = event_edit_find(&ed->doc, yaml_document_get_root_node(&ed->doc),
					   "filesystem_policy");
	bool workdir = !old || is_true(event_edit_find(&ed->doc, old, "include_workdir"));
	yaml_node_t *deny = event_edit_find(&ed->doc, old, "deny");
	int deny_id = deny ? event_edit_number(ed, deny) : 0;
	int section = event_edit_mapping(ed, YAML_BLOCK_MAPPING_STYLE);
	yaml_node_pair_t *pair;

	if (ed->failed)
		return;
	event_edit_put(ed, section, "include_workdir",
		       event_edit_scalar(ed, workdir ? "true" : "false"));
	put_paths(ed, section, "read_only", g, false);
	put_paths(ed, section, "read_write", g, true);
	if (deny_id)
		event_edit_put(ed, section, "deny", deny_id);
	pair = event_edit_find_pair(&ed->doc, yaml_document_get_root_node(&ed->doc),
				    "filesystem_policy");
	if (pair)
		pair->value = section;
	else
		event_edit_put(ed, event_edit_root(ed), "filesystem_policy", section);
}

static void merge_programs(struct event_edit *ed, const struct event_grants *g)
{
	int section, list;

	if (!g->programs)
		return;
	section = event_edit_section(ed, event_edit_root(ed), "exec_policy", YAML_MAPPING_NODE);
	list = event_edit_section(ed, section, "allow", YAML_SEQUENCE_NODE);
	for (size_t i = 0; i < g->programs && !ed->failed; i++)
		event_edit_append(ed, list, event_edit_scalar(ed, g->program[i]));
}

struct output {
	char *data;
	size_t len, cap;
};

static int write_output(void *arg, unsigned char *data, size_t size)
{
	struct output *out = arg;

	if (size > OUTPUT_MAX - out->len)
		return 0;
	if (out->len + size > out->cap) {
		size_t cap = (out->len + size) * 2;
		char *grown = realloc(out->data, cap);

		if (!grown)
			return 0;
		out->data = grown;
		out->cap = cap;
	}
	memcpy(out->data + out->len, data, size);
	out->len += size;
	return 1;
}

/* Takes the document, whatever happens. */
static int dump(struct event_edit *ed, char **ret_text, size_t *ret_len, struct error *err)
{
	struct output out = {0};
	yaml_emitter_t emitter;
	bool ok;

	if (!yaml_emitter_initialize(&emitter)) {
		yaml_document_delete(&ed->doc);
		return error_set(err, -ENOMEM, "out of memory");
	}
	yaml_emitter_set_output(&emitter, write_output, &out);
	yaml_emitter_set_unicode(&emitter, 1);
	yaml_emitter_set_width(&emitter, -1);
	ed->doc.start_implicit = ed->doc.end_implicit = 1;
	ok = yaml_emitter_open(&emitter) && yaml_emitter_dump(&emitter, &ed->doc) &&
	     yaml_emitter_close(&emitter);
	if (!ok)
		error_set(err, -ENOMEM, "writing the policy as YAML: %s",
			  emitter.problem ? emitter.problem : "out of memory");
	yaml_emitter_delete(&emitter);
	if (!ok) {
		free(out.data);
		return -ENOMEM;
	}
	*ret_text = out.data;
	*ret_len = out.len;
	return 0;
}

int event_yaml_merge(const char *base, size_t len, const struct event_grants *grants,
		     char **ret_text, size_t *ret_len, struct error *err)
{
	struct event_edit ed = {0};
	int r;

	r = load(base, len, &ed.doc, err);
	if (r < 0)
		return r;
	merge_filesystem(&ed, grants);
	merge_programs(&ed, grants);
	event_edit_network(&ed, grants);
	if (ed.failed) {
		yaml_document_delete(&ed.doc);
		return error_set(err, -ENOMEM, "out of memory");
	}
	return dump(&ed, ret_text, ret_len, err);
}

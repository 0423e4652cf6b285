/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
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

static const char *scalar_of(yaml_node_t *node)
{
	/* libyaml ends scalars with a NUL; one inside would hide the rest of a path. */
	if (!node || node->type != YAML_SCALAR_NODE ||
	    strlen((const char *)node->data.scalar.value) != node->data.scalar.length)
		return NULL;
	return (const char *)node->data.scalar.value;
}

static yaml_node_pair_t *find_pair(yaml_document_t *doc, yaml_node_t *mapping, const char *key)
{
	if (!mapping || mapping->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *p = mapping->data.mapping.pairs.start;
	     p < mapping->data.mapping.pairs.top; p++) {
		const char *name = scalar_of(yaml_document_get_node(doc, p->key));

		if (name && !strcmp(name, key))
			return p;
	}
	return NULL;
}

static yaml_node_t *find(yaml_document_t *doc, yaml_node_t *mapping, const char *key)
{
	yaml_node_pair_t *pair = find_pair(doc, mapping, key);

	return pair ? yaml_document_get_node(doc, pair->value) : NULL;
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
		const char *text = scalar_of(yaml_document_get_node(doc, *item));
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
	const char *text = scalar_of(node);

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
	section = find(&doc, root, "filesystem_policy");
	base.include_workdir = !section || is_true(find(&doc, section, "include_workdir"));
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		r = visit_paths(&doc, find(&doc, section, lists[i].key), &lists[i].visitor);
		if (r < 0)
			return error_set(err, r, "reading the base policy: %s", strerror(-r));
	}
	base.exec_allow = find(&doc, find(&doc, root, "exec_policy"), "allow") != NULL;
	*ret_base = base;
	base = (struct event_yaml_base){0};
	return 0;
}

/* Editing: a node number is > 0; 0 is "no memory", and once failed everything stays failed. */
struct editor {
	yaml_document_t doc;
	bool failed;
};

static int add_scalar(struct editor *ed, const char *value)
{
	int id = yaml_document_add_scalar(&ed->doc, NULL, (const yaml_char_t *)value,
					  (int)strlen(value), YAML_ANY_SCALAR_STYLE);

	ed->failed |= !id;
	return id;
}

static int add_mapping(struct editor *ed, yaml_mapping_style_t style)
{
	int id = yaml_document_add_mapping(&ed->doc, NULL, style);

	ed->failed |= !id;
	return id;
}

static int add_sequence(struct editor *ed)
{
	int id = yaml_document_add_sequence(&ed->doc, NULL, YAML_BLOCK_SEQUENCE_STYLE);

	ed->failed |= !id;
	return id;
}

static void append(struct editor *ed, int sequence, int item)
{
	if (!ed->failed && !yaml_document_append_sequence_item(&ed->doc, sequence, item))
		ed->failed = true;
}

static void put(struct editor *ed, int mapping, const char *key, int value)
{
	int name = add_scalar(ed, key);

	if (!ed->failed && !yaml_document_append_mapping_pair(&ed->doc, mapping, name, value))
		ed->failed = true;
}

/* Node numbers start at 1 and are positions in the document's array. */
static int number_of(struct editor *ed, yaml_node_t *node)
{
	return (int)(node - ed->doc.nodes.start) + 1;
}

static int root_of(struct editor *ed)
{
	return number_of(ed, yaml_document_get_root_node(&ed->doc));
}

/* The value of @key in the mapping @parent, made with @make if it is not there. */
static int section_of(struct editor *ed, int parent, const char *key, yaml_node_type_t type)
{
	yaml_node_t *node = find(&ed->doc, yaml_document_get_node(&ed->doc, parent), key);
	yaml_node_pair_t *pair;
	int id;

	if (node && node->type == type)
		return number_of(ed, node);
	id = type == YAML_MAPPING_NODE ? add_mapping(ed, YAML_BLOCK_MAPPING_STYLE)
				       : add_sequence(ed);
	/* `network_policies:` with nothing after it is there, but null. */
	pair = find_pair(&ed->doc, yaml_document_get_node(&ed->doc, parent), key);
	if (pair)
		pair->value = id;
	else
		put(ed, parent, key, id);
	return id;
}

static void put_paths(struct editor *ed, int section, const char *key, const struct event_grants *g,
		      bool write)
{
	int list = 0;

	for (size_t i = 0; i < g->paths && !ed->failed; i++) {
		if (!!(g->path[i].rights & EVENT_GRANT_WRITES) != write)
			continue;
		if (!list)
			list = add_sequence(ed);
		append(ed, list, add_scalar(ed, g->path[i].path));
	}
	if (list)
		put(ed, section, key, list);
}

static void merge_filesystem(struct editor *ed, const struct event_grants *g)
{
	yaml_node_t *old =
		find(&ed->doc, yaml_document_get_root_node(&ed->doc), "filesystem_policy");
	bool workdir = !old || is_true(find(&ed->doc, old, "include_workdir"));
	yaml_node_t *deny = find(&ed->doc, old, "deny");
	int deny_id = deny ? number_of(ed, deny) : 0;
	int section = add_mapping(ed, YAML_BLOCK_MAPPING_STYLE);
	yaml_node_pair_t *pair;

	if (ed->failed)
		return;
	put(ed, section, "include_workdir", add_scalar(ed, workdir ? "true" : "false"));
	put_paths(ed, section, "read_only", g, false);
	put_paths(ed, section, "read_write", g, true);
	if (deny_id)
		put(ed, section, "deny", deny_id);
	pair = find_pair(&ed->doc, yaml_document_get_root_node(&ed->doc), "filesystem_policy");
	if (pair)
		pair->value = section;
	else
		put(ed, root_of(ed), "filesystem_policy", section);
}

static void merge_programs(struct editor *ed, const struct event_grants *g)
{
	int section, list;

	if (!g->programs)
		return;
	section = section_of(ed, root_of(ed), "exec_policy", YAML_MAPPING_NODE);
	list = section_of(ed, section, "allow", YAML_SEQUENCE_NODE);
	for (size_t i = 0; i < g->programs && !ed->failed; i++)
		append(ed, list, add_scalar(ed, g->program[i]));
}

/* True if the rule's endpoints say nothing but host and port: a second rule may repeat them. */
static bool is_plain_rule(yaml_document_t *doc, yaml_node_t *rule)
{
	static const char *const plain[] = {"host", "port", "ports"};
	yaml_node_t *list = find(doc, rule, "endpoints");

	if (!list || list->type != YAML_SEQUENCE_NODE)
		return false;
	for (yaml_node_item_t *item = list->data.sequence.items.start;
	     item < list->data.sequence.items.top; item++) {
		yaml_node_t *endpoint = yaml_document_get_node(doc, *item);

		if (!endpoint || endpoint->type != YAML_MAPPING_NODE)
			return false;
		for (yaml_node_pair_t *p = endpoint->data.mapping.pairs.start;
		     p < endpoint->data.mapping.pairs.top; p++) {
			const char *key = scalar_of(yaml_document_get_node(doc, p->key));
			bool known = false;

			for (size_t i = 0; key && i < ARRAY_LEN(plain); i++)
				known |= !strcmp(key, plain[i]);
			if (!known)
				return false;
		}
	}
	return true;
}

static int add_binary(struct editor *ed, const char *exe)
{
	int binary = add_mapping(ed, YAML_FLOW_MAPPING_STYLE);

	if (!ed->failed)
		put(ed, binary, "path", add_scalar(ed, exe));
	return binary;
}

static bool has_binary(yaml_document_t *doc, yaml_node_t *list, const char *exe)
{
	if (!list || list->type != YAML_SEQUENCE_NODE)
		return false;
	for (yaml_node_item_t *item = list->data.sequence.items.start;
	     item < list->data.sequence.items.top; item++) {
		const char *path = scalar_of(find(doc, yaml_document_get_node(doc, *item), "path"));

		if (path && !strcmp(path, exe))
			return true;
	}
	return false;
}

/*
 * An endpoint that a rule names with more than host and port cannot be named once more without it:
 * overlapping endpoints have to agree. So its rule gets the binary. True if that was done.
 */
static bool extend_rule(struct editor *ed, int policies, const struct event_grant_endpoint *e)
{
	yaml_node_t *rule;
	int list;

	if (!e->rule[0])
		return false;
	rule = find(&ed->doc, yaml_document_get_node(&ed->doc, policies), e->rule);
	if (!rule || rule->type != YAML_MAPPING_NODE || is_plain_rule(&ed->doc, rule))
		return false;
	list = section_of(ed, number_of(ed, rule), "binaries", YAML_SEQUENCE_NODE);
	if (!ed->failed && !has_binary(&ed->doc, yaml_document_get_node(&ed->doc, list), e->exe))
		append(ed, list, add_binary(ed, e->exe));
	return true;
}

static void rule_key(struct editor *ed, int policies, const char *exe, char *ret, size_t size)
{
	char name[128];

	event_yaml_rule_name(exe, name, sizeof(name));
	snprintf(ret, size, "learned_%s", name);
	for (int i = 2; i < 10000; i++) {
		if (!find_pair(&ed->doc, yaml_document_get_node(&ed->doc, policies), ret))
			return;
		snprintf(ret, size, "learned_%s_%d", name, i);
	}
}

static void merge_network(struct editor *ed, const struct event_grants *g)
{
	int policies, list = 0;
	const char *exe = NULL;

	if (!g->endpoints)
		return;
	policies = section_of(ed, root_of(ed), "network_policies", YAML_MAPPING_NODE);
	for (size_t i = 0; i < g->endpoints && !ed->failed; i++) {
		const struct event_grant_endpoint *e = &g->endpoint[i];
		char port[16];
		int endpoint;

		if (extend_rule(ed, policies, e))
			continue;
		if (!exe || strcmp(exe, e->exe)) {
			int rule = add_mapping(ed, YAML_BLOCK_MAPPING_STYLE);
			int binaries = add_sequence(ed);
			char key[192];

			exe = e->exe;
			list = add_sequence(ed);
			rule_key(ed, policies, exe, key, sizeof(key));
			put(ed, rule, "endpoints", list);
			append(ed, binaries, add_binary(ed, exe));
			put(ed, rule, "binaries", binaries);
			put(ed, policies, key, rule);
		}
		endpoint = add_mapping(ed, YAML_FLOW_MAPPING_STYLE);
		snprintf(port, sizeof(port), "%u", e->port);
		put(ed, endpoint, "host", add_scalar(ed, e->host));
		put(ed, endpoint, "port", add_scalar(ed, port));
		append(ed, list, endpoint);
	}
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
static int dump(struct editor *ed, char **ret_text, size_t *ret_len, struct error *err)
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
	struct editor ed = {0};
	int r;

	r = load(base, len, &ed.doc, err);
	if (r < 0)
		return r;
	merge_filesystem(&ed, grants);
	merge_programs(&ed, grants);
	merge_network(&ed, grants);
	if (ed.failed) {
		yaml_document_delete(&ed.doc);
		return error_set(err, -ENOMEM, "out of memory");
	}
	return dump(&ed, ret_text, ret_len, err);
}

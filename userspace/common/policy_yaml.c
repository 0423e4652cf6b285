/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy_yaml.h"
#include "common/cleanup.h"

#include <stdint.h>
#include <string.h>
#include <yaml.h>

struct reader {
	yaml_parser_t *parser;
	struct arena *arena;
	struct diagnostics *diag;
	size_t nodes;
};

static struct policy_place place(yaml_mark_t mark)
{
	return (struct policy_place){(int)mark.line + 1, (int)mark.column + 1};
}

static bool is_word(const char *text, size_t len, const char *const *words)
{
	for (; *words; words++)
		if (strlen(*words) == len && !memcmp(*words, text, len))
			return true;
	return false;
}

static size_t digits(const char *text, size_t len, size_t from)
{
	size_t i = from;

	while (i < len && text[i] >= '0' && text[i] <= '9')
		i++;
	return i - from;
}

static bool is_float(const char *text, size_t len)
{
	size_t i = len && (text[0] == '-' || text[0] == '+'), whole, part = 0;

	whole = digits(text, len, i);
	i += whole;
	if (i < len && text[i] == '.') {
		part = digits(text, len, i + 1);
		i += 1 + part;
	}
	if (!whole && !part)
		return false;
	if (i < len && (text[i] == 'e' || text[i] == 'E')) {
		size_t exponent;

		i++;
		if (i < len && (text[i] == '-' || text[i] == '+'))
			i++;
		exponent = digits(text, len, i);
		if (!exponent)
			return false;
		i += exponent;
	}
	return i == len;
}

/* Hexadecimal and octal numbers count as numbers, so that nobody reads them as strings. */
static bool is_integer(const char *text, size_t len)
{
	size_t i = len && (text[0] == '-' || text[0] == '+');
	size_t count = digits(text, len, i);

	if (count && i + count == len)
		return true;
	if (len < 3 || text[0] != '0' || (text[1] != 'x' && text[1] != 'o'))
		return false;
	for (i = 2; i < len; i++)
		if (!strchr(text[1] == 'x' ? "0123456789abcdefABCDEF" : "01234567", text[i]) ||
		    !text[i])
			return false;
	return true;
}

enum yaml_type yaml_plain_type(const char *text, size_t len)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const bools[] = {"true",  "True",  "TRUE", "false",
					    "False", "FALSE", NULL};
	static const char *const floats[] = {".inf",  ".Inf",  ".INF",	"+.inf", "+.Inf",
					     "+.INF", "-.inf", "-.Inf", "-.INF", ".nan",
					     ".NaN",  ".NAN",  NULL};

	if (is_word(text, len, nulls))
		return YAML_TYPE_NULL;
	if (is_word(text, len, bools))
		return YAML_TYPE_BOOL;
	if (is_integer(text, len))
		return YAML_TYPE_INTEGER;
	if (is_float(text, len) || is_word(text, len, floats))
		return YAML_TYPE_FLOAT;
	return YAML_TYPE_STRING;
}

/* Length of the UTF-8 sequence at @p, 0 where there is none. RFC 3629: no surrogates, no overlong.
 */
static size_t utf8_length(const uint8_t *p, size_t left)
{
	uint32_t code;
	size_t len;

	if (p[0] < 0x80)
		return 1;
	len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || left < len)
		return 0;
	code = p[0] & (0xff >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if ((len == 3 && code < 0x800) || (len == 4 && code < 0x10000) || code > 0x10ffff ||
	    (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return len;
}

static int check_text(const uint8_t *data, size_t size, struct diagnostics *diag)
{
	struct policy_place at = {1, 1};
	bool only_space = true;

	for (size_t i = 0, len; i < size; i += len) {
		uint8_t c = data[i];

		len = utf8_length(data + i, size - i);
		if (!len) {
			policy_error(diag, at, "file.utf8",
				     "not UTF-8 text: byte 0x%02x; a policy is a UTF-8 text file",
				     c);
			return -EBADMSG;
		}
		if ((c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7f) {
			policy_error(diag, at, "file.text",
				     "not a text file: control character 0x%02x", c);
			return -EBADMSG;
		}
		at.col++;
		if (c == '\n')
			at = (struct policy_place){at.line + 1, 1};
		only_space = only_space && (c == ' ' || c == '\n' || c == '\r' || c == '\t');
	}
	if (only_space) {
		policy_error(diag, (struct policy_place){1, 1}, "file.empty",
			     "the file is empty; the smallest policy is 'version: 1'");
		return -EBADMSG;
	}
	return 0;
}

static int syntax_error(struct reader *reader)
{
	const yaml_parser_t *parser = reader->parser;
	const char *problem = parser->problem ? parser->problem : "cannot be parsed";

	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (parser->context && parser->error != YAML_READER_ERROR)
		policy_error(reader->diag, place(parser->problem_mark), "file.yaml",
			     "not YAML: %s, %s that began in line %zu", problem, parser->context,
			     parser->context_mark.line + 1);
	else
		policy_error(reader->diag, place(parser->problem_mark), "file.yaml", "not YAML: %s",
			     problem);
	return -EBADMSG;
}

static int refuse(struct reader *reader, yaml_mark_t mark, const char *rule, const char *why)
{
	policy_error(reader->diag, place(mark), rule, "%s", why);
	return -EBADMSG;
}

static int check_properties(struct reader *reader, const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return refuse(reader, event->start_mark, "file.alias",
			      "aliases (*name) are not allowed in a policy: write the value out");
	case YAML_SCALAR_EVENT:
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
		break;
	default:
		break;
	}
	if (anchor)
		return refuse(reader, event->start_mark, "file.alias",
			      "anchors (&name) are not allowed in a policy: write the value out");
	if (tag)
		return refuse(reader, event->start_mark, "file.tag",
			      "tags (!name) are not allowed in a policy: write the plain value");
	return 0;
}

static int next_event(struct reader *reader, yaml_event_t *event)
{
	if (!yaml_parser_parse(reader->parser, event))
		return syntax_error(reader);
	return 0;
}

/* The node that @event begins, without its children. */
static int make_node(struct reader *reader, const yaml_event_t *event, struct yaml_node **ret_node)
{
	struct yaml_node *node;
	int r = check_properties(reader, event);

	if (r < 0)
		return r;
	if (++reader->nodes > POLICY_NODES_MAX) {
		policy_error(reader->diag, place(event->start_mark), "file.nodes",
			     "more than %d values: too large for a policy", POLICY_NODES_MAX);
		return -EBADMSG;
	}
	node = arena_alloc(reader->arena, sizeof(*node));
	if (!node)
		return -ENOMEM;
	node->at = place(event->start_mark);
	if (event->type == YAML_SCALAR_EVENT) {
		node->text = arena_copy(reader->arena, (const char *)event->data.scalar.value,
					event->data.scalar.length);
		if (!node->text)
			return -ENOMEM;
		node->len = event->data.scalar.length;
		node->type = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE
				     ? yaml_plain_type(node->text, node->len)
				     : YAML_TYPE_STRING;
	} else {
		node->kind = event->type == YAML_SEQUENCE_START_EVENT ? YAML_KIND_SEQUENCE
								      : YAML_KIND_MAPPING;
	}
	*ret_node = node;
	return 0;
}

static int key_compare(const void *a, const void *b)
{
	const struct yaml_node *x = *(struct yaml_node *const *)a;
	const struct yaml_node *y = *(struct yaml_node *const *)b;
	size_t len = x->key_len < y->key_len ? x->key_len : y->key_len;
	int r = len ? memcmp(x->key, y->key, len) : 0;

	if (r)
		return r;
	if (x->key_len != y->key_len)
		return x->key_len < y->key_len ? -1 : 1;
	return x->key_at.line != y->key_at.line ? x->key_at.line - y->key_at.line
						: x->key_at.col - y->key_at.col;
}

/* By sorting, so that a mapping of a hundred thousand keys costs no more than its size. */
static int check_duplicates(struct reader *reader, const struct yaml_node *mapping)
{
	_cleanup_free_ struct yaml_node **sorted = NULL;
	struct yaml_node *child = mapping->first;
	int r = 0;

	if (mapping->count < 2)
		return 0;
	sorted = calloc(mapping->count, sizeof(struct yaml_node *));
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < mapping->count; i++, child = child->next)
		sorted[i] = child;
	qsort(sorted, mapping->count, sizeof(struct yaml_node *), key_compare);
	for (size_t i = 1; i < mapping->count; i++) {
		const struct yaml_node *a = sorted[i - 1], *b = sorted[i];

		if (a->key_len != b->key_len || memcmp(a->key, b->key, a->key_len))
			continue;
		policy_error(reader->diag, b->key_at, "file.duplicate-key",
			     "duplicate key '%s': it is already in line %d", b->key,
			     a->key_at.line);
		r = -EBADMSG;
	}
	return r;
}

static int read_key(struct reader *reader, const yaml_event_t *event, struct yaml_node **ret_key)
{
	struct yaml_node *key;
	int r;

	if (event->type != YAML_SCALAR_EVENT && event->type != YAML_ALIAS_EVENT)
		return refuse(reader, event->start_mark, "file.key",
			      "a key must be a plain word, not a list or a mapping");
	r = make_node(reader, event, &key);
	if (r < 0)
		return r;
	if (key->type != YAML_TYPE_STRING || !key->len)
		return refuse(reader, event->start_mark, "file.key",
			      "a key must be a word; put quotes around a number or a truth value");
	for (size_t i = 0; i < key->len; i++)
		if ((unsigned char)key->text[i] < 0x20 || key->text[i] == 0x7f)
			return refuse(reader, event->start_mark, "file.key",
				      "a key holds a control character");
	*ret_key = key;
	return 0;
}

static int read_children(struct reader *reader, struct yaml_node *parent, int depth);

static int read_value(struct reader *reader, const yaml_event_t *event, int depth,
		      struct yaml_node **ret_node)
{
	struct yaml_node *node;
	int r = make_node(reader, event, &node);

	if (r < 0)
		return r;
	if (node->kind != YAML_KIND_SCALAR) {
		if (depth >= POLICY_DEPTH_MAX) {
			policy_error(reader->diag, node->at, "file.depth",
				     "nested deeper than %d levels", POLICY_DEPTH_MAX);
			return -EBADMSG;
		}
		r = read_children(reader, node, depth + 1);
		if (r < 0)
			return r;
	}
	*ret_node = node;
	return 0;
}

static void append(struct yaml_node *parent, struct yaml_node *child, const struct yaml_node *key)
{
	if (key) {
		child->key = key->text;
		child->key_len = key->len;
		child->key_at = key->at;
	}
	if (parent->last)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
	parent->count++;
}

static int read_children(struct reader *reader, struct yaml_node *parent, int depth)
{
	struct yaml_node *key = NULL;

	for (;;) {
		struct yaml_node *child = NULL;
		yaml_event_t event;
		int r = next_event(reader, &event);

		if (r < 0)
			return r;
		if (event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT) {
			yaml_event_delete(&event);
			break;
		}
		if (parent->kind == YAML_KIND_MAPPING && !key) {
			r = read_key(reader, &event, &key);
		} else {
			r = read_value(reader, &event, depth, &child);
			if (!r)
				append(parent, child, key);
			key = NULL;
		}
		yaml_event_delete(&event);
		if (r < 0)
			return r;
	}
	return parent->kind == YAML_KIND_MAPPING ? check_duplicates(reader, parent) : 0;
}

static int read_stream(struct reader *reader, struct yaml_node **ret_root)
{
	struct yaml_node *root = NULL;

	for (;;) {
		yaml_event_t event;
		yaml_event_type_t type;
		int r = next_event(reader, &event);

		if (r < 0)
			return r;
		type = event.type;
		if (type == YAML_DOCUMENT_START_EVENT && root)
			r = refuse(reader, event.start_mark, "file.documents",
				   "a second document begins here: one file is one policy");
		else if (type == YAML_SCALAR_EVENT || type == YAML_ALIAS_EVENT ||
			 type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT)
			r = read_value(reader, &event, 0, &root);
		yaml_event_delete(&event);
		if (r < 0)
			return r;
		if (type == YAML_STREAM_END_EVENT)
			break;
	}
	if (!root || (root->kind == YAML_KIND_SCALAR && root->type == YAML_TYPE_NULL)) {
		policy_error(reader->diag, (struct policy_place){1, 1}, "file.empty",
			     "the file has no content; the smallest policy is 'version: 1'");
		return -EBADMSG;
	}
	*ret_root = root;
	return 0;
}

int yaml_parse(const void *data, size_t size, struct arena *arena, struct diagnostics *diag,
	       struct yaml_node **ret_root)
{
	yaml_parser_t parser;
	struct reader reader = {.parser = &parser, .arena = arena, .diag = diag};
	int r;

	if (size > POLICY_SIZE_MAX) {
		policy_error(diag, (struct policy_place){1, 1}, "file.size",
			     "larger than %u MiB: too large for a policy", POLICY_SIZE_MAX >> 20);
		return -EBADMSG;
	}
	r = check_text(data, size, diag);
	if (r < 0)
		return r;
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, data, size);
	r = read_stream(&reader, ret_root);
	yaml_parser_delete(&parser);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event_edit.h"

#include <string.h>

const char *event_edit_text(yaml_node_t *node)
{
	/* libyaml ends scalars with a NUL; one inside would hide the rest of a path. */
	if (!node || node->type != YAML_SCALAR_NODE ||
	    strlen((const char *)node->data.scalar.value) != node->data.scalar.length)
		return NULL;
	return (const char *)node->data.scalar.value;
}

yaml_node_pair_t *event_edit_find_pair(yaml_document_t *doc, yaml_node_t *mapping, const char *key)
{
	if (!mapping || mapping->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *p = mapping->data.mapping.pairs.start;
	     p < mapping->data.mapping.pairs.top; p++) {
		const char *name = event_edit_text(yaml_document_get_node(doc, p->key));

		if (name && !strcmp(name, key))
			return p;
	}
	return NULL;
}

yaml_node_t *event_edit_find(yaml_document_t *doc, yaml_node_t *mapping, const char *key)
{
	yaml_node_pair_t *pair = event_edit_find_pair(doc, mapping, key);

	return pair ? yaml_document_get_node(doc, pair->value) : NULL;
}

int event_edit_scalar(struct event_edit *ed, const char *value)
{
	int id = yaml_document_add_scalar(&ed->doc, NULL, (const yaml_char_t *)value,
					  (int)strlen(value), YAML_ANY_SCALAR_STYLE);

	ed->failed |= !id;
	return id;
}

int event_edit_quoted(struct event_edit *ed, const char *value)
{
	int id = yaml_document_add_scalar(&ed->doc, NULL, (const yaml_char_t *)value,
					  (int)strlen(value), YAML_DOUBLE_QUOTED_SCALAR_STYLE);

	ed->failed |= !id;
	return id;
}

int event_edit_mapping(struct event_edit *ed, yaml_mapping_style_t style)
{
	int id = yaml_document_add_mapping(&ed->doc, NULL, style);

	ed->failed |= !id;
	return id;
}

int event_edit_sequence(struct event_edit *ed)
{
	int id = yaml_document_add_sequence(&ed->doc, NULL, YAML_BLOCK_SEQUENCE_STYLE);

	ed->failed |= !id;
	return id;
}

int event_edit_flow_sequence(struct event_edit *ed)
{
	int id = yaml_document_add_sequence(&ed->doc, NULL, YAML_FLOW_SEQUENCE_STYLE);

	ed->failed |= !id;
	return id;
}

void event_edit_append(struct event_edit *ed, int sequence, int item)
{
	if (!ed->failed && !yaml_document_append_sequence_item(&ed->doc, sequence, item))
		ed->failed = true;
}

void event_edit_put(struct event_edit *ed, int mapping, const char *key, int value)
{
	int name = event_edit_scalar(ed, key);

	if (!ed->failed && !yaml_document_append_mapping_pair(&ed->doc, mapping, name, value))
		ed->failed = true;
}

/* Node numbers start at 1 and are positions in the document's array. */
int event_edit_number(struct event_edit *ed, yaml_node_t *node)
{
	return (int)(node - ed->doc.nodes.start) + 1;
}

int event_edit_root(struct event_edit *ed)
{
	return event_edit_number(ed, yaml_document_get_root_node(&ed->doc));
}

int event_edit_section(struct event_edit *ed, int parent, const char *key, yaml_node_type_t type)
{
	yaml_node_t *node =
		event_edit_find(&ed->doc, yaml_document_get_node(&ed->doc, parent), key);
	yaml_node_pair_t *pair;
	int id;

	if (node && node->type == type)
		return event_edit_number(ed, node);
	id = type == YAML_MAPPING_NODE ? event_edit_mapping(ed, YAML_BLOCK_MAPPING_STYLE)
				       : event_edit_sequence(ed);
	/* `network_policies:` with nothing after it is there, but null. */
	pair = event_edit_find_pair(&ed->doc, yaml_document_get_node(&ed->doc, parent), key);
	if (pair)
		pair->value = id;
	else
		event_edit_put(ed, parent, key, id);
	return id;
}

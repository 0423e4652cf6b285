/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A YAML document being changed, for event_yaml_merge(). Nodes are numbers, since adding one moves
 * all others in memory; 0 is "no memory", and once failed everything stays failed. One thread; the
 * caller owns the document. Decides nothing.
 */
#pragma once

#include "common/event_grants.h"

#include <stdbool.h>
#include <yaml.h>

struct event_edit {
	yaml_document_t doc;
	bool failed;
};

/* Reading; each takes NULL and nodes of other kinds, and then says NULL. Valid until a change. */
const char *event_edit_text(yaml_node_t *node);
yaml_node_pair_t *event_edit_find_pair(yaml_document_t *doc, yaml_node_t *mapping, const char *key);
yaml_node_t *event_edit_find(yaml_document_t *doc, yaml_node_t *mapping, const char *key);

int event_edit_number(struct event_edit *ed, yaml_node_t *node);
int event_edit_root(struct event_edit *ed);

/* New nodes, not yet in the document's tree. */
int event_edit_scalar(struct event_edit *ed, const char *value);
int event_edit_quoted(struct event_edit *ed, const char *value);
int event_edit_mapping(struct event_edit *ed, yaml_mapping_style_t style);
int event_edit_sequence(struct event_edit *ed);
int event_edit_flow_sequence(struct event_edit *ed);

void event_edit_append(struct event_edit *ed, int sequence, int item);
void event_edit_put(struct event_edit *ed, int mapping, const char *key, int value);

/* The value of @key in the mapping @parent, made as a @type if it is not there or is another. */
int event_edit_section(struct event_edit *ed, int parent, const char *key, yaml_node_type_t type);

/*
 * Add a rule to network_policies for each distinct list of endpoints in @grants, with the programs
 * that wanted it. An endpoint whose rule says more than host and port gets the program there.
 */
void event_edit_network(struct event_edit *ed, const struct event_grants *grants);

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event_edit.h"

#include "common/cleanup.h"
#include "common/event_yaml.h"
#include "common/policy_address.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* What the endpoints of a rule say besides host and port. */
enum says {
	SAYS_NOTHING, /* a second rule may repeat them */
	SAYS_TCP,     /* `protocol: tcp`, which a second rule has to say too */
	SAYS_MORE,
};

static enum says endpoint_says(yaml_document_t *doc, yaml_node_t *endpoint)
{
	static const char *const plain[] = {"host", "port", "ports"};
	enum says says = SAYS_NOTHING;

	if (!endpoint || endpoint->type != YAML_MAPPING_NODE)
		return SAYS_MORE;
	for (yaml_node_pair_t *p = endpoint->data.mapping.pairs.start;
	     p < endpoint->data.mapping.pairs.top; p++) {
		const char *key = event_edit_text(yaml_document_get_node(doc, p->key));
		const char *value = event_edit_text(yaml_document_get_node(doc, p->value));
		bool known = false;

		for (size_t i = 0; key && i < ARRAY_LEN(plain); i++)
			known |= !strcmp(key, plain[i]);
		if (known)
			continue;
		if (!key || !value || strcmp(key, "protocol") != 0 || strcmp(value, "tcp") != 0)
			return SAYS_MORE;
		says = SAYS_TCP;
	}
	return says;
}

/* Of endpoints that differ, more: which of them it was is not known. */
static enum says rule_says(yaml_document_t *doc, yaml_node_t *rule)
{
	yaml_node_t *list = event_edit_find(doc, rule, "endpoints");
	enum says says = SAYS_MORE;

	if (!list || list->type != YAML_SEQUENCE_NODE)
		return SAYS_MORE;
	for (yaml_node_item_t *item = list->data.sequence.items.start;
	     item < list->data.sequence.items.top; item++) {
		enum says one = endpoint_says(doc, yaml_document_get_node(doc, *item));

		if (item > list->data.sequence.items.start && one != says)
			return SAYS_MORE;
		says = one;
	}
	return says;
}

static int add_binary(struct event_edit *ed, const char *exe)
{
	int binary = event_edit_mapping(ed, YAML_FLOW_MAPPING_STYLE);

	if (!ed->failed)
		event_edit_put(ed, binary, "path", event_edit_scalar(ed, exe));
	return binary;
}

static bool has_binary(yaml_document_t *doc, yaml_node_t *list, const char *exe)
{
	if (!list || list->type != YAML_SEQUENCE_NODE)
		return false;
	for (yaml_node_item_t *item = list->data.sequence.items.start;
	     item < list->data.sequence.items.top; item++) {
		const char *path = event_edit_text(
			event_edit_find(doc, yaml_document_get_node(doc, *item), "path"));

		if (path && !strcmp(path, exe))
			return true;
	}
	return false;
}

/* An endpoint that is to get a rule. */
struct wanted {
	const struct event_grant_endpoint *endpoint;
	bool tcp; /* with `protocol: tcp` */
};

/*
 * An endpoint that a rule names with more than host and port cannot be named once more without it:
 * overlapping endpoints have to agree. So its rule gets the binary. True if that was done.
 */
static bool extend_rule(struct event_edit *ed, int policies, struct wanted *wanted)
{
	const struct event_grant_endpoint *e = wanted->endpoint;
	yaml_node_t *rule;
	enum says says;
	int list;

	if (!e->rule[0])
		return false;
	rule = event_edit_find(&ed->doc, yaml_document_get_node(&ed->doc, policies), e->rule);
	if (!rule || rule->type != YAML_MAPPING_NODE)
		return false;
	says = rule_says(&ed->doc, rule);
	wanted->tcp = says == SAYS_TCP;
	if (says != SAYS_MORE || e->has_binary)
		return false;
	list = event_edit_section(ed, event_edit_number(ed, rule), "binaries", YAML_SEQUENCE_NODE);
	if (!ed->failed && !has_binary(&ed->doc, yaml_document_get_node(&ed->doc, list), e->exe))
		event_edit_append(ed, list, add_binary(ed, e->exe));
	return true;
}

static void rule_key(struct event_edit *ed, int policies, const char *exe, char *ret, size_t size)
{
	char name[128];

	event_yaml_rule_name(exe, name, sizeof(name));
	snprintf(ret, size, "learned_%s", name);
	for (int i = 2; i < 10000; i++) {
		if (!event_edit_find_pair(&ed->doc, yaml_document_get_node(&ed->doc, policies),
					  ret))
			return;
		snprintf(ret, size, "learned_%s_%d", name, i);
	}
}

/* A name that YAML could take for a number, a truth or nothing is quoted. */
static int host_scalar(struct event_edit *ed, const char *host)
{
	struct policy_cidr cidr;

	if (!policy_address_parse(host, &cidr) ||
	    (isalpha((unsigned char)host[0]) && strchr(host, '.')))
		return event_edit_scalar(ed, host);
	return event_edit_quoted(ed, host);
}

/* The endpoints of one program, as they stand side by side in the grants. */
struct program {
	const struct wanted *wanted;
	size_t len;
	bool written;
};

static bool is_same_host(const struct wanted *a, const struct wanted *b)
{
	return a->tcp == b->tcp && !strcmp(a->endpoint->host, b->endpoint->host);
}

static bool wants_same(const struct program *a, const struct program *b)
{
	if (a->len != b->len)
		return false;
	for (size_t i = 0; i < a->len; i++)
		if (a->wanted[i].endpoint->port != b->wanted[i].endpoint->port ||
		    !is_same_host(&a->wanted[i], &b->wanted[i]))
			return false;
	return true;
}

static int port_scalar(struct event_edit *ed, uint16_t port)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", port);
	return event_edit_scalar(ed, text);
}

/* The endpoint for the first @n of @wanted, which are ports of one host. */
static int add_endpoint(struct event_edit *ed, const struct wanted *wanted, size_t n)
{
	int mapping = event_edit_mapping(ed, YAML_FLOW_MAPPING_STYLE), ports;

	event_edit_put(ed, mapping, "host", host_scalar(ed, wanted->endpoint->host));
	if (n == 1) {
		event_edit_put(ed, mapping, "port", port_scalar(ed, wanted->endpoint->port));
	} else {
		ports = event_edit_flow_sequence(ed);
		for (size_t i = 0; i < n && !ed->failed; i++)
			event_edit_append(ed, ports, port_scalar(ed, wanted[i].endpoint->port));
		event_edit_put(ed, mapping, "ports", ports);
	}
	if (wanted->tcp)
		event_edit_put(ed, mapping, "protocol", event_edit_scalar(ed, "tcp"));
	return mapping;
}

static int add_endpoints(struct event_edit *ed, const struct program *program)
{
	int list = event_edit_sequence(ed);

	for (size_t i = 0, n; i < program->len && !ed->failed; i += n) {
		const struct wanted *first = &program->wanted[i];

		for (n = 1; i + n < program->len && is_same_host(first, first + n); n++)
			;
		event_edit_append(ed, list, add_endpoint(ed, first, n));
	}
	return list;
}

/* One rule for every program from @program on that wanted the same as the first. */
static void add_rule(struct event_edit *ed, int policies, struct program *program, size_t n)
{
	int rule = event_edit_mapping(ed, YAML_BLOCK_MAPPING_STYLE);
	int endpoints = add_endpoints(ed, program), binaries = event_edit_sequence(ed);
	char key[192];

	if (ed->failed)
		return;
	rule_key(ed, policies, program->wanted->endpoint->exe, key, sizeof(key));
	for (size_t i = 0; i < n && !ed->failed; i++) {
		if (program[i].written || !wants_same(program, &program[i]))
			continue;
		event_edit_append(ed, binaries, add_binary(ed, program[i].wanted->endpoint->exe));
		program[i].written = true;
	}
	event_edit_put(ed, rule, "endpoints", endpoints);
	event_edit_put(ed, rule, "binaries", binaries);
	event_edit_put(ed, policies, key, rule);
}

void event_edit_network(struct event_edit *ed, const struct event_grants *grants)
{
	_cleanup_free_ struct program *program = NULL;
	_cleanup_free_ struct wanted *wanted = NULL;
	size_t len = 0, programs = 0;
	int policies;

	for (size_t i = 0; i < grants->endpoints; i++)
		len += grants->endpoint[i].port > 0;
	if (!len)
		return;
	wanted = calloc(len, sizeof(*wanted));
	program = calloc(len, sizeof(*program));
	if (!wanted || !program) {
		ed->failed = true;
		return;
	}
	len = 0;
	policies =
		event_edit_section(ed, event_edit_root(ed), "network_policies", YAML_MAPPING_NODE);
	for (size_t i = 0; i < grants->endpoints && !ed->failed; i++) {
		struct wanted one = {.endpoint = &grants->endpoint[i]};

		if (one.endpoint->port && !extend_rule(ed, policies, &one))
			wanted[len++] = one;
	}
	for (size_t i = 0; i < len; i++) {
		if (!i || strcmp(wanted[i].endpoint->exe, wanted[i - 1].endpoint->exe) != 0)
			program[programs++].wanted = &wanted[i];
		program[programs - 1].len++;
	}
	for (size_t i = 0; i < programs && !ed->failed; i++)
		if (!program[i].written)
			add_rule(ed, policies, &program[i], programs - i);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy_merge.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define LIST_MAX                                                                                   \
	1024 /* rules of a policy, endpoints or binaries of a rule, rules of an endpoint           \
	      */

#define ENTRY	 Openshell__Sandbox__V1__SandboxPolicy__NetworkPoliciesEntry
#define RULE	 Openshell__Sandbox__V1__NetworkPolicyRule
#define ENDPOINT Openshell__Sandbox__V1__NetworkEndpoint
#define BINARY	 Openshell__Sandbox__V1__NetworkBinary

static int no_memory(struct error *err)
{
	return error_set(err, -ENOMEM, "out of memory");
}

static ProtobufCMessage *copy_message(const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	_cleanup_free_ uint8_t *packed = malloc(size + 1);

	if (!packed)
		return NULL;
	protobuf_c_message_pack(message, packed);
	return protobuf_c_message_unpack(message->descriptor, NULL, size, packed);
}

static bool same_message(const ProtobufCMessage *a, const ProtobufCMessage *b)
{
	size_t size = protobuf_c_message_get_packed_size(a);
	_cleanup_free_ uint8_t *one = NULL, *two = NULL;

	if (size != protobuf_c_message_get_packed_size(b))
		return false;
	one = malloc(size + 1);
	two = malloc(size + 1);
	if (!one || !two)
		return false;
	protobuf_c_message_pack(a, one);
	protobuf_c_message_pack(b, two);
	return !memcmp(one, two, size);
}

/* Append a copy to a list of messages. */
static int append(void *list, size_t *count, const ProtobufCMessage *message, struct error *err)
{
	ProtobufCMessage **grown, *copy;

	if (*count >= LIST_MAX)
		return error_set(err, -EINVAL, "more than %d of a kind in one policy", LIST_MAX);
	grown = reallocarray(*(void **)list, *count + 1, sizeof(*grown));
	if (!grown)
		return no_memory(err);
	*(void **)list = grown;
	copy = copy_message(message);
	if (!copy)
		return no_memory(err);
	grown[(*count)++] = copy;
	return 0;
}

static void remove_at(void *list, size_t *count, size_t at)
{
	ProtobufCMessage **items = *(ProtobufCMessage ***)list;

	protobuf_c_message_free_unpacked(items[at], NULL);
	(*count)--;
	memmove(items + at, items + at + 1, (*count - at) * sizeof(*items));
}

static ENTRY *find_rule(const Openshell__Sandbox__V1__SandboxPolicy *policy, const char *name,
			size_t *ret_at)
{
	for (size_t i = 0; i < policy->n_network_policies; i++) {
		if (strcmp(policy->network_policies[i]->key, name) != 0)
			continue;
		if (ret_at)
			*ret_at = i;
		return policy->network_policies[i];
	}
	return NULL;
}

static int need_rule(const Openshell__Sandbox__V1__SandboxPolicy *policy, const char *name,
		     ENTRY **ret_entry, size_t *ret_at, struct error *err)
{
	if (!*name)
		return error_set(err, -EINVAL, "rule_name is missing");
	*ret_entry = find_rule(policy, name, ret_at);
	if (!*ret_entry || !(*ret_entry)->value)
		return error_set(err, -ENOENT, "the policy has no rule '%s'", name);
	return 0;
}

/* ---- endpoints ---- */

static bool has_port(const ENDPOINT *endpoint, uint32_t port)
{
	if (endpoint->port == port)
		return true;
	for (size_t i = 0; i < endpoint->n_ports; i++)
		if (endpoint->ports[i] == port)
			return true;
	return false;
}

static bool is_at(const ENDPOINT *endpoint, const char *host, uint32_t port)
{
	return !strcasecmp(endpoint->host, host) && has_port(endpoint, port);
}

/* Every port of @b is one of @a. */
static bool covers(const ENDPOINT *a, const ENDPOINT *b)
{
	if (strcasecmp(a->host, b->host) != 0 || strcmp(a->path, b->path) != 0)
		return false;
	if (b->port && !has_port(a, b->port))
		return false;
	for (size_t i = 0; i < b->n_ports; i++)
		if (!has_port(a, b->ports[i]))
			return false;
	return b->port || b->n_ports;
}

static const ENDPOINT *find_endpoint(const RULE *rule, const ENDPOINT *wanted)
{
	for (size_t i = 0; i < rule->n_endpoints; i++)
		if (covers(rule->endpoints[i], wanted))
			return rule->endpoints[i];
	return NULL;
}

static bool has_binary(const RULE *rule, const char *path)
{
	for (size_t i = 0; i < rule->n_binaries; i++)
		if (!strcmp(rule->binaries[i]->path, path))
			return true;
	return false;
}

/* The endpoint may be there with the same words; with others, somebody has to decide. */
static int add_endpoint(RULE *rule, const char *name, const ENDPOINT *endpoint, bool *ret_added,
			struct error *err)
{
	const ENDPOINT *there = find_endpoint(rule, endpoint);

	if (there) {
		if (same_message(&there->base, &endpoint->base))
			return 0;
		return error_set(
			err, -EBUSY,
			"rule '%s' has endpoint %s already, with other settings: remove it "
			"first",
			name, endpoint->host);
	}
	*ret_added = true;
	return append(&rule->endpoints, &rule->n_endpoints, &endpoint->base, err);
}

/* What was there before, and is joined with something new, must have been named with it. */
static int check_joined(const char *name, const RULE *before, const RULE *added, bool new_endpoints,
			bool new_binaries, struct error *err)
{
	for (size_t i = 0; new_endpoints && i < before->n_binaries; i++)
		if (!has_binary(added, before->binaries[i]->path))
			return error_set(err, -EBUSY,
					 "rule '%s' would give %s the new endpoint, and it was not "
					 "named with it: name it too, or use another rule",
					 name, before->binaries[i]->path);
	for (size_t i = 0; new_binaries && i < before->n_endpoints; i++)
		if (!find_endpoint(added, before->endpoints[i]))
			return error_set(err, -EBUSY,
					 "rule '%s' would give the new binary %s, and it was not "
					 "named with it: name it too, or use another rule",
					 name, before->endpoints[i]->host);
	return 0;
}

static int merge_rule(RULE *rule, const char *name, const RULE *added, struct error *err)
{
	RULE *before = (RULE *)copy_message(&rule->base);
	bool new_endpoints = false, new_binaries = false;
	int r = before ? 0 : no_memory(err);

	for (size_t i = 0; !r && i < added->n_endpoints; i++)
		r = add_endpoint(rule, name, added->endpoints[i], &new_endpoints, err);
	for (size_t i = 0; !r && i < added->n_binaries; i++) {
		if (has_binary(rule, added->binaries[i]->path))
			continue;
		new_binaries = true;
		r = append(&rule->binaries, &rule->n_binaries, &added->binaries[i]->base, err);
	}
	if (!r)
		r = check_joined(name, before, added, new_endpoints, new_binaries, err);
	if (before)
		protobuf_c_message_free_unpacked(&before->base, NULL);
	return r;
}

static int add_rule(Openshell__Sandbox__V1__SandboxPolicy *policy,
		    const Openshell__V1__AddNetworkRule *add, struct error *err)
{
	ENTRY entry = OPENSHELL__SANDBOX__V1__SANDBOX_POLICY__NETWORK_POLICIES_ENTRY__INIT;
	ENTRY *there;

	if (!*add->rule_name || !add->rule)
		return error_set(err, -EINVAL, "a rule to be added has a name and a rule");
	there = find_rule(policy, add->rule_name, NULL);
	if (there && there->value)
		return merge_rule(there->value, add->rule_name, add->rule, err);
	entry.key = add->rule_name;
	entry.value = add->rule;
	return append(&policy->network_policies, &policy->n_network_policies, &entry.base, err);
}

/* One port of several leaves the others. */
static void remove_port(ENDPOINT *endpoint, uint32_t port)
{
	size_t kept = 0;

	if (endpoint->port == port)
		endpoint->port = 0;
	for (size_t i = 0; i < endpoint->n_ports; i++)
		if (endpoint->ports[i] != port)
			endpoint->ports[kept++] = endpoint->ports[i];
	endpoint->n_ports = kept;
	if (!kept) {
		free(endpoint->ports);
		endpoint->ports = NULL;
	}
}

static size_t remove_from_rule(RULE *rule, const char *host, uint32_t port)
{
	size_t removed = 0;

	for (size_t i = 0; i < rule->n_endpoints;) {
		ENDPOINT *endpoint = rule->endpoints[i];

		if (!is_at(endpoint, host, port)) {
			i++;
			continue;
		}
		removed++;
		remove_port(endpoint, port);
		if (!endpoint->port && !endpoint->n_ports)
			remove_at(&rule->endpoints, &rule->n_endpoints, i);
		else
			i++;
	}
	return removed;
}

/* A rule without endpoints admits nothing: it goes with its last one. */
static int remove_endpoint(Openshell__Sandbox__V1__SandboxPolicy *policy,
			   const Openshell__V1__RemoveNetworkEndpoint *op, struct error *err)
{
	size_t removed = 0;

	if (!*op->host || !op->port)
		return error_set(err, -EINVAL, "an endpoint to be removed has a host and a port");
	for (size_t i = 0; i < policy->n_network_policies;) {
		ENTRY *entry = policy->network_policies[i];
		size_t n = 0;

		if (entry->value && (!*op->rule_name || !strcmp(entry->key, op->rule_name)))
			n = remove_from_rule(entry->value, op->host, op->port);
		removed += n;
		if (n && !entry->value->n_endpoints)
			remove_at(&policy->network_policies, &policy->n_network_policies, i);
		else
			i++;
	}
	if (removed)
		return 0;
	return error_set(err, -ENOENT, "%s%s%s has no endpoint %s:%u",
			 *op->rule_name ? "rule '" : "the policy",
			 *op->rule_name ? op->rule_name : "", *op->rule_name ? "'" : "", op->host,
			 op->port);
}

static int remove_rule(Openshell__Sandbox__V1__SandboxPolicy *policy,
		       const Openshell__V1__RemoveNetworkRule *op, struct error *err)
{
	ENTRY *entry;
	size_t at;
	int r = need_rule(policy, op->rule_name, &entry, &at, err);

	if (!r)
		remove_at(&policy->network_policies, &policy->n_network_policies, at);
	return r;
}

/* A rule without binaries may let nobody, or everybody: the last one goes only with its rule. */
static int remove_binary(Openshell__Sandbox__V1__SandboxPolicy *policy,
			 const Openshell__V1__RemoveNetworkBinary *op, struct error *err)
{
	ENTRY *entry;
	size_t at;
	int r = need_rule(policy, op->rule_name, &entry, &at, err);

	if (r)
		return r;
	for (size_t i = 0; i < entry->value->n_binaries; i++) {
		if (strcmp(entry->value->binaries[i]->path, op->binary_path) != 0)
			continue;
		remove_at(&entry->value->binaries, &entry->value->n_binaries, i);
		if (!entry->value->n_binaries)
			remove_at(&policy->network_policies, &policy->n_network_policies, at);
		return 0;
	}
	return error_set(err, -ENOENT, "rule '%s' has no binary %s", op->rule_name,
			 op->binary_path);
}

/* ---- what is said about requests ---- */

static int append_new(void *list, size_t *count, const ProtobufCMessage *message, struct error *err)
{
	ProtobufCMessage **items = *(ProtobufCMessage ***)list;

	for (size_t i = 0; i < *count; i++)
		if (same_message(items[i], message))
			return 0;
	return append(list, count, message, err);
}

/*
 * An endpoint has either 'access' or 'rules' (policy.md 3): to say more than its access it needs
 * the rules that mean the same.
 */
static int expand_access(ENDPOINT *endpoint, struct error *err)
{
	static const struct {
		const char *access, *methods[7];
	} meanings[] = {
		{"read-only", {"GET", "HEAD", "OPTIONS"}},
		{"read-write", {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH"}},
		{"full", {"*"}},
	};
	int r = 0;

	if (strcmp(endpoint->protocol, "rest") != 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
		if (strcmp(endpoint->access, meanings[i].access) != 0)
			continue;
		for (const char *const *method = meanings[i].methods; !r && *method; method++) {
			Openshell__Sandbox__V1__L7Allow allow =
				OPENSHELL__SANDBOX__V1__L7_ALLOW__INIT;
			Openshell__Sandbox__V1__L7Rule rule = OPENSHELL__SANDBOX__V1__L7_RULE__INIT;

			allow.method = (char *)*method;
			allow.path = (char *)"/**";
			rule.allow = &allow;
			r = append_new(&endpoint->rules, &endpoint->n_rules, &rule.base, err);
		}
		if (r)
			return r;
		free(endpoint->access);
		endpoint->access = (char *)protobuf_c_empty_string;
		return 0;
	}
	return 0;
}

static int add_to_endpoint(ENDPOINT *endpoint, const Openshell__V1__PolicyMergeOperation *op,
			   struct error *err)
{
	int r;

	if (op->operation_case == OPENSHELL__V1__POLICY_MERGE_OPERATION__OPERATION_ADD_DENY_RULES) {
		r = 0;
		for (size_t i = 0; !r && i < op->add_deny_rules->n_deny_rules; i++)
			r = append_new(&endpoint->deny_rules, &endpoint->n_deny_rules,
				       &op->add_deny_rules->deny_rules[i]->base, err);
		return r;
	}
	r = expand_access(endpoint, err);
	for (size_t i = 0; !r && i < op->add_allow_rules->n_rules; i++)
		r = append_new(&endpoint->rules, &endpoint->n_rules,
			       &op->add_allow_rules->rules[i]->base, err);
	return r;
}

static int add_rules(Openshell__Sandbox__V1__SandboxPolicy *policy, const char *host, uint32_t port,
		     const Openshell__V1__PolicyMergeOperation *op, struct error *err)
{
	size_t found = 0;
	int r = 0;

	for (size_t i = 0; i < policy->n_network_policies; i++) {
		RULE *rule = policy->network_policies[i]->value;

		for (size_t k = 0; !r && rule && k < rule->n_endpoints; k++) {
			if (!is_at(rule->endpoints[k], host, port))
				continue;
			found++;
			r = add_to_endpoint(rule->endpoints[k], op, err);
		}
	}
	if (!r && !found)
		r = error_set(err, -ENOENT, "the policy has no endpoint %s:%u", host, port);
	return r;
}

static int apply(Openshell__Sandbox__V1__SandboxPolicy *policy,
		 const Openshell__V1__PolicyMergeOperation *op, struct error *err)
{
	switch (op->operation_case) {
	case OPENSHELL__V1__POLICY_MERGE_OPERATION__OPERATION_ADD_RULE:
		return add_rule(policy, op->add_rule, err);
	case OPENSHELL__V1__POLICY_MERGE_OPERATION__OPERATION_REMOVE_ENDPOINT:
		return remove_endpoint(policy, op->remove_endpoint, err);
	case OPENSHELL__V1__POLICY_MERGE_OPERATION__OPERATION_REMOVE_RULE:
		return remove_rule(policy, op->remove_rule, err);
	case OPENSHELL__V1__POLICY_MERGE_OPERATION__OPERATION_ADD_DENY_RULES:
		return add_rules(policy, op->add_deny_rules->host, op->add_deny_rules->port, op,
				 err);
	case OPENSHELL__V1__POLICY_MERGE_OPERATION__OPERATION_ADD_ALLOW_RULES:
		return add_rules(policy, op->add_allow_rules->host, op->add_allow_rules->port, op,
				 err);
	case OPENSHELL__V1__POLICY_MERGE_OPERATION__OPERATION_REMOVE_BINARY:
		return remove_binary(policy, op->remove_binary, err);
	default:
		return error_set(err, -EINVAL, "an operation that is none");
	}
}

int policy_merge(Openshell__Sandbox__V1__SandboxPolicy *policy,
		 Openshell__V1__PolicyMergeOperation *const *operations, size_t count,
		 struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		int r = apply(policy, operations[i], err);

		if (r)
			return error_wrap(err, "operation %zu", i + 1);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The command line's words for endpoints and rules. */
#include "common/policy_merge.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_MAX 4

static int refuse(struct error *err, const char *text, const char *why)
{
	return error_set(err, -EINVAL, "'%.200s': %s", text, why);
}

int policy_host_port_words(const char *text, char **ret_host, uint32_t *ret_port,
			   const char **ret_rest, struct error *err)
{
	const char *host = text, *end, *port;
	size_t digits;

	if (*text == '[') {
		host = text + 1;
		end = strchr(text, ']');
		if (!end || end[1] != ':')
			return refuse(err, text, "expected [ADDRESS]:PORT");
		port = end + 2;
	} else {
		end = strchr(text, ':');
		if (!end)
			return refuse(err, text, "expected HOST:PORT");
		port = end + 1;
	}
	digits = strspn(port, "0123456789");
	if (end == host)
		return refuse(err, text, "the host is missing");
	if (!digits || digits > 5 || (port[digits] && port[digits] != ':') ||
	    strtoul(port, NULL, 10) - 1 > 65534)
		return refuse(err, text, "the port is a number from 1 to 65535");
	*ret_host = strndup(host, (size_t)(end - host));
	if (!*ret_host)
		return error_set(err, -ENOMEM, "out of memory");
	*ret_port = (uint32_t)strtoul(port, NULL, 10);
	*ret_rest = port[digits] ? port + digits + 1 : NULL;
	return 0;
}

static int set(char **field, const char *text, size_t size)
{
	if (!size)
		return 0;
	*field = strndup(text, size);
	return *field ? 0 : -ENOMEM;
}

static int set_option(Openshell__Sandbox__V1__NetworkEndpoint *endpoint, const char *text,
		      size_t size)
{
	if (size > 5 && !strncmp(text, "path=", 5))
		return set(&endpoint->path, text + 5, size - 5);
	if (size > 4 && !strncmp(text, "tls=", 4))
		return set(&endpoint->tls, text + 4, size - 4);
	if (size == 19 && !strncmp(text, "allow_encoded_slash", size)) {
		endpoint->allow_encoded_slash = true;
		return 0;
	}
	return -EINVAL;
}

static int set_options(Openshell__Sandbox__V1__NetworkEndpoint *endpoint, const char *text,
		       struct error *err)
{
	const char *all = text;

	while (*text) {
		size_t n = strcspn(text, ",");
		int r = set_option(endpoint, text, n);

		if (r == -EINVAL)
			return refuse(err, all,
				      "options are path=GLOB, tls=skip and allow_encoded_slash");
		if (r)
			return error_set(err, r, "out of memory");
		text += n + (text[n] == ',');
	}
	return 0;
}

static int set_parts(Openshell__Sandbox__V1__NetworkEndpoint *endpoint, const char *rest,
		     struct error *err)
{
	char **fields[PARTS_MAX - 1] = {&endpoint->access, &endpoint->protocol,
					&endpoint->enforcement};

	for (size_t i = 0; rest && i < ARRAY_LEN(fields); i++) {
		size_t n = strcspn(rest, ":");

		if (set(fields[i], rest, n))
			return error_set(err, -ENOMEM, "out of memory");
		rest = rest[n] ? rest + n + 1 : NULL;
	}
	return rest ? set_options(endpoint, rest, err) : 0;
}

int policy_endpoint_words(const char *text, Openshell__Sandbox__V1__NetworkEndpoint **ret_endpoint,
			  struct error *err)
{
	Openshell__Sandbox__V1__NetworkEndpoint *endpoint = malloc(sizeof(*endpoint));
	const char *rest;
	int r;

	if (!endpoint)
		return error_set(err, -ENOMEM, "out of memory");
	openshell__sandbox__v1__network_endpoint__init(endpoint);
	r = policy_host_port_words(text, &endpoint->host, &endpoint->port, &rest, err);
	if (!r)
		r = set_parts(endpoint, rest, err);
	if (r) {
		openshell__sandbox__v1__network_endpoint__free_unpacked(endpoint, NULL);
		return r;
	}
	*ret_endpoint = endpoint;
	return 0;
}

/* Built on the stack and copied: who gets it frees it as a whole. */
static int copy(const Openshell__V1__PolicyMergeOperation *op,
		Openshell__V1__PolicyMergeOperation **ret_operation, struct error *err)
{
	size_t size = protobuf_c_message_get_packed_size(&op->base);
	_cleanup_free_ uint8_t *packed = malloc(size + 1);

	if (packed) {
		protobuf_c_message_pack(&op->base, packed);
		*ret_operation = openshell__v1__policy_merge_operation__unpack(NULL, size, packed);
		if (*ret_operation)
			return 0;
	}
	return error_set(err, -ENOMEM, "out of memory");
}

static int allow_operation(char *host, uint32_t port, char *method, char *path,
			   Openshell__V1__PolicyMergeOperation **ret_operation, struct error *err)
{
	Openshell__V1__PolicyMergeOperation op = OPENSHELL__V1__POLICY_MERGE_OPERATION__INIT;
	Openshell__V1__AddAllowRules add = OPENSHELL__V1__ADD_ALLOW_RULES__INIT;
	Openshell__Sandbox__V1__L7Rule rule = OPENSHELL__SANDBOX__V1__L7_RULE__INIT;
	Openshell__Sandbox__V1__L7Allow allow = OPENSHELL__SANDBOX__V1__L7_ALLOW__INIT;
	Openshell__Sandbox__V1__L7Rule *rules[] = {&rule};

	allow.method = method;
	allow.path = path;
	rule.allow = &allow;
	add.host = host;
	add.port = port;
	add.rules = rules;
	add.n_rules = 1;
	op.operation_case = OPENSHELL__V1__POLICY_MERGE_OPERATION__OPERATION_ADD_ALLOW_RULES;
	op.add_allow_rules = &add;
	return copy(&op, ret_operation, err);
}

static int deny_operation(char *host, uint32_t port, char *method, char *path,
			  Openshell__V1__PolicyMergeOperation **ret_operation, struct error *err)
{
	Openshell__V1__PolicyMergeOperation op = OPENSHELL__V1__POLICY_MERGE_OPERATION__INIT;
	Openshell__V1__AddDenyRules add = OPENSHELL__V1__ADD_DENY_RULES__INIT;
	Openshell__Sandbox__V1__L7DenyRule rule = OPENSHELL__SANDBOX__V1__L7_DENY_RULE__INIT;
	Openshell__Sandbox__V1__L7DenyRule *rules[] = {&rule};

	rule.method = method;
	rule.path = path;
	add.host = host;
	add.port = port;
	add.deny_rules = rules;
	add.n_deny_rules = 1;
	op.operation_case = OPENSHELL__V1__POLICY_MERGE_OPERATION__OPERATION_ADD_DENY_RULES;
	op.add_deny_rules = &add;
	return copy(&op, ret_operation, err);
}

int policy_rule_words(const char *text, bool deny,
		      Openshell__V1__PolicyMergeOperation **ret_operation, struct error *err)
{
	_cleanup_free_ char *host = NULL, *method = NULL, *path = NULL;
	const char *rest, *colon;
	uint32_t port;
	int r = policy_host_port_words(text, &host, &port, &rest, err);

	if (r)
		return r;
	colon = rest ? strchr(rest, ':') : NULL;
	if (!colon || colon == rest || !colon[1])
		return refuse(err, text, "expected HOST:PORT:METHOD:PATH");
	method = strndup(rest, (size_t)(colon - rest));
	path = strdup(colon + 1);
	if (!method || !path)
		return error_set(err, -ENOMEM, "out of memory");
	return deny ? deny_operation(host, port, method, path, ret_operation, err)
		    : allow_operation(host, port, method, path, ret_operation, err);
}

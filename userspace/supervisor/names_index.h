/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The endpoints of a compiled policy that are names, found by name: those that admit somebody.
 * Pure, owned by the caller, who keeps the policy for as long; any thread. Fails closed: what is
 * not in the index is admitted to nobody.
 */
#pragma once

#include "abi.h"
#include "common/error.h"
#include "common/policy_address.h"
#include "compiled_policy.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct names_endpoint {
	const char *host; /* canonical; the policy's, as is ports */
	const char *key;  /* into host: all of it, or what follows the last label with a star */
	bool wildcard;
	bool proxied;	/* what is said there decides: policy_proxied.h */
	bool inference; /* inference.local itself: policy_inference.h */
	uint32_t index; /* in CompiledPolicy.endpoints */
	uint32_t set;	/* the rule's bit */
	const uint32_t *ports;
	size_t ports_len;
	const struct policy_cidr *allowed; /* allowed_ips; the index's */
	size_t allowed_len;
};

struct names_index {
	struct names_endpoint *endpoint; /* sorted by key */
	size_t len;
	struct os_rule_mask globs; /* rules that have a glob among their binaries */
	struct policy_cidr *cidr;
};

/* One port of one endpoint that names a name. */
struct names_port {
	uint16_t port;
	const struct names_endpoint *endpoint;
};

struct names_ports {
	struct names_port *item; /* sorted by port, then as the policy has the endpoints */
	size_t len, cap;
};

/* True if @endpoint of @policy is a name that is enforced here. */
bool names_index_takes(const Openshell__Compiled__V1__CompiledPolicy *policy,
		       const Openshell__Compiled__V1__Endpoint *endpoint);

/*
 * -EINVAL for what the compiler would not have written (a bad name, port, network or binary set),
 * -ENOMEM. On failure @ret_index is untouched.
 */
int names_index_build(const Openshell__Compiled__V1__CompiledPolicy *policy,
		      struct names_index *ret_index, struct error *err);

/*
 * Every port of every endpoint that names @name, which is canonical. The name inference.local is
 * named by the supervisor's own endpoint alone, whatever wildcards there are. Reuses @ports's
 * memory; -ENOMEM leaves it empty.
 */
int names_index_find(const struct names_index *index, const char *name, struct names_ports *ports);

/* Ports from @at on that are the same: the length of that group. */
size_t names_ports_group(const struct names_ports *ports, size_t at);

void names_index_free(struct names_index *index);
void names_ports_free(struct names_ports *ports);

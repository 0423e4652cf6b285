/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy_inference.h"

#include "abi.h"
#include "common/cleanup.h"
#include "common/inference.h"
#include "common/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PB(name) Openshell__Compiled__V1__##name

static int copy_policy(const PB(CompiledPolicy) * policy, PB(CompiledPolicy) * *ret_copy)
{
	size_t size = openshell__compiled__v1__compiled_policy__get_packed_size(policy);
	_cleanup_free_ uint8_t *packed = malloc(size + 1);

	if (!packed)
		return -ENOMEM;
	openshell__compiled__v1__compiled_policy__pack(policy, packed);
	*ret_copy = openshell__compiled__v1__compiled_policy__unpack(NULL, size, packed);
	return *ret_copy ? 0 : -ENOMEM;
}

/* The index of the set that is every binary; -E2BIG, -ENOMEM. */
static int any_set(PB(CompiledPolicy) * policy, uint32_t *ret_index)
{
	PB(BinarySet) * *sets, *set;

	for (size_t i = 0; i < policy->n_binary_sets && i < OS_RULE_SETS; i++) {
		if (policy->binary_sets[i]->any) {
			*ret_index = (uint32_t)i;
			return 0;
		}
	}
	if (policy->n_binary_sets >= OS_RULE_SETS)
		return -E2BIG;
	sets = realloc(policy->binary_sets, (policy->n_binary_sets + 1) * sizeof(*sets));
	if (!sets)
		return -ENOMEM;
	policy->binary_sets = sets;
	set = malloc(sizeof(*set));
	if (!set)
		return -ENOMEM;
	openshell__compiled__v1__binary_set__init(set);
	set->any = true;
	*ret_index = (uint32_t)policy->n_binary_sets;
	sets[policy->n_binary_sets++] = set;
	return 0;
}

/* Every allocation is protobuf-c's to free, so each field is one of its own. */
static PB(Endpoint) * new_endpoint(uint32_t set)
{
	PB(Endpoint) *endpoint = malloc(sizeof(*endpoint));

	if (!endpoint)
		return NULL;
	openshell__compiled__v1__endpoint__init(endpoint);
	endpoint->binary_set = set;
	endpoint->protocol = OPENSHELL__COMPILED__V1__PROTOCOL__PROTOCOL_INFERENCE;
	endpoint->rule = strdup(INFERENCE_HOST);
	endpoint->host = strdup(INFERENCE_HOST);
	endpoint->ports = malloc(sizeof(*endpoint->ports));
	if (endpoint->ports)
		endpoint->ports[endpoint->n_ports++] = INFERENCE_PORT;
	if (endpoint->rule && endpoint->host && endpoint->ports)
		return endpoint;
	openshell__compiled__v1__endpoint__free_unpacked(endpoint, NULL);
	return NULL;
}

/* Last: what the policy's own endpoints are numbered stays. */
static int add_endpoint(PB(CompiledPolicy) * policy)
{
	PB(Endpoint) * *endpoints, *endpoint;
	uint32_t set;
	int r = any_set(policy, &set);

	if (r)
		return r;
	endpoints = realloc(policy->endpoints, (policy->n_endpoints + 1) * sizeof(*endpoints));
	if (!endpoints)
		return -ENOMEM;
	policy->endpoints = endpoints;
	endpoint = new_endpoint(set);
	if (!endpoint)
		return -ENOMEM;
	endpoints[policy->n_endpoints++] = endpoint;
	return 0;
}

int policy_with_inference(const PB(CompiledPolicy) * policy, PB(CompiledPolicy) * *ret_policy,
			  struct error *err)
{
	_cleanup_policy_compiled_ PB(CompiledPolicy) *copy = NULL;
	int r = copy_policy(policy, &copy);

	if (!r)
		r = add_endpoint(copy);
	if (r == -E2BIG)
		return error_set(
			err, r,
			"the policy has %d different lists of binaries, and inference.local "
			"needs one more: let network policies share their lists",
			OS_RULE_SETS);
	if (r)
		return error_set(err, r, "out of memory");
	*ret_policy = TAKE_PTR(copy);
	return 0;
}

bool policy_is_inference(const PB(Endpoint) * endpoint)
{
	return endpoint->protocol == OPENSHELL__COMPILED__V1__PROTOCOL__PROTOCOL_INFERENCE;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/egress_judge.h"

#include "endpoint.h"
#include "name.h"
#include "bpf/include/identity.h"

#include <bpf/bpf.h>
#include <string.h>

bool egress_find(const struct kernel *kernel, const struct egress_question *q,
		 struct os_endpoint *ret_endpoint)
{
	struct os_endpoint_key exact = {
		.slot = q->slot, .generation = q->generation, .port = q->port};
	struct os_cidr_key range = {.prefixlen = OS_CIDR_PREFIX_BASE + 128,
				    .slot = q->slot,
				    .generation = q->generation,
				    .port = q->port};
	struct address address;
	bool synthetic;

	memcpy(&address, q->address, sizeof(address));
	synthetic = name_is_synthetic(&address);
	if (synthetic)
		address = name_canonical(&address);
	memcpy(exact.address, &address, sizeof(exact.address));
	memcpy(range.address, &address, sizeof(range.address));
	return !bpf_map_lookup_elem(kernel->maps.endpoint, &exact, ret_endpoint) ||
	       (!synthetic && !bpf_map_lookup_elem(kernel->maps.cidr, &range, ret_endpoint));
}

/* egress_keeps() of the kernel's programs. */
static bool keeps(const struct kernel *kernel, const struct egress_question *q, uint32_t limits)
{
	struct os_name_key key = {.slot = q->slot, .generation = q->generation, .port = q->port};
	struct address real;
	struct os_name name;
	bool known;

	if (!q->real || !limits)
		return true;
	memcpy(key.address, q->address, sizeof(key.address));
	memcpy(&real, q->real, sizeof(real));
	known = !bpf_map_lookup_elem(kernel->maps.name, &key, &name);
	return name_keeps(limits, known ? &name : NULL, &real);
}

static void add_binary(const struct kernel *kernel, const struct egress_question *q,
		       const struct os_image *image, struct endpoint_caller *caller)
{
	struct os_binary_key key = {
		.slot = q->slot, .generation = q->generation, .file = image->file};
	struct os_binary binary;
	bool known = !bpf_map_lookup_elem(kernel->maps.binary, &key, &binary);

	endpoint_add_binary(caller, known ? &binary : NULL, image->changed);
}

/* Who was sent the other way than the endpoint's is not admitted. */
static uint32_t inspected(const struct egress_question *q, const struct os_endpoint *endpoint,
			  uint32_t reason)
{
	if (reason != OS_REASON_NONE && reason != OS_REASON_ASK)
		return reason;
	return (endpoint->verdict == OS_VERDICT_PROXY) == q->proxied ? reason : OS_REASON_INSPECTED;
}

uint32_t egress_judge(const struct kernel *kernel, const struct egress_question *question,
		      uint32_t *ret_endpoint, struct os_rule_mask *ret_rules)
{
	static const struct os_image every;
	const struct os_identity *identity = question->identity;
	struct endpoint_caller caller = {};
	struct os_endpoint endpoint;
	uint32_t reason;

	if (ret_endpoint)
		*ret_endpoint = OS_EVENT_NO_ENDPOINT;
	if (ret_rules)
		*ret_rules = (struct os_rule_mask){};
	if (!egress_find(kernel, question, &endpoint))
		return OS_REASON_NO_ENDPOINT;
	if (ret_endpoint)
		*ret_endpoint = endpoint.endpoint;
	if (identity_file_is_none(&identity->exe.file))
		return OS_REASON_IDENTITY;
	add_binary(kernel, question, &every, &caller);
	caller.unknown = 0;
	add_binary(kernel, question, &identity->exe, &caller);
	for (uint32_t i = 0; i < OS_ANCESTORS_MAX && i < identity->ancestors; i++)
		add_binary(kernel, question, &identity->ancestor[i], &caller);
	if (ret_rules)
		endpoint_mask_common(&endpoint.rules, &caller.rules, ret_rules);
	reason = inspected(question, &endpoint, endpoint_decide(&endpoint, &caller));
	if (reason == OS_REASON_NONE && !keeps(kernel, question, endpoint.limits))
		return OS_REASON_STALE_NAME;
	return reason;
}

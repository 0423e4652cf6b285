/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/egress_judge.h"

#include "endpoint.h"
#include "bpf/include/identity.h"

#include <bpf/bpf.h>
#include <stdbool.h>
#include <string.h>

/* A name is entered once, under the IPv4 form of its synthetic addresses. */
static void entered_address(const uint8_t *given, uint8_t *ret_address)
{
	struct address address;
	uint32_t number;

	memcpy(&address, given, sizeof(address));
	number = ADDRESS_BE32(address.word[3]);
	if (address.word[0] == ADDRESS_BE32(OS_SYNTHETIC_IPV6_0) &&
	    address.word[1] == ADDRESS_BE32(OS_SYNTHETIC_IPV6_1) && !address.word[2] &&
	    number <= OS_SYNTHETIC_MAX)
		address = address_of_ipv4(ADDRESS_BE32(OS_SYNTHETIC_IPV4 + number));
	memcpy(ret_address, &address, sizeof(address));
}

static bool find_endpoint(const struct kernel *kernel, const struct egress_question *q,
			  struct os_endpoint *ret_endpoint)
{
	struct os_endpoint_key exact = {
		.slot = q->slot, .generation = q->generation, .port = q->port};
	struct os_cidr_key range = {.prefixlen = OS_CIDR_PREFIX_BASE + 128,
				    .slot = q->slot,
				    .generation = q->generation,
				    .port = q->port};

	entered_address(q->address, exact.address);
	memcpy(range.address, exact.address, sizeof(range.address));
	return !bpf_map_lookup_elem(kernel->maps.endpoint, &exact, ret_endpoint) ||
	       !bpf_map_lookup_elem(kernel->maps.cidr, &range, ret_endpoint);
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

uint32_t egress_judge(const struct kernel *kernel, const struct egress_question *question,
		      uint32_t *ret_endpoint)
{
	static const struct os_image every;
	const struct os_identity *identity = question->identity;
	struct endpoint_caller caller = {};
	struct os_endpoint endpoint;

	if (ret_endpoint)
		*ret_endpoint = OS_EVENT_NO_ENDPOINT;
	if (!find_endpoint(kernel, question, &endpoint))
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
	return endpoint_decide(&endpoint, &caller);
}

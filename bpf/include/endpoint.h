/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whether a rule that names the endpoint also names the caller. Pure functions over plain data, for
 * the kernel programs, the host's unit tests and the fuzzer alike.
 */
#pragma once

#include "address.h"

static __always_inline void endpoint_mask_add(struct os_rule_mask *mask,
					      const struct os_rule_mask *more)
{
	for (int i = 0; i < OS_RULE_WORDS; i++)
		mask->word[i] |= more->word[i];
}

static __always_inline int endpoint_mask_meets(const struct os_rule_mask *a,
					       const struct os_rule_mask *b)
{
	__u64 common = 0;

	for (int i = 0; i < OS_RULE_WORDS; i++)
		common |= a->word[i] & b->word[i];
	return common != 0;
}

/*
 * The verdict on an endpoint (NULL if no rule names it) for a caller whose binaries satisfy @rules:
 * 0, or the enum os_reason of the denial. What must go through the proxy is denied where there is
 * none.
 */
static __always_inline __u32 endpoint_decide(const struct os_endpoint *endpoint,
					     const struct os_rule_mask *rules)
{
	if (!endpoint || endpoint->verdict != OS_VERDICT_DIRECT)
		return OS_REASON_NO_ENDPOINT;
	if (!endpoint_mask_meets(&endpoint->rules, rules))
		return OS_REASON_BINARY;
	return OS_REASON_NONE;
}

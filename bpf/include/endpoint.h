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

static __always_inline void endpoint_mask_common(const struct os_rule_mask *a,
						 const struct os_rule_mask *b,
						 struct os_rule_mask *ret_common)
{
	for (int i = 0; i < OS_RULE_WORDS; i++)
		ret_common->word[i] = a->word[i] & b->word[i];
}

/* What is known of a caller: gathered by endpoint_add_binary(), one call for each binary. */
struct endpoint_caller {
	struct os_rule_mask rules;   /* satisfied */
	struct os_rule_mask changed; /* would be, had the binary not changed */
	__u32 unknown;		     /* binaries that nobody looked at yet */
	__u32 pad;
};

/* Whether @binary was identified by the content that it had at ctime @changed. */
static __always_inline int endpoint_same_content(const struct os_binary *binary, __u64 changed)
{
	int same = !binary->changed[0];

	for (int i = 0; i < OS_BINARY_TIMES; i++)
		same |= changed && binary->changed[i] == changed;
	return same;
}

/* @binary: the entry of one of the caller's binaries, executed at ctime @changed; NULL = none. */
static __always_inline void endpoint_add_binary(struct endpoint_caller *caller,
						const struct os_binary *binary, __u64 changed)
{
	if (!binary)
		caller->unknown++;
	else if (endpoint_same_content(binary, changed))
		endpoint_mask_add(&caller->rules, &binary->rules);
	else
		endpoint_mask_add(&caller->changed, &binary->rules);
}

/*
 * The verdict on an endpoint (NULL if no rule names it) for @caller: 0, or the enum os_reason of
 * the denial. OS_REASON_ASK: a glob may know one of the binaries, which are not all known.
 * OS_VERDICT_PROXY admits the same callers as OS_VERDICT_DIRECT, to the proxy alone: who asks looks
 * at endpoint->verdict as well.
 */
static __always_inline __u32 endpoint_decide(const struct os_endpoint *endpoint,
					     const struct endpoint_caller *caller)
{
	if (!endpoint ||
	    (endpoint->verdict != OS_VERDICT_DIRECT && endpoint->verdict != OS_VERDICT_PROXY))
		return OS_REASON_NO_ENDPOINT;
	if (endpoint_mask_meets(&endpoint->rules, &caller->rules))
		return OS_REASON_NONE;
	if (caller->unknown && endpoint_mask_meets(&endpoint->ask, &endpoint->ask))
		return OS_REASON_ASK;
	if (endpoint_mask_meets(&endpoint->rules, &caller->changed))
		return OS_REASON_CHANGED;
	return OS_REASON_BINARY;
}

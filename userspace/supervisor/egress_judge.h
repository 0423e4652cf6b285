/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ask the maps what the kernel's programs would decide, with the same functions: for connections
 * that wait for a verdict, and for those that a switch of policy ends. Changes nothing; any thread.
 * Fails closed: what cannot be looked up is denied.
 */
#pragma once

#include "abi.h"
#include "supervisor/kernel.h"

#include <stdbool.h>
#include <stdint.h>

struct egress_question {
	uint32_t slot, generation;
	uint8_t address[16]; /* as the agent gave it, v4-mapped; synthetic ones as OS_SYNTHETIC_* */
	uint16_t port;	     /* host order */
	/* It goes to the proxy: where that is otherwise the answer is OS_REASON_INSPECTED. */
	bool proxied;
	const struct os_identity *identity;
	/* Where a connection to a name is already: it may have to end there. NULL = not asked. */
	const uint8_t *real;
};

/* The endpoint that a question is about, whoever asks: its identity is not looked at. */
bool egress_find(const struct kernel *kernel, const struct egress_question *question,
		 struct os_endpoint *ret_endpoint);

/*
 * 0 or an enum os_reason. @ret_endpoint: its index, or OS_EVENT_NO_ENDPOINT. @ret_rules: of the
 * endpoint's rules, those whose binaries the caller is among. Either may be NULL.
 */
uint32_t egress_judge(const struct kernel *kernel, const struct egress_question *question,
		      uint32_t *ret_endpoint, struct os_rule_mask *ret_rules);

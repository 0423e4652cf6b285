/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names in events: which addresses are a name's stand-ins, and names that were asked for and
 * refused, as events like those of the kernel. Any thread; cannot fail, and decides nothing.
 */
#pragma once

#include "common/event.h"

#define EVENT_PORT_DNS 53 /* denied only where there is no responder, which gets all of it */

/* True for an address (16 bytes, v4-mapped) that a sandbox's responder gives a name. */
bool event_address_is_synthetic(const uint8_t address[16]);

/*
 * True if no policy may name this address with this port: a cluster's control plane in private
 * space (policy.md, "Addresses").
 */
bool event_address_is_guarded(const uint8_t address[16], uint16_t port);

/* A name that somebody asked for and did not get. */
struct event_question {
	const char *name;
	uint16_t type; /* DNS QTYPE */
	bool limited;  /* it was the rate of new names, not the policy */
	/* Who asked; pid 0: not known, and the rest is not looked at. */
	uint32_t pid, ns_pid; /* ns_pid 0: not known, as is uid then */
	uint32_t uid;
	uint32_t generation;
	uint64_t start_time;	    /* of the process, CLOCK_BOOTTIME ns */
	struct os_file_id exe;	    /* it executed then */
	const struct os_proc *proc; /* the process's entry in os_proc, or NULL */
};

/* The refusal as an event with the time of now; *ret_event is set whole. */
void event_name_refused(const struct event_question *question, const struct event_context *ctx,
			struct event *ret_event);

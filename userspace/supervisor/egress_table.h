/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses that a compiled policy names, as the entries that the kernel looks up: the longest
 * prefix decides there, so each entry carries the rules of every range around it as well. Endpoints
 * that are names are not among them: names_index.h. An address that some rule wants to have what is
 * said there read goes to the proxy for all. Pure, owned by the caller; any thread. Fails closed:
 * what is not in the table is denied, and so is what a middleware should see and cannot.
 */
#pragma once

#include "abi.h"
#include "common/error.h"
#include "compiled_policy.pb-c.h"

#include <stddef.h>

#define EGRESS_TABLE_MAX 65536 /* entries of one policy */

struct egress_entry {
	uint8_t address[16]; /* v4-mapped, network order, host bits zero */
	uint8_t prefix;	     /* 0..128 of the mapped form */
	uint16_t port;	     /* host order */
	struct os_endpoint endpoint;
};

struct egress_table {
	struct egress_entry *entry; /* sorted by port, address, prefix; distinct */
	size_t len, cap;
};

/*
 * -EINVAL for what the compiler would not have written (a bad address, port or binary set), -E2BIG
 * past EGRESS_TABLE_MAX, -ENOMEM. On failure @ret_table is untouched.
 */
int egress_table_build(const Openshell__Compiled__V1__CompiledPolicy *policy,
		       struct egress_table *ret_table, struct error *err);

/* The entry that the kernel finds: the longest prefix around @address (16 bytes), or NULL. */
const struct egress_entry *egress_table_find(const struct egress_table *table,
					     const uint8_t *address, uint16_t port);

void egress_table_free(struct egress_table *table);

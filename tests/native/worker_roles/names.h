/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker test's surroundings: a names.h that admits what ends in ".example", so that the test
 * needs no policy; and a DNS server, in this process's own network namespace.
 */
#pragma once

#include "common/worker_protocol.h"

#include <stdint.h>

/* What was last said of @name by names_found(), or NULL. */
const struct worker_found *fake_found(const char *name);

/* Forget all that was found; @due, if not NULL, is the next name that names_due() gives, once. */
void fake_forget(void);
void fake_due(const char *due);

/* Questions for names of which nothing was found yet: names_ask() was asked how often. */
extern unsigned int fake_asked;

/*
 * Serve 127.0.0.1:53 in a process of its own; the number of queries for a name's addresses that
 * came. "slow.example" is never answered, "failed" SERVFAIL, "none" NXDOMAIN, "half" and "torn"
 * for one family only, "large" over TCP alone; the others have addresses.
 */
void dns_start(void);
void dns_end(void);
unsigned int dns_queries(void);

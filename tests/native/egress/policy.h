/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy of slot 1 in the egress test.
 */
#pragma once

#include <stdint.h>

enum policy_kind {
	POLICY_FULL,
	POLICY_WITHOUT_SECOND, /* fd77::2 is gone, and the names that say so */
	POLICY_TURNED,	       /* the names that say so are inspected, or not any more */
};

/* Put it in force as the next generation, and erase the one before. @dir: where the programs are.
 */
void policy_switch(enum policy_kind kind, const char *dir);

/* The same policy in another mode. */
void policy_mode(uint32_t mode);

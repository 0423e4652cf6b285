/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of slot 1, as the supervisor and a worker would have them: the maps are filled by hand, and
 * servers of the world's stand in for the worker.
 */
#pragma once

#include "policy.h"

#include <stdbool.h>
#include <stdint.h>

/* Enter the names in @generation, and remove those of the one before. */
void names_fill(uint32_t generation, enum policy_kind kind);

/* The generation that names_fill() entered last. */
uint32_t names_generation(void);

/* Whether the servers that stand in for slot 1's worker are known as one. */
void names_set_worker(bool there);

/* Every check; the policy is POLICY_FULL before and after. */
void names_check(int scope);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of the variables that hold credentials, which placeholders carry. Pure functions; any
 * thread; what is not clearly such a name is none.
 */
#pragma once

#include <stdbool.h>

#define PROVIDER_KEY_MAX 128 /* bytes */

/* Whether @name can name an environment variable: letters, digits and `_`, no digit first. */
bool provider_key_is_valid(const char *name);

/*
 * Whether @name reads like the revision or the token that a placeholder may carry before its key
 * (`v12_`, `s<64 hex>_`): then it could not be told which variable is meant.
 */
bool provider_key_is_ambiguous(const char *name);

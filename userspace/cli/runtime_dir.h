/* SPDX-License-Identifier: Apache-2.0 */
/* Where this user's background commands leave their marks: XDG_RUNTIME_DIR, or below the state. */
#pragma once

#include "common/error.h"

#include <stddef.h>

/* Made, 0700. */
int runtime_dir(char *ret_path, size_t size, struct error *err);

/* $XDG_STATE_HOME/openshell, made. */
int state_dir(char *ret_path, size_t size, struct error *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.md's baseline: paths that every sandbox gets where they exist, unless its policy lists
 * them itself. One table for resolving, masking and learning. Constant; any thread.
 */
#pragma once

#include "common/rights.h"
#include "compiled_policy.pb-c.h"

struct baseline_path {
	const char *path;
	enum rights_access access;
};

extern const struct baseline_path baseline_paths[];
extern const size_t baseline_paths_len;

/* The arithmetic's name for a compiled path rule's access; 0 for one that says nothing. */
enum rights_access baseline_access(Openshell__Compiled__V1__PathAccess access);

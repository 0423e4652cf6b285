/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.md's filesystem section as arithmetic: which rights a canonical path has, given the lists
 * of a policy. Nearest listed path decides, deny wins over everything. Pure functions over data
 * that the caller owns; any thread. Fails closed: what no rule grants has no rights.
 */
#pragma once

#include "abi.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rights_access {
	RIGHTS_READ_ONLY = 1,
	RIGHTS_READ_WRITE,
	RIGHTS_DENY,
	RIGHTS_LOADER, /* an ELF interpreter: as its surroundings, but never a program */
};

struct rights_rule {
	const char *path; /* canonical: absolute, no trailing slash but for "/" */
	enum rights_access access;
};

/* A path of exec_policy: that file, or with `subtree` everything below it (and itself). */
struct rights_exec {
	const char *path;
	bool subtree;
};

struct rights_input {
	const struct rights_rule *rule;
	size_t rules;
	const struct rights_exec *exec_allow, *exec_deny;
	size_t exec_allows, exec_denies;
	bool exec_allow_present; /* false: what may be read may be executed */
	bool exec_allow_writable;
};

/* What an anchor at @path holds: OS_RIGHT_* of everything below it and of itself. */
struct os_anchor rights_at(const struct rights_input *input, const char *path);

/* True if @path is @ancestor or below it; both canonical. */
bool rights_path_below(const char *path, const char *ancestor);

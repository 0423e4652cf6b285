/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a file that steers a sandbox is one that the agent in it could write: then it must not be
 * obeyed while the agent runs. Looks at the host's filesystem; one thread. Fails closed: what
 * cannot be told is within reach.
 */
#pragma once

#include "compiled_policy.pb-c.h"

#include <stdbool.h>

/*
 * Whether @policy lets the agent write @path, the directory that it is in, or what it is a link to.
 * The modes of files are not looked at.
 */
bool agent_reach_writes(const Openshell__Compiled__V1__CompiledPolicy *policy, const char *workdir,
			const char *path);

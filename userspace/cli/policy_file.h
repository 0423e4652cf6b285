/* SPDX-License-Identifier: Apache-2.0 */
/* A policy's file as a message, with its findings told. */
#pragma once

#include "cli/command.h"
#include "sandbox.pb-c.h"

/* EXIT_DONE, or a status that was explained; the message is the caller's. */
int policy_file_load(const struct command_call *call, const char *file,
		     Openshell__Sandbox__V1__SandboxPolicy **ret_policy);

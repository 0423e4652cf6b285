/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The phases of a sandbox: their names, and changing one with what goes with it. The record is not
 * saved here. The gateway's thread.
 */
#pragma once

#include "gateway/sandbox_record.h"

#include <stdbool.h>

/* "READY" */
const char *sandbox_phase_name(Openshell__V1__SandboxPhase phase);

/* The phase, and the condition Ready with it. -ENOMEM. */
int sandbox_phase_set(struct sandbox_record *record, Openshell__V1__SandboxPhase phase,
		      const char *reason, const char *message);

/* Another run of its main process: a new instance, without an exit code. -ENOMEM. */
int sandbox_phase_new_instance(struct sandbox_record *record);

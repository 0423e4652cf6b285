/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of a sandbox beside its files: its last report. Written by its keeper, read by
 * a daemon that finds no keeper: an instance that has run is not run again by itself. Replaced as a
 * whole. No secrets. Any thread.
 */
#pragma once

#include "node.pb-c.h"

int state_write(const char *directory, const Openshell__Node__V1__SandboxReport *report);

/* NULL: there is none, or it is no report. Freed with free_unpacked(). */
Openshell__Node__V1__SandboxReport *state_read(const char *directory);

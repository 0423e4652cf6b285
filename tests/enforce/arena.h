/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directories and files of the enforcement suite: made on the machine's disk, a tmpfs and an
 * overlay, owned by the agent's uid so that nothing but the sandbox keeps it out. One thread;
 * failing ends the program.
 */
#pragma once

#include "stage.h"

/* Sets stage->top. The mounts are in the caller's mount namespace, which is its own. */
void arena_make(struct stage *stage);
void arena_remove(struct stage *stage);

/* Make what one word names, as stage_prepare() says. @path is real. */
void arena_fixture(struct stage *stage, char kind, const char *path);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing a directory that somebody else has filled: never follows a link, never leaves the mount,
 * and runs out of neither descriptors, stack nor path length, however deep it is. Nobody else may
 * change it meanwhile. Blocks. Any thread: it does not change the working directory.
 */
#pragma once

#include "common/error.h"

#include <stdbool.h>

/*
 * 0 as well when it is not there. What could not be removed stays, with the first reason. @stop
 * (may be NULL) is looked at between files: -ECANCELED once it is true.
 */
int remove_tree(const char *path, const volatile bool *stop, struct error *err);

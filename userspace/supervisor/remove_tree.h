/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing a directory that somebody else has filled: never follows a link, never leaves the mount,
 * and does not run out of descriptors or stack, however deep it is. Blocks. Any thread.
 */
#pragma once

#include "common/error.h"

/* 0 as well when it is not there. What could not be removed stays, with the first reason. */
int remove_tree(const char *path, struct error *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening paths as a sandbox would: in its root, never through a magic link. Any thread. The
 * descriptors and strings are the caller's. Fails closed: what cannot be opened is not there.
 */
#pragma once

#include "common/error.h"

#include <stdbool.h>

/*
 * Open @path O_PATH below @root_fd, links followed but for the last if not @follow, and tell its
 * canonical path: what the kernel calls it in its own mount namespace. Errors of openat2(2) and
 * readlink(2), -ENAMETOOLONG, -EINVAL for what no path leads to, -ENOMEM.
 */
int resolve_open(int root_fd, const char *path, bool follow, int *ret_fd, char **ret_path);

/*
 * Call @found for each dynamic loader of the usual C libraries below @root_fd, until it returns
 * non-zero, which is returned. The same directory under two names is looked through once.
 */
int resolve_loaders(int root_fd, int (*found)(void *arg, const char *path), void *arg);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening a file for writing as root where an agent may have been before: a symbolic link counts
 * only if root, or the caller, made it. Else an agent that once could write the directory would
 * choose which of the host's files root appends to next time. No state; any thread. Fails closed.
 */
#pragma once

#include <sys/types.h>

/*
 * As open(): O_CLOEXEC is added. -ELOOP: a link on the way belongs to somebody else, or there are
 * more than 40; else the negative errno of open() or fstat().
 */
int trusted_open(const char *path, int flags, mode_t mode, int *ret_fd);

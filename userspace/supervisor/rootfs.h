/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory of the host that becomes sandboxes' root: what sandboxes mount things on is made in
 * it, where it is missing. Paths in it are followed below it alone. Any thread.
 */
#pragma once

#include "common/error.h"

/*
 * Make /proc, /dev, /tmp, /var/tmp, SANDBOX_HOME, /etc/hosts and /etc/resolv.conf in @directory,
 * which has no symbolic link in its path and belongs to root. -EPERM: somebody else may write to
 * it; -ELOOP, -ENOENT, -EROFS ...
 */
int rootfs_prepare(const char *directory, struct error *err);

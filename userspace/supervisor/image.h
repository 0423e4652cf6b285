/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images as roots of sandboxes: a directory of the host, or an OCI layout that is put beside the
 * sandboxes' files once and shared by all that want it. Blocks: a large image takes minutes. Fails
 * closed.
 */
#pragma once

#include "common/error.h"

#include <limits.h>

/*
 * The root for @image, "/DIRECTORY" or "oci:/DIRECTORY[:TAG]"; @images is where layouts are put.
 * -EINVAL, -ENOENT, and rootfs_prepare()'s.
 */
int image_root(const char *image, const char *images, char ret_root[static PATH_MAX],
	       struct error *err);

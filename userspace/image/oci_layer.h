/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers of an image, onto a directory: tar archives (plain, gzip, zstd), each with files that it
 * adds, and whiteouts for what it takes away. Everything is made below the directory's descriptor,
 * whatever the archive's names and links say, belongs to the caller and has no set-id bits; devices
 * and fifos are left out. What becomes of a layer that fails half way is the caller's to remove.
 */
#pragma once

#include "common/error.h"

#include <stdint.h>

#define OCI_ENTRIES_MAX 4000000ull     /* of all layers */
#define OCI_BYTES_MAX	(256ull << 30) /* likewise */

struct oci_limits {
	uint64_t entries, bytes; /* that are left */
};

/*
 * Take away what the archive @fd takes away, then add what it adds; twice read from its beginning.
 * -EBADMSG: no archive, or a name that leads out of it; -E2BIG, -EFBIG: @limits.
 */
int oci_layer_apply(int fd, int root, struct oci_limits *limits, struct error *err);

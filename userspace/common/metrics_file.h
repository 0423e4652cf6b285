/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics as a file that a collector reads (node_exporter's textfile collector): written beside it
 * and put in its place, so that whoever reads it has all of it, old or new. No state; one thread.
 */
#pragma once

#include "common/error.h"
#include "common/metrics.h"

/*
 * Write @metrics to @path, 0644; they are then unchanged. -EINVAL: there is something else than a
 * file at @path, such as a device or a link, which would be gone; the errno of creating or writing
 * it. All with a sentence.
 */
int metrics_file_write(const char *path, struct metrics *metrics, struct error *err);

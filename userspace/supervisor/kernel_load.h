/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads, attaches and pins both kernel objects; removes the pins again. Used by kernel.c alone,
 * which holds the host's lock around each call.
 */
#pragma once

#include "supervisor/kernel.h"

/*
 * Load what this kernel can run, attach and pin it; fills kernel->maps, file_probe_fd, lsm and
 * lsm_reason. kernel->tree must be open. On failure nothing stays.
 */
int kernel_load(struct kernel *kernel, struct error *err);

/* Open what is pinned. -ENOENT: nothing there, or an unfinished set; -EEXIST: another ABI's. */
int kernel_adopt(struct kernel *kernel, struct error *err);

/* Remove every pin: detaches the programs and frees the maps that nobody else holds. */
void kernel_unpin(void);

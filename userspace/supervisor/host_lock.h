/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One lock per host around everything that adds or removes sandboxes, programs or pins, so that two
 * `run`s at once neither load twice nor unload under each other. Held for milliseconds; released by
 * closing the descriptor, thus also by the death of the process.
 */
#pragma once

#include "common/error.h"

/* Take the lock, waiting at most 30 s. -ETIMEDOUT, or the error of open. */
int host_lock(int *ret_fd, struct error *err);

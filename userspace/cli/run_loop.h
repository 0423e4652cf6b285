/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of one run: kernel side, sandbox, relayed standard streams, events, end. One event loop
 * on one thread. Whatever way it ends, the sandbox is gone when this returns; if this process is
 * killed, the kernel kills the sandbox and the next start sweeps what is left.
 */
#pragma once

#include "cli/run.h"
#include "common/error.h"

/* *ret_status: the command's exit code, or 128 + signal. Errors: nothing of the agent's ran. */
int run_loop(struct run *run, int *ret_status, struct error *err);

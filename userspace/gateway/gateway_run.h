/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway from start to end. */
#pragma once

#include "common/error.h"

struct config;

/* Runs until SIGTERM or SIGINT. An error: it did not start, with a sentence. */
int gateway_run(const struct config *config, struct error *err);

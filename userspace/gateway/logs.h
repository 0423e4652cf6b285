/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last lines of each sandbox's log, in memory (LOG_LINES_MAX lines and LOG_BYTES_MAX bytes of
 * each): from its supervisor (source "sandbox") and of the gateway about it ("gateway"). Bounded;
 * the oldest go. The gateway's thread.
 */
#pragma once

#include "gateway/gateway.h"
#include "openshell.pb-c.h"

#define LOG_LINES_MAX 2000
#define LOG_BYTES_MAX (1u << 20)

int log_buffers_new(struct log_buffers **ret_logs);
void log_buffers_free(struct log_buffers *logs);

/* Copied; watchers are told. */
void logs_add(struct gateway *gateway, const Openshell__V1__SandboxLogLine *line);

/* A line of the gateway's own. @level: "debug", "info", "warn", "error". */
void logs_gateway(struct gateway *gateway, const char *sandbox_id, const char *level,
		  const char *format, ...) __attribute__((format(printf, 4, 5)));

void logs_forget(struct gateway *gateway, const char *sandbox_id);

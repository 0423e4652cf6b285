/* SPDX-License-Identifier: Apache-2.0 */
/* What logs and watchers share. */
#pragma once

#include "gateway/log_filter.h"
#include "gateway/request.h"

/* The last @last lines of a sandbox that the filter takes, borrowed; *ret_total: that are kept. */
size_t logs_select(struct gateway *gateway, const char *sandbox_id, const struct log_filter *filter,
		   size_t last, Openshell__V1__SandboxLogLine **ret_lines, size_t *ret_total);

void watch_sandbox(struct request *request);

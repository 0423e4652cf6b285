/* SPDX-License-Identifier: Apache-2.0 */
/* Levels of log lines, by the words that clients and supervisors use. Pure. */
#pragma once

/* "trace".."error", "INFO", "MED", "HIGH"...: 0 to 4, higher is worse; what is unknown is info (2).
 */
int log_level_rank(const char *level);

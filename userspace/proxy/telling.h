/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the supervisor, and through it the log, is told: each request once. The worker's loop; never
 * waits.
 */
#pragma once

struct agent;
struct exchange;

/* Once for each exchange: a second call does nothing. */
void telling_request(struct exchange *exchange);

/* A connection, or a request that was none, is given up. @why: a sentence's end. */
void telling_broken(const struct agent *agent, const char *error, const char *why);

/* A message of a WebSocket was refused, or would be; exchange->verdict says why. */
void telling_message(struct exchange *exchange);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of an answer that the proxy gives in a server's place, as policy.md ("Answers the agent
 * gets") has it. Never a secret: the path is told without its query. The worker's loop.
 */
#pragma once

#include "proxy/http.h"

struct exchange;
struct exchange_denial;

/* JSON, in the exchange's arena. -ENOMEM. */
int denial_body(struct exchange *exchange, const struct exchange_denial *denial,
		struct text *ret_text);

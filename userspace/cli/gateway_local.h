/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gateway and a supervisor of one's own, in the background: certificates are made the first time,
 * the gateway listens on the loopback address with mTLS, and is registered as "local".
 */
#pragma once

#include "cli/command.h"

int gateway_local_start(struct command_call *call);
int gateway_local_stop(struct command_call *call);

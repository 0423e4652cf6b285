/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a call to its handler: who, what about, whether, well-formed, and then the handler of its
 * row. The gateway's thread. Fails closed at each step.
 */
#pragma once

#include "common/grpc_server.h"
#include "gateway/gateway.h"

/* For grpc_server_options.call; @arg is the struct gateway. */
void dispatch_call(void *arg, struct grpc_call *call);

/* SPDX-License-Identifier: Apache-2.0 */
/* ForwardTcp: a connection to something that listens inside a sandbox, on its loopback alone. */
#pragma once

#include "gateway/request.h"

void forward_tcp(struct request *request);

/* SPDX-License-Identifier: Apache-2.0 */
/* How clients reach this gateway, as it was configured. The gateway's thread. */
#pragma once

#include "gateway/gateway.h"

struct public_address {
	char host[256];
	uint16_t port;
	const char *scheme; /* "https" or "http": static */
};

void public_address_get(const struct gateway *gateway, struct public_address *ret_address);

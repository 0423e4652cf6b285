/* SPDX-License-Identifier: Apache-2.0 */
/* "127.0.0.1:17670", "[::1]:17670", ":17670" as something to bind to. Pure. */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <sys/socket.h>

struct listen_address {
	struct sockaddr_storage address;
	socklen_t size;
	bool loopback;
};

/* @option names it in the sentence. -EINVAL. */
int listen_address_parse(const char *text, const char *option, struct listen_address *ret_address,
			 struct error *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a gRPC server is: "https://HOST[:PORT]", "http://HOST[:PORT]", "unix:/PATH". Plain data;
 * any thread. Fails closed: another scheme, a path or a user in it is an error.
 */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

#define GRPC_ENDPOINT_MAX 300

struct grpc_endpoint {
	char text[GRPC_ENDPOINT_MAX];
	char host[256]; /* without brackets; or the path of a socket */
	char authority[GRPC_ENDPOINT_MAX];
	uint16_t port;
	bool tls, local; /* local: a unix socket */
};

int grpc_endpoint_parse(const char *text, struct grpc_endpoint *ret_endpoint, struct error *err);

/*
 * A socket that is connected or connecting to it. Of several addresses of a name each gets
 * GRPC_ENDPOINT_TRY_MS, so it may block for as long, and for as long as the resolver wants. A
 * negative errno with its reason in @ret_why.
 */
#define GRPC_ENDPOINT_TRY_MS 250
int grpc_endpoint_connect(const struct grpc_endpoint *endpoint, int *ret_fd, char *ret_why,
			  size_t why_size);

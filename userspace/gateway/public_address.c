/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/public_address.h"

#include "common/grpc_endpoint.h"
#include "common/grpc_server.h"
#include "gateway/config.h"

#include <stdio.h>
#include <string.h>

void public_address_get(const struct gateway *gateway, struct public_address *ret_address)
{
	const struct config *config = gateway->config;
	struct grpc_endpoint endpoint;
	char url[300];

	snprintf(url, sizeof(url), "%s%s", *config->tls_cert ? "https://" : "http://",
		 config->listen);
	if (*config->public_endpoint)
		snprintf(url, sizeof(url), "%s", config->public_endpoint);
	*ret_address = (struct public_address){.scheme = "http"};
	if (grpc_endpoint_parse(url, &endpoint, NULL))
		return;
	snprintf(ret_address->host, sizeof(ret_address->host), "%s", endpoint.host);
	ret_address->port = endpoint.port;
	ret_address->scheme = endpoint.tls ? "https" : "http";
	/* Port 0 was whatever was free. */
	if (!*config->public_endpoint && gateway->server)
		ret_address->port = grpc_server_port(gateway->server);
}

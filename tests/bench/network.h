/* SPDX-License-Identifier: Apache-2.0 */
/* What the network benchmark's client, server and driver agree on. */
#pragma once

#define NETWORK_PORT_BULK  7001
#define NETWORK_PORT_ECHO  7002
#define NETWORK_PORT_CLOSE 7003
#define NETWORK_PORT_LAST  7004
#define NETWORK_PORT_PROXY 7005

#define NETWORK_CHUNK	  (256 * 1024) /* of bulk, acknowledged by one byte */
#define NETWORK_MESSAGE	  64
#define NETWORK_CONNECTED "HTTP/1.1 200 Connection established\r\n\r\n"
#define NETWORK_NAME	  "server.bench.test"

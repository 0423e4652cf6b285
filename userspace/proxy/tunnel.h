/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A WebSocket after its upgrade, where what the agent says in it is judged or changed: text
 * messages are gathered, asked about and written anew; all else from the agent is passed on in
 * frames of the same kind, and what the server says as it is. Owned by its exchange; the worker's
 * loop. Fails closed: a message that is denied, too long or not well-formed ends the connection,
 * and nothing of it is sent on.
 */
#pragma once

#include "proxy/http.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TUNNEL_OUT_MAX (4u << 20) /* bytes that one call of tunnel_request() may make */

struct exchange;
struct websocket_tunnel;

/*
 * The server has agreed, with @head. exchange->tunnel is there afterwards if anything has to be
 * looked at. -EPROTO: it agreed to something that was not offered. -ENOMEM.
 */
int tunnel_open(struct exchange *exchange, const struct http_head *head);
void tunnel_free(struct websocket_tunnel *tunnel);

/*
 * Bytes from the agent: what is to be sent on is in *ret_data until the next call. -EACCES: close;
 * tunnel_close() has what to tell the agent.
 */
int tunnel_request(struct exchange *exchange, const uint8_t *data, size_t size,
		   const uint8_t **ret_data, size_t *ret_size);

/* The close frame for the agent. */
struct text tunnel_close(const struct websocket_tunnel *tunnel);

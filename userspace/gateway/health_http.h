/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /healthz, /readyz and /metrics over HTTP (libmicrohttpd), for orchestrators and Prometheus. Its
 * sockets are watched by the gateway's loop, on its thread: nothing here is shared with another.
 * Says nothing about any workspace.
 */
#pragma once

#include "common/error.h"
#include "gateway/gateway.h"

struct health_http;

int health_http_new(struct gateway *gateway, struct health_http **ret_health, struct error *err);
void health_http_free(struct health_http *health);

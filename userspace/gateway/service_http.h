/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP to exposed services: a listener that reads the head of a connection's first request, finds
 * the service by its Host, and then passes bytes both ways, unread. One connection is one
 * service's. Whoever reaches the listener reaches the services: it belongs on a loopback address.
 * The gateway's thread. Bounded.
 */
#pragma once

#include "gateway/gateway.h"

#include <stddef.h>

struct services;

int services_new(struct gateway *gateway, struct services **ret_services, struct error *err);
void services_free(struct services *services);

/* "http://web--name.openshell.localhost:17672/"; "" when there is no listener. */
void service_url(const struct gateway *gateway, const char *workspace, const char *sandbox,
		 const char *service, char *ret_url, size_t size);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services: names for ports inside sandboxes, reached by HTTP (service_http.h) or ForwardTcp. The
 * gateway's thread.
 */
#pragma once

#include "gateway/request.h"

void service_expose(struct request *request);
void service_get(struct request *request);
void service_list(struct request *request);
void service_delete(struct request *request);

/* The port of a service by its id, which must be of that sandbox. -ENOENT. */
int service_port(struct gateway *gateway, const char *service_id, const char *sandbox_id,
		 uint32_t *ret_port, struct error *err);

/* By the names that a URL has. -ENOENT. free() the sandbox's id. */
int service_find(struct gateway *gateway, const char *workspace, const char *sandbox,
		 const char *service, char **ret_sandbox_id, uint32_t *ret_port, struct error *err);

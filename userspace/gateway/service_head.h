/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose service an HTTP/1.1 request is for: its Host field alone is looked at (RFC 9112, 3.2).
 * Pure; any thread. Fails closed: no Host, two of them, or one that is no service's name is an
 * error.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERVICE_DOMAIN	 ".openshell.localhost"
#define SERVICE_HEAD_MAX 16384

struct service_name {
	char service[64], sandbox[64], workspace[64]; /* workspace "" = the default one */
};

/* 0: there; -EAGAIN: the head is not whole; -EBADMSG: malformed; -ENOENT: no service's host. */
int service_head_parse(const uint8_t *data, size_t size, struct service_name *ret_name);

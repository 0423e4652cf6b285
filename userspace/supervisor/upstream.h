/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that the supervisor makes for somebody: a worker has no socket of its own. The
 * kernel's programs do not look at us, so whoever calls has checked the address. Any thread.
 */
#pragma once

#include <stdint.h>

/*
 * A non-blocking socket that connects to @address (v4-mapped for IPv4) and @port, without Nagle's
 * algorithm. What socket() and connect() say at once.
 */
int upstream_connect(const uint8_t address[16], uint16_t port, int *ret_fd);

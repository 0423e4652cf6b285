/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS over UDP: queries are received, and answers that are known sent, in batches, from the socket
 * that the query came to. Owned by the worker, its thread; allocates nothing after dns_udp_new().
 * A datagram that cannot be sent is lost, as datagrams are. Fails closed.
 */
#pragma once

#include "proxy/responder.h"

#define DNS_UDP_SOCKETS 2
#define DNS_UDP_BATCH	32

struct dns_udp;

/* @responder is borrowed. */
int dns_udp_new(struct responder *responder, struct dns_udp **ret_udp);

/* Closes the sockets. NULL is valid. */
void dns_udp_free(struct dns_udp *udp);

/* Take the non-blocking socket @fd and watch it. */
int dns_udp_add(struct dns_udp *udp, int epoll_fd, int fd);

/* Socket @index is readable: one batch. */
void dns_udp_ready(struct dns_udp *udp, size_t index, uint64_t now);

void dns_udp_deliver(struct dns_udp *udp, const struct dns_client *client, const uint8_t *data,
		     size_t size);

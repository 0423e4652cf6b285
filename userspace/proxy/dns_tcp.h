/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS over TCP (RFC 7766): messages with their length before them, many on one connection, answered
 * in the order in which answers are known. Each connection has buffers of fixed size: who does not
 * read its answers is not read from. A connection ends when the client has ended it and has its
 * answers, when it sends what is no query, when nothing complete came or went for DNS_TCP_IDLE_MS,
 * or when it is the least active one and another comes.
 *
 * Owned by the worker, its thread; allocates nothing after dns_tcp_new(). Fails closed.
 */
#pragma once

#include "proxy/responder.h"
#include "proxy/worker_event.h"

#define DNS_TCP_LISTENERS   2
#define DNS_TCP_CONNECTIONS 32
#define DNS_TCP_IDLE_MS	    10000

struct dns_tcp;

/* @responder is borrowed. */
int dns_tcp_new(struct responder *responder, int epoll_fd, struct dns_tcp **ret_tcp);

/* Closes everything. NULL is valid. */
void dns_tcp_free(struct dns_tcp *tcp);

/* Take the non-blocking listening socket @fd and watch it. */
int dns_tcp_add(struct dns_tcp *tcp, int fd);

void dns_tcp_accept(struct dns_tcp *tcp, size_t index, uint64_t now);
void dns_tcp_ready(struct dns_tcp *tcp, struct worker_event event, uint32_t events, uint64_t now);

/* Keep an answer for its connection, if it is still there; dns_tcp_settle() sends it. */
void dns_tcp_deliver(struct dns_tcp *tcp, const struct dns_client *client, const uint8_t *data,
		     size_t size);
void dns_tcp_settle(struct dns_tcp *tcp, uint64_t now);

/* End what has been idle for too long. */
void dns_tcp_tick(struct dns_tcp *tcp, uint64_t now);

/* Whether dns_tcp_tick() has anything to wait for. */
bool dns_tcp_waits(const struct dns_tcp *tcp);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections whose binary is not known yet: the kernel sends them here instead of refusing what a
 * glob of the policy may admit. Each is accepted, asked about, and, when the supervisor hands over
 * a socket to where the agent wanted to go, copied in both directions for as long as it lives; the
 * next connection of that binary goes directly. What is denied is reset, and so is what got no
 * answer in RELAY_TIMEOUT_MS, what comes when RELAY_CONNECTIONS are open, and either end when the
 * other fails.
 *
 * Nothing is read of a connection before its verdict, and not more than RELAY_BUFFER bytes that the
 * other end has not taken. Owned by the worker, its thread; allocates nothing after
 * ask_relay_new(). Fails closed.
 */
#pragma once

#include "common/worker_protocol.h"
#include "proxy/worker_event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELAY_LISTENERS	  2
#define RELAY_CONNECTIONS 64
#define RELAY_BUFFER	  32768
#define RELAY_TIMEOUT_MS  10000
#define RELAY_ID	  0x1u /* its questions' ids are this and above */

struct ask_relay;

/* @channel is borrowed, non-blocking. */
int ask_relay_new(int epoll_fd, int channel, struct ask_relay **ret_relay);

/* Closes everything. NULL is valid. */
void ask_relay_free(struct ask_relay *relay);

/* Take the non-blocking listening socket @fd and watch it. */
int ask_relay_add(struct ask_relay *relay, int fd);

void ask_relay_accept(struct ask_relay *relay, size_t index, uint64_t now);
void ask_relay_ready(struct ask_relay *relay, struct worker_event event, uint32_t events);

/*
 * The verdict; @fd, -1 if there is none, is the relay's from here on. -EBADMSG: nobody asked, or a
 * descriptor is missing or too many.
 */
int ask_relay_verdict(struct ask_relay *relay, const struct worker_flow *flow, int fd);

/* Send questions for which the channel had no room. */
void ask_relay_send(struct ask_relay *relay);
bool ask_relay_blocked(const struct ask_relay *relay);

/* Reset what has waited for too long. */
void ask_relay_tick(struct ask_relay *relay, uint64_t now);

/* Whether ask_relay_tick() has anything to wait for. */
bool ask_relay_waits(const struct ask_relay *relay);

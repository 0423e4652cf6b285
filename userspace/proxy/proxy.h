/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The L7 proxy of one sandbox: connections that the kernel redirected because their content
 * decides. Each is accepted, the supervisor is asked who is behind it and where it goes (ORIGIN),
 * and then each of its requests is judged, given its credentials and sent on over a connection that
 * the supervisor made (UPSTREAM).
 *
 *	wire		a connection in the loop		agent		one from an agent
 *	upstream	one to a server, and the pool		exchange	one request and its
 *response generation	what a policy came with			questions	to the supervisor
 *
 * Owned by the worker, its thread. Fails closed: without a policy, without an answer, without
 * memory, a connection is reset and a request refused.
 */
#pragma once

#include "common/worker_protocol.h"
#include "proxy/worker_event.h"

#include <stdbool.h>
#include <stdint.h>

struct proxy;
struct tls_ca_store;

struct proxy_options {
	int epoll_fd;
	int channel; /* to the supervisor; borrowed, non-blocking */
	int records; /* where requests are told (worker_record.h); taken; -1 = nowhere */
	struct tls_ca_store *store; /* the sandbox's CA; borrowed */
};

/* Sends WORKER_CA. */
int proxy_new(const struct proxy_options *options, struct proxy **ret_proxy);
void proxy_free(struct proxy *proxy);

/* Take the non-blocking listener @fd. */
int proxy_add(struct proxy *proxy, int fd);

void proxy_accept(struct proxy *proxy, uint64_t now);
void proxy_ready(struct proxy *proxy, struct worker_event event, uint32_t events, uint64_t now);

/* Messages of the supervisor; -EBADMSG: it must not say that. Descriptors are taken. */
int proxy_policy(struct proxy *proxy, const struct worker_policy *policy, int fd);
int proxy_origin(struct proxy *proxy, const struct worker_origin *origin);
int proxy_probe(struct proxy *proxy, const struct worker_probe *probe, int fd);
int proxy_upstream(struct proxy *proxy, const struct worker_upstream *upstream, int fd);

/* Questions for which the channel had no room. */
void proxy_send(struct proxy *proxy);
bool proxy_blocked(const struct proxy *proxy);

/*
 * Before the loop sleeps: what was put off. Returns for how many milliseconds it may sleep, at
 * most; -1 = for as long as it likes.
 */
int proxy_settle(struct proxy *proxy, uint64_t now);

/* Every half second, if proxy_waits(). */
void proxy_tick(struct proxy *proxy, uint64_t now);
bool proxy_waits(const struct proxy *proxy);

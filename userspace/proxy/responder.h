/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a DNS query is answered: at once if it is malformed, known, or about one of our synthetic
 * addresses; else when the supervisor has said what the name is. Questions to it are counted: the
 * same name is asked about once however often it is queried, there is an end to how many names
 * wait, and to how many queries wait for them. What is beyond is SERVFAIL at once, and so is what
 * waited for RESPONDER_TIMEOUT_MS.
 *
 * Knows no sockets but the channel: dns_udp.h and dns_tcp.h bring queries and carry answers.
 * Owned by the worker, its thread; allocates nothing after responder_new(). Fails closed.
 */
#pragma once

#include "common/worker_protocol.h"
#include "proxy/dns_wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESPONDER_ASKS	     512 /* names that wait for the supervisor */
#define RESPONDER_WAITERS    1024
#define RESPONDER_TIMEOUT_MS 10000
#define RESPONDER_ID	     0x10000u /* its questions' ids are this and above */

/* Who gets an answer; the two transports fill it and find their way back by it. */
struct dns_client {
	struct worker_peer peer;
	uint32_t socket;     /* index of the UDP socket or the TCP connection */
	uint32_t generation; /* of the TCP connection */
};

struct responder_options {
	int channel; /* borrowed, non-blocking */
	/* The answer to a query that waited; may not call back. */
	void (*deliver)(void *arg, const struct dns_client *client, const uint8_t *data,
			size_t size);
	void *arg;
};

enum responder_result {
	RESPONDER_ANSWERED, /* the answer is there */
	RESPONDER_WAITS,    /* it will be delivered */
	RESPONDER_IGNORED,  /* it is no query; nothing will be delivered */
};

struct responder;

int responder_new(const struct responder_options *options, struct responder **ret_responder);
void responder_free(struct responder *responder);

/* @now: ns; @ret_answer has room for DNS_ANSWER_MAX bytes. */
enum responder_result responder_query(struct responder *responder, const struct dns_client *client,
				      const uint8_t *data, size_t size, uint64_t now,
				      uint8_t *ret_answer, size_t *ret_size);

/* What the supervisor said. -EBADMSG: it was not asked that. */
int responder_answer(struct responder *responder, const struct worker_name *name, uint64_t now);

/* The client went; nothing is delivered to it any more. */
void responder_forget(struct responder *responder, const struct dns_client *client);

/* The policy changed: what is known is forgotten. */
void responder_flush(struct responder *responder);

/* Send questions for which the channel had no room; true if it still has none for all. */
bool responder_send(struct responder *responder);
bool responder_blocked(const struct responder *responder);

/* Answer what has waited for too long. */
void responder_tick(struct responder *responder, uint64_t now);

/* Whether responder_tick() has anything to wait for. */
bool responder_waits(const struct responder *responder);

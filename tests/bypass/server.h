/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The servers that the bypass suite's agents try to reach. One process answers on all ports of a
 * network namespace: whoever sends `where` is told at which address that arrived; port 53 is a DNS
 * server, if it is asked to be. What arrives is counted in memory that the test shares, so that
 * "nothing came" can be shown. Never returns; dies with its parent.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define SERVER_QUERIES 512

struct server_seen {
	atomic_uint connections, datagrams, queries;
	atomic_uint phase; /* written by the test: which answers names with two give */
	char query[SERVER_QUERIES][256]; /* in text, lower case, the last ones */
};

/* One name of the DNS server: a leading `*.` stands for whatever is before. */
struct server_name {
	const char *name;
	const char *ipv4[4], *ipv6[4]; /* NULL ends them */
	const char *later;	       /* IPv4 in phase 1; NULL: the same */
	unsigned int ttl;
};

struct server_spec {
	const uint16_t *ports;
	size_t ports_len;
	const struct server_name *names; /* NULL: no DNS here */
	size_t names_len;
	struct server_seen *seen;
	int ready; /* gets a byte when all ports are open */
};

_Noreturn void server_run(const struct server_spec *spec);

/* How often @name was asked for; a name that begins with a dot: whatever ends in it. */
unsigned int server_asked(const struct server_seen *seen, const char *name);

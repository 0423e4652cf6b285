/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that serves one sandbox: one thread, one epoll loop over its channel to the
 * supervisor, the DNS sockets (responder.h), the connections that wait for a verdict about their
 * binary (ask_relay.h), and those whose content decides (proxy.h). The tables of the first three
 * are allocated before the loop; the proxy allocates by connection and request, and does without
 * what it does not get.
 *
 * What a name or a connection may do is asked of the supervisor; what a request may do is decided
 * here, by the rules that the supervisor gave. Fails closed: a question without an answer is
 * SERVFAIL, a connection without one is reset, a request that cannot be judged is refused, and when
 * the supervisor goes, so does the worker.
 *
 * What it may call is in filter.c.
 */
#pragma once

#include <stdint.h>

struct tls_ca_store;

/*
 * Serve until the supervisor closes @channel, then return 0; a negative errno if that end says what
 * it must not, or if memory or descriptors cannot be had. @fds: one descriptor for each bit of
 * @sockets (WORKER_SOCKET_*), in the order of the bits. They and the channel are the worker's,
 * which sets O_NONBLOCK on them; nothing is left to do afterwards but to end the process.
 * WORKER_READY is sent when queries are being answered. It has up to 170 descriptors open, and one
 * for each of the proxy's connections (RLIMIT_NOFILE).
 */
int worker_main(int channel, uint32_t sockets, const int fds[], struct tls_ca_store *store);

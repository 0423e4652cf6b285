/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that serves one sandbox: one thread, one epoll loop over its channel to the
 * supervisor, the DNS sockets (responder.h) and the connections that wait for a verdict about their
 * binary (relay.h). Everything it will ever need is allocated before the loop, and the kernel gives
 * it pages only as they are used.
 *
 * It decides nothing: what a name or a connection may do is asked of the supervisor. Fails closed:
 * a question without an answer is SERVFAIL, a connection without one is reset, and when the
 * supervisor goes, so does the worker.
 *
 * System calls of the loop, for who confines it: epoll_wait, epoll_pwait, epoll_ctl, recvmmsg,
 * sendmmsg, recvmsg, sendmsg, recvfrom, sendto, accept4, getsockname, setsockopt, shutdown, close,
 * madvise, clock_gettime, exit_group. Before it: mmap, munmap, brk, epoll_create1, fcntl (F_GETFL,
 * F_SETFL), getsockname.
 */
#pragma once

#include <stdint.h>

struct tls_ca_store;

/*
 * Serve until the supervisor closes @channel, then return 0; a negative errno if that end says what
 * it must not, or if memory or descriptors cannot be had. @fds: one descriptor for each bit of
 * @sockets (WORKER_SOCKET_*), in the order of the bits. They and the channel are the worker's,
 * which sets O_NONBLOCK on them; nothing is left to do afterwards but to end the process.
 * WORKER_READY is sent when queries are being answered. It has up to 170 descriptors open
 * (RLIMIT_NOFILE).
 */
int worker_main(int channel, uint32_t sockets, const int fds[], struct tls_ca_store *store);

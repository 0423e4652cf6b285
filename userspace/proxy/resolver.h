/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that looks names up for the supervisor: in /etc/hosts, which wins, then with the
 * servers of /etc/resolv.conf, whose changes it notices. It hears no agent, but what the internet
 * answers, so it is confined like a worker; what it says is not believed beyond addresses, which
 * the supervisor checks. One thread, one epoll loop. Fails closed: what cannot be looked up is
 * FAILED.
 */
#pragma once

/*
 * Serve until the supervisor closes @channel, then return 0; a negative errno if that end says what
 * it must not, or if memory or descriptors cannot be had. Sends WORKER_READY first.
 */
int resolver_main(int channel);

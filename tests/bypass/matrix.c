/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every way to reach an address, to every kind of address, over IPv4 and IPv6. What a way may reach
 * is what any other may: the table says it once.
 */
#include "rows.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Of targets: nothing answers there outside; by every way, in a cross too */
#define NOT_OUTSIDE (1u << 0)
#define ALWAYS	    (1u << 1)

/* Of ways */
#define UDP	   (1u << 0)
#define ONLY_IPV4  (1u << 1)
#define ONLY_IPV6  (1u << 2)
#define PREVIOUS   (1u << 3) /* takes an admitted address and port as well */
#define BARE	   (1u << 4) /* seccomp has none of it in a sandbox */
#define SILENT	   (1u << 5) /* nobody answers */
#define POLLED	   (1u << 6) /* BPF-LSM denies the thread that polls */
#define EVERYWHERE (1u << 7) /* to every address, in a cross too */

static const struct way {
	const char *name, *act;
	unsigned int flags;
	int never; /* this errno, whatever the address */
} ways[] = {
	{"connect", "tcp", EVERYWHERE, 0},
	{"connect without waiting", "nonblocking", 0, 0},
	{"MSG_FASTOPEN", "fastopen", 0, 0},
	{"TCP_FASTOPEN_CONNECT", "fastopen-connect", 0, 0},
	{"AF_UNSPEC, then connect", "reconnect", PREVIOUS, 0},
	{"v4-mapped connect", "mapped", ONLY_IPV4, 0},
	{"connect with a traffic class", "flow", ONLY_IPV6, 0},
	{"MPTCP", "mptcp", 0, EPERM},
	{"io_uring", "uring", 0, ENOSYS},
	{"io_uring on a worker", "uring-async", 0, ENOSYS},
	{"io_uring by its own thread", "uring-sqpoll", 0, ENOSYS},
	{"io_uring, no filter", "uring", BARE, 0},
	{"io_uring on a worker, no filter", "uring-async", BARE, 0},
	{"io_uring by its own thread, no filter", "uring-sqpoll", BARE | POLLED, 0},
	{"connected UDP", "connected", UDP, 0},
	{"sendto", "sendto", UDP | EVERYWHERE, 0},
	{"v4-mapped sendto", "sendto-mapped", UDP | ONLY_IPV4, 0},
	{"sendto with AF_UNSPEC", "sendto-unspecified", UDP | ONLY_IPV4, 0},
	{"sendmsg", "sendmsg", UDP, 0},
	{"sendmmsg", "sendmmsg", UDP, 0},
	{"sendto past connect", "connected-elsewhere", UDP | PREVIOUS | SILENT, 0},
	{"UDP: AF_UNSPEC, then connect", "udp-reconnect", UDP | PREVIOUS, 0},
	{"io_uring sendmsg, no filter", "uring-sendmsg", UDP | BARE, 0},
};

static const struct target {
	const char *name, *program;
	const char *ipv4, *ipv6; /* NULL: none of that family */
	const char *port;
	int wanted;
	const char *at4, *at6; /* where it arrives; NULL: as asked, or nowhere */
	unsigned int flags;    /* NOT_OUTSIDE, ALWAYS */
} targets[] = {
	{"an admitted address", "admitted", "10.77.0.2", "fd77::2", "8000", 0, NULL, NULL, ALWAYS},
	{"another port", "admitted", "10.77.0.2", "fd77::2", "8001", EPERM, NULL, NULL, 0},
	{"another address", "admitted", "11.22.33.9", "2600:77::9", "8000", EPERM, NULL, NULL,
	 ALWAYS},
	{"another binary", "other", "10.77.0.2", "fd77::2", "8000", EPERM, NULL, NULL, 0},
	{"another binary's", "admitted", "10.77.0.3", "fd77::3", "8000", EPERM, NULL, NULL, 0},
	{"metadata", "admitted", "169.254.169.254", "fd00:ec2::254", "8000", EPERM, NULL, NULL, 0},
	{"the host's loopback", "admitted", "127.0.0.1", "::1", "8100", EPERM, NULL, NULL, 0},
	{"no address", "admitted", "0.0.0.0", "::", "8100", EPERM, NULL, NULL, NOT_OUTSIDE},
	{"NAT64 of metadata", "admitted", NULL, "64:ff9b::a9fe:a9fe", "8000", EPERM, NULL, NULL, 0},
	{"6to4 of loopback", "admitted", NULL, "2002:7f00:1::1", "8000", EPERM, NULL, NULL, 0},
	{"link-local", "admitted", NULL, "fe80::77%{interface}", "8000", EPERM, NULL, NULL, 0},
	{"DoT at a public resolver", "admitted", "8.8.8.8", "2001:4860:4860::8888", "853", EPERM,
	 NULL, NULL, 0},
	{"DoH at a public resolver", "admitted", "8.8.8.8", "2001:4860:4860::8888", "443", EPERM,
	 NULL, NULL, 0},
	{"multicast DNS", "admitted", "224.0.0.251", "ff02::fb", "5353", EPERM, NULL, NULL,
	 NOT_OUTSIDE},
	{"an admitted name", "admitted", "{allowed4}", "{allowed6}", "8000", 0, "11.22.33.1",
	 "2600:77::1", ALWAYS},
	{"an admitted name's second port", "admitted", "{second4}", "{second6}", "443", 0,
	 "11.22.33.2", "2600:77::2", 0},
	{"an admitted name's other port", "admitted", "{allowed4}", "{allowed6}", "8001", EPERM,
	 NULL, NULL, 0},
	{"another name's port", "admitted", "{allowed4}", "{allowed6}", "443", EPERM, NULL, NULL,
	 0},
	{"the name's real address", "admitted", "11.22.33.1", "2600:77::1", "8000", EPERM, NULL,
	 NULL, 0},
	{"a name by another binary", "other", "{allowed4}", "{allowed6}", "8000", EPERM, NULL, NULL,
	 0},
	{"another binary's name", "admitted", "{parent4}", NULL, "8000", EPERM, NULL, NULL, 0},
	{"a synthetic address of nobody's", "admitted", "198.19.255.254",
	 "fd6f:7065:6e73:6865::1:fffe", "8000", EPERM, NULL, NULL, 0},
};

static void run_one(const struct way *way, const struct target *target, bool ipv6)
{
	const char *address = ipv6 ? target->ipv6 : target->ipv4;
	const char *at = ipv6 ? target->at6 : target->at4;
	char name[160], act[400], outside[400], where[80];
	struct row row = {.name = name, .act = act, .who = WHO_AGENT, .wanted = target->wanted};
	const char *previous = !(way->flags & PREVIOUS) ? ""
			       : ipv6			? " fd77::2 8000"
							: " 10.77.0.2 8000";

	if (address && address[0] == '{' && !names_known())
		return;
	if (!address || (way->flags & (ipv6 ? ONLY_IPV4 : ONLY_IPV6)))
		return;
	/* What a binary may not do at all it cannot do first. */
	if ((way->flags & PREVIOUS) && strcmp(target->program, "admitted"))
		return;
	snprintf(name, sizeof(name), "%s to %s, IPv%c", way->name, target->name, ipv6 ? '6' : '4');
	snprintf(act, sizeof(act), "%s %s %s %s%s", target->program, way->act, address,
		 target->port, previous);
	snprintf(where, sizeof(where), ipv6 ? "at=[%s]:%s" : "at=%s:%s", at ? at : address,
		 target->port);
	if (way->flags & BARE)
		row.who = WHO_BARE;
	if ((way->flags & POLLED) && stage_has_lsm()) {
		row.wanted = EPERM;
		row.hooks = HOOK(URING_SQPOLL);
	} else if (way->never) {
		row.wanted = way->never;
		row.hooks = way->never == EPERM ? HOOK(SOCK_CREATE) : 0;
	} else if (target->wanted) {
		row.hooks = HOOKS_CONNECT | HOOKS_SENDMSG;
	} else if (!(way->flags & SILENT)) {
		row.says = where;
	}
	if (at) {
		/* Outside it is reached where it really is. */
		snprintf(outside, sizeof(outside), "%s %s %s %s%s", target->program, way->act, at,
			 target->port, previous);
		row.outside = outside;
	}
	if (target->flags & NOT_OUTSIDE)
		row.flags |= ROW_NOT_OUTSIDE;
	else if (!strchr(address, '%') && !(way->flags & SILENT))
		row.outside_says = where;
	if (way->flags & PREVIOUS)
		row.flags |= ROW_SENDS;
	/* Kernels without MPTCP or io_uring. */
	if (way->never || (way->flags & BARE))
		row.flags |= ROW_OPTIONAL;
	row_run(&row);
}

void matrix_run(bool cross)
{
	for (size_t w = 0; w < ARRAY_LEN(ways); w++)
		for (size_t t = 0; t < ARRAY_LEN(targets); t++) {
			if (cross && !(targets[t].flags & ALWAYS) && !(ways[w].flags & EVERYWHERE))
				continue;
			run_one(&ways[w], &targets[t], false);
			run_one(&ways[w], &targets[t], true);
		}
}

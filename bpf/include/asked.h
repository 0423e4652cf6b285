/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What else a UDP socket was told. os_sock has the last destination; a socket that sends to several
 * names in turn gets answers from all of them, goes on with the address that each name had first,
 * and is judged anew by what was asked for. The oldest are forgotten, which denies. It lives and
 * ends with its socket, so that no sandbox can crowd out another one's.
 *
 * Pure functions over plain data; out of line where the verifier would walk a loop for each caller.
 */
#pragma once

#include "address.h"

#define ASKED_MAX 16 /* power of two: positions are masked with it */

struct asked_entry {
	__u8 real[16];
	__u8 asked[16];
	__u16 real_port;  /* host order; 0 = unused */
	__u16 asked_port; /* 0 = it was not rewritten */
};

struct os_asked {
	__u32 next;
	struct asked_entry entry[ASKED_MAX];
};

struct asked_place {
	struct address address;
	__u16 port; /* host order */
	__u16 pad;
};

int asked_by_real(const struct os_asked *all, const struct asked_place *place);
int asked_by_name(const struct os_asked *all, const struct asked_place *place);
int asked_keep(struct os_asked *all, const struct os_sock *sock);

/* The position of the entry whose real place is @place, or -1. */
__attribute__((weak, noinline)) int asked_by_real(const struct os_asked *all,
						  const struct asked_place *place)
{
	int found = -1;

	if (!all || !place || !place->port)
		return -1;
	for (int i = 0; i < ASKED_MAX; i++)
		if (all->entry[i].real_port == place->port &&
		    address_equal((const struct address *)all->entry[i].real, &place->address))
			found = i;
	return found;
}

/* The position of the entry that was asked for as @place, or -1. */
__attribute__((weak, noinline)) int asked_by_name(const struct os_asked *all,
						  const struct asked_place *place)
{
	int found = -1;

	if (!all || !place || !place->port)
		return -1;
	for (int i = 0; i < ASKED_MAX; i++)
		if (all->entry[i].asked_port == place->port &&
		    address_equal((const struct address *)all->entry[i].asked, &place->address))
			found = i;
	return found;
}

/* Keep what @sock says, which is about to be overwritten. */
__attribute__((weak, noinline)) int asked_keep(struct os_asked *all, const struct os_sock *sock)
{
	struct asked_place place = {};
	int at;

	if (!all || !sock)
		return 0;
	__builtin_memcpy(&place.address, sock->address, sizeof(place.address));
	place.port = sock->port;
	at = asked_by_real(all, &place);
	if (at < 0) {
		if (!sock->asked_port || !sock->port)
			return 0;
		at = all->next++;
	}

	struct asked_entry *entry = &all->entry[at & (ASKED_MAX - 1)];

	__builtin_memcpy(entry->real, sock->address, sizeof(entry->real));
	__builtin_memcpy(entry->asked, sock->asked, sizeof(entry->asked));
	entry->real_port = sock->port;
	entry->asked_port = sock->asked_port;
	return 0;
}

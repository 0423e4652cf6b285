/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stand-ins for the proxies of all slots. Each has a listener where the supervisor would have it; a
 * thread serves them, and asks for every connection whose it is before it answers its first byte.
 * 'x' is answered by 'w'; a digit, which is to be the slot's, by itself.
 */
#pragma once

#include "abi.h"

#include <stdbool.h>
#include <stdint.h>

struct proxies_seen {
	unsigned int accepted; /* connections that said something, or ended */
	unsigned int unknown;  /* of them: nobody is known to be behind them */
	unsigned int wrong;    /* of them: another slot's, by os_proxied or by what they said */
	/* The last byte's: who was behind it when it came, and both ends. */
	struct os_flow flow;
	struct os_flow_key ends;
};

/* Listen, and be known in os_listener. Ends the process on failure. */
void proxies_open(void);
void proxies_close(void);

/* Have os_listener know @slot's, or nobody. */
void proxies_know(uint32_t slot, bool known);

/* Let what comes wait, or not. */
void proxies_pause(bool pause);

/* What was seen of @slot's since the last call. */
struct proxies_seen proxies_seen(uint32_t slot);

/* Where @slot's listens. */
uint16_t proxies_port(uint32_t slot);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections whose content decides, with stand-ins for the proxies of all slots: one listener for
 * each, where the supervisor would have it, and a thread that looks up whose every connection is
 * before it answers 'w'.
 */
#pragma once

/* Every check; slot 1's policy is POLICY_FULL before and after. */
void redirect_check(int scope);

/* Start the stand-ins alone, for figures. */
void redirect_open(void);

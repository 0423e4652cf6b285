/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/interrupt.h"

#include "common/cleanup.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

static const int held[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static void change(int how)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(held); i++)
		sigaddset(&set, held[i]);
	sigprocmask(how, &set, NULL);
}

void interrupt_hold(void)
{
	change(SIG_BLOCK);
}

void interrupt_release(void)
{
	change(SIG_UNBLOCK);
}

int interrupt_check(struct error *err)
{
	sigset_t waiting;

	if (sigpending(&waiting))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(held); i++)
		if (sigismember(&waiting, held[i]))
			return error_set(err, -EINTR, "interrupted by %s; nothing was started",
					 strsignal(held[i]));
	return 0;
}

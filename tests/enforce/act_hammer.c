/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens files as fast as it can while somebody switches policies, and counts the answers that are
 * wrong. Counters are in a file that the test maps as well: a verdict in flight is never lost.
 */
#include "act.h"
#include "common/cleanup.h"
#include "hammer.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

static void judge(struct hammer *h, const char *path, int wanted)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int error = fd < 0 ? errno : 0;

	safe_close(fd);
	h->opens++;
	if (error == wanted)
		return;
	h->wrong++;
	h->error = error;
	snprintf(h->path, sizeof(h->path), "%s", path);
}

/* One hammer: until it is told to stop. */
static void __attribute__((noreturn)) hammer(struct hammer *h, char **path)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	__atomic_store_n(&h->running, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&h->stop, __ATOMIC_ACQUIRE)) {
		int flip;

		judge(h, path[0], 0);
		judge(h, path[1], EACCES);
		flip = open(path[2], O_RDONLY | O_CLOEXEC);
		if (flip >= 0)
			h->flips_allowed++;
		else if (errno == EACCES)
			h->flips_denied++;
		else
			h->wrong++;
		safe_close(flip);
	}
	__atomic_store_n(&h->running, 0, __ATOMIC_RELEASE);
	_exit(0);
}

/* Processes of their own; the act ends when they run. arg: counters' file, then the three paths. */
static int do_hammer(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_RDWR | O_CLOEXEC);
	struct hammer *all;

	if (fd < 0)
		return -errno;
	all = mmap(NULL, sizeof(*all) * HAMMERS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (all == MAP_FAILED)
		return -errno;
	for (int i = 0; i < HAMMERS; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return -errno;
		if (pid == 0)
			hammer(&all[i], arg + 1);
	}
	return 0;
}

const struct act acts_hammer[] = {
	{"self_hammer", do_hammer},
	{NULL, NULL},
};

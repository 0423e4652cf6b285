/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens files as fast as it can while somebody switches policies, and counts the answers that are
 * wrong. Counters are in a file that the test maps as well: a verdict in flight is never lost.
 */
#include "act.h"
#include "common/cleanup.h"
#include "hammer.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

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

/* arg: counters' file, index, a file always allowed, one always denied, one that flips. */
static int do_hammer(char **arg)
{
	_cleanup_close_ int fd = open(arg[0], O_RDWR | O_CLOEXEC);
	long index = act_number(arg[1]);
	struct hammer *all, *h;

	if (fd < 0 || index < 0 || index >= HAMMERS)
		return fd < 0 ? -errno : -EINVAL;
	all = mmap(NULL, sizeof(*all) * HAMMERS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (all == MAP_FAILED)
		return -errno;
	h = &all[index];
	__atomic_store_n(&h->running, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&h->stop, __ATOMIC_ACQUIRE)) {
		int flip;

		judge(h, arg[2], 0);
		judge(h, arg[3], EACCES);
		flip = open(arg[4], O_RDONLY | O_CLOEXEC);
		if (flip >= 0)
			h->flips_allowed++;
		else if (errno == EACCES)
			h->flips_denied++;
		else
			h->wrong++;
		safe_close(flip);
	}
	__atomic_store_n(&h->running, 0, __ATOMIC_RELEASE);
	return 0;
}

const struct act acts_hammer[] = {
	{"hammer", do_hammer},
	{NULL, NULL},
};

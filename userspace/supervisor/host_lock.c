/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/host_lock.h"

#include "common/cleanup.h"
#include "supervisor/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#define LOCK_PATH    KERNEL_STATE_DIR "/lock"
#define LOCK_TRIES   3000
#define LOCK_WAIT_NS 10000000 /* 10 ms */

int host_lock(int *ret_fd, struct error *err)
{
	const struct timespec wait = {.tv_nsec = LOCK_WAIT_NS};
	_cleanup_close_ int fd = open(LOCK_PATH, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_set(err, -errno, "cannot open %s: %s", LOCK_PATH, strerror(errno));
	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB); i++) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_set(err, -errno, "cannot lock %s: %s", LOCK_PATH,
					 strerror(errno));
		if (i == LOCK_TRIES)
			return error_set(err, -ETIMEDOUT,
					 "another openshell holds %s for more than 30 s",
					 LOCK_PATH);
		nanosleep(&wait, NULL);
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

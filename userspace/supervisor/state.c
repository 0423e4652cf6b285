/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/state.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME	   "report"
#define REPORT_MAX (1 << 20)

static int write_all(int fd, const uint8_t *data, size_t size)
{
	while (size) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

int state_write(const char *directory, const Openshell__Node__V1__SandboxReport *report)
{
	size_t size = openshell__node__v1__sandbox_report__get_packed_size(report);
	_cleanup_free_ uint8_t *packed = malloc(size + 1);
	_cleanup_close_ int dir = open(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int fd = -1;
	int r;

	if (!packed)
		return -ENOMEM;
	if (dir < 0)
		return -errno;
	openshell__node__v1__sandbox_report__pack(report, packed);
	fd = openat(dir, NAME ".new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, packed, size);
	if (!r && renameat(dir, NAME ".new", dir, NAME))
		r = -errno;
	return r;
}

Openshell__Node__V1__SandboxReport *state_read(const char *directory)
{
	Openshell__Node__V1__SandboxReport *report = NULL;
	_cleanup_close_ int dir = open(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int fd = -1;
	_cleanup_free_ uint8_t *packed = NULL;
	struct stat st;

	if (dir >= 0)
		fd = openat(dir, NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    st.st_size > REPORT_MAX)
		return NULL;
	packed = malloc((size_t)st.st_size);
	if (packed && read(fd, packed, (size_t)st.st_size) == st.st_size)
		report = openshell__node__v1__sandbox_report__unpack(NULL, (size_t)st.st_size,
								     packed);
	return report;
}

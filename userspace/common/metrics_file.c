/* SPDX-License-Identifier: Apache-2.0 */
#include "common/metrics_file.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int check(const char *path, struct error *err)
{
	struct stat st;

	/* Renaming over a device takes the device away. */
	if (!lstat(path, &st) && !S_ISREG(st.st_mode))
		return error_set(err, -EINVAL,
				 "metrics: %s is not a regular file; give a new name, or that of a "
				 "file to replace",
				 path);
	return 0;
}

/* In the same directory, and hidden: a collector takes every file there that ends as @path does. */
static char *temporary_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	int directory = slash ? (int)(slash - path) + 1 : 0;
	char *name = NULL;

	if (asprintf(&name, "%.*s.%s.XXXXXX", directory, path, path + directory) < 0)
		return NULL;
	return name;
}

int metrics_file_write(const char *path, struct metrics *metrics, struct error *err)
{
	_cleanup_free_ char *temporary = temporary_name(path);
	_cleanup_fclose_ FILE *out = NULL;
	int fd, r = check(path, err);

	if (r)
		return r;
	if (!temporary)
		return error_set(err, -ENOMEM, "out of memory");
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return error_set(err, -errno, "metrics: creating a file beside %s: %m", path);
	out = fdopen(fd, "w");
	if (!out) {
		r = -errno;
		close(fd);
		unlink(temporary);
		return error_set(err, r, "metrics: %s", strerror(-r));
	}
	errno = 0;
	metrics_print(metrics, out);
	/* Not synced: after a crash of the host these numbers are nobody's any more. */
	if (fflush(out) || ferror(out) || fchmod(fd, 0644) || rename(temporary, path)) {
		r = errno ? -errno : -EIO;
		unlink(temporary);
		return error_set(err, r, "metrics: writing %s: %s", path, strerror(-r));
	}
	metrics_set_written(metrics);
	return 0;
}

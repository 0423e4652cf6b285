/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/remove_tree.h"

#include <errno.h>
#include <fts.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* FTS_PHYSICAL and FTS_XDEV: links are removed, not followed; other mounts stay. */
int remove_tree(const char *path, struct error *err)
{
	char *const paths[] = {(char *)path, NULL};
	FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_XDEV | FTS_NOSTAT, NULL);
	FTSENT *entry;
	int r = 0;

	if (!tree)
		return error_set(err, -errno, "cannot read %s: %s", path, strerror(errno));
	while ((entry = fts_read(tree))) {
		int failed = 0;

		switch (entry->fts_info) {
		case FTS_D:
			break;
		case FTS_DP:
			failed = rmdir(entry->fts_accpath) ? errno : 0;
			break;
		case FTS_DNR:
		case FTS_ERR:
		case FTS_NS:
			failed = entry->fts_errno;
			break;
		default:
			failed = unlink(entry->fts_accpath) ? errno : 0;
		}
		if (failed && failed != ENOENT && !r)
			r = error_set(err, -failed, "cannot remove %s: %s", entry->fts_path,
				      strerror(failed));
	}
	fts_close(tree);
	return r;
}

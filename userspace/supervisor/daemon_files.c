/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sandboxes' directories. A deleted one is moved aside at once, so that it is gone whatever comes,
 * and emptied by a thread: a sandbox may have millions of files.
 */
#include "supervisor/daemon_internal.h"

#include "common/cleanup.h"
#include "supervisor/remove_tree.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct removal {
	uv_work_t work;
	struct daemon *daemon;
	char path[PATH_MAX];
	struct error err;
};

int daemon_files_make(struct daemon_sandbox *sandbox, struct error *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", sandbox->daemon->sandboxes_dir, sandbox->id);
	if (mkdir(path, 0700) && errno != EEXIST)
		return error_set(err, -errno, "cannot make %s: %s", path, strerror(errno));
	snprintf(path, sizeof(path), "%s/%s/files", sandbox->daemon->sandboxes_dir, sandbox->id);
	if (mkdir(path, 0700) && errno != EEXIST)
		return error_set(err, -errno, "cannot make %s: %s", path, strerror(errno));
	return 0;
}

static void do_remove(uv_work_t *work)
{
	struct removal *removal = work->data;

	(void)remove_tree(removal->path, &removal->daemon->stop_removing, &removal->err);
}

static void removed(uv_work_t *work, int status)
{
	struct removal *removal = work->data;

	removal->daemon->removing--;
	if (removal->err.code)
		fprintf(stderr, "openshell-supervisor: %s\n", removal->err.message);
	free(removal);
}

/* What is not removed now is when the next daemon starts. */
static void remove_later(struct daemon *daemon, const char *name)
{
	struct removal *removal = calloc(1, sizeof(*removal));

	if (!removal)
		return;
	removal->work.data = removal;
	removal->daemon = daemon;
	snprintf(removal->path, sizeof(removal->path), "%s/%s", daemon->trash_dir, name);
	if (uv_queue_work(&daemon->loop, &removal->work, do_remove, removed))
		free(removal);
	else
		daemon->removing++;
}

int daemon_files_remove(struct daemon_sandbox *sandbox, struct error *err)
{
	struct daemon *daemon = sandbox->daemon;
	char from[PATH_MAX], to[PATH_MAX], name[64];

	snprintf(name, sizeof(name), "%s.%u", sandbox->id, ++daemon->next_removal);
	snprintf(from, sizeof(from), "%s/%s", daemon->sandboxes_dir, sandbox->id);
	snprintf(to, sizeof(to), "%s/%s", daemon->trash_dir, name);
	if (rename(from, to))
		return errno == ENOENT ? 0
				       : error_set(err, -errno, "cannot move %s aside: %s", from,
						   strerror(errno));
	remove_later(daemon, name);
	return 0;
}

void daemon_files_sweep(struct daemon *daemon)
{
	_cleanup_closedir_ DIR *dir = opendir(daemon->trash_dir);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		unsigned long n;
		const char *dot = strrchr(entry->d_name, '.');

		if (entry->d_name[0] == '.' || !dot)
			continue;
		n = strtoul(dot + 1, NULL, 10);
		if (n > daemon->next_removal && n < UINT_MAX)
			daemon->next_removal = (unsigned int)n;
		remove_later(daemon, entry->d_name);
	}
}

void daemon_files_stop(struct daemon *daemon)
{
	daemon->stop_removing = true;
	while (daemon->removing)
		uv_run(&daemon->loop, UV_RUN_ONCE);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/file_watch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SETTLE_MS 100 /* writers need several steps */
#define TURNS_MAX 10  /* of SETTLE_MS, in a directory that never rests */

struct file_watch {
	uv_fs_event_t events;
	uv_timer_t settle;
	unsigned int turns; /* that settling was put off */
	const char *path;
	struct stat last; /* st_ino 0: there was no file */
	void (*changed)(void *arg);
	void *arg;
};

struct stat file_watch_look(const char *path)
{
	struct stat now;

	return stat(path, &now) ? (struct stat){} : now;
}

static bool same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       !memcmp(&a->st_mtim, &b->st_mtim, sizeof(a->st_mtim)) &&
	       !memcmp(&a->st_ctim, &b->st_ctim, sizeof(a->st_ctim));
}

static void on_settled(uv_timer_t *handle)
{
	struct file_watch *watch = handle->data;
	struct stat now = file_watch_look(watch->path);

	watch->turns = 0;
	if (same(&now, &watch->last))
		return;
	watch->last = now;
	/* While it is away there is nothing to be read; what is in force stays so. */
	if (now.st_ino)
		watch->changed(watch->arg);
}

/* Whatever happened to which name: links are followed, so another name may be the one. */
static void on_event(uv_fs_event_t *handle, const char *name, int events, int status)
{
	struct file_watch *watch = handle->data;

	if (++watch->turns <= TURNS_MAX)
		uv_timer_start(&watch->settle, on_settled, SETTLE_MS, 0);
}

static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static int start(struct file_watch *watch, uv_loop_t *loop)
{
	char *directory = directory_of(watch->path);
	int r = directory ? uv_timer_init(loop, &watch->settle) : UV_ENOMEM;

	watch->settle.data = watch->events.data = watch;
	if (!r)
		r = uv_fs_event_init(loop, &watch->events);
	if (!r)
		r = uv_fs_event_start(&watch->events, on_event, directory, 0);
	free(directory);
	return r;
}

int file_watch_start(uv_loop_t *loop, const char *path, const struct stat *read,
		     void (*changed)(void *arg), void *arg, struct file_watch **watch,
		     struct error *err)
{
	struct file_watch *new = calloc(1, sizeof(*new));
	int r;

	if (!new)
		return error_set(err, -ENOMEM, "out of memory");
	new->path = path;
	new->changed = changed;
	new->arg = arg;
	*watch = new;
	new->last = *read;
	r = start(new, loop);
	/* It may have changed before anybody watched. */
	if (!r)
		r = uv_timer_start(&new->settle, on_settled, SETTLE_MS, 0);
	return r ? error_set(err, r, "cannot watch %s: %s", path, uv_strerror(r)) : 0;
}

void file_watch_free(struct file_watch *watch)
{
	free(watch);
}

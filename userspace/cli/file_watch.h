/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells when a file became another one: written to, or replaced by a rename, of itself or of a link
 * on its way that lies in the same directory. It may vanish and come back. In the caller's uv loop;
 * one thread. Only tells: what the file holds is the caller's to judge.
 */
#pragma once

#include "common/error.h"

#include <sys/stat.h>
#include <uv.h>

struct file_watch;

/* What a file is now. To be taken before it is read: a change from then on is told. */
struct stat file_watch_look(const char *path);

/*
 * @changed is called from @loop, some 100 ms after the last of several changes. Borrows @path.
 * @read: what the file was when it was last read, which may have been a while ago.
 * *watch is set on failure too, because the loop may have handles of it: close all of the loop's,
 * and then free it.
 */
int file_watch_start(uv_loop_t *loop, const char *path, const struct stat *read,
		     void (*changed)(void *arg), void *arg, struct file_watch **watch,
		     struct error *err);
void file_watch_free(struct file_watch *watch);

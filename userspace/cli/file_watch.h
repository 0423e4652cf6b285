/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells when a file became another one: written to, or replaced by a rename, of itself or of a link
 * on its way that lies in the same directory. It may vanish and come back. In the caller's uv loop;
 * one thread. Only tells: what the file holds is the caller's to judge.
 */
#pragma once

#include "common/error.h"

#include <uv.h>

struct file_watch;

/*
 * @changed is called from @loop, some 100 ms after the last of several changes. Borrows @path.
 * *watch is set on failure too, because the loop may have handles of it: close all of the loop's,
 * and then free it.
 */
int file_watch_start(uv_loop_t *loop, const char *path, void (*changed)(void *arg), void *arg,
		     struct file_watch **watch, struct error *err);
void file_watch_free(struct file_watch *watch);

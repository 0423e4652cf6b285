/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caller's own terminal while its keys go to an agent's: raw mode, which is undone on every
 * way out of the process but SIGKILL: return, exit(), and signals that end it. One terminal for a
 * process, and its main thread. Fails open: a terminal that cannot be set stays as it is.
 */
#pragma once

#include <stdbool.h>
#include <sys/ioctl.h>

/* Raw mode for @fd, remembering how it was. A negative errno, -ENOTTY for what is no terminal. */
int terminal_raw(int fd);

/* As it was before terminal_raw(). Idempotent; async-signal-safe. */
void terminal_restore(void);

/* Whether terminal_raw() is in force: lines written to this terminal then need a carriage return.
 */
bool terminal_is_raw(void);

/* Stop this process as SIGTSTP would, with the terminal as it was while it is stopped. */
void terminal_suspend(void);

/* Size of the first of stdin, stdout and stderr that is a terminal. -ENOTTY: none is. */
int terminal_size(struct winsize *ret_size);

/*
 * A new pseudo-terminal with the caller's settings and size, if there are any to take. The master
 * does not block; neither side becomes this process's controlling terminal. @ret_path: the slave's
 * device node.
 */
int terminal_open_pty(int *ret_master, int *ret_slave, char ret_path[static 64]);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acts that an enforcement test tries: each is one thing that an agent may attempt, by name, with
 * words as arguments. The same program does them inside a sandbox, in its cgroup without a system
 * call filter, and outside. An act returns 0 or a negative errno and is done in a process of its
 * own, so it may leave things open. One thread; fails by answering the errno, never by stopping.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define ACT_ARGS_MAX 8

/* @arg: ACT_ARGS_MAX words, NULL where there is none. */
struct act {
	const char *name;
	int (*call)(char **arg);
};

/* Each ends with a NULL name. */
extern const struct act acts_file[], acts_name[], acts_exec[], acts_process[], acts_socket[],
	acts_system[], acts_uring[], acts_hammer[];

/* No descriptor came with a message: what a receiver sees of file_receive's denial. */
#define ACT_NOT_RECEIVED (-ENODATA)

/* A program started and was ended by its own dynamic loader, or by a signal. */
#define ACT_NOT_STARTED (-ELIBACC)
#define ACT_KILLED	(-EOWNERDEAD)

/* 0 for what did not fail, else -errno. */
int act_result(long r);

/*
 * Start a program, by execve() or, if @fd is not negative, by execveat() on it. 0 if it ran and
 * ended with status 0; the errno of the exec; ACT_NOT_STARTED.
 */
int act_spawn(int fd, const char *path, char *const argv[]);

/* A connected or listening unix socket; *ret_fd is the caller's. */
int act_unix(int type, const char *path, bool abstract, bool serve, int *ret_fd);

/* Send or receive one descriptor. */
int act_send_fd(int socket, int fd);
int act_receive_fd(int socket, int *ret_fd);

/* A decimal number. Not a number is -1. */
long act_number(const char *text);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent of the bypass suite: each act is one way in which an agent may try to reach an address.
 * The same program does them inside a sandbox, in its cgroup without a system call filter, and
 * outside. An act returns 0 or a negative errno, and says what it saw; it is done in a process of
 * its own, so it may leave things open.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define ACT_ARGS_MAX 14
#define ACT_TEXT_MAX 1024

/* @arg: ACT_ARGS_MAX words, NULL where there is none. */
struct act {
	const char *name;
	int (*call)(char **arg);
};

/* Each ends with a NULL name. */
extern const struct act acts_connect[], acts_datagram[], acts_socket[], acts_uring[], acts_pass[],
	acts_dns[], acts_identity[], acts_listen[];

/* Another process of this act answers: nothing more is said here. */
#define ACT_ELSEWHERE 1

/* Add to what the act says, with a space between. */
void act_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* -errno of a call that returned @r, 0 if it did not fail. */
int act_result(long r);

/* A number; not a number ends the act. */
int act_number(const char *text);

/*
 * An address in text, with `%INTERFACE` for a scope, and a port. @family AF_INET6 makes an IPv4
 * address v4-mapped, 0 takes the text's own.
 */
socklen_t act_address(const char *address, const char *port, struct sockaddr_storage *ret_address);

/* The text of an address and its port, in a static buffer. */
const char *act_address_text(const struct sockaddr_storage *address);

/* A socket whose calls give up after a second; negative errno. */
int act_socket(int family, int type);

/* Ask the server at the other end where it was reached, and say what it answers. */
int act_where(int fd);

/* Say what getpeername() and getsockname() tell. */
void act_say_ends(int fd);

/* Send or receive one descriptor over a unix socket. */
int act_send_fd(int socket, int fd);
int act_receive_fd(int socket, int *ret_fd);

/* A unix stream socket at @path: listening, or connected within two seconds. */
int act_unix(const char *path, bool serve, int *ret_fd);

/* The path of a program beside this one, unless @name has a slash; in one of two static buffers. */
const char *act_beside(const char *name);

/* Become @argv[0] by act_beside(). Returns only if that failed. */
int act_execute(char **argv);

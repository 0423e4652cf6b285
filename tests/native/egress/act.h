/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent program's files share. An act takes its own name and arguments, and ends the
 * process after it has reported.
 */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#define REPORT_FD 3 /* errnos go here, as ints */
#define GO_FD	  4 /* a byte comes from here */

/* Add errno @error, 0 = it worked, to what the test reads. */
void report(int error);
_Noreturn void finish(int error);

/* A number of the command line; anything else ends the act. */
int number(const char *text);

/* An address with an optional numeric scope, and a port; its length. */
socklen_t parse_address(const char *address, const char *port,
			struct sockaddr_storage *ret_address);

/* Send a byte and get it back: the errno, EAGAIN if nothing came within the time limit. */
int echo(int fd);

void act_own(char **argv);
void act_own_udp(char **argv);
void act_listen(char **argv);
void act_astray(char **argv);
void act_spoof(char **argv);
void act_pass(char **argv);
void act_share(char **argv);
void act_rounds(char **argv);

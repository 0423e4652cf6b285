/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library that an agent has loaded into a program that a rule names: it does the program's act
 * itself, and says that it did.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* argv is `PROGRAM ACT ADDRESS PORT`; glibc hands it to constructors. */
__attribute__((constructor)) static void be_loaded(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	int fd;

	if (!getenv("BYPASS_PRELOAD") || argc < 4)
		return;
	to.sin_port = htons((uint16_t)strtol(argv[3], NULL, 10));
	if (inet_pton(AF_INET, argv[2], &to.sin_addr) != 1)
		return;
	fd = socket(AF_INET, SOCK_STREAM, 0);
	printf("%d by-library\n", connect(fd, (struct sockaddr *)&to, sizeof(to)) ? errno : 0);
	fflush(stdout);
	_exit(0);
}

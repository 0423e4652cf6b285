/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent of the identity test, and everything that it executes: one small program under many
 * names. As "agent" it takes commands, a line each, and answers each with a number.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORDS 16

/* A connected socket, or a negative errno. */
static int open_to(const char *address, const char *port, int type)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6,
				   .sin6_port = htons((uint16_t)strtoul(port, NULL, 10))};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = six.sin6_port};
	int ipv4 = inet_pton(AF_INET, address, &four.sin_addr) == 1;
	int fd = socket(ipv4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (!ipv4 && inet_pton(AF_INET6, address, &six.sin6_addr) != 1)
		return -EINVAL;
	if (!connect(fd, ipv4 ? (struct sockaddr *)&four : (struct sockaddr *)&six,
		     ipv4 ? sizeof(four) : sizeof(six)))
		return fd;
	close(fd);
	return -errno;
}

/* One byte there and back: 0 or an errno. */
static int echo(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	char byte = 'x';

	if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1)
		return errno;
	if (poll(&wait, 1, 3000) != 1)
		return ETIMEDOUT;
	switch (recv(fd, &byte, 1, 0)) {
	case 1:
		return 0;
	case 0:
		return EPIPE;
	default:
		return errno;
	}
}

static int connect_once(char **word)
{
	int fd = open_to(word[0], word[1], SOCK_STREAM);

	return fd < 0 ? -fd : echo(fd);
}

static int status_of(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 255;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static pid_t start(char **word)
{
	pid_t pid = fork();

	if (!pid) {
		execv(word[0], word);
		_exit(errno == ETXTBSY ? 254 : 253);
	}
	return pid;
}

/* The middle process has ended before the grandchild executes anything. */
static int orphan(char **word)
{
	int report[2], status = 255;
	pid_t pid;

	if (pipe(report))
		return 255;
	pid = fork();
	if (!pid) {
		pid_t middle = getpid();

		if (fork())
			_exit(0);
		while (getppid() == middle)
			usleep(1000);
		status = status_of(start(word));
		if (write(report[1], &status, sizeof(status)) < 0)
			_exit(1);
		_exit(0);
	}
	close(report[1]);
	status_of(pid);
	if (read(report[0], &status, sizeof(status)) != sizeof(status))
		return 255;
	return status;
}

/* Executed as PATH and then as another: what was replaced is no ancestor. */
static int instead(char **word)
{
	execv(word[0], word);
	return 253;
}

static int split(char *line, char *word[WORDS + 1])
{
	int n = 0;

	for (char *at = strtok_r(line, " \n", &line); at && n < WORDS;
	     at = strtok_r(NULL, " \n", &line))
		word[n++] = at;
	word[n] = NULL;
	return n;
}

static int command(char **word, int n)
{
	if (n > 1 && !strcmp(word[0], "run"))
		return status_of(start(word + 1));
	if (n > 1 && !strcmp(word[0], "start"))
		return start(word + 1);
	if (n > 2 && !strcmp(word[0], "open"))
		return open_to(word[1], word[2], SOCK_STREAM);
	if (n > 2 && !strcmp(word[0], "open-udp"))
		return open_to(word[1], word[2], SOCK_DGRAM);
	if (n > 1 && !strcmp(word[0], "echo"))
		return echo((int)strtol(word[1], NULL, 10));
	if (n > 1 && !strcmp(word[0], "exe-file")) {
		/* PR_SET_MM_EXE_FILE with a descriptor of our own */
		return prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, 0, 0, 0) ? errno : 0;
	}
	return -ENOSYS;
}

int main(int argc, char **argv)
{
	char line[1024], *word[WORDS + 1];

	if (argc > 3 && !strcmp(argv[1], "connect"))
		return connect_once(argv + 2);
	if (argc > 2 && !strcmp(argv[1], "child"))
		return status_of(start(argv + 2));
	if (argc > 2 && !strcmp(argv[1], "orphan"))
		return orphan(argv + 2);
	if (argc > 2 && !strcmp(argv[1], "instead"))
		return instead(argv + 2);
	if (argc > 1 && !strcmp(argv[1], "sleep")) {
		pause();
		return 0;
	}
	if (argc < 2 || strcmp(argv[1], "agent"))
		return 2;
	while (fgets(line, sizeof(line), stdin)) {
		printf("%d\n", command(word, split(line, word)));
		fflush(stdout);
	}
	return 0;
}

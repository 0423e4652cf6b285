/* SPDX-License-Identifier: Apache-2.0 */
/* What acts, and the test that watches them, have in common. */
#include "act.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

int act_result(long r)
{
	return r < 0 ? -errno : 0;
}

long act_number(const char *text)
{
	char *end;
	long n;

	if (!text || !*text)
		return -1;
	n = strtol(text, &end, 0);
	return *end ? -1 : n;
}

int act_spawn(int fd, const char *path, char *const argv[])
{
	int report[2], status, error = 0;
	char *empty[] = {NULL};
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		/* What the program has to say is not an answer of ours. */
		close(STDOUT_FILENO);
		close(STDERR_FILENO);
		if (fd >= 0)
			execveat(fd, path, argv, empty, path[0] ? 0 : AT_EMPTY_PATH);
		else
			execve(path, argv, empty);
		error = errno;
		_exit(write(report[1], &error, sizeof(error)) == sizeof(error) ? 1 : 2);
	}
	close(report[1]);
	if (read(report[0], &error, sizeof(error)) != sizeof(error))
		error = 0;
	close(report[0]);
	while (waitpid(pid, &status, 0) < 0)
		;
	if (error)
		return -error;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : ACT_NOT_STARTED;
}

int act_unix(int type, const char *path, bool abstract, bool serve, int *ret_fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(address);
	int r;

	if (fd < 0)
		return -errno;
	if (strlen(path) + abstract >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path + abstract, path, strlen(path));
	if (abstract)
		len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(path));
	if (serve)
		r = bind(fd, (struct sockaddr *)&address, len);
	else
		r = connect(fd, (struct sockaddr *)&address, len);
	if (r == 0 && serve && type != SOCK_DGRAM)
		r = listen(fd, 16);
	if (r < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int act_send_fd(int socket, int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec iov = {(char[]){0}, 1};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	return act_result(sendmsg(socket, &message, MSG_NOSIGNAL));
}

int act_receive_fd(int socket, int *ret_fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c;

	if (n <= 0)
		return n < 0 ? -errno : -ECONNRESET;
	c = CMSG_FIRSTHDR(&message);
	if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
		return ACT_NOT_RECEIVED;
	memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acts on files that an enforcement test tries, one function each. All return 0 or a negative
 * errno, so that a test can name the exact one. Included by one program each; no state.
 */
#pragma once

#include "common/cleanup.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#define USER 65534

enum fixture { NOTHING, A_FILE, A_DIRECTORY, A_LINK, A_SOCKET, A_PROGRAM };

/* Acts return 0 or a negative errno. @path is in the zone, @rw a free name in the rw zone. */
struct act {
	const char *name;
	enum fixture fixture;
	int (*call)(const char *path, const char *rw);
};

static int result(long r)
{
	return r < 0 ? -errno : 0;
}

static int open_close(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int act_read(const char *path, const char *rw)
{
	return open_close(path, O_RDONLY);
}

static int act_write(const char *path, const char *rw)
{
	return open_close(path, O_WRONLY);
}

static int act_create(const char *path, const char *rw)
{
	return open_close(path, O_WRONLY | O_CREAT | O_EXCL);
}

static int act_opath(const char *path, const char *rw)
{
	return open_close(path, O_PATH);
}

static int act_stat(const char *path, const char *rw)
{
	struct stat st;

	return result(stat(path, &st));
}

static int act_readlink(const char *path, const char *rw)
{
	char text[64];

	return result(readlink(path, text, sizeof(text)));
}

static int act_chdir(const char *path, const char *rw)
{
	int r = result(chdir(path));

	return chdir("/") < 0 ? -errno : r;
}

static int act_truncate(const char *path, const char *rw)
{
	return result(truncate(path, 1));
}

static int act_unlink(const char *path, const char *rw)
{
	return result(unlink(path));
}

static int act_rename(const char *path, const char *rw)
{
	char to[512];

	snprintf(to, sizeof(to), "%s.new", path);
	return result(rename(path, to));
}

static int act_rename_into_rw(const char *path, const char *rw)
{
	return result(rename(path, rw));
}

static int act_link_into_rw(const char *path, const char *rw)
{
	return result(link(path, rw));
}

static int act_symlink(const char *path, const char *rw)
{
	return result(symlink("anything", path));
}

static int act_mkdir(const char *path, const char *rw)
{
	return result(mkdir(path, 0755));
}

static int act_rmdir(const char *path, const char *rw)
{
	return result(rmdir(path));
}

static int act_mkfifo(const char *path, const char *rw)
{
	return result(mknod(path, S_IFIFO | 0644, 0));
}

static int act_chmod(const char *path, const char *rw)
{
	return result(chmod(path, 0600));
}

static int act_chown(const char *path, const char *rw)
{
	return result(chown(path, USER, USER));
}

static int act_utimes(const char *path, const char *rw)
{
	return result(utimes(path, NULL));
}

static int act_setxattr(const char *path, const char *rw)
{
	return result(setxattr(path, "user.test", "1", 1, 0));
}

static socklen_t unix_address(const char *path, bool abstract, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(address->sun_path + abstract, sizeof(address->sun_path) - abstract, "%.100s",
		 path);
	return abstract ? (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(path))
			: (socklen_t)sizeof(*address);
}

static int unix_connect(int fd, const char *path)
{
	struct sockaddr_un address;
	socklen_t len = unix_address(path, false, &address);

	return result(connect(fd, (struct sockaddr *)&address, len));
}

/* The descriptor of a server, or 0 for a client that could connect. */
static int unix_act(const char *path, bool abstract, bool serve)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	socklen_t len = unix_address(path, abstract, &address);

	if (fd < 0)
		return -errno;
	if (!serve)
		return result(connect(fd, (struct sockaddr *)&address, len));
	if (bind(fd, (struct sockaddr *)&address, len) < 0)
		return -errno;
	if (listen(fd, 8) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int act_bind(const char *path, const char *rw)
{
	int fd = unix_act(path, false, true);

	safe_close(fd);
	return fd < 0 ? fd : 0;
}

static int act_connect(const char *path, const char *rw)
{
	return unix_act(path, false, false);
}

static int spawn(char *const argv[])
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		execv(argv[0], argv);
		_exit(errno);
	}
	while (waitpid(pid, &status, 0) < 0)
		;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECANCELED;
}

static int act_exec(const char *path, const char *rw)
{
	char *argv[] = {(char *)path, NULL};

	return spawn(argv);
}

static int act_map_exec(const char *path, const char *rw)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *p;

	if (fd < 0)
		return -errno;
	p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	munmap(p, 4096);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/selftest.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void __attribute__((noreturn)) child(int report_fd)
{
	struct selftest_result result = {};
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	result.open_error = fd < 0 ? errno : 0;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	result.socket_error = fd < 0 ? errno : 0;
	_exit(write(report_fd, &result, sizeof(result)) == sizeof(result) ? 0 : 1);
}

int selftest_run(int agents_fd, struct selftest_result *ret_result, struct error *err)
{
	struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD};
	_cleanup_close_ int cgroup = -1, in = -1, out = -1;
	struct selftest_result result;
	int pipe_fd[2], status, r = 0;
	char name[64];
	pid_t pid;
	ssize_t n;

	snprintf(name, sizeof(name), "selftest-%d", getpid());
	if (mkdirat(agents_fd, name, 0755) && errno != EEXIST)
		return error_set(err, -errno, "cannot make a cgroup for the self-test: %s",
				 strerror(errno));
	cgroup = openat(agents_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cgroup < 0 || pipe2(pipe_fd, O_CLOEXEC)) {
		r = error_set(err, -errno, "cannot set up the self-test: %s", strerror(errno));
		goto out;
	}
	in = pipe_fd[0];
	out = pipe_fd[1];
	args.cgroup = (unsigned)cgroup;
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		child(out);
	if (pid < 0) {
		r = error_set(err, -errno, "cannot start the self-test: %s", strerror(errno));
		goto out;
	}
	out = safe_close(out);
	n = read(in, &result, sizeof(result));
	waitpid(pid, &status, 0);
	if (n != sizeof(result))
		r = error_set(err, -EIO, "the self-test ended without an answer");
	else
		*ret_result = result;
out:
	unlinkat(agents_fd, name, AT_REMOVEDIR);
	return r;
}

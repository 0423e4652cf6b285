/* SPDX-License-Identifier: Apache-2.0 */
/* Keepers as processes: started with a listening socket, found again by it. */
#include "supervisor/daemon_internal.h"
#include "supervisor/keeper.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static int address_of(const struct daemon_sandbox *sandbox, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (snprintf(address->sun_path, sizeof(address->sun_path), "%s/%s",
		     sandbox->daemon->keepers_dir, sandbox->id) >= (int)sizeof(address->sun_path))
		return -ENAMETOOLONG;
	return 0;
}

int keeper_connect(struct daemon_sandbox *sandbox)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	int r = fd < 0 ? -errno : address_of(sandbox, &address);

	if (!r && connect(fd, (struct sockaddr *)&address, sizeof(address)))
		r = -errno;
	if (r)
		return r;
	return daemon_keeper_link(sandbox, TAKE_FD(fd));
}

static int listen_for(struct daemon_sandbox *sandbox, int *ret_fd)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	int r = fd < 0 ? -errno : address_of(sandbox, &address);

	if (r)
		return r;
	unlink(address.sun_path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    chmod(address.sun_path, 0600) || listen(fd, 4))
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

void keeper_forget(struct daemon_sandbox *sandbox)
{
	struct sockaddr_un address;

	if (!address_of(sandbox, &address))
		unlink(address.sun_path);
}

static void process_closed(uv_handle_t *handle)
{
	free(handle);
}

/* Its link ends first or last: whichever comes, the sandbox hears of the link's end alone. */
static void on_exit_of_keeper(uv_process_t *process, int64_t status, int signal_number)
{
	struct daemon_sandbox *sandbox = process->data;

	if (sandbox && sandbox->process == process)
		sandbox->process = NULL;
	if (status || signal_number)
		fprintf(stderr, "openshell-supervisor: keeper %d ended by %s %d\n", process->pid,
			signal_number ? "signal" : "status",
			signal_number ? signal_number : (int)status);
	uv_close((uv_handle_t *)process, process_closed);
}

int keeper_spawn(struct daemon_sandbox *sandbox, struct error *err)
{
	char directory[PATH_MAX];
	char *args[] = {(char *)"openshell-supervisor", (char *)"--keeper", sandbox->id, directory,
			NULL};
	_cleanup_close_ int fd = -1;
	uv_stdio_container_t stdio[4] = {
		{.flags = UV_IGNORE},
		{.flags = UV_IGNORE},
		{.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
		{.flags = UV_INHERIT_FD},
	};
	uv_process_options_t options = {
		.file = "/proc/self/exe",
		.args = args,
		.exit_cb = on_exit_of_keeper,
		.stdio = stdio,
		.stdio_count = 4,
		.flags = UV_PROCESS_DETACHED,
	};
	int r = listen_for(sandbox, &fd);

	if (r)
		return error_set(err, r, "cannot make the keeper's socket: %s", strerror(-r));
	snprintf(directory, sizeof(directory), "%s/%s", sandbox->daemon->sandboxes_dir,
		 sandbox->id);
	stdio[3].data.fd = fd;
	sandbox->process = calloc(1, sizeof(*sandbox->process));
	if (!sandbox->process)
		return error_set(err, -ENOMEM, "out of memory");
	sandbox->process->data = sandbox;
	r = uv_spawn(&sandbox->daemon->loop, sandbox->process, &options);
	if (r) {
		uv_close((uv_handle_t *)TAKE_PTR(sandbox->process), process_closed);
		return error_set(err, r, "cannot start a keeper: %s", uv_strerror(r));
	}
	r = keeper_connect(sandbox);
	return r ? error_set(err, r, "cannot reach the keeper: %s", strerror(-r)) : 0;
}

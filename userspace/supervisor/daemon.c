/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/daemon.h"

#include "common/cleanup.h"
#include "supervisor/daemon_internal.h"
#include "supervisor/host_lock.h"
#include "supervisor/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#define SWEEP_MS     10000
#define LOCK_TRIES   100
#define LOCK_WAIT_US 20000

/* What died without cleaning up. */
static void on_sweep(uv_timer_t *timer)
{
	struct daemon *daemon = timer->data;
	_cleanup_close_ int lock = -1;

	if (!host_lock(&lock, NULL))
		slot_sweep(daemon->kernel);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct daemon *daemon = handle->data;

	daemon->stopping = true;
	uv_stop(&daemon->loop);
}

static int make_directory(const char *path, mode_t mode, struct error *err)
{
	struct stat st;

	if (mkdir(path, mode) && errno != EEXIST)
		return error_set(err, -errno, "cannot make %s: %s", path, strerror(errno));
	if (lstat(path, &st) || !S_ISDIR(st.st_mode) || st.st_uid != 0 || st.st_mode & 022)
		return error_set(err, -EPERM, "%s is not a directory that only root may write",
				 path);
	return 0;
}

static int make_directories(struct daemon *daemon, struct error *err)
{
	const struct daemon_options *o = daemon->options;
	int r = make_directory(o->state_dir, 0711, err);

	snprintf(daemon->sandboxes_dir, sizeof(daemon->sandboxes_dir), "%s/sandboxes",
		 o->state_dir);
	snprintf(daemon->keepers_dir, sizeof(daemon->keepers_dir), "%s/keepers", o->run_dir);
	if (!r)
		r = make_directory(daemon->sandboxes_dir, 0711, err);
	snprintf(daemon->trash_dir, sizeof(daemon->trash_dir), "%s/trash", o->state_dir);
	if (!r)
		r = make_directory(daemon->trash_dir, 0700, err);
	if (!r)
		r = make_directory(o->run_dir, 0755, err);
	return r ? r : make_directory(daemon->keepers_dir, 0700, err);
}

/* Two daemons would start everything twice. */
static int take_lock(struct daemon *daemon, int *ret_lock, struct error *err)
{
	char path[PATH_MAX];
	_cleanup_close_ int fd = -1;
	int r = -1;

	snprintf(path, sizeof(path), "%s/supervisor.lock", daemon->options->state_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_set(err, -errno, "cannot open %s: %s", path, strerror(errno));
	/* One that was killed while it started a keeper: that has the lock until it executes. */
	for (int i = 0; i < LOCK_TRIES && (r = flock(fd, LOCK_EX | LOCK_NB)); i++)
		usleep(LOCK_WAIT_US);
	if (r)
		return error_set(err, -EBUSY,
				 "another openshell-supervisor uses %s: end it, or give another "
				 "--state-dir",
				 daemon->options->state_dir);
	*ret_lock = TAKE_FD(fd);
	return 0;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	/* Keepers are no children to wait for. */
	if (!uv_is_closing(handle) && handle->type != UV_PROCESS)
		uv_close(handle, NULL);
}

static void start_handles(struct daemon *daemon)
{
	uv_timer_init(&daemon->loop, &daemon->retry);
	uv_timer_init(&daemon->loop, &daemon->heartbeat);
	uv_timer_init(&daemon->loop, &daemon->sweep);
	uv_signal_init(&daemon->loop, &daemon->term);
	uv_signal_init(&daemon->loop, &daemon->interrupt);
	daemon->retry.data = daemon->heartbeat.data = daemon->sweep.data = daemon;
	daemon->term.data = daemon->interrupt.data = daemon;
	uv_timer_start(&daemon->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
	uv_signal_start(&daemon->term, on_signal, SIGTERM);
	uv_signal_start(&daemon->interrupt, on_signal, SIGINT);
}

static void free_daemon(struct daemon *daemon)
{
	daemon_files_stop(daemon);
	grpc_client_free(daemon->client);
	daemon_let_go(daemon);
	uv_walk(&daemon->loop, close_handle, NULL);
	uv_run(&daemon->loop, UV_RUN_NOWAIT);
	uv_run(&daemon->loop, UV_RUN_NOWAIT);
	SSL_CTX_free(daemon->tls);
	if (daemon->authorization)
		explicit_bzero(daemon->authorization, strlen(daemon->authorization));
	free(daemon->authorization);
	kernel_close(daemon->kernel);
	free(daemon);
}

int daemon_run(const struct daemon_options *options, struct error *err)
{
	struct daemon *daemon = calloc(1, sizeof(*daemon));
	_cleanup_close_ int lock = -1;
	int r;

	if (!daemon)
		return error_set(err, -ENOMEM, "out of memory");
	daemon->options = options;
	/* Commands of the daemon before may still run: their ends are not those of ours. */
	(void)!getrandom(&daemon->next_command, sizeof(daemon->next_command), 0);
	TAILQ_INIT(&daemon->sandboxes);
	uv_loop_init(&daemon->loop);
	r = make_directories(daemon, err);
	if (!r)
		r = take_lock(daemon, &lock, err);
	if (!r)
		r = kernel_open(&daemon->kernel, err);
	if (!r)
		r = daemon_adopt(daemon, err);
	if (!r)
		r = daemon_attach_new(daemon, err);
	if (!r) {
		start_handles(daemon);
		daemon_files_sweep(daemon);
		fprintf(stderr, "openshell-supervisor: ready, files are held by %s%s\n",
			daemon->kernel->lsm ? "BPF-LSM" : "Landlock: ",
			daemon->kernel->lsm ? "" : daemon->kernel->lsm_reason);
		daemon_attach_start(daemon);
		uv_run(&daemon->loop, UV_RUN_DEFAULT);
	}
	free_daemon(daemon);
	return r;
}

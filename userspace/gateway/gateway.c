/* SPDX-License-Identifier: Apache-2.0 */
/* The parts, made in the order in which they need each other, and unmade in the reverse. */
#include "gateway/gateway.h"

#include "gateway/authority.h"
#include "gateway/config.h"
#include "gateway/gateway_run.h"
#include "gateway/health_http.h"
#include "gateway/journal.h"
#include "gateway/listener.h"
#include "gateway/logs.h"
#include "gateway/nodes.h"
#include "gateway/service_http.h"
#include "gateway/store.h"
#include "gateway/watch.h"
#include "gateway/workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define GRACE_MS 2000

struct running {
	struct gateway gateway;
	uv_loop_t loop;
	uv_signal_t term, interrupt;
	struct listener *listener;
	struct health_http *health;
	int lock;
	bool stopping;
};

/* Two gateways on one database would each keep sessions that the other does not know. */
static int take_lock(struct running *running, struct error *err)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s.lock", running->gateway.config->database);
	running->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (running->lock < 0)
		return error_set(err, -errno, "cannot open %s: %s", path, strerror(errno));
	if (flock(running->lock, LOCK_EX | LOCK_NB))
		return error_set(err, -EBUSY,
				 "another gateway uses the database %s: end it, or give another "
				 "--database",
				 running->gateway.config->database);
	return 0;
}

static int open_store(struct running *running, struct error *err)
{
	const struct store_options options = {
		.path = running->gateway.config->database,
		.key_path = running->gateway.config->key,
	};
	int r = take_lock(running, err);

	if (!r)
		r = store_open(&options, &running->gateway.store, err);
	return r ? r : workspace_init(&running->gateway, err);
}

static int make_parts(struct running *running, struct error *err)
{
	struct gateway *gateway = &running->gateway;
	int r = open_store(running, err);

	if (!r)
		r = authority_new(gateway, &gateway->authority, err);
	if (!r && (log_buffers_new(&gateway->logs) || watchers_new(gateway, &gateway->watchers)))
		r = error_set(err, -ENOMEM, "out of memory");
	if (!r)
		r = nodes_new(gateway, &gateway->nodes, err);
	if (!r && *gateway->config->services)
		r = services_new(gateway, &gateway->services, err);
	if (!r)
		r = listener_new(gateway, &running->listener, err);
	if (!r && *gateway->config->health)
		r = health_http_new(gateway, &running->health, err);
	return r;
}

/* The parts that have handles: the loop lets go of them once more before the rest goes. */
static void close_parts(struct running *running)
{
	struct gateway *gateway = &running->gateway;

	health_http_free(running->health);
	listener_free(running->listener);
	services_free(gateway->services);
	uv_close((uv_handle_t *)&running->term, NULL);
	uv_close((uv_handle_t *)&running->interrupt, NULL);
	/* Calls that end still look at nodes and watchers. */
	while (uv_run(&running->loop, UV_RUN_NOWAIT) && gateway->nodes) {
		nodes_free(gateway->nodes);
		gateway->nodes = NULL;
	}
	nodes_free(gateway->nodes);
	uv_run(&running->loop, UV_RUN_DEFAULT);
	watchers_free(gateway->watchers);
	log_buffers_free(gateway->logs);
	authority_free(gateway->authority);
	store_close(gateway->store);
	if (running->lock >= 0)
		close(running->lock);
	if (uv_loop_close(&running->loop))
		journal(JOURNAL_DEBUG, "something is left on the loop");
}

static void stopped(void *arg)
{
	struct running *running = arg;

	uv_stop(&running->loop);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct running *running = handle->data;

	/* The second one means it. */
	if (running->stopping) {
		uv_stop(&running->loop);
		return;
	}
	running->stopping = true;
	running->gateway.ready = false;
	journal(JOURNAL_INFO, "stopping");
	listener_stop(running->listener, GRACE_MS, stopped, running);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int gateway_run(const struct config *config, struct error *err)
{
	struct running *running = calloc(1, sizeof(*running));
	int r;

	if (!running)
		return error_set(err, -ENOMEM, "out of memory");
	running->lock = -1;
	running->gateway.config = config;
	running->gateway.loop = &running->loop;
	running->gateway.started_ms = now_ms();
	journal_set_level(config->log_level);
	uv_loop_init(&running->loop);
	uv_signal_init(&running->loop, &running->term);
	uv_signal_init(&running->loop, &running->interrupt);
	running->term.data = running->interrupt.data = running;
	r = make_parts(running, err);
	if (!r) {
		uv_signal_start(&running->term, on_signal, SIGTERM);
		uv_signal_start(&running->interrupt, on_signal, SIGINT);
		running->gateway.ready = true;
		listener_tell(running->listener);
		uv_run(&running->loop, UV_RUN_DEFAULT);
		journal(JOURNAL_INFO, "stopped");
	}
	close_parts(running);
	free(running);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/health_http.h"

#include "common/cleanup.h"
#include "common/grpc_server.h"
#include "gateway/config.h"
#include "gateway/listen_address.h"
#include "gateway/nodes.h"
#include "gateway/store.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECTIONS_MAX 64
#define TIMEOUT_S	10
#define TEXT_MAX	8192
#define TICK_MS		1000

struct health_http {
	struct gateway *gateway;
	struct MHD_Daemon *daemon;
	uv_poll_t poll;	  /* of the daemon's epoll descriptor */
	uv_timer_t timer; /* its timeouts */
	int handles;
};

struct text {
	char data[TEXT_MAX];
	size_t size;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *text, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text->data + text->size, sizeof(text->data) - text->size, format, args);
	va_end(args);
	if (n > 0)
		text->size += (size_t)n;
	if (text->size >= sizeof(text->data))
		text->size = sizeof(text->data) - 1;
}

static void metric(struct text *text, const char *name, const char *type, const char *help,
		   unsigned long long value)
{
	add(text, "# HELP openshell_gateway_%s %s\n# TYPE openshell_gateway_%s %s\n", name, help,
	    name, type);
	add(text, "openshell_gateway_%s %llu\n", name, value);
}

static unsigned long long count(struct gateway *gateway, enum store_kind kind)
{
	uint64_t n;

	return store_count(gateway->store, kind, NULL, &n, NULL) ? 0 : n;
}

static void write_metrics(struct gateway *gateway, struct text *text)
{
	struct grpc_server_stats stats = {};
	struct timespec now;

	if (gateway->server)
		grpc_server_get_stats(gateway->server, &stats);
	clock_gettime(CLOCK_REALTIME, &now);
	metric(text, "ready", "gauge", "Whether it serves.", gateway->ready);
	metric(text, "uptime_seconds", "gauge", "Since it started.",
	       (unsigned long long)(now.tv_sec - gateway->started_ms / 1000));
	metric(text, "nodes", "gauge", "Supervisors that are attached.",
	       nodes_count(gateway->nodes));
	metric(text, "sandboxes", "gauge", "Sandboxes of all workspaces.",
	       count(gateway, STORE_SANDBOX));
	metric(text, "providers", "gauge", "Providers of all workspaces.",
	       count(gateway, STORE_PROVIDER));
	metric(text, "workspaces", "gauge", "Workspaces.", count(gateway, STORE_WORKSPACE));
	metric(text, "connections_total", "counter", "Connections that were made.",
	       stats.connections);
	metric(text, "connections", "gauge", "Connections that are open.", stats.open_connections);
	metric(text, "calls_total", "counter", "RPCs that were begun.", stats.calls);
	metric(text, "calls", "gauge", "RPCs that are open.", stats.open_calls);
	metric(text, "handshake_failures_total", "counter",
	       "Connections that ended before HTTP/2 began.", stats.failed_handshakes);
	metric(text, "protocol_errors_total", "counter",
	       "Connections that were ended for breaking the protocol.", stats.protocol_errors);
}

static enum MHD_Result answer(void *arg, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_size, void **state)
{
	struct health_http *health = arg;
	struct MHD_Response *response;
	unsigned int status = MHD_HTTP_OK;
	struct text text = {};
	enum MHD_Result r;

	if (strcmp(method, "GET") && strcmp(method, "HEAD")) {
		status = MHD_HTTP_METHOD_NOT_ALLOWED;
		add(&text, "GET\n");
	} else if (!strcmp(url, "/healthz")) {
		add(&text, "ok\n");
	} else if (!strcmp(url, "/readyz")) {
		status = health->gateway->ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
		add(&text, health->gateway->ready ? "ready\n" : "not ready\n");
	} else if (!strcmp(url, "/metrics")) {
		write_metrics(health->gateway, &text);
	} else {
		status = MHD_HTTP_NOT_FOUND;
		add(&text, "/healthz, /readyz, /metrics\n");
	}
	response = MHD_create_response_from_buffer(text.size, text.data, MHD_RESPMEM_MUST_COPY);
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
				"text/plain; version=0.0.4; charset=utf-8");
	r = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return r;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct health_http *health = poll->data;

	MHD_run(health->daemon);
}

static void on_timer(uv_timer_t *timer)
{
	struct health_http *health = timer->data;

	MHD_run(health->daemon);
}

int health_http_new(struct gateway *gateway, struct health_http **ret_health, struct error *err)
{
	const union MHD_DaemonInfo *info;
	struct health_http *health;
	struct listen_address address;
	unsigned int flags = MHD_USE_EPOLL;
	int r = listen_address_parse(gateway->config->health, "--health", &address, err);

	if (r)
		return r;
	health = calloc(1, sizeof(*health));
	if (!health)
		return error_set(err, -ENOMEM, "out of memory");
	health->gateway = gateway;
	if (address.address.ss_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	health->daemon =
		MHD_start_daemon(flags, 0, NULL, NULL, answer, health, MHD_OPTION_SOCK_ADDR,
				 (struct sockaddr *)&address.address, MHD_OPTION_CONNECTION_LIMIT,
				 (unsigned int)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
				 (unsigned int)TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				 (size_t)32768, MHD_OPTION_END);
	if (!health->daemon) {
		free(health);
		return error_set(err, -EADDRINUSE,
				 "cannot listen on %s (--health): %s; --health \"\" does without",
				 gateway->config->health, strerror(errno));
	}
	info = MHD_get_daemon_info(health->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	uv_poll_init(gateway->loop, &health->poll, info->epoll_fd);
	uv_timer_init(gateway->loop, &health->timer);
	health->poll.data = health->timer.data = health;
	uv_poll_start(&health->poll, UV_READABLE, on_poll);
	/* Connections that say nothing are closed by it. */
	uv_timer_start(&health->timer, on_timer, TICK_MS, TICK_MS);
	*ret_health = health;
	return 0;
}

static void closed(uv_handle_t *handle)
{
	struct health_http *health = handle->data;

	if (--health->handles)
		return;
	MHD_stop_daemon(health->daemon);
	free(health);
}

void health_http_free(struct health_http *health)
{
	if (!health)
		return;
	health->handles = 2;
	uv_close((uv_handle_t *)&health->poll, closed);
	uv_close((uv_handle_t *)&health->timer, closed);
}

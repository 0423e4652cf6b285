/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/service_http.h"

#include "common/cleanup.h"
#include "common/grpc.h"
#include "gateway/config.h"
#include "gateway/journal.h"
#include "gateway/listen_address.h"
#include "gateway/nodes.h"
#include "gateway/request_scope.h"
#include "gateway/service.h"
#include "gateway/service_head.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define CONNECTIONS_MAX 1024
#define HEAD_MS		10000
#define WRITE_HIGH	(256u << 10)
#define READ_SIZE	65536
#define BACKLOG		256

struct connection {
	LIST_ENTRY(connection) link;
	struct services *services;
	uv_tcp_t tcp;
	uv_timer_t timer; /* until the head is there */
	struct node_relay *relay;
	uint8_t head[SERVICE_HEAD_MAX];
	size_t head_size;
	bool joined; /* to a relay */
	bool closing, relay_paused, reading;
	int handles;
};

struct services {
	struct gateway *gateway;
	uv_tcp_t tcp;
	LIST_HEAD(, connection) connections;
	size_t count;
	bool closed;
	uint16_t port;
};

/* One for all connections: what is read is passed on before anything else is read. */
static uint8_t read_buffer[READ_SIZE];

static void free_services(struct services *services)
{
	if (services->closed && LIST_EMPTY(&services->connections))
		free(services);
}

static void connection_closed(uv_handle_t *handle)
{
	struct connection *c = handle->data;
	struct services *services = c->services;

	if (--c->handles)
		return;
	LIST_REMOVE(c, link);
	services->count--;
	free(c);
	free_services(services);
}

static void close_connection(struct connection *c)
{
	struct node_relay *relay = TAKE_PTR(c->relay);

	if (relay)
		node_relay_cancel(relay);
	if (c->closing)
		return;
	c->closing = true;
	uv_close((uv_handle_t *)&c->tcp, connection_closed);
	uv_close((uv_handle_t *)&c->timer, connection_closed);
}

struct write {
	uv_write_t request;
	struct connection *connection;
	bool last;
	uint8_t data[];
};

static void written(uv_write_t *request, int status)
{
	struct write *w = (struct write *)request;
	struct connection *c = w->connection;

	if (status || w->last) {
		close_connection(c);
	} else if (c->relay && c->relay_paused &&
		   uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp) < WRITE_HIGH) {
		c->relay_paused = false;
		node_relay_resume(c->relay);
	}
	free(w);
}

static void write_out(struct connection *c, const void *data, size_t size, bool last)
{
	struct write *w;
	uv_buf_t buffer;

	if (c->closing)
		return;
	w = malloc(sizeof(*w) + size);
	if (!w) {
		close_connection(c);
		return;
	}
	w->connection = c;
	w->last = last;
	memcpy(w->data, data, size);
	buffer = uv_buf_init((char *)w->data, (unsigned int)size);
	if (uv_write(&w->request, (uv_stream_t *)&c->tcp, &buffer, 1, written)) {
		free(w);
		close_connection(c);
	}
}

static void refuse(struct connection *c, int status, const char *reason, const char *text)
{
	char answer[1200];
	int n = snprintf(answer, sizeof(answer),
			 "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
			 "Content-Length: %zu\r\nConnection: close\r\n\r\n%s\n",
			 status, reason, strlen(text) + 1, text);

	if (n > 0 && (size_t)n < sizeof(answer))
		write_out(c, answer, (size_t)n, true);
	else
		close_connection(c);
}

/* ---- from the sandbox ---- */

static void relay_frame(void *arg, const Openshell__Node__V1__RelayFrame *frame)
{
	struct connection *c = arg;

	if (frame->payload_case != OPENSHELL__NODE__V1__RELAY_FRAME__PAYLOAD_DATA)
		return;
	write_out(c, frame->data.data, frame->data.len, false);
	if (!c->closing && uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp) >= WRITE_HIGH) {
		c->relay_paused = true;
		node_relay_pause(c->relay);
	}
}

static void start_reading(struct connection *c);

static void relay_writable(void *arg)
{
	struct connection *c = arg;

	if (!c->reading && !c->closing)
		start_reading(c);
}

static void relay_ended(void *arg, int exit_code, int code, const char *message)
{
	struct connection *c = arg;

	c->relay = NULL;
	if (code != GRPC_OK && !c->joined)
		refuse(c, 502, "Bad Gateway", message);
	else
		write_out(c, "", 0, true);
}

static const struct relay_events relay_events = {
	.frame = relay_frame,
	.writable = relay_writable,
	.ended = relay_ended,
};

/* ---- from the client ---- */

static void send_to_relay(struct connection *c, const uint8_t *data, size_t size)
{
	Openshell__Node__V1__RelayFrame frame = OPENSHELL__NODE__V1__RELAY_FRAME__INIT;
	int r;

	if (!c->relay)
		return;
	frame.payload_case = OPENSHELL__NODE__V1__RELAY_FRAME__PAYLOAD_DATA;
	frame.data = (ProtobufCBinaryData){size, (uint8_t *)data};
	r = node_relay_send(c->relay, &frame);
	if (r == 1) {
		uv_read_stop((uv_stream_t *)&c->tcp);
		c->reading = false;
	} else if (r < 0) {
		close_connection(c);
	}
}

static int open_relay(struct connection *c, const struct service_name *name, struct error *err)
{
	Openshell__Node__V1__OpenRelay open = OPENSHELL__NODE__V1__OPEN_RELAY__INIT;
	Openshell__Node__V1__Tcp tcp = OPENSHELL__NODE__V1__TCP__INIT;
	struct gateway *gateway = c->services->gateway;
	_cleanup_free_ char *sandbox_id = NULL;
	uint32_t port;
	int r = service_find(gateway, *name->workspace ? name->workspace : WORKSPACE_DEFAULT,
			     name->sandbox, name->service, &sandbox_id, &port, err);

	if (r)
		return r;
	tcp.host = (char *)"127.0.0.1";
	tcp.port = port;
	open.target_case = OPENSHELL__NODE__V1__OPEN_RELAY__TARGET_TCP;
	open.tcp = &tcp;
	return node_relay_open(gateway->nodes, sandbox_id, &open, &relay_events, c, &c->relay, err);
}

static void head_came(struct connection *c)
{
	struct service_name name;
	struct error err = {};
	int r = service_head_parse(c->head, c->head_size, &name);

	if (r == -EAGAIN)
		return;
	uv_timer_stop(&c->timer);
	if (r == -EBADMSG) {
		refuse(c, 400, "Bad Request", "This is no HTTP/1.1 request with one Host.");
		return;
	}
	if (r) {
		refuse(c, 404, "Not Found",
		       "No service has this host: SERVICE--SANDBOX" SERVICE_DOMAIN);
		return;
	}
	r = open_relay(c, &name, &err);
	if (r) {
		refuse(c, r == -ENOENT ? 404 : 503,
		       r == -ENOENT ? "Not Found" : "Service Unavailable", err.message);
		return;
	}
	c->joined = true;
	send_to_relay(c, c->head, c->head_size);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	*buffer = uv_buf_init((char *)read_buffer, sizeof(read_buffer));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
	struct connection *c = stream->data;

	if (n == UV_EOF && c->relay) {
		Openshell__Node__V1__RelayFrame frame = OPENSHELL__NODE__V1__RELAY_FRAME__INIT;

		frame.payload_case = OPENSHELL__NODE__V1__RELAY_FRAME__PAYLOAD_END;
		frame.end = true;
		(void)node_relay_send(c->relay, &frame);
		return;
	}
	if (n < 0) {
		close_connection(c);
		return;
	}
	if (c->joined) {
		send_to_relay(c, (const uint8_t *)buffer->base, (size_t)n);
		return;
	}
	if ((size_t)n > sizeof(c->head) - c->head_size) {
		refuse(c, 431, "Request Header Fields Too Large", "The head is too large.");
		return;
	}
	memcpy(c->head + c->head_size, buffer->base, (size_t)n);
	c->head_size += (size_t)n;
	head_came(c);
}

static void start_reading(struct connection *c)
{
	c->reading = !uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

static void head_late(uv_timer_t *timer)
{
	close_connection(timer->data);
}

static void on_connection(uv_stream_t *server, int status)
{
	struct services *services = server->data;
	struct connection *c = status ? NULL : calloc(1, sizeof(*c));

	if (!c)
		return;
	c->services = services;
	c->handles = 2;
	uv_tcp_init(services->gateway->loop, &c->tcp);
	uv_timer_init(services->gateway->loop, &c->timer);
	c->tcp.data = c->timer.data = c;
	LIST_INSERT_HEAD(&services->connections, c, link);
	services->count++;
	if (uv_accept(server, (uv_stream_t *)&c->tcp) || services->count > CONNECTIONS_MAX) {
		close_connection(c);
		return;
	}
	uv_tcp_nodelay(&c->tcp, 1);
	uv_timer_start(&c->timer, head_late, HEAD_MS, 0);
	start_reading(c);
}

/* ---- the listener ---- */

int services_new(struct gateway *gateway, struct services **ret_services, struct error *err)
{
	struct sockaddr_storage bound;
	int size = sizeof(bound), r;
	struct listen_address address;
	struct services *services;

	r = listen_address_parse(gateway->config->services, "--services", &address, err);
	if (r)
		return r;
	services = calloc(1, sizeof(*services));
	if (!services)
		return error_set(err, -ENOMEM, "out of memory");
	services->gateway = gateway;
	LIST_INIT(&services->connections);
	uv_tcp_init(gateway->loop, &services->tcp);
	services->tcp.data = services;
	r = uv_tcp_bind(&services->tcp, (struct sockaddr *)&address.address, 0);
	if (!r)
		r = uv_listen((uv_stream_t *)&services->tcp, BACKLOG, on_connection);
	if (r) {
		services_free(services);
		return error_set(err, r, "cannot listen on %s (--services): %s",
				 gateway->config->services, uv_strerror(r));
	}
	if (!uv_tcp_getsockname(&services->tcp, (struct sockaddr *)&bound, &size))
		services->port = ntohs(bound.ss_family == AF_INET6
					       ? ((struct sockaddr_in6 *)&bound)->sin6_port
					       : ((struct sockaddr_in *)&bound)->sin_port);
	if (!address.loopback)
		journal(JOURNAL_WARN,
			"--services %s is reached from other hosts: so is every exposed service",
			gateway->config->services);
	*ret_services = services;
	return 0;
}

static void listener_closed(uv_handle_t *handle)
{
	struct services *services = handle->data;

	services->closed = true;
	free_services(services);
}

void services_free(struct services *services)
{
	struct connection *c, *next;

	if (!services)
		return;
	for (c = LIST_FIRST(&services->connections); c; c = next) {
		next = LIST_NEXT(c, link);
		close_connection(c);
	}
	uv_close((uv_handle_t *)&services->tcp, listener_closed);
}

void service_url(const struct gateway *gateway, const char *workspace, const char *sandbox,
		 const char *service, char *ret_url, size_t size)
{
	bool other = strcmp(workspace, WORKSPACE_DEFAULT) != 0;

	if (!gateway->services) {
		snprintf(ret_url, size, "%s", "");
		return;
	}
	snprintf(ret_url, size, "http://%s--%s%s%s" SERVICE_DOMAIN ":%u/", service, sandbox,
		 other ? "--" : "", other ? workspace : "", gateway->services->port);
}

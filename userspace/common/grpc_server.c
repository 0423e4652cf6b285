/* SPDX-License-Identifier: Apache-2.0 */
#include "common/grpc_internal.h"

#include "common/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define CONNECTIONS_MAX 1024
#define STREAMS_MAX	2048
#define KEEPALIVE_MS	30000
#define HANDSHAKE_MS	10000
#define BACKLOG		1024
#define ACCEPTS_MAX	64
#define BUDGET_MAX	(512u << 20) /* bytes of messages that are coming, of all connections */
#define AGAIN_MS	100	     /* after accept() had no descriptor left */

struct grpc_server {
	struct grpc_server_options options;
	uv_poll_t poll;
	uv_timer_t timer; /* grace; or accepting again */
	int fd;
	uint16_t port;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	LIST_HEAD(, grpc_session) sessions;
	struct grpc_budget budget;
	struct grpc_server_stats stats;
	bool listening, stopping, freed;
	void (*stopped)(void *arg);
	void *stopped_arg;
	int handles;
};

static void destroy(struct grpc_server *server)
{
	if (server->freed && !server->handles && LIST_EMPTY(&server->sessions))
		free(server);
}

static void handle_closed(uv_handle_t *handle)
{
	struct grpc_server *server = handle->data;

	server->handles--;
	destroy(server);
}

static void on_call(void *arg, struct grpc_call *call)
{
	struct grpc_server *server = arg;

	server->stats.calls++;
	if (server->freed) {
		grpc_call_finish(call, GRPC_UNAVAILABLE, "the server is stopping");
		return;
	}
	server->options.call(server->options.arg, call);
}

static void maybe_stopped(struct grpc_server *server)
{
	void (*stopped)(void *arg) = server->stopped;

	if (!server->stopping || !LIST_EMPTY(&server->sessions) || !stopped || server->freed)
		return;
	server->stopped = NULL;
	uv_timer_stop(&server->timer);
	stopped(server->stopped_arg);
}

static void on_gone(void *arg, struct grpc_session *session)
{
	struct grpc_server *server = arg;

	if (!session->last_ms)
		server->stats.failed_handshakes++;
	LIST_REMOVE(session, link);
	server->stats.open_connections--;
	/* The counter is this server's, which may be gone before the session is. */
	session->protocol_errors = NULL;
	session->arg = NULL;
	maybe_stopped(server);
	destroy(server);
}

static const struct grpc_session_ops session_ops = {
	.call = on_call,
	.gone = on_gone,
};

static void read_peer(struct grpc_session *session, int fd)
{
	struct ucred cred;
	socklen_t size = sizeof(session->peer);

	if (getpeername(fd, (struct sockaddr *)&session->peer, &size))
		session->peer.ss_family = AF_UNSPEC;
	if (session->peer.ss_family != AF_UNIX)
		return;
	size = sizeof(cred);
	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size))
		session->peer_uid = cred.uid;
}

static void take(struct grpc_server *server, int fd)
{
	const struct grpc_server_options *o = &server->options;
	const struct grpc_session_options options = {
		.loop = o->loop,
		.fd = fd,
		.server = true,
		.tls = o->tls,
		.streams_max = o->streams_max,
		.message_max = o->message_max,
		.keepalive_ms = o->keepalive_ms,
		.handshake_ms = o->handshake_ms,
		.budget = &server->budget,
		.ops = &session_ops,
		.arg = server,
	};
	struct grpc_session *session;
	int on = 1;

	if (server->stats.open_connections >= o->connections_max) {
		safe_close(fd);
		return;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (grpc_session_new(&options, &session))
		return;
	read_peer(session, fd);
	session->protocol_errors = &server->stats.protocol_errors;
	LIST_INSERT_HEAD(&server->sessions, session, link);
	server->stats.connections++;
	server->stats.open_connections++;
	grpc_session_wake(session);
}

static void on_accept(uv_poll_t *poll, int status, int events);

static void accept_again(uv_timer_t *timer)
{
	struct grpc_server *server = timer->data;

	if (server->listening)
		uv_poll_start(&server->poll, UV_READABLE, on_accept);
}

static void on_accept(uv_poll_t *poll, int status, int events)
{
	struct grpc_server *server = poll->data;

	for (int i = 0; i < ACCEPTS_MAX; i++) {
		int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			take(server, fd);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno != EAGAIN) {
			/* No descriptor is left: spinning would not make one. */
			uv_poll_stop(&server->poll);
			uv_timer_start(&server->timer, accept_again, AGAIN_MS, 0);
		}
		return;
	}
}

static const char *describe(const struct sockaddr *address, char *text, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (address->sa_family == AF_UNIX) {
		snprintf(text, size, "%s", ((const struct sockaddr_un *)address)->sun_path);
	} else if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;

		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(text, size, "[%s]:%u", host, ntohs(in6->sin6_port));
	} else {
		const struct sockaddr_in *in = (const struct sockaddr_in *)address;

		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(text, size, "%s:%u", host, ntohs(in->sin_port));
	}
	return text;
}

/* Only a socket is replaced: whatever else is there was meant for something. */
static int clear_path(const char *path, struct error *err)
{
	struct stat st;

	if (lstat(path, &st))
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, -EEXIST, "%s exists and is not a socket: remove it", path);
	if (unlink(path))
		return error_set(err, -errno, "cannot replace %s: %s", path, strerror(errno));
	return 0;
}

static int open_listener(const struct sockaddr *address, socklen_t size, int *ret_fd,
			 struct error *err)
{
	_cleanup_close_ int fd =
		socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char text[128];
	mode_t mask = 0;
	int on = 1, r;

	if (fd < 0)
		return error_set(err, -errno, "cannot make a socket: %s", strerror(errno));
	if (address->sa_family == AF_UNIX) {
		r = clear_path(((const struct sockaddr_un *)address)->sun_path, err);
		if (r)
			return r;
		mask = umask(0177);
	} else {
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	}
	r = bind(fd, address, size) ? -errno : 0;
	if (address->sa_family == AF_UNIX)
		umask(mask);
	if (!r && listen(fd, BACKLOG))
		r = -errno;
	if (r)
		return error_set(err, r, "cannot listen on %s: %s",
				 describe(address, text, sizeof(text)), strerror(-r));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static uint16_t bound_port(int fd)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &size))
		return 0;
	if (address.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&address)->sin_port);
	if (address.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
	return 0;
}

static void set_defaults(struct grpc_server_options *o)
{
	if (!o->connections_max)
		o->connections_max = CONNECTIONS_MAX;
	if (!o->streams_max)
		o->streams_max = STREAMS_MAX;
	if (!o->message_max)
		o->message_max = GRPC_MESSAGE_MAX;
	if (!o->keepalive_ms)
		o->keepalive_ms = KEEPALIVE_MS;
	if (!o->handshake_ms)
		o->handshake_ms = HANDSHAKE_MS;
}

int grpc_server_new(const struct grpc_server_options *options, const struct sockaddr *address,
		    socklen_t size, struct grpc_server **ret_server, struct error *err)
{
	_cleanup_close_ int fd = -1;
	struct grpc_server *server;
	int r = open_listener(address, size, &fd, err);

	if (r)
		return r;
	server = calloc(1, sizeof(*server));
	if (!server)
		return error_set(err, -ENOMEM, "out of memory");
	server->options = *options;
	set_defaults(&server->options);
	server->budget.max = BUDGET_MAX;
	LIST_INIT(&server->sessions);
	server->port = bound_port(fd);
	if (address->sa_family == AF_UNIX)
		snprintf(server->path, sizeof(server->path), "%s",
			 ((const struct sockaddr_un *)address)->sun_path);
	r = uv_poll_init(options->loop, &server->poll, fd);
	if (r) {
		free(server);
		return error_set(err, r, "cannot watch a socket: %s", uv_strerror(r));
	}
	uv_timer_init(options->loop, &server->timer);
	server->poll.data = server->timer.data = server;
	server->handles = 2;
	server->fd = TAKE_FD(fd);
	server->listening = true;
	uv_poll_start(&server->poll, UV_READABLE, on_accept);
	*ret_server = server;
	return 0;
}

uint16_t grpc_server_port(const struct grpc_server *server)
{
	return server->port;
}

static void stop_listening(struct grpc_server *server)
{
	if (!server->listening)
		return;
	server->listening = false;
	uv_poll_stop(&server->poll);
	if (server->path[0])
		unlink(server->path);
}

static void grace_over(uv_timer_t *timer)
{
	struct grpc_server *server = timer->data;
	struct grpc_session *session, *next;
	struct grpc_call *call, *next_call;

	for (session = LIST_FIRST(&server->sessions); session; session = next) {
		next = LIST_NEXT(session, link);
		for (call = TAILQ_FIRST(&session->open); call; call = next_call) {
			next_call = TAILQ_NEXT(call, link);
			grpc_call_finish(call, GRPC_UNAVAILABLE, "the server is stopping");
		}
		grpc_transport_flush(session->transport);
		grpc_session_lose(session, "the server is stopping");
	}
}

void grpc_server_stop(struct grpc_server *server, uint32_t grace_ms, void (*stopped)(void *arg),
		      void *arg)
{
	struct grpc_session *session;

	stop_listening(server);
	server->stopping = true;
	server->stopped = stopped;
	server->stopped_arg = arg;
	LIST_FOREACH(session, &server->sessions, link)
	grpc_session_drain(session);
	/* From the loop, though nothing may be left. */
	uv_timer_start(&server->timer, grace_over, LIST_EMPTY(&server->sessions) ? 0 : grace_ms, 0);
	if (LIST_EMPTY(&server->sessions))
		maybe_stopped(server);
}

void grpc_server_free(struct grpc_server *server)
{
	struct grpc_session *session;

	if (!server)
		return;
	stop_listening(server);
	server->freed = true;
	LIST_FOREACH(session, &server->sessions, link)
	grpc_session_lose(session, "the server is gone");
	uv_close((uv_handle_t *)&server->poll, handle_closed);
	uv_close((uv_handle_t *)&server->timer, handle_closed);
	safe_close(server->fd);
}

void grpc_server_get_stats(const struct grpc_server *server, struct grpc_server_stats *ret_stats)
{
	struct grpc_session *session;

	*ret_stats = server->stats;
	ret_stats->open_calls = 0;
	LIST_FOREACH(session, &server->sessions, link)
	ret_stats->open_calls += session->calls;
}

X509 *grpc_call_peer_certificate(const struct grpc_call *call)
{
	if (!call->session->transport)
		return NULL;
	return grpc_transport_certificate(call->session->transport);
}

const struct sockaddr *grpc_call_peer(const struct grpc_call *call)
{
	return (const struct sockaddr *)&call->session->peer;
}

uid_t grpc_call_peer_uid(const struct grpc_call *call)
{
	return call->session->peer_uid;
}

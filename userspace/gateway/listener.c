/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/listener.h"

#include "common/grpc_tls.h"
#include "gateway/config.h"
#include "gateway/dispatch.h"
#include "gateway/journal.h"
#include "gateway/listen_address.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

struct listener {
	struct gateway *gateway;
	SSL_CTX *tls;
	struct grpc_server *tcp, *local;
	int waiting; /* for servers to stop */
	void (*stopped)(void *arg);
	void *arg;
};

static int listen_tcp(struct listener *listener, const struct grpc_server_options *options,
		      struct error *err)
{
	const struct config *config = listener->gateway->config;
	struct grpc_server_options tcp = *options;
	struct listen_address address;
	int r = listen_address_parse(config->listen, "--listen", &address, err);

	if (!r && *config->tls_cert)
		r = grpc_tls_server(config->tls_cert, config->tls_key,
				    *config->tls_client_ca ? config->tls_client_ca : NULL,
				    &listener->tls, err);
	if (r)
		return r;
	tcp.tls = listener->tls;
	r = grpc_server_new(&tcp, (struct sockaddr *)&address.address, address.size, &listener->tcp,
			    err);
	if (!r)
		listener->gateway->server = listener->tcp;
	return r;
}

static int listen_local(struct listener *listener, const struct grpc_server_options *options,
			struct error *err)
{
	const char *path = listener->gateway->config->socket;
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (!*path)
		return 0;
	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(err, -ENAMETOOLONG, "--socket %s: the path is too long", path);
	memcpy(address.sun_path, path, strlen(path));
	return grpc_server_new(options, (struct sockaddr *)&address, sizeof(address),
			       &listener->local, err);
}

int listener_new(struct gateway *gateway, struct listener **ret_listener, struct error *err)
{
	const struct grpc_server_options options = {
		.loop = gateway->loop,
		.connections_max = gateway->config->connections_max,
		.call = dispatch_call,
		.arg = gateway,
	};
	struct listener *listener = calloc(1, sizeof(*listener));
	int r;

	if (!listener)
		return error_set(err, -ENOMEM, "out of memory");
	listener->gateway = gateway;
	r = listen_tcp(listener, &options, err);
	if (!r)
		r = listen_local(listener, &options, err);
	if (r) {
		listener_free(listener);
		return r;
	}
	*ret_listener = listener;
	return 0;
}

void listener_free(struct listener *listener)
{
	if (!listener)
		return;
	listener->gateway->server = NULL;
	grpc_server_free(listener->tcp);
	grpc_server_free(listener->local);
	SSL_CTX_free(listener->tls);
	free(listener);
}

void listener_tell(const struct listener *listener)
{
	const struct config *config = listener->gateway->config;
	const char *scheme = listener->tls ? "https" : "http";
	const char *colon = strrchr(config->listen, ':');
	uint16_t port = grpc_server_port(listener->tcp);

	printf("openshell-gateway listens on %s://%.*s:%u\n", scheme, (int)(colon - config->listen),
	       config->listen, port);
	fflush(stdout);
	journal(JOURNAL_INFO, "ready on %s://%.*s:%u%s%s", scheme, (int)(colon - config->listen),
		config->listen, port, *config->socket ? " and " : "", config->socket);
}

static void one_stopped(void *arg)
{
	struct listener *listener = arg;

	if (!--listener->waiting)
		listener->stopped(listener->arg);
}

void listener_stop(struct listener *listener, uint32_t grace_ms, void (*stopped)(void *arg),
		   void *arg)
{
	listener->stopped = stopped;
	listener->arg = arg;
	listener->waiting = 1 + !!listener->local;
	grpc_server_stop(listener->tcp, grace_ms, one_stopped, listener);
	if (listener->local)
		grpc_server_stop(listener->local, grace_ms, one_stopped, listener);
}

void listener_stats(const struct listener *listener, struct grpc_server_stats *ret_stats)
{
	struct grpc_server_stats local = {};

	grpc_server_get_stats(listener->tcp, ret_stats);
	if (!listener->local)
		return;
	grpc_server_get_stats(listener->local, &local);
	ret_stats->connections += local.connections;
	ret_stats->calls += local.calls;
	ret_stats->failed_handshakes += local.failed_handshakes;
	ret_stats->protocol_errors += local.protocol_errors;
	ret_stats->open_connections += local.open_connections;
	ret_stats->open_calls += local.open_calls;
}

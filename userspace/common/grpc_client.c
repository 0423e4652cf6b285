/* SPDX-License-Identifier: Apache-2.0 */
#include "common/grpc_client.h"

#include "common/cleanup.h"
#include "common/grpc_endpoint.h"
#include "common/grpc_internal.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define CONNECT_MS   10000
#define KEEPALIVE_MS 30000

struct grpc_client {
	uv_loop_t *loop;
	struct grpc_endpoint endpoint;
	SSL_CTX *tls;
	bool tls_insecure;
	char *authorization;
	size_t message_max;
	uint32_t connect_ms, keepalive_ms;
	struct grpc_session *session; /* that takes calls; NULL = the next call connects */
	LIST_HEAD(, grpc_session) sessions;
	char failure[160]; /* why the last connecting did not begin */
	bool freed;
};

static void destroy(struct grpc_client *client)
{
	if (!client->freed || !LIST_EMPTY(&client->sessions))
		return;
	if (client->authorization)
		OPENSSL_cleanse(client->authorization, strlen(client->authorization));
	free(client->authorization);
	SSL_CTX_free(client->tls);
	free(client);
}

static void on_closing(void *arg, struct grpc_session *session)
{
	struct grpc_client *client = arg;

	if (client->session == session)
		client->session = NULL;
}

static void on_gone(void *arg, struct grpc_session *session)
{
	struct grpc_client *client = arg;

	LIST_REMOVE(session, link);
	session->arg = NULL;
	destroy(client);
}

static const struct grpc_session_ops session_ops = {
	.gone = on_gone,
	.closing = on_closing,
};

int grpc_client_new(const struct grpc_client_options *options, struct grpc_client **ret_client,
		    struct error *err)
{
	struct grpc_client *client = calloc(1, sizeof(*client));
	int r;

	if (!client)
		return error_set(err, -ENOMEM, "out of memory");
	r = grpc_endpoint_parse(options->endpoint, &client->endpoint, err);
	if (!r && client->endpoint.tls && !options->tls)
		r = error_set(err, -EINVAL, "%s wants TLS, and no certificates are configured",
			      options->endpoint);
	if (!r && options->authorization) {
		client->authorization = strdup(options->authorization);
		if (!client->authorization)
			r = error_set(err, -ENOMEM, "out of memory");
	}
	if (r) {
		free(client->authorization);
		free(client);
		return r;
	}
	client->loop = options->loop;
	client->tls = options->tls;
	if (client->tls)
		SSL_CTX_up_ref(client->tls);
	client->tls_insecure = options->tls_insecure;
	client->message_max = options->message_max ? options->message_max : GRPC_MESSAGE_MAX;
	client->connect_ms = options->connect_ms ? options->connect_ms : CONNECT_MS;
	client->keepalive_ms = options->keepalive_ms ? options->keepalive_ms : KEEPALIVE_MS;
	LIST_INIT(&client->sessions);
	*ret_client = client;
	return 0;
}

static int open_session(struct grpc_client *client)
{
	struct grpc_session_options options = {
		.loop = client->loop,
		.connecting = true,
		.tls = client->endpoint.tls ? client->tls : NULL,
		.name = client->tls_insecure ? NULL : client->endpoint.host,
		.message_max = client->message_max,
		.keepalive_ms = client->keepalive_ms,
		.handshake_ms = client->connect_ms,
		.ops = &session_ops,
		.arg = client,
	};
	struct grpc_session *session;
	int r = grpc_endpoint_connect(&client->endpoint, &options.fd, client->failure,
				      sizeof(client->failure));

	if (r)
		return r;
	r = grpc_session_new(&options, &session);
	if (r) {
		snprintf(client->failure, sizeof(client->failure), "connecting: %s", strerror(-r));
		return r;
	}
	session->scheme = client->endpoint.tls ? "https" : "http";
	session->authority = strdup(client->endpoint.authority);
	if (client->authorization)
		session->authorization = strdup(client->authorization);
	LIST_INSERT_HEAD(&client->sessions, session, link);
	if (!session->authority || (client->authorization && !session->authorization)) {
		grpc_session_lose(session, "out of memory");
		return -ENOMEM;
	}
	client->session = session;
	return 0;
}

/* A session for a call that cannot be made: it ends from the loop, as all calls do. */
static int failed_session(struct grpc_client *client, struct grpc_session **ret_session)
{
	int pair[2], r;
	struct grpc_session_options options = {
		.loop = client->loop,
		.message_max = client->message_max,
		.keepalive_ms = client->keepalive_ms,
		.handshake_ms = client->connect_ms,
		.ops = &session_ops,
		.arg = client,
	};

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return -errno;
	safe_close(pair[1]);
	options.fd = pair[0];
	r = grpc_session_new(&options, ret_session);
	if (r)
		return r;
	LIST_INSERT_HEAD(&client->sessions, *ret_session, link);
	return 0;
}

int grpc_client_call(struct grpc_client *client, enum rpc_id method,
		     const struct grpc_metadata *metadata, size_t metadata_len,
		     uint32_t deadline_ms, const struct grpc_call_events *events, void *arg,
		     struct grpc_call **ret_call)
{
	struct grpc_session *session = client->session;
	struct grpc_call *call;
	bool failed = false;
	int r = 0;

	if (!session && open_session(client)) {
		r = failed_session(client, &session);
		failed = true;
	} else if (!session) {
		session = client->session;
	}
	if (r)
		return r;
	call = grpc_call_new(session, &rpc_methods[method]);
	if (!call) {
		if (failed)
			grpc_session_lose(session, client->failure);
		return -ENOMEM;
	}
	call->events = events;
	call->arg = arg;
	if (failed) {
		grpc_session_lose(session, client->failure);
		*ret_call = call;
		return 0;
	}
	r = grpc_session_request(session, call, metadata, metadata_len, deadline_ms);
	if (r) {
		call->events = NULL;
		grpc_call_end(call, GRPC_INTERNAL, "the call cannot be made");
		return r;
	}
	if (deadline_ms) {
		uv_update_time(client->loop);
		call->deadline = uv_now(client->loop) + deadline_ms;
		grpc_session_deadline(session, call->deadline);
	}
	*ret_call = call;
	return 0;
}

void grpc_client_free(struct grpc_client *client)
{
	struct grpc_session *session;
	struct grpc_call *call;

	if (!client)
		return;
	client->freed = true;
	client->session = NULL;
	LIST_FOREACH(session, &client->sessions, link)
	{
		while ((call = TAILQ_FIRST(&session->open)))
			grpc_call_end(call, GRPC_CANCELLED, "the connection was closed here");
		if (session->transport && !session->lost)
			grpc_transport_flush(session->transport);
		grpc_session_lose(session, "closed");
	}
	destroy(client);
}

/* ---- one request, one answer ---- */

struct unary {
	ProtobufCMessage *response;
	struct error *err;
	int code;
	bool over;
};

static void unary_message(void *arg, struct grpc_call *call, const ProtobufCMessage *message)
{
	struct unary *unary = arg;
	size_t size = protobuf_c_message_get_packed_size(message);
	_cleanup_free_ uint8_t *packed = malloc(size ? size : 1);

	/* A copy of its own: what is borrowed goes when this returns. */
	if (!packed || unary->response)
		return;
	protobuf_c_message_pack(message, packed);
	unary->response = protobuf_c_message_unpack(message->descriptor, NULL, size, packed);
	OPENSSL_cleanse(packed, size);
}

static void unary_ended(void *arg, struct grpc_call *call, int code, const char *message)
{
	struct unary *unary = arg;

	unary->over = true;
	unary->code = code;
	if (code == GRPC_OK && !unary->response) {
		unary->code = GRPC_INTERNAL;
		message = "the server sent no answer";
	}
	if (unary->code != GRPC_OK)
		error_set(unary->err, unary->code, "%s",
			  *message ? message : grpc_code_name(unary->code));
}

int grpc_unary(struct grpc_client *client, enum rpc_id method, const ProtobufCMessage *request,
	       uint32_t deadline_ms, ProtobufCMessage **ret_response, struct error *err)
{
	static const struct grpc_call_events events = {
		.message = unary_message,
		.ended = unary_ended,
	};
	struct unary unary = {.err = err};
	struct grpc_call *call;
	int r = grpc_client_call(client, method, NULL, 0, deadline_ms, &events, &unary, &call);

	if (r) {
		error_set(err, GRPC_INTERNAL, "cannot make a call: %s", strerror(-r));
		return GRPC_INTERNAL;
	}
	r = grpc_call_send(call, request);
	if (r < 0 && r != -EPIPE)
		grpc_call_cancel(call);
	else
		grpc_call_half_close(call);
	while (!unary.over)
		uv_run(client->loop, UV_RUN_ONCE);
	if (unary.code == GRPC_OK)
		*ret_response = unary.response;
	else if (unary.response)
		protobuf_c_message_free_unpacked(unary.response, NULL);
	return unary.code;
}

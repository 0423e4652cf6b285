/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Relays into sandboxes: the gateway asks for one over Attach, and its supervisor opens a Relay
 * stream for it, by an id that nobody can guess and that is good once.
 */
#include "gateway/nodes_internal.h"

#include "common/cleanup.h"
#include "gateway/journal.h"
#include "gateway/sandbox_record.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#define OPEN_MS	     15000	/* a supervisor has to come */
#define PENDING_MAX  (4u << 20) /* bytes that wait for it */
#define PENDING_HIGH (256u << 10)

struct node_relay {
	TAILQ_ENTRY(node_relay) link;
	struct nodes *nodes;
	char node[NODE_NAME_MAX];
	char id[RELAY_ID_SIZE];
	uint64_t asked_ms;
	struct grpc_call *call; /* NULL until the supervisor came */
	const struct relay_events *events;
	void *arg;
	/* Frames that were sent before: packed, one after another, each behind its length. */
	uint8_t *pending;
	size_t pending_size, pending_capacity;
	bool paused, full, said;
	int exit_code;
};

static void free_relay(struct node_relay *relay)
{
	TAILQ_REMOVE(&relay->nodes->relays, relay, link);
	relay->nodes->relay_count--;
	if (relay->pending)
		OPENSSL_cleanse(relay->pending, relay->pending_size);
	free(relay->pending);
	free(relay);
}

static void end(struct node_relay *relay, int exit_code, int code, const char *message)
{
	const struct relay_events *events = relay->events;
	void *arg = relay->arg;

	relay->events = NULL;
	if (events)
		events->ended(arg, exit_code, code, message);
}

static int make_id(char id[RELAY_ID_SIZE])
{
	uint8_t random[(RELAY_ID_SIZE - 1) / 2];

	if (RAND_bytes(random, sizeof(random)) != 1)
		return -EIO;
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(id + 2 * i, 3, "%02x", random[i]);
	return 0;
}

int node_relay_open(struct nodes *nodes, const char *sandbox_id,
		    const Openshell__Node__V1__OpenRelay *open, const struct relay_events *events,
		    void *arg, struct node_relay **ret_relay, struct error *err)
{
	Openshell__Node__V1__OpenRelay order = *open;
	Openshell__Node__V1__GatewayMessage message = OPENSHELL__NODE__V1__GATEWAY_MESSAGE__INIT;
	struct sandbox_record record = {};
	struct node_relay *relay;
	struct node *node;
	int r = sandbox_record_get_id(nodes->gateway, sandbox_id, &record, err);

	if (r)
		return r;
	node = nodes_find(nodes, record.stored->node);
	if (!node)
		r = error_set(err, -ENOTCONN, "the sandbox's supervisor, %s, is not attached",
			      record.stored->node);
	sandbox_record_clear(&record);
	if (r)
		return r;
	if (nodes->relay_count >= RELAYS_MAX)
		return error_set(err, -ENOSPC, "%d commands and connections are open already",
				 RELAYS_MAX);
	relay = calloc(1, sizeof(*relay));
	if (!relay || make_id(relay->id)) {
		free(relay);
		return error_set(err, -ENOMEM, "out of memory");
	}
	relay->nodes = nodes;
	relay->events = events;
	relay->arg = arg;
	relay->asked_ms = uv_now(nodes->gateway->loop);
	snprintf(relay->node, sizeof(relay->node), "%s", node->name);
	order.relay_id = relay->id;
	order.sandbox_id = (char *)sandbox_id;
	message.payload_case = OPENSHELL__NODE__V1__GATEWAY_MESSAGE__PAYLOAD_OPEN_RELAY;
	message.open_relay = &order;
	TAILQ_INSERT_TAIL(&nodes->relays, relay, link);
	nodes->relay_count++;
	r = grpc_call_send(node->call, &message.base);
	if (r < 0) {
		free_relay(relay);
		return error_set(err, -ENOTCONN, "the sandbox's supervisor is going away");
	}
	*ret_relay = relay;
	return 0;
}

static int keep(struct node_relay *relay, const Openshell__Node__V1__RelayFrame *frame)
{
	uint32_t size = (uint32_t)protobuf_c_message_get_packed_size(&frame->base);
	size_t wanted = relay->pending_size + sizeof(size) + size;

	if (wanted > PENDING_MAX)
		return -ENOBUFS;
	if (wanted > relay->pending_capacity) {
		size_t capacity = wanted * 2;
		uint8_t *grown = malloc(capacity);

		if (!grown)
			return -ENOMEM;
		if (relay->pending) {
			memcpy(grown, relay->pending, relay->pending_size);
			OPENSSL_cleanse(relay->pending, relay->pending_size);
			free(relay->pending);
		}
		relay->pending = grown;
		relay->pending_capacity = capacity;
	}
	memcpy(relay->pending + relay->pending_size, &size, sizeof(size));
	protobuf_c_message_pack(&frame->base, relay->pending + relay->pending_size + sizeof(size));
	relay->pending_size = wanted;
	if (wanted < PENDING_HIGH)
		return 0;
	relay->full = true;
	return 1;
}

int node_relay_send(struct node_relay *relay, const Openshell__Node__V1__RelayFrame *frame)
{
	return relay->call ? grpc_call_send(relay->call, &frame->base) : keep(relay, frame);
}

void node_relay_pause(struct node_relay *relay)
{
	relay->paused = true;
	if (relay->call)
		grpc_call_pause(relay->call);
}

void node_relay_resume(struct node_relay *relay)
{
	relay->paused = false;
	if (relay->call)
		grpc_call_resume(relay->call);
}

void node_relay_cancel(struct node_relay *relay)
{
	relay->events = NULL;
	if (relay->call)
		grpc_call_finish(relay->call, GRPC_CANCELLED, "nobody wants it any more");
	else
		free_relay(relay);
}

/* ---- the supervisor's stream ---- */

static void on_message(void *arg, struct grpc_call *call, const ProtobufCMessage *base)
{
	const Openshell__Node__V1__RelayFrame *frame = (const void *)base;
	struct node_relay *relay = arg;

	if (frame->payload_case == OPENSHELL__NODE__V1__RELAY_FRAME__PAYLOAD_ENDED) {
		const Openshell__Node__V1__Ended *ended = frame->ended;

		relay->said = true;
		grpc_call_finish(call, GRPC_OK, NULL);
		if (*ended->error || ended->code)
			end(relay, -1, ended->code ? ended->code : GRPC_INTERNAL, ended->error);
		else
			end(relay, ended->exit_code, GRPC_OK, "");
		return;
	}
	if (relay->events)
		relay->events->frame(relay->arg, frame);
}

static void on_writable(void *arg, struct grpc_call *call)
{
	struct node_relay *relay = arg;

	if (relay->events && relay->events->writable)
		relay->events->writable(relay->arg);
}

static void on_half_closed(void *arg, struct grpc_call *call)
{
	struct node_relay *relay = arg;

	grpc_call_finish(call, GRPC_OK, NULL);
	end(relay, -1, GRPC_UNAVAILABLE, "the supervisor ended the connection");
}

static void on_ended(void *arg, struct grpc_call *call, int code, const char *message)
{
	struct node_relay *relay = arg;

	end(relay, -1, GRPC_UNAVAILABLE, "the connection to the supervisor was lost");
	free_relay(relay);
}

static void send_pending(struct node_relay *relay)
{
	size_t at = 0;
	bool was_full = relay->full;
	int r = 0;

	while (at < relay->pending_size && r >= 0) {
		Openshell__Node__V1__RelayFrame *frame;
		uint32_t size;

		memcpy(&size, relay->pending + at, sizeof(size));
		frame = openshell__node__v1__relay_frame__unpack(
			NULL, size, relay->pending + at + sizeof(size));
		if (frame) {
			r = grpc_call_send(relay->call, &frame->base);
			openshell__node__v1__relay_frame__free_unpacked(frame, NULL);
		}
		at += sizeof(size) + size;
	}
	if (relay->pending)
		OPENSSL_cleanse(relay->pending, relay->pending_size);
	free(relay->pending);
	relay->pending = NULL;
	relay->pending_size = relay->pending_capacity = 0;
	relay->full = false;
	if (was_full && r == 0 && relay->events && relay->events->writable)
		relay->events->writable(relay->arg);
}

/* Whoever knows the id may take it; another node does not learn it. */
void node_relay_attach(struct request *request)
{
	static const struct grpc_call_events events = {
		.message = on_message,
		.half_closed = on_half_closed,
		.writable = on_writable,
		.ended = on_ended,
	};
	const Openshell__Node__V1__RelayFrame *frame = (const void *)request->message;
	const char *subject = request->principal->subject;
	struct node_relay *relay;

	if (frame->payload_case != OPENSHELL__NODE__V1__RELAY_FRAME__PAYLOAD_INIT) {
		request_fail(request, GRPC_INVALID_ARGUMENT, "the first frame is `init`");
		return;
	}
	TAILQ_FOREACH(relay, &request->gateway->nodes->relays, link)
	if (!relay->call && strlen(frame->init->relay_id) == RELAY_ID_SIZE - 1 &&
	    !CRYPTO_memcmp(relay->id, frame->init->relay_id, RELAY_ID_SIZE - 1))
		break;
	if (!relay || (*subject && strcmp(subject, relay->node) != 0)) {
		request_fail(request, GRPC_NOT_FOUND, "nobody waits for that relay");
		return;
	}
	relay->call = request_take_call(request, &events, relay);
	if (relay->paused)
		grpc_call_pause(relay->call);
	send_pending(relay);
}

void nodes_relays_lost(struct nodes *nodes, const struct node *node)
{
	struct node_relay *relay, *next;

	/* Those whose stream is open go on: it may be another connection. */
	for (relay = TAILQ_FIRST(&nodes->relays); relay; relay = next) {
		next = TAILQ_NEXT(relay, link);
		if (relay->call || strcmp(relay->node, node->name) != 0)
			continue;
		end(relay, -1, GRPC_UNAVAILABLE, "the sandbox's supervisor went away");
		free_relay(relay);
		next = TAILQ_FIRST(&nodes->relays);
	}
}

void nodes_relays_tick(struct nodes *nodes, uint64_t now_ms)
{
	struct node_relay *relay, *next;

	for (relay = TAILQ_FIRST(&nodes->relays); relay; relay = next) {
		next = TAILQ_NEXT(relay, link);
		if (relay->call || now_ms - relay->asked_ms < OPEN_MS)
			continue;
		end(relay, -1, GRPC_UNAVAILABLE, "the sandbox's supervisor does not answer");
		free_relay(relay);
		next = TAILQ_FIRST(&nodes->relays);
	}
}

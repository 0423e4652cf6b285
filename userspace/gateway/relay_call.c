/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/relay_call.h"

#include "common/cleanup.h"
#include "gateway/sandbox_phase.h"
#include "gateway/sandbox_record.h"

#include <errno.h>
#include <stdlib.h>

#define FRAME_MAX 65536

struct relay_call {
	struct grpc_call *call;	  /* NULL: the client's is over */
	struct node_relay *relay; /* NULL: the sandbox's is over */
	const struct relay_translation *translation;
	bool client_waits; /* the client is not read: the sandbox does not take more */
	bool finished;	   /* the call was finished here */
};

static void release(struct relay_call *r)
{
	if (!r->call && !r->relay)
		free(r);
}

static void finish(struct relay_call *r, int code, const char *message)
{
	if (!r->call || r->finished)
		return;
	r->finished = true;
	grpc_call_finish(r->call, code, message);
}

/* ---- from the sandbox ---- */

static void relay_frame(void *arg, const Openshell__Node__V1__RelayFrame *frame)
{
	struct relay_call *r = arg;

	if (!r->call || r->finished)
		return;
	if (r->translation->to_client(r->call, frame) == 1)
		node_relay_pause(r->relay);
}

static void relay_writable(void *arg)
{
	struct relay_call *r = arg;

	if (!r->client_waits || !r->call)
		return;
	r->client_waits = false;
	grpc_call_resume(r->call);
}

static void relay_ended(void *arg, int exit_code, int code, const char *message)
{
	struct relay_call *r = arg;

	r->relay = NULL;
	if (r->call && !r->finished && code == GRPC_OK && r->translation->exited)
		r->translation->exited(r->call, exit_code);
	finish(r, code, message);
	release(r);
}

static const struct relay_events relay_events = {
	.frame = relay_frame,
	.writable = relay_writable,
	.ended = relay_ended,
};

int relay_call_send(struct relay_call *r, const Openshell__Node__V1__RelayFrame *frame)
{
	int result;

	if (!r->relay)
		return -EPIPE;
	result = node_relay_send(r->relay, frame);
	if (result == 1 && r->call && !r->client_waits) {
		r->client_waits = true;
		grpc_call_pause(r->call);
	}
	return result < 0 ? result : 0;
}

int relay_call_send_data(struct relay_call *r, const uint8_t *data, size_t size)
{
	int result = 0;

	while (size && result >= 0) {
		Openshell__Node__V1__RelayFrame frame = OPENSHELL__NODE__V1__RELAY_FRAME__INIT;
		size_t part = size < FRAME_MAX ? size : FRAME_MAX;

		frame.payload_case = OPENSHELL__NODE__V1__RELAY_FRAME__PAYLOAD_DATA;
		frame.data = (ProtobufCBinaryData){part, (uint8_t *)data};
		result = relay_call_send(r, &frame);
		data += part;
		size -= part;
	}
	return result;
}

int relay_call_send_end(struct relay_call *r)
{
	Openshell__Node__V1__RelayFrame frame = OPENSHELL__NODE__V1__RELAY_FRAME__INIT;

	frame.payload_case = OPENSHELL__NODE__V1__RELAY_FRAME__PAYLOAD_END;
	frame.end = true;
	return relay_call_send(r, &frame);
}

/* ---- from the client ---- */

static void call_message(void *arg, struct grpc_call *call, const ProtobufCMessage *message)
{
	struct relay_call *r = arg;
	struct error err = {};
	int result;

	if (!r->translation->to_sandbox || r->finished)
		return;
	result = r->translation->to_sandbox(r, message, &err);
	if (result == -EPIPE)
		return;
	if (result)
		finish(r, grpc_code_of_errno(result),
		       *err.message ? err.message : "it cannot be sent to the sandbox");
}

static void call_half_closed(void *arg, struct grpc_call *call)
{
	struct relay_call *r = arg;

	if (r->translation->to_sandbox)
		(void)relay_call_send_end(r);
}

static void call_writable(void *arg, struct grpc_call *call)
{
	struct relay_call *r = arg;

	if (r->relay)
		node_relay_resume(r->relay);
}

static void call_ended(void *arg, struct grpc_call *call, int code, const char *message)
{
	struct relay_call *r = arg;
	struct node_relay *relay = TAKE_PTR(r->relay);

	r->call = NULL;
	if (relay)
		node_relay_cancel(relay);
	release(r);
}

static const struct grpc_call_events call_events = {
	.message = call_message,
	.half_closed = call_half_closed,
	.writable = call_writable,
	.ended = call_ended,
};

/* What the main process wrote, and how it ended, can be had after its end as well. */
static bool has_ended(const struct sandbox_record *record)
{
	const Openshell__V1__SandboxStatus *status = record->stored->sandbox->status;

	return status->phase == OPENSHELL__V1__SANDBOX_PHASE__SANDBOX_PHASE_ERROR &&
	       status->optional_exit_code_case ==
		       OPENSHELL__V1__SANDBOX_STATUS__OPTIONAL_EXIT_CODE_EXIT_CODE;
}

static int check_ready(struct gateway *gateway, const char *sandbox_id, bool attach,
		       struct error *err)
{
	struct sandbox_record record = {};
	Openshell__V1__SandboxPhase phase;
	int r = sandbox_record_get_id(gateway, sandbox_id, &record, err);

	if (r)
		return r;
	phase = record.stored->sandbox->status->phase;
	if (phase != OPENSHELL__V1__SANDBOX_PHASE__SANDBOX_PHASE_READY &&
	    !(attach && has_ended(&record)))
		r = error_set(err, -EBUSY, "the sandbox is %s, not READY",
			      sandbox_phase_name(phase));
	sandbox_record_clear(&record);
	return r;
}

struct relay_call *relay_call_open(struct request *request, const char *sandbox_id,
				   const Openshell__Node__V1__OpenRelay *open,
				   const struct relay_translation *translation)
{
	struct relay_call *r = NULL;
	struct error err = {};
	bool attach = open->target_case == OPENSHELL__NODE__V1__OPEN_RELAY__TARGET_ATTACH;
	int result = check_ready(request->gateway, sandbox_id, attach, &err);

	if (!result) {
		r = calloc(1, sizeof(*r));
		if (!r)
			result = error_set(&err, -ENOMEM, "out of memory");
	}
	if (!result) {
		r->translation = translation;
		result = node_relay_open(request->gateway->nodes, sandbox_id, open, &relay_events,
					 r, &r->relay, &err);
	}
	if (result) {
		free(r);
		request_fail_error(request, &err);
		return NULL;
	}
	r->call = request_take_call(request, &call_events, r);
	return r;
}

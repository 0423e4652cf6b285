/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads and trailers of calls: what is written, and what is accepted. Part of a session. Reference:
 * "gRPC over HTTP2", Requests and Responses.
 */
#pragma once

#include "common/grpc_internal.h"

/* A response's head; its messages come from @provider. */
int grpc_head_response(nghttp2_session *h2, struct grpc_call *call,
		       const nghttp2_data_provider *provider);
/* The call's status as trailers, or as all that there is. */
int grpc_head_trailers(nghttp2_session *h2, int32_t stream, struct grpc_call *call);
int grpc_head_trailers_only(nghttp2_session *h2, struct grpc_call *call);
/* It is HTTP, but not gRPC: call->http_status alone. */
int grpc_head_refuse(nghttp2_session *h2, struct grpc_call *call);

/*
 * Look at a request's fields: sets method and what else they decide; or a status; or http_status
 * when it is not gRPC. *ret_timeout_ms stays where there is none.
 */
void grpc_head_check_request(struct grpc_call *call, int64_t *ret_timeout_ms);

/* Send a request's head. Returns the stream, or -ENOMEM, -E2BIG. */
int grpc_head_request(struct grpc_session *session, struct grpc_call *call,
		      const struct grpc_metadata *metadata, size_t metadata_len,
		      uint32_t deadline_ms, const nghttp2_data_provider *provider);

/* A response's head, and its trailers; a status is set when they have one or are wrong. */
void grpc_head_check_response(struct grpc_call *call);
void grpc_head_check_trailers(struct grpc_call *call);

/* A client's call ends with the status that came; or since the server reset the stream. */
void grpc_head_done(struct grpc_call *call);
void grpc_head_closed(struct grpc_call *call, uint32_t code);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that the proxy judged, as events: class HTTP, for those to inference.local class API
 * (event_inference.h), and findings about credentials and servers. What a worker told is its word:
 * it is escaped like an agent's. Any thread; cannot fail, and decides nothing. No query string is
 * in any of them.
 */
#pragma once

#include "common/event.h"
#include "common/worker_record.h"

/*
 * The event of @record; *ret_event is set whole. @repeated: it stands for so many, whose bytes and
 * time it has the sums of, 0 = for itself; @others: which have only verdict, host, port and
 * executable in common, and of inference what event_inference.h says.
 */
void event_request(const struct worker_record *record, uint64_t repeated, bool others,
		   const struct event_context *ctx, struct event *ret_event);

/* "https://api.example.com:8443/path", as one word. */
void event_request_url(const struct event *event, struct text *t);

/* "GET https://api.example.com/path", or of a sum "17 requests to https://api.example.com". */
void event_request_object(const struct event *event, struct text *t);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to inference.local, as events: class API, one for each that an agent made. What a worker
 * told is its word, and what is in it the agent's and the provider's: all of it is escaped. Any
 * thread; cannot fail, and decides nothing. No prompt, answer, key or query is in any of them.
 */
#pragma once

#include "common/event.h"
#include "common/worker_record.h"

/*
 * What makes an event of event_request() one of a WORKER_RECORD_INFERENCE. @others: it stands for
 * several that have route, provider, model, API, status and error in common.
 */
void event_inference(const struct worker_record *record, bool others, struct event *event);

/* True if it got no answer that a client can use, whoever's fault that is; not one denied. */
bool event_inference_failed(const struct event *event);

/* "[route:fast provider:openai ..] [tokens:812+154 ..]", with a blank before each. */
void event_inference_context(const struct event *event, struct text *t);

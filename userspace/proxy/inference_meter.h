/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many tokens a response says that it cost: found in what passes, of which next to nothing is
 * kept. Of a stream of server-sent events, each line that speaks of usage; of one JSON object, the
 * members that do, however large the others. What cannot be read says nothing. Owned by its tap;
 * the worker's loop. Never fails: without memory it does not count.
 */
#pragma once

#include "proxy/http.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum inference_meter_kind {
	INFERENCE_METER_NONE = 0, /* only bytes are counted */
	INFERENCE_METER_EVENTS,
	INFERENCE_METER_JSON,
};

/* What is kept of what came, up to a limit; NULL at first. */
struct inference_kept {
	char *data;
	uint32_t size, room;
};

struct inference_meter {
	enum inference_meter_kind kind;
	uint64_t bytes, events;
	uint32_t input, output; /* tokens, the most that was said */
	bool has_input, has_output;
	struct inference_kept kept; /* a line, or a member's value */
	/* of events */
	bool skips; /* what comes is the rest of a line that is too long */
	/* of JSON */
	uint32_t depth;
	bool in_string, escaped, ended;
	uint8_t place; /* in the outermost object */
	uint8_t name_size;
	char name[24];
};

void inference_meter_data(struct inference_meter *meter, const uint8_t *data, size_t size);

/* Nothing comes after what came. */
void inference_meter_end(struct inference_meter *meter);
void inference_meter_free(struct inference_meter *meter);

/* A decimal number of tokens, said by somebody else; what is none is passed over. */
void inference_meter_input(struct inference_meter *meter, struct text number);
void inference_meter_output(struct inference_meter *meter, struct text number);

/* For the files of this module */

/* What is called usage. @begun: of a response that has only begun, so that its output is not all.
 */
void inference_meter_usage(struct inference_meter *meter, struct text object, bool begun);

/* One data line of a stream, and one member of the outermost object; neither is checked yet. */
void inference_meter_event(struct inference_meter *meter, struct text json);
void inference_meter_member(struct inference_meter *meter, struct text name, struct text json);

void inference_meter_lines(struct inference_meter *meter, const uint8_t *data, size_t size);
void inference_meter_walk(struct inference_meter *meter, const uint8_t *data, size_t size);

/* False: it is full, or there is no memory; nothing is kept any more. */
bool inference_kept_add(struct inference_kept *kept, const void *data, size_t size, size_t most);
void inference_kept_drop(struct inference_kept *kept);

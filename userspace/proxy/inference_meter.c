/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/inference_meter.h"

#include "common/cleanup.h"
#include "proxy/json_view.h"

#include <stdlib.h>

#define SCRATCH_MAX (1u << 20)

/* Numbers */

static bool read_number(struct text text, uint32_t *ret_number)
{
	uint64_t number = 0;

	if (!text.size)
		return false;
	for (uint32_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		number = number * 10 + (uint64_t)(text.data[i] - '0');
		if (number > UINT32_MAX)
			number = UINT32_MAX;
	}
	*ret_number = (uint32_t)number;
	return true;
}

static uint32_t sum(uint32_t a, uint32_t b)
{
	return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

/* Servers say it once, or again and again as it grows. */
static void at_least(uint32_t *most, uint32_t number)
{
	if (*most < number)
		*most = number;
}

void inference_meter_input(struct inference_meter *meter, struct text number)
{
	uint32_t tokens;

	if (!read_number(number, &tokens))
		return;
	at_least(&meter->input, tokens);
	meter->has_input = true;
}

void inference_meter_output(struct inference_meter *meter, struct text number)
{
	uint32_t tokens;

	if (!read_number(number, &tokens))
		return;
	at_least(&meter->output, tokens);
	meter->has_output = true;
}

/* Usage */

enum count {
	INPUT,
	INPUT_UNCACHED, /* Anthropic's: what was cached is counted beside it */
	CACHED,
	OUTPUT,
	TOTAL,
	COUNTS,
};

static const struct {
	const char *name;
	enum count count;
} counts[] = {
	{"\"prompt_tokens\"", INPUT},
	{"\"input_tokens\"", INPUT_UNCACHED},
	{"\"inputTokens\"", INPUT},
	{"\"cache_creation_input_tokens\"", CACHED},
	{"\"cache_read_input_tokens\"", CACHED},
	{"\"completion_tokens\"", OUTPUT},
	{"\"output_tokens\"", OUTPUT},
	{"\"outputTokens\"", OUTPUT},
	{"\"total_tokens\"", TOTAL},
	{"\"totalTokens\"", TOTAL},
};

static void read_counts(struct text object, uint32_t found[COUNTS], bool has[COUNTS])
{
	struct text name, value;
	uint32_t place = 0, number;

	while (json_view_member(object, &place, &name, &value))
		for (size_t i = 0; i < ARRAY_LEN(counts); i++)
			if (text_is(name, counts[i].name) && read_number(value, &number)) {
				found[counts[i].count] = sum(found[counts[i].count], number);
				has[counts[i].count] = true;
			}
}

void inference_meter_usage(struct inference_meter *meter, struct text object, bool begun)
{
	uint32_t found[COUNTS] = {}, input;
	bool has[COUNTS] = {};

	if (json_view_kind(object) != JSON_VIEW_OBJECT)
		return;
	read_counts(object, found, has);
	input = has[INPUT] ? found[INPUT] : sum(found[INPUT_UNCACHED], found[CACHED]);
	if (has[INPUT] || has[INPUT_UNCACHED]) {
		at_least(&meter->input, input);
		meter->has_input = true;
	}
	if (!has[OUTPUT] && has[TOTAL] && meter->has_input && found[TOTAL] >= input) {
		found[OUTPUT] = found[TOTAL] - input;
		has[OUTPUT] = true;
	}
	if (!has[OUTPUT])
		return;
	at_least(&meter->output, found[OUTPUT]);
	meter->has_output |= !begun;
}

/* Texts */

static bool is_json(struct text json)
{
	size_t room = 2 * (size_t)json.size + 64;
	_cleanup_free_ void *scratch = malloc(room < SCRATCH_MAX ? room : SCRATCH_MAX);
	const char *why;

	return scratch && !json_view_check((const uint8_t *)json.data, json.size, scratch,
					   room < SCRATCH_MAX ? room : SCRATCH_MAX, &why);
}

static struct text member(struct text object, const char *wanted)
{
	struct text name, value;
	uint32_t place = 0;

	while (object.size && json_view_member(object, &place, &name, &value))
		if (text_is(name, wanted))
			return value;
	return (struct text){};
}

/*
 * `usage` of a chunk; of the response in an event of the responses API; and of the message that
 * begins, as Anthropic has it.
 */
void inference_meter_event(struct inference_meter *meter, struct text json)
{
	struct text root;

	if (!is_json(json))
		return;
	root = json_view_value((const uint8_t *)json.data, json.size);
	inference_meter_usage(meter, member(root, "\"usage\""), false);
	inference_meter_usage(meter, member(member(root, "\"response\""), "\"usage\""), false);
	inference_meter_usage(meter, member(member(root, "\"message\""), "\"usage\""), true);
}

static void read_results(struct inference_meter *meter, struct text array)
{
	uint32_t place = 0, total = 0, number;
	struct text element;
	bool any = false;

	while (json_view_element(array, &place, &element))
		if (read_number(member(element, "\"tokenCount\""), &number)) {
			total = sum(total, number);
			any = true;
		}
	if (!any)
		return;
	at_least(&meter->output, total);
	meter->has_output = true;
}

/* Without `usage`: models of Amazon's, and Llama at Bedrock. */
void inference_meter_member(struct inference_meter *meter, struct text name, struct text json)
{
	struct text value;

	if (!is_json(json))
		return;
	value = json_view_value((const uint8_t *)json.data, json.size);
	if (text_is(name, "usage"))
		inference_meter_usage(meter, value, false);
	else if (text_is(name, "results"))
		read_results(meter, value);
	else if (text_is(name, "inputTextTokenCount") || text_is(name, "prompt_token_count"))
		inference_meter_input(meter, value);
	else if (text_is(name, "generation_token_count"))
		inference_meter_output(meter, value);
}

/* Data */

bool inference_kept_add(struct inference_kept *kept, const void *data, size_t size, size_t most)
{
	if (size > most - kept->size) {
		inference_kept_drop(kept);
		return false;
	}
	if (size > kept->room - kept->size) {
		size_t room = 2 * ((size_t)kept->size + size);
		char *larger = realloc(kept->data, room < most ? room : most);

		if (!larger) {
			inference_kept_drop(kept);
			return false;
		}
		kept->data = larger;
		kept->room = (uint32_t)(room < most ? room : most);
	}
	if (size)
		memcpy(kept->data + kept->size, data, size);
	kept->size += (uint32_t)size;
	return true;
}

void inference_kept_drop(struct inference_kept *kept)
{
	free(kept->data);
	*kept = (struct inference_kept){};
}

void inference_meter_data(struct inference_meter *meter, const uint8_t *data, size_t size)
{
	meter->bytes += size;
	if (meter->kind == INFERENCE_METER_EVENTS)
		inference_meter_lines(meter, data, size);
	else if (meter->kind == INFERENCE_METER_JSON)
		inference_meter_walk(meter, data, size);
}

void inference_meter_end(struct inference_meter *meter)
{
	/* A last line without its end is one all the same. */
	if (meter->kind == INFERENCE_METER_EVENTS && meter->kept.size)
		inference_meter_lines(meter, (const uint8_t *)"\n", 1);
}

void inference_meter_free(struct inference_meter *meter)
{
	inference_kept_drop(&meter->kept);
}

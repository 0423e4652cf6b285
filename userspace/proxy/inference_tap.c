/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "proxy/inference_inflate.h"
#include "proxy/inference_internal.h"
#include "proxy/inference_meter.h"
#include "proxy/inference_response.h"
#include "proxy/inference_scan.h"

#include <stdlib.h>
#include <strings.h>

#define API(name) OPENSHELL__WORKER__V1__INFERENCE_API__INFERENCE_API_##name

#define KEPT_MAX (256u << 10) /* compressed bytes that are kept back */

#define BYTES_PER_TOKEN 4

struct inference_tap {
	inference_api api;
	uint16_t status;
	bool is_events, refused;
	uint8_t last;			   /* byte that was passed on */
	struct inference_scan *scan;	   /* NULL: nothing to look for */
	struct inference_inflate *inflate; /* NULL: not compressed */
	struct inference_meter meter;
	/* What is kept back: a secret's beginning, or compressed bytes that hold it. */
	struct text beginning;
	struct inference_kept kept, given; /* given: in what the last call returned */
	/* in a call: what came out so far of these bytes */
	uint64_t came_out;
};

/* Creation */

/* Whether a body in these encodings can be looked into; *ret_coding only if it is compressed. */
static bool read_encoding(const struct http_head *head, bool *ret_compressed,
			  enum inference_coding *ret_coding)
{
	static const struct {
		const char *name;
		bool compressed;
		enum inference_coding coding;
	} known[] = {
		{"identity", false, 0},
		{"gzip", true, INFERENCE_CODING_GZIP},
		{"x-gzip", true, INFERENCE_CODING_GZIP},
		{"deflate", true, INFERENCE_CODING_DEFLATE},
	};
	const struct http_field *field = NULL;

	*ret_compressed = false;
	for (uint16_t i = 0; i < head->fields; i++) {
		if (!text_is(head->field[i].name, "content-encoding"))
			continue;
		if (field)
			return false;
		field = &head->field[i];
	}
	if (!field || !field->value.size)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (field->value.size == strlen(known[i].name) &&
		    !strncasecmp(field->value.data, known[i].name, field->value.size)) {
			*ret_compressed = known[i].compressed;
			*ret_coding = known[i].coding;
			return true;
		}
	return false;
}

static enum inference_meter_kind kind_of(const struct http_head *head)
{
	if (inference_type_is(head, "text/event-stream"))
		return INFERENCE_METER_EVENTS;
	if (inference_type_is(head, "application/json"))
		return INFERENCE_METER_JSON;
	return INFERENCE_METER_NONE;
}

static void read_head(struct inference_tap *tap, const struct http_head *head)
{
	const struct http_field *input = http_field_find(head, "x-amzn-bedrock-input-token-count");
	const struct http_field *output =
		http_field_find(head, "x-amzn-bedrock-output-token-count");

	if (input)
		inference_meter_input(&tap->meter, input->value);
	if (output)
		inference_meter_output(&tap->meter, output->value);
}

int inference_tap_new(const struct inference_route *route, inference_api api,
		      const struct http_head *head, struct inference_tap **ret_tap)
{
	struct inference_tap *tap = calloc(1, sizeof(*tap));
	enum inference_coding coding = INFERENCE_CODING_GZIP;
	bool compressed = false, readable;
	int r;

	if (!tap)
		return -ENOMEM;
	readable = read_encoding(head, &compressed, &coding);
	tap->api = api;
	tap->status = head->status;
	tap->is_events = inference_type_is(head, "text/event-stream");
	tap->last = '\n';
	if (readable)
		tap->meter.kind = kind_of(head);
	read_head(tap, head);
	r = inference_scan_new(route, &tap->scan);
	if (!r && compressed)
		r = inference_inflate_new(coding, &tap->inflate);
	if (r < 0) {
		inference_tap_free(tap);
		return r;
	}
	*ret_tap = tap;
	return 0;
}

void inference_tap_free(struct inference_tap *tap)
{
	if (!tap)
		return;
	inference_scan_free(tap->scan);
	inference_inflate_free(tap->inflate);
	inference_meter_free(&tap->meter);
	inference_kept_drop(&tap->kept);
	inference_kept_drop(&tap->given);
	free(tap);
}

/* What comes as it is */

static int take_plain(struct inference_tap *tap, const uint8_t *data, size_t size, bool end,
		      struct text ret_out[2])
{
	size_t pending = tap->beginning.size + size, pass = pending, first;
	struct text beginning = {};
	bool found = false;
	int64_t begin = 0;

	if (tap->scan) {
		found = inference_scan_find(tap->scan, data, size, &begin);
		beginning = inference_scan_beginning(tap->scan);
	}
	if (found) {
		begin += tap->beginning.size;
		/* Fewer bytes of it than are kept back went on before it was one. */
		pass = begin > 0 ? (size_t)begin : 0;
	} else if (!end && beginning.size) {
		pass -= beginning.size < pending ? beginning.size : pending;
	}
	first = pass < tap->beginning.size ? pass : tap->beginning.size;
	ret_out[0] = (struct text){tap->beginning.data, (uint32_t)first};
	ret_out[1] = (struct text){(const char *)data, (uint32_t)(pass - first)};
	if (found)
		return -EACCES;
	inference_meter_data(&tap->meter, data, size);
	/* Of the beginning, its end: the other bytes of it went on before. */
	pending -= pass;
	tap->beginning =
		(struct text){beginning.data ? beginning.data + beginning.size - pending : NULL,
			      (uint32_t)pending};
	return 0;
}

/* What comes compressed */

static int take_inflated(void *arg, const uint8_t *data, size_t size)
{
	struct inference_tap *tap = arg;
	int64_t begin;

	tap->came_out += size;
	if (tap->scan && inference_scan_find(tap->scan, data, size, &begin))
		return -EACCES;
	inference_meter_data(&tap->meter, data, size);
	return 0;
}

/* It cannot be looked into any further, by nobody: it is passed on as it comes. */
static void give_up(struct inference_tap *tap)
{
	inference_inflate_free(tap->inflate);
	tap->inflate = NULL;
	tap->meter.kind = INFERENCE_METER_NONE;
	if (tap->scan)
		inference_scan_reset(tap->scan);
}

static void release(struct inference_tap *tap, struct text *ret_out)
{
	tap->given = tap->kept;
	tap->kept = (struct inference_kept){};
	*ret_out = (struct text){tap->given.data, tap->given.size};
}

static int keep(struct inference_tap *tap, const uint8_t *data, size_t size)
{
	size_t most = size > KEPT_MAX ? size : KEPT_MAX;

	/* Nothing that was made in good faith says so little in so much. */
	if (tap->kept.size && size > KEPT_MAX - tap->kept.size)
		return -EACCES;
	return inference_kept_add(&tap->kept, data, size, most) ? 0 : -ENOMEM;
}

static int take_compressed(struct inference_tap *tap, const uint8_t *data, size_t size, bool end,
			   struct text ret_out[2])
{
	struct text beginning = {};
	int r;

	tap->came_out = 0;
	r = inference_inflate_data(tap->inflate, data, size, take_inflated, tap);
	if (r == -EBADMSG || r == -E2BIG)
		give_up(tap);
	else if (r < 0)
		return r;
	if (tap->scan && !end)
		beginning = inference_scan_beginning(tap->scan);
	if (!beginning.size) {
		release(tap, &ret_out[0]);
		ret_out[1] = (struct text){(const char *)data, (uint32_t)size};
		return 0;
	}
	/* It begins in these bytes: what was kept holds none of it. */
	if (beginning.size <= tap->came_out)
		release(tap, &ret_out[0]);
	return keep(tap, data, size);
}

int inference_tap_data(struct inference_tap *tap, const uint8_t *data, size_t size, bool end,
		       struct text ret_out[2])
{
	struct text out[2] = {};
	int r = -EACCES;

	inference_kept_drop(&tap->given);
	if (!tap->refused)
		r = tap->inflate ? take_compressed(tap, data, size, end, out)
				 : take_plain(tap, data, size, end, out);
	ret_out[0] = out[0];
	ret_out[1] = out[1];
	for (int i = 0; i < 2; i++)
		if (out[i].size)
			tap->last = (uint8_t)out[i].data[out[i].size - 1];
	tap->refused = r < 0;
	if (!r && end)
		inference_meter_end(&tap->meter);
	return r;
}

/* Results */

static uint32_t at_most_32(uint64_t number)
{
	return number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
}

/* A stream has about one event for each token. */
static uint32_t guess_output(const struct inference_tap *tap)
{
	const struct inference_meter *meter = &tap->meter;
	uint64_t guess = meter->bytes / BYTES_PER_TOKEN;

	if (meter->kind == INFERENCE_METER_EVENTS)
		guess = meter->events;
	return at_most_32(guess > meter->output ? guess : meter->output);
}

struct inference_usage inference_tap_usage(const struct inference_tap *tap, size_t request_size)
{
	const struct inference_meter *meter = &tap->meter;
	struct inference_usage usage = {.input = meter->input, .output = meter->output};
	bool has_output = meter->has_output || tap->api == API(EMBEDDINGS);

	usage.known = meter->has_input && has_output;
	/* Errors and lists of models cost none. */
	if (usage.known || tap->api == API(MODELS) || tap->status >= 300)
		return usage;
	if (!meter->has_input)
		usage.input = at_most_32(request_size / BYTES_PER_TOKEN);
	if (!has_output)
		usage.output = guess_output(tap);
	return usage;
}

bool inference_tap_in_line(const struct inference_tap *tap)
{
	return tap->is_events && !tap->inflate && tap->last != '\n';
}

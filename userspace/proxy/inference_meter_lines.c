/* SPDX-License-Identifier: Apache-2.0 */
/* Server-sent events, WHATWG HTML section 9.2.6, as far as it takes to find usage in them. */
#include "proxy/inference_meter.h"

#define LINE_BYTES (256u << 10)
#define KEEP_ROOM  4096 /* of memory for lines in pieces that is kept for the next */

/* Whether it speaks of usage, and not only to say that it does not: `"usage":null`. */
static bool speaks_of_usage(const char *line, size_t size)
{
	const char *at = line, *end = line + size;

	while ((at = memmem(at, (size_t)(end - at), "\"usage\"", 7))) {
		at += 7;
		while (at < end && (*at == ' ' || *at == ':'))
			at++;
		if (at < end && *at != 'n')
			return true;
	}
	return false;
}

static void take_line(struct inference_meter *meter, const char *line, size_t size)
{
	if (size < 6 || memcmp(line, "data:", 5))
		return;
	line += 5;
	size -= 5;
	meter->events++;
	if (speaks_of_usage(line, size))
		inference_meter_event(meter, (struct text){line, (uint32_t)size});
}

static const uint8_t *end_of_line(const uint8_t *data, size_t size)
{
	const uint8_t *feed = memchr(data, '\n', size);
	const uint8_t *carriage = memchr(data, '\r', feed ? (size_t)(feed - data) : size);

	return carriage ? carriage : feed;
}

static void end_kept(struct inference_meter *meter)
{
	take_line(meter, meter->kept.data, meter->kept.size);
	meter->kept.size = 0;
	if (meter->kept.room > KEEP_ROOM)
		inference_kept_drop(&meter->kept);
}

void inference_meter_lines(struct inference_meter *meter, const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size, *eol;

	while (data < end) {
		eol = end_of_line(data, (size_t)(end - data));
		if (!meter->skips && (meter->kept.size || !eol))
			meter->skips = !inference_kept_add(
				&meter->kept, data, (size_t)((eol ? eol : end) - data), LINE_BYTES);
		if (!eol)
			return;
		if (meter->kept.size)
			end_kept(meter);
		else if (!meter->skips)
			take_line(meter, (const char *)data, (size_t)(eol - data));
		meter->skips = false;
		data = eol + 1;
	}
}

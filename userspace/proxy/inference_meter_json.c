/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One JSON object that may be of any size, embeddings above all: walked through byte by byte, and
 * only the members that speak of usage are kept. It need not be well-formed; then nothing comes of
 * it.
 */
#include "common/cleanup.h"
#include "proxy/inference_meter.h"

#define VALUE_MAX 16384

/* In the outermost object; the depth is 1 */
enum place {
	BEFORE_NAME = 0,
	IN_NAME,
	AFTER_NAME,
	IN_VALUE,
	IN_WANTED, /* a value that is kept */
};

static bool is_wanted(struct text name)
{
	static const char *const names[] = {
		"usage",
		"results",
		"inputTextTokenCount",
		"prompt_token_count",
		"generation_token_count",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (text_is(name, names[i]))
			return true;
	return false;
}

static struct text name_of(const struct inference_meter *meter)
{
	/* One that is too long is none. */
	return (struct text){meter->name,
			     meter->name_size < sizeof(meter->name) ? meter->name_size : 0};
}

static void end_value(struct inference_meter *meter)
{
	struct text value = {meter->kept.data, meter->kept.size};

	if (meter->place == IN_WANTED && value.size)
		inference_meter_member(meter, name_of(meter), value);
	inference_kept_drop(&meter->kept);
	meter->place = BEFORE_NAME;
}

static void in_string(struct inference_meter *meter, char c)
{
	if (meter->escaped)
		meter->escaped = false;
	else if (c == '\\')
		meter->escaped = true;
	else if (c == '"')
		meter->in_string = false;
	if (meter->place != IN_NAME)
		return;
	if (!meter->in_string)
		meter->place = AFTER_NAME;
	else if (meter->name_size < sizeof(meter->name))
		meter->name[meter->name_size++] = c;
}

static void opens(struct inference_meter *meter, char c)
{
	if (!meter->depth && c != '{')
		meter->ended = true;
	if (meter->depth++ == UINT32_MAX)
		meter->ended = true;
}

static void closes(struct inference_meter *meter)
{
	if (meter->depth <= 1) {
		end_value(meter);
		meter->ended = true;
	} else {
		meter->depth--;
	}
}

static void outside_string(struct inference_meter *meter, char c)
{
	switch (c) {
	case '"':
		meter->in_string = true;
		if (meter->depth == 1 && meter->place == BEFORE_NAME) {
			meter->place = IN_NAME;
			meter->name_size = 0;
		}
		break;
	case '{':
	case '[':
		opens(meter, c);
		break;
	case '}':
	case ']':
		closes(meter);
		break;
	case ',':
		if (meter->depth == 1)
			end_value(meter);
		break;
	case ':':
		if (meter->depth == 1 && meter->place == AFTER_NAME)
			meter->place = is_wanted(name_of(meter)) ? IN_WANTED : IN_VALUE;
		break;
	default:
		break;
	}
}

void inference_meter_walk(struct inference_meter *meter, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size && !meter->ended; i++) {
		char c = (char)data[i];
		bool wanted = meter->place == IN_WANTED;

		if (meter->in_string)
			in_string(meter, c);
		else
			outside_string(meter, c);
		/* What ended the value has changed the place. */
		if (wanted && meter->place == IN_WANTED && !meter->ended &&
		    !inference_kept_add(&meter->kept, &c, 1, VALUE_MAX))
			meter->place = IN_VALUE;
	}
}

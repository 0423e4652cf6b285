/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http1_internal.h"

#define LETTER (HTTP1_TOKEN | HTTP1_VALUE | HTTP1_TARGET | HTTP1_HOSTNAME)
#define UPPER  (LETTER | HTTP1_METHOD | HTTP1_UPPER)
#define DIGIT  (LETTER | HTTP1_METHOD)
#define MARK   (HTTP1_TOKEN | HTTP1_VALUE | HTTP1_TARGET)
#define OTHER  (HTTP1_VALUE | HTTP1_TARGET)

const uint8_t http1_classes[256] = {
	['\t'] = HTTP1_VALUE,
	[' '] = HTTP1_VALUE,
	['!'] = MARK,
	['"'] = OTHER,
	['#'] = HTTP1_TOKEN | HTTP1_VALUE,
	['$'] = MARK,
	['%'] = MARK,
	['&'] = MARK,
	['\''] = MARK,
	['('] = OTHER,
	[')'] = OTHER,
	['*'] = MARK,
	['+'] = MARK,
	[','] = OTHER,
	['-'] = DIGIT,
	['.'] = MARK | HTTP1_HOSTNAME,
	['/'] = OTHER,
	['0' ... '9'] = DIGIT,
	[':' ... '@'] = OTHER,
	['A' ... 'Z'] = UPPER,
	['[' ... ']'] = OTHER,
	['^'] = MARK,
	['_'] = DIGIT,
	['`'] = MARK,
	['a' ... 'z'] = LETTER,
	['{'] = OTHER,
	['|'] = MARK,
	['}'] = OTHER,
	['~'] = MARK,
	[0x80 ... 0xff] = HTTP1_VALUE,
};

/* Why a line cannot go on with the byte at @p. */
static int refuse_byte(uint8_t c, bool in_name, struct http1_problem *ret_problem)
{
	const char *why = in_name ? "a field's name has a character that no name has"
				  : "a field's value has a control character";

	if (c == '\n')
		why = "a line ends without a carriage return";
	else if (c == '\r')
		why = "a carriage return is not at the end of a line";
	else if (in_name && (c == ' ' || c == '\t'))
		why = "there is white space before a field's colon";
	else if (in_name && c == ':')
		why = "a field has no name";
	return http1_refuse(ret_problem, 400, why);
}

/* The value and the line's end, from after the colon on. *place moves to the next line. */
static int read_value(const uint8_t *data, const uint8_t **place, const uint8_t *end,
		      struct http1_line *line, struct http1_problem *ret_problem)
{
	const uint8_t *p = *place, *start = p, *stop;

	stop = http1_skip_value(p, end);
	if (stop - start > HTTP1_VALUE_MAX)
		return http1_refuse(ret_problem, 431, "a field's value is too long");
	if (stop == end)
		return 0;
	if (*stop != '\r')
		return refuse_byte(*stop, false, ret_problem);
	if (stop + 1 == end)
		return 0;
	if (stop[1] != '\n')
		return refuse_byte(*stop, false, ret_problem);
	*place = stop + 2;
	while (p < stop && (*p == ' ' || *p == '\t'))
		p++;
	while (stop > p && (stop[-1] == ' ' || stop[-1] == '\t'))
		stop--;
	line->value = (uint16_t)(p - data);
	line->value_size = (uint16_t)(stop - p);
	return 1;
}

int http1_lines_read(const uint8_t *data, size_t size, size_t at, struct http1_lines *ret_lines,
		     size_t *ret_end, struct http1_problem *ret_problem)
{
	const uint8_t *p = data + at, *end = data + size;
	uint16_t count = 0;

	for (;;) {
		const uint8_t *name = p;
		struct http1_line *line;
		int r;

		p = http1_skip(p, end, HTTP1_TOKEN);
		if (p == end)
			return 0;
		if (*p != ':' || p == name) {
			if (p == name && (*p == ' ' || *p == '\t'))
				return http1_refuse(ret_problem, 400,
						    "a field's value goes on in another line");
			if (*p != '\r' || p != name)
				return refuse_byte(*p, true, ret_problem);
			if (p + 1 == end)
				return 0;
			if (p[1] != '\n')
				return refuse_byte(*p, true, ret_problem);
			ret_lines->count = count;
			*ret_end = (size_t)(p + 2 - data);
			return 1;
		}
		if (count == HTTP_FIELDS_MAX)
			return http1_refuse(ret_problem, 431, "there are too many fields");
		line = &ret_lines->line[count++];
		line->name = (uint16_t)(name - data);
		line->name_size = (uint16_t)(p - name);
		p++;
		r = read_value(data, &p, end, line, ret_problem);
		if (r <= 0)
			return r;
	}
}

bool http1_says(struct text text, const char *string)
{
	if (text.size != strlen(string))
		return false;
	for (uint32_t i = 0; i < text.size; i++)
		if (http1_lower((uint8_t)text.data[i]) != (uint8_t)string[i])
			return false;
	return true;
}

bool http1_list_next(struct text *list, struct text *ret_item)
{
	const char *p = list->data, *end = p + list->size, *start, *stop;

	while (p < end && (*p == ',' || *p == ' ' || *p == '\t'))
		p++;
	if (p == end)
		return false;
	start = p;
	while (p < end && *p != ',')
		p++;
	stop = p;
	while (stop[-1] == ' ' || stop[-1] == '\t')
		stop--;
	*ret_item = (struct text){start, (uint32_t)(stop - start)};
	*list = (struct text){p, (uint32_t)(end - p)};
	return true;
}

enum http1_special http1_special_of(struct text name)
{
#define IS(literal, value)                                                                         \
	do {                                                                                       \
		if (!memcmp(name.data, literal, sizeof(literal) - 1))                              \
			return value;                                                              \
	} while (0)

	switch (name.size) {
	case 2:
		IS("te", HTTP1_TE);
		break;
	case 4:
		IS("host", HTTP1_HOST);
		break;
	case 6:
		IS("expect", HTTP1_EXPECT);
		break;
	case 7:
		IS("upgrade", HTTP1_UPGRADE);
		IS("trailer", HTTP1_IGNORED);
		break;
	case 10:
		IS("connection", HTTP1_CONNECTION);
		IS("keep-alive", HTTP1_IGNORED);
		break;
	case 14:
		IS("content-length", HTTP1_CONTENT_LENGTH);
		IS("http2-settings", HTTP1_IGNORED);
		break;
	case 16:
		IS("proxy-connection", HTTP1_IGNORED);
		break;
	case 17:
		IS("transfer-encoding", HTTP1_TRANSFER_ENCODING);
		break;
	}
	return HTTP1_ORDINARY;
#undef IS
}

void http1_fields_hand(const uint8_t *data, const struct http1_lines *lines, bool te_trailers,
		       struct http_head *head)
{
	const char *base = (const char *)data;
	uint16_t fields = 0;

	for (uint16_t i = 0; i < lines->count; i++) {
		const struct http1_line *line = &lines->line[i];
		struct http_field *field = &head->field[fields];

		if (!line->name_size)
			continue;
		field->name = (struct text){base + line->name, line->name_size};
		field->value = (struct text){base + line->value, line->value_size};
		fields++;
	}
	/* There is room: a TE line was taken out for it. */
	if (te_trailers)
		head->field[fields++] = (struct http_field){TEXT("te"), TEXT("trailers")};
	head->fields = fields;
}

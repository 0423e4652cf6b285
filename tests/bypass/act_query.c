/* SPDX-License-Identifier: Apache-2.0 */
#include "act_query.h"

#include "act.h"
#include "common/cleanup.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

int act_hex(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : (tolower((unsigned char)c) - 'a') + 10;
}

/* @text as labels. Empty labels and long ones are written as asked: that is what is tested. */
static void put_name(struct act_query *q, const char *text)
{
	size_t start = q->len++;

	for (; *text; text++) {
		if (*text == '.') {
			q->data[start] = (unsigned char)(q->len - start - 1);
			start = q->len++;
		} else if (*text == '%' && isxdigit((unsigned char)text[1]) &&
			   isxdigit((unsigned char)text[2])) {
			q->data[q->len++] =
				(unsigned char)(act_hex(text[1]) << 4 | act_hex(text[2]));
			text += 2;
		} else {
			q->data[q->len++] = (unsigned char)*text;
		}
		if (q->len > sizeof(q->data) - 64)
			break;
	}
	q->data[start] = (unsigned char)(q->len - start - 1);
	/* A name that ends with a dot has its root already. */
	if (q->data[start])
		q->data[q->len++] = 0;
}

void act_query_put16(struct act_query *q, unsigned int value)
{
	q->data[q->len++] = (unsigned char)(value >> 8);
	q->data[q->len++] = (unsigned char)value;
}

static const struct {
	const char *name;
	unsigned int number;
} types[] = {
	{"A", 1},     {"NS", 2},     {"CNAME", 5},  {"SOA", 6},	  {"NULL", 10},
	{"PTR", 12},  {"MX", 15},    {"TXT", 16},   {"AAAA", 28}, {"SRV", 33},
	{"SVCB", 64}, {"HTTPS", 65}, {"AXFR", 252}, {"ANY", 255},
};

static unsigned int type_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (!strcmp(types[i].name, name))
			return types[i].number;
	return (unsigned int)act_number(name);
}

void act_query_make(const char *name, const char *type, struct act_query *q)
{
	q->len = 0;
	act_query_put16(q, QUERY_ID);
	act_query_put16(q, 0x0100); /* recursion desired */
	act_query_put16(q, 1);
	act_query_put16(q, 0);
	act_query_put16(q, 0);
	act_query_put16(q, 0);
	put_name(q, name);
	act_query_put16(q, type_of(type));
	act_query_put16(q, 1);
}

/* Past one name, compressed or not; 0 if it leaves the message. */
static size_t skip_name(const unsigned char *data, size_t len, size_t at)
{
	while (at < len && data[at]) {
		if (data[at] >= 0xc0)
			return at + 2;
		at += data[at] + 1u;
	}
	return at + 1;
}

unsigned int act_get16(const unsigned char *data)
{
	return (unsigned int)data[0] << 8 | data[1];
}

/* Say what an answer says: rcode, the question's text, addresses. */
int act_query_say(const unsigned char *data, size_t len, const struct act_query *q)
{
	static const char *const rcodes[] = {"NOERROR",	 "FORMERR", "SERVFAIL",
					     "NXDOMAIN", "NOTIMP",  "REFUSED"};
	unsigned int rcode, count;
	size_t at = 12;

	if (len < 12 || act_get16(data) != QUERY_ID || !(data[2] & 0x80))
		return -EPROTO;
	rcode = data[3] & 0xf;
	count = act_get16(data + 6);
	act_say("rcode=%s", rcode < ARRAY_LEN(rcodes) ? rcodes[rcode] : "other");
	if (data[2] & 2)
		act_say("truncated");
	act_say("answers=%u", count);
	if (act_get16(data + 4) == 1 && q) {
		size_t question = q->len - 16;

		act_say("question=%s",
			len >= 12 + question && !memcmp(data + 12, q->data + 12, question)
				? "same"
				: "other");
	}
	for (unsigned int i = act_get16(data + 4); i; i--)
		at = skip_name(data, len, at) + 4;
	for (; count && at + 12 < len; count--) {
		char text[INET6_ADDRSTRLEN];
		unsigned int type, size;

		at = skip_name(data, len, at);
		if (at + 10 > len)
			return -EPROTO;
		type = act_get16(data + at);
		size = act_get16(data + at + 8);
		at += 10;
		if (at + size > len)
			return -EPROTO;
		if (type == 1 && size == 4)
			act_say("a=%s", inet_ntop(AF_INET, data + at, text, sizeof(text)));
		else if (type == 28 && size == 16)
			act_say("aaaa=%s", inet_ntop(AF_INET6, data + at, text, sizeof(text)));
		else
			act_say("type=%u", type);
		at += size;
	}
	return 0;
}

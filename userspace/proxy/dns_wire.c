/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/dns_wire.h"

#include <errno.h>
#include <string.h>

#define FLAG_QR	   0x8000u
#define FLAG_TC	   0x0200u
#define FLAG_RD	   0x0100u
#define FLAG_RA	   0x0080u
#define FLAG_CD	   0x0010u
#define OPCODE	   0x7800u
#define CLASS_IN   1
#define EDNS_DO	   0x8000u
#define POINTER	   0xc000u
#define ADDITIONAL 4 /* records after the question: OPT, and what may come beside it */
#define WIRE_MAX   255
#define LABEL_MAX  63

#define OPTION_EXTENDED_ERROR 15
#define ERROR_PROHIBITED      18
#define WHY_MAX		      96

/* What is left to read; reading past the end is refused by the functions, never done. */
struct reader {
	const uint8_t *data;
	size_t size, at;
};

static uint16_t load16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static bool take(struct reader *r, size_t n, const uint8_t **ret)
{
	if (n > r->size - r->at)
		return false;
	*ret = r->data + r->at;
	r->at += n;
	return true;
}

/*
 * The question's name: as text in *ret_name if it can be one, else with length 0. False if it is
 * malformed, or compressed: there is nothing before it that it could point at.
 */
static bool read_name(struct reader *r, struct dns_name *ret_name)
{
	size_t start = r->at, length = 0;
	const uint8_t *byte;
	bool plain = true;

	for (;;) {
		const uint8_t *label;

		if (!take(r, 1, &byte) || *byte > LABEL_MAX)
			return false;
		/* A label is followed by the root's at least. */
		if (r->at - start + *byte + (*byte != 0) > WIRE_MAX)
			return false;
		if (!*byte)
			break;
		if (!take(r, *byte, &label))
			return false;
		if (length)
			ret_name->text[length++] = '.';
		for (size_t i = 0; i < *byte; i++) {
			uint8_t c = label[i];

			/* A dot inside of a label would make another name of it as text. */
			plain &= c != '.';
			if (c >= 'A' && c <= 'Z')
				c |= 0x20;
			ret_name->text[length++] = (char)c;
		}
	}
	if (!plain || worker_name_check(ret_name->text, length))
		length = 0;
	ret_name->length = (uint8_t)length;
	return true;
}

/* Names of additional records are skipped, so a pointer only ends them. */
static bool skip_name(struct reader *r)
{
	size_t start = r->at;
	const uint8_t *byte, *skipped;

	for (;;) {
		if (!take(r, 1, &byte) || r->at - start > WIRE_MAX)
			return false;
		if (!*byte)
			return true;
		if (*byte >= 0xc0)
			return take(r, 1, &skipped);
		if (*byte > LABEL_MAX || !take(r, *byte, &skipped))
			return false;
	}
}

/* Options are well-formed or the message is not; none is known that would change an answer. */
static bool check_options(const uint8_t *data, size_t size)
{
	struct reader r = {.data = data, .size = size};
	const uint8_t *head, *skipped;

	while (r.at < r.size)
		if (!take(&r, 4, &head) || !take(&r, load16(head + 2), &skipped))
			return false;
	return true;
}

static bool read_additional(struct reader *r, size_t count, struct dns_query *query)
{
	for (size_t i = 0; i < count; i++) {
		const uint8_t *fixed, *data;
		size_t start = r->at;

		if (!skip_name(r) || !take(r, 10, &fixed) || !take(r, load16(fixed + 8), &data))
			return false;
		if (load16(fixed) != DNS_TYPE_OPT)
			continue;
		if (query->edns || r->data[start] || !check_options(data, load16(fixed + 8)))
			return false;
		query->edns = true;
		query->payload = load16(fixed + 2);
		query->dnssec_ok = load16(fixed + 6) & EDNS_DO;
		if (fixed[5])
			query->rcode = DNS_BADVERS;
	}
	return r->at == r->size;
}

static uint16_t read_body(struct reader *r, struct dns_query *query, struct dns_name *name)
{
	const uint8_t *header = r->data, *fixed;

	if (query->flags & OPCODE)
		return DNS_NOTIMP;
	/* RFC 9619: one question; none of the other sections has a meaning in a query. */
	if (load16(header + 4) != 1 || load16(header + 6) || load16(header + 8) ||
	    load16(header + 10) > ADDITIONAL)
		return DNS_FORMERR;
	if (!read_name(r, name) || !take(r, 4, &fixed))
		return DNS_FORMERR;
	query->type = load16(fixed);
	query->question_size = (uint16_t)(r->at - DNS_HEADER_SIZE);
	memcpy(query->question, header + DNS_HEADER_SIZE, query->question_size);
	if (!read_additional(r, load16(header + 10), query))
		return DNS_FORMERR;
	if (query->rcode)
		return query->rcode;
	if (load16(fixed + 2) != CLASS_IN || !name->length || query->type == DNS_TYPE_AXFR ||
	    query->type == DNS_TYPE_IXFR)
		return DNS_REFUSED;
	/* OPT is not a type that can be asked for. */
	return query->type == DNS_TYPE_OPT ? DNS_FORMERR : DNS_NOERROR;
}

int dns_query_read(const uint8_t *data, size_t size, struct dns_query *ret_query,
		   struct dns_name *ret_name)
{
	struct reader r = {.data = data, .size = size, .at = DNS_HEADER_SIZE};

	if (size < DNS_HEADER_SIZE || load16(data + 2) & FLAG_QR)
		return -EBADMSG;
	ret_query->id = load16(data);
	ret_query->flags = load16(data + 2);
	ret_query->type = 0;
	ret_query->payload = DNS_UDP_MIN;
	ret_query->rcode = DNS_NOERROR;
	ret_query->edns = ret_query->dnssec_ok = false;
	ret_query->question_size = 0;
	ret_name->length = 0;
	ret_query->rcode = read_body(&r, ret_query, ret_name);
	if (ret_query->rcode)
		ret_name->length = 0;
	if (ret_query->payload < DNS_UDP_MIN)
		ret_query->payload = DNS_UDP_MIN;
	if (ret_query->payload > DNS_UDP_MAX)
		ret_query->payload = DNS_UDP_MAX;
	return 0;
}

/* Everything written is bounded by what a query and an answer can hold: see DNS_ANSWER_MAX. */
struct writer {
	uint8_t *data;
	size_t at;
};

_Static_assert(DNS_ANSWER_MAX >= DNS_HEADER_SIZE + DNS_QUESTION_MAX +
					 (12 + WIRE_MAX) /* the longest record, a pointer */ +
					 (11 + 4 + 2 + WHY_MAX - 1) /* OPT with an error */,
	       "the longest answer fits");

static void put16(struct writer *w, uint16_t value)
{
	w->data[w->at++] = (uint8_t)(value >> 8);
	w->data[w->at++] = (uint8_t)value;
}

static void put32(struct writer *w, uint32_t value)
{
	put16(w, (uint16_t)(value >> 16));
	put16(w, (uint16_t)value);
}

static void put(struct writer *w, const void *data, size_t size)
{
	memcpy(w->data + w->at, data, size);
	w->at += size;
}

static void put_name(struct writer *w, const struct dns_name *name)
{
	size_t start = w->at++;

	for (size_t i = 0; i < name->length; i++) {
		if (name->text[i] == '.') {
			w->data[start] = (uint8_t)(w->at - start - 1);
			start = w->at++;
		} else {
			w->data[w->at++] = (uint8_t)name->text[i];
		}
	}
	w->data[start] = (uint8_t)(w->at - start - 1);
	w->data[w->at++] = 0;
}

/* A record of the name that was asked for; its data comes after it. */
static void put_record(struct writer *w, uint16_t type, uint32_t ttl, uint16_t size)
{
	put16(w, POINTER | DNS_HEADER_SIZE);
	put16(w, type);
	put16(w, CLASS_IN);
	put32(w, ttl);
	put16(w, size);
}

static uint16_t put_answers(struct writer *w, const struct dns_query *query,
			    const struct dns_answer *answer)
{
	bool any = query->type == DNS_TYPE_ANY;
	uint16_t count = 0;

	if (answer->has_ipv4 && (any || query->type == DNS_TYPE_A)) {
		put_record(w, DNS_TYPE_A, answer->ttl, sizeof(answer->ipv4));
		put(w, answer->ipv4, sizeof(answer->ipv4));
		count++;
	}
	if (answer->has_ipv6 && (any || query->type == DNS_TYPE_AAAA)) {
		put_record(w, DNS_TYPE_AAAA, answer->ttl, sizeof(answer->ipv6));
		put(w, answer->ipv6, sizeof(answer->ipv6));
		count++;
	}
	if (answer->pointer && (any || query->type == DNS_TYPE_PTR)) {
		/* The first length and the root make it two bytes longer than its text. */
		put_record(w, DNS_TYPE_PTR, answer->ttl, answer->pointer->length + 2);
		put_name(w, answer->pointer);
		count++;
	}
	return count;
}

/*
 * The root is above every name, so its SOA does for all: what counts is how long a negative answer
 * may be kept, the smaller of TTL and MINIMUM (RFC 2308 section 5).
 */
static void put_soa(struct writer *w, uint32_t ttl)
{
	w->data[w->at++] = 0;
	put16(w, DNS_TYPE_SOA);
	put16(w, CLASS_IN);
	put32(w, ttl);
	put16(w, 2 + 5 * 4);
	put16(w, 0);	 /* MNAME and RNAME: the root */
	put32(w, 1);	 /* SERIAL */
	put32(w, 3600);	 /* REFRESH */
	put32(w, 600);	 /* RETRY */
	put32(w, 86400); /* EXPIRE */
	put32(w, ttl);	 /* MINIMUM */
}

static void put_opt(struct writer *w, const struct dns_query *query, uint16_t rcode,
		    const char *why)
{
	size_t length = why ? strnlen(why, WHY_MAX) : 0;

	w->data[w->at++] = 0;
	put16(w, DNS_TYPE_OPT);
	put16(w, DNS_UDP_MAX);
	w->data[w->at++] = (uint8_t)(rcode >> 4);
	w->data[w->at++] = 0; /* VERSION */
	put16(w, query->dnssec_ok ? EDNS_DO : 0);
	put16(w, why ? (uint16_t)(4 + 2 + length) : 0);
	if (why) {
		put16(w, OPTION_EXTENDED_ERROR);
		put16(w, (uint16_t)(2 + length));
		put16(w, ERROR_PROHIBITED);
		put(w, why, length);
	}
}

size_t dns_answer_write(const struct dns_query *query, const struct dns_answer *answer,
			size_t limit, uint8_t *ret_data)
{
	uint16_t flags = FLAG_QR | FLAG_RA | (query->flags & (OPCODE | FLAG_RD | FLAG_CD));
	struct writer w = {.data = ret_data, .at = DNS_HEADER_SIZE};
	uint16_t answers = 0, authority = 0;
	size_t question;

	put(&w, query->question, query->question_size);
	question = w.at;
	if (answer->rcode == DNS_NOERROR)
		answers = put_answers(&w, query, answer);
	if (!answers && (answer->rcode == DNS_NOERROR || answer->rcode == DNS_NXDOMAIN)) {
		put_soa(&w, answer->ttl);
		authority = 1;
	}
	if (query->edns)
		put_opt(&w, query, answer->rcode, answer->why);
	if (w.at > limit) {
		flags |= FLAG_TC;
		answers = authority = 0;
		w.at = question;
		if (query->edns)
			put_opt(&w, query, answer->rcode, NULL);
	}
	question = w.at;
	w.at = 0;
	put16(&w, query->id);
	put16(&w, flags | (answer->rcode & 0xf));
	put16(&w, query->question_size ? 1 : 0);
	put16(&w, answers);
	put16(&w, authority);
	put16(&w, query->edns ? 1 : 0);
	return question;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool ends_with(const struct dns_name *name, const char *end, size_t *ret_length)
{
	size_t length = strlen(end);

	if (name->length <= length || memcmp(name->text + name->length - length, end, length))
		return false;
	*ret_length = name->length - length;
	return true;
}

/* Four decimal numbers without leading zeros, the last one first. */
static int reverse_ipv4(const char *text, size_t length, uint8_t *address)
{
	size_t at = 0;

	for (int i = 3; i >= 0; i--) {
		size_t start = at;
		unsigned int value = 0;

		for (; at < length && at - start < 3 && text[at] >= '0' && text[at] <= '9'; at++)
			value = value * 10 + (unsigned int)(text[at] - '0');
		if (at == start || value > 255 || (text[start] == '0' && at - start > 1))
			return -EINVAL;
		if (i ? at >= length || text[at++] != '.' : at != length)
			return -EINVAL;
		address[i] = (uint8_t)value;
	}
	return 0;
}

int dns_name_reverse(const struct dns_name *name, uint8_t ret_address[16])
{
	uint8_t address[16] = {[10] = 0xff, 0xff};
	size_t length;

	if (ends_with(name, ".in-addr.arpa", &length)) {
		if (reverse_ipv4(name->text, length, address + 12))
			return -EINVAL;
	} else if (ends_with(name, ".ip6.arpa", &length) && length == 32 * 2 - 1) {
		for (size_t i = 0; i < 32; i++) {
			int digit = hex_digit(name->text[2 * i]);
			uint8_t *byte = &address[15 - i / 2];

			if (digit < 0 || (i < 31 && name->text[2 * i + 1] != '.'))
				return -EINVAL;
			*byte = (uint8_t)(i % 2 ? *byte | digit << 4 : digit);
		}
	} else {
		return -EINVAL;
	}
	memcpy(ret_address, address, sizeof(address));
	return 0;
}

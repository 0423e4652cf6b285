/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a query, and every answer that could be given to it: what is written is one complete
 * DNS message, as a reader that shares nothing with the writer understands it, and repeats the
 * question byte for byte. A name that was accepted is the question's, spelled in lower case.
 *
 * The first byte chooses the answer.
 */
#include "common/cleanup.h"
#include "proxy/dns_wire.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(held)                                                                                \
	do {                                                                                       \
		if (!(held))                                                                       \
			__builtin_trap();                                                          \
	} while (0)

struct message {
	const uint8_t *data;
	size_t size, at;
};

static unsigned int get(struct message *m, size_t bytes)
{
	unsigned int value = 0;

	CHECK(m->at + bytes <= m->size);
	for (size_t i = 0; i < bytes; i++)
		value = value << 8 | m->data[m->at++];
	return value;
}

/* A name as text with dots, following pointers backwards only; returns its length. */
static size_t get_name(struct message *m, char *text)
{
	size_t at = m->at, limit = at, length = 0;
	bool jumped = false;

	for (;;) {
		CHECK(at < m->size);
		if (m->data[at] >= 0xc0) {
			size_t to;

			CHECK(at + 1 < m->size);
			to = (size_t)(m->data[at] & 0x3f) << 8 | m->data[at + 1];
			CHECK(to < limit);
			if (!jumped)
				m->at = at + 2;
			jumped = true;
			at = limit = to;
			continue;
		}
		CHECK(m->data[at] < 64 && at + 1 + m->data[at] <= m->size);
		if (!m->data[at])
			break;
		CHECK(length + m->data[at] + 1 <= 254);
		memcpy(text + length, m->data + at + 1, m->data[at]);
		length += m->data[at];
		text[length++] = '.';
		at += 1 + m->data[at];
	}
	if (!jumped)
		m->at = at + 1;
	return length;
}

static void check_record(struct message *m, const struct dns_query *query,
			 const struct dns_answer *answer, size_t asked_length, const char *asked)
{
	char text[256];
	size_t length = get_name(m, text);
	unsigned int type = get(m, 2), size, ttl;

	CHECK(get(m, 2) == 1);
	ttl = get(m, 4);
	size = get(m, 2);
	CHECK(ttl == answer->ttl && m->at + size <= m->size);
	if (type == DNS_TYPE_SOA) {
		size_t end = m->at + size;

		CHECK(length == 0 && !get_name(m, text) && !get_name(m, text));
		get(m, 4 * 4);
		CHECK(get(m, 4) == answer->ttl && m->at == end);
		return;
	}
	CHECK(length == asked_length && !memcmp(text, asked, length));
	CHECK(query->type == type || query->type == DNS_TYPE_ANY);
	if (type == DNS_TYPE_A) {
		CHECK(size == 4 && !memcmp(m->data + m->at, answer->ipv4, 4));
		m->at += 4;
	} else if (type == DNS_TYPE_AAAA) {
		CHECK(size == 16 && !memcmp(m->data + m->at, answer->ipv6, 16));
		m->at += 16;
	} else {
		size_t end = m->at + size;

		CHECK(type == DNS_TYPE_PTR);
		length = get_name(m, text);
		CHECK(m->at == end && length == answer->pointer->length + 1u);
		CHECK(!memcmp(text, answer->pointer->text, length - 1));
	}
}

static void check_opt(struct message *m, const struct dns_answer *answer, unsigned int rcode,
		      bool truncated, bool dnssec_ok)
{
	size_t end;

	CHECK(get(m, 1) == 0 && get(m, 2) == DNS_TYPE_OPT && get(m, 2) >= 512);
	CHECK((get(m, 1) << 4 | rcode) == answer->rcode);
	CHECK(get(m, 1) == 0 && get(m, 2) == (dnssec_ok ? 0x8000 : 0));
	end = get(m, 2);
	end += m->at;
	if (m->at < end) {
		CHECK(answer->why && !truncated && get(m, 2) == 15);
		m->at += get(m, 2);
	}
	CHECK(m->at == end);
}

static void check_answer(const uint8_t *written, size_t size, const struct dns_query *query,
			 const struct dns_answer *answer)
{
	struct message m = {.data = written, .size = size};
	unsigned int flags, questions, answers, authority, additional;
	char asked[256];
	size_t asked_length = 0;

	CHECK(get(&m, 2) == query->id);
	flags = get(&m, 2);
	questions = get(&m, 2);
	answers = get(&m, 2);
	authority = get(&m, 2);
	additional = get(&m, 2);
	CHECK((flags & 0x8000) && !((flags ^ query->flags) & 0x7910));
	CHECK(questions == (query->question_size != 0) && additional == query->edns);
	CHECK(!(flags & 0x200) || (!answers && !authority));
	if (answer->rcode != DNS_NOERROR || (flags & 0x200))
		CHECK(!answers);
	if (questions) {
		CHECK(!memcmp(written + 12, query->question, query->question_size));
		asked_length = get_name(&m, asked);
		CHECK(get(&m, 2) == query->type);
		get(&m, 2);
	}
	CHECK(answers <= 3 && authority <= 1 && (!answers || !authority));
	for (unsigned int i = 0; i < answers + authority; i++)
		check_record(&m, query, answer, asked_length, asked);
	if (additional)
		check_opt(&m, answer, flags & 15, flags & 0x200, query->dnssec_ok);
	else
		CHECK((flags & 15) == (answer->rcode & 15));
	CHECK(m.at == size);
}

/* What was accepted is what stands in the question, lower case. */
static void check_name(const struct dns_query *query, const struct dns_name *name)
{
	struct message m = {.data = query->question, .size = query->question_size};
	char text[256];
	size_t length = get_name(&m, text);

	CHECK(length == name->length + 1u);
	for (size_t i = 0; i < name->length; i++) {
		char c = text[i];

		CHECK(name->text[i] == (c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c));
		CHECK(name->text[i] > ' ' && name->text[i] < 0x7f);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t rcodes[] = {DNS_NOERROR, DNS_SERVFAIL, DNS_NXDOMAIN, DNS_REFUSED};
	static const struct dns_name pointer = {.length = 11, .text = "example.org"};
	uint8_t choice = size ? data[0] : 0, written[DNS_ANSWER_MAX], address[16];
	struct dns_answer answer = {
		.rcode = rcodes[choice & 3],
		.has_ipv4 = choice & 4,
		.has_ipv6 = choice & 8,
		.ipv4 = {198, 18, 1, 2},
		.ipv6 = {0xfd, 1, 2, 3, [15] = 4},
		.ttl = choice * 77u,
		.pointer = choice & 16 ? &pointer : NULL,
		.why = choice & 32 ? "because" : NULL,
	};
	struct dns_query query;
	struct dns_name name;
	size_t length;

	if (!size || dns_query_read(data + 1, size - 1, &query, &name))
		return 0;
	CHECK(query.payload >= DNS_UDP_MIN && query.payload <= DNS_UDP_MAX);
	if (query.rcode) {
		CHECK(!name.length && (query.rcode != DNS_BADVERS || query.edns));
		answer.rcode = query.rcode;
	} else {
		check_name(&query, &name);
		CHECK(!worker_name_check(name.text, name.length));
		if (choice & 64)
			answer.pointer = &name;
		if (!dns_name_reverse(&name, address))
			CHECK(name.length >= 20);
	}
	length = dns_answer_write(&query, &answer, choice & 128 ? DNS_UDP_MIN : query.payload,
				  written);
	CHECK(length <= query.payload);
	check_answer(written, length, &query, &answer);
	return 0;
}

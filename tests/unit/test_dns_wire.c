/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "proxy/dns_wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define BYTES(...)  (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
#define EXAMPLE_ORG 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 3, 'o', 'r', 'g', 0
#define IN_A	    0, 1, 0, 1
/* Recursion desired, one question, as many additional records. */
#define HEAD(additional) 0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, additional
#define OPT_4096	 0, 0, 41, 0x10, 0x00, 0, 0, 0, 0, 0, 0

static struct dns_query query;
static struct dns_name name;
static uint8_t answered[DNS_ANSWER_MAX];

static int rcode_of(const uint8_t *data, size_t size)
{
	/* In an allocation of its own: one byte too far is seen. */
	uint8_t *copy = malloc(size ? size : 1);
	int r;

	memcpy(copy, data, size);
	r = dns_query_read(copy, size, &query, &name);
	free(copy);
	return r ? r : query.rcode;
}

static size_t answer_of(const struct dns_answer *answer, size_t limit)
{
	return dns_answer_write(&query, answer, limit, answered);
}

/* What a resolver of glibc sends for A, and one of c-ares with EDNS and a cookie. */
static void a_query_is_read(void **state)
{
	assert_int_equal(rcode_of(BYTES(HEAD(0), EXAMPLE_ORG, IN_A)), DNS_NOERROR);
	assert_int_equal(query.id, 0x1234);
	assert_int_equal(query.type, DNS_TYPE_A);
	assert_int_equal(query.payload, 512);
	assert_false(query.edns);
	assert_int_equal(name.length, 11);
	assert_memory_equal(name.text, "example.org", 11);

	assert_int_equal(rcode_of(BYTES(HEAD(1), 7, 'E', 'x', 'a', 'M', 'P', 'l', 'e', 3, 'o', 'R',
					'g', 0, 0, 28, 0, 1, 0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0,
					12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8)),
			 DNS_NOERROR);
	assert_int_equal(query.type, DNS_TYPE_AAAA);
	assert_true(query.edns && query.dnssec_ok);
	assert_int_equal(query.payload, 1232);
	assert_memory_equal(name.text, "example.org", 11);
	assert_memory_equal(query.question, "\7ExaMPle\3oRg", 13);
	assert_int_equal(query.question_size, 17);
}

static void no_query_is_not_answered(void **state)
{
	struct dns_query before;

	memset(&query, 0x5a, sizeof(query));
	before = query;
	assert_int_equal(rcode_of(BYTES(0)), -EBADMSG);
	assert_int_equal(rcode_of(BYTES(0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0)), -EBADMSG);
	/* A response: two responders would talk to each other for ever. */
	assert_int_equal(
		rcode_of(BYTES(0x12, 0x34, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, EXAMPLE_ORG, IN_A)),
		-EBADMSG);
	assert_memory_equal(&query, &before, sizeof(query));
}

static void malformed_queries_are_format_errors(void **state)
{
	const struct {
		const char *what;
		const uint8_t *data;
		size_t size;
	} bad[] = {
		{"a header alone", BYTES(HEAD(0))},
		{"no question", BYTES(1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)},
		{"two questions",
		 BYTES(1, 2, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, EXAMPLE_ORG, IN_A, EXAMPLE_ORG, IN_A)},
		{"an answer in a query", BYTES(1, 2, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0, EXAMPLE_ORG,
					       IN_A, 0xc0, 12, IN_A, 0, 0, 0, 1, 0, 4, 1, 2, 3, 4)},
		{"authority in a query", BYTES(1, 2, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, EXAMPLE_ORG,
					       IN_A, 0, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0)},
		{"a name that ends the packet", BYTES(HEAD(0), 7, 'e', 'x')},
		{"a name without a type", BYTES(HEAD(0), EXAMPLE_ORG)},
		{"half a class", BYTES(HEAD(0), EXAMPLE_ORG, 0, 1, 0)},
		{"a pointer in the question", BYTES(HEAD(0), 3, 'w', 'w', 'w', 0xc0, 12, IN_A)},
		{"a pointer to itself", BYTES(HEAD(0), 0xc0, 12, IN_A)},
		{"a label of type 01", BYTES(HEAD(0), 0x41, 1, 0, IN_A)},
		{"a label of 128", BYTES(HEAD(0), 0x80, 1, 0, IN_A)},
		{"a byte too many", BYTES(HEAD(0), EXAMPLE_ORG, IN_A, 0)},
		{"less additional than said", BYTES(HEAD(1), EXAMPLE_ORG, IN_A)},
		{"more additional than said", BYTES(HEAD(0), EXAMPLE_ORG, IN_A, OPT_4096)},
		{"too much additional", BYTES(HEAD(5), EXAMPLE_ORG, IN_A, OPT_4096, OPT_4096,
					      OPT_4096, OPT_4096, OPT_4096)},
		{"two OPT", BYTES(HEAD(2), EXAMPLE_ORG, IN_A, OPT_4096, OPT_4096)},
		{"OPT with a name", BYTES(HEAD(1), EXAMPLE_ORG, IN_A, 1, 'a', OPT_4096)},
		{"half an option",
		 BYTES(HEAD(1), EXAMPLE_ORG, IN_A, 0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 3, 0, 10, 0)},
		{"an option past the record", BYTES(HEAD(1), EXAMPLE_ORG, IN_A, 0, 0, 41, 16, 0, 0,
						    0, 0, 0, 0, 5, 0, 10, 0, 2, 1)},
		{"OPT past the packet",
		 BYTES(HEAD(1), EXAMPLE_ORG, IN_A, 0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 9)},
		{"OPT as the type", BYTES(HEAD(0), EXAMPLE_ORG, 0, 41, 0, 1)},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		int rcode = rcode_of(bad[i].data, bad[i].size);

		if (rcode != DNS_FORMERR || name.length)
			fail_msg("%s: %d", bad[i].what, rcode);
		assert_in_range(answer_of(&(struct dns_answer){.rcode = DNS_FORMERR}, 512), 12,
				512);
		assert_int_equal(answered[3] & 15, DNS_FORMERR);
	}
}

static void other_operations_and_classes_are_refused(void **state)
{
	assert_int_equal(
		rcode_of(BYTES(1, 2, 0x28, 0, 0, 1, 0, 0, 0, 0, 0, 0, EXAMPLE_ORG, 0, 6, 0, 1)),
		DNS_NOTIMP);
	assert_int_equal(rcode_of(BYTES(1, 2, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0)), DNS_NOTIMP);
	assert_int_equal(rcode_of(BYTES(HEAD(0), EXAMPLE_ORG, 0, 1, 0, 3)), DNS_REFUSED);
	assert_int_equal(rcode_of(BYTES(HEAD(0), EXAMPLE_ORG, 0, 1, 0, 255)), DNS_REFUSED);
	assert_int_equal(rcode_of(BYTES(HEAD(0), EXAMPLE_ORG, 0, 252, 0, 1)), DNS_REFUSED);
	assert_int_equal(rcode_of(BYTES(HEAD(0), EXAMPLE_ORG, 0, 251, 0, 1)), DNS_REFUSED);
}

static void names_that_are_no_host_names_are_refused(void **state)
{
	const struct {
		const char *what;
		const uint8_t *data;
		size_t size;
	} bad[] = {
		{"the root", BYTES(HEAD(0), 0, 0, 2, 0, 1)},
		{"NUL", BYTES(HEAD(0), 3, 'a', 0, 'b', 3, 'o', 'r', 'g', 0, IN_A)},
		{"NUL at the end", BYTES(HEAD(0), 1, 'a', 4, 'o', 'r', 'g', 0, 0, IN_A)},
		{"a line feed", BYTES(HEAD(0), 3, 'a', '\n', 'b', 3, 'o', 'r', 'g', 0, IN_A)},
		{"a space", BYTES(HEAD(0), 3, 'a', ' ', 'b', 3, 'o', 'r', 'g', 0, IN_A)},
		{"UTF-8", BYTES(HEAD(0), 4, 0xc3, 0xbc, 'b', 'c', 3, 'o', 'r', 'g', 0, IN_A)},
		{"a wildcard", BYTES(HEAD(0), 1, '*', EXAMPLE_ORG, IN_A)},
		{"a dot in a label", BYTES(HEAD(0), 11, 'e', 'x', 'a', 'm', 'p', 'l', 'e', '.', 'o',
					   'r', 'g', 0, IN_A)},
		{"an address", BYTES(HEAD(0), 1, '1', 1, '2', 1, '3', 1, '4', 0, IN_A)},
		{"a number", BYTES(HEAD(0), 4, '0', 'x', '7', 'f', 0, IN_A)},
		{"a backslash", BYTES(HEAD(0), 2, 'a', '\\', 3, 'o', 'r', 'g', 0, IN_A)},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		int rcode = rcode_of(bad[i].data, bad[i].size);

		if (rcode != DNS_REFUSED || name.length)
			fail_msg("%s: %d", bad[i].what, rcode);
	}
	/* An internationalised name comes as A-labels, and labels may start with an underscore. */
	assert_int_equal(rcode_of(BYTES(HEAD(0), 6, 'x', 'n', '-', '-', 't', 'd', 4, '_', 't', 'c',
					'p', 3, 'O', 'R', 'G', 0, IN_A)),
			 DNS_NOERROR);
	assert_memory_equal(name.text, "xn--td._tcp.org", 15);
}

/* @labels of 63 bytes, one of @last, the root. */
static size_t long_name(uint8_t *data, size_t labels, size_t last)
{
	static const uint8_t head[] = {HEAD(0)}, tail[] = {0, IN_A};
	size_t at = sizeof(head);

	memcpy(data, head, at);
	for (size_t i = 0; i <= labels; i++) {
		size_t length = i < labels ? 63 : last;

		data[at++] = (uint8_t)length;
		memset(data + at, 'a', length);
		at += length;
	}
	memcpy(data + at, tail, sizeof(tail));
	return at + sizeof(tail);
}

static void the_longest_name_is_255_bytes(void **state)
{
	const struct dns_answer both = {.has_ipv4 = true, .has_ipv6 = true};
	uint8_t data[400];

	assert_int_equal(rcode_of(data, long_name(data, 3, 61)), DNS_NOERROR);
	assert_int_equal(name.length, 253);
	query.type = DNS_TYPE_ANY;
	assert_int_equal(answer_of(&both, 512), 12 + 255 + 4 + 16 + 28);
	assert_int_equal(rcode_of(data, long_name(data, 3, 62)), DNS_FORMERR);
	assert_int_equal(rcode_of(data, long_name(data, 3, 63)), DNS_FORMERR);
	assert_int_equal(rcode_of(data, long_name(data, 4, 1)), DNS_FORMERR);
	assert_int_equal(rcode_of(data, long_name(data, 0, 64)), DNS_FORMERR);
}

static void edns_is_negotiated(void **state)
{
	assert_int_equal(
		rcode_of(BYTES(HEAD(1), EXAMPLE_ORG, IN_A, 0, 0, 41, 0, 10, 0, 0, 0, 0, 0, 0)),
		DNS_NOERROR);
	assert_int_equal(query.payload, 512);
	assert_int_equal(rcode_of(BYTES(HEAD(1), EXAMPLE_ORG, IN_A, OPT_4096)), DNS_NOERROR);
	assert_int_equal(query.payload, 1232);
	/* Another record beside OPT, its name compressed. */
	assert_int_equal(rcode_of(BYTES(HEAD(2), EXAMPLE_ORG, IN_A, 0xc0, 12, 0, 250, 0, 255, 0, 0,
					0, 0, 0, 2, 1, 2, OPT_4096)),
			 DNS_NOERROR);
	assert_true(query.edns);

	assert_int_equal(
		rcode_of(BYTES(HEAD(1), EXAMPLE_ORG, IN_A, 0, 0, 41, 2, 0, 0, 1, 0x80, 0, 0, 0)),
		DNS_BADVERS);
	assert_int_equal(answer_of(&(struct dns_answer){.rcode = DNS_BADVERS}, 512), 12 + 17 + 11);
	/* The code's lower bits are in the header, the upper ones and our version in OPT. */
	assert_memory_equal(answered + 2, ((uint8_t[]){0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 1}), 10);
	assert_memory_equal(answered + 29, ((uint8_t[]){0, 0, 41, 0x04, 0xd0, 1, 0, 0x80, 0, 0, 0}),
			    11);
}

static void addresses_are_answered(void **state)
{
	const struct dns_answer both = {
		.has_ipv4 = true,
		.has_ipv6 = true,
		.ipv4 = {198, 18, 0, 7},
		.ipv6 = {0xfd, 0x6f, 0x70, 0x65, 0x6e, 0x73, 0x68, 0x65, [15] = 7},
		.ttl = 300,
	};
	struct dns_answer one = both;

	/* Case, id, RD and CD as they came; recursion available; no OPT where none was. */
	assert_int_equal(rcode_of(BYTES(0xbe, 0xef, 0x01, 0x10, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'A', 1,
					'b', 0, IN_A)),
			 DNS_NOERROR);
	assert_int_equal(answer_of(&both, 512), 37);
	assert_memory_equal(answered,
			    ((uint8_t[]){0xbe, 0xef, 0x81, 0x90, 0,    1, 0, 1,	  0,	0,  0, 0, 1,
					 'A',  1,    'b',  0,	 0,    1, 0, 1,	  0xc0, 12, 0, 1, 0,
					 1,    0,    0,	   1,	 0x2c, 0, 4, 198, 18,	0,  7}),
			    37);
	query.type = DNS_TYPE_AAAA;
	assert_int_equal(answer_of(&both, 512), 49);
	assert_int_equal(answered[24], 28);
	assert_memory_equal(answered + 33, both.ipv6, 16);
	query.type = DNS_TYPE_ANY;
	assert_int_equal(answer_of(&both, 512), 65);
	assert_int_equal(answered[7], 2);

	one.has_ipv6 = false;
	query.type = DNS_TYPE_AAAA;
	assert_int_equal(answer_of(&one, 512), 21 + 33);
	assert_int_equal(answered[3] & 15, DNS_NOERROR);
	assert_int_equal(answered[7], 0);
}

static void negative_answers_can_be_kept(void **state)
{
	static const uint8_t soa[] = {0, 0, 6,	0,  1, 0, 0, 0,	 9, 0, 22, 0,	0, 0, 0, 0, 1,
				      0, 0, 14, 16, 0, 0, 2, 88, 0, 1, 81, 128, 0, 0, 0, 9};
	struct dns_answer answer = {.has_ipv4 = true, .ttl = 9};

	/* HTTPS, which every browser asks for: the name is there, the type is not. */
	assert_int_equal(rcode_of(BYTES(HEAD(0), 1, 'A', 1, 'b', 0, 0, 65, 0, 1)), DNS_NOERROR);
	assert_int_equal(answer_of(&answer, 512), 21 + sizeof(soa));
	assert_memory_equal(answered + 2, ((uint8_t[]){0x81, 0x80, 0, 1, 0, 0, 0, 1, 0, 0}), 10);
	assert_memory_equal(answered + 21, soa, sizeof(soa));

	answer.rcode = DNS_NXDOMAIN;
	query.type = DNS_TYPE_A;
	assert_int_equal(answer_of(&answer, 512), 21 + sizeof(soa));
	assert_memory_equal(answered + 2, ((uint8_t[]){0x81, 0x83, 0, 1, 0, 0, 0, 1, 0, 0}), 10);

	/* What may not be kept has none. */
	answer.rcode = DNS_SERVFAIL;
	assert_int_equal(answer_of(&answer, 512), 21);
}

static void a_refusal_says_why(void **state)
{
	const struct dns_answer answer = {.rcode = DNS_REFUSED, .why = "no rule"};

	assert_int_equal(rcode_of(BYTES(HEAD(0), EXAMPLE_ORG, IN_A)), DNS_NOERROR);
	assert_int_equal(answer_of(&answer, 512), 29);
	assert_memory_equal(answered + 2, ((uint8_t[]){0x81, 0x85, 0, 1, 0, 0, 0, 0, 0, 0}), 10);
	assert_int_equal(rcode_of(BYTES(HEAD(1), EXAMPLE_ORG, IN_A, OPT_4096)), DNS_NOERROR);
	assert_int_equal(answer_of(&answer, 512), 29 + 11 + 13);
	assert_memory_equal(answered + 29,
			    ((uint8_t[]){0,  0, 41, 0x04, 0xd0, 0,   0,	  0,   0,   0,	 13,  0,
					 15, 0, 9,  0,	  18,	'n', 'o', ' ', 'r', 'u', 'l', 'e'}),
			    24);
}

static void pointers_are_answered(void **state)
{
	struct dns_answer answer = {.pointer = &name, .ttl = 5};

	assert_int_equal(rcode_of(BYTES(HEAD(0), EXAMPLE_ORG, 0, 12, 0, 1)), DNS_NOERROR);
	assert_int_equal(answer_of(&answer, 512), 29 + 12 + 13);
	assert_memory_equal(answered + 29,
			    ((uint8_t[]){0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 5, 0, 13, EXAMPLE_ORG}),
			    25);
}

static void what_does_not_fit_is_truncated(void **state)
{
	struct dns_answer answer = {.pointer = &name, .ttl = 5};
	uint8_t data[400];
	size_t size = long_name(data, 3, 61);

	data[size - 3] = DNS_TYPE_PTR;
	assert_int_equal(rcode_of(data, size), DNS_NOERROR);
	assert_int_equal(answer_of(&answer, DNS_UDP_MIN), 12 + 255 + 4);
	assert_memory_equal(answered + 2, ((uint8_t[]){0x83, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}), 10);
	assert_int_equal(answer_of(&answer, DNS_UDP_MAX), 12 + 255 + 4 + 12 + 255);
	assert_int_equal(answered[2], 0x81);
	query.edns = true;
	answer.why = "a sentence";
	assert_int_equal(answer_of(&answer, DNS_UDP_MIN), 12 + 255 + 4 + 11);
	assert_int_equal(answered[11], 1);
}

static int reverse(const char *text, uint8_t *address)
{
	struct dns_name reverse_name = {.length = (uint8_t)strlen(text)};

	memcpy(reverse_name.text, text, reverse_name.length);
	return dns_name_reverse(&reverse_name, address);
}

#define NIBBLES "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.5.6.8.6.3.7.e.6.5.6.0.7.f.6.d"

static void reverse_names_are_addresses(void **state)
{
	static const char *const bad[] = {
		"in-addr.arpa",
		".in-addr.arpa",
		"18.198.in-addr.arpa",
		"7.0.18.198.in-addr.arp",
		"1.7.0.18.198.in-addr.arpa",
		"07.0.18.198.in-addr.arpa",
		"256.0.18.198.in-addr.arpa",
		"1000.0.18.198.in-addr.arpa",
		"a.0.18.198.in-addr.arpa",
		"7.0.18.198xin-addr.arpa",
		"7-0.18.198.in-addr.arpa",
		NIBBLES ".ip6.arpa",
		"ff." NIBBLES ".ip6.arpa",
		"0.f." NIBBLES ".ip6.arpa",
		"g." NIBBLES ".ip6.arpa",
		"ip6.arpa",
	};
	uint8_t address[16], untouched[16];

	assert_int_equal(reverse("7.0.18.198.in-addr.arpa", address), 0);
	assert_memory_equal(address, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x12\x00\x07", 16);
	assert_int_equal(reverse("255.10.100.0.in-addr.arpa", address), 0);
	assert_memory_equal(address + 12, "\x00\x64\x0a\xff", 4);
	assert_int_equal(reverse("7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.5.6.8.6.3.7.e.6.5.6.0.7.f.6.d.f"
				 ".ip6.arpa",
				 address),
			 0);
	assert_memory_equal(address, "\xfd\x6f\x70\x65\x6e\x73\x68\x65\0\0\0\0\0\0\0\7", 16);
	memset(address, 0x5a, sizeof(address));
	memcpy(untouched, address, sizeof(address));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (reverse(bad[i], address) != -EINVAL)
			fail_msg("%s", bad[i]);
		assert_memory_equal(address, untouched, sizeof(address));
	}
}

/* No prefix of a query is read past its end, and none is taken for the whole. */
static void a_query_cut_short_is_no_query(void **state)
{
	static const uint8_t whole[] = {HEAD(2), EXAMPLE_ORG, IN_A, 0xc0, 12, 0, 250, 0, 255,
					0,	 0,	      0,    0,	  0,  2, 1,   2, OPT_4096};

	assert_int_equal(rcode_of(whole, sizeof(whole)), DNS_NOERROR);
	for (size_t size = 0; size < sizeof(whole); size++)
		assert_int_equal(rcode_of(whole, size),
				 size < DNS_HEADER_SIZE ? -EBADMSG : DNS_FORMERR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_query_is_read),
		cmocka_unit_test(no_query_is_not_answered),
		cmocka_unit_test(malformed_queries_are_format_errors),
		cmocka_unit_test(other_operations_and_classes_are_refused),
		cmocka_unit_test(names_that_are_no_host_names_are_refused),
		cmocka_unit_test(the_longest_name_is_255_bytes),
		cmocka_unit_test(edns_is_negotiated),
		cmocka_unit_test(addresses_are_answered),
		cmocka_unit_test(negative_answers_can_be_kept),
		cmocka_unit_test(a_refusal_says_why),
		cmocka_unit_test(pointers_are_answered),
		cmocka_unit_test(what_does_not_fit_is_truncated),
		cmocka_unit_test(reverse_names_are_addresses),
		cmocka_unit_test(a_query_cut_short_is_no_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

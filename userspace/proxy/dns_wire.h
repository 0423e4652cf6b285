/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages: what an agent asked, and what it is answered (RFC 1035, EDNS of RFC 6891). Only
 * what a responder of synthetic addresses needs: one question of class IN, answers of address,
 * pointer and negative records. Nothing is resolved here, and nothing that was received is passed
 * on.
 *
 * Pure functions without allocation; any thread; fuzzed. Fails closed: what is not one well-formed
 * query is answered by an error or not at all, and so is every name that is no host name.
 */
#pragma once

#include "common/worker_protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_HEADER_SIZE	 12
#define DNS_QUESTION_MAX (255 + 4) /* name, type, class */
#define DNS_ANSWER_MAX	 704	   /* longer than anything that dns_answer_write() makes */
#define DNS_UDP_MIN	 512	   /* what every client takes (RFC 1035 section 4.2.1) */
#define DNS_UDP_MAX	 1232	   /* what we take and send: fragments nowhere */
/* Over TCP a length says 65535; a query with room for options and padding has this. */
#define DNS_QUERY_MAX 2048

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
	DNS_BADVERS = 16,
};

enum dns_type {
	DNS_TYPE_A = 1,
	DNS_TYPE_SOA = 6,
	DNS_TYPE_PTR = 12,
	DNS_TYPE_AAAA = 28,
	DNS_TYPE_OPT = 41,
	DNS_TYPE_HTTPS = 65,
	DNS_TYPE_IXFR = 251,
	DNS_TYPE_AXFR = 252,
	DNS_TYPE_ANY = 255,
};

/* A host name as text in canonical form: lower case, no trailing dot. Length 0 = none. */
struct dns_name {
	uint8_t length;
	char text[WORKER_NAME_MAX];
};

/* What it takes to answer a query, kept while the answer is waited for. */
struct dns_query {
	uint16_t id;
	uint16_t flags; /* as sent */
	uint16_t type;
	uint16_t payload; /* bytes: the largest answer over UDP, within DNS_UDP_MIN and _MAX */
	uint16_t rcode;	  /* enum dns_rcode: not NOERROR = answer this, and ask nobody */
	bool edns;
	bool dnssec_ok;
	uint16_t question_size; /* 0 = there is none to repeat */
	uint8_t question[DNS_QUESTION_MAX];
};

struct dns_answer {
	uint16_t rcode; /* enum dns_rcode */
	bool has_ipv4, has_ipv6;
	uint8_t ipv4[4], ipv6[16]; /* network order */
	uint32_t ttl;		   /* seconds, of negative answers too */
	const struct dns_name *pointer;
	const char *why; /* a sentence for whoever reads extended errors (RFC 8914), or NULL */
};

/*
 * Read a query. 0: answer it, by @ret_query->rcode or by what is known of @ret_name, which is
 * canonical and passes worker_name_check() if the code is NOERROR. -EBADMSG: no answer, it is
 * shorter than a header or a response itself.
 */
int dns_query_read(const uint8_t *data, size_t size, struct dns_query *ret_query,
		   struct dns_name *ret_name);

/*
 * Write the answer to @query into @ret_data, which has room for DNS_ANSWER_MAX bytes; returns its
 * size. Records of other types than the query's are left out, and if none is left the answer is
 * negative with an SOA (RFC 2308). What is longer than @limit bytes loses its records and has TC
 * set; @limit is at least DNS_UDP_MIN.
 */
size_t dns_answer_write(const struct dns_query *query, const struct dns_answer *answer,
			size_t limit, uint8_t *ret_data);

/*
 * The address behind a name below in-addr.arpa (RFC 1035 section 3.5) or ip6.arpa (RFC 3596 section
 * 2.5), IPv4 v4-mapped. -EINVAL: it is no such name of a whole address.
 */
int dns_name_reverse(const struct dns_name *name, uint8_t ret_address[16]);

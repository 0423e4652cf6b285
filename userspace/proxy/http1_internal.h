/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of http1.h share: classes of bytes, field lines, and the fields that say how a
 * message is framed. As pure as those, and as strict.
 */
#pragma once

#include "proxy/http1.h"

#include <endian.h>
#include <errno.h>

enum http1_class {
	HTTP1_TOKEN = 0x01,  /* RFC 9110 section 5.6.2 */
	HTTP1_VALUE = 0x02,  /* HTAB, SP, VCHAR, obs-text */
	HTTP1_TARGET = 0x04, /* visible ASCII but '#' */
	HTTP1_METHOD = 0x08,
	HTTP1_HOSTNAME = 0x10, /* of a host that is no IPv6 address */
	HTTP1_UPPER = 0x20,
};

extern const uint8_t http1_classes[256];

static inline bool http1_is(uint8_t c, enum http1_class class)
{
	return http1_classes[c] & class;
}

static inline uint8_t http1_lower(uint8_t c)
{
	return http1_is(c, HTTP1_UPPER) ? c | 0x20 : c;
}

/* The first byte from @p on that is not of @class, or @end. */
static inline const uint8_t *http1_skip(const uint8_t *p, const uint8_t *end,
					enum http1_class class)
{
	while (p < end && http1_is(*p, class))
		p++;
	return p;
}

/* The same for HTTP1_VALUE, eight bytes at a time: most bytes of a head are those of values. */
static inline const uint8_t *http1_skip_value(const uint8_t *p, const uint8_t *end)
{
	const uint64_t ones = 0x0101010101010101u;

	while (end - p >= 8) {
		uint64_t word, control, delete, found;

		memcpy(&word, p, sizeof(word));
		word = le64toh(word);
		/* Exact up to the first that is found: only there a subtraction borrows. */
		control = (word - ones * 0x20) & ~word;
		delete = ((word ^ ones * 0x7f) - ones) & ~(word ^ ones * 0x7f);
		found = (control | delete) & ones * 0x80;
		if (!found) {
			p += 8;
			continue;
		}
		p += __builtin_ctzll(found) / 8;
		if (*p != '\t')
			return p;
		p++;
	}
	return http1_skip(p, end, HTTP1_VALUE);
}

static inline int http1_refuse(struct http1_problem *ret_problem, uint16_t status, const char *why)
{
	*ret_problem = (struct http1_problem){status, why};
	return -EBADMSG;
}

/* Compare with a lower-case string, without regard to case. */
bool http1_says(struct text text, const char *string);

/* The next element of a comma-separated list, without white space; empty ones are passed over. */
bool http1_list_next(struct text *list, struct text *ret_item);

/* Fields that frame a message or concern its connection: none of them is in a head's fields. */
enum http1_special {
	HTTP1_ORDINARY = 0,
	HTTP1_IGNORED, /* Keep-Alive, Proxy-Connection, Trailer, HTTP2-Settings */
	HTTP1_HOST,
	HTTP1_CONTENT_LENGTH,
	HTTP1_TRANSFER_ENCODING,
	HTTP1_CONNECTION,
	HTTP1_UPGRADE,
	HTTP1_EXPECT,
	HTTP1_TE,
	HTTP1_SPECIALS,
};

/* @name is lower case. */
enum http1_special http1_special_of(struct text name);

/* Where a field line's parts are. */
struct http1_line {
	uint16_t name, name_size; /* 0: the line was taken out */
	uint16_t value, value_size;
};

struct http1_lines {
	uint16_t count;
	struct http1_line line[HTTP_FIELDS_MAX];
};

/*
 * Read field lines and the empty line after them, from @at on; @data has no more than
 * HTTP_HEAD_MAX bytes. 1, 0 if they are not whole, -EBADMSG.
 */
int http1_lines_read(const uint8_t *data, size_t size, size_t at, struct http1_lines *ret_lines,
		     size_t *ret_end, struct http1_problem *ret_problem);

/* What the special fields of a head say; their lines are taken out. */
struct http1_facts {
	uint16_t count[HTTP1_SPECIALS];	   /* how many of each there were */
	struct text value[HTTP1_SPECIALS]; /* of the first */
	bool close, keep_alive, upgrade;   /* options of Connection */
	bool te_trailers;
	bool not_continue; /* an expectation that is none of ours */
};

/* Makes names lower case, and takes out what Connection names. 0 or -EBADMSG. */
int http1_facts_gather(uint8_t *data, struct http1_lines *lines, struct http1_facts *ret_facts,
		       struct http1_problem *ret_problem);

/*
 * RFC 9112 section 6.3 as far as requests and responses have it in common: HTTP_BODY_NONE if
 * neither field is there. 0 or -EBADMSG.
 */
int http1_framing(const struct http1_facts *facts, uint8_t version, uint8_t *ret_body,
		  uint64_t *ret_length, struct http1_problem *ret_problem);

/*
 * Whether the Upgrade fields and Connection ask for another protocol than h2c. 1, 0, or -EBADMSG.
 */
int http1_upgrade(const struct http1_facts *facts, uint8_t version,
		  struct http1_problem *ret_problem);

/* The lines that are left, as fields of a head. */
void http1_fields_hand(const uint8_t *data, const struct http1_lines *lines, bool te_trailers,
		       struct http_head *head);

/* SPDX-License-Identifier: Apache-2.0 */
/* Queries as clients send them, and their answers, over UDP and TCP. */
#pragma once

#include "worker_child.h"

#define A     1
#define PTR   12
#define AAAA  28
#define HTTPS 65

#define OPT "\0\0\x29\x10\0\0\0\0\0\0\0"

struct packet {
	size_t size;
	uint8_t data[4096];
};

static inline struct packet query_of(uint16_t id, const char *name, uint16_t type)
{
	struct packet p = {.size = 12, .data = {(uint8_t)(id >> 8), (uint8_t)id, 1, 0, 0, 1}};
	size_t length = p.size++;

	for (; *name; name++) {
		if (*name == '.') {
			p.data[length] = (uint8_t)(p.size - length - 1);
			length = p.size++;
		} else {
			p.data[p.size++] = (uint8_t)*name;
		}
	}
	p.data[length] = (uint8_t)(p.size - length - 1);
	p.data[p.size++] = 0;
	p.data[p.size++] = (uint8_t)(type >> 8);
	p.data[p.size++] = (uint8_t)type;
	p.data[p.size++] = 0;
	p.data[p.size++] = 1;
	return p;
}

static inline unsigned int at16(const struct packet *p, size_t at)
{
	return at + 2 <= p->size ? (unsigned int)p->data[at] << 8 | p->data[at + 1] : 0xffffffff;
}

static inline int rcode(const struct packet *p)
{
	return p->size >= 12 ? p->data[3] & 15 : -1;
}

/* The question, the answer's data and nothing else; the only answer is of @type and @size. */
static inline bool has_record(const struct packet *p, const struct packet *query, uint16_t type,
			      const void *data, size_t size)
{
	return p->size == query->size + 12 + size && rcode(p) == 0 && at16(p, 6) == 1 &&
	       !memcmp(p->data, query->data, 2) &&
	       !memcmp(p->data + 12, query->data + 12, query->size - 12) &&
	       at16(p, query->size + 2) == type && !memcmp(p->data + query->size + 12, data, size);
}

static inline bool is_negative(const struct packet *p, int code)
{
	return rcode(p) == code && at16(p, 6) == 0 && at16(p, 8) == 1;
}

static inline void push(int fd, const struct packet *p)
{
	if (send(fd, p->data, p->size, MSG_NOSIGNAL) != (ssize_t)p->size)
		bail("send");
}

/* One answer over UDP; size 0 if none comes. */
static inline struct packet pull(int fd, int timeout_ms)
{
	struct packet p = {};
	ssize_t n = readable(fd, timeout_ms) ? recv(fd, p.data, sizeof(p.data), 0) : 0;

	p.size = n > 0 ? (size_t)n : 0;
	return p;
}

static inline void push_tcp(int fd, const struct packet *p)
{
	struct packet framed = {.size = p->size + 2};

	framed.data[0] = (uint8_t)(p->size >> 8);
	framed.data[1] = (uint8_t)p->size;
	memcpy(framed.data + 2, p->data, p->size);
	push(fd, &framed);
}

/* One answer over TCP; size 0 at the end, or if none comes. */
static inline struct packet pull_tcp(int fd, int timeout_ms)
{
	size_t got = 0, wanted = 2;
	struct packet p = {};
	uint8_t length[2];

	while (got < wanted) {
		ssize_t n = readable(fd, timeout_ms)
				    ? recv(fd, got < 2 ? length + got : p.data + got - 2,
					   got < 2 ? 2 - got : wanted - got, 0)
				    : 0;

		if (n <= 0)
			return (struct packet){};
		got += (size_t)n;
		if (got == 2)
			wanted = 2 + ((size_t)length[0] << 8 | length[1]);
		if (wanted > sizeof(p.data))
			return (struct packet){};
	}
	p.size = wanted - 2;
	return p;
}

/* 1: the other end has closed; 0: it has not; whatever else it says is thrown away. */
static inline bool closed(int fd, int timeout_ms)
{
	char buffer[65536];

	while (readable(fd, timeout_ms))
		if (recv(fd, buffer, sizeof(buffer), 0) <= 0)
			return true;
	return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages of an agent's, made byte by byte so that they may be wrong, and what answers say.
 */
#pragma once

#include <stddef.h>

#define QUERY_ID 0x4242

struct act_query {
	unsigned char data[2048];
	size_t len;
};

/* A question for @name: text in which `%XX` is a byte, so that labels may hold anything. */
void act_query_make(const char *name, const char *type, struct act_query *q);
void act_query_put16(struct act_query *q, unsigned int value);

/* Say what an answer says: rcode, whether it repeats the question, addresses. */
int act_query_say(const unsigned char *data, size_t len, const struct act_query *q);

unsigned int act_get16(const unsigned char *data);
int act_hex(char c);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text for logs, built in a buffer of the caller's that never overflows, and the escaping that
 * keeps what an agent named (files, commands, arguments) from looking like something we said: no
 * control character, no terminal sequence, no line break, no bracket that could pass for a field.
 * Plain functions over memory; any thread; nothing fails, a text that does not fit is marked cut.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *buf; /* NUL-terminated after every call */
	size_t size, len;
	bool cut; /* something did not fit; what is there is a prefix */
};

/* @size must be at least 1. */
void text_init(struct text *t, char *buf, size_t size);
void text_add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_add_bytes(struct text *t, const char *data, size_t len);

/*
 * A name from outside, as one word: as it is if it consists of letters, digits, harmless signs and
 * printable UTF-8, else in double quotes with \" \\ \n \t \xNN and \u{NNNN}.
 */
void text_add_word(struct text *t, const char *word);

/* Bytes from outside inside a sentence or field: escaped as above, brackets too, without quotes. */
void text_add_escaped(struct text *t, const char *s, size_t len);

/* 16 bytes, IPv4 v4-mapped, in the form of RFC 5952; IPv6 without brackets. */
void text_add_address(struct text *t, const uint8_t address[16]);

/* RFC 3339 in UTC with milliseconds; @ns since the epoch. */
void text_add_time(struct text *t, uint64_t ns);

/*
 * The next code point of UTF-8 (RFC 3629: no overlong forms, no surrogates). Returns the bytes it
 * takes, 1..4, or 0 if there is none at @s.
 */
size_t utf8_next(const char *s, size_t len, uint32_t *ret_code);

/* True if a terminal or a reader could be misled: controls, bidi and zero-width marks, tags. */
bool utf8_is_deceptive(uint32_t code);

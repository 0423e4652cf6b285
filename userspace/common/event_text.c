/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event_text.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void text_init(struct text *t, char *buf, size_t size)
{
	t->buf = buf;
	t->size = size;
	t->len = 0;
	t->cut = false;
	buf[0] = '\0';
}

void text_add_bytes(struct text *t, const char *data, size_t len)
{
	size_t room = t->size - 1 - t->len;

	if (t->cut)
		return;
	if (len > room) {
		t->cut = true;
		len = room;
	}
	memcpy(t->buf + t->len, data, len);
	t->len += len;
	t->buf[t->len] = '\0';
}

void text_add(struct text *t, const char *fmt, ...)
{
	size_t room = t->size - t->len;
	va_list args;
	int n;

	if (t->cut)
		return;
	va_start(args, fmt);
	n = vsnprintf(t->buf + t->len, room, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= room) {
		t->cut = true;
		t->len = strlen(t->buf);
		return;
	}
	t->len += (size_t)n;
}

size_t utf8_next(const char *s, size_t len, uint32_t *ret_code)
{
	const uint8_t *p = (const uint8_t *)s;
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t code;
	size_t n;

	if (!len)
		return 0;
	if (p[0] < 0x80) {
		*ret_code = p[0];
		return 1;
	}
	if ((p[0] & 0xe0) == 0xc0)
		n = 2, code = p[0] & 0x1f;
	else if ((p[0] & 0xf0) == 0xe0)
		n = 3, code = p[0] & 0x0f;
	else if ((p[0] & 0xf8) == 0xf0)
		n = 4, code = p[0] & 0x07;
	else
		return 0;
	if (n > len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret_code = code;
	return n;
}

bool utf8_is_deceptive(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{0x00, 0x1f},	     {0x7f, 0xa0},     {0xad, 0xad},	   {0x61c, 0x61c},
		{0x115f, 0x1160},    {0x1680, 0x1680}, {0x180b, 0x180f},   {0x2000, 0x200f},
		{0x2028, 0x202f},    {0x205f, 0x206f}, {0x3000, 0x3000},   {0x3164, 0x3164},
		{0xe000, 0xf8ff},    {0xfe00, 0xfe0f}, {0xfeff, 0xfeff},   {0xffa0, 0xffa0},
		{0xfff0, 0xfffb},    {0xfffe, 0xffff}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
		{0xf0000, 0x10ffff},
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;
	return false;
}

static void add_escape(struct text *t, const char *s, size_t n, uint32_t code)
{
	if (n == 0)
		text_add(t, "\\x%02x", (uint8_t)s[0]);
	else if (code == '\n')
		text_add(t, "\\n");
	else if (code == '\t')
		text_add(t, "\\t");
	else if (code == '"' || code == '\\')
		text_add(t, "\\%c", (int)code);
	else if (code < 0x80)
		text_add(t, "\\x%02x", code);
	else
		text_add(t, "\\u{%" PRIx32 "}", code);
}

/* @plain: signs that stay as they are besides letters, digits and harmless UTF-8. */
static void add_escaped(struct text *t, const char *s, size_t len, const char *plain)
{
	while (len && !t->cut) {
		uint32_t code = 0;
		size_t n = utf8_next(s, len, &code);
		bool keep = n > 1 ? !utf8_is_deceptive(code)
				  : n == 1 && ((code >= 'a' && code <= 'z') ||
					       (code >= 'A' && code <= 'Z') ||
					       (code >= '0' && code <= '9') ||
					       (code && strchr(plain, (int)code)));

		if (keep)
			text_add_bytes(t, s, n);
		else
			add_escape(t, s, n, code);
		s += n ? n : 1;
		len -= n ? n : 1;
	}
}

static const char word_signs[] = "/._-+@%:,=~#^!$&*?;|{}";

static bool is_plain_word(const char *s)
{
	size_t len = strlen(s);

	if (!len)
		return false;
	while (len) {
		uint32_t code = 0;
		size_t n = utf8_next(s, len, &code);

		if (n == 0 || (n > 1 && utf8_is_deceptive(code)))
			return false;
		if (n == 1 && !(code >= 'a' && code <= 'z') && !(code >= 'A' && code <= 'Z') &&
		    !(code >= '0' && code <= '9') && !strchr(word_signs, (int)code))
			return false;
		s += n;
		len -= n;
	}
	return true;
}

void text_add_word(struct text *t, const char *word)
{
	if (is_plain_word(word)) {
		text_add_bytes(t, word, strlen(word));
		return;
	}
	text_add_bytes(t, "\"", 1);
	add_escaped(t, word, strlen(word), "/._-+@%:,=~#^!$&*?;|{}[]()<>'` ");
	text_add_bytes(t, "\"", 1);
}

void text_add_escaped(struct text *t, const char *s, size_t len)
{
	add_escaped(t, s, len, "/._-+@%:,=~#^!$&*?;|{}()<>'` ");
}

void text_add_address(struct text *t, const uint8_t address[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	char buf[INET6_ADDRSTRLEN];

	if (!memcmp(address, mapped, sizeof(mapped)))
		inet_ntop(AF_INET, address + 12, buf, sizeof(buf));
	else
		inet_ntop(AF_INET6, address, buf, sizeof(buf));
	text_add(t, "%s", buf);
}

void text_add_time(struct text *t, uint64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000u);
	struct tm tm;

	if (!gmtime_r(&seconds, &tm)) {
		text_add(t, "1970-01-01T00:00:00.000Z");
		return;
	}
	text_add(t, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", tm.tm_year + 1900, tm.tm_mon + 1,
		 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		 (unsigned int)(ns / 1000000u % 1000u));
}

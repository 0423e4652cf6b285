/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/service_head.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static bool is_name(const char *text, size_t size)
{
	if (!size || size > 63 || text[0] == '-' || text[size - 1] == '-')
		return false;
	for (size_t i = 0; i < size; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", text[i]))
			return false;
	return true;
}

static int take_name(const char *text, size_t size, char ret_name[64])
{
	if (!is_name(text, size))
		return -ENOENT;
	memcpy(ret_name, text, size);
	ret_name[size] = 0;
	return 0;
}

static const char *find_joint(const char *text, const char *end)
{
	return memmem(text, (size_t)(end - text), "--", 2);
}

/* SERVICE--SANDBOX[--WORKSPACE].openshell.localhost[:PORT] */
static int parse_host(const char *host, size_t size, struct service_name *name)
{
	const size_t domain = sizeof(SERVICE_DOMAIN) - 1;
	const char *colon = memchr(host, ':', size), *end, *first, *second;
	int r;

	if (colon) {
		for (const char *p = colon + 1; p < host + size; p++)
			if (*p < '0' || *p > '9')
				return -EBADMSG;
		size = (size_t)(colon - host);
	}
	if (size <= domain || strncasecmp(host + size - domain, SERVICE_DOMAIN, domain) != 0)
		return -ENOENT;
	end = host + size - domain;
	first = find_joint(host, end);
	if (!first)
		return -ENOENT;
	second = find_joint(first + 2, end);
	r = take_name(host, (size_t)(first - host), name->service);
	if (!r)
		r = take_name(first + 2, (size_t)((second ? second : end) - first - 2),
			      name->sandbox);
	if (!r && second)
		r = take_name(second + 2, (size_t)(end - second - 2), name->workspace);
	return r;
}

static int parse_line(const char *line, size_t size, bool *seen, struct service_name *name)
{
	const char *colon = memchr(line, ':', size), *value;
	size_t length;

	/* A line that goes on the one before is not HTTP any more (RFC 9112, 5.2). */
	if (!colon || colon == line || *line == ' ' || *line == '\t')
		return -EBADMSG;
	if (colon - line != 4 || strncasecmp(line, "host", 4) != 0)
		return 0;
	if (*seen)
		return -EBADMSG;
	*seen = true;
	value = colon + 1;
	length = size - 5;
	while (length && (*value == ' ' || *value == '\t')) {
		value++;
		length--;
	}
	while (length && (value[length - 1] == ' ' || value[length - 1] == '\t'))
		length--;
	return parse_host(value, length, name);
}

int service_head_parse(const uint8_t *data, size_t size, struct service_name *ret_name)
{
	const char *text = (const char *)data, *end, *at;
	struct service_name name = {};
	bool seen = false;

	end = memmem(text, size, "\r\n\r\n", 4);
	/* In the head: what is behind it is the service's. */
	if (memchr(data, 0, end ? (size_t)(end - text) : size))
		return -EBADMSG;
	if (!end)
		return size >= SERVICE_HEAD_MAX ? -EBADMSG : -EAGAIN;
	at = memmem(text, (size_t)(end - text) + 2, "\r\n", 2);
	/* The request's line: a method, a target, a version; what they are is the service's. */
	if (at - text < 14 || strncmp(at - 9, " HTTP/1.", 8) != 0)
		return -EBADMSG;
	while (at < end) {
		const char *line = at + 2,
			   *stop = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
		int r;

		if (memchr(line, '\n', (size_t)(stop - line)))
			return -EBADMSG;
		r = parse_line(line, (size_t)(stop - line), &seen, &name);
		if (r)
			return r;
		at = stop;
	}
	if (!seen)
		return -EBADMSG;
	*ret_name = name;
	return 0;
}

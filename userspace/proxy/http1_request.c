/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http1_internal.h"

#include <arpa/inet.h>

#define VERSION_SIZE 10 /* with the line's end */

struct request_line {
	struct text method, target;
	uint8_t version;
};

static struct text text_between(const uint8_t *start, const uint8_t *end)
{
	return (struct text){(const char *)start, (uint32_t)(end - start)};
}

/* "HTTP/1.1" and the line's end. 1, 0, -EBADMSG; *place moves on. */
static int read_version(const uint8_t **place, const uint8_t *end, uint8_t *ret_version,
			struct http1_problem *ret_problem)
{
	static const char form[] = "HTTP/d.d\r\n";
	const uint8_t *p = *place;

	for (size_t i = 0; i < VERSION_SIZE; i++) {
		if (p + i == end)
			return 0;
		if (form[i] == 'd' ? p[i] >= '0' && p[i] <= '9' : p[i] == (uint8_t)form[i])
			continue;
		return http1_refuse(ret_problem, 400,
				    p[i] == '\n' ? "a line ends without a carriage return"
				    : i >= 8	 ? "something follows the request line's version"
						 : "the request line has no version of HTTP");
	}
	if (p[5] != '1' || p[7] > '1')
		return http1_refuse(ret_problem, 505, "the version is neither HTTP/1.1 nor 1.0");
	*ret_version = 10 + (p[7] - '0');
	*place = p + VERSION_SIZE;
	return 1;
}

static int check_form(struct text method, struct text target, struct http1_problem *ret_problem)
{
	if (text_is(method, "CONNECT"))
		return http1_refuse(ret_problem, 405, "this is no proxy to CONNECT through");
	if (text_is(method, "PRI"))
		return http1_refuse(ret_problem, 400, "HTTP/2 was not agreed upon");
	if (target.data[0] == '/')
		return 0;
	if (text_is(target, "*")) {
		if (text_is(method, "OPTIONS"))
			return 0;
		return http1_refuse(ret_problem, 400, "the target * is for OPTIONS alone");
	}
	if ((target.size > 7 && !memcmp(target.data, "http://", 7)) ||
	    (target.size > 8 && !memcmp(target.data, "https://", 8)))
		return 0;
	return http1_refuse(ret_problem, 400, "the target does not begin with a slash");
}

/* 1, 0, -EBADMSG; *place moves on. */
static int read_request_line(const uint8_t **place, const uint8_t *end,
			     struct request_line *ret_line, struct http1_problem *ret_problem)
{
	const uint8_t *p = *place, *start = p;
	int r;

	p = http1_skip(p, end, HTTP1_METHOD);
	if (p - start > HTTP_METHOD_MAX)
		return http1_refuse(ret_problem, 501, "the method is too long");
	if (p == end)
		return 0;
	if (*p != ' ' || p == start)
		return http1_refuse(ret_problem, 400, "the request line has no method");
	ret_line->method = text_between(start, p);

	start = ++p;
	p = http1_skip(p, end, HTTP1_TARGET);
	if (p - start > HTTP_TARGET_MAX)
		return http1_refuse(ret_problem, 414, "the target is too long");
	if (p == end)
		return 0;
	if (p == start)
		return http1_refuse(ret_problem, 400, "the request line has no target");
	if (*p != ' ')
		return http1_refuse(ret_problem, 400,
				    *p == '\r' || *p == '\n'
					    ? "the request line has no version of HTTP"
					    : "the target has a character that must be escaped");
	ret_line->target = text_between(start, p);
	r = check_form(ret_line->method, ret_line->target, ret_problem);
	if (r < 0)
		return r;
	p++;
	r = read_version(&p, end, &ret_line->version, ret_problem);
	if (r > 0)
		*place = p;
	return r;
}

static bool is_port(const char *p, const char *end)
{
	uint32_t port = 0;

	if (p == end || end - p > 5)
		return false;
	for (; p < end; p++) {
		if (*p < '0' || *p > '9')
			return false;
		port = port * 10 + (uint32_t)(*p - '0');
	}
	return port && port <= UINT16_MAX;
}

/* host[:port]; a host with what RFC 3986 would let it have besides is none that there is. */
static bool is_authority(struct text text)
{
	const char *p = text.data, *end = p + text.size;

	if (text.size && *p == '[') {
		const char *close = memchr(p, ']', text.size);
		char address[INET6_ADDRSTRLEN];
		struct in6_addr ignored;
		size_t size;

		if (!close)
			return false;
		size = (size_t)(close - p - 1);
		if (size >= sizeof(address))
			return false;
		memcpy(address, p + 1, size);
		address[size] = '\0';
		if (inet_pton(AF_INET6, address, &ignored) != 1)
			return false;
		p = close + 1;
	} else {
		const char *start = p;

		p = (const char *)http1_skip((const uint8_t *)p, (const uint8_t *)end,
					     HTTP1_HOSTNAME);
		if (p == start || p - start > 255)
			return false;
	}
	return p == end || (*p == ':' && is_port(p + 1, end));
}

/* absolute-form becomes what origin-form would have been, if it says the same authority. */
static int reduce_target(struct request_line *line, struct text authority,
			 struct http1_problem *ret_problem)
{
	const char *p = line->target.data, *end = p + line->target.size, *path;

	if (*p == '/' || *p == '*')
		return 0;
	p += p[4] == 's' ? 8 : 7;
	for (path = p; path < end && *path != '/' && *path != '?'; path++)
		;
	if (path == p || !text_equal((struct text){p, (uint32_t)(path - p)}, authority))
		return http1_refuse(ret_problem, 400, "the target's authority is not Host's");
	if (path == end) {
		line->target = text_is(line->method, "OPTIONS") ? TEXT("*") : TEXT("/");
		return 0;
	}
	if (*path == '?')
		return http1_refuse(ret_problem, 400, "the target has no path");
	line->target = (struct text){path, (uint32_t)(end - path)};
	return 0;
}

static int check_host(const struct http1_facts *facts, uint8_t version,
		      struct http1_problem *ret_problem)
{
	uint16_t hosts = facts->count[HTTP1_HOST];

	if (hosts > 1)
		return http1_refuse(ret_problem, 400, "there is more than one Host");
	if (!hosts && version > 10)
		return http1_refuse(ret_problem, 400, "there is no Host");
	if (hosts && !is_authority(facts->value[HTTP1_HOST]))
		return http1_refuse(ret_problem, 400, "Host is no host");
	return 0;
}

/* The head is whole: what it means. */
static int judge(uint8_t *data, struct http1_lines *lines, struct request_line *line,
		 struct http_head *ret_head, struct http1_problem *ret_problem)
{
	struct http1_facts facts;
	uint64_t length;
	uint8_t body;
	int r, upgrade;

	r = http1_facts_gather(data, lines, &facts, ret_problem);
	r = r ? r : check_host(&facts, line->version, ret_problem);
	r = r ? r : http1_framing(&facts, line->version, &body, &length, ret_problem);
	r = r ? r : reduce_target(line, facts.value[HTTP1_HOST], ret_problem);
	if (r)
		return r;
	if (facts.not_continue)
		return http1_refuse(ret_problem, 417, "Expect is not 100-continue");
	upgrade = http1_upgrade(&facts, line->version, ret_problem);
	if (upgrade < 0)
		return upgrade;
	if (upgrade && (body == HTTP_BODY_CHUNKED || length))
		return http1_refuse(ret_problem, 400, "a request that upgrades has a body");

	ret_head->version = line->version;
	ret_head->body = body;
	ret_head->keep_alive = !facts.close && (line->version > 10 || facts.keep_alive);
	ret_head->expect_continue = facts.count[HTTP1_EXPECT] && line->version > 10 &&
				    (body == HTTP_BODY_CHUNKED || length);
	ret_head->upgrade = upgrade;
	ret_head->status = 0;
	ret_head->has_length = false;
	ret_head->length = length;
	ret_head->method = line->method;
	ret_head->target = line->target;
	ret_head->authority = facts.value[HTTP1_HOST];
	ret_head->upgrade_to = upgrade ? facts.value[HTTP1_UPGRADE] : (struct text){0};
	http1_fields_hand(data, lines, facts.te_trailers, ret_head);
	return 0;
}

int http1_request_parse(uint8_t *data, size_t size, struct http_head *ret_head,
			size_t *ret_consumed, struct http1_problem *ret_problem)
{
	size_t limit = size < HTTP_HEAD_MAX ? size : HTTP_HEAD_MAX, consumed;
	const uint8_t *p = data, *end = data + limit;
	struct request_line line;
	struct http1_lines lines;
	int r;

	if (p < end && *p == '\r') {
		if (p + 1 == end)
			return 0;
		if (p[1] != '\n')
			return http1_refuse(ret_problem, 400, "the request line has no method");
		p += 2;
	}
	r = read_request_line(&p, end, &line, ret_problem);
	if (r > 0)
		r = http1_lines_read(data, limit, (size_t)(p - data), &lines, &consumed,
				     ret_problem);
	if (!r && size >= HTTP_HEAD_MAX)
		return http1_refuse(ret_problem, 431, "the head is too long");
	if (r <= 0)
		return r;
	r = judge(data, &lines, &line, ret_head, ret_problem);
	if (r)
		return r;
	*ret_consumed = consumed;
	return 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http1_internal.h"

struct status_line {
	uint8_t version;
	uint16_t status;
};

/* 1, 0, -EBADMSG; *place moves on. */
static int read_status_line(const uint8_t **place, const uint8_t *end, struct status_line *ret_line,
			    struct http1_problem *ret_problem)
{
	static const char form[] = "HTTP/1.d ddd";
	const uint8_t *p = *place;

	for (size_t i = 0; i < sizeof(form) - 1; i++) {
		if (p + i == end)
			return 0;
		if (form[i] == 'd' ? p[i] < '0' || p[i] > '9' : p[i] != (uint8_t)form[i])
			return http1_refuse(ret_problem, 502,
					    "the response has no status line of HTTP/1");
	}
	if (p[7] > '1' || p[9] < '1' || p[9] > '5')
		return http1_refuse(ret_problem, 502, "the response has an unknown status");
	ret_line->version = 10 + (p[7] - '0');
	ret_line->status = (uint16_t)((p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0'));
	p += sizeof(form) - 1;
	if (p == end)
		return 0;
	/* Many servers leave out the space where the reason is. */
	if (*p == ' ')
		p = http1_skip_value(p, end);
	if (p == end)
		return 0;
	if (*p != '\r')
		return http1_refuse(ret_problem, 502, "the status line does not end");
	if (p + 1 == end)
		return 0;
	if (p[1] != '\n')
		return http1_refuse(ret_problem, 502, "the status line does not end");
	*place = p + 2;
	return 1;
}

/* RFC 9112 section 6.3: what is left when requests and responses have gone the same way. */
static void end_body(struct http_head *head, bool to_head, bool said, bool chunked)
{
	bool never = head->status < 200 || head->status == 204;

	if (to_head || never || head->status == 304) {
		head->body = HTTP_BODY_NONE;
		head->has_length = said && !never;
		/*
		 * Where there can be no body, a server that says there is one may send it, and that
		 * would be the next response.
		 */
		if ((never && head->length) || (chunked && !to_head))
			head->keep_alive = false;
		if (never)
			head->length = 0;
	} else if (!said && !chunked) {
		head->body = HTTP_BODY_CLOSE;
		head->keep_alive = false;
	}
}

/* The head is whole: what it means. */
static int judge(uint8_t *data, struct http1_lines *lines, const struct status_line *line,
		 bool to_head, struct http_head *ret_head, struct http1_problem *ret_problem)
{
	struct http1_facts facts;
	uint64_t length;
	uint8_t body;
	int r, upgrade = 0;

	r = http1_facts_gather(data, lines, &facts, ret_problem);
	r = r ? r : http1_framing(&facts, line->version, &body, &length, ret_problem);
	if (r)
		return r;
	if (line->status == 101) {
		upgrade = http1_upgrade(&facts, line->version, ret_problem);
		if (!upgrade)
			return http1_refuse(ret_problem, 502, "101 does not say to which protocol");
		if (upgrade < 0)
			return upgrade;
	}
	ret_head->version = line->version;
	ret_head->status = line->status;
	ret_head->body = body;
	ret_head->length = length;
	ret_head->has_length = false;
	ret_head->keep_alive = !facts.close && (line->version > 10 || facts.keep_alive);
	ret_head->expect_continue = false;
	ret_head->upgrade = upgrade;
	ret_head->method = ret_head->target = ret_head->authority = (struct text){0};
	ret_head->upgrade_to = upgrade ? facts.value[HTTP1_UPGRADE] : (struct text){0};
	end_body(ret_head, to_head, body == HTTP_BODY_LENGTH, body == HTTP_BODY_CHUNKED);
	http1_fields_hand(data, lines, false, ret_head);
	return 0;
}

int http1_response_parse(uint8_t *data, size_t size, bool to_head, struct http_head *ret_head,
			 size_t *ret_consumed, struct http1_problem *ret_problem)
{
	size_t limit = size < HTTP_HEAD_MAX ? size : HTTP_HEAD_MAX, consumed;
	const uint8_t *p = data, *end = data + limit;
	struct status_line line;
	struct http1_lines lines;
	int r;

	r = read_status_line(&p, end, &line, ret_problem);
	if (r > 0)
		r = http1_lines_read(data, limit, (size_t)(p - data), &lines, &consumed,
				     ret_problem);
	if (!r && size >= HTTP_HEAD_MAX)
		return http1_refuse(ret_problem, 502, "the head is too long");
	if (r > 0) {
		r = judge(data, &lines, &line, to_head, ret_head, ret_problem);
		r = r ? r : 1;
	}
	/* Whatever is wrong with it, it is the server's doing. */
	if (r < 0)
		ret_problem->status = 502;
	if (r > 0)
		*ret_consumed = consumed;
	return r;
}

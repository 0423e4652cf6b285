/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/l7_internal.h"

#include "common/cleanup.h"

#include <errno.h>

/*
 * Frameworks take the method from these, so the request has to be admitted under each method that
 * it may have.
 */
static bool is_override(struct text name)
{
	if (name.size < 13 || name.data[0] != 'x' || name.data[1] != '-')
		return false;
	return text_is(name, "x-http-method-override") || text_is(name, "x-http-method") ||
	       text_is(name, "x-method-override");
}

unsigned int l7_method_bit(struct text method, bool fold)
{
	static const char *const known[] = {"GET",   "HEAD",   "POST",	 "PUT",
					    "PATCH", "DELETE", "OPTIONS"};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (method.size == strlen(known[i]) &&
		    (fold ? !strncasecmp(method.data, known[i], method.size)
			  : !memcmp(method.data, known[i], method.size)))
			return L7_METHOD_GET << i;
	return L7_METHOD_OTHER;
}

static void add_method(struct l7_question *question, struct text method)
{
	size_t i = question->methods++;

	question->method[i] = method;
	question->method_bit[i][L7_READING_ALLOW] = l7_method_bit(method, false);
	question->method_bit[i][L7_READING_DENY] = l7_method_bit(method, true);
}

static void read_methods(struct l7_question *question)
{
	const struct http_head *head = question->head;

	question->methods = 0;
	if (!head)
		return;
	add_method(question, question->websocket ? TEXT("GET") : head->method);
	for (uint16_t i = 0; i < head->fields; i++) {
		if (!is_override(head->field[i].name))
			continue;
		if (question->methods > L7_OVERRIDES_MAX) {
			question->unreadable = "too many headers give another method";
			return;
		}
		add_method(question, head->field[i].value);
	}
}

static void read_path(struct l7_question *question)
{
	struct text path = question->target->path;
	bool escapes = memchr(path.data, '%', path.size);

	question->plain = path;
	question->other = (struct text){0};
	question->encoded_slash = false;
	if (path.size > HTTP_TARGET_MAX)
		question->unreadable = "the path is longer than may be looked at";
	if (question->unreadable)
		return;
	if (escapes)
		question->plain = l7_path_plain(path, false, question->buffers[0]);
	question->plain_pairs = l7_pairs_of(question->plain);
	if (!escapes && !memchr(path.data, ';', path.size))
		return;
	question->encoded_slash = escapes && memmem(path.data, path.size, "%2F", 3);
	if (target_other_reading(path, question->buffers[1], HTTP_TARGET_MAX, &question->other) < 0)
		question->unreadable = "the path is not canonical";
	question->other_pairs = l7_pairs_of(question->other);
}

/* Field by field: most of it is buffers that nobody looks at. */
void l7_question_init(struct l7_question *question, const struct http_head *head,
		      const struct target *target, bool websocket)
{
	question->head = head;
	question->target = target;
	question->unreadable = NULL;
	question->kind = (struct text){0};
	question->websocket = websocket;
	question->has_body = false;
	question->body = NULL;
	question->body_size = 0;
	question->scratch = NULL;
	question->scratch_size = 0;
	question->pairs = -1;
	read_methods(question);
	read_path(question);
}

static bool path_matches(const struct l7_glob *glob, const struct l7_question *question)
{
	if (l7_glob_may_match(glob, &question->plain_pairs) && l7_glob_match(glob, question->plain))
		return true;
	return glob->crosses && question->other.size &&
	       l7_glob_may_match(glob, &question->other_pairs) &&
	       l7_glob_match(glob, question->other);
}

bool l7_endpoint_selects(const struct l7_endpoint *endpoint, const struct l7_question *question,
			 bool *ret_admits)
{
	*ret_admits = true;
	if (!endpoint->has_path)
		return true;
	*ret_admits = path_matches(&endpoint->narrow, question);
	return *ret_admits || path_matches(&endpoint->wide, question);
}

static void read_query(struct l7_question *question)
{
	struct text query = question->target->query;
	char *buffer = question->buffers[2];
	size_t left = HTTP_TARGET_MAX;
	uint32_t place = 0;
	int n = 0, r;

	for (;;) {
		struct text key, value;

		r = target_query_next(query, &place, buffer, left, &key, &value);
		if (r <= 0)
			break;
		if (n == L7_QUERY_PAIRS_MAX) {
			r = -E2BIG;
			break;
		}
		question->pair[n][0] = key;
		question->pair[n++][1] = value;
		buffer += key.size + value.size;
		left -= key.size + value.size;
	}
	question->pairs = r < 0 ? -2 : n;
}

static bool matcher_has(const struct l7_matcher *matcher, struct text value)
{
	for (size_t i = 0; i < matcher->globs; i++)
		if (l7_glob_match(&matcher->glob[i], value))
			return true;
	return false;
}

/*
 * To allow, each repeat of the key has to match; to deny, one of them is enough, and a query that
 * cannot be read.
 */
static bool query_matches(const struct l7_rule *rule, struct l7_question *question)
{
	if (question->pairs == -1)
		read_query(question);
	if (question->pairs < 0)
		return rule->reading == L7_READING_DENY;
	for (size_t i = 0; i < rule->queries; i++) {
		const struct l7_matcher *matcher = &rule->query[i];
		bool found = false;

		for (int j = 0; j < question->pairs; j++) {
			if (!text_equal(question->pair[j][0], matcher->key))
				continue;
			if (matcher_has(matcher, question->pair[j][1]))
				found = true;
			else if (rule->reading == L7_READING_ALLOW)
				return false;
		}
		if (!found)
			return false;
	}
	return true;
}

/* Servers may take a method for the one in capitals: so do rules that deny. */
static bool method_matches(const struct l7_rule *rule, const struct l7_question *question, size_t i)
{
	unsigned int bit = question->method_bit[i][rule->reading];
	struct text method = question->method[i];

	if (!(rule->methods & bit))
		return false;
	if (bit != L7_METHOD_OTHER || rule->any_method)
		return true;
	return method.size == rule->method.size &&
	       (rule->reading == L7_READING_DENY
			? !strncasecmp(method.data, rule->method.data, method.size)
			: !memcmp(method.data, rule->method.data, method.size));
}

static bool place_matches(const struct l7_rule *rule, struct l7_question *question)
{
	if (rule->has_path && !path_matches(&rule->path, question))
		return false;
	return !rule->queries || query_matches(rule, question);
}

static inline bool http_matches(const struct l7_rule *rule, struct l7_question *question, size_t i)
{
	/* What nearly every rule of a long list is: for another method, or another path. */
	if (!(rule->methods & question->method_bit[i][rule->reading]) ||
	    (!l7_glob_may_match(&rule->path, &question->plain_pairs) && !question->other.size))
		return false;
	return method_matches(rule, question, i) && place_matches(rule, question);
}

static bool access_has(PB(Access) access, struct text method)
{
	static const char *const read_only[] = {"GET", "HEAD", "OPTIONS"};
	static const char *const read_write[] = {"POST", "PUT", "PATCH"};
	bool has = access == PB_ENUM(ACCESS__ACCESS_FULL);

	for (size_t i = 0; i < 3 && !has && access; i++)
		has = text_is(method, read_only[i]) ||
		      (access == PB_ENUM(ACCESS__ACCESS_READ_WRITE) &&
		       text_is(method, read_write[i]));
	return has;
}

/* For WebSockets, `*` is the upgrade and what comes after it: no other requests. */
static bool may_allow(const struct l7_endpoint *endpoint, struct text method)
{
	return endpoint->policy->protocol != PB_ENUM(PROTOCOL__PROTOCOL_WEBSOCKET) ||
	       text_is(method, "GET") || text_is(method, "HEAD");
}

/* By the @n-th of its methods. */
static void judge_method(const struct l7_endpoint *endpoint, struct l7_question *question, size_t n,
			 struct l7_answer *answer)
{
	char quoted[L7_QUOTED_MAX], quoted_path[L7_QUOTED_MAX];
	struct text method = question->method[n];
	PB(Access) access = endpoint->policy->l7->access;

	for (size_t i = 0; i < endpoint->denies; i++)
		if (http_matches(&endpoint->deny[i], question, n)) {
			l7_deny(answer, endpoint->deny[i].text, "%s denies %s %s",
				endpoint->policy->rule, l7_quote(method, quoted),
				l7_quote(question->target->path, quoted_path));
			return;
		}
	if (access_has(access, method)) {
		l7_allow(answer, l7_access_text(access));
		return;
	}
	for (size_t i = 0; i < endpoint->allows && may_allow(endpoint, method); i++)
		if (http_matches(&endpoint->allow[i], question, n)) {
			l7_allow(answer, endpoint->allow[i].text);
			return;
		}
	l7_deny(answer, NULL, "%s does not allow %s %s", endpoint->policy->rule,
		l7_quote(method, quoted), l7_quote(question->target->path, quoted_path));
}

void l7_judge_http(const struct l7_endpoint *endpoint, struct l7_question *question,
		   struct l7_answer *answer)
{
	for (size_t i = question->methods; i-- > 0;) {
		judge_method(endpoint, question, i, answer);
		if (answer->outcome != L7_ALLOWED)
			return;
	}
}

/* Rules for the upgrade say nothing of messages, but that `*` is all. */
static bool kind_matches(const struct l7_rule *rule, struct l7_question *question)
{
	bool text = text_is(rule->method, "WEBSOCKET_TEXT");

	if (!rule->any_method && !(text && (rule->reading == L7_READING_DENY ||
					    text_equal(question->kind, rule->method))))
		return false;
	return place_matches(rule, question);
}

void l7_judge_message_kind(const struct l7_endpoint *endpoint, struct l7_question *question,
			   struct l7_answer *answer)
{
	const PB(L7) *l7 = endpoint->policy->l7;
	char quoted[L7_QUOTED_MAX], quoted_path[L7_QUOTED_MAX];

	for (size_t i = 0; i < endpoint->denies; i++)
		if (kind_matches(&endpoint->deny[i], question)) {
			l7_deny(answer, endpoint->deny[i].text, "%s denies %s %s",
				endpoint->policy->rule, l7_quote(question->kind, quoted),
				l7_quote(question->target->path, quoted_path));
			return;
		}
	if (l7->access >= PB_ENUM(ACCESS__ACCESS_READ_WRITE)) {
		l7_allow(answer, l7_access_text(l7->access));
		return;
	}
	for (size_t i = 0; i < endpoint->allows; i++)
		if (kind_matches(&endpoint->allow[i], question)) {
			l7_allow(answer, endpoint->allow[i].text);
			return;
		}
	/* REST rules have no word for messages; who has credentials put into them wants them. */
	if (endpoint->policy->protocol == PB_ENUM(PROTOCOL__PROTOCOL_REST) &&
	    l7->websocket_credential_rewrite) {
		l7_allow(answer, "websocket_credential_rewrite");
		return;
	}
	l7_deny(answer, NULL, "%s does not allow %s %s", endpoint->policy->rule,
		l7_quote(question->kind, quoted), l7_quote(question->target->path, quoted_path));
}

/* `text`, with nothing around it but white space. */
static bool is_word(const char *at, size_t size, const char *text)
{
	while (size && (*at == ' ' || *at == '\t'))
		at++, size--;
	while (size && (at[size - 1] == ' ' || at[size - 1] == '\t'))
		size--;
	return size == strlen(text) && !strncasecmp(at, text, size);
}

/* Whatever else a type is given, it must not say that the text is in another coding. */
static bool is_json_type(struct text value)
{
	static const char *const types[] = {"application/json", "application/graphql+json",
					    "application/json-rpc", "application/jsonrequest"};
	const char *end = value.data + value.size, *semicolon;
	bool known = false;
	size_t size;

	semicolon = memchr(value.data, ';', value.size);
	size = semicolon ? (size_t)(semicolon - value.data) : value.size;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		known |= is_word(value.data, size, types[i]);
	if (!known || !semicolon)
		return known;
	size = (size_t)(end - semicolon - 1);
	return is_word(semicolon + 1, size, "charset=utf-8") ||
	       is_word(semicolon + 1, size, "charset=\"utf-8\"") ||
	       is_word(semicolon + 1, size, "");
}

bool l7_is_json(const struct l7_question *question, struct l7_answer *answer)
{
	const struct http_head *head = question->head;
	unsigned int types = 0;

	for (uint16_t i = 0; i < head->fields; i++) {
		const struct http_field *field = &head->field[i];

		if (text_is(field->name, "content-type")) {
			types++;
			if (!is_json_type(field->value)) {
				l7_deny(answer, NULL, "the body is not of type application/json");
				return false;
			}
		} else if (text_is(field->name, "content-encoding") &&
			   !is_word(field->value.data, field->value.size, "identity")) {
			l7_deny(answer, NULL, "the body is compressed, so it cannot be read");
			return false;
		}
	}
	if (types != 1)
		l7_deny(answer, NULL,
			types ? "the body is given two types"
			      : "the body is not of type application/json");
	return types == 1;
}

bool l7_has_body(const struct l7_question *question)
{
	const struct http_head *head = question->head;

	return head->body != HTTP_BODY_NONE && !(head->body == HTTP_BODY_LENGTH && !head->length);
}

bool l7_is_too_long(const struct l7_endpoint *endpoint, const struct l7_question *question,
		    struct l7_answer *answer)
{
	uint32_t max = endpoint->policy->l7->max_body_bytes;

	if (question->body_size <= max)
		return false;
	l7_deny(answer, NULL, "%s is longer than the %u bytes that %s reads",
		question->kind.size ? "the message" : "the body", max, endpoint->policy->rule);
	return true;
}

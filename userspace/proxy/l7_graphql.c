/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GraphQL over HTTP (POST with JSON, GET with a query, batches, persisted queries) and over
 * WebSocket messages (the protocols graphql-transport-ws and graphql-ws): which operations a
 * request has, and what the rules say to each.
 */
#include "proxy/l7_internal.h"

#include "common/cleanup.h"
#include "proxy/graphql.h"
#include "proxy/json_view.h"

#include <errno.h>
/* The plain functions: EVP would set up every provider first, which takes milliseconds. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#define BATCH_MAX 64

/* The parts of a request that decide; those that are not given have no data. */
enum request_part {
	PART_QUERY,
	PART_NAME,
	PART_EXTENSIONS,
	PART_VARIABLES,
	PART_ID, /* and the following: names that servers have for a persisted query's */
	PART_DOCUMENT_ID,
	PART_DOC_ID,
	PART_QUERY_ID,
	PARTS,
};

static const char *const part_names[PARTS] = {
	"query", "operationName", "extensions", "variables",
	"id",	 "documentId",	  "doc_id",	"queryId",
};

struct request {
	struct text part[PARTS];
	struct text hash; /* extensions.persistedQuery.sha256Hash */
};

/* As rules see it. */
struct operation {
	PB(OperationType) type;
	struct text name;
	size_t fields;
	const struct text *field;
	bool name_known, fields_known; /* a registered query need not say them */
};

/* One question, one endpoint. */
struct judge {
	const struct l7_endpoint *endpoint;
	struct l7_answer *answer;
	bool kind_allowed; /* a WebSocket's messages are, whatever they ask for */
};

static int refuse(struct judge *judge, const char *why)
{
	l7_deny(judge->answer, NULL, "the request %s", why);
	return -EBADMSG;
}

static bool all_match(const struct l7_rule *rule, const struct operation *operation)
{
	bool one = false, all = true;

	for (size_t i = 0; i < operation->fields; i++) {
		bool matches = false;

		for (size_t j = 0; j < rule->fields && !matches; j++)
			matches = l7_glob_match(&rule->field[j], operation->field[i]);
		one |= matches;
		all &= matches;
	}
	return rule->reading == L7_READING_DENY ? one : all;
}

/* What is not known of a registered query matches what denies. */
static bool rule_matches(const struct l7_rule *rule, const struct operation *operation)
{
	bool unknown = rule->reading == L7_READING_DENY;

	if (!rule->operation || (rule->operation != PB_ENUM(OPERATION_TYPE__OPERATION_TYPE_ANY) &&
				 rule->operation != operation->type))
		return false;
	if (rule->has_name &&
	    !(operation->name_known ? l7_glob_match(&rule->name, operation->name) : unknown))
		return false;
	return !rule->fields || (operation->fields_known ? all_match(rule, operation) : unknown);
}

static bool access_has(PB(Access) access, PB(OperationType) type)
{
	switch (access) {
	case PB_ENUM(ACCESS__ACCESS_READ_ONLY):
		return type == PB_ENUM(OPERATION_TYPE__OPERATION_TYPE_QUERY);
	case PB_ENUM(ACCESS__ACCESS_READ_WRITE):
		return type != PB_ENUM(OPERATION_TYPE__OPERATION_TYPE_SUBSCRIPTION);
	case PB_ENUM(ACCESS__ACCESS_FULL):
		return true;
	default:
		return false;
	}
}

static void deny_operation(struct judge *judge, const char *rule, const struct operation *operation)
{
	static const char *const types[] = {"?", "query", "mutation", "subscription", "?"};
	char name[L7_QUOTED_MAX], field[2][L7_QUOTED_MAX];
	size_t fields = operation->fields;

	l7_deny(judge->answer, rule, "%s %s %s%s%s%s%s%s%s%s", judge->endpoint->policy->rule,
		rule ? "denies" : "does not allow", types[operation->type],
		operation->name.size ? " " : "", l7_quote(operation->name, name),
		fields ? " of field " : "", fields ? l7_quote(operation->field[0], field[0]) : "",
		fields > 1 ? ", " : "", fields > 1 ? l7_quote(operation->field[1], field[1]) : "",
		fields > 2 ? " and more" : "");
}

/* 0 if it is admitted. */
static int judge_operation(struct judge *judge, const struct operation *operation)
{
	const struct l7_endpoint *endpoint = judge->endpoint;
	PB(Access) access = endpoint->policy->l7->access;

	for (size_t i = 0; i < endpoint->denies; i++)
		if (rule_matches(&endpoint->deny[i], operation)) {
			deny_operation(judge, endpoint->deny[i].text, operation);
			return -EPERM;
		}
	if (access_has(access, operation->type)) {
		l7_allow(judge->answer, l7_access_text(access));
		return 0;
	}
	for (size_t i = 0; i < endpoint->allows; i++)
		if (rule_matches(&endpoint->allow[i], operation)) {
			l7_allow(judge->answer, endpoint->allow[i].text);
			return 0;
		}
	if (judge->kind_allowed)
		return 0;
	deny_operation(judge, NULL, operation);
	return -EPERM;
}

/* A registered query by its id; for a hash also as "sha256:HASH". */
static const PB(PersistedQuery) * find_registered(const PB(L7) * l7, struct text id, bool is_hash)
{
	if (!l7->persisted_registered)
		return NULL;
	for (size_t i = 0; i < l7->n_persisted_queries; i++) {
		const PB(PersistedQuery) *query = l7->persisted_queries[i];

		if (text_is(id, query->id) ||
		    (is_hash && !strncmp(query->id, "sha256:", 7) && text_is(id, query->id + 7)))
			return query;
	}
	return NULL;
}

static int judge_registered(struct judge *judge, const struct request *request, struct text id,
			    bool is_hash)
{
	const PB(PersistedQuery) *query = find_registered(judge->endpoint->policy->l7, id, is_hash);
	struct text field[GRAPHQL_FIELDS_MAX], name = request->part[PART_NAME];
	char quoted[L7_QUOTED_MAX];
	struct operation operation;

	if (!query || query->n_fields > GRAPHQL_FIELDS_MAX) {
		l7_deny(judge->answer, NULL, "%s has no registered query %s",
			judge->endpoint->policy->rule, l7_quote(id, quoted));
		return -EPERM;
	}
	if (name.data && *query->operation_name && !text_is(name, query->operation_name))
		return refuse(judge, "asks for another operation of a registered query");
	for (size_t i = 0; i < query->n_fields; i++)
		field[i] = (struct text){query->fields[i], (uint32_t)strlen(query->fields[i])};
	operation = (struct operation){
		.type = query->operation_type,
		.name = {query->operation_name, (uint32_t)strlen(query->operation_name)},
		.fields = query->n_fields,
		.field = field,
		.name_known = *query->operation_name,
		.fields_known = query->n_fields > 0,
	};
	return judge_operation(judge, &operation);
}

/* A hash beside its query offers it for later; it must not be another query's. */
static bool is_hash_of(struct text hash, struct text query)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	char hex[2 * SHA256_DIGEST_LENGTH];

	if (hash.size != sizeof(hex))
		return false;
	SHA256((const uint8_t *)query.data, query.size, digest);
	for (size_t i = 0; i < sizeof(digest); i++) {
		hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
		hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
	}
	return !strncasecmp(hash.data, hex, sizeof(hex));
}

static int judge_request(struct judge *judge, const struct request *request,
			 struct json_view_memory memory)
{
	const struct text *name = request->part[PART_NAME].data ? &request->part[PART_NAME] : NULL;
	struct text query = request->part[PART_QUERY], id = {0};
	struct graphql_operation read;
	struct operation operation;
	const char *why;

	for (size_t i = PART_ID; i < PARTS; i++) {
		if (!request->part[i].data)
			continue;
		if (id.data)
			return refuse(judge, "has two ids of a persisted query");
		id = request->part[i];
	}
	if (id.data && (query.data || request->hash.data))
		return refuse(judge, "has both a query and the id of a persisted one");
	if (id.data)
		return judge_registered(judge, request, id, false);
	if (!query.data && request->hash.data)
		return judge_registered(judge, request, request->hash, true);
	if (!query.data)
		return refuse(judge, "has no query");
	if (request->hash.data && !is_hash_of(request->hash, query))
		return refuse(judge, "has a query and the hash of another one");
	if (graphql_read(query, name, memory.data, memory.size, &read, &why) < 0)
		return refuse(judge, why);
	operation = (struct operation){
		.type = (PB(OperationType))read.type,
		.name = read.name,
		.fields = read.fields,
		.field = read.field,
		.name_known = true,
		.fields_known = true,
	};
	return judge_operation(judge, &operation);
}

/* extensions.persistedQuery.sha256Hash */
static int read_extensions(struct judge *judge, struct text extensions,
			   struct json_view_memory *memory, struct request *request)
{
	struct json_view_want persisted = {.name = "persistedQuery"};
	struct json_view_want hash = {.name = "sha256Hash"};
	const char *why = "has extensions that cannot be read";

	if (json_view_kind(extensions) == JSON_VIEW_NULL)
		return 0;
	if (json_view_find(extensions, &persisted, 1, &why) < 0)
		return refuse(judge, why);
	if (!persisted.value.size || json_view_kind(persisted.value) == JSON_VIEW_NULL)
		return 0;
	if (json_view_find(persisted.value, &hash, 1, &why) < 0 ||
	    json_view_string(hash.value, memory, &request->hash) < 0)
		return refuse(judge, why);
	return 0;
}

static int read_request(struct judge *judge, struct text value, struct json_view_memory *memory,
			struct request *ret_request)
{
	struct request request = {0};
	struct json_view_want wants[PARTS];
	const char *why = "is no object";

	for (size_t i = 0; i < PARTS; i++)
		wants[i] = (struct json_view_want){.name = part_names[i]};
	if (json_view_find(value, wants, PARTS, &why) < 0)
		return refuse(judge, why);
	for (size_t i = 0; i < PARTS; i++) {
		enum json_view_kind kind = json_view_kind(wants[i].value);

		if (kind == JSON_VIEW_NONE || kind == JSON_VIEW_NULL || i == PART_VARIABLES ||
		    i == PART_EXTENSIONS)
			continue;
		if (json_view_string(wants[i].value, memory, &request.part[i]) < 0)
			return refuse(judge, "has a part that is no string");
	}
	if (wants[PART_EXTENSIONS].value.size &&
	    read_extensions(judge, wants[PART_EXTENSIONS].value, memory, &request) < 0)
		return -EBADMSG;
	*ret_request = request;
	return 0;
}

static int judge_json(struct judge *judge, struct text value, struct json_view_memory memory)
{
	struct request request;
	int r = read_request(judge, value, &memory, &request);

	return r < 0 ? r : judge_request(judge, &request, memory);
}

static void judge_body(struct judge *judge, const struct l7_question *question)
{
	struct json_view_memory memory = {question->scratch, question->scratch_size};
	unsigned int count = 0;
	struct text body, item;
	uint32_t place = 0;
	const char *why;

	if (json_view_check(question->body, question->body_size, question->scratch,
			    question->scratch_size, &why) < 0) {
		l7_deny(judge->answer, NULL, "the body %s", why);
		return;
	}
	body = json_view_value(question->body, question->body_size);
	if (json_view_kind(body) != JSON_VIEW_ARRAY) {
		judge_json(judge, body, memory);
		return;
	}
	while (json_view_element(body, &place, &item)) {
		if (count++ == BATCH_MAX) {
			refuse(judge, "is a batch of too many operations");
			return;
		}
		if (judge_json(judge, item, memory) < 0)
			return;
	}
	if (!count)
		refuse(judge, "is an empty batch");
}

/* The part that a key of the URL gives; PARTS for none, -EBADMSG if that depends on the server. */
static int find_part(struct text key)
{
	for (int i = 0; i < PARTS; i++)
		if (key.size == strlen(part_names[i]) &&
		    !strncasecmp(key.data, part_names[i], key.size))
			return text_is(key, part_names[i]) ? i : -EBADMSG;
	return PARTS;
}

static void judge_url(struct judge *judge, const struct l7_question *question)
{
	struct json_view_memory memory = {question->scratch, question->scratch_size};
	struct request request = {0};
	struct text key, value, extensions;
	const char *why;
	uint32_t place = 0;
	int r, part;

	for (;;) {
		r = target_query_next(question->target->query, &place, (char *)memory.data,
				      memory.size, &key, &value);
		if (r <= 0)
			break;
		part = find_part(key);
		if (part < 0 || (part < PARTS && request.part[part].data)) {
			refuse(judge, "has a part of its query twice, or in other letters");
			return;
		}
		if (part == PARTS)
			continue;
		if (!json_view_is_utf8(value)) {
			refuse(judge, "is not UTF-8");
			return;
		}
		request.part[part] = value;
		memory.data += key.size + value.size;
		memory.size -= key.size + value.size;
	}
	if (r < 0) {
		refuse(judge, "has a URL that cannot be read");
		return;
	}
	extensions = request.part[PART_EXTENSIONS];
	if (extensions.size) {
		if (json_view_check((const uint8_t *)extensions.data, extensions.size, memory.data,
				    memory.size, &why) < 0) {
			refuse(judge, why);
			return;
		}
		extensions = json_view_value((const uint8_t *)extensions.data, extensions.size);
		if (read_extensions(judge, extensions, &memory, &request) < 0)
			return;
	}
	judge_request(judge, &request, memory);
}

/* Servers merge what is in the URL with the body, so it must say nothing. */
static bool url_has_parts(struct l7_question *question)
{
	struct text key, value;
	uint32_t place = 0;
	int r;

	for (;;) {
		r = target_query_next(question->target->query, &place, question->buffers[2],
				      HTTP_TARGET_MAX, &key, &value);
		if (r <= 0)
			return r < 0;
		if (find_part(key) != PARTS)
			return true;
	}
}

void l7_judge_graphql(const struct l7_endpoint *endpoint, struct l7_question *question,
		      struct l7_answer *answer)
{
	struct judge judge = {.endpoint = endpoint, .answer = answer};
	struct text method = question->method[0];
	char quoted[L7_QUOTED_MAX];
	bool get = text_is(method, "GET");

	if (question->methods > 1) {
		l7_deny(answer, NULL, "a header gives another method");
		return;
	}
	if (!get && !text_is(method, "POST")) {
		l7_deny(answer, NULL, "%s is for GraphQL, and %s is no operation",
			endpoint->policy->rule, l7_quote(method, quoted));
		return;
	}
	if (get && l7_has_body(question)) {
		l7_deny(answer, NULL, "a GET request has a body");
		return;
	}
	if (!get && !l7_is_json(question, answer))
		return;
	if (!get && question->target->query.size && url_has_parts(question)) {
		refuse(&judge, "has parts in its URL beside its body");
		return;
	}
	if (!question->has_body) {
		answer->outcome = L7_NEED_BODY;
		return;
	}
	if (l7_is_too_long(endpoint, question, answer))
		return;
	if (get)
		judge_url(&judge, question);
	else
		judge_body(&judge, question);
}

/* Messages that only keep the connection going, of both protocols. */
static bool is_housekeeping(struct text type)
{
	static const char *const types[] = {"connection_init", "ping", "pong",
					    "complete",	       "stop", "connection_terminate"};

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (text_is(type, types[i]))
			return true;
	return false;
}

static void judge_message(struct judge *judge, const struct l7_question *question)
{
	struct json_view_memory memory = {question->scratch, question->scratch_size};
	struct json_view_want wants[] = {{.name = "type"}, {.name = "payload"}};
	char quoted[L7_QUOTED_MAX];
	const char *why = "is no object";
	struct text type;

	if (json_view_check(question->body, question->body_size, question->scratch,
			    question->scratch_size, &why) < 0 ||
	    json_view_find(json_view_value(question->body, question->body_size), wants,
			   ARRAY_LEN(wants), &why) < 0) {
		l7_deny(judge->answer, NULL, "the message %s", why);
		return;
	}
	if (json_view_string(wants[0].value, &memory, &type) < 0)
		l7_deny(judge->answer, NULL, "the message has no type");
	else if (is_housekeeping(type))
		l7_allow(judge->answer, NULL);
	else if (text_is(type, "subscribe") || text_is(type, "start"))
		judge_json(judge, wants[1].value, memory);
	else
		l7_deny(judge->answer, NULL, "the message is of an unknown type, %s",
			l7_quote(type, quoted));
}

void l7_judge_graphql_message(const struct l7_endpoint *endpoint, struct l7_question *question,
			      struct l7_answer *answer)
{
	struct judge judge = {.endpoint = endpoint, .answer = answer};

	l7_judge_message_kind(endpoint, question, answer);
	if (answer->outcome == L7_DENIED && answer->rule)
		return;
	judge.kind_allowed = answer->outcome == L7_ALLOWED && !endpoint->policy->l7->access;
	if (!text_is(question->kind, "WEBSOCKET_TEXT"))
		l7_deny(answer, NULL, "%s reads GraphQL in text messages only",
			endpoint->policy->rule);
	else if (!l7_is_too_long(endpoint, question, answer))
		judge_message(&judge, question);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over the document writes down, for each definition, the fields of its root and the
 * fragments that it spreads, wherever. Then spreads are resolved, cycles looked for, and the root
 * of the chosen operation gathered.
 */
#include "proxy/graphql.h"

#include <errno.h>
#include <stdbool.h>

enum token {
	TOKEN_END,
	TOKEN_NAME,
	TOKEN_NUMBER,
	TOKEN_STRING,
	TOKEN_SPREAD, /* ... */
	TOKEN_MARK,   /* one of ! $ ( ) : = @ [ ] { } */
};

enum item_kind {
	ITEM_FIELD,	   /* of the root */
	ITEM_SPREAD,	   /* at the root: its fields are the root's */
	ITEM_SPREAD_BELOW, /* counts for cycles only */
};

struct item {
	uint32_t at; /* of its name in the document; once resolved, of a spread: the definition */
	uint8_t size;
	uint8_t kind;
};

struct definition {
	struct text name;
	uint32_t first, count; /* of its items */
	uint8_t type;	       /* enum graphql_type; 0: a fragment */
	uint8_t state;	       /* of a search: 0 not seen, 1 on the way, 2 done */
	bool gathered;
};

struct parser {
	const char *start, *at, *end;
	enum token token;
	struct text text; /* of the token */
	unsigned int tokens, depth;
	struct definition *definitions;
	struct item *items;
	uint32_t definitions_count, items_count, items_max;
	const char *why;
};

static int fail(struct parser *p, const char *why)
{
	if (!p->why)
		p->why = why;
	return -EBADMSG;
}

static bool is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t count_digits(struct parser *p)
{
	const char *start = p->at;

	while (p->at < p->end && is_digit(*p->at))
		p->at++;
	return (size_t)(p->at - start);
}

/* Sections 2.9.1 and 2.9.2: what follows a number directly must not look like more of it. */
static int lex_number(struct parser *p)
{
	const char *digits;
	size_t n;

	p->at += *p->at == '-';
	digits = p->at;
	n = count_digits(p);
	if (!n || (n > 1 && *digits == '0'))
		return fail(p, "has a number that is none");
	if (p->at < p->end && *p->at == '.') {
		p->at++;
		if (!count_digits(p))
			return fail(p, "has a number that is none");
	}
	if (p->at < p->end && (*p->at | 0x20) == 'e') {
		p->at++;
		p->at += p->at < p->end && (*p->at == '+' || *p->at == '-');
		if (!count_digits(p))
			return fail(p, "has a number that is none");
	}
	if (p->at < p->end && (is_name_start(*p->at) || *p->at == '.'))
		return fail(p, "has a number that is none");
	p->token = TOKEN_NUMBER;
	return 0;
}

static bool is_hex(char c)
{
	return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static int lex_escape(struct parser *p)
{
	if (++p->at == p->end)
		return fail(p, "ends within a string");
	if (*p->at == 'u') {
		for (int i = 1; i <= 4; i++)
			if (p->end - p->at <= i || !is_hex(p->at[i]))
				return fail(p, "has an escape that is none");
		p->at += 5;
		return 0;
	}
	if (!*p->at || !strchr("\"\\/bfnrt", *p->at))
		return fail(p, "has an escape that is none");
	p->at++;
	return 0;
}

static int lex_block_string(struct parser *p)
{
	for (p->at += 3; p->end - p->at >= 3; p->at++) {
		if (!memcmp(p->at, "\"\"\"", 3)) {
			p->at += 3;
			p->token = TOKEN_STRING;
			return 0;
		}
		if (p->end - p->at >= 4 && !memcmp(p->at, "\\\"\"\"", 4))
			p->at += 3;
	}
	return fail(p, "ends within a string");
}

static int lex_string(struct parser *p)
{
	if (p->end - p->at >= 3 && !memcmp(p->at, "\"\"\"", 3))
		return lex_block_string(p);
	p->at++;
	while (p->at < p->end && *p->at != '"') {
		if (*p->at == '\n' || *p->at == '\r')
			return fail(p, "has a line break in a string");
		if (*p->at != '\\')
			p->at++;
		else if (lex_escape(p) < 0)
			return -EBADMSG;
	}
	if (p->at == p->end)
		return fail(p, "ends within a string");
	p->at++;
	p->token = TOKEN_STRING;
	return 0;
}

static void skip_ignored(struct parser *p)
{
	for (; p->at < p->end; p->at++) {
		switch (*p->at) {
		case '#':
			while (p->at + 1 < p->end && p->at[1] != '\n' && p->at[1] != '\r')
				p->at++;
			break;
		case ' ':
		case '\t':
		case '\n':
		case '\r':
		case ',':
			break;
		default:
			return;
		}
	}
}

/* The next token into p->token and p->text. */
static int advance(struct parser *p)
{
	const char *start;
	int r = 0;

	skip_ignored(p);
	start = p->at;
	if (p->at == p->end) {
		p->token = TOKEN_END;
		p->text = (struct text){start, 0};
		return 0;
	}
	if (p->tokens++ == GRAPHQL_TOKENS_MAX)
		return fail(p, "has too many tokens");
	if (is_name_start(*p->at)) {
		while (p->at < p->end && (is_name_start(*p->at) || is_digit(*p->at)))
			p->at++;
		p->token = TOKEN_NAME;
		if (p->at - start > GRAPHQL_NAME_MAX)
			r = fail(p, "has a name that is too long");
	} else if (is_digit(*p->at) || *p->at == '-') {
		r = lex_number(p);
	} else if (*p->at == '"') {
		r = lex_string(p);
	} else if (p->end - p->at >= 3 && !memcmp(p->at, "...", 3)) {
		p->at += 3;
		p->token = TOKEN_SPREAD;
	} else if (memchr("!$():=@[]{}", *p->at, 11)) {
		p->at++;
		p->token = TOKEN_MARK;
	} else {
		r = fail(p, "has a character that belongs nowhere");
	}
	p->text = (struct text){start, (uint32_t)(p->at - start)};
	return r;
}

static bool at_mark(const struct parser *p, char mark)
{
	return p->token == TOKEN_MARK && p->text.data[0] == mark;
}

static bool at_name(const struct parser *p, const char *name)
{
	return p->token == TOKEN_NAME && text_is(p->text, name);
}

static int syntax(struct parser *p)
{
	return fail(p, p->token == TOKEN_END ? "ends too early" : "is not a GraphQL request");
}

static int expect_mark(struct parser *p, char mark)
{
	return at_mark(p, mark) ? advance(p) : syntax(p);
}

static int expect_name(struct parser *p, struct text *ret_name)
{
	if (p->token != TOKEN_NAME)
		return syntax(p);
	*ret_name = p->text;
	return advance(p);
}

static int enter(struct parser *p)
{
	return ++p->depth > GRAPHQL_DEPTH_MAX ? fail(p, "is nested too deeply") : 0;
}

static int parse_value(struct parser *p, bool constant);

static int parse_object(struct parser *p, bool constant)
{
	struct text name;

	while (!at_mark(p, '}'))
		if (expect_name(p, &name) < 0 || expect_mark(p, ':') < 0 ||
		    parse_value(p, constant) < 0)
			return -EBADMSG;
	return advance(p);
}

static int parse_list(struct parser *p, bool constant)
{
	while (!at_mark(p, ']'))
		if (parse_value(p, constant) < 0)
			return -EBADMSG;
	return advance(p);
}

static int parse_value(struct parser *p, bool constant)
{
	struct text name;
	int r;

	if (enter(p) < 0)
		return -EBADMSG;
	if (p->token == TOKEN_NAME || p->token == TOKEN_NUMBER || p->token == TOKEN_STRING)
		r = advance(p);
	else if (at_mark(p, '$') && !constant)
		r = advance(p) < 0 ? -EBADMSG : expect_name(p, &name);
	else if (at_mark(p, '{'))
		r = advance(p) < 0 ? -EBADMSG : parse_object(p, constant);
	else if (at_mark(p, '['))
		r = advance(p) < 0 ? -EBADMSG : parse_list(p, constant);
	else
		r = syntax(p);
	p->depth--;
	return r;
}

static int parse_arguments(struct parser *p, bool constant)
{
	struct text name;

	if (!at_mark(p, '('))
		return 0;
	if (advance(p) < 0)
		return -EBADMSG;
	do {
		if (expect_name(p, &name) < 0 || expect_mark(p, ':') < 0 ||
		    parse_value(p, constant) < 0)
			return -EBADMSG;
	} while (!at_mark(p, ')'));
	return advance(p);
}

static int parse_directives(struct parser *p, bool constant)
{
	struct text name;

	while (at_mark(p, '@'))
		if (advance(p) < 0 || expect_name(p, &name) < 0 || parse_arguments(p, constant) < 0)
			return -EBADMSG;
	return 0;
}

static int parse_type(struct parser *p)
{
	struct text name;
	int r;

	if (enter(p) < 0)
		return -EBADMSG;
	if (at_mark(p, '['))
		r = advance(p) < 0 || parse_type(p) < 0 ? -EBADMSG : expect_mark(p, ']');
	else
		r = expect_name(p, &name);
	if (!r && at_mark(p, '!'))
		r = advance(p);
	p->depth--;
	return r;
}

static int parse_variables(struct parser *p)
{
	struct text name;

	if (!at_mark(p, '('))
		return 0;
	if (advance(p) < 0)
		return -EBADMSG;
	do {
		if (expect_mark(p, '$') < 0 || expect_name(p, &name) < 0 ||
		    expect_mark(p, ':') < 0 || parse_type(p) < 0)
			return -EBADMSG;
		if (at_mark(p, '=') && (advance(p) < 0 || parse_value(p, true) < 0))
			return -EBADMSG;
		if (parse_directives(p, true) < 0)
			return -EBADMSG;
	} while (!at_mark(p, ')'));
	return advance(p);
}

static int note(struct parser *p, enum item_kind kind, struct text name)
{
	if (p->items_count == p->items_max)
		return fail(p, "has too many selections");
	p->items[p->items_count++] = (struct item){
		.at = (uint32_t)(name.data - p->start),
		.size = (uint8_t)name.size,
		.kind = (uint8_t)kind,
	};
	return 0;
}

static int parse_selections(struct parser *p, bool root);

/* Alias, name, arguments, directives, selections: section 2.5. */
static int parse_field(struct parser *p, bool root)
{
	struct text name;

	if (expect_name(p, &name) < 0)
		return -EBADMSG;
	if (at_mark(p, ':') && (advance(p) < 0 || expect_name(p, &name) < 0))
		return -EBADMSG;
	if (root && note(p, ITEM_FIELD, name) < 0)
		return -EBADMSG;
	if (parse_arguments(p, false) < 0 || parse_directives(p, false) < 0)
		return -EBADMSG;
	return at_mark(p, '{') ? parse_selections(p, false) : 0;
}

/* After `...`: a fragment's name, or an inline fragment: section 2.8. */
static int parse_spread(struct parser *p, bool root)
{
	struct text name;

	if (p->token == TOKEN_NAME && !text_is(p->text, "on")) {
		if (note(p, root ? ITEM_SPREAD : ITEM_SPREAD_BELOW, p->text) < 0 || advance(p) < 0)
			return -EBADMSG;
		return parse_directives(p, false);
	}
	if (at_name(p, "on") && (advance(p) < 0 || expect_name(p, &name) < 0))
		return -EBADMSG;
	return parse_directives(p, false) < 0 ? -EBADMSG : parse_selections(p, root);
}

static int parse_selections(struct parser *p, bool root)
{
	int r;

	if (enter(p) < 0 || expect_mark(p, '{') < 0)
		return -EBADMSG;
	do {
		if (p->token == TOKEN_SPREAD)
			r = advance(p) < 0 ? -EBADMSG : parse_spread(p, root);
		else
			r = parse_field(p, root);
		if (r < 0)
			return r;
	} while (!at_mark(p, '}'));
	p->depth--;
	return advance(p);
}

static int parse_operation(struct parser *p, struct definition *definition)
{
	definition->type = at_name(p, "mutation")	? GRAPHQL_MUTATION
			   : at_name(p, "subscription") ? GRAPHQL_SUBSCRIPTION
							: GRAPHQL_QUERY;
	if (p->token == TOKEN_NAME) {
		if (advance(p) < 0)
			return -EBADMSG;
		if (p->token == TOKEN_NAME && expect_name(p, &definition->name) < 0)
			return -EBADMSG;
		if (parse_variables(p) < 0 || parse_directives(p, false) < 0)
			return -EBADMSG;
	}
	return parse_selections(p, true);
}

static int parse_fragment(struct parser *p, struct definition *definition)
{
	struct text type;

	if (advance(p) < 0)
		return -EBADMSG;
	if (at_name(p, "on"))
		return syntax(p);
	if (expect_name(p, &definition->name) < 0)
		return -EBADMSG;
	if (!at_name(p, "on"))
		return syntax(p);
	if (advance(p) < 0 || expect_name(p, &type) < 0 || parse_directives(p, false) < 0)
		return -EBADMSG;
	return parse_selections(p, true);
}

/* Operations and fragments have names of their own. */
static bool is_repeated(const struct parser *p, const struct definition *definition)
{
	for (const struct definition *d = p->definitions; d < definition; d++)
		if (!d->type == !definition->type && text_equal(d->name, definition->name))
			return true;
	return false;
}

static int parse_document(struct parser *p)
{
	if (advance(p) < 0)
		return -EBADMSG;
	do {
		struct definition *definition = &p->definitions[p->definitions_count];
		int r;

		if (p->definitions_count == GRAPHQL_DEFINITIONS_MAX)
			return fail(p, "has too many definitions");
		*definition = (struct definition){.name = TEXT(""), .first = p->items_count};
		if (at_name(p, "fragment"))
			r = parse_fragment(p, definition);
		else if (at_mark(p, '{') || at_name(p, "query") || at_name(p, "mutation") ||
			 at_name(p, "subscription"))
			r = parse_operation(p, definition);
		else
			r = syntax(p);
		if (r < 0)
			return r;
		if (is_repeated(p, definition))
			return fail(p, "has two definitions of one name");
		definition->count = p->items_count - definition->first;
		p->definitions_count++;
	} while (p->token != TOKEN_END);
	return 0;
}

static int resolve_spreads(struct parser *p)
{
	for (uint32_t i = 0; i < p->items_count; i++) {
		struct item *item = &p->items[i];
		struct text name = {p->start + item->at, item->size};
		uint32_t j = 0;

		if (item->kind == ITEM_FIELD)
			continue;
		while (j < p->definitions_count &&
		       (p->definitions[j].type || !text_equal(p->definitions[j].name, name)))
			j++;
		if (j == p->definitions_count)
			return fail(p, "spreads a fragment that it does not have");
		item->at = j;
	}
	return 0;
}

/* As deep as there are definitions. */
static int find_cycle(struct parser *p, struct definition *definition)
{
	definition->state = 1;
	for (uint32_t i = 0; i < definition->count; i++) {
		const struct item *item = &p->items[definition->first + i];
		struct definition *fragment = &p->definitions[item->at];

		if (item->kind == ITEM_FIELD)
			continue;
		if (fragment->state == 1)
			return fail(p, "has a fragment that leads to itself");
		if (!fragment->state && find_cycle(p, fragment) < 0)
			return -EBADMSG;
	}
	definition->state = 2;
	return 0;
}

static int choose(struct parser *p, const struct text *name, struct definition **ret_chosen)
{
	struct definition *chosen = NULL;
	unsigned int operations = 0;
	bool anonymous = false;

	for (uint32_t i = 0; i < p->definitions_count; i++) {
		struct definition *definition = &p->definitions[i];

		if (!definition->type)
			continue;
		operations++;
		anonymous |= !definition->name.size;
		if (!name || text_equal(*name, definition->name))
			chosen = definition;
	}
	if (!operations)
		return fail(p, "has no operation");
	if (anonymous && operations > 1)
		return fail(p, "has an anonymous operation beside others");
	if (!name && operations > 1)
		return fail(p, "has several operations, and does not say which");
	if (!chosen || (name && !name->size))
		return fail(p, "does not have the operation that is asked for");
	*ret_chosen = chosen;
	return 0;
}

static int add_field(struct parser *p, struct text name, struct graphql_operation *operation)
{
	for (uint16_t i = 0; i < operation->fields; i++)
		if (text_equal(operation->field[i], name))
			return 0;
	if (operation->fields == GRAPHQL_FIELDS_MAX)
		return fail(p, "selects too many fields");
	operation->field[operation->fields++] = name;
	return 0;
}

/* Each fragment once, or they would multiply. */
static int gather_root(struct parser *p, struct definition *definition,
		       struct graphql_operation *operation)
{
	definition->gathered = true;
	for (uint32_t i = 0; i < definition->count; i++) {
		const struct item *item = &p->items[definition->first + i];
		struct text name = {p->start + item->at, item->size};
		int r = 0;

		if (item->kind == ITEM_FIELD)
			r = add_field(p, name, operation);
		else if (item->kind == ITEM_SPREAD && !p->definitions[item->at].gathered)
			r = gather_root(p, &p->definitions[item->at], operation);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Section 2.1, and no byte order mark: some servers take it for white space, others do not. */
static int check_characters(struct parser *p, struct text document)
{
	for (uint32_t i = 0; i < document.size; i++) {
		uint8_t c = (uint8_t)document.data[i];

		if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f)
			return fail(p, "has a control character");
	}
	return 0;
}

int graphql_read(struct text document, const struct text *name, void *scratch, size_t size,
		 struct graphql_operation *ret_operation, const char **ret_why)
{
	size_t offset = -(uintptr_t)scratch % _Alignof(struct definition);
	size_t definitions = GRAPHQL_DEFINITIONS_MAX * sizeof(struct definition);
	struct parser p = {
		.start = document.data, .at = document.data, .end = document.data + document.size};
	struct definition *chosen;
	int r;

	if (size < offset + definitions) {
		*ret_why = "is too long";
		return -EBADMSG;
	}
	p.definitions = (struct definition *)((uint8_t *)scratch + offset);
	p.items = (struct item *)(p.definitions + GRAPHQL_DEFINITIONS_MAX);
	p.items_max = (uint32_t)((size - offset - definitions) / sizeof(struct item));
	r = check_characters(&p, document);
	if (!r)
		r = parse_document(&p);
	if (!r)
		r = resolve_spreads(&p);
	for (uint32_t i = 0; !r && i < p.definitions_count; i++)
		if (!p.definitions[i].state)
			r = find_cycle(&p, &p.definitions[i]);
	if (!r)
		r = choose(&p, name, &chosen);
	if (!r) {
		ret_operation->type = (enum graphql_type)chosen->type;
		ret_operation->name = chosen->name;
		ret_operation->fields = 0;
		r = gather_root(&p, chosen, ret_operation);
	}
	if (r < 0)
		*ret_why = p.why;
	return r;
}

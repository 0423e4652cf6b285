/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A name and a document, separated by a NUL. What is taken must be what is written: the root's
 * fields are names in the document; white space, commas and comments between its tokens change
 * nothing; and with every name of it asked for in turn, one operation at most answers to each.
 */
#include "common/cleanup.h"
#include "proxy/graphql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SCRATCH (1u << 18)

static void expect(bool condition)
{
	if (!condition)
		__builtin_trap();
}

static bool is_name(struct text text, struct text document)
{
	if (!text.size || text.data < document.data ||
	    text.data + text.size > document.data + document.size)
		return false;
	for (uint32_t i = 0; i < text.size; i++)
		if (!(text.data[i] == '_' || (text.data[i] >= '0' && text.data[i] <= '9') ||
		      ((text.data[i] | 0x20) >= 'a' && (text.data[i] | 0x20) <= 'z')))
			return false;
	return true;
}

/* The same document, with marks that mean nothing after each mark that stands for itself. */
static size_t spread_out(struct text document, char *out)
{
	char *start = out;

	for (uint32_t i = 0; i < document.size; i++) {
		char c = document.data[i];

		*out++ = c;
		/* not within strings and comments, where they would mean something */
		if (c == '"' || c == '#')
			return 0;
		if (strchr("{}()[]:=!@$ ", c) && c) {
			memcpy(out, ",#}\"\n\t", 6);
			out += 6;
		}
	}
	return (size_t)(out - start);
}

static void compare(const struct graphql_operation *a, const struct graphql_operation *b)
{
	expect(a->type == b->type && a->fields == b->fields && text_equal(a->name, b->name));
	for (uint16_t i = 0; i < a->fields; i++)
		expect(text_equal(a->field[i], b->field[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t scratch[SCRATCH];
	static struct graphql_operation first, second;
	_cleanup_free_ char *copy = malloc(size + 1), *other = malloc(7 * size + 1);
	const uint8_t *nul = size ? memchr(data, '\0', size) : NULL;
	struct text name = {0}, document;
	const char *why = NULL;
	size_t other_size;
	int r;

	if (!copy || !other || size > 65536)
		return 0;
	/* copied, so that reading past its end is seen */
	name = (struct text){(const char *)data, nul ? (uint32_t)(nul - data) : 0};
	document.size = (uint32_t)(nul ? data + size - nul - 1 : (ptrdiff_t)size);
	document.data = memcpy(copy, data + size - document.size, document.size);
	r = graphql_read(document, nul ? &name : NULL, scratch, sizeof(scratch), &first, &why);
	if (r < 0) {
		expect(why);
		return 0;
	}
	expect(first.fields > 0 && first.type >= GRAPHQL_QUERY &&
	       first.type <= GRAPHQL_SUBSCRIPTION);
	for (uint16_t i = 0; i < first.fields; i++)
		expect(is_name(first.field[i], document));
	expect(!first.name.size || is_name(first.name, document));
	expect(!nul || text_equal(name, first.name));
	/* asked for by its name it is the same */
	if (first.name.size) {
		expect(!graphql_read(document, &first.name, scratch, sizeof(scratch), &second,
				     &why));
		compare(&first, &second);
	}
	other_size = spread_out(document, other);
	if (other_size) {
		r = graphql_read((struct text){other, (uint32_t)other_size}, nul ? &name : NULL,
				 scratch, sizeof(scratch), &second, &why);
		expect(!r);
		compare(&first, &second);
	}
	return 0;
}

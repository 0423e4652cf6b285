/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "proxy/inference_internal.h"
#include "proxy/inference_request.h"
#include "proxy/json_view.h"

#define DIALECT(name) OPENSHELL__WORKER__V1__INFERENCE_DIALECT__INFERENCE_DIALECT_##name

/* https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/use-claude */
#define VERTEX_VERSION "\"vertex-2023-10-16\""

/* A model's name with every byte written as an escape, and the quotes. */
#define MODEL_ESCAPED_MAX (6 * INFERENCE_MODEL_MAX + 2)

/* Reading */

static int read_model(struct text value, struct arena *arena, struct text *ret_model,
		      const char **ret_why)
{
	struct json_view_memory memory = {.size = MODEL_ESCAPED_MAX};
	int r = 0;

	*ret_model = TEXT("");
	if (!value.size)
		return 0;
	if (json_view_kind(value) != JSON_VIEW_STRING) {
		*ret_why = "has a model that is no string";
		return -EBADMSG;
	}
	if (value.size <= MODEL_ESCAPED_MAX) {
		memory.data = arena_alloc(arena, memory.size);
		if (!memory.data)
			return -ENOMEM;
		r = json_view_string(value, &memory, ret_model);
	}
	if (value.size <= MODEL_ESCAPED_MAX && !r && ret_model->size <= INFERENCE_MODEL_MAX)
		return 0;
	*ret_why = "has a model whose name is too long";
	return -E2BIG;
}

int inference_body_read(const uint8_t *data, size_t size, void *scratch, size_t scratch_size,
			struct arena *arena, struct inference_body *ret_body, const char **ret_why)
{
	struct json_view_want wants[] = {{.name = "model"},
					 {.name = "stream"},
					 {.name = "anthropic_version"},
					 {.name = "models"},
					 {.name = "fallbacks"}};
	struct inference_body body = {};
	enum json_view_kind stream;
	int r = json_view_check(data, size, scratch, scratch_size, ret_why);

	if (!r)
		r = json_view_find(json_view_value(data, size), wants, ARRAY_LEN(wants), ret_why);
	if (r == -EINVAL) {
		*ret_why = "is no JSON object";
		r = -EBADMSG;
	}
	/* Routers of models, such as OpenRouter and LiteLLM, take them in the model's place. */
	if (!r && (wants[3].value.size || wants[4].value.size)) {
		*ret_why = "names further models, which are not its to choose";
		r = -EBADMSG;
	}
	if (!r)
		r = read_model(wants[0].value, arena, &body.model, ret_why);
	if (r < 0)
		return r;
	stream = json_view_kind(wants[1].value);
	/* "true" and 1 are true to some. */
	if (stream != JSON_VIEW_NONE && stream != JSON_VIEW_TRUE && stream != JSON_VIEW_FALSE &&
	    stream != JSON_VIEW_NULL) {
		*ret_why = "has a stream that is neither true nor false";
		return -EBADMSG;
	}
	body.stream = stream == JSON_VIEW_TRUE;
	body.json = (struct text){(const char *)data, (uint32_t)size};
	body.model_value = wants[0].value;
	body.version_value = wants[2].value;
	*ret_body = body;
	return 0;
}

/* Writing */

/* The bytes from @at to @end become @put. */
struct edit {
	const char *at, *end;
	struct text put;
};

struct edits {
	struct edit list[3]; /* in the order of their places */
	size_t len;
};

static void add_edit(struct edits *edits, const char *at, const char *end, struct text put)
{
	size_t i = edits->len++;

	for (; i > 0 && edits->list[i - 1].at > at; i--)
		edits->list[i] = edits->list[i - 1];
	edits->list[i] = (struct edit){at, end, put};
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *skip_space(const char *at)
{
	while (is_space(*at))
		at++;
	return at;
}

static const char *skip_space_back(const char *end)
{
	while (is_space(end[-1]))
		end--;
	return end;
}

/*
 * Take out the member that has @value, and the comma that it leaves. Its name is one of ours, so no
 * quote is in it, however it is escaped. True if it was the only one.
 */
static bool remove_member(struct edits *edits, struct text value)
{
	const char *name = skip_space_back(value.data) - 1; /* the colon */
	const char *end = skip_space(value.data + value.size);

	name = skip_space_back(name) - 2; /* before the closing quote */
	while (*name != '"')
		name--;
	if (*end == ',') {
		add_edit(edits, name, end + 1, TEXT(""));
		return false;
	}
	name = skip_space_back(name);
	if (name[-1] == ',')
		name--;
	add_edit(edits, name, end, TEXT(""));
	return *name != ',';
}

/* Put `"name":value` in front of all others; @alone: there are none. */
static int insert_member(struct edits *edits, const struct inference_body *body, bool alone,
			 const char *name, const char *value, struct arena *arena)
{
	const char *place = skip_space(body->json.data) + 1;
	char *text = arena_format(arena, "\"%s\":%s%s", name, value, alone ? "" : ",");

	if (!text)
		return -ENOMEM;
	add_edit(edits, place, place, (struct text){text, (uint32_t)strlen(text)});
	/* What goes in comes before what goes out from the same place on. */
	if (edits->len > 1 && edits->list[1].at == place && edits->list[1].end == place) {
		struct edit first = edits->list[0];

		edits->list[0] = edits->list[1];
		edits->list[1] = first;
	}
	return 0;
}

/* A model's name as JSON; it has no control characters. */
static char *quote(struct arena *arena, const char *name)
{
	char *text = arena_alloc(arena, 2 * strlen(name) + 3), *out = text;

	if (!text)
		return NULL;
	*out++ = '"';
	for (; *name; name++) {
		if (*name == '"' || *name == '\\')
			*out++ = '\\';
		*out++ = *name;
	}
	*out = '"';
	return text;
}

static bool is_empty(const struct inference_body *body)
{
	return *skip_space(skip_space(body->json.data) + 1) == '}';
}

static int set_member(struct edits *edits, const struct inference_body *body, struct text old,
		      bool alone, const char *name, const char *value, struct arena *arena)
{
	if (!old.size)
		return insert_member(edits, body, alone, name, value, arena);
	add_edit(edits, old.data, old.data + old.size,
		 (struct text){value, (uint32_t)strlen(value)});
	return 0;
}

static int plan(const struct inference_route *route, const struct inference_body *body,
		struct arena *arena, struct edits *edits)
{
	bool alone = is_empty(body);
	char *model;

	switch (route->told->dialect) {
	case DIALECT(BEDROCK):
	case DIALECT(VERTEX_CLAUDE):
		if (body->model_value.size)
			alone = remove_member(edits, body->model_value);
		if (route->told->dialect == DIALECT(BEDROCK))
			return 0;
		return set_member(edits, body, body->version_value, alone, "anthropic_version",
				  VERTEX_VERSION, arena);
	default:
		model = quote(arena, route->told->model);
		if (!model)
			return -ENOMEM;
		return set_member(edits, body, body->model_value, alone, "model", model, arena);
	}
}

int inference_body_write(const struct inference_route *route, const struct inference_body *body,
			 struct arena *arena, struct text *ret_json)
{
	const char *at = body->json.data, *end = at + body->json.size;
	size_t size = body->json.size;
	struct edits edits = {};
	char *text, *out;
	int r = plan(route, body, arena, &edits);

	if (r < 0)
		return r;
	for (size_t i = 0; i < edits.len; i++)
		size += edits.list[i].put.size;
	if (size > UINT32_MAX)
		return -E2BIG;
	out = text = arena_alloc(arena, size);
	if (!text)
		return -ENOMEM;
	for (size_t i = 0; i < edits.len; i++) {
		const struct edit *edit = &edits.list[i];

		out = mempcpy(out, at, (size_t)(edit->at - at));
		out = mempcpy(out, edit->put.data, edit->put.size);
		at = edit->end;
	}
	out = mempcpy(out, at, (size_t)(end - at));
	*ret_json = (struct text){text, (uint32_t)(out - text)};
	return 0;
}

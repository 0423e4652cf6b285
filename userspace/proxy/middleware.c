/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/middleware.h"
#include "common/cleanup.h"
#include "common/middleware_config.h"
#include "common/policy.h"
#include "common/policy_host.h"
#include "proxy/middleware_regex.h"

#include <stdlib.h>
#include <strings.h>

#define COMPILED(name) Openshell__Compiled__V1__##name

/* One of the policy's; without a regex it is a service. */
struct stage {
	const COMPILED(Middleware) * policy;
	struct regex *regex;
};

struct middleware {
	struct stage stage[POLICY_MIDDLEWARES_MAX];
	size_t stages;
};

static void cleanup_middlewarep(struct middleware **middleware)
{
	middleware_free(*middleware);
}

int middleware_new(const COMPILED(CompiledPolicy) * policy, struct middleware **ret_middleware,
		   struct error *err)
{
	_cleanup_(cleanup_middlewarep) struct middleware *middleware =
		calloc(1, sizeof(*middleware));

	if (!middleware)
		return error_set(err, -ENOMEM, "not enough memory for middlewares");
	if (policy->n_middlewares > POLICY_MIDDLEWARES_MAX)
		return error_set(err, -EINVAL, "%zu middlewares: at most %d", policy->n_middlewares,
				 POLICY_MIDDLEWARES_MAX);
	for (size_t i = 0; i < policy->n_middlewares; i++) {
		struct stage *stage = &middleware->stage[middleware->stages++];
		int r;

		stage->policy = policy->middlewares[i];
		if (strcmp(stage->policy->middleware, MIDDLEWARE_REGEX))
			continue;
		r = regex_new(stage->policy->config, &stage->regex, err);
		if (r < 0)
			return error_wrap(err, "middleware '%s'", stage->policy->key);
	}
	*ret_middleware = TAKE_PTR(middleware);
	return 0;
}

void middleware_free(struct middleware *middleware)
{
	if (!middleware)
		return;
	for (size_t i = 0; i < middleware->stages; i++)
		regex_free(middleware->stage[i].regex);
	free(middleware);
}

static bool names(char *const *patterns, size_t count, const char *host)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(patterns[i], host) || policy_host_match(patterns[i], host))
			return true;
	return false;
}

static bool stage_selects(const struct stage *stage, const char *host)
{
	return names(stage->policy->include, stage->policy->n_include, host) &&
	       !names(stage->policy->exclude, stage->policy->n_exclude, host);
}

bool middleware_selects(const struct middleware *middleware, const char *host)
{
	for (size_t i = 0; i < middleware->stages; i++)
		if (stage_selects(&middleware->stage[i], host))
			return true;
	return false;
}

static bool looks_at_bodies(const struct stage *stage)
{
	return stage->regex && (regex_where(stage->regex) & MIDDLEWARE_BODY);
}

size_t middleware_body_max(const struct middleware *middleware, const char *host)
{
	size_t max = 0;

	for (size_t i = 0; i < middleware->stages; i++) {
		const struct stage *stage = &middleware->stage[i];

		if (looks_at_bodies(stage) && stage_selects(stage, host) &&
		    regex_body_max(stage->regex) > max)
			max = regex_body_max(stage->regex);
	}
	return max;
}

static const char *name_of(const struct stage *stage)
{
	return *stage->policy->name ? stage->policy->name : stage->policy->key;
}

static int failed(const struct stage *stage, struct arena *arena, const char *what,
		  const char **ret_why)
{
	const char *why;

	if (stage->policy->fail_open)
		return 0;
	why = arena_format(arena, "middleware '%s' has failed: %s", name_of(stage), what);
	*ret_why = why ? why : "a middleware has failed";
	return -EIO;
}

/* What a stage said of a text, given the pattern's name. */
static int judge(const struct stage *stage, int r, const char *pattern, struct arena *arena,
		 const char **ret_why)
{
	const char *why;

	if (r == -EIO)
		return failed(stage, arena, "too much to match", ret_why);
	if (r != -EACCES)
		return r;
	why = arena_format(arena, "%s of middleware '%s' was found", pattern, name_of(stage));
	*ret_why = why ? why : "a middleware denies it";
	return -EACCES;
}

/* Heads */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static struct text decoded(struct text text, bool plus, char *out)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < text.size; i++) {
		int high = -1, low = -1;

		if (text.data[i] == '%' && i + 2 < text.size) {
			high = hex_digit(text.data[i + 1]);
			low = hex_digit(text.data[i + 2]);
		}
		if (high >= 0 && low >= 0) {
			out[used++] = (char)(high << 4 | low);
			i += 2;
		} else {
			out[used++] = plus && text.data[i] == '+' ? ' ' : text.data[i];
		}
	}
	return (struct text){out, used};
}

static char *encode(struct text text, char *out)
{
	static const char digits[] = "0123456789ABCDEF";

	for (uint32_t i = 0; i < text.size; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    c == '-' || c == '.' || c == '_' || c == '~') {
			*out++ = (char)c;
			continue;
		}
		*out++ = '%';
		*out++ = digits[c >> 4];
		*out++ = digits[c & 15];
	}
	return out;
}

/* One request's head on its way through one stage. */
struct pass {
	const struct stage *stage;
	struct http_head *head;
	struct arena *arena;
	bool changed;
	const char *pattern; /* that denied, or failed */
};

static int apply(struct pass *pass, unsigned int place, struct text text, struct text *ret_text)
{
	return regex_apply(pass->stage->regex, place, text, pass->arena, ret_text, &pass->pattern);
}

static int look_at_fields(struct pass *pass)
{
	for (uint16_t i = 0; i < pass->head->fields; i++) {
		struct text *value = &pass->head->field[i].value, after = *value;
		int r = apply(pass, MIDDLEWARE_HEADERS, *value, &after);

		if (r < 0)
			return r;
		pass->changed |= after.data != value->data;
		*value = after;
	}
	return 0;
}

/* A name or a value of a query: as it was sent, or encoded anew. */
static int look_at_part(struct pass *pass, struct text part, char *scratch, struct text *ret_part)
{
	struct text plain = decoded(part, true, scratch), after = plain;
	int r = apply(pass, MIDDLEWARE_QUERY, plain, &after);
	char *out;

	if (r < 0 || after.data == plain.data)
		return r;
	out = arena_alloc(pass->arena, 3 * (size_t)after.size);
	if (!out)
		return -ENOMEM;
	*ret_part = (struct text){out, (uint32_t)(encode(after, out) - out)};
	return 0;
}

static int append(struct text *out, struct text part, uint32_t max)
{
	if (part.size > max - out->size)
		return -EIO;
	if (part.size)
		memcpy((char *)out->data + out->size, part.data, part.size);
	out->size += part.size;
	return 0;
}

static int look_at_query(struct pass *pass, struct text path, struct text query, char *scratch,
			 char *buffer)
{
	struct text out = {buffer, 0}, part = {query.data, 0};
	int r = append(&out, path, HTTP_TARGET_MAX);

	if (!r)
		r = append(&out, TEXT("?"), HTTP_TARGET_MAX);
	for (uint32_t i = 0; i <= query.size && !r; i++) {
		struct text after;

		if (i < query.size && query.data[i] != '&' && query.data[i] != '=') {
			part.size++;
			continue;
		}
		after = part;
		r = look_at_part(pass, part, scratch, &after);
		if (!r)
			r = append(&out, after, HTTP_TARGET_MAX);
		if (!r && i < query.size)
			r = append(&out, (struct text){query.data + i, 1}, HTTP_TARGET_MAX);
		pass->changed |= after.data != part.data;
		part = (struct text){query.data + i + 1, 0};
	}
	if (!r && !text_equal(out, pass->head->target))
		pass->head->target = out;
	return r;
}

static int look_at_target(struct pass *pass)
{
	struct text path = pass->head->target, query = {}, after;
	const char *mark = path.size ? memchr(path.data, '?', path.size) : NULL;
	_cleanup_free_ char *scratch = NULL;
	char *buffer;
	int r;

	if (path.size > HTTP_TARGET_MAX)
		return -EIO;
	if (mark) {
		query = (struct text){mark + 1, path.size - (uint32_t)(mark - path.data) - 1};
		path.size = (uint32_t)(mark - path.data);
	}
	scratch = malloc(HTTP_TARGET_MAX);
	if (!scratch)
		return -ENOMEM;
	r = apply(pass, MIDDLEWARE_PATH, decoded(path, false, scratch), &after);
	if (r < 0 || !query.size || !(regex_where(pass->stage->regex) & MIDDLEWARE_QUERY))
		return r;
	buffer = arena_alloc(pass->arena, HTTP_TARGET_MAX);
	return buffer ? look_at_query(pass, path, query, scratch, buffer) : -ENOMEM;
}

/* A body that it looks at and could not read. */
static bool is_compressed(const struct http_head *head)
{
	const struct http_field *field = http_field_find(head, "content-encoding");

	return head->body != HTTP_BODY_NONE && field && field->value.size &&
	       !(field->value.size == 8 && !strncasecmp(field->value.data, "identity", 8));
}

static int stage_head(const struct stage *stage, struct http_head *head, struct arena *arena,
		      bool *changed, const char **ret_why)
{
	struct http_head before = *head;
	struct pass pass = {.stage = stage, .head = head, .arena = arena};
	unsigned int where;
	int r = 0;

	if (!stage->regex)
		return failed(stage, arena, "no service is registered for it", ret_why);
	where = regex_where(stage->regex);
	if ((where & MIDDLEWARE_BODY) && is_compressed(head)) {
		r = failed(stage, arena, "the body is compressed", ret_why);
		if (r < 0)
			return r;
	}
	if (where & MIDDLEWARE_HEADERS)
		r = look_at_fields(&pass);
	if (!r && (where & (MIDDLEWARE_QUERY | MIDDLEWARE_PATH)))
		r = look_at_target(&pass);
	if (r < 0)
		*head = before;
	else
		*changed |= pass.changed;
	return judge(stage, r, pass.pattern, arena, ret_why);
}

int middleware_head(struct middleware *middleware, const char *host, struct http_head *head,
		    struct arena *arena, bool *ret_changed, const char **ret_why)
{
	struct http_head before = *head;
	bool changed = false;

	for (size_t i = 0; i < middleware->stages; i++) {
		int r;

		if (!stage_selects(&middleware->stage[i], host))
			continue;
		r = stage_head(&middleware->stage[i], head, arena, &changed, ret_why);
		if (r < 0) {
			*head = before;
			return r;
		}
	}
	*ret_changed = changed;
	return 0;
}

/* Bodies */

static int stage_body(const struct stage *stage, struct arena *arena, struct text *text,
		      const char **ret_why)
{
	const char *pattern = NULL;
	struct text after = *text;
	int r;

	if (text->size > regex_body_max(stage->regex))
		return failed(stage, arena, "the body is longer than it looks at", ret_why);
	r = regex_apply(stage->regex, MIDDLEWARE_BODY, *text, arena, &after, &pattern);
	if (!r)
		*text = after;
	return judge(stage, r, pattern, arena, ret_why);
}

int middleware_body(struct middleware *middleware, const char *host, const uint8_t *body,
		    size_t size, struct arena *arena, struct text *ret_body, const char **ret_why)
{
	struct text text = {(const char *)body, (uint32_t)size};

	if (size > MIDDLEWARE_BODY_MAX) {
		int r = middleware_oversize(middleware, host, ret_why);

		if (!r)
			*ret_body = text;
		return r;
	}
	for (size_t i = 0; i < middleware->stages; i++) {
		const struct stage *stage = &middleware->stage[i];
		int r;

		if (!looks_at_bodies(stage) || !stage_selects(stage, host))
			continue;
		r = stage_body(stage, arena, &text, ret_why);
		if (r < 0)
			return r;
	}
	*ret_body = text;
	return 0;
}

int middleware_oversize(const struct middleware *middleware, const char *host, const char **ret_why)
{
	for (size_t i = 0; i < middleware->stages; i++) {
		const struct stage *stage = &middleware->stage[i];

		if (looks_at_bodies(stage) && stage_selects(stage, host) &&
		    !stage->policy->fail_open) {
			*ret_why = "the body is longer than a middleware looks at";
			return -EIO;
		}
	}
	return 0;
}

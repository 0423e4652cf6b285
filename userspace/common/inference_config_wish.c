/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/inference_config_internal.h"
#include "common/policy_words.h"

#include <limits.h>
#include <string.h>

#define TIMEOUT_MAX 3600 /* s */

static const char *const words_key[] = {"provider", "model",	 "base-url", "name",
					"timeout",  "key-file",	 "auth",     "region",
					"project",  "plaintext", NULL};

/* Printable ASCII that needs no quoting anywhere: in JSON, in a log, in a shell. */
static bool is_model(const char *model)
{
	size_t len = strlen(model);

	if (!len || len > INFERENCE_MODEL_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (model[i] <= ' ' || model[i] > '~' || strchr("\"'\\`", model[i]))
			return false;
	return true;
}

static bool is_name(const char *name, const char *more)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789";
	size_t len = strlen(name), at = 0;

	while (at < len && (strchr(letters, name[at]) || strchr(more, name[at])))
		at++;
	return len && len <= INFERENCE_NAME_MAX && at == len && strchr(letters, name[0]);
}

static int check_names(const struct inference_report *report, const struct inference_wish *wish)
{
	if (!is_name(wish->provider.value, "-_."))
		return inference_refuse(report, wish->provider.at, -EINVAL,
					"provider '%s' is no name: letters, digits, '-', '_' and "
					"'.', a letter or digit first, at most %d",
					wish->provider.value, INFERENCE_NAME_MAX);
	if (!is_model(wish->model.value))
		return inference_refuse(report, wish->model.at, -EINVAL,
					"model '%s' is no name: 1 to %d characters of ASCII, "
					"without spaces, quotes and backslashes",
					wish->model.value, INFERENCE_MODEL_MAX);
	if (wish->name.value && !is_name(wish->name.value, "-_.:/@"))
		return inference_refuse(report, wish->name.at, -EINVAL,
					"name '%s' is none: letters, digits and '-_.:/@', a letter "
					"or digit first, at most %d",
					wish->name.value, INFERENCE_NAME_MAX);
	if (!wish->name.value && strlen(wish->model.value) > INFERENCE_NAME_MAX)
		return inference_refuse(report, wish->model.at, -EINVAL,
					"the name of model '%s' is too long for a route's, %d "
					"characters: give the route a 'name'",
					wish->model.value, INFERENCE_NAME_MAX);
	return 0;
}

/* They become parts of hosts and paths. */
static int check_place(const struct inference_report *report, const char *what,
		       const struct policy_string *text, const char *more)
{
	if (!text->value || is_name(text->value, more))
		return 0;
	return inference_refuse(report, text->at, -EINVAL,
				"%s '%s' is none: letters, digits and '%s', a letter or digit "
				"first, at most %d",
				what, text->value, more, INFERENCE_NAME_MAX);
}

static int check_url(const struct inference_report *report, const struct policy_string *text)
{
	struct inference_url url;
	const char *why;

	if (!text->value || !inference_url_parse(text->value, &url, &why))
		return 0;
	if (strchr(text->value, '@'))
		return inference_refuse(report, text->at, -EINVAL, "the base URL is refused: %s",
					why);
	return inference_refuse(report, text->at, -EINVAL, "base URL '%s' is refused: %s",
				text->value, why);
}

int inference_wish_check(const struct inference_report *report, const struct inference_wish *wish)
{
	const char *key = wish->key_file.value;
	int r = check_names(report, wish);

	if (!r)
		r = check_url(report, &wish->base_url);
	if (!r)
		r = check_place(report, "region", &wish->region, "-");
	if (!r)
		r = check_place(report, "project", &wish->project, "-.:");
	if (!r && key && (!*key || strlen(key) >= PATH_MAX))
		r = inference_refuse(report, wish->key_file.at, -EINVAL,
				     "the key file has no name, or a long one");
	if (!r && key && wish->auth.value == PROFILE_AUTH_NONE)
		r = inference_refuse(report, wish->auth.at, -EINVAL,
				     "a key file is of no use where auth is none");
	if (!r && key && wish->auth.value == PROFILE_AUTH_SIGV4)
		r = inference_refuse(report, wish->auth.at, -EINVAL,
				     "keys that sign come from the environment, not from a file");
	return r;
}

/* Options */

static int unknown_key(const struct inference_report *report, const char *key)
{
	const char *near = policy_word_nearest(key, words_key);

	if (near)
		return inference_refuse(report, (struct policy_place){}, -EINVAL,
					"unknown key '%s' (did you mean '%s'?)", key, near);
	return inference_refuse(report, (struct policy_place){}, -EINVAL,
				"unknown key '%s'; known keys: provider, model, base-url, name, "
				"timeout, key-file, auth, region, project, plaintext",
				key);
}

static int take_timeout(const struct inference_report *report, const char *value,
			struct inference_wish *wish)
{
	if (!*value || strlen(value) > 4 || value[strspn(value, "0123456789")])
		wish->timeout.value = 0;
	else
		wish->timeout.value = strtol(value, NULL, 10);
	if (wish->timeout.value < 1 || wish->timeout.value > TIMEOUT_MAX)
		return inference_refuse(report, (struct policy_place){}, -EINVAL,
					"timeout '%s' is no number of seconds from 1 to %d", value,
					TIMEOUT_MAX);
	return 0;
}

static int take_auth(const struct inference_report *report, const char *value,
		     struct inference_wish *wish)
{
	for (int i = 0; profile_words_auth[i]; i++)
		if (!strcmp(profile_words_auth[i], value))
			wish->auth.value = i + 1;
	if (wish->auth.value)
		return 0;
	return inference_refuse(report, (struct policy_place){}, -EINVAL,
				"auth cannot be '%s'; it is one of: bearer, x-api-key, api-key, "
				"sigv4, none",
				value);
}

static int take_plaintext(const struct inference_report *report, const char *value,
			  struct inference_wish *wish)
{
	wish->plaintext.value = !strcmp(value, "yes");
	if (wish->plaintext.value || !strcmp(value, "no"))
		return 0;
	return inference_refuse(report, (struct policy_place){}, -EINVAL,
				"plaintext cannot be '%s'; it is yes or no", value);
}

static int take_pair(const struct inference_report *report, const char *key, const char *value,
		     struct inference_wish *wish)
{
	struct {
		const char *key;
		struct policy_string *text;
	} texts[] = {
		{"provider", &wish->provider}, {"model", &wish->model},
		{"name", &wish->name},	       {"base-url", &wish->base_url},
		{"region", &wish->region},     {"project", &wish->project},
		{"key-file", &wish->key_file},
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (!strcmp(texts[i].key, key)) {
			texts[i].text->value = value;
			return 0;
		}
	if (!strcmp(key, "timeout"))
		return take_timeout(report, value, wish);
	if (!strcmp(key, "auth"))
		return take_auth(report, value, wish);
	if (!strcmp(key, "plaintext"))
		return take_plaintext(report, value, wish);
	return unknown_key(report, key);
}

static int parse_pairs(const struct inference_report *report, char *text,
		       struct inference_wish *wish)
{
	const char *seen[ARRAY_LEN(words_key)];
	size_t count = 0;

	for (char *next = text; text; text = next) {
		char *equals;
		int r;

		next = strchr(text, ',');
		if (next)
			*next++ = '\0';
		equals = strchr(text, '=');
		if (!equals)
			/* Without the text: it may be the end of a secret with a comma. */
			return inference_refuse(report, (struct policy_place){}, -EINVAL,
						"expected KEY=VALUE,KEY=VALUE such as "
						"provider=openai,model=gpt-4o-mini");
		*equals = '\0';
		for (size_t i = 0; i < count; i++)
			if (!strcmp(seen[i], text))
				return inference_refuse(report, (struct policy_place){}, -EINVAL,
							"'%s' is given twice", text);
		r = take_pair(report, text, equals + 1, wish);
		if (r < 0)
			return r;
		seen[count++] = text;
	}
	return 0;
}

int inference_wish_parse(const struct inference_report *report, const char *text,
			 struct arena *arena, struct inference_wish *ret_wish)
{
	char *copy = arena_copy(arena, text, strlen(text));
	struct inference_wish wish = {};
	int r;

	if (!copy)
		return inference_no_memory(report);
	r = parse_pairs(report, copy, &wish);
	if (r < 0)
		return r;
	if (!wish.provider.value || !wish.model.value)
		return inference_refuse(report, (struct policy_place){}, -EINVAL,
					"a route needs provider=NAME and model=MODEL");
	r = inference_wish_check(report, &wish);
	if (!r)
		*ret_wish = wish;
	return r;
}

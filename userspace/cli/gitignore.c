/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/gitignore.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PATTERNS_MAX 10000
#define STEPS_MAX    100000

struct pattern {
	char *directory; /* that it is about */
	char *text;
	bool negative, directory_only, anchored;
};

struct gitignore {
	struct pattern *pattern;
	size_t count;
};

struct gitignore *gitignore_new(void)
{
	return calloc(1, sizeof(struct gitignore));
}

void gitignore_free(struct gitignore *ignore)
{
	if (!ignore)
		return;
	for (size_t i = 0; i < ignore->count; i++) {
		free(ignore->pattern[i].directory);
		free(ignore->pattern[i].text);
	}
	free(ignore->pattern);
	free(ignore);
}

static int add_line(struct gitignore *ignore, const char *directory, const char *line, size_t size)
{
	struct pattern p = {}, *grown;

	while (size && (line[size - 1] == '\r' ||
			(line[size - 1] == ' ' && (size < 2 || line[size - 2] != '\\'))))
		size--;
	if (!size || *line == '#')
		return 0;
	if (*line == '!') {
		p.negative = true;
		line++;
		size--;
	}
	if (size && line[size - 1] == '/') {
		p.directory_only = true;
		size--;
	}
	if (!size)
		return 0;
	p.anchored = memchr(line, '/', size);
	if (*line == '/') {
		line++;
		size--;
	}
	if (ignore->count == PATTERNS_MAX)
		return -E2BIG;
	grown = reallocarray(ignore->pattern, ignore->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	ignore->pattern = grown;
	p.directory = strdup(directory);
	p.text = strndup(line, size);
	if (!p.directory || !p.text) {
		free(p.directory);
		free(p.text);
		return -ENOMEM;
	}
	grown[ignore->count++] = p;
	return 0;
}

int gitignore_add(struct gitignore *ignore, const char *directory, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		int r = add_line(ignore, directory, text, n);

		if (r)
			return r;
		text += n + (text[n] == '\n');
	}
	return 0;
}

/* "[a-z]", at @p behind the bracket: whether @c is in it; *ret_end is behind it. */
static bool in_class(const char *p, char c, const char **ret_end)
{
	bool negative = *p == '!' || *p == '^', found = false;

	p += negative;
	for (bool first = true; *p && (first || *p != ']'); first = false, p++) {
		char low = *p, high;

		if (low == '\\' && p[1])
			low = *++p;
		high = low;
		if (p[1] == '-' && p[2] && p[2] != ']') {
			high = p[2];
			p += 2;
		}
		found |= c >= low && c <= high;
	}
	*ret_end = *p ? p + 1 : p;
	return found != negative && c != '/';
}

/* As wildmatch of git, with a limit to its steps. */
static bool match(const char *p, const char *s, int *steps)
{
	if (--*steps < 0)
		return false;
	for (; *p; p++, s++) {
		if (p[0] == '*' && p[1] == '*') {
			if (p[2] == '/') {
				/* No directory, or any number of them. */
				for (const char *at = s; at; at = strchr(at, '/')) {
					at += at != s || *at == '/';
					if (match(p + 3, at, steps))
						return true;
				}
				return false;
			}
			if (!p[2])
				return *s;
			p++;
		}
		if (*p == '*') {
			for (;; s++) {
				if (match(p + 1, s, steps))
					return true;
				if (!*s || *s == '/')
					return false;
			}
		}
		if (!*s)
			return false;
		if (*p == '?') {
			if (*s == '/')
				return false;
		} else if (*p == '[') {
			const char *end;

			if (!in_class(p + 1, *s, &end))
				return false;
			p = end - 1;
		} else {
			if (*p == '\\' && p[1])
				p++;
			if (*p != *s)
				return false;
		}
	}
	return !*s;
}

static bool pattern_matches(const struct pattern *p, const char *path, bool is_directory)
{
	size_t n = strlen(p->directory);
	int steps = STEPS_MAX;
	const char *base;

	if (p->directory_only && !is_directory)
		return false;
	if (n) {
		if (strncmp(path, p->directory, n) != 0 || path[n] != '/')
			return false;
		path += n + 1;
	}
	if (p->anchored)
		return match(p->text, path, &steps);
	base = strrchr(path, '/');
	return match(p->text, base ? base + 1 : path, &steps);
}

/* The last one that matches decides. */
bool gitignore_matches(const struct gitignore *ignore, const char *path, bool is_directory)
{
	for (size_t i = ignore->count; i--;)
		if (pattern_matches(&ignore->pattern[i], path, is_directory))
			return !ignore->pattern[i].negative;
	return false;
}

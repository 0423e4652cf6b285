/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/cgroup_mounts.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <string.h>

#define MOUNTINFO_MAX (4u << 20)

/* A field of a line: not terminated, octal escapes still in it. */
struct field {
	const char *data;
	size_t len;
};

static const char *const controller_names[CGROUP_CONTROLLERS] = {
	[CGROUP_CPU] = "cpu",
	[CGROUP_MEMORY] = "memory",
};

const char *cgroup_controller_name(enum cgroup_controller controller)
{
	return controller_names[controller];
}

static bool field_is(const struct field *field, const char *text)
{
	return field->len == strlen(text) && !memcmp(field->data, text, field->len);
}

/* Whether @option is one of the comma-separated words of @field. */
static bool field_has(const struct field *field, const char *option)
{
	const char *p = field->data, *end = field->data + field->len;
	size_t len = strlen(option);

	while (p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		const char *stop = comma ? comma : end;

		if ((size_t)(stop - p) == len && !memcmp(p, option, len))
			return true;
		p = stop + 1;
	}
	return false;
}

/* Undo \ooo, which the kernel writes for blanks and backslashes. */
static bool field_copy(const struct field *field, char *ret, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < field->len; i++) {
		const char *p = field->data + i;
		char c = *p;

		if (c == '\\' && field->len - i >= 4 && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' &&
		    p[2] <= '7' && p[3] >= '0' && p[3] <= '7') {
			c = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
			i += 3;
		}
		if (n + 1 >= size)
			return false;
		ret[n++] = c;
	}
	ret[n] = '\0';
	return n > 0;
}

static struct field next_field(const char **p, const char *end)
{
	struct field field;

	while (*p < end && **p == ' ')
		(*p)++;
	field.data = *p;
	while (*p < end && **p != ' ')
		(*p)++;
	field.len = (size_t)(*p - field.data);
	return field;
}

static uint32_t depth_of(const struct field *root)
{
	uint32_t depth = 0;

	for (size_t i = 0; i + 1 < root->len; i++)
		depth += root->data[i] == '/' && root->data[i + 1] != '/';
	return depth;
}

static void parse_line(const char *p, const char *end, bool *v2_is_whole,
		       struct cgroup_mounts *mounts)
{
	struct field root = {}, point = {}, type, options;
	bool whole;

	for (int i = 0; i < 6; i++) {
		struct field field = next_field(&p, end);

		if (i == 3)
			root = field;
		if (i == 4)
			point = field;
	}
	for (;;) {
		struct field field = next_field(&p, end);

		if (field.len == 0)
			return;
		if (field_is(&field, "-"))
			break;
	}
	type = next_field(&p, end);
	next_field(&p, end); /* source */
	options = next_field(&p, end);
	whole = field_is(&root, "/");
	if (field_is(&type, "cgroup2") && (!mounts->v2[0] || (whole && !*v2_is_whole))) {
		if (!field_copy(&point, mounts->v2, sizeof(mounts->v2))) {
			mounts->v2[0] = '\0';
			return;
		}
		mounts->v2_depth = depth_of(&root);
		*v2_is_whole = whole;
	}
	if (!field_is(&type, "cgroup"))
		return;
	for (int c = 0; c < CGROUP_CONTROLLERS; c++)
		if (field_has(&options, controller_names[c]) && !mounts->v1[c][0] &&
		    !field_copy(&point, mounts->v1[c], sizeof(mounts->v1[c])))
			mounts->v1[c][0] = '\0';
}

void cgroup_mounts_parse(const uint8_t *data, size_t size, struct cgroup_mounts *ret_mounts)
{
	const char *p = (const char *)data, *end = p + size;
	bool v2_is_whole = false;

	*ret_mounts = (struct cgroup_mounts){};
	while (p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		const char *stop = newline ? newline : end;

		parse_line(p, stop, &v2_is_whole, ret_mounts);
		p = stop + 1;
	}
}

int cgroup_mounts_load(struct cgroup_mounts *ret_mounts, struct error *err)
{
	_cleanup_close_ int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	_cleanup_free_ uint8_t *data = NULL;
	size_t len = 0, cap = 16384;

	if (fd < 0)
		return error_set(err, -errno, "cannot read /proc/self/mountinfo: %s",
				 strerror(errno));
	data = malloc(cap);
	if (!data)
		return error_set(err, -ENOMEM, "out of memory");
	for (;;) {
		ssize_t n;

		if (len == cap) {
			uint8_t *more = cap < MOUNTINFO_MAX ? realloc(data, cap * 2) : NULL;

			if (!more)
				return error_set(err, -E2BIG, "this host has too many mounts");
			data = more;
			cap *= 2;
		}
		n = read(fd, data + len, cap - len);
		if (n < 0)
			return error_set(err, -errno, "cannot read /proc/self/mountinfo: %s",
					 strerror(errno));
		if (n == 0)
			break;
		len += (size_t)n;
	}
	cgroup_mounts_parse(data, len, ret_mounts);
	return 0;
}

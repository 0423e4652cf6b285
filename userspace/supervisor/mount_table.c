/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/mount_table.h"

#include "common/cleanup.h"
#include "common/event.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

struct field {
	const uint8_t *data;
	size_t len;
};

/* The next field of a line; fields are separated by one space. False at the end of the line. */
static bool next_field(struct field *line, struct field *ret)
{
	const uint8_t *space;

	if (!line->data)
		return false;
	space = memchr(line->data, ' ', line->len);
	ret->data = line->data;
	ret->len = space ? (size_t)(space - line->data) : line->len;
	if (space) {
		line->len -= ret->len + 1;
		line->data = space + 1;
	} else {
		line->data = NULL;
		line->len = 0;
	}
	return ret->len > 0;
}

/* Decimal digits up to @end; at most @max. */
static bool parse_number(const uint8_t **p, const uint8_t *end, uint32_t max, uint32_t *ret)
{
	const uint8_t *start = *p;
	uint32_t n = 0;

	while (*p < end && **p >= '0' && **p <= '9') {
		n = n * 10 + (uint32_t)(**p - '0');
		if (n > max)
			return false;
		(*p)++;
	}
	*ret = n;
	return *p > start;
}

static bool parse_dev(struct field f, uint32_t *ret_dev)
{
	const uint8_t *p = f.data, *end = f.data + f.len;
	uint32_t major_number, minor_number;

	if (!parse_number(&p, end, 0xfff, &major_number) || p == end || *p++ != ':' ||
	    !parse_number(&p, end, 0xfffff, &minor_number) || p != end)
		return false;
	*ret_dev = major_number << 20 | minor_number;
	return true;
}

static bool is_octal(uint8_t c)
{
	return c >= '0' && c <= '7';
}

/* A path with \ooo for space, tab, newline, backslash and '#'. NULL: not absolute, or no memory. */
static char *parse_path(struct field f, int *ret_error)
{
	char *path;
	size_t out = 0;

	*ret_error = -EINVAL;
	if (f.data[0] != '/' || memchr(f.data, '\0', f.len))
		return NULL;
	path = malloc(f.len + 1);
	if (!path) {
		*ret_error = -ENOMEM;
		return NULL;
	}
	for (size_t i = 0; i < f.len; i++) {
		const uint8_t *p = f.data + i;

		if (*p == '\\' && f.len - i >= 4 && p[1] <= '3' && is_octal(p[1]) &&
		    is_octal(p[2]) && is_octal(p[3])) {
			char c = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));

			if (!c) {
				free(path);
				return NULL;
			}
			path[out++] = c;
			i += 3;
		} else {
			path[out++] = (char)*p;
		}
	}
	path[out] = '\0';
	return path;
}

static int add_entry(struct mount_table *table, struct mount_entry entry)
{
	if (table->len == MOUNT_TABLE_MAX)
		return -E2BIG;
	if (table->len == table->cap) {
		size_t cap = table->cap ? table->cap * 2 : 32;
		struct mount_entry *grown = realloc(table->entry, cap * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		table->entry = grown;
		table->cap = cap;
	}
	table->entry[table->len++] = entry;
	return 0;
}

/* "36 35 98:0 /root /mount/point options [optional...] - type source super-options" */
static int parse_line(struct field line, struct mount_table *table)
{
	_cleanup_free_ char *root = NULL, *point = NULL;
	struct field id, parent, dev, root_field, point_field;
	uint32_t number;
	int r;

	if (!next_field(&line, &id) || !next_field(&line, &parent) || !next_field(&line, &dev) ||
	    !next_field(&line, &root_field) || !next_field(&line, &point_field))
		return -EINVAL;
	if (!parse_dev(dev, &number))
		return -EINVAL;
	/* nsfs mounts have a root such as "net:[4026531840]": no paths below them, so no entry. */
	if (root_field.data[0] != '/')
		return 0;
	root = parse_path(root_field, &r);
	if (!root)
		return r;
	point = parse_path(point_field, &r);
	if (!point)
		return r;
	r = add_entry(table, (struct mount_entry){.dev = number, .root = root, .point = point});
	if (r < 0)
		return r;
	TAKE_PTR(root);
	TAKE_PTR(point);
	return 0;
}

void mount_table_free(struct mount_table *table)
{
	for (size_t i = 0; i < table->len; i++) {
		free(table->entry[i].root);
		free(table->entry[i].point);
	}
	free(table->entry);
	*table = (struct mount_table){0};
}

int mount_table_parse(const uint8_t *data, size_t size, struct mount_table *ret_table,
		      struct error *err)
{
	_cleanup_(mount_table_free) struct mount_table table = {0};
	int number = 0;

	while (size) {
		const uint8_t *newline = memchr(data, '\n', size);
		size_t len = newline ? (size_t)(newline - data) : size;
		int r = len ? parse_line((struct field){data, len}, &table) : 0;

		number++;
		if (r == -EINVAL)
			return error_set_at(err, r, "mountinfo", number, 1,
					    "not a line of mountinfo");
		if (r == -E2BIG)
			return error_set(err, r, "more than %d mounts", MOUNT_TABLE_MAX);
		if (r < 0)
			return error_set(err, r, "out of memory");
		data += len + !!newline;
		size -= len + !!newline;
	}
	*ret_table = table;
	table = (struct mount_table){0};
	return 0;
}

static uint32_t device_of(int fd)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return 0;
	return (uint32_t)major(st.st_dev) << 20 | (uint32_t)minor(st.st_dev);
}

/* Pipes, sockets and the like are on superblocks of the kernel's own that no mountinfo shows. */
static void learn_internal_devices(struct mount_table *table)
{
	_cleanup_close_ int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_close_ int memfd = memfd_create("probe", MFD_CLOEXEC);
	_cleanup_close_ int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) == 0) {
		table->pipe_dev = device_of(fds[0]);
		safe_close(fds[0]);
		safe_close(fds[1]);
	}
	table->socket_dev = device_of(socket_fd);
	table->memfd_dev = device_of(memfd);
	table->anon_dev = device_of(epoll_fd);
}

static int read_all(int fd, uint8_t **ret_data, size_t *ret_size)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t size = 0, cap = 0;

	for (;;) {
		ssize_t n;

		if (size == cap) {
			uint8_t *grown;

			if (cap == MOUNT_TABLE_BYTES_MAX)
				return -E2BIG;
			cap = cap ? cap * 2 : 65536;
			grown = realloc(data, cap);
			if (!grown)
				return -ENOMEM;
			data = grown;
		}
		n = read(fd, data + size, cap - size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		size += (size_t)n;
	}
	*ret_data = TAKE_PTR(data);
	*ret_size = size;
	return 0;
}

int mount_table_load(pid_t pid, struct mount_table *ret_table, struct error *err)
{
	_cleanup_free_ uint8_t *data = NULL;
	_cleanup_close_ int fd = -1;
	struct mount_table table;
	char path[64];
	size_t size = 0;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, -errno, "%s: %m", path);
	r = read_all(fd, &data, &size);
	if (r < 0)
		return error_set(err, r, "reading %s: %s", path, strerror(-r));
	r = mount_table_parse(data, size, &table, err);
	if (r < 0)
		return r;
	learn_internal_devices(&table);
	*ret_table = table;
	return 0;
}

static int unnamed_path(const struct mount_table *table, const struct os_file_id *file,
			char *ret_path, size_t size)
{
	const struct {
		uint32_t dev;
		const char *name;
	} kinds[] = {
		{table->pipe_dev, "pipe"},
		{table->socket_dev, "socket"},
		{table->memfd_dev, "memfd"},
		{table->anon_dev, "anon_inode"},
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!kinds[i].dev || kinds[i].dev != file->dev)
			continue;
		snprintf(ret_path, size, "%s:[%" PRIu64 "]", kinds[i].name, (uint64_t)file->ino);
		return EVENT_PATH_UNNAMED;
	}
	return 0;
}

/* Length of @root if it is @inside or above it, else -1; "/" counts as 0. */
static ssize_t root_match(const char *root, const char *inside)
{
	size_t len = strlen(root);

	if (len == 1)
		return 0;
	if (strncmp(inside, root, len) || (inside[len] && inside[len] != '/'))
		return -1;
	return (ssize_t)len;
}

int mount_table_path(const void *arg, const struct os_file_id *file, const char *inside,
		     char *ret_path, size_t size)
{
	const struct mount_table *table = arg;
	const struct mount_entry *best = NULL;
	ssize_t best_len = -1;
	const char *rest;
	int n;

	for (size_t i = 0; i < table->len; i++) {
		ssize_t len;

		if (table->entry[i].dev != file->dev)
			continue;
		len = root_match(table->entry[i].root, inside);
		if (len > best_len) {
			best = &table->entry[i];
			best_len = len;
		}
	}
	if (!best) {
		n = unnamed_path(table, file, ret_path, size);
		if (n)
			return n;
		n = snprintf(ret_path, size, "[dev %u:%u]%s", file->dev >> 20, file->dev & 0xfffff,
			     inside);
		return (size_t)n < size ? EVENT_PATH_INSIDE : -ENAMETOOLONG;
	}
	rest = inside + best_len;
	if (!strcmp(rest, "/"))
		rest = "";
	if (!strcmp(best->point, "/"))
		n = snprintf(ret_path, size, "%s", *rest ? rest : "/");
	else
		n = snprintf(ret_path, size, "%s%s", best->point, rest);
	return (size_t)n < size ? EVENT_PATH_FULL : -ENAMETOOLONG;
}

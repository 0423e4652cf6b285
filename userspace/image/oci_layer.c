/* SPDX-License-Identifier: Apache-2.0 */
#include "image/oci_layer.h"

#include "common/cleanup.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define BLOCK	 65536
#define WHITEOUT ".wh."
#define OPAQUE	 ".wh..wh..opq"
#define DEPTH	 512 /* of directories that are removed */

struct layer {
	int root;
	struct oci_limits *limits;
	struct error *err;
	struct archive *archive;
};

static int open_in(int root, const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};
	int fd = (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* "./a//b/" becomes "a/b"; "" is the root. -EBADMSG: it has "..", or is too long. */
static int normalize(const char *name, char ret_path[static PATH_MAX])
{
	size_t n = 0;

	while (*name) {
		size_t len = strcspn(name, "/");

		if (len == 2 && !memcmp(name, "..", 2))
			return -EBADMSG;
		if (len && !(len == 1 && *name == '.')) {
			if (len > NAME_MAX || n + len + 2 > PATH_MAX)
				return -EBADMSG;
			if (n)
				ret_path[n++] = '/';
			memcpy(ret_path + n, name, len);
			n += len;
		}
		name += len;
		name += *name == '/';
	}
	ret_path[n] = 0;
	return 0;
}

/* The directory of @path, and the name in it. */
static int open_parent(int root, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char above[PATH_MAX];

	*ret_name = slash ? slash + 1 : path;
	snprintf(above, sizeof(above), "%.*s", slash ? (int)(slash - path) : 0, path);
	return open_in(root, above, O_RDONLY | O_DIRECTORY);
}

/* As open_parent(); what is missing of it is made. */
static int make_parent(int root, const char *path, const char **ret_name)
{
	int fd = open_parent(root, path, ret_name);
	char part[PATH_MAX];

	if (fd != -ENOENT)
		return fd;
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		_cleanup_close_ int there = -1, parent = -1;
		const char *name;

		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		there = open_in(root, part, O_PATH | O_DIRECTORY);
		if (there >= 0)
			continue;
		if (there != -ENOENT)
			return there;
		parent = open_parent(root, part, &name);
		if (parent < 0)
			return parent;
		if (mkdirat(parent, name, 0755) && errno != EEXIST)
			return -errno;
	}
	return open_parent(root, path, ret_name);
}

static int remove_entry(int parent, const char *name, int depth);

/* @fd is taken. */
static int empty_directory(int fd, int depth)
{
	_cleanup_closedir_ DIR *dir = fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (!dir) {
		r = -errno;
		safe_close(fd);
		return r;
	}
	while (!r && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			r = remove_entry(fd, entry->d_name, depth + 1);
	return r;
}

static int remove_entry(int parent, const char *name, int depth)
{
	int fd, r;

	if (!unlinkat(parent, name, 0) || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return -errno;
	if (!unlinkat(parent, name, AT_REMOVEDIR))
		return 0;
	if (depth > DEPTH)
		return -ELOOP;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = fd < 0 ? -errno : empty_directory(fd, depth);
	return r ? r : unlinkat(parent, name, AT_REMOVEDIR) ? -errno : 0;
}

/* ---- the two passes ---- */

static int take_away(struct layer *layer, struct archive_entry *entry, const char *path)
{
	const char *name;
	_cleanup_close_ int parent = open_parent(layer->root, path, &name);

	if (strncmp(name, WHITEOUT, sizeof(WHITEOUT) - 1))
		return 0;
	if (parent < 0)
		return parent == -ENOENT || parent == -ENOTDIR ? 0 : parent;
	if (!strcmp(name, OPAQUE)) {
		int fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		return fd < 0 ? -errno : empty_directory(fd, 0);
	}
	name += sizeof(WHITEOUT) - 1;
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EBADMSG;
	return remove_entry(parent, name, 0);
}

static int add_directory(struct archive_entry *entry, int parent, const char *name)
{
	mode_t mode = archive_entry_mode(entry) & 0777;
	struct stat st;
	int r = 0;

	if (!fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) && !S_ISDIR(st.st_mode))
		r = remove_entry(parent, name, 0);
	if (!r && mkdirat(parent, name, 0700) && errno != EEXIST)
		r = -errno;
	/* It is no link: it was looked at, and nobody else is here. */
	return r ? r : fchmodat(parent, name, mode, 0) ? -errno : 0;
}

static int write_data(struct layer *layer, int fd)
{
	const void *data;
	la_int64_t at;
	size_t size;
	int r;

	while ((r = archive_read_data_block(layer->archive, &data, &size, &at)) == ARCHIVE_OK) {
		if (size > layer->limits->bytes || at < 0 || (uint64_t)at > OCI_BYTES_MAX)
			return -EFBIG;
		layer->limits->bytes -= size;
		while (size) {
			ssize_t n = pwrite(fd, data, size, at);

			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				return -errno;
			data = (const uint8_t *)data + n;
			size -= (size_t)n;
			at += n;
		}
	}
	return r == ARCHIVE_EOF ? 0 : -EBADMSG;
}

static int add_file(struct layer *layer, struct archive_entry *entry, int parent, const char *name)
{
	_cleanup_close_ int fd = -1;
	la_int64_t size = archive_entry_size(entry);
	int r = remove_entry(parent, name, 0);

	if (r)
		return r;
	fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_data(layer, fd);
	/* A hole at its end. */
	if (!r && size > 0 && (uint64_t)size <= OCI_BYTES_MAX && ftruncate(fd, size))
		r = -errno;
	if (!r && fchmod(fd, archive_entry_mode(entry) & 0777))
		r = -errno;
	return r;
}

static int add_symlink(struct archive_entry *entry, int parent, const char *name)
{
	const char *text = archive_entry_symlink_utf8(entry);
	int r;

	if (!text)
		text = archive_entry_symlink(entry);
	if (!text || !*text || strlen(text) >= PATH_MAX)
		return -EBADMSG;
	r = remove_entry(parent, name, 0);
	return r ? r : symlinkat(text, parent, name) ? -errno : 0;
}

static int add_hard_link(struct layer *layer, const char *to, int parent, const char *name)
{
	_cleanup_close_ int there = -1;
	char path[PATH_MAX];
	const char *last;
	struct stat st;
	int r = normalize(to, path);

	if (r)
		return r;
	there = open_parent(layer->root, path, &last);
	if (there < 0)
		return there;
	if (fstatat(there, last, &st, AT_SYMLINK_NOFOLLOW) || S_ISDIR(st.st_mode))
		return -EBADMSG;
	r = remove_entry(parent, name, 0);
	return r ? r : linkat(there, last, parent, name, 0) ? -errno : 0;
}

static int add(struct layer *layer, struct archive_entry *entry, const char *path)
{
	const char *link = archive_entry_hardlink_utf8(entry), *name = strrchr(path, '/');
	_cleanup_close_ int parent = -1;

	name = name ? name + 1 : path;
	if (!*path || !strncmp(name, WHITEOUT, sizeof(WHITEOUT) - 1))
		return 0;
	if (!link)
		link = archive_entry_hardlink(entry);
	parent = make_parent(layer->root, path, &name);
	if (parent < 0)
		return parent;
	if (link)
		return add_hard_link(layer, link, parent, name);
	switch (archive_entry_filetype(entry)) {
	case AE_IFDIR:
		return add_directory(entry, parent, name);
	case AE_IFREG:
		return add_file(layer, entry, parent, name);
	case AE_IFLNK:
		return add_symlink(entry, parent, name);
	default:
		return 0;
	}
}

static int next_path(struct layer *layer, struct archive_entry **ret_entry,
		     char ret_path[static PATH_MAX])
{
	int r = archive_read_next_header(layer->archive, ret_entry);
	const char *name;

	if (r == ARCHIVE_EOF)
		return 0;
	if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
		return error_set(layer->err, -EBADMSG, "a layer is no tar archive: %s",
				 archive_error_string(layer->archive));
	name = archive_entry_pathname_utf8(*ret_entry);
	if (!name)
		name = archive_entry_pathname(*ret_entry);
	if (!name || normalize(name, ret_path))
		return error_set(layer->err, -EBADMSG,
				 "a layer has an entry whose name leads out of it");
	return 1;
}

static int pass(struct layer *layer, int fd, bool adding)
{
	struct archive_entry *entry;
	char path[PATH_MAX];
	int r;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_set(layer->err, -errno, "cannot read a layer: %s", strerror(errno));
	layer->archive = archive_read_new();
	if (!layer->archive)
		return error_set(layer->err, -ENOMEM, "out of memory");
	archive_read_support_filter_gzip(layer->archive);
	archive_read_support_filter_zstd(layer->archive);
	archive_read_support_format_tar(layer->archive);
	archive_read_support_format_empty(layer->archive);
	if (archive_read_open_fd(layer->archive, fd, BLOCK) != ARCHIVE_OK)
		return error_set(layer->err, -EBADMSG, "a layer is no tar archive: %s",
				 archive_error_string(layer->archive));
	while ((r = next_path(layer, &entry, path)) > 0) {
		if (!layer->limits->entries)
			return error_set(layer->err, -E2BIG, "the image has more than %llu files",
					 OCI_ENTRIES_MAX);
		layer->limits->entries -= adding;
		r = adding ? add(layer, entry, path) : take_away(layer, entry, path);
		if (r)
			return error_set(layer->err, r, "cannot put /%.300s in its place: %s", path,
					 strerror(-r));
	}
	return r;
}

int oci_layer_apply(int fd, int root, struct oci_limits *limits, struct error *err)
{
	struct layer layer = {.root = root, .limits = limits, .err = err};
	int r = 0;

	/* What it takes away is of the layers below, wherever in the archive that is said. */
	for (int i = 0; !r && i < 2; i++) {
		r = pass(&layer, fd, i);
		archive_read_free(layer.archive);
		layer.archive = NULL;
	}
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sandbox_transfer.h"

#include "cli/gitignore.h"
#include "cli/remote_command.h"
#include "common/cleanup.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REMOTE_DEFAULT "/sandbox"
#define DEPTH_MAX      256
#define IGNORE_MAX     (1 << 20)

/*
 * libarchive pulls or pushes on its own terms, and so does the loop: a thread has the archive, a
 * pipe is between.
 */
struct transfer {
	const struct command_call *call;
	int pipe[2];
	pthread_t thread;
	struct archive *archive;
	const char *root, *name, *into;
	struct gitignore *ignore;
	char problem[512];
	unsigned long files;
	unsigned long long bytes;
	bool terminal;
};

static void __attribute__((format(printf, 2, 3)))
complain(struct transfer *t, const char *format, ...)
{
	va_list args;

	if (*t->problem)
		return;
	va_start(args, format);
	vsnprintf(t->problem, sizeof(t->problem), format, args);
	va_end(args);
}

static void progress(const struct transfer *t, const char *what)
{
	if (t->terminal && t->files % 64 == 0)
		fprintf(stderr, "\r%s %lu files, %llu MB\033[K", what, t->files, t->bytes >> 20);
}

/* ---- upload ---- */

static void read_ignores(struct transfer *t, const char *directory, const char *relative)
{
	char path[PATH_MAX];
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/.gitignore", directory);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	text = malloc(IGNORE_MAX + 1);
	n = text ? read(fd, text, IGNORE_MAX) : -1;
	if (n <= 0)
		return;
	text[n] = 0;
	if (gitignore_add(t->ignore, relative, text))
		complain(t, "%s has too many patterns", path);
}

static int write_data(struct transfer *t, const char *path, off_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char data[65536];

	if (fd < 0) {
		complain(t, "cannot read %s: %s", path, strerror(errno));
		return -1;
	}
	while (size > 0) {
		ssize_t n =
			read(fd, data, size < (off_t)sizeof(data) ? (size_t)size : sizeof(data));

		if (n <= 0)
			break;
		if (archive_write_data(t->archive, data, (size_t)n) < 0)
			return -1;
		size -= n;
		t->bytes += (unsigned long long)n;
	}
	return 0;
}

static int add_path(struct transfer *t, const char *path, const char *name, const struct stat *st)
{
	struct archive_entry *entry = archive_entry_new();
	char target[PATH_MAX];
	ssize_t n;
	int r = -1;

	if (!entry)
		return -1;
	archive_entry_set_pathname(entry, name);
	archive_entry_copy_stat(entry, st);
	/* Who owns it here is nobody there. */
	archive_entry_set_uid(entry, 0);
	archive_entry_set_gid(entry, 0);
	archive_entry_set_perm(entry, st->st_mode & 0777);
	if (S_ISLNK(st->st_mode)) {
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			goto out;
		target[n] = 0;
		archive_entry_set_symlink(entry, target);
	}
	if (archive_write_header(t->archive, entry) < ARCHIVE_OK)
		goto out;
	r = S_ISREG(st->st_mode) ? write_data(t, path, st->st_size) : 0;
	t->files++;
	progress(t, "sent");
out:
	archive_entry_free(entry);
	return r;
}

static int walk(struct transfer *t, const char *path, const char *name, int depth);

static int walk_directory(struct transfer *t, const char *path, const char *name, int depth)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	const char *relative = depth ? name + strlen(t->name) + 1 : "";
	struct dirent *entry;
	int r = 0;

	if (!dir) {
		complain(t, "cannot read %s: %s", path, strerror(errno));
		return -1;
	}
	read_ignores(t, path, relative);
	while (!r && (entry = readdir(dir))) {
		char child[PATH_MAX], child_name[PATH_MAX];

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
		    !strcmp(entry->d_name, ".git"))
			continue;
		if (snprintf(child, sizeof(child), "%s/%s", path, entry->d_name) >=
			    (int)sizeof(child) ||
		    snprintf(child_name, sizeof(child_name), "%s/%s", name, entry->d_name) >=
			    (int)sizeof(child_name)) {
			complain(t, "%s has too long a path", path);
			return -1;
		}
		r = walk(t, child, child_name, depth + 1);
	}
	return r;
}

static int walk(struct transfer *t, const char *path, const char *name, int depth)
{
	/* Below the root: what .gitignore files speak of. */
	const char *relative = depth ? name + strlen(t->name) + 1 : name;
	struct stat st;

	if (depth > DEPTH_MAX || lstat(path, &st)) {
		complain(t, "cannot read %s: %s", path,
			 depth > DEPTH_MAX ? "nested too deeply" : strerror(errno));
		return -1;
	}
	if (depth && gitignore_matches(t->ignore, relative, S_ISDIR(st.st_mode)))
		return 0;
	/* Sockets, pipes and devices mean something here alone. */
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
		return 0;
	if (add_path(t, path, name, &st))
		return -1;
	return S_ISDIR(st.st_mode) ? walk_directory(t, path, name, depth) : 0;
}

/*
 * What the root is called at the other end, as scp -r and cp -r have it: its own name, but for a
 * path such as . or / that has none, whose contents alone are sent.
 */
static const char *root_name(char *root)
{
	size_t n = strlen(root);
	const char *base;

	while (n > 1 && root[n - 1] == '/')
		root[--n] = 0;
	base = strrchr(root, '/');
	base = base ? base + 1 : root;
	return *base && strcmp(base, "..") ? base : ".";
}

static void *upload_thread(void *arg)
{
	struct transfer *t = arg;
	struct stat st;
	int r;

	if (stat(t->root, &st)) {
		complain(t, "cannot read %s: %s", t->root, strerror(errno));
	} else {
		r = walk(t, t->root, t->name, 0);
		if (r && !*t->problem)
			complain(t, "cannot pack %s: %s", t->root,
				 archive_error_string(t->archive) ? archive_error_string(t->archive)
								  : "the sandbox's end is gone");
	}
	archive_write_close(t->archive);
	t->pipe[1] = safe_close(t->pipe[1]);
	return NULL;
}

static ssize_t read_packed(void *arg, uint8_t *data, size_t size)
{
	struct transfer *t = arg;

	return read(t->pipe[0], data, size);
}

static int show_end(struct transfer *t, const char *what)
{
	if (t->terminal)
		fprintf(stderr, "\r%s %lu files, %llu MB\033[K\n", what, t->files, t->bytes >> 20);
	return EXIT_DONE;
}

/*
 * One file goes to the name that was given, unless that is a directory's; everything else goes
 * into the directory, which is made. A tar that is not root's gives files to its own user.
 */
static const char unpack_directory[] = "mkdir -p -- \"$1\" && exec tar -xf - -C \"$1\"";
static const char unpack_file[] =
	"case $1 in */) mkdir -p -- \"$1\" || exit;; esac\n"
	"[ -d \"$1\" ] && exec tar -xf - -C \"$1\"\n"
	"d=$(dirname -- \"$1\") && mkdir -p -- \"$d\" && t=$(mktemp -d \"$d/.upload.XXXXXX\") || "
	"exit\n"
	"tar -xf - -C \"$t\" && mv -f -- \"$t/$2\" \"$1\"; r=$?; rm -rf -- \"$t\"; exit $r";

static int run_upload(struct client *client, const char *sandbox_id, struct transfer *t,
		      const char *remote)
{
	struct stat st;
	const char *unpack_script =
		!stat(t->root, &st) && S_ISREG(st.st_mode) ? unpack_file : unpack_directory;
	char *argv[] = {(char *)"sh", (char *)"-c",   (char *)unpack_script,
			(char *)"sh", (char *)remote, (char *)t->name};
	const struct remote_command command = {
		.sandbox_id = sandbox_id,
		.argv = argv,
		.argc = ARRAY_LEN(argv),
		.read = read_packed,
		.arg = t,
	};
	int status = 0, r;

	t->archive = archive_write_new();
	archive_write_set_format_pax_restricted(t->archive);
	archive_write_add_filter_none(t->archive);
	archive_write_set_bytes_per_block(t->archive, 65536);
	if (archive_write_open_fd(t->archive, t->pipe[1]) < ARCHIVE_OK ||
	    pthread_create(&t->thread, NULL, upload_thread, t))
		return command_fail(client->call, "cannot pack %s", t->root);
	r = remote_command_run(client, &command, &status);
	t->pipe[0] = safe_close(t->pipe[0]);
	pthread_join(t->thread, NULL);
	if (*t->problem)
		return command_fail(client->call, "%s", t->problem);
	if (!r && status)
		return command_fail(client->call, "tar in the sandbox failed with %d", status);
	return r ? r : show_end(t, "sent");
}

static int open_transfer(struct client *client, struct transfer *t)
{
	*t = (struct transfer){
		.call = client->call,
		.terminal = isatty(STDERR_FILENO),
		.ignore = gitignore_new(),
		.pipe = {-1, -1},
	};
	if (!t->ignore || pipe2(t->pipe, O_CLOEXEC))
		return command_fail(client->call, "out of memory");
	return EXIT_DONE;
}

static void close_transfer(struct transfer *t)
{
	if (t->archive)
		archive_free(t->archive);
	gitignore_free(t->ignore);
	safe_close(t->pipe[0]);
	safe_close(t->pipe[1]);
}

int sandbox_upload(struct client *client, const char *sandbox_id, const char *text)
{
	const char *colon = strrchr(text, ':');
	_cleanup_free_ char *local = strndup(text, colon ? (size_t)(colon - text) : strlen(text));
	struct transfer t;
	int r = local ? open_transfer(client, &t) : EXIT_FAILED;

	if (r)
		return r;
	t.name = root_name(local);
	t.root = local;
	r = run_upload(client, sandbox_id, &t, colon && colon[1] ? colon + 1 : REMOTE_DEFAULT);
	close_transfer(&t);
	return r;
}

/* ---- download ---- */

/* Nothing but what lies below, by its name alone. */
static bool is_safe_name(const char *name)
{
	if (*name == '/' || !*name)
		return false;
	for (const char *p = name; p; p = strchr(p, '/')) {
		p += *p == '/';
		if (!strncmp(p, "..", 2) && (!p[2] || p[2] == '/'))
			return false;
	}
	return true;
}

static int extract(struct transfer *t, struct archive *disk, struct archive_entry *entry)
{
	const char *name = archive_entry_pathname(entry);
	char path[PATH_MAX];
	mode_t type = archive_entry_filetype(entry);
	const void *data;
	la_int64_t offset;
	size_t size;
	int r;

	if (!name || !is_safe_name(name)) {
		complain(t, "the sandbox sent a file that is outside of what was asked for");
		return -1;
	}
	/* Links could lead out when somebody follows them later: relative ones that stay may come.
	 */
	if (type == AE_IFLNK) {
		const char *to = archive_entry_symlink(entry);

		if (!to || !is_safe_name(to))
			return 0;
	} else if (archive_entry_hardlink(entry) || (type != AE_IFREG && type != AE_IFDIR)) {
		return 0;
	}
	if (snprintf(path, sizeof(path), "%s/%s", t->into, name) >= (int)sizeof(path))
		return -1;
	archive_entry_set_pathname(entry, path);
	archive_entry_set_perm(entry, archive_entry_perm(entry) & 0755);
	r = archive_write_header(disk, entry);
	while (r >= ARCHIVE_OK && type == AE_IFREG &&
	       (r = archive_read_data_block(t->archive, &data, &size, &offset)) == ARCHIVE_OK) {
		t->bytes += size;
		r = (int)archive_write_data_block(disk, data, size, offset);
	}
	if (r < ARCHIVE_OK && r != ARCHIVE_WARN) {
		complain(t, "cannot write %s: %s", path, archive_error_string(disk));
		return -1;
	}
	t->files++;
	progress(t, "received");
	return archive_write_finish_entry(disk) < ARCHIVE_WARN ? -1 : 0;
}

static void *download_thread(void *arg)
{
	struct transfer *t = arg;
	struct archive *disk = archive_write_disk_new();
	struct archive_entry *entry;
	int r = archive_read_open_fd(t->archive, t->pipe[0], 65536);

	/* Links that are there already are not followed, and nothing leaves by "..". */
	archive_write_disk_set_options(disk, ARCHIVE_EXTRACT_SECURE_NODOTDOT |
						     ARCHIVE_EXTRACT_SECURE_SYMLINKS |
						     ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_PERM);
	while (r >= ARCHIVE_WARN &&
	       ((r = archive_read_next_header(t->archive, &entry)) == ARCHIVE_OK ||
		r == ARCHIVE_WARN))
		if (extract(t, disk, entry))
			break;
	if (r != ARCHIVE_EOF && !*t->problem)
		complain(t, "what the sandbox sent is no tar: %s",
			 archive_error_string(t->archive));
	archive_write_free(disk);
	t->pipe[0] = safe_close(t->pipe[0]);
	return NULL;
}

static int write_packed(void *arg, const uint8_t *data, size_t size)
{
	struct transfer *t = arg;

	while (size) {
		ssize_t n = write(t->pipe[1], data, size);

		if (n < 0 && errno == EINTR)
			continue;
		/* The thread has ended: it says why. */
		if (n < 0)
			return 0;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

static int run_download(struct client *client, const char *sandbox_id, struct transfer *t,
			const char *remote)
{
	char *argv[] = {
		(char *)"sh", (char *)"-c",
		(char *)"if [ -d \"$1\" ]; then exec tar -cf - -C \"$1\" .; else exec tar -cf - "
			"-C \"$(dirname -- \"$1\")\" -- \"$(basename -- \"$1\")\"; fi",
		(char *)"sh", (char *)remote};
	const struct remote_command command = {
		.sandbox_id = sandbox_id,
		.argv = argv,
		.argc = ARRAY_LEN(argv),
		.write = write_packed,
		.arg = t,
		.no_input = true,
	};
	int status = 0, r;

	t->archive = archive_read_new();
	archive_read_support_format_tar(t->archive);
	if (pthread_create(&t->thread, NULL, download_thread, t))
		return command_fail(client->call, "out of memory");
	r = remote_command_run(client, &command, &status);
	t->pipe[1] = safe_close(t->pipe[1]);
	pthread_join(t->thread, NULL);
	if (!r && status)
		return command_fail(client->call, "tar in the sandbox failed with %d", status);
	if (!r && *t->problem)
		return command_fail(client->call, "%s", t->problem);
	return r ? r : show_end(t, "received");
}

int sandbox_download(struct client *client, const char *sandbox_id, const char *remote,
		     const char *local)
{
	struct transfer t;
	int r = open_transfer(client, &t);

	if (r)
		return r;
	if (mkdir(local, 0755) && errno != EEXIST)
		r = command_fail(client->call, "cannot make %s: %s", local, strerror(errno));
	/* Where it is now, whatever somebody makes of the name meanwhile. */
	t.into = r ? NULL : realpath(local, NULL);
	if (!r && !t.into)
		r = command_fail(client->call, "cannot enter %s: %s", local, strerror(errno));
	if (!r)
		r = run_download(client, sandbox_id, &t, remote);
	free((char *)t.into);
	close_transfer(&t);
	return r;
}

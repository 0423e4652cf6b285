/* SPDX-License-Identifier: Apache-2.0 */
#include "arena.h"

#include "act.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <ftw.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define DEEP_MAX 300

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

/* What is at a path, links not followed, if anything is. */
static void remove_all(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		return;
	if (S_ISDIR(st.st_mode))
		nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	else if (unlink(path))
		stage_die("unlink %s: %s", path, strerror(errno));
}

static void own(const char *path)
{
	if (lchown(path, STAGE_UID, STAGE_UID))
		stage_die("chown %s: %s", path, strerror(errno));
}

static void make_directory(const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		stage_die("mkdir %s: %s", path, strerror(errno));
	if (chmod(path, 0755))
		stage_die("chmod %s: %s", path, strerror(errno));
	own(path);
}

static void make_file(const char *path)
{
	_cleanup_close_ int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	static const char text[4096] = "not for everybody\n";

	if (fd < 0 || write(fd, text, sizeof(text)) != sizeof(text))
		stage_die("write %s: %s", path, strerror(errno));
	/* A tmpfs has none before Linux 6.6. */
	if (fsetxattr(fd, "user.test", "1", 1, 0) && errno != EOPNOTSUPP)
		stage_die("setxattr %s: %s", path, strerror(errno));
	own(path);
}

static void make_program(const struct stage *stage, const char *path)
{
	_cleanup_close_ int from = open(stage_path(stage, "bin/act"), O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	struct stat st;
	off_t at = 0;

	if (from < 0 || to < 0 || fstat(from, &st))
		stage_die("copy to %s: %s", path, strerror(errno));
	while (at < st.st_size)
		if (sendfile(to, from, &at, (size_t)(st.st_size - at)) <= 0)
			stage_die("copy to %s: %s", path, strerror(errno));
	if (fchmod(to, 0755))
		stage_die("chmod %s: %s", path, strerror(errno));
}

static void make_script(const struct stage *stage, const char *path, const char *interpreter)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

	if (fd < 0 || dprintf(fd, "#!%s\n", stage_path(stage, interpreter)) < 0 || fchmod(fd, 0755))
		stage_die("write %s: %s", path, strerror(errno));
	own(path);
}

/* include/uapi/linux/capability.h: struct vfs_cap_data, revision 2 */
static void give_capability(const char *path)
{
	const struct vfs_cap_data data = {
		.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
		.data[0].permitted = 1u << CAP_NET_RAW,
	};

	if (setxattr(path, "security.capability", &data, sizeof(data), 0))
		stage_die("setxattr %s: %s", path, strerror(errno));
}

static void make_socket(struct stage *stage, const char *path, int type)
{
	int fd;

	if (act_unix(type, path, false, true, &fd))
		stage_die("socket %s: %s", path, strerror(errno));
	if (stage->kept_len == ARRAY_LEN(stage->kept))
		stage_die("too many sockets");
	if (chmod(path, 0666))
		stage_die("chmod %s: %s", path, strerror(errno));
	own(path);
	stage->kept[stage->kept_len++] = fd;
}

void arena_fixture(struct stage *stage, char kind, const char *path)
{
	bool there = !faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW);

	if (kind == 'X' || (there && strchr("KPHIUCSG", kind)))
		return;
	if (kind == 'M')
		umount2(path, MNT_DETACH);
	remove_all(path);
	switch (kind) {
	case 'N':
		break;
	case 'F':
	case 'K':
		make_file(path);
		break;
	case 'D':
		make_directory(path);
		break;
	case 'L':
		if (symlink("anything", path))
			stage_die("symlink %s: %s", path, strerror(errno));
		own(path);
		break;
	case 'P':
		make_program(stage, path);
		own(path);
		break;
	case 'H':
		make_script(stage, path, "bin/act");
		break;
	case 'I':
		make_script(stage, path, "ro/program");
		break;
	case 'M':
		make_directory(path);
		if (mount("none", path, "tmpfs", 0, NULL))
			stage_die("mount %s: %s", path, strerror(errno));
		break;
	case 'U':
		make_program(stage, path);
		if (chmod(path, 04755))
			stage_die("chmod %s: %s", path, strerror(errno));
		break;
	case 'C':
		make_program(stage, path);
		give_capability(path);
		break;
	case 'S':
		make_socket(stage, path, SOCK_STREAM);
		break;
	case 'G':
		make_socket(stage, path, SOCK_DGRAM);
		break;
	default:
		stage_die("no such kind of fixture: %c", kind);
	}
}

void stage_prepare(struct stage *stage, const char *words, char ret[static 1024])
{
	_cleanup_free_ char *copy = strdup(words);
	char *rest = copy, *word;
	size_t n = 0;

	if (!copy)
		stage_die("out of memory");
	while ((word = strsep(&rest, " "))) {
		char number[32];

		if (word[0] >= 'A' && word[0] <= 'Z' && word[1] == ':') {
			const char *path = stage_path(stage, word + 2);

			arena_fixture(stage, word[0], path);
			word = (char *)path;
		} else if (!strncmp(word, "$cgroup", 7)) {
			n += (size_t)snprintf(ret + n, 1024 - n, " %s", stage->cgroup);
			word += 7;
			n += (size_t)snprintf(ret + n, 1024 - n, "%s", word);
			continue;
		} else if (!strcmp(word, "$victim") || !strcmp(word, "$neighbour")) {
			snprintf(number, sizeof(number), "%d",
				 word[1] == 'v' ? stage->victim : stage->neighbour);
			word = number;
		} else if (!strcmp(word, "$abstract")) {
			word = stage->abstract;
		} else if (!strcmp(word, "$datagram")) {
			word = stage->datagram;
		}
		n += (size_t)snprintf(ret + n, 1024 - n, "%s%s", n ? " " : "", word);
		if (n >= 1024)
			stage_die("words too long: %s", words);
	}
}

/* `d` in `d` in `d` ..., with a file `f` in each. Paths that deep do not fit one system call. */
static void make_deep(const char *path)
{
	int dir;

	make_directory(path);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int depth = 0; depth <= DEEP_MAX; depth++) {
		_cleanup_close_ int file = openat(dir, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		int next;

		if (dir < 0 || file < 0 || mkdirat(dir, "d", 0755))
			stage_die("deep: %s", strerror(errno));
		next = openat(dir, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(dir);
		dir = next;
	}
	safe_close(dir);
}

/* nftw() wants paths that fit; a tree this deep is taken apart from within. */
static void remove_deep(const char *path)
{
	/* From the top: everything below moves up one level, then goes. */
	for (int depth = 0; depth <= DEEP_MAX + 1; depth++) {
		char file[600], from[600], to[600];

		snprintf(file, sizeof(file), "%s/f", path);
		unlink(file);
		snprintf(from, sizeof(from), "%s/d", path);
		snprintf(to, sizeof(to), "%s.below", path);
		if (rename(from, to)) {
			rmdir(path);
			return;
		}
		rmdir(path);
		if (rename(to, path))
			return;
	}
}

static void mount_on(const char *type, const char *path, const char *options)
{
	if (mount(type, path, type, 0, options))
		stage_die("mount %s on %s: %s", type, path, strerror(errno));
}

/* Next to this program, which the suite was built with. */
static void install_act(struct stage *stage)
{
	char self[512], *slash;
	_cleanup_close_ int from = -1, to = -1;
	struct stat st;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 8);
	off_t at = 0;

	if (n < 0)
		stage_die("/proc/self/exe: %s", strerror(errno));
	self[n] = '\0';
	slash = strrchr(self, '/');
	memcpy(slash, "/act", 5);
	from = open(self, O_RDONLY | O_CLOEXEC);
	to = open(stage_path(stage, "bin/act"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	if (from < 0 || to < 0 || fstat(from, &st) || fchmod(to, 0755))
		stage_die("%s: %s", self, strerror(errno));
	while (at < st.st_size)
		if (sendfile(to, from, &at, (size_t)(st.st_size - at)) <= 0)
			stage_die("copy %s: %s", self, strerror(errno));
}

void arena_make(struct stage *stage)
{
	static const char *const before[] = {"bin",   "rw",	 "ro",	  "out",   "one",
					     "tmpfs", "overlay", "lower", "upper", "bound"};
	static const char *const after[] = {
		"ro/rw",    "rw/ro",	 "rw/ro/rw",	"rw/deny",   "rw/deny/rw",
		"rw/moves", "rw/parent", "rw/programs", "tmpfs/ro",  "tmpfs/deny",
		"ro/bound", "rw/bound",	 "out/mount",	"out/parts", "work",
	};
	static const char *const files[] = {
		"rw/secret",	    "rw/secret.unlink",	 "rw/secret.rename", "rw/secret.link",
		"rw/secret.swap",   "rw/secret.gone",	 "rw/secret.linked", "rw/moves/secret",
		"rw/moves/plain",   "rw/programs/plain", "rw/deny/held",     "rw/plain",
		"ro/secret",	    "ro/plain",		 "rw/frozen",	     "rw/frozen.unlink",
		"rw/frozen.rename", "rw/frozen.link",	 "one/granted",	     "rw/parent/frozen",
		"tmpfs/secret",	    "out/secret",
	};
	char options[512];

	snprintf(stage->top, sizeof(stage->top), "/srv/openshell-enforce-XXXXXX");
	if (!mkdtemp(stage->top) || chmod(stage->top, 0755))
		stage_die("%s: %s", stage->top, strerror(errno));
	for (size_t i = 0; i < ARRAY_LEN(before); i++)
		make_directory(stage_path(stage, before[i]));
	install_act(stage);
	mount_on("tmpfs", stage_path(stage, "tmpfs"), "mode=0755");
	own(stage_path(stage, "tmpfs"));
	/* The layers' work directory has to be beside the upper one. */
	for (int i = 0; i < 3; i++) {
		static const char *const dirs[] = {"upper/up", "upper/work", "lower/deny"};

		make_directory(stage_path(stage, dirs[i]));
	}
	make_directory(stage_path(stage, "lower/ro"));
	make_file(stage_path(stage, "lower/secret"));
	make_file(stage_path(stage, "lower/deny/lower"));
	make_file(stage_path(stage, "lower/ro/lower"));
	make_file(stage_path(stage, "lower/lower"));
	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s",
		 stage_path(stage, "lower"), stage_path(stage, "upper/up"),
		 stage_path(stage, "upper/work"));
	mount_on("overlay", stage_path(stage, "overlay"), options);
	for (size_t i = 0; i < ARRAY_LEN(after); i++)
		make_directory(stage_path(stage, after[i]));
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		make_file(stage_path(stage, files[i]));
	arena_fixture(stage, 'P', stage_path(stage, "bin/denied"));
	arena_fixture(stage, 'P', stage_path(stage, "ro/denied"));
	arena_fixture(stage, 'P', stage_path(stage, "ro/program"));
	/* Hard links that were there before any sandbox. */
	if (link(stage_path(stage, "rw/secret.linked"), stage_path(stage, "rw/hard")) ||
	    link(stage_path(stage, "rw/deny/held"), stage_path(stage, "rw/hard.held")))
		stage_die("link: %s", strerror(errno));
	/* What is denied, bound to where reading is allowed; what is not listed, to where writing
	 * is. */
	if (mount(stage_path(stage, "rw/deny"), stage_path(stage, "ro/bound"), NULL, MS_BIND,
		  NULL) ||
	    mount(stage_path(stage, "out/mount"), stage_path(stage, "rw/bound"), NULL, MS_BIND,
		  NULL))
		stage_die("bind: %s", strerror(errno));
	make_deep(stage_path(stage, "rw/deep"));
}

void arena_remove(struct stage *stage)
{
	static const char *const mounts[] = {"ro/bound", "rw/bound", "tmpfs", "overlay",
					     "out/parts/mount"};

	for (size_t i = 0; i < ARRAY_LEN(mounts); i++)
		umount2(stage_path(stage, mounts[i]), MNT_DETACH);
	remove_deep(stage_path(stage, "rw/deep"));
	remove_all(stage->top);
}

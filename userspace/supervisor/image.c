/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/image.h"

#include "common/cleanup.h"
#include "supervisor/remove_tree.h"
#include "supervisor/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM	   "openshell-image"
#define OCI	   "oci:"
#define DIGEST_LEN 64

static int find_program(char path[static PATH_MAX], struct error *err)
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof(PROGRAM) - 1);
	char *slash;

	if (n < 0)
		return error_set(err, -errno, "cannot read /proc/self/exe: %s", strerror(errno));
	path[n] = 0;
	slash = strrchr(path, '/');
	memcpy(slash + 1, PROGRAM, sizeof(PROGRAM));
	return 0;
}

static size_t read_all(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = 0;
	text[strcspn(text, "\n")] = 0;
	return len;
}

static int spawn(char *const *argv, int output, pid_t *ret_pid)
{
	static char *const environment[] = {NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, output, 1);
	posix_spawn_file_actions_adddup2(&files, output, 2);
	r = posix_spawn(ret_pid, argv[0], &files, &attributes, argv, environment);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	return -r;
}

/* What it says is a digest, or the reason why there is none. */
static int run(const char *layout, const char *tag, const char *target,
	       char ret_digest[static DIGEST_LEN + 1], struct error *err)
{
	char program[PATH_MAX], said[ERROR_MESSAGE_MAX];
	char *argv[] = {program, (char *)layout, (char *)tag, (char *)target, NULL};
	int ends[2], status = -1, r = find_program(program, err);
	pid_t pid;

	if (r)
		return r;
	if (pipe2(ends, O_CLOEXEC))
		return error_set(err, -errno, "cannot make a pipe: %s", strerror(errno));
	r = spawn(argv, ends[1], &pid);
	close(ends[1]);
	if (r) {
		close(ends[0]);
		return error_set(err, r, "cannot start %s: %s", program, strerror(-r));
	}
	read_all(ends[0], said, sizeof(said));
	close(ends[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status))
		return error_set(err, -EIO, "reading the image %.200s took too long, or failed",
				 layout);
	if (WEXITSTATUS(status))
		return error_set(err, -EINVAL, "image %.200s: %.600s", layout, said);
	if (strlen(said) != DIGEST_LEN || strspn(said, "0123456789abcdef") != DIGEST_LEN)
		return error_set(err, -EIO, "%s did not say which image it is", program);
	memcpy(ret_digest, said, DIGEST_LEN + 1);
	return 0;
}

/* One at a time: who comes second finds it there. */
static int lock(const char *images, int *ret_lock, struct error *err)
{
	_cleanup_close_ int fd = -1;

	if (mkdir(images, 0700) && errno != EEXIST)
		return error_set(err, -errno, "cannot make %s: %s", images, strerror(errno));
	fd = open(images, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	while (fd >= 0 && flock(fd, LOCK_EX))
		if (errno != EINTR)
			return error_set(err, -errno, "cannot lock %s: %s", images,
					 strerror(errno));
	if (fd < 0)
		return error_set(err, -errno, "cannot open %s: %s", images, strerror(errno));
	*ret_lock = TAKE_FD(fd);
	return 0;
}

static int put(const char *layout, const char *tag, const char *images, const char *target,
	       char digest[static DIGEST_LEN + 1], struct error *err)
{
	char making[PATH_MAX];
	int r;

	if ((size_t)snprintf(making, sizeof(making), "%s/.new", images) >= sizeof(making))
		return error_set(err, -ENAMETOOLONG, "%s is too long", images);
	r = remove_tree(making, NULL, err);
	if (r)
		return r;
	if (mkdir(making, 0755) || chmod(making, 0755))
		return error_set(err, -errno, "cannot make %s: %s", making, strerror(errno));
	r = run(layout, tag, making, digest, err);
	if (!r)
		r = rootfs_prepare(making, err);
	/* Somebody has put another one there meanwhile, by this tag: it is what it is. */
	if (!r && (strcmp(strrchr(target, '/') + 1, digest) || rename(making, target)))
		r = error_set(err, -EAGAIN, "image %.200s has changed while it was read: try again",
			      layout);
	if (r)
		(void)remove_tree(making, NULL, NULL);
	return r;
}

static int layout_root(const char *image, const char *images, char ret_root[static PATH_MAX],
		       struct error *err)
{
	char layout[PATH_MAX], root[PATH_MAX], digest[DIGEST_LEN + 1] = "";
	const char *colon = strrchr(image, ':'), *slash = strrchr(image, '/');
	const char *tag = colon && slash && colon > slash ? colon + 1 : "";
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	snprintf(layout, sizeof(layout), "%.*s",
		 (int)(*tag || (colon && slash && colon > slash) ? colon - image
								 : (long)strlen(image)),
		 image);
	r = lock(images, &fd, err);
	if (!r)
		r = run(layout, tag, NULL, digest, err);
	if (r)
		return r;
	if ((size_t)snprintf(root, sizeof(root), "%s/%s", images, digest) >= sizeof(root))
		return error_set(err, -ENAMETOOLONG, "%s is too long", images);
	if (lstat(root, &st))
		r = put(layout, tag, images, root, digest, err);
	if (!r)
		memcpy(ret_root, root, PATH_MAX);
	return r;
}

int image_root(const char *image, const char *images, char ret_root[static PATH_MAX],
	       struct error *err)
{
	char root[PATH_MAX];
	int r;

	if (!strncmp(image, OCI "/", sizeof(OCI)))
		return layout_root(image + sizeof(OCI) - 1, images, ret_root, err);
	if (*image != '/')
		return error_set(
			err, -EINVAL,
			"'%.200s' is no image: it takes /DIRECTORY or oci:/DIRECTORY[:TAG]", image);
	if (!realpath(image, root))
		return error_set(err, -errno, "cannot find the image's directory %.200s: %s", image,
				 strerror(errno));
	if (!strcmp(root, "/"))
		return error_set(err, -EINVAL, "the host's root is no image: leave the image out");
	r = rootfs_prepare(root, err);
	if (!r)
		memcpy(ret_root, root, PATH_MAX);
	return r;
}

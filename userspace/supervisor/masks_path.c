/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/masks_path.h"
#include "common/cleanup.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define FOLLOW_MAX 40

struct walk {
	char done[PATH_MAX];	 /* canonical so far, without a trailing slash */
	char rest[2 * PATH_MAX]; /* still to be walked */
	char full[2 * PATH_MAX]; /* root and candidate */
	char text[PATH_MAX];
};

static int links_add(struct masks_links *links, const char *path, const char *text)
{
	_cleanup_free_ char *path_copy = NULL, *text_copy = NULL;

	for (size_t i = 0; i < links->len; i++)
		if (!strcmp(links->link[i].path, path))
			return 0;
	if (links->len == MASKS_LINKS_MAX)
		return -E2BIG;
	if (links->len == links->cap) {
		size_t cap = links->cap ? links->cap * 2 : 16;
		struct masks_link *grown = reallocarray(links->link, cap, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		links->link = grown;
		links->cap = cap;
	}
	path_copy = strdup(path);
	text_copy = strdup(text);
	if (!path_copy || !text_copy)
		return -ENOMEM;
	links->link[links->len++] = (struct masks_link){TAKE_PTR(path_copy), TAKE_PTR(text_copy)};
	return 0;
}

void masks_links_free(struct masks_links *links)
{
	for (size_t i = 0; i < links->len; i++) {
		free(links->link[i].path);
		free(links->link[i].text);
	}
	free(links->link);
	*links = (struct masks_links){};
}

/* Replace the component that turned out to be a link by its text. */
static int walk_follow(struct walk *w)
{
	size_t text_len = strlen(w->text), rest_len = strlen(w->rest);

	if (text_len + 1 + rest_len + 1 > sizeof(w->rest))
		return -ENAMETOOLONG;
	memmove(w->rest + text_len + 1, w->rest, rest_len + 1);
	memcpy(w->rest, w->text, text_len);
	w->rest[text_len] = '/';
	if (w->text[0] == '/')
		w->done[0] = '\0';
	return 0;
}

/* Take the next component off @w->rest into @w->done; sets *ret_link if it is a link instead. */
static int walk_step(struct walk *w, const char *root, struct masks_links *links, bool *ret_link)
{
	size_t skip = strspn(w->rest, "/"), len = strcspn(w->rest + skip, "/");
	size_t done_len = strlen(w->done);
	const char *name = w->rest + skip;
	struct stat st;
	ssize_t n;

	*ret_link = false;
	if (len == 2 && name[0] == '.' && name[1] == '.') {
		char *slash = strrchr(w->done, '/');

		if (slash)
			*slash = '\0';
		memmove(w->rest, name + len, strlen(name + len) + 1);
		return 0;
	}
	if (len > 0 && !(len == 1 && name[0] == '.')) {
		if (done_len + 1 + len + 1 > sizeof(w->done))
			return -ENAMETOOLONG;
		w->done[done_len] = '/';
		memcpy(w->done + done_len + 1, name, len);
		w->done[done_len + 1 + len] = '\0';
	}
	memmove(w->rest, name + len, strlen(name + len) + 1);
	if ((size_t)snprintf(w->full, sizeof(w->full), "%s%s", root, w->done[0] ? w->done : "/") >=
	    sizeof(w->full))
		return -ENAMETOOLONG;
	if (lstat(w->full, &st) < 0)
		return -errno;
	if (!S_ISLNK(st.st_mode)) {
		/* `file/..` is no path, though its text could be shortened to one. */
		if (w->rest[0] && !S_ISDIR(st.st_mode))
			return -ENOTDIR;
		return 0;
	}
	n = readlink(w->full, w->text, sizeof(w->text) - 1);
	if (n < 0)
		return -errno;
	w->text[n] = '\0';
	*ret_link = true;
	n = links ? links_add(links, w->done, w->text) : 0;
	if (n < 0)
		return (int)n;
	w->done[done_len] = '\0';
	return walk_follow(w);
}

int masks_path_resolve(const char *root, const char *path, struct masks_links *links,
		       char **ret_path)
{
	_cleanup_free_ struct walk *w = malloc(sizeof(*w));
	char *copy;
	int followed = 0;

	if (!w)
		return -ENOMEM;
	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	w->done[0] = '\0';
	memcpy(w->rest, path, strlen(path) + 1);
	while (w->rest[strspn(w->rest, "/")]) {
		bool link;
		int r = walk_step(w, root, links, &link);

		if (r < 0)
			return r;
		if (link && ++followed > FOLLOW_MAX)
			return -ELOOP;
	}
	copy = strdup(w->done[0] ? w->done : "/");
	if (!copy)
		return -ENOMEM;
	*ret_path = copy;
	return 0;
}

int masks_path_compare(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (*a == *b)
		return 0;
	if (!*a || !*b)
		return *a ? 1 : -1;
	if (*a == '/' || *b == '/')
		return *a == '/' ? -1 : 1;
	return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

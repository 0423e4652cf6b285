/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listed paths as they are on the host: symbolic links followed below a given root, and the links
 * on the way remembered, since a tree that is rebuilt from its listed paths needs them again.
 * Lookups by name: whoever can change the host's links decides what is found, as with every path
 * that an operator writes. Owned by the caller; any thread.
 */
#pragma once

#include <stddef.h>

#define MASKS_LINKS_MAX 1024

struct masks_link {
	char *path; /* canonical directory, then the link's own name */
	char *text;
};

struct masks_links {
	struct masks_link *link;
	size_t len, cap;
};

/*
 * The canonical form of absolute @path below @root ("" = the host's root); links on the way are
 * added to @links (may be NULL), each once. -ENOENT, -ENOTDIR: no such path; -EACCES; -ELOOP:
 * more than 40 links; -ENAMETOOLONG; -ENOMEM; -E2BIG past MASKS_LINKS_MAX.
 */
int masks_path_resolve(const char *root, const char *path, struct masks_links *links,
		       char **ret_path);

void masks_links_free(struct masks_links *links);

/* Order in which a directory comes right before what is below it, whatever its siblings' names. */
int masks_path_compare(const char *a, const char *b);

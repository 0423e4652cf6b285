/* SPDX-License-Identifier: Apache-2.0 */
/* A layer, onto a directory beside one that it must not reach. */
#include "image/oci_layer.h"

#include "supervisor/remove_tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char top[] = "/tmp/fuzz-layer-XXXXXX";

static void make_world(void)
{
	char path[64];

	if (!mkdtemp(top))
		abort();
	snprintf(path, sizeof(path), "%s/victim", top);
	if (mkdir(path, 0500))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct oci_limits limits = {.entries = 100, .bytes = 1 << 20};
	static int fd = -1;
	struct error err = {};
	char path[64];
	struct stat st;
	int root;

	if (fd < 0) {
		make_world();
		fd = memfd_create("layer", MFD_CLOEXEC);
	}
	snprintf(path, sizeof(path), "%s/root", top);
	if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size || mkdir(path, 0700))
		abort();
	root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (oci_layer_apply(fd, root, &limits, &err) && (!err.code || !*err.message))
		abort();
	close(root);
	if (remove_tree(path, NULL, &err) && err.code)
		abort();
	/* Nothing was made beside it. */
	if (stat(top, &st) || st.st_nlink != 3)
		abort();
	return 0;
}

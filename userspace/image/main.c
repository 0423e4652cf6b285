/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openshell-image: reads an OCI image layout for the supervisor. It parses what others have made,
 * so it is a process of its own: rooted in the directory that it fills, without capabilities but
 * to write into directories that are closed to their owner.
 */
#include "common/cleanup.h"
#include "common/error.h"
#include "image/oci_layer.h"
#include "image/oci_manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NESTED_MAX  4
#define SECONDS_MAX 1800
#define CHUNK	    65536

struct layout {
	int fd;
	struct error err;
};

static int open_in(const struct layout *layout, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	int fd = (int)syscall(SYS_openat2, layout->fd, path, &how, sizeof(how));
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

/* The content has that digest; @ret_data (may be NULL) gets it. */
static int verify(struct layout *layout, int fd, const struct oci_descriptor *d, uint8_t *ret_data)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t chunk[CHUNK], digest[32];
	char hex[OCI_DIGEST_SIZE];
	uint64_t size = 0;
	ssize_t n;

	if (!context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
		EVP_MD_CTX_free(context);
		return error_set(&layout->err, -ENOMEM, "out of memory");
	}
	while ((n = read(fd, chunk, sizeof(chunk))) > 0 && size + (uint64_t)n <= d->size) {
		EVP_DigestUpdate(context, chunk, (size_t)n);
		if (ret_data)
			memcpy(ret_data + size, chunk, (size_t)n);
		size += (uint64_t)n;
	}
	EVP_DigestFinal_ex(context, digest, NULL);
	EVP_MD_CTX_free(context);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	if (n || size != d->size || strcmp(hex, d->sha256))
		return error_set(&layout->err, -EBADMSG,
				 "blob sha256:%s does not have that digest and size: the image is "
				 "damaged",
				 d->sha256);
	return 0;
}

static int open_blob(struct layout *layout, const struct oci_descriptor *d)
{
	char path[sizeof("blobs/sha256/") + OCI_DIGEST_SIZE];
	int fd;

	snprintf(path, sizeof(path), "blobs/sha256/%s", d->sha256);
	fd = open_in(layout, path);
	return fd < 0 ? error_set(&layout->err, fd, "cannot open %s of the image: %s", path,
				  strerror(-fd))
		      : fd;
}

static int read_document(struct layout *layout, const struct oci_descriptor *d, uint8_t **ret_data)
{
	_cleanup_close_ int fd = open_blob(layout, d);
	_cleanup_free_ uint8_t *data = NULL;
	int r;

	if (fd < 0)
		return fd;
	if (d->size > OCI_DOCUMENT_MAX)
		return error_set(&layout->err, -EBADMSG, "a document of the image is too large");
	data = malloc(d->size + 1);
	if (!data)
		return error_set(&layout->err, -ENOMEM, "out of memory");
	r = verify(layout, fd, d, data);
	if (!r)
		*ret_data = TAKE_PTR(data);
	return r;
}

static int read_index(struct layout *layout, uint8_t **ret_data, size_t *ret_size)
{
	_cleanup_close_ int fd = open_in(layout, "index.json");
	uint8_t *data;
	ssize_t n;

	if (fd < 0)
		return error_set(&layout->err, fd, "it is no OCI image layout: index.json: %s",
				 strerror(-fd));
	data = malloc(OCI_DOCUMENT_MAX);
	n = data ? read(fd, data, OCI_DOCUMENT_MAX) : -1;
	if (n < 0) {
		free(data);
		return error_set(&layout->err, -EIO, "cannot read index.json");
	}
	*ret_data = data;
	*ret_size = (size_t)n;
	return 0;
}

/* The manifest of @tag; an index may lead to another one, for several machines. */
static int find_manifest(struct layout *layout, const char *tag,
			 struct oci_descriptor *ret_manifest)
{
	_cleanup_free_ uint8_t *data = NULL;
	struct oci_descriptor d = {};
	size_t size = 0;
	int r = read_index(layout, &data, &size);

	for (int i = 0; !r && i < NESTED_MAX; i++) {
		r = oci_index_choose(data, size, i ? "" : tag, &d, &layout->err);
		if (r)
			break;
		if (d.kind == OCI_MANIFEST) {
			*ret_manifest = d;
			return 0;
		}
		free(TAKE_PTR(data));
		r = read_document(layout, &d, &data);
		size = d.size;
	}
	return r ? r : error_set(&layout->err, -ELOOP, "its indexes lead nowhere");
}

/* From here on nothing of the host can be reached, but the layout. */
static int confine(struct layout *layout, const char *target, int *ret_root)
{
	static const cap_value_t kept[] = {CAP_DAC_OVERRIDE};
	cap_t caps = cap_init();
	int root = open(target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool good;

	if (root < 0)
		return error_set(&layout->err, -errno, "cannot open %s: %s", target,
				 strerror(errno));
	good = caps && !fchdir(root) && !chroot(".") &&
	       !cap_set_flag(caps, CAP_PERMITTED, 1, kept, CAP_SET) &&
	       !cap_set_flag(caps, CAP_EFFECTIVE, 1, kept, CAP_SET) && !cap_set_proc(caps) &&
	       !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (caps)
		cap_free(caps);
	if (!good) {
		close(root);
		return error_set(&layout->err, -EPERM, "cannot give up privileges: %s",
				 strerror(errno));
	}
	umask(0);
	*ret_root = root;
	return 0;
}

static int extract(struct layout *layout, const struct oci_descriptor *d, const char *target)
{
	struct oci_limits limits = {.entries = OCI_ENTRIES_MAX, .bytes = OCI_BYTES_MAX};
	_cleanup_free_ struct oci_manifest *manifest = calloc(1, sizeof(*manifest));
	_cleanup_free_ uint8_t *data = NULL;
	_cleanup_close_ int root = -1;
	int r = manifest ? confine(layout, target, &root) : -ENOMEM;

	if (!r)
		r = read_document(layout, d, &data);
	if (!r)
		r = oci_manifest_parse(data, d->size, manifest, &layout->err);
	for (size_t i = 0; !r && i < manifest->layers; i++) {
		_cleanup_close_ int fd = open_blob(layout, &manifest->layer[i]);

		r = fd < 0 ? fd : verify(layout, fd, &manifest->layer[i], NULL);
		if (!r)
			r = oci_layer_apply(fd, root, &limits, &layout->err);
	}
	if (!r && syncfs(root))
		r = error_set(&layout->err, -errno, "cannot write the image: %s", strerror(errno));
	return r;
}

int main(int argc, char **argv)
{
	struct layout layout = {.fd = -1};
	struct oci_descriptor manifest = {};
	int r;

	if (argc < 3 || argc > 4) {
		fputs("Usage: openshell-image LAYOUT TAG [DIRECTORY]\n\n"
		      "Prints the digest of an image in an OCI layout; with a directory, puts the "
		      "image there.\nFor openshell-supervisor. TAG \"\": the only image.\n",
		      stderr);
		return 2;
	}
	alarm(SECONDS_MAX);
	layout.fd = open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = layout.fd < 0 ? error_set(&layout.err, -errno, "cannot open it: %s", strerror(errno))
			  : find_manifest(&layout, argv[2], &manifest);
	if (!r && argc == 4)
		r = extract(&layout, &manifest, argv[3]);
	if (r) {
		fprintf(stderr, "%s\n", layout.err.code ? layout.err.message : strerror(-r));
		return 1;
	}
	puts(manifest.sha256);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of an image: what is taken has digests that name files and nothing else. */
#include "image/oci_manifest.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		__builtin_trap();
}

static void check(const struct oci_descriptor *d)
{
	must(strlen(d->sha256) == OCI_DIGEST_SIZE - 1);
	must(strspn(d->sha256, "0123456789abcdef") == OCI_DIGEST_SIZE - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct oci_manifest manifest;
	struct oci_descriptor chosen;
	struct error err = {};

	for (int i = 0; i < 2; i++) {
		if (!oci_index_choose(data, size, i ? "latest" : "", &chosen, &err)) {
			check(&chosen);
			must(chosen.kind == OCI_INDEX || chosen.kind == OCI_MANIFEST);
		} else {
			must(err.code && *err.message);
		}
	}
	if (!oci_manifest_parse(data, size, &manifest, &err)) {
		must(manifest.layers <= OCI_LAYERS_MAX);
		for (size_t i = 0; i < manifest.layers; i++)
			check(&manifest.layer[i]);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON documents of an OCI image layout (image-spec v1: index, manifest), and docker's, which
 * have the same members. Pure functions; strict about what is used: a document that is not
 * understood is refused. Any thread.
 */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OCI_LAYERS_MAX	 128
#define OCI_DOCUMENT_MAX (4u << 20) /* bytes */
#define OCI_DIGEST_SIZE	 65	    /* 64 hexadecimal digits of SHA-256, and NUL */

enum oci_kind { OCI_OTHER, OCI_INDEX, OCI_MANIFEST, OCI_LAYER };

struct oci_descriptor {
	enum oci_kind kind;
	char sha256[OCI_DIGEST_SIZE];
	uint64_t size;
};

struct oci_manifest {
	struct oci_descriptor layer[OCI_LAYERS_MAX];
	size_t layers;
};

/*
 * What an index has for this machine: an index or a manifest. @tag "" = the only one, or the only
 * one for this machine. -ENOENT: none; -EINVAL: several, so that a tag is needed; -EBADMSG.
 */
int oci_index_choose(const uint8_t *data, size_t size, const char *tag,
		     struct oci_descriptor *ret_chosen, struct error *err);

/* -EBADMSG; -E2BIG: more than OCI_LAYERS_MAX; -EOPNOTSUPP: a layer of an unknown kind. */
int oci_manifest_parse(const uint8_t *data, size_t size, struct oci_manifest *ret_manifest,
		       struct error *err);

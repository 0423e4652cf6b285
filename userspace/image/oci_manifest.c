/* SPDX-License-Identifier: Apache-2.0 */
#include "image/oci_manifest.h"

#include "common/cleanup.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#define ENTRIES_MAX 1024
#define REF_NAME    "org.opencontainers.image.ref.name"
#define PREFIX	    "sha256:"

#if defined(__x86_64__)
#define ARCHITECTURE "amd64"
#elif defined(__aarch64__)
#define ARCHITECTURE "arm64"
#else
#define ARCHITECTURE "unknown"
#endif

static void free_json(json_t **json)
{
	json_decref(*json);
}

static enum oci_kind kind_of(const char *type)
{
	static const struct {
		const char *type;
		enum oci_kind kind;
	} known[] = {
		{"application/vnd.oci.image.index.v1+json", OCI_INDEX},
		{"application/vnd.docker.distribution.manifest.list.v2+json", OCI_INDEX},
		{"application/vnd.oci.image.manifest.v1+json", OCI_MANIFEST},
		{"application/vnd.docker.distribution.manifest.v2+json", OCI_MANIFEST},
		{"application/vnd.oci.image.layer.v1.tar", OCI_LAYER},
		{"application/vnd.oci.image.layer.v1.tar+gzip", OCI_LAYER},
		{"application/vnd.oci.image.layer.v1.tar+zstd", OCI_LAYER},
		{"application/vnd.docker.image.rootfs.diff.tar.gzip", OCI_LAYER},
	};

	for (size_t i = 0; type && i < ARRAY_LEN(known); i++)
		if (!strcmp(known[i].type, type))
			return known[i].kind;
	return OCI_OTHER;
}

static int parse_descriptor(const json_t *json, struct oci_descriptor *ret_descriptor,
			    struct error *err)
{
	const char *digest = json_string_value(json_object_get(json, "digest"));
	const char *type = json_string_value(json_object_get(json, "mediaType"));
	const json_t *size = json_object_get(json, "size");
	size_t prefix = sizeof(PREFIX) - 1;

	if (!digest || !type || !json_is_integer(size) || json_integer_value(size) < 0)
		return error_set(err, -EBADMSG,
				 "a descriptor needs a mediaType, a digest and a size");
	if (strncmp(digest, PREFIX, prefix) || strlen(digest) != prefix + OCI_DIGEST_SIZE - 1 ||
	    strspn(digest + prefix, "0123456789abcdef") != OCI_DIGEST_SIZE - 1)
		return error_set(err, -EBADMSG, "'%.100s' is no SHA-256 digest", digest);
	ret_descriptor->kind = kind_of(type);
	ret_descriptor->size = (uint64_t)json_integer_value(size);
	memcpy(ret_descriptor->sha256, digest + prefix, OCI_DIGEST_SIZE);
	return 0;
}

static int parse(const uint8_t *data, size_t size, json_t **ret_json, struct error *err)
{
	json_error_t error;
	json_t *json;

	if (size > OCI_DOCUMENT_MAX)
		return error_set(err, -EBADMSG, "a document is larger than %u bytes",
				 OCI_DOCUMENT_MAX);
	json = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, &error);
	if (!json)
		return error_set(err, -EBADMSG, "a document is no JSON: %s", error.text);
	if (!json_is_object(json) ||
	    json_integer_value(json_object_get(json, "schemaVersion")) != 2) {
		json_decref(json);
		return error_set(err, -EBADMSG, "a document has no schemaVersion 2");
	}
	*ret_json = json;
	return 0;
}

/* One that does not say what it is for is for all. */
static bool is_for_us(const json_t *entry)
{
	const json_t *platform = json_object_get(entry, "platform");
	const char *os = json_string_value(json_object_get(platform, "os"));
	const char *architecture = json_string_value(json_object_get(platform, "architecture"));

	return !platform ||
	       (os && architecture && !strcmp(os, "linux") && !strcmp(architecture, ARCHITECTURE));
}

static bool is_called(const json_t *entry, const char *tag)
{
	const char *name =
		json_string_value(json_object_get(json_object_get(entry, "annotations"), REF_NAME));

	return !*tag || (name && !strcmp(name, tag));
}

int oci_index_choose(const uint8_t *data, size_t size, const char *tag,
		     struct oci_descriptor *ret_chosen, struct error *err)
{
	_cleanup_(free_json) json_t *json = NULL;
	struct oci_descriptor chosen = {};
	const json_t *list;
	size_t found = 0;
	int r = parse(data, size, &json, err);

	if (r)
		return r;
	list = json_object_get(json, "manifests");
	if (!json_is_array(list) || json_array_size(list) > ENTRIES_MAX)
		return error_set(err, -EBADMSG, "an index needs a list of at most %d manifests",
				 ENTRIES_MAX);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *entry = json_array_get(list, i);
		struct oci_descriptor d = {};

		r = parse_descriptor(entry, &d, err);
		if (r)
			return r;
		if (!is_for_us(entry) || !is_called(entry, tag) ||
		    (d.kind != OCI_INDEX && d.kind != OCI_MANIFEST))
			continue;
		/* The same one by two names is one. */
		if (found && !strcmp(d.sha256, chosen.sha256))
			continue;
		chosen = d;
		found++;
	}
	if (!found)
		return error_set(err, -ENOENT, "it has no image %s%s%sfor linux/" ARCHITECTURE,
				 *tag ? "'" : "", tag, *tag ? "' " : "");
	if (found > 1)
		return error_set(err, -EINVAL, "it has %zu images: name one, oci:DIRECTORY:TAG",
				 found);
	*ret_chosen = chosen;
	return 0;
}

int oci_manifest_parse(const uint8_t *data, size_t size, struct oci_manifest *ret_manifest,
		       struct error *err)
{
	_cleanup_(free_json) json_t *json = NULL;
	_cleanup_free_ struct oci_manifest *manifest = calloc(1, sizeof(*manifest));
	const json_t *list;
	int r = manifest ? parse(data, size, &json, err) : error_set(err, -ENOMEM, "out of memory");

	if (r)
		return r;
	list = json_object_get(json, "layers");
	if (!json_is_array(list))
		return error_set(err, -EBADMSG, "a manifest needs a list of layers");
	if (json_array_size(list) > OCI_LAYERS_MAX)
		return error_set(err, -E2BIG, "the image has more than %d layers", OCI_LAYERS_MAX);
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct oci_descriptor *layer = &manifest->layer[manifest->layers++];

		r = parse_descriptor(json_array_get(list, i), layer, err);
		if (r)
			return r;
		if (layer->kind != OCI_LAYER)
			return error_set(err, -EOPNOTSUPP,
					 "layer %zu is no tar archive: other layers are not known",
					 i + 1);
	}
	*ret_manifest = *manifest;
	return 0;
}

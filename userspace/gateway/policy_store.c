/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/policy_store.h"

#include "common/cleanup.h"
#include "common/policy.h"
#include "common/policy_wire.h"
#include "gateway/replace_string.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define STATUS(name) OPENSHELL__V1__POLICY_STATUS__POLICY_STATUS_##name
#define NAME_SIZE    64

static void name_of(char name[NAME_SIZE], const char *owner, uint32_t version)
{
	snprintf(name, NAME_SIZE, "%s/%010u", owner, version);
}

void policy_stored_clear(struct policy_stored *revision)
{
	if (revision->stored)
		openshell__stored__v1__policy_revision__free_unpacked(revision->stored, NULL);
	store_object_clear(&revision->object);
	*revision = (struct policy_stored){};
}

/* Takes @object. */
static int unpack(struct store_object *object, struct policy_stored *ret_revision,
		  struct error *err)
{
	struct policy_stored revision = {.object = *object};

	*object = (struct store_object){};
	revision.stored = openshell__stored__v1__policy_revision__unpack(
		NULL, revision.object.payload_size, revision.object.payload);
	free(revision.object.payload);
	revision.object.payload = NULL;
	revision.object.payload_size = 0;
	if (!revision.stored || !revision.stored->revision || !revision.stored->revision->policy) {
		error_set(err, -EIO, "a revision of a policy is damaged: %s", revision.object.name);
		policy_stored_clear(&revision);
		return -EIO;
	}
	*ret_revision = revision;
	return 0;
}

static int pack_into(struct policy_stored *revision, struct error *err)
{
	size_t size = protobuf_c_message_get_packed_size(&revision->stored->base);

	revision->object.payload = malloc(size + 1);
	if (!revision->object.payload)
		return error_set(err, -ENOMEM, "out of memory");
	revision->object.payload_size =
		protobuf_c_message_pack(&revision->stored->base, revision->object.payload);
	return 0;
}

static void drop_payload(struct policy_stored *revision)
{
	free(revision->object.payload);
	revision->object.payload = NULL;
	revision->object.payload_size = 0;
}

int policy_store_save(struct gateway *gateway, struct policy_stored *revision, struct error *err)
{
	int r = pack_into(revision, err);

	if (!r)
		r = store_update(gateway->store, &revision->object, revision->object.version, err);
	drop_payload(revision);
	return r;
}

static int load(const Openshell__Sandbox__V1__SandboxPolicy *message, struct policy **ret_policy,
		struct error *err)
{
	return message ? policy_from_wire(message, ret_policy, err)
		       : policy_default(ret_policy, err);
}

/* What is kept is what was understood, not what was sent: unknown fields are not in it. */
static int build(uint32_t version, const struct policy *policy, const struct policy_note *notes,
		 size_t notes_len, struct policy_stored *revision, struct error *err)
{
	_cleanup_policy_compiled_ Openshell__Compiled__V1__CompiledPolicy *compiled = NULL;
	Openshell__Stored__V1__PolicyRevision stored = OPENSHELL__STORED__V1__POLICY_REVISION__INIT;
	Openshell__V1__SandboxPolicyRevision r1 = OPENSHELL__V1__SANDBOX_POLICY_REVISION__INIT;
	Openshell__V1__SandboxPolicyRevision__ProvenanceEntry *entries = NULL, **list = NULL;
	Openshell__Sandbox__V1__SandboxPolicy *message = NULL;
	_cleanup_free_ uint8_t *packed = NULL, *all = NULL;
	uint8_t digest[POLICY_DIGEST_SIZE];
	char hash[2 * POLICY_DIGEST_SIZE + 1];
	struct timespec now;
	size_t size;
	int r = policy_compile(policy, &compiled, err);

	if (!r)
		r = policy_digest(compiled, digest, err);
	if (!r)
		r = policy_to_wire(policy, &message, err);
	if (r)
		return r;
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(hash + 2 * i, 3, "%02x", digest[i]);
	packed = malloc(protobuf_c_message_get_packed_size(&compiled->base) + 1);
	entries = calloc(notes_len + 1, sizeof(*entries));
	list = calloc(notes_len + 1, sizeof(*list));
	if (!packed || !entries || !list) {
		r = error_set(err, -ENOMEM, "out of memory");
		goto out;
	}
	stored.compiled.data = packed;
	stored.compiled.len = protobuf_c_message_pack(&compiled->base, packed);
	stored.digest = (ProtobufCBinaryData){sizeof(digest), digest};
	clock_gettime(CLOCK_REALTIME, &now);
	r1.version = version;
	r1.policy_hash = hash;
	r1.status = STATUS(PENDING);
	r1.created_at_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	r1.policy = message;
	for (size_t i = 0; i < notes_len; i++) {
		openshell__v1__sandbox_policy_revision__provenance_entry__init(&entries[i]);
		entries[i].key = (char *)notes[i].key;
		entries[i].value = (char *)notes[i].value;
		list[i] = &entries[i];
	}
	r1.provenance = list;
	r1.n_provenance = notes_len;
	stored.revision = &r1;
	size = protobuf_c_message_get_packed_size(&stored.base);
	all = malloc(size);
	if (all) {
		protobuf_c_message_pack(&stored.base, all);
		revision->stored = openshell__stored__v1__policy_revision__unpack(NULL, size, all);
	}
	if (!revision->stored)
		r = error_set(err, -ENOMEM, "out of memory");
out:
	free(entries);
	free(list);
	openshell__sandbox__v1__sandbox_policy__free_unpacked(message, NULL);
	return r;
}

static int insert(struct gateway *gateway, const char *owner, uint32_t version,
		  struct policy_stored *revision, struct error *err)
{
	char id[37], name[NAME_SIZE];
	int r;

	store_make_id(id);
	name_of(name, owner, version);
	revision->object.kind = STORE_POLICY_REVISION;
	revision->object.id = strdup(id);
	revision->object.workspace = strdup("");
	revision->object.name = strdup(name);
	if (!revision->object.id || !revision->object.workspace || !revision->object.name)
		return error_set(err, -ENOMEM, "out of memory");
	r = pack_into(revision, err);
	if (!r)
		r = store_insert(gateway->store, &revision->object, err);
	drop_payload(revision);
	return r;
}

/* Those that are too old to be asked for. */
static int prune(struct gateway *gateway, const char *owner, struct error *err)
{
	char prefix[NAME_SIZE];
	const struct store_query query = {
		.kind = STORE_POLICY_REVISION,
		.workspace = "",
		.name_prefix = prefix,
	};
	struct store_list list;
	int r;

	snprintf(prefix, sizeof(prefix), "%s/", owner);
	r = store_list(gateway->store, &query, &list, err);
	if (r)
		return r;
	for (size_t i = 0; !r && i + POLICY_REVISIONS_MAX < list.count; i++)
		r = store_delete(gateway->store, STORE_POLICY_REVISION, list.items[i].id, 0, err);
	store_list_clear(&list);
	return r;
}

int policy_store_add(struct gateway *gateway, const char *owner, uint32_t version,
		     const Openshell__Sandbox__V1__SandboxPolicy *message,
		     const struct policy_note *notes, size_t notes_len,
		     struct policy_stored *ret_revision, struct error *err)
{
	_cleanup_policy_ struct policy *policy = NULL;
	struct policy_stored revision = {};
	int r = load(message, &policy, err);

	if (!r)
		r = build(version, policy, notes, notes_len, &revision, err);
	if (!r)
		r = policy_store_supersede(gateway, owner, version, false, err);
	if (!r)
		r = insert(gateway, owner, version, &revision, err);
	/* One in 16 looks for what is too old: the list is read whole for it. */
	if (!r && version > POLICY_REVISIONS_MAX && version % 16 == 0)
		r = prune(gateway, owner, err);
	if (r) {
		policy_stored_clear(&revision);
		return r;
	}
	*ret_revision = revision;
	return 0;
}

int policy_store_list(struct gateway *gateway, const char *owner, uint32_t limit, uint32_t offset,
		      struct policy_stored **ret_revisions, size_t *ret_count, struct error *err)
{
	char prefix[NAME_SIZE];
	const struct store_query query = {
		.kind = STORE_POLICY_REVISION,
		.workspace = "",
		.name_prefix = prefix,
		.limit = limit,
		.offset = offset,
		.newest_first = true,
	};
	struct policy_stored *revisions;
	struct store_list list;
	size_t count = 0;
	int r;

	snprintf(prefix, sizeof(prefix), "%s/", owner);
	r = store_list(gateway->store, &query, &list, err);
	if (r)
		return r;
	revisions = calloc(list.count + 1, sizeof(*revisions));
	if (!revisions)
		r = error_set(err, -ENOMEM, "out of memory");
	while (!r && count < list.count) {
		r = unpack(&list.items[count], &revisions[count], err);
		if (!r)
			count++;
	}
	store_list_clear(&list);
	if (r) {
		for (size_t i = 0; i < count; i++)
			policy_stored_clear(&revisions[i]);
		free(revisions);
		return r;
	}
	*ret_revisions = revisions;
	*ret_count = count;
	return 0;
}

static int newest(struct gateway *gateway, const char *owner, struct policy_stored *ret_revision,
		  struct error *err)
{
	struct policy_stored *list;
	size_t count;
	int r = policy_store_list(gateway, owner, 1, 0, &list, &count, err);

	if (r)
		return r;
	if (count)
		*ret_revision = list[0];
	else
		r = error_set(err, -ENOENT, "there is no policy");
	free(list);
	return r;
}

int policy_store_get(struct gateway *gateway, const char *owner, uint32_t version,
		     struct policy_stored *ret_revision, struct error *err)
{
	struct store_object object;
	char name[NAME_SIZE];
	int r;

	if (!version)
		return newest(gateway, owner, ret_revision, err);
	name_of(name, owner, version);
	r = store_get(gateway->store, STORE_POLICY_REVISION, "", name, &object, err);
	if (r == -ENOENT)
		return error_set(err, r, "there is no revision %u of the policy", version);
	return r ? r : unpack(&object, ret_revision, err);
}

int policy_store_global(struct gateway *gateway, struct policy_stored *ret_revision,
			struct error *err)
{
	int r = newest(gateway, POLICY_OWNER_GLOBAL, ret_revision, err);

	if (!r && ret_revision->stored->revision->status == STATUS(SUPERSEDED)) {
		policy_stored_clear(ret_revision);
		r = error_set(err, -ENOENT, "there is no global policy");
	}
	return r;
}

/* Only the newest ones can still be anything else. */
int policy_store_supersede(struct gateway *gateway, const char *owner, uint32_t version,
			   bool loaded_too, struct error *err)
{
	struct policy_stored *list;
	size_t count;
	int r = policy_store_list(gateway, owner, 8, 0, &list, &count, err);

	if (r)
		return r;
	for (size_t i = 0; i < count; i++) {
		Openshell__V1__SandboxPolicyRevision *revision = list[i].stored->revision;
		bool open = revision->status == STATUS(PENDING) ||
			    (loaded_too && revision->status == STATUS(LOADED));

		if (!r && open && revision->version != version) {
			revision->status = STATUS(SUPERSEDED);
			r = policy_store_save(gateway, &list[i], err);
		}
		policy_stored_clear(&list[i]);
	}
	free(list);
	return r;
}

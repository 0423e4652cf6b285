/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway remembers: one SQLite table of objects (WAL, synchronous=FULL, file 0600). The
 * payload of each is a packed protobuf message, sealed with AES-256-GCM by the store's key, its
 * kind, id and version authenticated with it; names, labels and versions are in the clear, to be
 * looked up by. What a function has returned 0 for is on the disk. One thread. Fails closed: a
 * payload that does not open by the key is -EBADMSG, never nothing; a file of a newer schema is
 * refused.
 */
#pragma once

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

struct store_options {
	const char *path;     /* of the database */
	const char *key_path; /* 32 bytes, 0600; made if it is missing and the database is new */
};

int store_open(const struct store_options *options, struct store **ret_store, struct error *err);
void store_close(struct store *store);

/* Kinds of objects. Numbers are stored: add at the end, never change one. */
enum store_kind {
	STORE_WORKSPACE = 1,
	STORE_MEMBER, /* name: SUBJECT */
	STORE_SANDBOX,
	STORE_PROVIDER,
	STORE_PROFILE,
	STORE_POLICY_REVISION, /* name: ID/VERSION with ten digits; ID "global" for all sandboxes */
	STORE_SETTING,	       /* name: KEY, or ID/KEY of a sandbox */
	STORE_INFERENCE_ROUTE, /* name: ROUTE */
	STORE_SERVICE,	       /* name: SANDBOX/SERVICE */
	STORE_SSH_SESSION,     /* name: hex of the token's SHA-256 */
	STORE_NODE,
	STORE_SECRET, /* the gateway's own: signing keys */
};

struct store_object {
	char *id; /* UUID */
	enum store_kind kind;
	char *workspace;  /* "" for what belongs to none */
	char *name;	  /* unique in its kind and workspace */
	uint64_t version; /* resource_version: 1, and one more with each write */
	int64_t created_ms;
	char **label; /* "KEY=VALUE", sorted */
	size_t labels;
	uint8_t *payload;
	size_t payload_size;
};

void store_object_clear(struct store_object *object); /* wipes the payload */

/* A random UUID, version 4 (RFC 9562), as text. */
void store_make_id(char ret_id[37]);

/* Several changes that happen together: between begin and commit; rollback undoes them. */
int store_begin(struct store *store, struct error *err);
int store_commit(struct store *store, struct error *err);
void store_rollback(struct store *store);

/* A new object; its id, kind, workspace, name, labels and payload count; @object's version becomes
 * 1 and created_ms now, unless it is set. -EEXIST: the name or the id is taken. -ENOSPC, -EIO. */
int store_insert(struct store *store, struct store_object *object, struct error *err);

/*
 * Another payload, other labels. @expected: the version that it must have; 0 = whatever it has.
 * @object's version becomes the new one. -ENOENT; -ESTALE: it has another version.
 */
int store_update(struct store *store, struct store_object *object, uint64_t expected,
		 struct error *err);

/* -ENOENT, -ESTALE as store_update(). */
int store_delete(struct store *store, enum store_kind kind, const char *id, uint64_t expected,
		 struct error *err);

int store_get(struct store *store, enum store_kind kind, const char *workspace, const char *name,
	      struct store_object *ret_object, struct error *err);
int store_get_id(struct store *store, enum store_kind kind, const char *id,
		 struct store_object *ret_object, struct error *err);

struct store_query {
	enum store_kind kind;
	const char *workspace;	 /* NULL = of all */
	const char *name_prefix; /* NULL = any */
	/* "KEY=VALUE,KEY2=VALUE2", "KEY" (present), "KEY!=VALUE"; NULL or "" = any */
	const char *selector;
	uint32_t limit, offset; /* limit 0 = all */
	bool newest_first;	/* else by name */
};

struct store_list {
	struct store_object *items;
	size_t count;
};

/* -EINVAL: the selector is none. */
int store_list(struct store *store, const struct store_query *query, struct store_list *ret_list,
	       struct error *err);
void store_list_clear(struct store_list *list);

/* How many there are. */
int store_count(struct store *store, enum store_kind kind, const char *workspace,
		uint64_t *ret_count, struct error *err);

/* PRAGMA integrity_check, and every payload opens. -EBADMSG with what is wrong. */
int store_check(struct store *store, struct error *err);

/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the store share. */
#pragma once

#include "gateway/store.h"

#include <sqlite3.h>

#define STORE_SCHEMA	    1 /* PRAGMA user_version */
#define STORE_KEY_SIZE	    32
#define STORE_LABELS_MAX    64
#define STORE_SEAL_OVERHEAD (12 + 16) /* nonce and tag */

enum store_statement {
	STATEMENT_BEGIN,
	STATEMENT_COMMIT,
	STATEMENT_ROLLBACK,
	STATEMENT_INSERT,
	STATEMENT_UPDATE,
	STATEMENT_DELETE,
	STATEMENT_VERSION,
	STATEMENT_GET,
	STATEMENT_GET_ID,
	STATEMENT_COUNT,
	STATEMENT_COUNT_IN,
	STATEMENTS
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *statement[STATEMENTS];
	uint8_t key[STORE_KEY_SIZE];
	int depth;   /* of store_begin() */
	bool doomed; /* an inner one was rolled back */
};

/* A prepared statement that is reset and has no bindings; NULL with *err set. */
sqlite3_stmt *store_prepare(struct store *store, enum store_statement which, struct error *err);

/* An error of SQLite as one of ours. */
int store_error(struct store *store, const char *what, struct error *err);

/* The key of @path; made when @create and it is missing. -EPERM: others may read it. */
int store_key_load(const char *path, bool create, uint8_t ret_key[STORE_KEY_SIZE],
		   struct error *err);

/* Seal a payload for (kind, id, version); free() what comes. */
int store_seal(const struct store *store, const struct store_object *object, uint8_t **ret_sealed,
	       size_t *ret_size, struct error *err);

/* Open what is sealed, into object->payload. -EBADMSG. */
int store_unseal(const struct store *store, struct store_object *object, const uint8_t *sealed,
		 size_t size, struct error *err);

/* A row of (id, kind, workspace, name, version, created_ms, labels, payload) as an object. */
int store_read_row(struct store *store, sqlite3_stmt *s, struct store_object *ret_object,
		   struct error *err);
#define STORE_COLUMNS "id, kind, workspace, name, version, created_ms, labels, payload"

/* Labels as one text: "\nKEY=VALUE\nKEY2=VALUE2\n", sorted; "\n" for none. */
char *store_join_labels(const struct store_object *object);
int store_split_labels(const char *text, struct store_object *object);

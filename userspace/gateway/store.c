/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_internal.h"

#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define BUSY_MS 10000 /* to wait for another writer */

static const char schema[] =
	"CREATE TABLE objects ("
	" id TEXT NOT NULL, kind INTEGER NOT NULL, workspace TEXT NOT NULL, name TEXT NOT NULL,"
	" version INTEGER NOT NULL, created_ms INTEGER NOT NULL, labels TEXT NOT NULL,"
	" payload BLOB NOT NULL,"
	" PRIMARY KEY (kind, id), UNIQUE (kind, workspace, name)) WITHOUT ROWID;"
	"CREATE INDEX objects_by_name ON objects (kind, name);";

static const char *const sql[STATEMENTS] = {
	[STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
	[STATEMENT_COMMIT] = "COMMIT",
	[STATEMENT_ROLLBACK] = "ROLLBACK",
	[STATEMENT_INSERT] = "INSERT INTO objects (" STORE_COLUMNS ")"
			     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[STATEMENT_UPDATE] = "UPDATE objects SET version = ?3, labels = ?4, payload = ?5"
			     " WHERE kind = ?1 AND id = ?2 AND version = ?3 - 1",
	[STATEMENT_DELETE] = "DELETE FROM objects WHERE kind = ?1 AND id = ?2"
			     " AND (?3 = 0 OR version = ?3)",
	[STATEMENT_VERSION] = "SELECT version, created_ms FROM objects WHERE kind = ?1 AND id = ?2",
	[STATEMENT_GET] = "SELECT " STORE_COLUMNS " FROM objects"
			  " WHERE kind = ?1 AND workspace = ?2 AND name = ?3",
	[STATEMENT_GET_ID] = "SELECT " STORE_COLUMNS " FROM objects WHERE kind = ?1 AND id = ?2",
	[STATEMENT_COUNT] = "SELECT count(*) FROM objects WHERE kind = ?1",
	[STATEMENT_COUNT_IN] = "SELECT count(*) FROM objects WHERE kind = ?1 AND workspace = ?2",
};

int store_error(struct store *store, const char *what, struct error *err)
{
	int code = sqlite3_errcode(store->db), r = -EIO;

	switch (code & 0xff) {
	case SQLITE_FULL:
		r = -ENOSPC;
		break;
	case SQLITE_NOMEM:
		r = -ENOMEM;
		break;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		r = -EAGAIN;
		break;
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		r = -EBADMSG;
		break;
	case SQLITE_READONLY:
	case SQLITE_PERM:
		r = -EROFS;
		break;
	case SQLITE_CONSTRAINT:
		r = -EEXIST;
		break;
	default:
		break;
	}
	return error_set(err, r, "%s: %s", what, sqlite3_errmsg(store->db));
}

sqlite3_stmt *store_prepare(struct store *store, enum store_statement which, struct error *err)
{
	sqlite3_stmt **s = &store->statement[which];

	if (!*s && sqlite3_prepare_v3(store->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT, s,
				      NULL) != SQLITE_OK) {
		store_error(store, "the database", err);
		return NULL;
	}
	sqlite3_reset(*s);
	sqlite3_clear_bindings(*s);
	return *s;
}

/* Run a statement without rows. */
static int step(struct store *store, sqlite3_stmt *s, const char *what, struct error *err)
{
	int r = 0;

	if (sqlite3_step(s) != SQLITE_DONE)
		r = store_error(store, what, err);
	sqlite3_reset(s);
	return r;
}

static int run(struct store *store, enum store_statement which, const char *what, struct error *err)
{
	sqlite3_stmt *s = store_prepare(store, which, err);

	return s ? step(store, s, what, err) : err ? err->code : -EIO;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- opening ---- */

/* SQLite makes its files with the database's mode, so that is what has to be right. */
static int make_file(const char *path, bool *ret_new, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return error_set(err, -errno, "cannot open the database %s: %s", path,
				 strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "the database %s is not a file", path);
	if (st.st_mode & 077 && fchmod(fd, 0600))
		return error_set(err, -errno, "others may read the database %s: %s", path,
				 strerror(errno));
	*ret_new = st.st_size == 0;
	return 0;
}

static int execute(struct store *store, const char *text, struct error *err)
{
	if (sqlite3_exec(store->db, text, NULL, NULL, NULL) != SQLITE_OK)
		return store_error(store, "the database", err);
	return 0;
}

static int read_number(struct store *store, const char *text, int64_t *ret_number,
		       struct error *err)
{
	sqlite3_stmt *s = NULL;
	int r = 0;

	if (sqlite3_prepare_v2(store->db, text, -1, &s, NULL) != SQLITE_OK ||
	    sqlite3_step(s) != SQLITE_ROW)
		r = store_error(store, "the database", err);
	else
		*ret_number = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return r;
}

/* Two that start at once: one makes it, the other waits and finds it. */
static int ensure_schema(struct store *store, const char *path, struct error *err)
{
	int64_t version = 0;
	int r = execute(store, "BEGIN IMMEDIATE", err);

	if (!r)
		r = read_number(store, "PRAGMA user_version", &version, err);
	if (!r && version > STORE_SCHEMA)
		r = error_set(err, -EPROTO,
			      "the database %s is of a newer version (schema %lld, this program "
			      "knows %d): use the newer program",
			      path, (long long)version, STORE_SCHEMA);
	if (!r && !version) {
		r = execute(store, schema, err);
		if (!r)
			r = execute(store, "PRAGMA user_version = 1", err);
	}
	if (!r)
		return execute(store, "COMMIT", err);
	sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

int store_open(const struct store_options *options, struct store **ret_store, struct error *err)
{
	struct store *store = calloc(1, sizeof(*store));
	bool is_new = false;
	int r;

	if (!store)
		return error_set(err, -ENOMEM, "out of memory");
	r = make_file(options->path, &is_new, err);
	if (!r)
		r = store_key_load(options->key_path, is_new, store->key, err);
	if (!r && sqlite3_open_v2(options->path, &store->db,
				  SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		r = store_error(store, options->path, err);
	if (!r) {
		sqlite3_busy_timeout(store->db, BUSY_MS);
		sqlite3_extended_result_codes(store->db, 1);
		r = execute(store,
			    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			    "PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF;"
			    "PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;",
			    err);
	}
	if (!r)
		r = ensure_schema(store, options->path, err);
	if (r) {
		store_close(store);
		return r;
	}
	*ret_store = store;
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	for (size_t i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(store->statement[i]);
	sqlite3_close(store->db);
	OPENSSL_cleanse(store, sizeof(*store));
	free(store);
}

/* ---- transactions ---- */

int store_begin(struct store *store, struct error *err)
{
	int r = 0;

	if (!store->depth) {
		r = run(store, STATEMENT_BEGIN, "a transaction cannot begin", err);
		store->doomed = false;
	}
	if (!r)
		store->depth++;
	return r;
}

int store_commit(struct store *store, struct error *err)
{
	int r;

	if (--store->depth)
		return 0;
	if (store->doomed) {
		run(store, STATEMENT_ROLLBACK, "rolling back", NULL);
		return error_set(err, -ECANCELED,
				 "a part of the change failed: nothing is changed");
	}
	r = run(store, STATEMENT_COMMIT, "the change cannot be written", err);
	if (r && !sqlite3_get_autocommit(store->db))
		run(store, STATEMENT_ROLLBACK, "rolling back", NULL);
	return r;
}

void store_rollback(struct store *store)
{
	store->doomed = true;
	if (--store->depth)
		return;
	/* A full disk has rolled back already. */
	if (!sqlite3_get_autocommit(store->db))
		run(store, STATEMENT_ROLLBACK, "rolling back", NULL);
}

/* ---- objects ---- */

static void bind_text(sqlite3_stmt *s, int at, const char *text)
{
	sqlite3_bind_text(s, at, text ? text : "", -1, SQLITE_TRANSIENT);
}

static int bind_payload(struct store *store, sqlite3_stmt *s, int at,
			const struct store_object *object, struct error *err)
{
	uint8_t *sealed;
	size_t size;
	int r = store_seal(store, object, &sealed, &size, err);

	if (!r && sqlite3_bind_blob(s, at, sealed, (int)size, free) != SQLITE_OK)
		r = error_set(err, -ENOMEM, "out of memory");
	return r;
}

static int bind_labels(sqlite3_stmt *s, int at, const struct store_object *object,
		       struct error *err)
{
	char *labels;

	if (object->labels > STORE_LABELS_MAX)
		return error_set(err, -E2BIG, "more than %d labels", STORE_LABELS_MAX);
	labels = store_join_labels(object);
	if (!labels)
		return error_set(err, -ENOMEM, "out of memory");
	sqlite3_bind_text(s, at, labels, -1, free);
	return 0;
}

int store_insert(struct store *store, struct store_object *object, struct error *err)
{
	sqlite3_stmt *s = store_prepare(store, STATEMENT_INSERT, err);
	uint64_t version = object->version;
	int64_t created = object->created_ms ? object->created_ms : now_ms();
	int r;

	if (!s)
		return err ? err->code : -EIO;
	object->version = 1;
	bind_text(s, 1, object->id);
	sqlite3_bind_int(s, 2, object->kind);
	bind_text(s, 3, object->workspace);
	bind_text(s, 4, object->name);
	sqlite3_bind_int64(s, 5, 1);
	sqlite3_bind_int64(s, 6, created);
	r = bind_labels(s, 7, object, err);
	if (!r)
		r = bind_payload(store, s, 8, object, err);
	if (!r)
		r = step(store, s, "the object cannot be written", err);
	if (r == -EEXIST)
		error_set(err, r, "'%s' exists already", object->name);
	if (r)
		object->version = version;
	else
		object->created_ms = created;
	return r;
}

static int missing(const char *id, struct error *err)
{
	return error_set(err, -ENOENT, "there is no object %s", id);
}

/* The version an object has now. */
static int current_version(struct store *store, enum store_kind kind, const char *id,
			   uint64_t *ret_version, int64_t *ret_created, struct error *err)
{
	sqlite3_stmt *s = store_prepare(store, STATEMENT_VERSION, err);
	int r, state;

	if (!s)
		return err ? err->code : -EIO;
	sqlite3_bind_int(s, 1, kind);
	bind_text(s, 2, id);
	state = sqlite3_step(s);
	if (state == SQLITE_ROW) {
		*ret_version = (uint64_t)sqlite3_column_int64(s, 0);
		*ret_created = sqlite3_column_int64(s, 1);
		r = 0;
	} else if (state == SQLITE_DONE) {
		r = missing(id, err);
	} else {
		r = store_error(store, "the database cannot be read", err);
	}
	sqlite3_reset(s);
	return r;
}

static int stale(uint64_t has, uint64_t expected, struct error *err)
{
	return error_set(err, -ESTALE,
			 "it was changed meanwhile: resource_version is %llu, not %llu; read it "
			 "again",
			 (unsigned long long)has, (unsigned long long)expected);
}

static int update(struct store *store, struct store_object *object, uint64_t expected,
		  struct error *err)
{
	uint64_t version, before = object->version;
	int64_t created;
	sqlite3_stmt *s;
	int r = current_version(store, object->kind, object->id, &version, &created, err);

	if (r)
		return r;
	if (expected && expected != version)
		return stale(version, expected, err);
	s = store_prepare(store, STATEMENT_UPDATE, err);
	if (!s)
		return err ? err->code : -EIO;
	object->version = version + 1;
	sqlite3_bind_int(s, 1, object->kind);
	bind_text(s, 2, object->id);
	sqlite3_bind_int64(s, 3, (int64_t)object->version);
	r = bind_labels(s, 4, object, err);
	if (!r)
		r = bind_payload(store, s, 5, object, err);
	if (!r)
		r = step(store, s, "the object cannot be written", err);
	if (!r && sqlite3_changes(store->db) != 1)
		r = stale(version, expected, err);
	if (r)
		object->version = before;
	else
		object->created_ms = created;
	return r;
}

/* Reading the version and writing the next one are one transaction. */
int store_update(struct store *store, struct store_object *object, uint64_t expected,
		 struct error *err)
{
	uint64_t before = object->version;
	int r = store_begin(store, err);

	if (r)
		return r;
	r = update(store, object, expected, err);
	if (r) {
		bool inner = store->depth > 1, doomed = store->doomed;

		store_rollback(store);
		/* Nothing was changed: whoever began the outer one decides. */
		if (inner)
			store->doomed = doomed;
		return r;
	}
	r = store_commit(store, err);
	if (r)
		object->version = before;
	return r;
}

int store_delete(struct store *store, enum store_kind kind, const char *id, uint64_t expected,
		 struct error *err)
{
	sqlite3_stmt *s = store_prepare(store, STATEMENT_DELETE, err);
	uint64_t version;
	int64_t created;
	int r;

	if (!s)
		return err ? err->code : -EIO;
	sqlite3_bind_int(s, 1, kind);
	bind_text(s, 2, id);
	sqlite3_bind_int64(s, 3, (int64_t)expected);
	r = step(store, s, "the object cannot be deleted", err);
	if (r || sqlite3_changes(store->db) == 1)
		return r;
	r = current_version(store, kind, id, &version, &created, err);
	return r ? r : stale(version, expected, err);
}

static int get(struct store *store, sqlite3_stmt *s, const char *name,
	       struct store_object *ret_object, struct error *err)
{
	int state = sqlite3_step(s), r;

	if (state == SQLITE_ROW)
		r = store_read_row(store, s, ret_object, err);
	else if (state == SQLITE_DONE)
		r = missing(name, err);
	else
		r = store_error(store, "the database cannot be read", err);
	sqlite3_reset(s);
	return r;
}

int store_get(struct store *store, enum store_kind kind, const char *workspace, const char *name,
	      struct store_object *ret_object, struct error *err)
{
	sqlite3_stmt *s = store_prepare(store, STATEMENT_GET, err);

	if (!s)
		return err ? err->code : -EIO;
	sqlite3_bind_int(s, 1, kind);
	bind_text(s, 2, workspace);
	bind_text(s, 3, name);
	return get(store, s, name, ret_object, err);
}

int store_get_id(struct store *store, enum store_kind kind, const char *id,
		 struct store_object *ret_object, struct error *err)
{
	sqlite3_stmt *s = store_prepare(store, STATEMENT_GET_ID, err);

	if (!s)
		return err ? err->code : -EIO;
	sqlite3_bind_int(s, 1, kind);
	bind_text(s, 2, id);
	return get(store, s, id, ret_object, err);
}

int store_count(struct store *store, enum store_kind kind, const char *workspace,
		uint64_t *ret_count, struct error *err)
{
	sqlite3_stmt *s =
		store_prepare(store, workspace ? STATEMENT_COUNT_IN : STATEMENT_COUNT, err);
	int r = 0;

	if (!s)
		return err ? err->code : -EIO;
	sqlite3_bind_int(s, 1, kind);
	if (workspace)
		bind_text(s, 2, workspace);
	if (sqlite3_step(s) == SQLITE_ROW)
		*ret_count = (uint64_t)sqlite3_column_int64(s, 0);
	else
		r = store_error(store, "the database cannot be read", err);
	sqlite3_reset(s);
	return r;
}

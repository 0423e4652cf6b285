/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of objects, by selectors; and looking through all of them. */
#include "gateway/store_internal.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TERMS_MAX 16
#define SQL_MAX	  2048
#define ITEMS_MAX 100000 /* of one list */

/* One part of a selector: what labels have to have, or must not. */
struct term {
	char like[300]; /* pattern for the labels' text */
	bool negative;
};

struct selector {
	struct term term[TERMS_MAX];
	size_t count;
};

/* Of the labels' grammar nothing has to be escaped but what LIKE knows. */
static int add_like(struct term *term, const char *text, size_t size, bool whole)
{
	size_t n = 0;

	term->like[n++] = '%';
	term->like[n++] = '\n';
	for (size_t i = 0; i < size; i++) {
		if (n + 6 >= sizeof(term->like))
			return -E2BIG;
		if (strchr("%_\\", text[i]))
			term->like[n++] = '\\';
		term->like[n++] = text[i];
	}
	term->like[n++] = whole ? '\n' : '=';
	term->like[n++] = '%';
	term->like[n] = 0;
	return 0;
}

static int refuse(const char *text, struct error *err)
{
	return error_set(err, -EINVAL,
			 "the label selector '%.200s' is none: write KEY=VALUE, KEY!=VALUE or KEY, "
			 "with commas between",
			 text);
}

static int parse_term(const char *text, const char *part, size_t size, struct selector *selector,
		      struct error *err)
{
	struct term *term = &selector->term[selector->count];
	const char *equals = memchr(part, '=', size);
	char whole[300];
	size_t key = equals ? (size_t)(equals - part) : size;

	if (selector->count == TERMS_MAX || size >= sizeof(whole))
		return refuse(text, err);
	if (equals && key && part[key - 1] == '!') {
		term->negative = true;
		key--;
	}
	/* "==" is "=". */
	if (equals && (size_t)(equals + 1 - part) < size && equals[1] == '=')
		equals++;
	if (!key || memchr(part, '\n', size) || memchr(part, '!', key))
		return refuse(text, err);
	if (!equals) {
		if (add_like(term, part, key, false))
			return refuse(text, err);
	} else {
		int n = snprintf(whole, sizeof(whole), "%.*s=%.*s", (int)key, part,
				 (int)(part + size - equals - 1), equals + 1);

		if (add_like(term, whole, (size_t)n, true))
			return refuse(text, err);
	}
	selector->count++;
	return 0;
}

static int parse_selector(const char *text, struct selector *selector, struct error *err)
{
	const char *at = text;

	while (at && *at) {
		size_t size, skipped;
		int r;

		at += strspn(at, " ");
		size = strcspn(at, ",");
		for (skipped = size; skipped && at[skipped - 1] == ' '; skipped--)
			;
		r = parse_term(text, at, skipped, selector, err);
		if (r)
			return r;
		at += size;
		if (*at == ',' && !*++at)
			return refuse(text, err);
	}
	return 0;
}

/* The text is made of our own words alone; what was asked for is bound. */
static void write_sql(const struct store_query *query, const struct selector *selector,
		      char text[SQL_MAX])
{
	int n = snprintf(text, SQL_MAX, "SELECT " STORE_COLUMNS " FROM objects WHERE kind = ?1%s%s",
			 query->workspace ? " AND workspace = ?2" : "",
			 query->name_prefix ? " AND name >= ?3 AND substr(name, 1, length(?3)) = ?3"
					    : "");

	for (size_t i = 0; i < selector->count; i++)
		n += snprintf(text + n, SQL_MAX - (size_t)n, " AND labels %sLIKE ?%zu ESCAPE '\\'",
			      selector->term[i].negative ? "NOT " : "", i + 6);
	snprintf(text + n, SQL_MAX - (size_t)n, " ORDER BY %s LIMIT ?4 OFFSET ?5",
		 query->newest_first ? "created_ms DESC, name DESC" : "workspace, name");
}

static int add_item(struct store *store, sqlite3_stmt *s, struct store_list *list, size_t *capacity,
		    struct error *err)
{
	struct store_object *items;

	if (list->count == ITEMS_MAX)
		return error_set(err, -E2BIG, "more than %d objects: ask for them in parts",
				 ITEMS_MAX);
	if (list->count == *capacity) {
		*capacity = *capacity ? *capacity * 2 : 16;
		items = reallocarray(list->items, *capacity, sizeof(*items));
		if (!items)
			return error_set(err, -ENOMEM, "out of memory");
		list->items = items;
	}
	return store_read_row(store, s, &list->items[list->count], err) ?: (list->count++, 0);
}

int store_list(struct store *store, const struct store_query *query, struct store_list *ret_list,
	       struct error *err)
{
	struct selector selector = {};
	struct store_list list = {};
	sqlite3_stmt *s = NULL;
	char text[SQL_MAX];
	size_t capacity = 0;
	int r = parse_selector(query->selector, &selector, err), state = SQLITE_DONE;

	if (r)
		return r;
	write_sql(query, &selector, text);
	if (sqlite3_prepare_v2(store->db, text, -1, &s, NULL) != SQLITE_OK)
		return store_error(store, "the database cannot be read", err);
	sqlite3_bind_int(s, 1, query->kind);
	if (query->workspace)
		sqlite3_bind_text(s, 2, query->workspace, -1, SQLITE_STATIC);
	if (query->name_prefix)
		sqlite3_bind_text(s, 3, query->name_prefix, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 4, query->limit ? (int64_t)query->limit : -1);
	sqlite3_bind_int64(s, 5, query->offset);
	for (size_t i = 0; i < selector.count; i++)
		sqlite3_bind_text(s, (int)i + 6, selector.term[i].like, -1, SQLITE_STATIC);
	while (!r && (state = sqlite3_step(s)) == SQLITE_ROW)
		r = add_item(store, s, &list, &capacity, err);
	if (!r && state != SQLITE_DONE)
		r = store_error(store, "the database cannot be read", err);
	sqlite3_finalize(s);
	if (r) {
		store_list_clear(&list);
		return r;
	}
	*ret_list = list;
	return 0;
}

void store_list_clear(struct store_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		store_object_clear(&list->items[i]);
	free(list->items);
	*list = (struct store_list){};
}

static int check_payloads(struct store *store, struct error *err)
{
	sqlite3_stmt *s = NULL;
	int r = 0, state;

	if (sqlite3_prepare_v2(store->db, "SELECT " STORE_COLUMNS " FROM objects", -1, &s, NULL) !=
	    SQLITE_OK)
		return store_error(store, "the database cannot be read", err);
	while (!r && (state = sqlite3_step(s)) == SQLITE_ROW) {
		struct store_object object;

		r = store_read_row(store, s, &object, err);
		if (!r)
			store_object_clear(&object);
	}
	if (!r && state != SQLITE_DONE)
		r = store_error(store, "the database cannot be read", err);
	sqlite3_finalize(s);
	return r;
}

int store_check(struct store *store, struct error *err)
{
	sqlite3_stmt *s = NULL;
	int r = 0;

	if (sqlite3_prepare_v2(store->db, "PRAGMA integrity_check", -1, &s, NULL) != SQLITE_OK ||
	    sqlite3_step(s) != SQLITE_ROW) {
		r = store_error(store, "the database cannot be read", err);
	} else {
		const char *text = (const char *)sqlite3_column_text(s, 0);

		if (!text || strcmp(text, "ok"))
			r = error_set(err, -EBADMSG, "the database is damaged: %s",
				      text ? text : "?");
	}
	sqlite3_finalize(s);
	return r ? r : check_payloads(store, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event_grants.h"

#include "common/cleanup.h"

#include <errno.h>
#include <string.h>

/* Make room for one more of @size bytes in an array of at most @max. */
static int reserve(void *array, size_t len, size_t *cap, size_t max, size_t size)
{
	void **p = array;
	size_t more;
	void *grown;

	if (len < *cap)
		return 0;
	if (len >= max)
		return -E2BIG;
	more = *cap ? *cap * 2 : 16;
	grown = reallocarray(*p, more, size);
	if (!grown)
		return -ENOMEM;
	*p = grown;
	*cap = more;
	return 0;
}

/* Index of the first entry that is not before @path. */
static size_t path_index(const struct event_grants *g, const char *path, size_t len)
{
	size_t low = 0, high = g->paths;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int c = strncmp(g->path[mid].path, path, len);

		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct event_grant_path *path_find(const struct event_grants *g, const char *path,
					  size_t len)
{
	size_t i = path_index(g, path, len);

	/* The exact entry is the first of those that begin with it. */
	if (i < g->paths && !strncmp(g->path[i].path, path, len) && !g->path[i].path[len])
		return &g->path[i];
	return NULL;
}

struct event_grant_path *event_grants_at(const struct event_grants *grants, const char *path)
{
	return path_find(grants, path, strlen(path));
}

/* Length of the directory that @path[0..len) is in; 1 for "/"; 0 if it is "/" itself. */
static size_t parent_len(const char *path, size_t len)
{
	if (len <= 1)
		return 0;
	while (len > 1 && path[len - 1] != '/')
		len--;
	return len > 1 ? len - 1 : 1;
}

struct event_grant_path *event_grants_above(const struct event_grants *grants, const char *path)
{
	size_t len = strlen(path);

	while ((len = parent_len(path, len))) {
		struct event_grant_path *found = path_find(grants, path, len);

		if (found)
			return found;
	}
	return NULL;
}

static int insert_path(struct event_grants *g, const char *path, size_t len, uint32_t rights,
		       bool base)
{
	struct event_grant_path *found = path_find(g, path, len);
	size_t i;
	char *copy;
	int r;

	if (found) {
		found->rights |= rights;
		found->base |= base;
		return 0;
	}
	r = reserve(&g->path, g->paths, &g->paths_cap, SIZE_MAX, sizeof(*g->path));
	if (r < 0)
		return r;
	copy = strndup(path, len);
	if (!copy)
		return -ENOMEM;
	i = path_index(g, copy, len + 1);
	memmove(g->path + i + 1, g->path + i, (g->paths - i) * sizeof(*g->path));
	g->path[i] = (struct event_grant_path){.path = copy, .rights = rights, .base = base};
	g->paths++;
	return 0;
}

int event_grants_add_path(struct event_grants *grants, const char *path, uint32_t rights, bool base)
{
	if (grants->paths >= EVENT_GRANTS_PATHS_MAX) {
		int r = event_grants_collapse(grants, 0, EVENT_GRANTS_PATHS_MAX / 2);

		if (r < 0)
			return r;
	}
	return insert_path(grants, path, strlen(path), rights, base);
}

static int add_program(struct event_grants *g, const char *path)
{
	size_t i = 0;
	char *copy;
	int r;

	while (i < g->programs && strcmp(g->program[i], path) < 0)
		i++;
	if (i < g->programs && !strcmp(g->program[i], path))
		return 0;
	r = reserve(&g->program, g->programs, &g->programs_cap, EVENT_GRANTS_PROGRAMS_MAX,
		    sizeof(*g->program));
	if (r < 0)
		return r;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	memmove(g->program + i + 1, g->program + i, (g->programs - i) * sizeof(*g->program));
	g->program[i] = copy;
	g->programs++;
	return 0;
}

static int compare_endpoint(const struct event_grant_endpoint *a, const char *exe, const char *host,
			    uint16_t port)
{
	int c = strcmp(a->exe, exe);

	if (!c)
		c = strcmp(a->host, host);
	return c ? c : a->port - port;
}

static int add_endpoint(struct event_grants *g, const struct event *e)
{
	struct event_grant_endpoint new = {.port = e->raw.port,
					   .has_binary = e->raw.reason != OS_REASON_BINARY};
	char buf[EVENT_HOST_SIZE];
	const char *host = event_host(e, buf);
	size_t i = 0;
	int r;

	while (i < g->endpoints && compare_endpoint(&g->endpoint[i], e->exe, host, e->raw.port) < 0)
		i++;
	if (i < g->endpoints && !compare_endpoint(&g->endpoint[i], e->exe, host, e->raw.port))
		return 0;
	r = reserve(&g->endpoint, g->endpoints, &g->endpoints_cap, EVENT_GRANTS_ENDPOINTS_MAX,
		    sizeof(*g->endpoint));
	if (r < 0)
		return r;
	new.exe = strdup(e->exe);
	new.host = strdup(host);
	new.rule = strdup(e->rule);
	if (!new.exe || !new.host || !new.rule) {
		free(new.exe);
		free(new.host);
		free(new.rule);
		return -ENOMEM;
	}
	memmove(g->endpoint + i + 1, g->endpoint + i, (g->endpoints - i) * sizeof(*g->endpoint));
	g->endpoint[i] = new;
	g->endpoints++;
	return 0;
}

int event_grants_add_remedy(struct event_grants *grants, const struct event *event,
			    const struct event_remedy *remedy)
{
	switch (remedy->kind) {
	case EVENT_REMEDY_EXEC:
		return add_program(grants, remedy->path);
	case EVENT_REMEDY_NETWORK:
	case EVENT_REMEDY_NAME:
		return add_endpoint(grants, event);
	default:
		return event_grants_add_path(grants, remedy->path, remedy->rights, false);
	}
}

int event_grants_add(struct event_grants *grants, const struct event *event)
{
	struct event_remedy remedy[EVENT_REMEDIES_MAX];
	size_t n = event_remedies(event, remedy);

	for (size_t i = 0; i < n; i++) {
		int r = event_grants_add_remedy(grants, event, &remedy[i]);

		if (r < 0)
			return r;
	}
	return (int)n;
}

bool event_grants_is_answered(const struct event_grants *grants, size_t index)
{
	const struct event_grant_endpoint *e = &grants->endpoint[index];

	return !e->port && index + 1 < grants->endpoints && !strcmp(e[1].exe, e->exe) &&
	       !strcmp(e[1].host, e->host);
}

static bool writes(uint32_t rights)
{
	return rights & EVENT_GRANT_WRITES;
}

/* Drop the entries marked by an empty path. */
static void sweep(struct event_grants *g)
{
	size_t out = 0;

	for (size_t i = 0; i < g->paths; i++) {
		if (!g->path[i].path) {
			continue;
		}
		g->path[out++] = g->path[i];
	}
	g->paths = out;
}

void event_grants_prune(struct event_grants *grants)
{
	struct event_grants kept = {.path = grants->path};

	/*
	 * What is above a path sorts before it, so the entries kept so far, at the front of the
	 * same array, are all there is to look at.
	 */
	for (size_t i = 0; i < grants->paths; i++) {
		struct event_grant_path *entry = &grants->path[i];
		struct event_grant_path *above = event_grants_above(&kept, entry->path);

		if (!entry->base && above && (writes(above->rights) || !writes(entry->rights))) {
			free(entry->path);
			continue;
		}
		grants->path[kept.paths++] = *entry;
	}
	grants->paths = kept.paths;
}

static size_t own_paths(const struct event_grants *g)
{
	size_t n = 0;

	for (size_t i = 0; i < g->paths; i++)
		n += !g->path[i].base;
	return n;
}

/* One entry's directory, while directories are being counted. */
struct place {
	const char *path;
	size_t len; /* of the directory's part of path */
	size_t index;
	bool writes;
};

static int compare_place(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	size_t len = x->len < y->len ? x->len : y->len;
	int c = memcmp(x->path, y->path, len);

	if (c)
		return c;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return x->writes - y->writes;
}

/* Replace the entries @place[0..n), all of one directory, by the directory. */
static int merge(struct event_grants *into, struct event_grants *g, const struct place *place,
		 size_t n)
{
	uint32_t rights = 0;
	int r;

	for (size_t i = 0; i < n; i++)
		rights |= g->path[place[i].index].rights;
	r = insert_path(into, place->path, place->len, rights, false);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		free(g->path[place[i].index].path);
		g->path[place[i].index].path = NULL;
	}
	return 0;
}

static void free_paths(struct event_grants *g)
{
	for (size_t i = 0; i < g->paths; i++)
		free(g->path[i].path);
	free(g->path);
}

/*
 * Merge the entries of every directory that has at least @least of one kind. With @depth > 0 only
 * entries of that many components. *ret_merged: how many directories that were.
 */
static int merge_crowds(struct event_grants *g, size_t least, size_t depth, size_t *ret_merged)
{
	_cleanup_free_ struct place *place = NULL;
	_cleanup_(free_paths) struct event_grants directories = {0};
	size_t places = 0, merged = 0;

	place = calloc(g->paths + 1, sizeof(*place));
	if (!place)
		return -ENOMEM;
	for (size_t i = 0; i < g->paths; i++) {
		const char *path = g->path[i].path;
		size_t len = parent_len(path, strlen(path)), components = 0;

		for (const char *p = path; *p; p++)
			components += *p == '/';
		/* Never "/" for what is in it: that would give everything. */
		if (g->path[i].base || len <= 1 || (depth && components != depth))
			continue;
		place[places++] = (struct place){path, len, i, writes(g->path[i].rights)};
	}
	qsort(place, places, sizeof(*place), compare_place);
	for (size_t i = 0, n; i < places; i += n) {
		int r;

		for (n = 1; i + n < places && !compare_place(&place[i], &place[i + n]); n++)
			;
		if (n < least)
			continue;
		r = merge(&directories, g, &place[i], n);
		if (r < 0) {
			sweep(g);
			return r;
		}
		merged++;
	}
	sweep(g);
	for (size_t i = 0; i < directories.paths; i++) {
		const struct event_grant_path *d = &directories.path[i];
		int r = insert_path(g, d->path, strlen(d->path), d->rights, false);

		if (r < 0)
			return r;
	}
	event_grants_prune(g);
	*ret_merged = merged;
	return 0;
}

static size_t deepest(const struct event_grants *g)
{
	size_t most = 0;

	for (size_t i = 0; i < g->paths; i++) {
		size_t components = 0;

		for (const char *p = g->path[i].path; *p; p++)
			components += *p == '/';
		if (!g->path[i].base && components > most)
			most = components;
	}
	return most;
}

int event_grants_collapse(struct event_grants *grants, size_t crowd, size_t limit)
{
	size_t merged, depth;
	int r;

	event_grants_prune(grants);
	if (crowd) {
		r = merge_crowds(grants, crowd + 1, 0, &merged);
		if (r < 0)
			return r;
	}
	for (size_t least = 1024; least >= 2 && own_paths(grants) > limit; least /= 2) {
		do {
			r = merge_crowds(grants, least, 0, &merged);
			if (r < 0)
				return r;
		} while (merged && own_paths(grants) > limit);
	}
	/* No two entries are in one directory any more: lift the deepest ones. */
	while (own_paths(grants) > limit && (depth = deepest(grants)) > 1) {
		r = merge_crowds(grants, 1, depth, &merged);
		if (r < 0)
			return r;
	}
	return own_paths(grants) > limit ? -E2BIG : 0;
}

void event_grants_free(struct event_grants *grants)
{
	free_paths(grants);
	for (size_t i = 0; i < grants->programs; i++)
		free(grants->program[i]);
	free(grants->program);
	for (size_t i = 0; i < grants->endpoints; i++) {
		free(grants->endpoint[i].exe);
		free(grants->endpoint[i].host);
		free(grants->endpoint[i].rule);
	}
	free(grants->endpoint);
	*grants = (struct event_grants){0};
}

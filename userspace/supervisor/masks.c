/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/masks.h"
#include "common/cleanup.h"
#include "common/rights.h"
#include "supervisor/masks_path.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define ROOT_ENTRIES_MAX 4096
#define HIDDEN_SIZE	 (256 * 1024) /* of a tmpfs that holds mount points and links only */

/* First those of enum masks_access; where one path has two, the higher rank counts. */
enum kind {
	KIND_READ_ONLY,
	KIND_READ_WRITE,
	KIND_DENY,
	KIND_OWN,
	KIND_HIDE,  /* leads to listed paths and has nothing else to show */
	KIND_EMPTY, /* the working directory, where nothing covers it */
	KIND_MASK,  /* no listed path needs it */
	KIND_KEEP,  /* /proc and /dev: the launcher's */
};

static const int kind_rank[] = {
	[KIND_DENY] = 7,       [KIND_OWN] = 6,	[KIND_KEEP] = 5,  [KIND_READ_ONLY] = 4,
	[KIND_READ_WRITE] = 3, [KIND_HIDE] = 2, [KIND_EMPTY] = 1, [KIND_MASK] = 0,
};

/* What a path without a node of its own finds itself in. */
enum state {
	STATE_AS_IS, /* the host's, and somebody else's to hold */
	STATE_READ_ONLY,
	STATE_READ_WRITE,
	STATE_ABSENT, /* only what later steps put there */
	STATE_GONE,   /* masked: nothing below exists */
};

struct node {
	char *path;
	enum kind kind;
	uint64_t size;
	uint32_t mode;
	enum state state;
	bool no_exec;
};

struct masks {
	const struct masks_spec *spec;
	const char *root;
	struct mount_plan *plan;
	struct node *node;
	size_t len, cap;
	struct masks_links links;
};

static void masks_release(struct masks *m)
{
	for (size_t i = 0; i < m->len; i++)
		free(m->node[i].path);
	free(m->node);
	masks_links_free(&m->links);
}

/* Takes @path. */
static int add_node(struct masks *m, char *path, enum kind kind, uint64_t size, uint32_t mode)
{
	if (m->len == m->cap) {
		size_t cap = m->cap ? m->cap * 2 : 64;
		struct node *grown = reallocarray(m->node, cap, sizeof(*grown));

		if (!grown) {
			free(path);
			return -ENOMEM;
		}
		m->node = grown;
		m->cap = cap;
	}
	m->node[m->len++] = (struct node){.path = path, .kind = kind, .size = size, .mode = mode};
	return 0;
}

static int add_step(struct masks *m, enum mount_op op, const char *target, const char *content,
		    const struct node *sizes)
{
	/* mount_plan_add() copies. */
	struct mount_step step = {
		.op = op,
		.target = (char *)target,
		.content = (char *)content,
		.size = sizes ? sizes->size : 0,
		.mode = sizes ? sizes->mode : 0,
	};

	return mount_plan_add(m->plan, &step);
}

/* Where a path of the sandbox is found: its /dev is the host's in any case. */
static const char *root_of(const struct masks *m, const char *path)
{
	return rights_path_below(path, "/dev") ? "" : m->root;
}

/* What was there before any step. */
static int add_host(struct masks *m, const char *path)
{
	_cleanup_free_ char *full = NULL;

	if (asprintf(&full, "%s%s", root_of(m, path), path) < 0)
		return -ENOMEM;
	return add_step(m, MOUNT_OP_BIND_HOST, path, strcmp(full, path) ? full : NULL, NULL);
}

/* Something nobody listed, which its owner may remove before the mount is made. */
static int add_mask(struct masks *m, const char *target)
{
	struct mount_step step = {
		.op = MOUNT_OP_MASK, .target = (char *)target, .may_vanish = true};

	/* A listening socket is in the kernel's list once more for each connection to it. */
	for (size_t i = 0; i < m->plan->len; i++)
		if (m->plan->step[i].op == MOUNT_OP_MASK &&
		    !strcmp(m->plan->step[i].target, target))
			return 0;
	return mount_plan_add(m->plan, &step);
}

static int compare_nodes(const void *a, const void *b)
{
	const struct node *x = a, *y = b;
	int order = masks_path_compare(x->path, y->path);

	return order ? order : kind_rank[y->kind] - kind_rank[x->kind];
}

static void sort_nodes(struct masks *m)
{
	size_t kept = 0;

	qsort(m->node, m->len, sizeof(*m->node), compare_nodes);
	for (size_t i = 0; i < m->len; i++) {
		if (kept && !strcmp(m->node[kept - 1].path, m->node[i].path))
			free(m->node[i].path);
		else
			m->node[kept++] = m->node[i];
	}
	m->len = kept;
}

/* The nearest node at or above @path, among the first @n; NULL if there is none. */
static struct node *nearest_node(struct masks *m, const char *path, size_t n)
{
	struct node *nearest = NULL;

	for (size_t i = 0; i < n && masks_path_compare(m->node[i].path, path) <= 0; i++)
		if (rights_path_below(path, m->node[i].path))
			nearest = &m->node[i];
	return nearest;
}

static int add_listed(struct masks *m, struct error *err)
{
	for (size_t i = 0; i < m->spec->path_len; i++) {
		const struct masks_path *listed = &m->spec->path[i];
		char *path;
		int r = masks_path_resolve(root_of(m, listed->path), listed->path, &m->links,
					   &path);

		if (r == -ENOENT || r == -ENOTDIR)
			continue;
		if (r == 0)
			r = add_node(m, path, (enum kind)listed->access, listed->size,
				     listed->mode);
		if (r < 0)
			return error_set(err, r, "cannot find %s: %s", listed->path, strerror(-r));
	}
	return 0;
}

static int add_workdir(struct masks *m, struct error *err)
{
	struct node *nearest;
	char *path;
	int r;

	if (!m->spec->workdir)
		return 0;
	r = masks_path_resolve(m->root, m->spec->workdir, &m->links, &path);
	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0)
		return error_set(err, r, "cannot find the working directory %s: %s",
				 m->spec->workdir, strerror(-r));
	sort_nodes(m);
	nearest = nearest_node(m, path, m->len);
	/* Below the sandbox's own directories it is the host's, like what the policy lists there.
	 */
	if (nearest && nearest->kind == KIND_OWN)
		return add_node(m, path, KIND_READ_ONLY, 0, 0);
	if (nearest) {
		free(path);
		return 0;
	}
	return add_node(m, path, KIND_EMPTY, HIDDEN_SIZE, 0755);
}

static bool is_kept(const char *path)
{
	return !strcmp(path, "/proc") || !strcmp(path, "/dev");
}

static int add_root_entry(struct masks *m, const char *name, bool root_listed)
{
	_cleanup_free_ char *path = NULL, *full = NULL;
	bool exact = false, below = false;
	struct stat st;
	enum kind kind;

	if (asprintf(&path, "/%s", name) < 0 || asprintf(&full, "%s/%s", m->root, name) < 0)
		return -ENOMEM;
	if (lstat(full, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISLNK(st.st_mode))
		return 0;
	for (size_t i = 0; i < m->len; i++) {
		if (!strcmp(m->node[i].path, path))
			exact = m->node[i].kind != KIND_EMPTY;
		else if (rights_path_below(m->node[i].path, path))
			below = true;
	}
	if (is_kept(path))
		kind = KIND_KEEP;
	else if (exact)
		return 0;
	else if (root_listed)
		kind = KIND_READ_ONLY;
	else
		kind = below ? KIND_HIDE : KIND_MASK;
	return add_node(m, TAKE_PTR(path), kind, HIDDEN_SIZE, 0755);
}

static int add_root(struct masks *m, struct error *err)
{
	_cleanup_closedir_ DIR *dir = opendir(m->root[0] ? m->root : "/");
	bool root_listed = false;
	struct dirent *entry;
	size_t entries = 0;
	int r = 0;

	if (!dir)
		return error_set(err, -errno, "cannot read /: %s", strerror(errno));
	for (size_t i = 0; i < m->len; i++)
		if (!strcmp(m->node[i].path, "/") && m->node[i].kind == KIND_READ_ONLY)
			root_listed = true;
	while (r == 0 && (errno = 0, entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (++entries > ROOT_ENTRIES_MAX)
			return error_set(err, -E2BIG, "more than %d entries in /",
					 ROOT_ENTRIES_MAX);
		r = add_root_entry(m, entry->d_name, root_listed);
	}
	if (r == 0 && errno)
		r = -errno;
	if (r < 0)
		return error_set(err, r, "cannot read /: %s", strerror(-r));
	sort_nodes(m);
	return 0;
}

/* The steps that give a node its state, within the state that what is above it has. */
static int plan_node(struct masks *m, struct node *node, enum state above, bool no_exec)
{
	bool writable = node->kind == KIND_READ_WRITE || node->kind == KIND_OWN;
	bool mounted = false;
	int r = 0;

	node->state = above;
	node->no_exec = no_exec;
	/* A listed root counts through its entries: add_root() gave them nodes of their own. */
	if (above == STATE_GONE || !strcmp(node->path, "/"))
		return 0;
	switch (node->kind) {
	case KIND_KEEP:
		node->state = STATE_AS_IS;
		return 0;
	case KIND_DENY:
	case KIND_MASK:
		node->state = STATE_GONE;
		if (above == STATE_ABSENT || m->spec->bpf_lsm)
			return 0;
		return node->kind == KIND_MASK ? add_mask(m, node->path)
					       : add_step(m, MOUNT_OP_MASK, node->path, NULL, NULL);
	case KIND_EMPTY:
		if (above != STATE_ABSENT)
			return 0;
		/* fall through */
	case KIND_HIDE:
	case KIND_OWN:
		node->state = STATE_ABSENT;
		mounted = true;
		r = add_step(m, MOUNT_OP_TMPFS, node->path, NULL, node);
		break;
	case KIND_READ_ONLY:
	case KIND_READ_WRITE:
		if (above == STATE_AS_IS)
			return 0;
		node->state = writable ? STATE_READ_WRITE : STATE_READ_ONLY;
		if (m->spec->bpf_lsm)
			node->state = STATE_AS_IS;
		/* Back from nothing, from read-only, or from noexec. */
		mounted = above == STATE_ABSENT || (writable && above == STATE_READ_ONLY) ||
			  (!writable && no_exec);
		if (mounted)
			r = add_host(m, node->path);
		break;
	}
	if (r < 0 || m->spec->bpf_lsm)
		return r;
	if (node->kind == KIND_READ_ONLY && (mounted || above != STATE_READ_ONLY))
		r = add_step(m, MOUNT_OP_READ_ONLY, node->path, NULL, NULL);
	if (mounted)
		node->no_exec = false;
	if (r == 0 && writable && m->spec->writable_no_exec && !node->no_exec) {
		node->no_exec = true;
		r = add_step(m, MOUNT_OP_NO_EXEC, node->path, NULL, NULL);
	}
	return r;
}

/*
 * The directories between a writable path and one below it that has less. A mount is where its
 * directory is, so moving that takes away nothing from this sandbox; but the next one under the
 * same policy would find the path gone and what was there under another name, with all rights.
 */
static int plan_pins(struct masks *m, const struct node *node, const struct node *above)
{
	char part[PATH_MAX];

	if (node->kind != KIND_DENY && node->kind != KIND_READ_ONLY)
		return 0;
	for (const char *p = node->path + strlen(above->path) + 1; (p = strchr(p, '/')); p++) {
		bool pinned = false;
		int r = 0;

		if ((size_t)(p - node->path) >= sizeof(part))
			return -ENAMETOOLONG;
		memcpy(part, node->path, (size_t)(p - node->path));
		part[p - node->path] = '\0';
		for (size_t i = 0; i < m->plan->len; i++)
			pinned |= m->plan->step[i].op == MOUNT_OP_PIN &&
				  !strcmp(m->plan->step[i].target, part);
		if (!pinned)
			r = add_step(m, MOUNT_OP_PIN, part, NULL, NULL);
		if (r < 0)
			return r;
	}
	return 0;
}

static int plan_nodes(struct masks *m)
{
	enum state root = m->spec->bpf_lsm ? STATE_AS_IS : STATE_READ_WRITE;

	for (size_t i = 0; i < m->len; i++) {
		const struct node *above = nearest_node(m, m->node[i].path, i);
		int r = 0;

		if (above && above->state == STATE_READ_WRITE)
			r = plan_pins(m, &m->node[i], above);
		if (r == 0)
			r = plan_node(m, &m->node[i], above ? above->state : root,
				      above && above->no_exec);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Links that led to listed paths and would be missed in a directory that is now empty. */
static int plan_links(struct masks *m)
{
	for (size_t i = 0; i < m->links.len; i++) {
		const struct masks_link *link = &m->links.link[i];
		const struct node *above = nearest_node(m, link->path, m->len);
		int r;

		if (!above || above->state != STATE_ABSENT)
			continue;
		r = add_step(m, MOUNT_OP_SYMLINK, link->path, link->text, NULL);
		if (r < 0)
			return r;
	}
	return 0;
}

/* True if @path is there for the agent, so that a step may take something away from it. */
static bool is_there(struct masks *m, const char *path)
{
	const struct node *above = nearest_node(m, path, m->len);

	return !above || (above->state != STATE_ABSENT && above->state != STATE_GONE);
}

static int plan_exec_deny(struct masks *m, struct error *err)
{
	for (size_t i = 0; i < m->spec->exec_deny_len; i++) {
		_cleanup_free_ char *path = NULL;
		int r = masks_path_resolve(m->root, m->spec->exec_deny[i], NULL, &path);

		if (r == -ENOENT || r == -ENOTDIR)
			continue;
		if (r == 0 && is_there(m, path))
			r = add_step(m, MOUNT_OP_NO_EXEC, path, NULL, NULL);
		if (r < 0)
			return error_set(err, r, "cannot deny execution of %s: %s",
					 m->spec->exec_deny[i], strerror(-r));
	}
	return 0;
}

/*
 * Before ABI 9 Landlock does not look at connect() to a path, from then on what is read_only inside
 * read_write has the right from above, and a read-only mount never stops it: so sockets that the
 * policy lets nobody write to are masked one by one.
 */
static int plan_sockets(struct masks *m, struct error *err)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/net/unix", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	if (!file)
		return error_set(err, -errno, "cannot read /proc/net/unix: %s", strerror(errno));
	while (getline(&line, &size, file) > 0) {
		_cleanup_free_ char *path = NULL, *full = NULL;
		char *bound = strchr(line, '/');
		const struct node *above;
		struct stat st;
		int r;

		/* Seven fields, then the path; an abstract name may have a slash too, after its @.
		 */
		if (!bound || bound[-1] != ' ')
			continue;
		bound[strcspn(bound, "\n")] = '\0';
		r = masks_path_resolve(root_of(m, bound), bound, NULL, &path);
		if (r == -ENOENT || r == -ENOTDIR || r == -EACCES)
			continue;
		if (r == 0 && asprintf(&full, "%s%s", root_of(m, bound), path) < 0)
			r = -ENOMEM;
		if (r == 0 && (lstat(full, &st) < 0 || !S_ISSOCK(st.st_mode) || !is_there(m, path)))
			continue;
		above = r == 0 ? nearest_node(m, path, m->len) : NULL;
		if (above && above->kind != KIND_READ_WRITE && above->kind != KIND_OWN)
			r = add_mask(m, path);
		if (r < 0)
			return error_set(err, r, "cannot mask the unix socket %s: %s", bound,
					 strerror(-r));
	}
	return 0;
}

int masks_plan(const struct masks_spec *spec, struct mount_plan *plan, struct error *err)
{
	_cleanup_(masks_release) struct masks m = {
		.spec = spec,
		.root = spec->root ? spec->root : "",
		.plan = plan,
	};
	int r;

	r = add_listed(&m, err);
	if (r == 0)
		r = add_workdir(&m, err);
	if (r == 0)
		sort_nodes(&m);
	if (r == 0 && !spec->bpf_lsm)
		r = add_root(&m, err);
	if (r < 0)
		return r;
	r = plan_nodes(&m);
	if (r == 0)
		r = plan_links(&m);
	if (r < 0)
		return error_set(err, r,
				 r == -E2BIG ? "the policy's paths need more than %d mounts"
					     : "cannot plan mounts (limit %d)",
				 MOUNT_PLAN_MAX);
	if (spec->bpf_lsm)
		return 0;
	r = plan_exec_deny(&m, err);
	return r < 0 ? r : plan_sockets(&m, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/resolve.h"

#include "common/baseline.h"
#include "common/cleanup.h"
#include "supervisor/masks_path.h"
#include "supervisor/resolve_open.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

struct rule {
	char *path; /* canonical */
	enum rights_access access;
	bool listed;
};

/* A symbolic link on the way of a listed path. */
struct detour {
	size_t rule; /* index into work.rule */
	char *link;  /* canonical directory and the link's name */
};

/* A denied path that is not there yet: the directory it would be in, and its name. */
struct missing {
	char *directory; /* canonical */
	char name[OS_NAME_MAX];
};

struct work {
	const struct resolve_request *request;
	int root_fd;
	struct resolved *out;
	struct rule *rule;
	size_t rules;
	struct rights_exec *allow, *deny;
	size_t allows, denies;
	struct missing *missing;
	size_t missings;
	struct detour *detour;
	size_t detours;
};

static struct resolved_path *find(struct resolved *out, const char *path)
{
	for (size_t i = 0; i < out->len; i++)
		if (!strcmp(out->path[i].path, path))
			return &out->path[i];
	return NULL;
}

/* Add a point to the table, or note a stronger origin of one that is there. Takes fd and path. */
static int add_point(struct work *w, int fd, char *path, enum resolved_origin origin,
		     struct error *err)
{
	struct resolved *out = w->out;
	struct resolved_path *point = find(out, path);
	struct os_image image = {};
	int r;

	if (point) {
		if (origin < point->origin)
			point->origin = origin;
		point->transit |= origin == RESOLVED_TRANSIT;
		free(path);
		safe_close(fd);
		return 0;
	}
	if (out->len == out->cap) {
		size_t cap = out->cap ? out->cap * 2 : 64;
		struct resolved_path *grown;

		if (out->len >= RESOLVED_MAX) {
			free(path);
			safe_close(fd);
			return error_set(err, -E2BIG,
					 "the policy and this host's mounts come to more than %d "
					 "paths",
					 RESOLVED_MAX);
		}
		grown = realloc(out->path, cap * sizeof(*grown));
		if (!grown) {
			free(path);
			safe_close(fd);
			return error_set(err, -ENOMEM, "out of memory");
		}
		out->path = grown;
		out->cap = cap;
	}
	point = &out->path[out->len];
	*point = (struct resolved_path){
		.path = path,
		.origin = origin,
		.transit = origin == RESOLVED_TRANSIT,
		.fd = fd,
	};
	r = kernel_identify(w->request->kernel, fd, &image, &point->mode);
	point->file = image.file;
	if (!r && S_ISCHR(point->mode)) {
		struct stat st;

		r = fstat(fd, &st) ? -errno : 0;
		point->device = st.st_rdev;
	}
	if (r) {
		error_set(err, r, "the kernel does not tell what %s is: %s", path, strerror(-r));
		free(path);
		safe_close(fd);
		return r;
	}
	out->len++;
	return 0;
}

static int add_rule(struct work *w, const char *path, enum rights_access access, bool listed)
{
	struct rule *grown;
	char *copy;

	for (size_t i = 0; i < w->rules; i++) {
		if (strcmp(w->rule[i].path, path) || access == RIGHTS_LOADER ||
		    w->rule[i].access == RIGHTS_LOADER)
			continue;
		/* The policy's own word beats the baseline's about the same place. */
		if (w->rule[i].listed && !listed)
			return 0;
		if (!w->rule[i].listed && listed && access != RIGHTS_DENY)
			w->rule[i].access = access;
	}
	copy = strdup(path);
	grown = realloc(w->rule, (w->rules + 1) * sizeof(*grown));
	if (grown)
		w->rule = grown;
	if (!copy || !grown) {
		free(copy);
		return -ENOMEM;
	}
	w->rule[w->rules++] = (struct rule){copy, access, listed};
	return 0;
}

/* Parents of a path as written: directories, and links on the way, may be looked at. */
static int add_transit(struct work *w, const char *path, struct error *err)
{
	char part[PATH_MAX];

	for (const char *p = path; p; p = strchr(p + 1, '/')) {
		size_t n = p == path ? 1 : (size_t)(p - path);
		struct resolved_path *known;
		char *name;
		int fd, r;

		if (n >= sizeof(part))
			return error_set(err, -ENAMETOOLONG, "a path is too long");
		memcpy(part, path, n);
		part[n] = '\0';
		/* What is in the table is there under its canonical path: nothing to open. */
		known = find(w->out, part);
		if (known) {
			known->transit = true;
			continue;
		}
		if (resolve_open(w->root_fd, part, false, &fd, &name))
			continue;
		r = add_point(w, fd, name, RESOLVED_TRANSIT, err);
		if (r)
			return r;
	}
	return 0;
}

/* Remember the links on the way from @path to @name, of the rule that was added last. */
static int add_detours(struct work *w, const char *path, const char *name)
{
	_cleanup_(masks_links_free) struct masks_links links = {};
	_cleanup_free_ char *found = NULL;
	char root[32];
	int r;

	snprintf(root, sizeof(root), "/proc/self/fd/%d", w->root_fd);
	r = masks_path_resolve(root, path, &links, &found);
	if (r < 0)
		return r;
	/* Somebody changed a link since @path was opened. */
	if (strcmp(found, name))
		return -EAGAIN;
	for (size_t i = 0; i < links.len; i++) {
		struct detour *grown = realloc(w->detour, (w->detours + 1) * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		w->detour = grown;
		grown[w->detours++] = (struct detour){w->rules - 1, TAKE_PTR(links.link[i].path)};
	}
	return 0;
}

/* Resolve one path of the policy; 1 if it is not there. */
static int add_path(struct work *w, const char *path, enum rights_access access,
		    enum resolved_origin origin, struct error *err)
{
	char *name, *copy, *link_name;
	int fd, link_fd, r;

	r = resolve_open(w->root_fd, path, true, &fd, &name);
	if (r == -ENOENT || r == -ENOTDIR)
		return 1;
	if (r)
		return error_set(err, r, "cannot open %s in the sandbox: %s", path, strerror(-r));
	copy = strdup(name);
	if (!copy || add_rule(w, name, access, origin == RESOLVED_LISTED)) {
		free(copy);
		free(name);
		safe_close(fd);
		return error_set(err, -ENOMEM, "out of memory");
	}
	r = origin == RESOLVED_LISTED && strcmp(path, name) ? add_detours(w, path, name) : 0;
	if (r) {
		error_set(err, r, "cannot tell how %s leads to %s: %s", path, name, strerror(-r));
		free(copy);
		free(name);
		safe_close(fd);
		return r;
	}
	r = add_point(w, fd, name, origin, err);
	if (!r)
		r = add_transit(w, path, err);
	if (!r && strcmp(path, copy)) {
		/* The path itself is, or leads through, a link: let it be read. */
		r = add_transit(w, copy, err);
		if (!r && !resolve_open(w->root_fd, path, false, &link_fd, &link_name))
			r = add_point(w, link_fd, link_name, RESOLVED_TRANSIT, err);
	}
	free(copy);
	return r;
}

/* "/a/b" -> "/a", "b" into a name's fixed size; false for "/". */
static bool split(const char *path, char *ret_directory, size_t size, char ret_name[OS_NAME_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t n;

	if (!slash || !slash[1])
		return false;
	n = slash == path ? 1 : (size_t)(slash - path);
	if (n >= size)
		return false;
	memcpy(ret_directory, path, n);
	ret_directory[n] = '\0';
	memset(ret_name, 0, OS_NAME_MAX);
	snprintf(ret_name, OS_NAME_MAX, "%s", slash + 1);
	return true;
}

/*
 * A denied path that does not exist: whoever makes it, inside or outside, it is denied. Known by
 * its name, if the directory it would be in is there. Returns 1 if that is missing as well.
 */
static int add_missing(struct work *w, const char *path, struct error *err)
{
	char directory[PATH_MAX], name[OS_NAME_MAX], *canonical_name;
	struct missing *grown;
	int fd;

	if (!split(path, directory, sizeof(directory), name))
		return 1;
	if (resolve_open(w->root_fd, directory, true, &fd, &canonical_name))
		return 1;
	grown = realloc(w->missing, (w->missings + 1) * sizeof(*grown));
	if (grown)
		w->missing = grown;
	if (!grown || !(grown[w->missings].directory = strdup(canonical_name))) {
		free(canonical_name);
		safe_close(fd);
		return error_set(err, -ENOMEM, "out of memory");
	}
	memcpy(grown[w->missings++].name, name, sizeof(name));
	return add_point(w, fd, canonical_name, RESOLVED_TRANSIT, err);
}

static int add_listed(struct work *w, struct error *err)
{
	const Openshell__Compiled__V1__CompiledPolicy *policy = w->request->policy;
	size_t found = 0;

	for (size_t i = 0; i < policy->n_paths; i++) {
		const Openshell__Compiled__V1__PathRule *rule = policy->paths[i];
		enum rights_access access = baseline_access(rule->access);
		int r;

		if (!access)
			return error_set(err, -EINVAL, "the compiled policy gives %s no access",
					 rule->path);
		r = add_path(w, rule->path, access, RESOLVED_LISTED, err);
		if (r < 0)
			return r;
		found += r == 0 && access != RIGHTS_DENY;
		/* Landlock and mounts hold what is there, so there it is told as missing. */
		if (r == 1 && access == RIGHTS_DENY && w->request->kernel->lsm)
			r = add_missing(w, rule->path, err);
		if (r < 0)
			return r;
		if (r == 1 && policy->hard_requirement)
			return error_set(err, -ENOENT,
					 "%s does not exist in the sandbox and the policy says "
					 "hard_requirement",
					 rule->path);
		if (r == 1 &&
		    sentences_add(&w->out->warnings,
				  "%s does not exist in the sandbox and is skipped", rule->path))
			return error_set(err, -ENOMEM, "out of memory");
	}
	if (policy->n_paths && !found && !policy->include_workdir)
		return error_set(err, -ENOENT,
				 "none of the paths that the policy lists exists in the sandbox");
	return 0;
}

static int add_baseline(struct work *w, struct error *err)
{
	static const char *const gpu_nodes[] = {"/dev/nvidiactl", "/dev/nvidia-uvm",
						"/dev/nvidia-uvm-tools", "/dev/nvidia-modeset"};
	int r;

	for (size_t i = 0; i < baseline_paths_len; i++) {
		r = add_path(w, baseline_paths[i].path, baseline_paths[i].access, RESOLVED_BASELINE,
			     err);
		if (r < 0)
			return r;
	}
	if (w->request->trust) {
		r = add_path(w, w->request->trust, RIGHTS_READ_ONLY, RESOLVED_BASELINE, err);
		if (r < 0)
			return r;
	}
	if (w->request->workdir && w->request->policy->include_workdir) {
		r = add_path(w, w->request->workdir, RIGHTS_READ_WRITE, RESOLVED_WORKDIR, err);
		if (r)
			return r < 0 ? r
				     : error_set(err, -ENOENT,
						 "the working directory %s is not there",
						 w->request->workdir);
	}
	if (w->request->terminal) {
		r = add_path(w, w->request->terminal, RIGHTS_READ_WRITE, RESOLVED_TERMINAL, err);
		if (r < 0)
			return r;
		r = add_path(w, "/dev/tty", RIGHTS_READ_WRITE, RESOLVED_TERMINAL, err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; w->request->gpu && i < ARRAY_LEN(gpu_nodes); i++) {
		r = add_path(w, gpu_nodes[i], RIGHTS_READ_WRITE, RESOLVED_BASELINE, err);
		if (r < 0)
			return r;
	}
	for (int i = 0; w->request->gpu && i < 64; i++) {
		char node[32];

		snprintf(node, sizeof(node), "/dev/nvidia%d", i);
		r = add_path(w, node, RIGHTS_READ_WRITE, RESOLVED_BASELINE, err);
		if (r < 0)
			return r;
	}
	return 0;
}

struct loader_found {
	struct work *w;
	struct error *err;
};

static int add_loader(void *arg, const char *path)
{
	struct loader_found *found = arg;
	int r = add_path(found->w, path, RIGHTS_LOADER, RESOLVED_LOADER, found->err);

	return r < 0 ? r : 0;
}

static int add_exec(struct work *w, char **pattern, size_t n, struct rights_exec **list,
		    size_t *len, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		size_t size = strlen(pattern[i]);
		bool subtree = size > 3 && !strcmp(pattern[i] + size - 3, "/**");
		_cleanup_free_ char *path = strndup(pattern[i], subtree ? size - 3 : size);
		struct rights_exec *grown = realloc(*list, (*len + 1) * sizeof(*grown));
		char *name;
		int fd, r;

		if (grown)
			*list = grown;
		if (!path || !grown)
			return error_set(err, -ENOMEM, "out of memory");
		if (strpbrk(path, "*?["))
			return error_set(err, -EOPNOTSUPP,
					 "exec_policy: %s: only a trailing /** is enforced here",
					 pattern[i]);
		if (resolve_open(w->root_fd, path, true, &fd, &name)) {
			if (sentences_add(&w->out->warnings,
					  "exec_policy: %s does not exist in the sandbox",
					  pattern[i]))
				return error_set(err, -ENOMEM, "out of memory");
			continue;
		}
		(*list)[*len] = (struct rights_exec){strdup(name), subtree};
		if (!(*list)[*len].path) {
			safe_close(fd);
			free(name);
			return error_set(err, -ENOMEM, "out of memory");
		}
		(*len)++;
		r = add_point(w, fd, name, RESOLVED_EXEC, err);
		if (r)
			return r;
	}
	return 0;
}

/* The root of every mount is an anchor, so that no walk has to cross one. */
static int add_mounts(struct work *w, struct error *err)
{
	const struct mount_table *table = w->request->mounts;
	int r = 0;

	for (size_t i = 0; !r && i < table->len; i++) {
		struct resolved_path *known = find(w->out, table->entry[i].point);
		char *name;
		int fd;

		if (known) {
			if (known->origin > RESOLVED_MOUNT)
				known->origin = RESOLVED_MOUNT;
			continue;
		}
		/* One that nothing can reach, hidden below another mount, needs no anchor. */
		if (resolve_open(w->root_fd, table->entry[i].point, false, &fd, &name))
			continue;
		r = add_point(w, fd, name, RESOLVED_MOUNT, err);
	}
	return r;
}

static int add_name(struct work *w, struct resolved_path *directory, const char *name,
		    uint32_t subtree, uint32_t self)
{
	struct resolved *out = w->out;
	struct resolved_name *grown = realloc(out->name, (out->names + 1) * sizeof(*out->name));

	if (!grown)
		return -ENOMEM;
	out->name = grown;
	grown = &out->name[out->names++];
	*grown = (struct resolved_name){
		.directory = directory->file, .subtree = subtree, .self = self};
	memcpy(grown->name, name, sizeof(grown->name));
	directory->names = true;
	return 0;
}

/* What was listed by its own path holds for the name, whichever inode has it. */
static int add_names(struct work *w, struct error *err)
{
	struct resolved *out = w->out;
	char directory[PATH_MAX], name[OS_NAME_MAX];
	int r = 0;

	for (size_t i = 0; !r && i < out->len; i++) {
		const struct resolved_path *point = &out->path[i];
		struct resolved_path *parent;

		if ((point->origin != RESOLVED_LISTED && point->origin != RESOLVED_EXEC &&
		     point->origin != RESOLVED_WORKDIR) ||
		    !split(point->path, directory, sizeof(directory), name))
			continue;
		parent = find(out, directory);
		if (parent && S_ISDIR(parent->mode))
			r = add_name(w, parent, name, point->subtree, point->self);
	}
	for (size_t i = 0; !r && i < w->missings; i++) {
		struct resolved_path *parent = find(out, w->missing[i].directory);

		if (parent && S_ISDIR(parent->mode))
			r = add_name(w, parent, w->missing[i].name, 0, 0);
	}
	return r ? error_set(err, r, "out of memory") : 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct resolved_path *)a)->path,
		      ((const struct resolved_path *)b)->path);
}

/*
 * True if the policy takes rights away below @path. Moving such a directory would take what is
 * denied or read_only with it, and leave the name to a directory of the agent's making, whose
 * contents nobody listed: a repository's hooks, say.
 */
static bool leads_to_stricter(const struct work *w, const char *path)
{
	for (size_t i = 0; i < w->rules; i++) {
		const struct rule *rule = &w->rule[i];

		if ((rule->access == RIGHTS_READ_ONLY || rule->access == RIGHTS_DENY) &&
		    strcmp(rule->path, path) && rights_path_below(rule->path, path))
			return true;
	}
	return false;
}

/*
 * A link in a directory that the agent may write leads where the agent wants it to, at the latest
 * when the next sandbox starts under this policy: it may lead to less, or to the same, not to more.
 */
static int check_detours(const struct work *w, const struct rights_input *input,
			 struct rights_rule *rules, struct error *err)
{
	for (size_t i = 0; i < w->detours; i++) {
		const struct detour *detour = &w->detour[i];
		struct rights_rule *rule = &rules[detour->rule];
		const char *path = rule->path;
		_cleanup_free_ char *directory =
			strndup(detour->link, (size_t)(strrchr(detour->link, '/') - detour->link));
		uint32_t with, without;

		if (!directory)
			return error_set(err, -ENOMEM, "out of memory");
		if (!(rights_at(input, *directory ? directory : "/").subtree & OS_RIGHT_CREATE))
			continue;
		with = rights_at(input, path).subtree;
		rule->path = "-"; /* above nothing */
		without = rights_at(input, path).subtree;
		rule->path = path;
		if (with & ~without)
			return error_set(err, -EPERM,
					 "a path of the policy leads to %s through the symbolic "
					 "link %s, which the agent may replace: nothing was "
					 "started; list %s itself, or remove the link",
					 path, detour->link, path);
	}
	return 0;
}

static int compute(struct work *w, struct error *err)
{
	const Openshell__Compiled__V1__ExecPolicy *exec = w->request->policy->exec;
	_cleanup_free_ struct rights_rule *rules = calloc(w->rules + 1, sizeof(*rules));
	struct rights_input input = {
		.rule = rules,
		.rules = w->rules,
		.exec_allow = w->allow,
		.exec_allows = w->allows,
		.exec_deny = w->deny,
		.exec_denies = w->denies,
		.exec_allow_present = exec && exec->allow_present,
		.exec_allow_writable = !exec || exec->allow_writable,
	};
	int r;

	if (!rules)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < w->rules; i++)
		rules[i] = (struct rights_rule){w->rule[i].path, w->rule[i].access};
	r = check_detours(w, &input, rules, err);
	if (r)
		return r;
	for (size_t i = 0; i < w->out->len; i++) {
		struct resolved_path *point = &w->out->path[i];
		struct os_anchor anchor = rights_at(&input, point->path);
		bool denied = false;

		for (size_t j = 0; j < w->rules; j++)
			denied |= rules[j].access == RIGHTS_DENY &&
				  rights_path_below(point->path, rules[j].path);
		if (point->transit && !denied)
			anchor.self |= OS_RIGHT_STAT;
		if (point->transit && leads_to_stricter(w, point->path))
			anchor.self &= ~OS_RIGHT_REMOVE;
		point->subtree = anchor.subtree;
		point->self = anchor.self;
	}
	qsort(w->out->path, w->out->len, sizeof(*w->out->path), compare);
	return 0;
}

static void work_free(struct work *w)
{
	for (size_t i = 0; i < w->rules; i++)
		free(w->rule[i].path);
	for (size_t i = 0; i < w->allows; i++)
		free((char *)w->allow[i].path);
	for (size_t i = 0; i < w->denies; i++)
		free((char *)w->deny[i].path);
	for (size_t i = 0; i < w->missings; i++)
		free(w->missing[i].directory);
	for (size_t i = 0; i < w->detours; i++)
		free(w->detour[i].link);
	free(w->detour);
	free(w->missing);
	free(w->rule);
	free(w->allow);
	free(w->deny);
}

int resolve_policy(const struct resolve_request *request, struct resolved *ret_resolved,
		   struct error *err)
{
	const Openshell__Compiled__V1__ExecPolicy *exec = request->policy->exec;
	struct resolved out = {};
	struct work w = {.request = request, .root_fd = request->root_fd, .out = &out};
	struct loader_found loaders = {&w, err};
	int r;

	r = add_listed(&w, err);
	if (!r)
		r = add_baseline(&w, err);
	if (!r)
		r = resolve_loaders(request->root_fd, add_loader, &loaders);
	if (!r && exec)
		r = add_exec(&w, exec->allow, exec->n_allow, &w.allow, &w.allows, err);
	if (!r && exec)
		r = add_exec(&w, exec->deny, exec->n_deny, &w.deny, &w.denies, err);
	if (!r)
		r = add_mounts(&w, err);
	if (!r)
		r = compute(&w, err);
	if (!r)
		r = add_names(&w, err);
	work_free(&w);
	if (r) {
		resolved_free(&out);
		return r;
	}
	*ret_resolved = out;
	return 0;
}

void resolved_close(struct resolved *resolved)
{
	struct resolved_path *fitting;

	for (size_t i = 0; i < resolved->len; i++)
		resolved->path[i].fd = safe_close(resolved->path[i].fd);
	/* The table lives as long as the sandbox, and nothing is added to it any more. */
	fitting = reallocarray(resolved->path, resolved->len ? resolved->len : 1, sizeof(*fitting));
	if (fitting) {
		resolved->path = fitting;
		resolved->cap = resolved->len ? resolved->len : 1;
	}
}

void resolved_free(struct resolved *resolved)
{
	for (size_t i = 0; i < resolved->len; i++) {
		free(resolved->path[i].path);
		safe_close(resolved->path[i].fd);
	}
	free(resolved->path);
	free(resolved->name);
	sentences_free(&resolved->warnings);
	*resolved = (struct resolved){};
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/host_view.h"

#include "common/baseline.h"
#include "common/cleanup.h"
#include "supervisor/masks.h"
#include "supervisor/masks_path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define OWN_TMP_BYTES	(1ULL << 30)
#define OWN_SHM_BYTES	(512ULL << 20)
#define OWN_TRUST_BYTES (64ULL << 10) /* only empty files, which are mounted on */

static const struct masks_path own[] = {
	{.path = "/tmp", .access = MASKS_OWN, .size = OWN_TMP_BYTES, .mode = 01777},
	{.path = "/var/tmp", .access = MASKS_OWN, .size = OWN_TMP_BYTES, .mode = 01777},
	{.path = "/dev/shm", .access = MASKS_OWN, .size = OWN_SHM_BYTES, .mode = 01777},
};

/*
 * A synthetic address past those that names get. The host's search list is left out: it would turn
 * each refused name into several.
 */
static const char resolv_conf[] = "# every query is answered by this sandbox's own responder\n"
				  "nameserver 198.19.255.53\n"
				  "options timeout:3 attempts:2\n";

static enum masks_access masks_access(enum rights_access access)
{
	switch (access) {
	case RIGHTS_READ_WRITE:
		return MASKS_READ_WRITE;
	case RIGHTS_DENY:
		return MASKS_DENY;
	default:
		return MASKS_READ_ONLY;
	}
}

static bool is_own(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (!strcmp(own[i].path, path))
			return true;
	return false;
}

/* A glob's literal directory, for masks that work on whole trees. */
static const char *exec_deny_path(const char *pattern, char *buf, size_t size)
{
	size_t n = strlen(pattern);

	if (n > 3 && !strcmp(pattern + n - 3, "/**"))
		n -= 3;
	snprintf(buf, size, "%.*s", (int)n, pattern);
	return buf;
}

/* Without the file a C library asks 127.0.0.1, which is answered as well. */
static int plan_resolver(const char *root, struct mount_plan *plan)
{
	_cleanup_free_ char *target = NULL;
	int r = masks_path_resolve(root, "/etc/resolv.conf", NULL, &target);

	if (r)
		return r == -ENOMEM ? r : 0;
	return mount_plan_add(plan, &(struct mount_step){.op = MOUNT_OP_CONTENT,
							 .target = target,
							 .content = (char *)resolv_conf});
}

int host_view_plan(const struct host_view_spec *view, struct mount_plan *plan, struct error *err)
{
	const Openshell__Compiled__V1__CompiledPolicy *policy = view->policy;
	size_t cap = ARRAY_LEN(own) + policy->n_paths + baseline_paths_len + 2, n = 0;
	_cleanup_free_ struct masks_path *path = calloc(cap, sizeof(*path));
	size_t denies = policy->exec ? policy->exec->n_deny : 0;
	_cleanup_free_ const char **deny = calloc(denies + 1, sizeof(*deny));
	_cleanup_free_ char *deny_text = calloc(denies + 1, 4096);
	struct masks_spec spec = {.path = path, .exec_deny = deny, .bpf_lsm = view->lsm};
	const char *workdir = view->workdir;
	char hosts[256];
	int r;

	if (!path || !deny || !deny_text)
		return error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		path[n++] = own[i];
	if (view->trust)
		path[n++] = (struct masks_path){.path = view->trust,
						.access = MASKS_OWN,
						.size = OWN_TRUST_BYTES,
						.mode = 0755};
	for (size_t i = 0; i < policy->n_paths; i++) {
		enum rights_access access = baseline_access(policy->paths[i]->access);

		/* Listing /tmp itself means the sandbox's own one. */
		if (access != RIGHTS_DENY && is_own(policy->paths[i]->path))
			continue;
		path[n++] = (struct masks_path){.path = policy->paths[i]->path,
						.access = masks_access(access)};
	}
	for (size_t i = 0; i < baseline_paths_len; i++) {
		bool listed = is_own(baseline_paths[i].path);

		for (size_t j = 0; j < policy->n_paths; j++)
			listed |= !strcmp(policy->paths[j]->path, baseline_paths[i].path);
		if (!listed)
			path[n++] = (struct masks_path){
				.path = baseline_paths[i].path,
				.access = masks_access(baseline_paths[i].access)};
	}
	if (policy->include_workdir && workdir && !is_own(workdir))
		path[n++] = (struct masks_path){.path = workdir, .access = MASKS_READ_WRITE};
	for (size_t i = 0; i < denies; i++)
		deny[i] = exec_deny_path(policy->exec->deny[i], deny_text + i * 4096, 4096);
	spec.path_len = n;
	spec.workdir = workdir;
	spec.root = view->root;
	spec.exec_deny_len = denies;
	spec.writable_no_exec = policy->exec && !policy->exec->allow_writable;
	r = masks_plan(&spec, plan, err);
	if (r)
		return r;
	snprintf(hosts, sizeof(hosts),
		 "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.1.1 %s\n",
		 view->hostname);
	r = mount_plan_add(plan, &(struct mount_step){.op = MOUNT_OP_CONTENT,
						      .target = (char *)"/etc/hosts",
						      .content = hosts});
	if (!r && view->names)
		r = plan_resolver(view->root ? view->root : "", plan);
	return r ? error_set(err, r, "the mount plan is too long") : 0;
}

int host_view_root(pid_t init)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/root", init);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

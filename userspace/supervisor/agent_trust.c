/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/agent_trust.h"

#include "common/baseline.h"
#include "common/cleanup.h"
#include "common/policy_proxied.h"
#include "common/rights.h"
#include "supervisor/masks_path.h"
#include "supervisor/trust.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/*
 * The CA comes first in every file, in a block that is always as long, so that another one takes
 * its place with one write. What is left of it are empty lines, of which PEM may have any number.
 */
#define BLOCK 2048

struct block {
	char text[BLOCK + 1];
};

const struct agent_trust_variable agent_trust_variables[] = {
	/* Those that add to what the runtime has. */
	{"NODE_EXTRA_CA_CERTS", AGENT_TRUST_CA},
	{"DENO_CERT", AGENT_TRUST_CA},
	/* Those that replace it. */
	{"SSL_CERT_FILE", AGENT_TRUST_BUNDLE},
	{"NIX_SSL_CERT_FILE", AGENT_TRUST_BUNDLE},
	{"REQUESTS_CA_BUNDLE", AGENT_TRUST_BUNDLE},
	{"CURL_CA_BUNDLE", AGENT_TRUST_BUNDLE},
	{"GIT_SSL_CAINFO", AGENT_TRUST_BUNDLE},
	{"PIP_CERT", AGENT_TRUST_BUNDLE},
	{"NPM_CONFIG_CAFILE", AGENT_TRUST_BUNDLE},
	{"AWS_CA_BUNDLE", AGENT_TRUST_BUNDLE},
	{"CARGO_HTTP_CAINFO", AGENT_TRUST_BUNDLE},
	{"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", AGENT_TRUST_BUNDLE},
	{NULL, NULL},
};

bool agent_trust_wanted(const Openshell__Compiled__V1__CompiledPolicy *policy)
{
	for (size_t i = 0; i < policy->n_endpoints; i++)
		if (policy_is_proxied(policy, policy->endpoints[i]))
			return true;
	return false;
}

/* RFC 7468. The certificate is the worker's word: it is not read here, only encoded. */
static void make_block(const struct worker_ca *ca, struct block *ret_block)
{
	uint8_t base64[(WORKER_CA_MAX + 2) / 3 * 4 + 1];
	int size = EVP_EncodeBlock(base64, ca->der, (int)ca->length);
	char *to = ret_block->text, *end = to + BLOCK;

	_Static_assert(sizeof(base64) / 64 + sizeof(base64) + 64 < BLOCK, "it fits");
	to = stpcpy(to, "-----BEGIN CERTIFICATE-----\n");
	for (int i = 0; i < size; i += 64) {
		int n = size - i < 64 ? size - i : 64;

		memcpy(to, base64 + i, (size_t)n);
		to += n;
		*to++ = '\n';
	}
	to = stpcpy(to, "-----END CERTIFICATE-----\n");
	memset(to, '\n', (size_t)(end - to));
	*end = '\0';
}

static bool is_denied(const Openshell__Compiled__V1__CompiledPolicy *policy, const char *path)
{
	for (size_t i = 0; i < policy->n_paths; i++)
		if (baseline_access(policy->paths[i]->access) == RIGHTS_DENY &&
		    rights_path_below(path, policy->paths[i]->path))
			return true;
	return false;
}

int agent_trust_prepare(const char *root, const Openshell__Compiled__V1__CompiledPolicy *policy,
			struct error *err)
{
	char path[PATH_MAX];
	struct stat st;

	if (is_denied(policy, AGENT_TRUST_DIR))
		return error_set(
			err, -EINVAL,
			"the policy has endpoints whose content decides, and programs find "
			"the CA for them in " AGENT_TRUST_DIR
			", which filesystem_policy.deny takes away: leave that out, since "
			"what is not listed is out of reach anyway");
	snprintf(path, sizeof(path), "%s%s", root, AGENT_TRUST_DIR);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return error_set(err, -errno, "cannot make %s: %s", path, strerror(errno));
	if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid)
		return error_set(err, -ENOTDIR, "%s is not a directory of root's", path);
	return 0;
}

/* Over the system's own bundles, which may have several names. */
static int plan_system(const char *root, const char *bundle,
		       const Openshell__Compiled__V1__CompiledPolicy *policy,
		       struct mount_plan *plan)
{
	int r = 0;

	for (size_t i = 0; !r && trust_bundles[i]; i++) {
		_cleanup_free_ char *target = NULL;
		char full[2 * PATH_MAX];
		bool known = false;
		struct stat st;

		if (masks_path_resolve(root, trust_bundles[i], NULL, &target) ||
		    snprintf(full, sizeof(full), "%s%s", root, target) < 0 ||
		    lstat(full, &st) < 0 || !S_ISREG(st.st_mode) ||
		    is_denied(policy, trust_bundles[i]) || is_denied(policy, target))
			continue;
		for (size_t j = 0; j < plan->len; j++)
			known |= plan->step[j].op == MOUNT_OP_CONTENT &&
				 !strcmp(plan->step[j].target, target);
		/* An earlier step may have hidden a directory above it. */
		if (!known)
			r = mount_plan_add(plan, &(struct mount_step){.op = MOUNT_OP_CONTENT,
								      .target = target,
								      .content = (char *)bundle,
								      .may_vanish = true});
	}
	return r;
}

int agent_trust_plan(const char *root, const struct worker_ca *ca, const char *host,
		     const Openshell__Compiled__V1__CompiledPolicy *policy, struct mount_plan *plan,
		     struct error *err)
{
	_cleanup_free_ char *bundle = NULL;
	struct block block;
	int r;

	make_block(ca, &block);
	if (asprintf(&bundle, "%s%s", block.text, host) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	r = mount_plan_add(plan, &(struct mount_step){.op = MOUNT_OP_CONTENT,
						      .target = (char *)AGENT_TRUST_CA,
						      .content = block.text});
	if (!r)
		r = mount_plan_add(plan, &(struct mount_step){.op = MOUNT_OP_CONTENT,
							      .target = (char *)AGENT_TRUST_BUNDLE,
							      .content = bundle});
	if (!r)
		r = mount_plan_add(plan, &(struct mount_step){.op = MOUNT_OP_READ_ONLY,
							      .target = (char *)AGENT_TRUST_DIR});
	if (!r)
		r = plan_system(root, bundle, policy, plan);
	return r ? error_set(err, r, "the mount plan is too long") : 0;
}

/* What the process that replaces has. */
struct replacement {
	int proc;     /* our own /proc/self/fd: the sandbox's /proc does not know us */
	dev_t device; /* of the files that we made; 0 = not known yet */
};

/*
 * The sandbox's mounts are read-only, and its files are on no path of ours: a copy of the mount,
 * which nobody else sees, is made writable. -ENOENT also for a file that is not one of those that
 * the plan put there, such as a bundle of the host's.
 */
static int write_block(struct replacement *x, const char *path, const struct block *block)
{
	_cleanup_close_ int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	struct mount_attr writable = {.attr_clr = MOUNT_ATTR_RDONLY};
	_cleanup_close_ int fd = -1;
	char number[16];
	struct stat st;

	if (tree < 0 || fstat(tree, &st) < 0)
		return -errno;
	if (x->device && x->device != st.st_dev)
		return -ENOENT;
	x->device = st.st_dev;
	if (mount_setattr(tree, "", AT_EMPTY_PATH, &writable, sizeof(writable)) < 0)
		return -errno;
	snprintf(number, sizeof(number), "%d", tree);
	fd = openat(x->proc, number, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return pwrite(fd, block->text, BLOCK, 0) == BLOCK ? 0 : -EIO;
}

/* In a process of its own, forked from one that may have threads: system calls only. */
static _Noreturn void replace(int namespace, const struct block *block)
{
	struct replacement x = {
		.proc = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC),
	};
	int r;

	if (x.proc < 0 || setns(namespace, CLONE_NEWNS) < 0)
		_exit(errno);
	/* That one is ours, or there is none and nothing to replace. */
	r = write_block(&x, AGENT_TRUST_CA, block);
	if (!r)
		r = write_block(&x, AGENT_TRUST_BUNDLE, block);
	for (size_t i = 0; !r && trust_bundles[i]; i++) {
		r = write_block(&x, trust_bundles[i], block);
		if (r == -ENOENT || r == -ENOTDIR)
			r = 0;
	}
	_exit(-r);
}

int agent_trust_replace(pid_t init, const struct worker_ca *ca)
{
	_cleanup_close_ int namespace = -1;
	struct block block;
	char path[64];
	int status;
	pid_t pid;

	make_block(ca, &block);
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", init);
	namespace = open(path, O_RDONLY | O_CLOEXEC);
	if (namespace < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		replace(namespace, &block);
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

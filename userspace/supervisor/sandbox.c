/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/sandbox.h"

#include "common/cleanup.h"
#include "common/policy.h"
#include "supervisor/agent_trust.h"
#include "supervisor/anchor.h"
#include "supervisor/device.h"
#include "supervisor/host_view.h"
#include "supervisor/landlock.h"
#include "supervisor/sandbox_inference.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

/* Which backend holds the files, or a refusal; says what is weaker. */
static int choose_backend(struct sandbox *sandbox, const struct sandbox_spec *spec,
			  struct error *err)
{
	const struct kernel *kernel = sandbox->kernel;
	char gaps[LANDLOCK_GAPS_MAX];

	if (kernel->lsm)
		return 0;
	if (spec->require_lsm || spec->policy->hard_requirement)
		return error_set(
			err, -EOPNOTSUPP,
			"BPF-LSM is not available here (%s) and %s; `openshell doctor` says "
			"what to change on this host",
			kernel->lsm_reason,
			spec->require_lsm ? "--require-lsm asks for it"
					  : "the policy says hard_requirement");
	if (landlock_abi() < 1)
		return error_set(err, -EOPNOTSUPP,
				 "neither BPF-LSM (%s) nor Landlock is available here: the "
				 "filesystem policy cannot be enforced",
				 kernel->lsm_reason);
	if (spec->audit)
		return error_set(err, -EOPNOTSUPP,
				 "--audit and --learn need BPF-LSM, which is not available here "
				 "(%s): Landlock cannot allow and tell",
				 kernel->lsm_reason);
	return sentences_add(
		       &sandbox->findings,
		       "files are held by Landlock, because BPF-LSM is not available (%s); %s",
		       kernel->lsm_reason,
		       landlock_gaps_describe(landlock_abi(), gaps, sizeof(gaps)))
		       ? error_set(err, -ENOMEM, "out of memory")
		       : 0;
}

/* Write one generation: digest, anchors, endpoints. Nothing of it is in force yet. */
static int write_generation(struct sandbox *sandbox, uint32_t generation,
			    const Openshell__Compiled__V1__CompiledPolicy *policy,
			    const uint8_t *digest, const struct resolved *resolved,
			    struct error *err)
{
	const struct kernel *kernel = sandbox->kernel;
	struct os_digest entry = {.generation = generation};
	int r;

	memcpy(entry.sha256, digest, sizeof(entry.sha256));
	if (kernel->lsm) {
		sandbox->slot.anchors = true;
		r = anchor_write(kernel, sandbox->slot.slot, generation, resolved, err);
		if (r)
			return r;
	}
	sandbox->slot.devices = true;
	r = device_write(kernel, sandbox->slot.slot, resolved, err);
	if (r)
		goto fail;
	r = network_write(sandbox->network, generation, policy, sandbox->root_fd,
			  &sandbox->findings, err);
	if (r)
		goto fail;
	r = bpf_map_update_elem(kernel->maps.digest, &sandbox->slot.slot, &entry, BPF_ANY);
	if (!r)
		return 0;
	error_set(err, r, "map os_digest takes no more entries");
fail:
	/* What is left of it, such as devices, is looked for when the sandbox ends. */
	sandbox->in_force = false;
	anchor_erase(kernel, sandbox->slot.slot, generation);
	network_undo(sandbox->network, generation);
	return r;
}

/* Take what sandbox->resolved gave out of the maps, but for devices that @next gives as well. */
static void forget_generation(struct sandbox *sandbox, uint32_t generation,
			      const struct resolved *next)
{
	if (sandbox->kernel->lsm)
		anchor_remove(sandbox->kernel, sandbox->slot.slot, generation, &sandbox->resolved);
	device_remove(sandbox->kernel, sandbox->slot.slot, &sandbox->resolved, next);
}

static int resolve(struct sandbox *sandbox, const Openshell__Compiled__V1__CompiledPolicy *policy,
		   struct resolved *ret_resolved, struct error *err)
{
	const struct resolve_request request = {
		.kernel = sandbox->kernel,
		.policy = policy,
		.root_fd = sandbox->root_fd,
		.mounts = &sandbox->mounts,
		.workdir = sandbox->workdir,
		.terminal = sandbox->terminal,
		.gpu = sandbox->gpu,
		.trust = sandbox->ca_planned ? AGENT_TRUST_DIR : NULL,
	};

	return resolve_policy(&request, ret_resolved, err);
}

/* The mount namespace stands and nothing of the agent's runs: put the policy in force. */
static int enforce(struct sandbox *sandbox, const struct sandbox_spec *spec, int *ret_ruleset,
		   struct error *err)
{
	uint32_t generation = sandbox->slot.generation;
	int r = mount_table_load(sandbox->launch.init_pid, &sandbox->mounts, err);

	if (r)
		return r;
	sandbox->root_fd = host_view_root(sandbox->launch.init_pid);
	if (sandbox->root_fd < 0)
		return error_set(err, sandbox->root_fd, "cannot open the sandbox's root: %s",
				 strerror(-sandbox->root_fd));
	r = resolve(sandbox, spec->policy, &sandbox->resolved, err);
	if (r)
		return r;
	for (size_t i = 0; i < sandbox->resolved.warnings.len; i++)
		if (sentences_add(&sandbox->findings, "%s", sandbox->resolved.warnings.item[i]))
			return error_set(err, -ENOMEM, "out of memory");
	r = write_generation(sandbox, generation, spec->policy, spec->digest, &sandbox->resolved,
			     err);
	if (r)
		return r;
	if (!sandbox->kernel->lsm) {
		r = landlock_build(&sandbox->resolved, ret_ruleset, err);
		if (r)
			return r;
	}
	slot_switch(sandbox->kernel, &sandbox->slot, generation,
		    spec->audit ? OS_MODE_AUDIT : OS_MODE_ENFORCE);
	network_switched(sandbox->network, generation);
	sandbox->in_force = true;
	resolved_close(&sandbox->resolved);
	return 0;
}

/* The proxy was started anew, and made another CA. */
static void on_ca_changed(void *arg)
{
	static const char *const said =
		"the sandbox's proxy was started again with another CA: programs that run already "
		"do not trust it, those that start from now on do";
	struct sandbox *sandbox = arg;
	const struct worker_ca *ca = network_ca(sandbox->network);
	char sentence[256];
	int r;

	if (!sandbox->ca_planned)
		return;
	r = agent_trust_replace(sandbox->launch.init_pid, ca);
	if (r)
		snprintf(sentence, sizeof(sentence),
			 "the sandbox's proxy was started again with another CA, which the sandbox "
			 "could not be told (%s): what goes through it fails",
			 strerror(-r));
	if (sandbox->sink && sandbox->sink->problem)
		sandbox->sink->problem(sandbox->sink->arg, r ? sentence : said);
}

static const char *root_of(const struct sandbox_spec *spec)
{
	return spec->root ? spec->root : "";
}

static int plan_view(const struct sandbox *sandbox, const struct sandbox_spec *spec,
		     struct mount_plan *mounts, struct error *err)
{
	bool trust = agent_trust_wanted(spec->policy);
	const struct host_view_spec view = {
		.policy = spec->policy,
		.workdir = spec->workdir,
		.hostname = spec->id,
		.root = spec->root,
		.trust = trust ? AGENT_TRUST_DIR : NULL,
		.lsm = sandbox->kernel->lsm,
		.names = spec->audit || names_wanted(spec->policy),
	};
	int r = trust ? agent_trust_prepare(root_of(spec), spec->policy, err) : 0;

	if (!r && spec->root &&
	    mount_plan_add(mounts, &(struct mount_step){.op = MOUNT_OP_ROOT,
							.target = (char *)"/",
							.content = (char *)spec->root}))
		r = error_set(err, -ENOMEM, "out of memory");
	/* First: what else is planned about it is about what is mounted there. */
	if (!r && spec->home &&
	    mount_plan_add(mounts, &(struct mount_step){.op = MOUNT_OP_BIND_HOST,
							.target = (char *)SANDBOX_HOME,
							.content = (char *)spec->home}))
		r = error_set(err, -ENOMEM, "out of memory");
	return r ? r : host_view_plan(&view, mounts, err);
}

/* What the agent has to trust, if its policy has endpoints that the proxy reads. */
static int plan_trust(struct sandbox *sandbox, const struct sandbox_spec *spec,
		      struct mount_plan *mounts, struct error *err)
{
	_cleanup_free_ char *bundle = NULL;
	const struct worker_ca *ca;
	int r;

	if (!agent_trust_wanted(spec->policy))
		return 0;
	ca = network_ca(sandbox->network);
	if (!ca)
		return sentences_add(&sandbox->findings,
				     "the proxy has no CA of its own: endpoints whose content "
				     "decides are reached without TLS only")
			       ? error_set(err, -ENOMEM, "out of memory")
			       : 0;
	/* What the operator trusts beside the host's is for connections that nobody reads, too. */
	if (asprintf(&bundle, "%s%s", sandbox->trust.host, sandbox->trust.extra) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	r = agent_trust_plan(root_of(spec), ca, bundle, spec->policy, mounts, err);
	sandbox->ca_planned = !r;
	if (!r && !sandbox->trust.host[0] && !sandbox->trust.extra[0] &&
	    sentences_add(&sandbox->findings,
			  "this host has no CA certificates: the proxy believes no server that "
			  "uses TLS; install them, or give --upstream-ca"))
		r = error_set(err, -ENOMEM, "out of memory");
	return r;
}

/* Before the agent's mounts are made: the worker's CA is among them. */
static int start_network(struct sandbox *sandbox, const struct sandbox_spec *spec,
			 struct error *err)
{
	const struct network_options options = {
		.kernel = sandbox->kernel,
		.slot = &sandbox->slot,
		.mounts = &sandbox->mounts,
		.sink = spec->sink,
		.audit = spec->audit,
		.name = sandbox->name,
		.trust = &sandbox->trust,
		.credentials = spec->credentials,
		.credentials_len = spec->credentials_len,
		.inference = sandbox->inference,
		.ca_changed = on_ca_changed,
		.arg = sandbox,
	};
	int r = 0;

	/* Else nobody reads them, and a start is short. */
	if (spec->upstream_ca_len || agent_trust_wanted(spec->policy))
		r = trust_load(spec->upstream_ca, spec->upstream_ca_len, &sandbox->trust, err);
	if (!r)
		r = network_new(&options, &sandbox->network, err);
	return r ? r : network_prepare(sandbox->network, spec->policy, err);
}

static int copy(const char *from, char **to)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

static struct sandbox *new_sandbox(const struct kernel *kernel, const struct sandbox_spec *spec,
				   struct error *err)
{
	struct sandbox *sandbox = calloc(1, sizeof(*sandbox));

	if (!sandbox) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	sandbox->kernel = kernel;
	sandbox->slot = SLOT_EMPTY;
	sandbox->launch = LAUNCH_EMPTY;
	sandbox->root_fd = -1;
	sandbox->audit = spec->audit;
	sandbox->gpu = spec->gpu;
	sandbox->home = spec->home;
	sandbox->sink = spec->sink;
	if (copy(spec->workdir, &sandbox->workdir) || copy(spec->terminal, &sandbox->terminal) ||
	    copy(spec->name ? spec->name : spec->id, &sandbox->name)) {
		error_set(err, -ENOMEM, "out of memory");
	} else if (!sandbox_inference_init(sandbox, spec->inference, err)) {
		return sandbox;
	}
	sandbox_free(sandbox);
	return NULL;
}

/* @spec: with the policy as it is enforced. On failure the rest is the caller's to end. */
static int start(struct sandbox *sandbox, const struct sandbox_spec *spec, struct error *err)
{
	const struct kernel *kernel = sandbox->kernel;
	struct mount_plan mounts = {};
	struct launch_spec launch = {
		.argv = spec->argv,
		.envp = spec->envp,
		.workdir = spec->workdir,
		.hostname = spec->id,
		.uid = spec->uid,
		.gid = spec->gid,
		.groups = spec->groups,
		.groups_len = spec->groups_len,
		.stdio = {spec->stdio[0], spec->stdio[1], spec->stdio[2]},
		.tty = spec->tty,
		.mounts = &mounts,
		.memfd_no_exec = !kernel->lsm,
	};
	_cleanup_close_ int ruleset = -1;
	int r;

	r = choose_backend(sandbox, spec, err);
	if (!r)
		r = plan_view(sandbox, spec, &mounts, err);
	if (!r)
		r = slot_take(kernel, spec->id,
			      spec->audit ? SLOT_RING_BYTES_AUDIT : SLOT_RING_BYTES, &sandbox->slot,
			      err);
	if (r)
		goto out;
	r = start_network(sandbox, spec, err);
	if (!r)
		r = plan_trust(sandbox, spec, &mounts, err);
	if (r)
		goto out;
	launch.cgroup_fd = sandbox->slot.cgroup.fd;
	r = launch_start(&launch, &sandbox->launch, err);
	if (!r)
		r = limits_apply(&spec->limits, &sandbox->slot.cgroup, sandbox->launch.init_pid,
				 err);
	if (!r)
		r = enforce(sandbox, spec, &ruleset, err);
	if (!r && spec->verify)
		r = sandbox_inference_verify(sandbox, err);
	if (!r)
		r = launch_go(&sandbox->launch, ruleset, err);
	if (!r)
		sandbox->running = true;
out:
	mount_plan_free(&mounts);
	return r;
}

int sandbox_start(const struct kernel *kernel, const struct sandbox_spec *spec,
		  struct sandbox **ret_sandbox, struct error *err)
{
	_cleanup_policy_compiled_ Openshell__Compiled__V1__CompiledPolicy *with = NULL;
	struct sandbox *sandbox = new_sandbox(kernel, spec, err);
	Openshell__Compiled__V1__CompiledPolicy policy = *spec->policy;
	struct sandbox_spec enforced = *spec;
	int r;

	if (!sandbox)
		return -ENOMEM;
	/* Its own directory is its working directory, and writable. */
	policy.include_workdir |= sandbox->home;
	enforced.policy = &policy;
	r = sandbox_inference_policy(sandbox, &policy, &with, err);
	if (!r) {
		if (with)
			enforced.policy = with;
		r = start(sandbox, &enforced, err);
	}
	if (r) {
		sandbox_free(sandbox);
		return r;
	}
	*ret_sandbox = sandbox;
	return 0;
}

/* With Landlock alone the files stay as they were at start: the same points, the same rights. */
static bool same_files(const struct resolved *a, const struct resolved *b)
{
	if (a->len != b->len)
		return false;
	for (size_t i = 0; i < a->len; i++)
		if (strcmp(a->path[i].path, b->path[i].path) ||
		    a->path[i].subtree != b->path[i].subtree || a->path[i].self != b->path[i].self)
			return false;
	return true;
}

/* A policy that wants the proxy where none was wanted before. */
static int update_trust(struct sandbox *sandbox,
			const Openshell__Compiled__V1__CompiledPolicy *policy, struct error *err)
{
	const struct network_sink *sink = sandbox->sink;

	if (!agent_trust_wanted(policy) || sandbox->trust.host)
		return 0;
	if (sink && sink->problem)
		sink->problem(
			sink->arg,
			"the policy has endpoints whose content decides, and this sandbox was "
			"started without any: its programs do not trust the proxy's CA, and what "
			"uses TLS fails there; start it anew");
	return trust_load(NULL, 0, &sandbox->trust, err);
}

int sandbox_update(struct sandbox *sandbox, const Openshell__Compiled__V1__CompiledPolicy *given,
		   const uint8_t *digest, struct error *err)
{
	_cleanup_policy_compiled_ Openshell__Compiled__V1__CompiledPolicy *with = NULL;
	Openshell__Compiled__V1__CompiledPolicy own = *given;
	const Openshell__Compiled__V1__CompiledPolicy *policy = &own;
	uint32_t old = sandbox->slot.generation;
	struct resolved resolved = {};
	int r;

	own.include_workdir |= sandbox->home;
	r = resolve(sandbox, policy, &resolved, err);

	if (r)
		return r;
	r = sandbox_inference_policy(sandbox, policy, &with, err);
	if (r) {
		resolved_free(&resolved);
		return r;
	}
	if (with)
		policy = with;
	if (!sandbox->kernel->lsm && !same_files(&sandbox->resolved, &resolved)) {
		resolved_free(&resolved);
		return error_set(err, -EOPNOTSUPP,
				 "the filesystem section of a running sandbox can change only with "
				 "BPF-LSM (%s); start the sandbox anew for this policy",
				 sandbox->kernel->lsm_reason);
	}
	r = update_trust(sandbox, policy, err);
	if (!r)
		r = write_generation(sandbox, old + 1, policy, digest, &resolved, err);
	if (r) {
		resolved_free(&resolved);
		return r;
	}
	slot_switch(sandbox->kernel, &sandbox->slot, old + 1,
		    sandbox->audit ? OS_MODE_AUDIT : OS_MODE_ENFORCE);
	network_switched(sandbox->network, old + 1);
	slot_settle();
	forget_generation(sandbox, old, &resolved);
	network_settled(sandbox->network, old);
	resolved_close(&resolved);
	resolved_free(&sandbox->resolved);
	sandbox->resolved = resolved;
	return 0;
}

static void free_credentials(Openshell__Worker__V1__Credential **credentials, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		explicit_bzero(credentials[i]->value, strlen(credentials[i]->value));
		openshell__worker__v1__credential__free_unpacked(credentials[i], NULL);
	}
	free(credentials);
}

static Openshell__Worker__V1__Credential *
copy_credential(const Openshell__Worker__V1__Credential *credential)
{
	size_t size = protobuf_c_message_get_packed_size(&credential->base);
	uint8_t *packed = malloc(size + 1);
	Openshell__Worker__V1__Credential *copy;

	if (!packed)
		return NULL;
	protobuf_c_message_pack(&credential->base, packed);
	copy = openshell__worker__v1__credential__unpack(NULL, size, packed);
	explicit_bzero(packed, size);
	free(packed);
	return copy;
}

int sandbox_set_credentials(struct sandbox *sandbox,
			    const Openshell__Worker__V1__Credential *const *credentials,
			    size_t count, struct error *err)
{
	Openshell__Worker__V1__Credential **copy = calloc(count + 1, sizeof(*copy));
	size_t copied = 0;
	int r = 0;

	while (copy && copied < count && (copy[copied] = copy_credential(credentials[copied])))
		copied++;
	if (!copy || copied < count)
		r = error_set(err, -ENOMEM, "out of memory");
	if (!r)
		r = network_set_credentials(sandbox->network,
					    (const Openshell__Worker__V1__Credential *const *)copy,
					    count, err);
	if (r) {
		if (copy)
			free_credentials(copy, copied);
		return r;
	}
	free_credentials(sandbox->credentials, sandbox->credentials_len);
	sandbox->credentials = copy;
	sandbox->credentials_len = count;
	return 0;
}

void sandbox_free(struct sandbox *sandbox)
{
	if (!sandbox)
		return;
	launch_kill(&sandbox->launch);
	if (sandbox->in_force) {
		/* Only this generation is left in the maps, and every key of it is known. */
		forget_generation(sandbox, sandbox->slot.generation, NULL);
		sandbox->slot.anchors = sandbox->slot.devices = false;
	}
	network_free(sandbox->network);
	free_credentials(sandbox->credentials, sandbox->credentials_len);
	slot_release(sandbox->kernel, &sandbox->slot);
	resolved_free(&sandbox->resolved);
	mount_table_free(&sandbox->mounts);
	safe_close(sandbox->root_fd);
	sentences_free(&sandbox->findings);
	trust_free(&sandbox->trust);
	sandbox_inference_free(sandbox);
	free(sandbox->workdir);
	free(sandbox->terminal);
	free(sandbox->name);
	free(sandbox);
}

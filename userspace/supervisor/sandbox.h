/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox from start to end: cgroup and slot, mounts, resolved policy, generation in force, agent
 * running, everything gone again. What a policy asks and this host cannot give is told as findings;
 * with a hard requirement it is refused. Fails closed: the agent's program starts only after its
 * policy is in force. One thread per sandbox; several sandboxes may share a struct kernel.
 */
#pragma once

#include "compiled_policy.pb-c.h"
#include "supervisor/kernel.h"
#include "supervisor/launch.h"
#include "supervisor/limits.h"
#include "supervisor/network.h"
#include "supervisor/resolve.h"
#include "supervisor/slot.h"
#include "supervisor/trust.h"
#include "worker_bundle.pb-c.h"

#include <stdbool.h>

#define SANDBOX_HOME "/sandbox" /* has to be a directory of the host's root: it is mounted over */

struct sandbox_spec {
	const char *id; /* unique on this host: names the cgroup */
	const Openshell__Compiled__V1__CompiledPolicy *policy;
	const uint8_t *digest; /* SHA-256 of the packed policy */
	char *const *argv, *const *envp;
	const char *workdir; /* absolute */
	/* A directory of the host that is SANDBOX_HOME inside, writable whatever the policy says;
	 * NULL = none. */
	const char *home;
	/*
	 * A directory of the host that is the sandbox's root, read-only, no link in its path; see
	 * rootfs_prepare(). NULL = the host's root.
	 */
	const char *root;
	uid_t uid;
	gid_t gid;
	const gid_t *groups;
	size_t groups_len;
	int stdio[3];
	bool tty;
	const char *terminal; /* path of the pty's slave when tty */
	bool audit;	      /* allow everything, tell what would be denied */
	bool require_lsm;     /* refuse the weaker backend */
	bool gpu;
	struct limits limits;
	/* secrets for the worker's bundle, and where they may go: sorted by (provider, key) */
	const Openshell__Worker__V1__Credential *const *credentials;
	size_t credentials_len;
	const char *name; /* as people know it; NULL = id */
	/* Files with CAs that servers are believed by besides the host's, PEM. */
	const char *const *upstream_ca;
	size_t upstream_ca_len;
	/*
	 * What inference.local does; NULL: nothing is configured, and the name exists only where
	 * the proxy runs for other endpoints. Its revision is set here. Copied.
	 */
	const Openshell__Worker__V1__Inference *inference;
	bool verify;			 /* try its routes before the agent's program starts */
	const struct network_sink *sink; /* borrowed for the sandbox's life; NULL = nobody */
};

struct sandbox {
	const struct kernel *kernel;
	struct slot slot;
	struct network *network; /* network_fd() and network_poll() are for the owner's loop */
	struct launch launch;
	struct resolved resolved;
	struct mount_table mounts; /* of the sandbox */
	int root_fd;		   /* its root, O_PATH: outlives its processes */
	bool in_force;		   /* the maps hold `resolved`, and nothing older */
	bool running;		   /* the agent's program was started */
	struct sentences findings; /* what of the policy this host does not enforce: HIGH */
	/* for later policy changes */
	char *workdir, *terminal, *name;
	bool audit, gpu, home;
	struct trust trust;
	bool ca_planned;      /* the agent trusts the proxy's CA */
	bool inference_local; /* its policies have the endpoint of inference.local */
	Openshell__Worker__V1__Inference *inference; /* what that does; NULL = nothing */
	uint64_t inference_revision;		     /* the last one given */
	Openshell__Worker__V1__Credential *
		*credentials; /* given later; NULL = those of the start */
	size_t credentials_len;
	const struct network_sink *sink;
};

/*
 * Start. On failure nothing is left, and @err says what to do. -EOPNOTSUPP: the policy or the
 * caller insists on BPF-LSM, or Landlock is missing as well. launch_go()'s errors come through.
 */
int sandbox_start(const struct kernel *kernel, const struct sandbox_spec *spec,
		  struct sandbox **ret_sandbox, struct error *err);

/*
 * Put another policy in force for a running sandbox: a new generation is written whole, then
 * switched to. On failure the old one stays. -EOPNOTSUPP:
 * the filesystem section changed and only Landlock enforces it.
 */
int sandbox_update(struct sandbox *sandbox, const Openshell__Compiled__V1__CompiledPolicy *policy,
		   const uint8_t *digest, struct error *err);

/*
 * Other routes for inference.local, for requests that come from now on; those under way go on by
 * the old ones. The policy and what runs are not touched. -EOPNOTSUPP: the sandbox was started
 * without inference.local, so its programs do not trust what answers there. @verify: try the routes
 * first, and keep the old ones if one fails.
 */
int sandbox_set_inference(struct sandbox *sandbox,
			  const Openshell__Worker__V1__Inference *inference, bool verify,
			  struct error *err);

/* Other credentials for the worker, for requests that come from now on. Copied. -ENOMEM; and
 * worker_bundle_seal()'s. */
int sandbox_set_credentials(struct sandbox *sandbox,
			    const Openshell__Worker__V1__Credential *const *credentials,
			    size_t count, struct error *err);

/* Kill what runs and remove every trace. NULL is valid. */
void sandbox_free(struct sandbox *sandbox);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How programs in a sandbox come to trust its proxy: a directory with the sandbox's CA and with a
 * bundle of that CA and the host's, the bundle over the system's own as well, and variables that
 * point runtimes with a bundle of their own there. Read-only, in the sandbox's mount namespace
 * alone; nothing of it is on the host but an empty directory. The supervisor's thread.
 *
 * Fails closed: what does not trust the CA fails at its TLS handshake.
 */
#pragma once

#include "common/error.h"
#include "common/worker_protocol.h"
#include "compiled_policy.pb-c.h"
#include "supervisor/mount_plan.h"

#include <stdbool.h>
#include <sys/types.h>

#define AGENT_TRUST_DIR	   "/etc/openshell-tls"
#define AGENT_TRUST_CA	   AGENT_TRUST_DIR "/openshell-ca.pem"
#define AGENT_TRUST_BUNDLE AGENT_TRUST_DIR "/ca-bundle.pem"

/* True if @policy has an endpoint whose connections the proxy reads: only then is any of this. */
bool agent_trust_wanted(const Openshell__Compiled__V1__CompiledPolicy *policy);

/* Variables of the agent's; NULL at the end. */
extern const struct agent_trust_variable {
	const char *name, *value;
} agent_trust_variables[];

/*
 * On the host, or in @root ("" = the host's): something has to be there to mount on. It stays,
 * empty, for the next sandbox.
 * -EINVAL: @policy denies the place.
 */
int agent_trust_prepare(const char *root, const Openshell__Compiled__V1__CompiledPolicy *policy,
			struct error *err);

/*
 * Add the steps to a @plan in which AGENT_TRUST_DIR is a tmpfs of the sandbox's own. @host: the
 * host's bundle, PEM. What @policy denies is not shown again by this.
 */
int agent_trust_plan(const char *root, const struct worker_ca *ca, const char *host,
		     const Openshell__Compiled__V1__CompiledPolicy *policy, struct mount_plan *plan,
		     struct error *err);

/*
 * Another CA than the plan had: write it into the files of the running sandbox whose init is @init.
 * A program that has read them does not know of it. What setns(), open() and so on say.
 */
int agent_trust_replace(pid_t init, const struct worker_ca *ca);

/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/sandbox_inference.h"

#include "common/cleanup.h"
#include "common/inference_message.h"
#include "common/policy_inference.h"
#include "supervisor/agent_trust.h"
#include "supervisor/inference_probe.h"

#include <errno.h>

#define PB(name) Openshell__Worker__V1__##name

static int copy(struct sandbox *sandbox, const PB(Inference) * inference,
		PB(Inference) * *ret_inference, struct error *err)
{
	PB(Inference) *new = NULL;

	if (inference && inference_message_copy(inference, &new))
		return error_set(err, -ENOMEM, "out of memory");
	if (new)
		new->revision = ++sandbox->inference_revision;
	*ret_inference = new;
	return 0;
}

int sandbox_inference_init(struct sandbox *sandbox, const PB(Inference) * inference,
			   struct error *err)
{
	return copy(sandbox, inference, &sandbox->inference, err);
}

int sandbox_inference_verify(struct sandbox *sandbox, struct error *err)
{
	int r;

	if (!sandbox->inference)
		return 0;
	network_set_quiet(sandbox->network, true);
	r = inference_probe(sandbox->network, sandbox->inference, &sandbox->findings, err);
	network_set_quiet(sandbox->network, false);
	return r;
}

void sandbox_inference_free(struct sandbox *sandbox)
{
	inference_message_free(sandbox->inference);
}

int sandbox_inference_policy(struct sandbox *sandbox,
			     const Openshell__Compiled__V1__CompiledPolicy *policy,
			     Openshell__Compiled__V1__CompiledPolicy **ret_policy,
			     struct error *err)
{
	bool wanted = sandbox->inference || sandbox->inference_local;
	int r;

	*ret_policy = NULL;
	if (!wanted && !agent_trust_wanted(policy))
		return 0;
	r = policy_with_inference(policy, ret_policy, err);
	/* Nobody asked for it: such a policy is enforced as it is. */
	if (r == -E2BIG && !wanted)
		return 0;
	sandbox->inference_local |= !r;
	return r;
}

/* Go back to what was in force, if that is possible: without memory, what is new stays. */
static void restore(struct sandbox *sandbox, PB(Inference) * new)
{
	if (sandbox->inference)
		sandbox->inference->revision = ++sandbox->inference_revision;
	if (!network_set_inference(sandbox->network, sandbox->inference, NULL)) {
		inference_message_free(new);
		return;
	}
	inference_message_free(sandbox->inference);
	sandbox->inference = new;
}

/* What is not certain of them is told to whoever listens. */
static int verify_new(struct sandbox *sandbox, const PB(Inference) * new, struct error *err)
{
	_cleanup_(sentences_free) struct sentences findings = {};
	const struct network_sink *sink = sandbox->sink;
	int r = inference_probe(sandbox->network, new, &findings, err);

	for (size_t i = 0; !r && i < findings.len && sink && sink->problem; i++)
		sink->problem(sink->arg, findings.item[i]);
	return r;
}

int sandbox_set_inference(struct sandbox *sandbox, const PB(Inference) * inference, bool verify,
			  struct error *err)
{
	PB(Inference) *new = NULL;
	int r;

	if (!sandbox->inference_local || !sandbox->ca_planned)
		return error_set(
			err, -EOPNOTSUPP,
			"this sandbox was started without inference.local, so its programs "
			"do not trust what answers there: start it anew with --inference");
	r = copy(sandbox, inference, &new, err);
	if (r)
		return r;
	r = network_set_inference(sandbox->network, new, err);
	if (r) {
		inference_message_free(new);
		return r;
	}
	r = verify && new ? verify_new(sandbox, new, err) : 0;
	if (r) {
		restore(sandbox, new);
		return r;
	}
	inference_message_free(sandbox->inference);
	sandbox->inference = new;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/network.h"

#include "common/cleanup.h"
#include "common/policy.h"
#include "common/policy_proxied.h"
#include "supervisor/binaries.h"
#include "supervisor/egress.h"
#include "supervisor/names.h"
#include "supervisor/revoke.h"
#include "supervisor/worker_bundle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define PB(name) Openshell__Compiled__V1__##name

struct network {
	struct network_options options;
	struct names *names; /* since the first policy with names */
	struct worker *worker;
	struct binaries *binaries; /* since the first policy with endpoints */
	struct revoke *revoke;	   /* since the first change of policy, or of a binary */
	int epoll_fd;
	/*
	 * Copies of the policy in force, to go back to; of the one that is written and not in force
	 * yet; and of the one that is not any more, but still in the maps.
	 */
	PB(CompiledPolicy) * policy, *next, *previous;
	uint32_t generation;
	int bundle; /* of `next`, for the worker; -1 */
	uint32_t bundle_size;
	bool told_no_destroy;
	bool quiet;  /* nothing but problems is told */
	bool undone; /* parts of a generation may be left in the maps */
};

static const struct network_sink nobody;

static const struct network_sink *sink_of(const struct network *network)
{
	return network->options.sink ? network->options.sink : &nobody;
}

static void tell(struct network *network, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void tell(struct network *network, const char *fmt, ...)
{
	const struct network_sink *sink = sink_of(network);
	char sentence[2048];
	va_list args;

	if (!sink->problem)
		return;
	va_start(args, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, args);
	va_end(args);
	sink->problem(sink->arg, sentence);
}

static void on_refused(void *arg, const struct worker_refusal *refusal)
{
	const struct network *network = arg;
	const struct network_sink *sink = sink_of(network);

	if (sink->refused && !network->quiet)
		sink->refused(sink->arg, refusal);
}

static void on_problem(void *arg, const char *sentence)
{
	tell(arg, "%s", sentence);
}

static int on_flow(void *arg, const struct os_flow *flow, int *ret_fd)
{
	struct network *network = arg;

	return network->binaries ? binaries_flow(network->binaries, flow, ret_fd) : -EPERM;
}

static int on_origin(void *arg, const struct os_flow *flow, struct worker_origin *ret_origin)
{
	struct network *network = arg;

	return network->binaries ? binaries_origin(network->binaries, flow, ret_origin) : -EPERM;
}

static void on_request(void *arg, const struct worker_request *request)
{
	const struct network *network = arg;
	const struct network_sink *sink = sink_of(network);

	if (sink->request && !network->quiet)
		sink->request(sink->arg, request);
}

static void on_ca_changed(void *arg)
{
	struct network *network = arg;

	if (network->options.ca_changed)
		network->options.ca_changed(network->options.arg);
}

static void on_decided(void *arg, const void *record, size_t size)
{
	const struct network_sink *sink = sink_of(arg);

	if (sink->record)
		sink->record(sink->arg, record, size);
}

static const char *hex(const uint8_t digest[32], char buf[65])
{
	for (int i = 0; i < 32; i++)
		snprintf(buf + 2 * (size_t)i, 3, "%02x", digest[i]);
	return buf;
}

static void on_revoke_done(void *arg, const struct revoke_result *result)
{
	struct network *network = arg;

	if (result->error)
		tell(network,
		     "connections that the new policy does not admit could not be looked for (%s): "
		     "they are stopped, but neither end is told",
		     strerror(-result->error));
	if ((result->unsupported || result->failed) && !network->told_no_destroy) {
		network->told_no_destroy = true;
		tell(network,
		     "%u connections that the new policy does not admit could not be destroyed%s: "
		     "they are stopped, but neither end is told",
		     result->failed,
		     result->unsupported ? " (the kernel lacks CONFIG_INET_DIAG_DESTROY)" : "");
	}
}

static int watch(struct network *network, int fd, struct error *err)
{
	struct epoll_event event = {.events = EPOLLIN};

	if (epoll_ctl(network->epoll_fd, EPOLL_CTL_ADD, fd, &event))
		return error_set(err, -errno, "cannot listen to a descriptor: %s", strerror(errno));
	return 0;
}

static void start_revoke(struct network *network)
{
	const struct revoke_options options = {
		.kernel = network->options.kernel,
		.slot = network->options.slot->slot,
		.done = on_revoke_done,
		.arg = network,
	};
	struct error err = {};

	if (!network->revoke && (revoke_new(&options, &network->revoke, &err) ||
				 watch(network, revoke_fd(network->revoke), &err)))
		tell(network, "connections that the policy revoked are stopped, but not ended: %s",
		     err.message);
	if (network->revoke)
		revoke_start(network->revoke);
}

/* Connections that the binary opened before are looked at again as well. */
static void on_revoked(void *arg, const struct binaries_revocation *revocation)
{
	struct network *network = arg;
	char was[65], is[65];

	tell(network,
	     "the content of %s changed (SHA-256 was %s, is %s): its network rules do not admit it "
	     "until the policy is loaded again",
	     revocation->path, revocation->hashed ? hex(revocation->was, was) : "not known",
	     revocation->readable ? hex(revocation->is, is) : "not readable");
	start_revoke(network);
}

int network_new(const struct network_options *options, struct network **ret_network,
		struct error *err)
{
	struct network *network = calloc(1, sizeof(*network));

	if (!network)
		return error_set(err, -ENOMEM, "out of memory");
	network->options = *options;
	network->bundle = -1;
	network->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (network->epoll_fd < 0) {
		int r = error_set(err, -errno, "cannot make an epoll: %s", strerror(errno));

		network_free(network);
		return r;
	}
	*ret_network = network;
	return 0;
}

static bool is_proxied(const PB(CompiledPolicy) * policy)
{
	for (size_t i = 0; i < policy->n_endpoints; i++)
		if (policy_is_proxied(policy, policy->endpoints[i]))
			return true;
	return false;
}

/* For names, for connections that wait until somebody has looked at their binary, for the proxy. */
static bool needs_worker(const struct network *network, const PB(CompiledPolicy) * policy)
{
	return network->options.audit || names_wanted(policy) || binaries_asked(policy) ||
	       is_proxied(policy);
}

static int make_names(struct network *network, struct error *err)
{
	int r;

	if (network->names)
		return 0;
	r = names_new(network->options.kernel, network->options.slot->slot, network->options.audit,
		      &network->names, err);
	if (!r)
		names_listen(network->names, on_problem, network);
	return r;
}

static int start_worker(struct network *network, const PB(CompiledPolicy) * policy,
			struct error *err)
{
	const struct worker_options options = {
		.kernel = network->options.kernel,
		.names = network->names,
		.slot = network->options.slot->slot,
		.refused = on_refused,
		.problem = on_problem,
		.flow = on_flow,
		.origin = on_origin,
		.request = on_request,
		.ca_changed = on_ca_changed,
		.arg = network,
		.proxies = is_proxied(policy),
	};
	int r;

	if (network->worker) {
		if (options.proxies)
			worker_proxy(network->worker);
		return 0;
	}
	r = worker_start(&options, &network->worker, err);
	return r ? r : watch(network, worker_fd(network->worker), err);
}

int network_prepare(struct network *network, const PB(CompiledPolicy) * policy, struct error *err)
{
	int r;

	if (!is_proxied(policy))
		return 0;
	r = make_names(network, err);
	return r ? r : start_worker(network, policy, err);
}

const struct worker_ca *network_ca(const struct network *network)
{
	return network->worker ? worker_ca(network->worker) : NULL;
}

static int write_names(struct network *network, uint32_t generation,
		       const PB(CompiledPolicy) * policy, struct error *err)
{
	int r = 0;

	if (!network->names) {
		if (!needs_worker(network, policy))
			return 0;
		r = make_names(network, err);
		if (r)
			return r;
	}
	network->options.slot->endpoints = true;
	r = names_write(network->names, generation, policy, err);
	return r ? r : start_worker(network, policy, err);
}

/* What the worker gets when the generation is in force. */
static int make_bundle(struct network *network, uint32_t generation,
		       const PB(CompiledPolicy) * policy,
		       const Openshell__Worker__V1__Inference *inference, struct error *err)
{
	static const struct trust nobody_trusted = {.host = (char *)"", .extra = (char *)""};
	const struct network_options *o = &network->options;
	const struct worker_bundle bundle = {
		.generation = generation,
		.audit = o->audit,
		.policy = policy,
		.credentials = o->credentials,
		.credentials_len = o->credentials_len,
		.trust = o->trust && o->trust->host ? o->trust : &nobody_trusted,
		.sandbox = o->name ? o->name : "",
		.inference = inference,
	};

	network->bundle = safe_close(network->bundle);
	if (!network->worker)
		return 0;
	return worker_bundle_seal(&bundle, &network->bundle, &network->bundle_size, err);
}

static int write_binaries(struct network *network, uint32_t generation,
			  const PB(CompiledPolicy) * policy, int root_fd,
			  struct binaries_report *ret_report, struct error *err)
{
	const struct binaries_options options = {
		.kernel = network->options.kernel,
		.slot = network->options.slot->slot,
		.root_fd = root_fd,
		.mounts = network->options.mounts,
		.revoked = on_revoked,
		.decided = on_decided,
		.arg = network,
	};
	int r;

	if (!network->binaries) {
		/* Looking for binaries is the dear part, and without endpoints they open nothing.
		 */
		if (!policy->n_endpoints)
			return 0;
		r = binaries_new(&options, &network->binaries, err);
		if (!r)
			r = watch(network, binaries_fd(network->binaries), err);
		if (r)
			return r;
	}
	network->options.slot->endpoints = true;
	return binaries_write(network->binaries, generation, policy, ret_report, err);
}

/* What of the network section the maps do not have. */
static int tell_report(const struct binaries_report *binaries, struct sentences *findings)
{
	int r = 0;

	if (binaries->missing)
		r = sentences_add(
			findings,
			"%zu binaries of network_policies do not exist in the sandbox: what "
			"only they may reach stays denied",
			binaries->missing);
	if (!r && binaries->truncated)
		r = sentences_add(
			findings,
			"a glob of network_policies matches more files than are looked at: "
			"a binary past that is known only once it was executed");
	return r;
}

/* Names are asked about as long as the sandbox runs, whatever becomes of the caller's copy. */
static PB(CompiledPolicy) * copy_policy(const PB(CompiledPolicy) * policy)
{
	size_t size = openshell__compiled__v1__compiled_policy__get_packed_size(policy);
	_cleanup_free_ uint8_t *packed = malloc(size + 1);

	if (!packed)
		return NULL;
	openshell__compiled__v1__compiled_policy__pack(policy, packed);
	return openshell__compiled__v1__compiled_policy__unpack(NULL, size, packed);
}

static void forget_policy(PB(CompiledPolicy) * *policy)
{
	if (*policy)
		policy_compiled_free(*policy);
	*policy = NULL;
}

int network_write(struct network *network, uint32_t generation, const PB(CompiledPolicy) * policy,
		  int root_fd, struct sentences *findings, struct error *err)
{
	const struct kernel *kernel = network->options.kernel;
	struct slot *slot = network->options.slot;
	struct binaries_report binaries = {};
	struct egress_report report = {};
	int r;

	/* Names that could not be taken back still look at what was not put in force. */
	if (network->next && network->names && network->policy) {
		r = names_write(network->names, network->generation, network->policy, err);
		if (r)
			return r;
	}
	forget_policy(&network->next);
	network->next = copy_policy(policy);
	if (!network->next)
		return error_set(err, -ENOMEM, "out of memory");
	policy = network->next;
	r = egress_write(kernel, slot->slot, generation, policy, -1, &report, err);
	slot->endpoints |= report.entries > 0;
	if (!r)
		r = write_binaries(network, generation, policy, root_fd, &binaries, err);
	if (!r)
		r = write_names(network, generation, policy, err);
	if (!r)
		r = make_bundle(network, generation, policy, network->options.inference, err);
	if (!r && tell_report(&binaries, findings))
		r = error_set(err, -ENOMEM, "out of memory");
	return r;
}

void network_undo(struct network *network, uint32_t generation)
{
	int r = 0;

	if (network->names && network->policy)
		r = names_write(network->names, network->generation, network->policy, NULL);
	if (network->options.slot->endpoints)
		egress_erase(network->options.kernel, network->options.slot->slot, generation);
	/* Where names could not be taken back, they still look at the copy. */
	if (!r && network->policy)
		forget_policy(&network->next);
	network->undone = true;
}

static void give_bundle(struct network *network)
{
	if (!network->worker || network->bundle < 0)
		return;
	worker_set_routes(network->worker, network->options.inference);
	worker_set_policy(network->worker, network->generation, TAKE_FD(network->bundle),
			  network->bundle_size);
}

int network_set_inference(struct network *network,
			  const Openshell__Worker__V1__Inference *inference, struct error *err)
{
	int r = make_bundle(network, network->generation, network->policy, inference, err);

	if (r)
		return r;
	network->options.inference = inference;
	give_bundle(network);
	return 0;
}

int network_set_credentials(struct network *network,
			    const Openshell__Worker__V1__Credential *const *credentials,
			    size_t count, struct error *err)
{
	const Openshell__Worker__V1__Credential *const *before = network->options.credentials;
	size_t before_len = network->options.credentials_len;
	int r;

	network->options.credentials = credentials;
	network->options.credentials_len = count;
	r = make_bundle(network, network->generation, network->policy, network->options.inference,
			err);
	if (r) {
		network->options.credentials = before;
		network->options.credentials_len = before_len;
		return r;
	}
	give_bundle(network);
	return 0;
}

int network_probe(struct network *network, uint32_t route, int *ret_fd)
{
	return network->worker ? worker_probe(network->worker, route, ret_fd) : -ENOENT;
}

void network_set_quiet(struct network *network, bool quiet)
{
	network->quiet = quiet;
}

void network_switched(struct network *network, uint32_t generation)
{
	uint32_t old = network->generation;

	network->previous = network->policy;
	network->policy = network->next;
	network->next = NULL;
	network->generation = generation;
	give_bundle(network);
	if (network->worker)
		worker_flush(network->worker);
	if (!old)
		return;
	start_revoke(network);
}

void network_settled(struct network *network, uint32_t old)
{
	if (network->names)
		names_erase(network->names, old);
	if (network->previous)
		egress_remove(network->options.kernel, network->options.slot->slot, old,
			      network->previous);
	forget_policy(&network->previous);
}

int network_fd(const struct network *network)
{
	return network->epoll_fd;
}

void network_poll(struct network *network)
{
	if (network->worker)
		worker_poll(network->worker);
	if (network->binaries)
		binaries_poll(network->binaries);
	if (network->revoke)
		revoke_poll(network->revoke);
}

void network_event(struct network *network, const struct event *event)
{
	if (network->binaries)
		binaries_event(network->binaries, event);
}

const char *network_name(const void *arg, const uint8_t *address)
{
	const struct network *network = arg;

	return network->names ? names_text(network->names, address) : NULL;
}

void network_finish(struct network *network)
{
	if (network->worker)
		worker_finish(network->worker);
}

void network_free(struct network *network)
{
	if (!network)
		return;
	worker_free(network->worker);
	/* Everything that this sandbox has is known, so that nobody looks through shared maps. */
	if (network->policy && !network->undone) {
		egress_remove(network->options.kernel, network->options.slot->slot,
			      network->generation, network->policy);
		network->options.slot->endpoints = false;
	}
	binaries_free(network->binaries);
	revoke_free(network->revoke);
	names_free(network->names);
	forget_policy(&network->policy);
	forget_policy(&network->next);
	forget_policy(&network->previous);
	safe_close(network->bundle);
	safe_close(network->epoll_fd);
	free(network);
}

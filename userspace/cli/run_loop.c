/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_loop.h"

#include "cli/file_watch.h"
#include "cli/interrupt.h"
#include "supervisor/observe.h"
#include "cli/relay.h"
#include "common/cleanup.h"
#include "supervisor/agent_reach.h"
#include "supervisor/sandbox.h"

#include <errno.h>
#include <string.h>
#include <uv.h>

struct loop {
	uv_loop_t uv;
	uv_poll_t events, network;
	struct network_sink sink;
	uv_timer_t flush;
	struct sandbox *sandbox;
	struct relay *relay;
	struct observe *observe;
	struct run *run;
	struct file_watch *routes; /* NULL: they do not change */
};

static void on_events(uv_poll_t *handle, int status, int events)
{
	struct loop *loop = handle->data;

	observe_consume(loop->observe);
}

static void on_network(uv_poll_t *handle, int status, int events)
{
	struct loop *loop = handle->data;

	network_poll(loop->sandbox->network);
}

static void on_refused(void *arg, const struct worker_refusal *refusal)
{
	struct loop *loop = arg;

	observe_refusal(loop->observe, refusal);
}

static void on_problem(void *arg, const char *sentence)
{
	struct loop *loop = arg;

	observe_problem(loop->observe, sentence);
}

static void on_request(void *arg, const struct worker_request *request)
{
	struct loop *loop = arg;

	observe_request(loop->observe, request);
}

static void on_flush(uv_timer_t *handle)
{
	struct loop *loop = handle->data;

	observe_flush(loop->observe);
}

static int signal_agent(void *arg, int signal_number)
{
	struct loop *loop = arg;

	return launch_signal(&loop->sandbox->launch, signal_number);
}

static void ending(void *arg)
{
	interrupt_hold();
}

static void ended(void *arg)
{
	struct loop *loop = arg;

	uv_stop(&loop->uv);
}

/*
 * An agent that could write the routes could have the key sent to a server of its own, so they are
 * looked at again each time. Without a policy in force, it may write whatever its user may.
 */
static bool is_agents(const struct run *run, const char *file)
{
	return run->options.audit || run->options.learn ||
	       agent_reach_writes(run->compiled, run->workdir, file);
}

static int set_routes(struct loop *loop, const char *file, struct error *err)
{
	struct run_inference *inference = &loop->run->inference;
	_cleanup_inference_config_ struct inference_config *before = NULL;
	int r;

	if (is_agents(loop->run, file))
		return error_set(err, -EPERM, "the agent may write %s", file);
	r = run_inference_reload(inference, &before, err);
	return r ? r
		 : sandbox_set_inference(loop->sandbox, inference_config_get(inference->config),
					 !loop->run->options.no_verify, err);
}

/* Told either way; what is wrong with a file changes nothing of what is in force. */
static void on_routes(void *arg)
{
	struct loop *loop = arg;
	const struct run_inference *inference = &loop->run->inference;
	const char *file = run_inference_file(inference);
	char text[ERROR_MESSAGE_MAX + 320];
	struct error err = {};

	if (!set_routes(loop, file, &err)) {
		observe_routes(loop->observe, file,
			       inference_config_get(inference->config)->n_routes);
		return;
	}
	error_wrap(&err, "the routes of inference.local stay as they were");
	observe_problem(loop->observe, error_format(&err, text, sizeof(text)));
}

static int watch_routes(struct loop *loop, struct error *err)
{
	const struct run_inference *inference = &loop->run->inference;
	const char *file = run_inference_file(inference);
	char text[ERROR_MESSAGE_MAX];

	if (inference->config)
		observe_routes(loop->observe, file,
			       inference_config_get(inference->config)->n_routes);
	if (!file)
		return 0;
	if (!is_agents(loop->run, file))
		return file_watch_start(&loop->uv, file, &inference->read, on_routes, loop,
					&loop->routes, err);
	snprintf(text, sizeof(text),
		 "%s is read once, and not when it changes: the agent may write it%s", file,
		 loop->run->options.audit || loop->run->options.learn
			 ? ", as it may everything with --audit and --learn"
			 : "; keep it where it may not");
	observe_problem(loop->observe, text);
	return 0;
}

static int start_handles(struct loop *loop, struct error *err)
{
	int network = network_fd(loop->sandbox->network);
	int r = uv_poll_init(&loop->uv, &loop->events, observe_fd(loop->observe));

	loop->events.data = loop->network.data = loop->flush.data = loop;
	if (!r)
		r = uv_poll_start(&loop->events, UV_READABLE, on_events);
	if (!r && network >= 0)
		r = uv_poll_init(&loop->uv, &loop->network, network);
	if (!r && network >= 0)
		r = uv_poll_start(&loop->network, UV_READABLE, on_network);
	if (!r)
		r = uv_timer_init(&loop->uv, &loop->flush);
	if (!r)
		r = uv_timer_start(&loop->flush, on_flush, EVENT_WRITER_FLUSH_MS,
				   EVENT_WRITER_FLUSH_MS);
	return r ? error_set(err, r, "cannot set up the event loop: %s", uv_strerror(r)) : 0;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void close_loop(struct loop *loop)
{
	uv_walk(&loop->uv, close_handle, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	uv_loop_close(&loop->uv);
}

static int start_sandbox(struct run *run, const struct kernel *kernel, struct loop *loop,
			 struct error *err)
{
	const struct run_options *o = &run->options;
	struct sandbox_spec spec = {
		.id = run->id,
		.policy = run->compiled,
		.digest = run->digest,
		.argv = run->argv,
		.envp = run->env,
		.workdir = run->workdir,
		.uid = run->identity.uid,
		.gid = run->identity.gid,
		.groups = run->identity.groups,
		.groups_len = run->identity.groups_len,
		.tty = run->tty,
		.audit = o->audit || o->learn,
		.require_lsm = o->require_lsm,
		.gpu = o->gpu,
		.limits = run->limits,
		.sink = &loop->sink,
		.name = o->name,
		.upstream_ca = o->upstream_ca.item,
		.upstream_ca_len = o->upstream_ca.len,
	};
	int r = relay_open(run->tty, &loop->relay, err);

	if (r)
		return r;
	if (run->inference.config) {
		spec.inference = inference_config_get(run->inference.config);
		spec.verify = !o->no_verify;
	}
	if (run->providers) {
		spec.credentials = (const Openshell__Worker__V1__Credential *const *)
					   run->providers->credentials;
		spec.credentials_len = run->providers->n_credentials;
	}
	for (int i = 0; i < 3; i++)
		spec.stdio[i] = relay_agent_fd(loop->relay, i);
	spec.terminal = relay_terminal(loop->relay);
	/* The agent's own terminal is its own: it may open it by name. */
	if (spec.terminal && fchown(spec.stdio[0], run->identity.uid, (gid_t)-1))
		return error_set(err, -errno, "cannot give %s to the agent: %s", spec.terminal,
				 strerror(errno));
	return sandbox_start(kernel, &spec, &loop->sandbox, err);
}

static void on_record(void *arg, const void *data, size_t size)
{
	struct loop *loop = arg;

	observe_record(loop->observe, data, size);
}

static void tell_network(void *arg, const struct event *event)
{
	network_event(arg, event);
}

static int watch(struct loop *loop, struct error *err)
{
	const struct observe_network network = {
		.event = tell_network,
		.name = network_name,
		.arg = loop->sandbox->network,
	};
	const struct relay_target target = {
		.ended_fd = loop->sandbox->launch.init_pidfd,
		.signal = signal_agent,
		.ending = ending,
		.ended = ended,
		.arg = loop,
	};
	int r;

	observe_set_network(loop->observe, &network);
	r = observe_attach(loop->observe, loop->sandbox, err);
	if (!r)
		r = start_handles(loop, err);
	if (!r)
		r = watch_routes(loop, err);
	if (!r)
		r = relay_start(loop->relay, &loop->uv, &target, err);
	if (r)
		return r;
	interrupt_release();
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	return 0;
}

int run_loop(struct run *run, int *ret_status, struct error *err)
{
	const struct observe_options observe = {
		.name = run->options.name,
		.policy = run->compiled,
		.policy_file = run->policy_file,
		.digest = run->digest,
		.log_path = run->options.log,
		.format = run->log_format,
		.metrics_path = run->options.metrics,
		.learn_path = run->options.learn,
		.learn_base = run->policy_text,
		.learn_base_len = run->policy_text_len,
		.argv = run->argv,
		.workdir = run->workdir,
	};
	struct kernel *kernel = NULL;
	struct loop loop = {.run = run};
	int r, undelivered = 0, status = 0;

	loop.sink = (struct network_sink){.refused = on_refused,
					  .problem = on_problem,
					  .record = on_record,
					  .request = on_request,
					  .arg = &loop};
	r = uv_loop_init(&loop.uv);
	if (r)
		return error_set(err, r, "cannot make an event loop: %s", uv_strerror(r));
	r = observe_new(&observe, &loop.observe, err);
	if (!r)
		r = kernel_open(&kernel, err);
	if (!r)
		r = interrupt_check(err);
	if (!r)
		r = start_sandbox(run, kernel, &loop, err);
	if (!r)
		r = watch(&loop, err);
	if (!r)
		r = launch_wait(&loop.sandbox->launch, true, &status);
	if (!r)
		undelivered = relay_result(loop.relay, err);
	relay_free(loop.relay);
	if (!r)
		network_finish(loop.sandbox->network);
	if (!r)
		r = observe_finish(loop.observe, status, stderr, err);
	if (!r)
		r = undelivered;
	if (!r)
		*ret_status = status;
	close_loop(&loop);
	file_watch_free(loop.routes);
	observe_free(loop.observe);
	sandbox_free(loop.sandbox);
	kernel_close(kernel);
	return r;
}

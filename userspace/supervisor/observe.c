/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/observe.h"

#include "common/cleanup.h"
#include "common/event_name.h"
#include "common/event_request.h"
#include "common/learn.h"
#include "common/metrics_file.h"
#include "common/summary.h"
#include "supervisor/event_reader.h"
#include "supervisor/inner_pid.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#define METRICS_TURNS (5000 / EVENT_WRITER_FLUSH_MS) /* of observe_flush() between two files */

struct observe {
	struct observe_options options;
	struct event_writer *writer;
	struct event_reader *reader;
	struct summary *summary;
	struct learn *learn;
	struct metrics *metrics; /* NULL without --metrics */
	unsigned int turns;	 /* since they were written */
	bool unwritten;		 /* they could not be, and that was told */
	struct event_context context;
	struct observe_network network;
	struct event event; /* large: used again for each of the ring's */
	struct event made;  /* for others, which may come up while the ring's is looked at */
	struct event_counters before;
	const struct sandbox *sandbox;
	uint64_t undecoded;
};

int observe_new(const struct observe_options *options, struct observe **ret_observe,
		struct error *err)
{
	struct observe *observe = calloc(1, sizeof(*observe));
	const struct event_writer_options writer = {
		.path = options->log_path,
		.fd = options->log_fd ? options->log_fd : STDERR_FILENO,
		.format = options->format,
		.warn_fd = STDERR_FILENO,
	};
	int r;

	if (!observe)
		return error_set(err, -ENOMEM, "out of memory");
	observe->options = *options;
	observe->summary = summary_new();
	r = observe->summary ? event_writer_open(&writer, &observe->writer, err)
			     : error_set(err, -ENOMEM, "out of memory");
	/* A file that cannot be written is told before anything runs. */
	if (!r && options->metrics_path) {
		observe->metrics = metrics_new();
		r = observe->metrics
			    ? metrics_file_write(options->metrics_path, observe->metrics, err)
			    : error_set(err, -ENOMEM, "out of memory");
	}
	if (r) {
		observe_free(observe);
		return r;
	}
	*ret_observe = observe;
	return 0;
}

void observe_set_network(struct observe *observe, const struct observe_network *network)
{
	observe->network = *network;
}

static void tell(struct observe *observe, const struct event *event);

void observe_set_policy(struct observe *observe,
			const Openshell__Compiled__V1__CompiledPolicy *policy,
			const uint8_t *digest)
{
	observe->options.policy = observe->context.policy = policy;
	observe->context.generation = observe->sandbox->slot.generation;
	event_policy_loaded(&observe->made, observe->options.name, observe->options.policy_file,
			    observe->sandbox->slot.generation, digest);
	tell(observe, &observe->made);
}

static void tell(struct observe *observe, const struct event *event)
{
	summary_add(observe->summary, event);
	event_writer_write(observe->writer, event);
	if (observe->learn)
		learn_add(observe->learn, event);
	if (observe->metrics)
		metrics_add(observe->metrics, event);
}

static const struct event_context *context_now(struct observe *observe)
{
	observe->context.generation = observe->sandbox->slot.generation;
	return &observe->context;
}

static void take(void *arg, const void *data, size_t size)
{
	struct observe *observe = arg;

	if (event_decode(data, size, context_now(observe), &observe->event)) {
		observe->undecoded++;
		return;
	}
	tell(observe, &observe->event);
	if (observe->network.event)
		observe->network.event(observe->network.arg, &observe->event);
}

void observe_record(struct observe *observe, const void *data, size_t size)
{
	struct os_event *raw = &observe->made.raw;

	if (event_decode(data, size, context_now(observe), &observe->made)) {
		observe->undecoded++;
		return;
	}
	if (!raw->ns_pid && raw->pid)
		raw->ns_pid = inner_pid(raw->pid, &raw->uid);
	tell(observe, &observe->made);
}

void observe_refusal(struct observe *observe, const struct worker_refusal *refusal)
{
	const struct os_flow *flow = &refusal->flow;
	struct event_question question = {
		.name = refusal->name, .type = refusal->type, .limited = refusal->limited};
	uint32_t pid = flow->tgid;
	struct os_proc proc;

	if (flow->slot == observe->sandbox->slot.slot && pid) {
		question.pid = pid;
		question.generation = flow->generation;
		question.start_time = flow->start_time;
		question.exe = flow->exe;
		if (!bpf_map_lookup_elem(observe->sandbox->kernel->maps.proc, &pid, &proc) &&
		    proc.start_time == flow->start_time) {
			question.proc = &proc;
			question.ns_pid = inner_pid(pid, &question.uid);
		}
	}
	event_name_refused(&question, context_now(observe), &observe->made);
	tell(observe, &observe->made);
}

void observe_request(struct observe *observe, const struct worker_request *request)
{
	event_request(request->record, request->repeated, request->others, context_now(observe),
		      &observe->made);
	tell(observe, &observe->made);
}

void observe_problem(struct observe *observe, const char *sentence)
{
	event_finding(&observe->made, observe->options.name, EVENT_SEVERITY_HIGH, "proxy", "%s",
		      sentence);
	tell(observe, &observe->made);
}

void observe_routes(struct observe *observe, const char *file, size_t routes)
{
	event_routes_loaded(&observe->made, observe->options.name, file, routes);
	tell(observe, &observe->made);
}

static void tell_start(struct observe *observe)
{
	const struct observe_options *o = &observe->options;
	const struct sandbox *sandbox = observe->sandbox;

	event_started(&observe->event, o->name, sandbox->kernel->lsm ? "bpf-lsm" : "landlock",
		      o->argv);
	tell(observe, &observe->event);
	event_policy_loaded(&observe->event, o->name, o->policy_file, sandbox->slot.generation,
			    o->digest);
	tell(observe, &observe->event);
	for (size_t i = 0; i < sandbox->findings.len; i++) {
		event_finding(&observe->event, o->name, EVENT_SEVERITY_HIGH, "-", "%s",
			      sandbox->findings.item[i]);
		tell(observe, &observe->event);
	}
	event_writer_flush(observe->writer);
}

int observe_attach(struct observe *observe, const struct sandbox *sandbox, struct error *err)
{
	const struct observe_options *o = &observe->options;
	const struct event_sink sink = {.event = take, .arg = observe};
	int r;

	observe->sandbox = sandbox;
	observe->context = (struct event_context){
		.sandbox = o->name,
		.policy = o->policy,
		.generation = sandbox->slot.generation,
		.clock_offset = event_clock_offset(),
		.path = mount_table_path,
		.path_arg = &sandbox->mounts,
		.name = observe->network.name,
		.name_arg = observe->network.arg,
	};
	if (o->learn_path) {
		const struct learn_options learn = {
			.base = o->learn_base,
			.base_len = o->learn_base_len,
			.base_name = o->policy_file,
			.program = o->argv[0],
			.workdir = o->workdir,
			.root_fd = sandbox->root_fd,
		};

		r = learn_new(&learn, &observe->learn, err);
		if (r)
			return r;
	}
	event_counters_read(sandbox->kernel->maps.count, &observe->before);
	r = event_reader_open(sandbox->slot.ring_fd, &sink, &observe->reader, err);
	if (r)
		return r;
	tell_start(observe);
	return 0;
}

int observe_fd(const struct observe *observe)
{
	return observe->reader ? event_reader_fd(observe->reader) : -1;
}

void observe_consume(struct observe *observe)
{
	event_reader_consume(observe->reader);
}

static void losses(const struct observe *observe, struct summary_losses *ret)
{
	struct event_counters now, since;

	*ret = (struct summary_losses){
		.undecoded = observe->undecoded,
		.lost = event_writer_stats(observe->writer)->lost,
	};
	if (event_counters_read(observe->sandbox->kernel->maps.count, &now))
		return;
	event_counters_since(&observe->before, &now, &since);
	ret->dropped = since.value[OS_COUNT_EVENT_DROPPED] + since.value[OS_COUNT_SCRATCH_BUSY];
	ret->helper_failed = since.value[OS_COUNT_HELPER_FAILED];
	ret->proc_full = since.value[OS_COUNT_PROC_FULL];
}

static void write_metrics(struct observe *observe)
{
	struct summary_losses lost = {};
	struct error err = {};

	if (!observe->metrics)
		return;
	if (observe->sandbox) {
		losses(observe, &lost);
		metrics_set_dropped(observe->metrics, observe->options.name,
				    lost.dropped + lost.undecoded + lost.lost);
	}
	if (!metrics_changed(observe->metrics) ||
	    !metrics_file_write(observe->options.metrics_path, observe->metrics, &err))
		return;
	/* There may be room again: it is tried the next time, and told once. */
	if (!observe->unwritten)
		observe_problem(observe, err.message);
	observe->unwritten = true;
}

void observe_flush(struct observe *observe)
{
	if (event_writer_pending(observe->writer))
		event_writer_flush(observe->writer);
	if (++observe->turns < METRICS_TURNS)
		return;
	observe->turns = 0;
	write_metrics(observe);
}

static int write_learned(struct observe *observe, FILE *out, struct error *err)
{
	struct learn_result result;
	int r = learn_write(observe->learn, observe->options.learn_path, &result, err);

	if (r)
		return r;
	fprintf(out, "openshell: wrote %s: %zu paths, %zu programs, %zu endpoints more than before",
		observe->options.learn_path, result.paths, result.programs, result.endpoints);
	if (result.not_learned)
		fprintf(out, "; %llu events stay denied, because no policy allows them",
			(unsigned long long)result.not_learned);
	fputc('\n', out);
	return 0;
}

int observe_finish(struct observe *observe, int exit_code, FILE *out, struct error *err)
{
	struct summary_losses lost = {};
	int r = 0, r2;

	if (observe->reader)
		event_reader_drain(observe->reader);
	event_stopped(&observe->event, observe->options.name, exit_code);
	tell(observe, &observe->event);
	event_writer_settle(observe->writer);
	write_metrics(observe);
	event_writer_settle(observe->writer);
	if (observe->sandbox)
		losses(observe, &lost);
	summary_print(observe->summary, &lost, out);
	if (observe->learn)
		r = write_learned(observe, out, err);
	r2 = event_writer_close(observe->writer, r ? NULL : err);
	observe->writer = NULL;
	return r ? r : r2;
}

void observe_free(struct observe *observe)
{
	if (!observe)
		return;
	event_reader_free(observe->reader);
	learn_free(observe->learn);
	summary_free(observe->summary);
	metrics_free(observe->metrics);
	event_writer_close(observe->writer, NULL);
	free(observe);
}

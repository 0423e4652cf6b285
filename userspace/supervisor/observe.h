/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run tells: the sandbox's events as they come, to the log; at the end what was denied and
 * what would allow it; with --learn, a policy; with --metrics, numbers. Owned by the verb, one
 * thread, in the loop by its descriptor. Only tells; a failure here never changes a decision.
 */
#pragma once

#include "common/error.h"
#include "common/event_writer.h"
#include "compiled_policy.pb-c.h"
#include "supervisor/sandbox.h"
#include "supervisor/worker.h"

#include <stdbool.h>
#include <stdio.h>

struct observe;

/* What else there is to a sandbox's events. Any of them may be NULL. */
struct observe_network {
	/* The name behind a synthetic address, or NULL; as struct event_context has it. */
	const char *(*name)(const void *arg, const uint8_t address[16]);
	/* Told each event of the ring, after it was written. It may call what is below. */
	void (*event)(void *arg, const struct event *event);
	void *arg;
};

struct observe_options {
	const char *name; /* of the sandbox */
	const Openshell__Compiled__V1__CompiledPolicy *policy;
	const char *policy_file; /* NULL = the default policy */
	const uint8_t *digest;
	const char *log_path; /* NULL = log_fd */
	int log_fd;	      /* 0 = standard error; stays the caller's */
	enum event_format format;
	const char *metrics_path; /* NULL = none are kept */
	const char *learn_path;	  /* NULL = do not learn */
	const char *learn_base;	  /* the policy file's text, NULL = default */
	size_t learn_base_len;
	char *const *argv;
	const char *workdir;
};

/* Open the log, and write metrics for the first time. Errors with a sentence. */
int observe_new(const struct observe_options *options, struct observe **ret_observe,
		struct error *err);

/* Another policy is in force; borrowed as that of the options. */
void observe_set_policy(struct observe *observe,
			const Openshell__Compiled__V1__CompiledPolicy *policy,
			const uint8_t *digest);

/* Before observe_attach(); what it points to is borrowed until observe_finish(). */
void observe_set_network(struct observe *observe, const struct observe_network *network);

/* Say that the sandbox runs, with its findings, and read its events from now on. */
int observe_attach(struct observe *observe, const struct sandbox *sandbox, struct error *err);

/* Readable while events wait; -1 before observe_attach(). */
int observe_fd(const struct observe *observe);

/* Handle what waits. */
void observe_consume(struct observe *observe);

/* A decision that userspace took, as a record of the ring. After observe_attach(), as the next
 * three.
 */
void observe_record(struct observe *observe, const void *data, size_t size);

/* Somebody in the sandbox asked for a name that it does not get. */
void observe_refusal(struct observe *observe, const struct worker_refusal *refusal);

/* The proxy judged a request, or several of a kind. */
void observe_request(struct observe *observe, const struct worker_request *request);

/* Something is wrong with what the sandbox is held by: a finding. */
void observe_problem(struct observe *observe, const char *sentence);

/* What inference.local does from now on; @file NULL: by the command line. */
void observe_routes(struct observe *observe, const char *file, size_t routes);

/* Write out what is buffered, and metrics if it is time; to be called every EVENT_WRITER_FLUSH_MS.
 */
void observe_flush(struct observe *observe);

/*
 * The agent has ended: the rest of the events, the end, the summary on @out, the learned policy.
 * Returns 0, or the error of the log or of the learned policy's file.
 */
int observe_finish(struct observe *observe, int exit_code, FILE *out, struct error *err);

void observe_free(struct observe *observe);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of inference_config: what is asked for (`wish`), from an option or a file; what is
 * known of keys (`keys`); and what comes of both (`route`). For these files alone; one thread.
 */
#pragma once

#include "common/arena.h"
#include "common/inference.h"
#include "common/inference_config.h"
#include "common/inference_url.h"
#include "common/provider_profile.h"

#include <stdint.h>

#define WORKER(name)	  Openshell__Worker__V1__##name
#define WORKER_INIT(name) OPENSHELL__WORKER__V1__##name##__INIT

#define INFERENCE_KEY_MAX 8000 /* bytes; with its header it is one field */
/* A key that is shorter might be in any response, so that none is searched for it. */
#define INFERENCE_SECRET_MIN 8

/* One route as it was asked for. */
struct inference_wish {
	struct policy_head head;
	struct policy_string name, provider, model, base_url, key_file, region, project;
	struct policy_number timeout; /* s; 0 = not given */
	struct policy_strings apis;
	struct policy_enum auth; /* enum profile_auth */
	struct policy_bool plaintext;
};

struct inference_limits {
	struct policy_head head;
	struct policy_number requests_per_minute, tokens_per_minute, concurrent;
};

struct inference_section {
	struct policy_head head;
	struct policy_list routes; /* of struct inference_wish */
	struct inference_limits limits;
};

/* Where what is wrong is told. @file NULL: it was an option. */
struct inference_report {
	const char *file;
	struct diagnostics *diag;
	struct error *err;
};

/* Returns @code; -EBADMSG in place of -EINVAL if there is a file. */
int inference_refuse(const struct inference_report *report, struct policy_place at, int code,
		     const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void inference_warn(const struct inference_report *report, struct policy_place at, const char *fmt,
		    ...) __attribute__((format(printf, 3, 4)));
int inference_no_memory(const struct inference_report *report);

/* What can be said of a wish alone. */
int inference_wish_check(const struct inference_report *report, const struct inference_wish *wish);

/* From `provider=..,model=..`; strings are the arena's. */
int inference_wish_parse(const struct inference_report *report, const char *text,
			 struct arena *arena, struct inference_wish *ret_wish);

/* From a file's text, every finding told. No I/O. */
int inference_section_parse(const struct inference_report *report, const void *data, size_t size,
			    struct arena *arena, struct inference_section *ret_section);
int inference_section_load(const struct inference_report *report, struct arena *arena,
			   struct inference_section *ret_section);

/* Something to be overwritten when its configuration goes. */
struct inference_secret {
	struct inference_secret *next;
	char *text;
};

/* A variable of the caller's environment that was read. */
struct inference_variable {
	struct inference_variable *next;
	const char *name;
	const char *value; /* a secret of the configuration's */
};

struct inference_config {
	struct arena *arena;
	struct inference_secret *secrets;
	struct inference_variable *variables;
	WORKER(Inference) told;
};

/* A copy that is wiped with @config; NULL without memory. */
char *inference_secret_copy(struct inference_config *config, const char *text);

/* The variables that @before knows. -ENOMEM. */
int inference_keys_inherit(struct inference_config *config, const struct inference_config *before);

/*
 * The first variable of a credential that has a value, now or before: *ret_value, or NULL. -EINVAL
 * if it is no key, -ENOMEM.
 */
int inference_keys_find(struct inference_config *config, const struct inference_report *report,
			struct policy_place at, const struct profile_credential *credential,
			const char **ret_value);

/* The first line of a file. */
int inference_keys_read_file(struct inference_config *config, const struct inference_report *report,
			     struct policy_place at, const char *path, const char **ret_value);

struct inference_build {
	const struct inference_source *source;
	struct inference_config *config;
	const struct inference_report *report;
};

/* The type of a provider: of the --provider with that name, or the name itself; the arena's. */
const char *inference_provider_type(const struct inference_build *build, const char *name);

/* From a wish that was checked, to what a worker is told. */
int inference_route_make(const struct inference_build *build, const struct inference_wish *wish,
			 WORKER(InferenceRoute) * *ret_route);

/* Who asks: headers, a signature, secrets. @own_url: the base URL is not the profile's. */
int inference_identity_make(const struct inference_build *build, const struct inference_wish *wish,
			    const struct provider_profile *profile, const struct inference_url *url,
			    bool own_url, const char *region, WORKER(InferenceRoute) * route);

/* A header at a list's end; the list has room. -ENOMEM. */
int inference_header_add(struct inference_config *config, const char *name, const char *value,
			 WORKER(InferenceHeader) * **list, size_t *count);

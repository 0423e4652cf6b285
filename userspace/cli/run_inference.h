/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `openshell run` does about inference.local: --inference, the variables that let public
 * clients find it, and the file that may change while the agent runs. One thread.
 */
#pragma once

#include "cli/options.h"
#include "common/error.h"
#include "common/inference_config.h"

#include <stdbool.h>
#include <sys/stat.h>

struct run_inference {
	const char *const *requests; /* of the command line */
	size_t requests_len;
	const char *const *providers;
	size_t providers_len;
	char *directory;  /* of profiles */
	struct stat read; /* the file, as it was before it was first read */
	struct inference_config *config;
};

/* Wrong usage alone. -EINVAL. */
int run_inference_check(const struct option_strings *asked, struct error *err);

/* Load what @asked says, if anything; findings are printed. Errors with a sentence. */
int run_inference_load(const struct option_strings *asked, const struct option_strings *providers,
		       struct run_inference *ret_inference, struct error *err);

/* The file, or NULL if the routes are options: they cannot change. */
const char *run_inference_file(const struct run_inference *inference);

/* The file anew; what is in force stays so on failure. *ret_before is to be freed if there is one.
 */
int run_inference_reload(struct run_inference *inference, struct inference_config **ret_before,
			 struct error *err);

#define RUN_INFERENCE_VARIABLES_MAX 4

struct run_variable {
	const char *name, *value;
};

/*
 * Variables by which public clients find inference.local. @taken says whether the agent gets a
 * variable from elsewhere: then it is meant for something else, and so is all of its pair.
 */
size_t run_inference_variables(const struct run_inference *inference,
			       bool (*taken)(const void *arg, const char *name), const void *arg,
			       struct run_variable ret_variables[RUN_INFERENCE_VARIABLES_MAX]);

void run_inference_clear(struct run_inference *inference);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base URLs of inference routes: http or https, a host, a port, a canonical path, and nothing else.
 * Pure functions; any thread. Fails closed: what servers might read in two ways is refused.
 */
#pragma once

#include "common/policy_host.h"

#include <stdbool.h>
#include <stdint.h>

#define INFERENCE_URL_MAX 1024 /* bytes */

struct inference_url {
	bool tls;
	bool loopback; /* it never leaves this host */
	uint16_t port;
	char host[POLICY_HOST_MAX + 1];	  /* canonical; an IPv6 address without brackets */
	char path[INFERENCE_URL_MAX + 1]; /* "" or "/v1": no slash at its end */
};

/* -EINVAL with @ret_why set to a sentence's end. */
int inference_url_parse(const char *text, struct inference_url *ret_url, const char **ret_why);

/*
 * @template with {region} and {project} filled in. "{region}-" goes altogether for the region
 * "global", as in Google's host names. -E2BIG.
 */
int inference_url_fill(const char *template, const char *region, const char *project,
		       char ret_text[INFERENCE_URL_MAX + 1]);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a route's secrets are in bytes that come piece by piece: the key as it is, and as JSON
 * has it where quotes, backslashes or slashes are escaped. Not found is what somebody took pains to
 * write otherwise: \u escapes, percent-encoding, base64. A provider has the key anyway; this is
 * against one that repeats it, in an error or an echo. Owned by its tap; the worker's loop.
 *
 * Nothing is stored of what came: bytes that may be a secret's beginning are that secret's own.
 */
#pragma once

#include "proxy/http.h"
#include "proxy/inference.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INFERENCE_SECRET_MIN 8 /* bytes; a shorter one would be found by chance */

struct inference_scan;

/* -ENOMEM. NULL for a route without secrets to look for. */
int inference_scan_new(const struct inference_route *route, struct inference_scan **ret_scan);
void inference_scan_free(struct inference_scan *scan);

/*
 * Look at the next bytes. True if a secret ends in them: *ret_begin is where in @data the first one
 * begins, below 0 if that was in what came before.
 */
bool inference_scan_find(struct inference_scan *scan, const uint8_t *data, size_t size,
			 int64_t *ret_begin);

/*
 * What came last that may be a secret's beginning, the longest such; size 0 if that is less than
 * four bytes. Points into memory of @scan.
 */
struct text inference_scan_beginning(const struct inference_scan *scan);

/* What comes next follows nothing. */
void inference_scan_reset(struct inference_scan *scan);

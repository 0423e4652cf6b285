/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in a compressed body (RFC 1950 to 1952), in pieces, none of it stored. Bounded: a window
 * of 32 KiB, and an end to how much comes out. Owned by its tap; the worker's loop.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct inference_inflate;

enum inference_coding {
	INFERENCE_CODING_GZIP,
	INFERENCE_CODING_DEFLATE, /* with the header of zlib or, as some servers send it, without */
};

/* -ENOMEM. */
int inference_inflate_new(enum inference_coding coding, struct inference_inflate **ret_inflate);
void inference_inflate_free(struct inference_inflate *inflate);

/* Is given what came out; what it returns below 0 ends the call that it came from. */
typedef int inference_inflate_take(void *arg, const uint8_t *data, size_t size);

/*
 * Look into the next bytes. What follows the end is passed over, as decoders do. -EBADMSG: that is
 * not of this coding; -E2BIG: more came out of it than anybody sends; -ENOMEM; what @take says.
 */
int inference_inflate_data(struct inference_inflate *inflate, const uint8_t *data, size_t size,
			   inference_inflate_take *take, void *arg);

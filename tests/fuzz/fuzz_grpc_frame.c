/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a stream of gRPC messages. What comes out must not depend on the pieces in which
 * they come, no message may be longer than was allowed, and nothing comes after an error.
 *
 * The first byte chooses the size of the pieces and whether gzip was announced.
 */
#include "common/grpc_frame.h"

#include <stdlib.h>

#define CHECK(held)                                                                                \
	do {                                                                                       \
		if (!(held))                                                                       \
			__builtin_trap();                                                          \
	} while (0)

#define MESSAGE_MAX 4096
#define BUDGET_MAX  6000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	uint64_t hash;
	size_t count;
	int result;
};

static int see(void *arg, const uint8_t *data, size_t size)
{
	struct seen *seen = arg;

	CHECK(size <= MESSAGE_MAX);
	for (size_t i = 0; i < size; i++)
		seen->hash = (seen->hash ^ data[i]) * 1099511628211;
	seen->hash = (seen->hash ^ size) * 1099511628211;
	seen->count++;
	return 0;
}

static struct seen read_all(const uint8_t *data, size_t size, size_t piece, bool gzip)
{
	struct grpc_budget budget = {.max = BUDGET_MAX};
	struct grpc_reader reader = {.message_max = MESSAGE_MAX, .budget = &budget, .gzip = gzip};
	struct seen seen = {};
	size_t used = 0;

	for (size_t at = 0; at < size && !seen.result; at += used) {
		size_t n = size - at < piece ? size - at : piece;

		seen.result = grpc_reader_feed(&reader, data + at, n, see, &seen, &used);
		CHECK(seen.result || used == n);
		CHECK(budget.used <= budget.max);
	}
	if (seen.result) {
		size_t before = seen.count;

		CHECK(grpc_reader_feed(&reader, data, size, see, &seen, &used) < 0);
		CHECK(seen.count == before);
	}
	grpc_reader_clear(&reader);
	CHECK(!budget.used);
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole, pieces;

	if (!size)
		return 0;
	whole = read_all(data + 1, size - 1, size, data[0] & 1);
	pieces = read_all(data + 1, size - 1, 1 + (data[0] >> 1), data[0] & 1);
	CHECK(whole.result == pieces.result);
	CHECK(whole.count == pieces.count && whole.hash == pieces.hash);
	return 0;
}

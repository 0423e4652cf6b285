/* SPDX-License-Identifier: Apache-2.0 */
/* Corpus: policy/testdata. A policy that loads compiles, and twice to the same digest. */
#include "common/cleanup.h"
#include "common/policy.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int compile(const struct policy *policy, uint8_t digest[POLICY_DIGEST_SIZE])
{
	_cleanup_policy_compiled_ Openshell__Compiled__V1__CompiledPolicy *compiled = NULL;
	int r = policy_compile(policy, &compiled, NULL);

	return r < 0 ? r : policy_digest(compiled, digest, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t first[POLICY_DIGEST_SIZE], second[POLICY_DIGEST_SIZE];
	_cleanup_diagnostics_ struct diagnostics diag = {};
	_cleanup_policy_ struct policy *policy = NULL;
	struct error err = {};
	int r;

	r = policy_load_buffer("fuzz", data, size, &policy, &diag, &err);
	if (r < 0) {
		/* A refusal names an error, and hands out no policy. */
		if (policy || (r == -EBADMSG && (!diag.errors || !err.message[0])))
			__builtin_trap();
		return 0;
	}
	if (diag.errors || !policy)
		__builtin_trap();
	r = compile(policy, first);
	if (r == -E2BIG || r == -ENOMEM)
		return 0;
	if (r < 0 || compile(policy, second) < 0 || memcmp(first, second, sizeof(first)))
		__builtin_trap();
	return 0;
}

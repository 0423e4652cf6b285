/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker is given of one generation (proto/worker_bundle.proto), as a memfd that nobody can
 * change any more. It holds secrets: the copy that it is made from is wiped. Any thread.
 */
#pragma once

#include "common/error.h"
#include "compiled_policy.pb-c.h"
#include "supervisor/trust.h"
#include "worker_bundle.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct worker_bundle {
	uint32_t generation;
	bool audit;
	const Openshell__Compiled__V1__CompiledPolicy *policy;
	const Openshell__Worker__V1__Credential *const *credentials;
	size_t credentials_len;
	const struct trust *trust;
	const char *sandbox; /* its name */
	const Openshell__Worker__V1__Inference *inference; /* NULL: nothing is configured */
};

/* -E2BIG past WORKER_BUNDLE_MAX; -ENOMEM; what memfd_create() says. */
int worker_bundle_seal(const struct worker_bundle *bundle, int *ret_fd, uint32_t *ret_size,
		       struct error *err);

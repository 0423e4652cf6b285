/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the routes of inference.local work, tried through the sandbox's own worker and with its
 * keys, so that what an agent meets later was met before. The sandbox's thread, which waits; the
 * network is served meanwhile. Fails closed: a route of which nothing is known has failed.
 */
#pragma once

#include "common/error.h"
#include "common/sentences.h"
#include "supervisor/network.h"
#include "worker_bundle.pb-c.h"

#define INFERENCE_PROBE_SECONDS 20 /* for all routes, or a route's own timeout if that is less */

/*
 * Try all routes of @inference, which the worker was given last, at the same time. What is not
 * certain is added to @findings. -ECONNREFUSED: one fails, or several, and @err says which, why,
 * and what to do; -ENOMEM.
 */
int inference_probe(struct network *network, const Openshell__Worker__V1__Inference *inference,
		    struct sentences *findings, struct error *err);

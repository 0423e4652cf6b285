/* SPDX-License-Identifier: Apache-2.0 */
/* What every part has to agree on about https://inference.local (docs/inference.md). */
#pragma once

#define INFERENCE_HOST "inference.local"
#define INFERENCE_PORT 443

#define INFERENCE_ROUTES_MAX 32
#define INFERENCE_MODEL_MAX  128	 /* bytes of a model's name */
#define INFERENCE_NAME_MAX   64		 /* bytes of a route's name */
#define INFERENCE_BODY_MAX   (10u << 20) /* bytes of a request */
#define INFERENCE_TIMEOUT_MS 60000	 /* of a response that is no stream, where none is given */
#define INFERENCE_IDLE_MS    120000	 /* between two chunks of a stream */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of what inference.local does (`Inference` of proto/worker_bundle.proto), which hold keys
 * of providers: none is freed without being overwritten first. Pure; any thread.
 */
#pragma once

#include "worker_bundle.pb-c.h"

/* -ENOMEM */
int inference_message_copy(const Openshell__Worker__V1__Inference *inference,
			   Openshell__Worker__V1__Inference **ret_inference);

/* Overwrite its secrets where they are, for whoever frees the message that it is part of. */
void inference_message_wipe(Openshell__Worker__V1__Inference *inference);

/* Overwrite and free one that was copied or unpacked. NULL is valid. */
void inference_message_free(Openshell__Worker__V1__Inference *inference);

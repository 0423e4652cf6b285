/* SPDX-License-Identifier: Apache-2.0 */
/* Reading google.protobuf.Struct. Pure. */
#pragma once

#include "google/protobuf/struct.pb-c.h"

/*
 * A resource's limit, as Kubernetes writes it: "limits": {"cpu": "500m"}, or "cpu" at the top; a
 * number is written as one. free() it; NULL: there is none, or no memory.
 */
char *struct_limit_text(const Google__Protobuf__Struct *resources, const char *name);

/* SPDX-License-Identifier: Apache-2.0 */
/* google.protobuf.Struct and JSON, both ways. Pure; any thread; nesting is bounded. */
#pragma once

#include "google/protobuf/struct.pb-c.h"

#include <jansson.h>

/* NULL: no UTF-8, nested too deeply, or no memory. Whole numbers become integers. */
json_t *struct_to_json(const Google__Protobuf__Struct *fields);

/* Of an object; free with google__protobuf__struct__free_unpacked(). -EINVAL, -ENOMEM. */
int struct_from_json(const json_t *json, Google__Protobuf__Struct **ret_struct);

/* SPDX-License-Identifier: Apache-2.0 */
/* JSON trees written as YAML, for people; what is read back is the same tree. Any thread. */
#pragma once

#include <jansson.h>

/* Block style, keys in their order; free() it. -ENOMEM, -EINVAL: nested too deeply. */
int yaml_text_of_json(const json_t *json, char **ret_text);

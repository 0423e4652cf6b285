/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the tree of a YAML document to the model, guided by the tables of policy_fields.h: kinds,
 * enums, ranges, unknown keys, leftover templates. Says nothing about what values mean together.
 * Everything comes from the given arena. Pure function.
 */
#pragma once

#include "common/arena.h"
#include "common/policy_fields.h"
#include "common/policy_yaml.h"

/*
 * Fill @target, a zeroed struct of @object, from @node. Findings go to @diag; what they are about
 * stays absent in the model. 0 or -ENOMEM.
 */
int policy_decode(const struct yaml_node *node, const struct policy_object *object, void *target,
		  struct arena *arena, struct diagnostics *diag);

/* Length of a template left in @text (`${X}`, `{{x}}`, `__X__`) and where; 0 = none. */
size_t policy_find_template(const char *text, size_t *ret_offset);

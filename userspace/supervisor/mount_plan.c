/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/mount_plan.h"
#include "common/cleanup.h"

#include <string.h>

int mount_plan_add(struct mount_plan *plan, const struct mount_step *step)
{
	_cleanup_free_ char *target = NULL, *content = NULL;

	if (plan->len >= MOUNT_PLAN_MAX)
		return -E2BIG;
	if (plan->len == plan->cap) {
		size_t cap = plan->cap ? plan->cap * 2 : 16;
		struct mount_step *steps = reallocarray(plan->step, cap, sizeof(*steps));

		if (!steps)
			return -ENOMEM;
		plan->step = steps;
		plan->cap = cap;
	}
	target = strdup(step->target);
	if (!target)
		return -ENOMEM;
	if (step->content) {
		content = strdup(step->content);
		if (!content)
			return -ENOMEM;
	}
	plan->step[plan->len++] = (struct mount_step){
		.op = step->op,
		.target = TAKE_PTR(target),
		.content = TAKE_PTR(content),
		.size = step->size,
		.mode = step->mode,
		.may_vanish = step->may_vanish,
	};
	return 0;
}

void mount_plan_free(struct mount_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->len; i++) {
		free(plan->step[i].target);
		free(plan->step[i].content);
	}
	free(plan->step);
	*plan = (struct mount_plan){};
}

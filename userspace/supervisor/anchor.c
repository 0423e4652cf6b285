/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/anchor.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

/* Implicit points give way to what somebody listed about the same inode. */
static bool implicit(enum resolved_origin origin)
{
	return origin == RESOLVED_MOUNT || origin == RESOLVED_TRANSIT;
}

/*
 * Two paths may name one inode (a bind mount). The stricter of two listed ones holds; a listed one
 * replaces an implicit one; of two implicit ones the stricter holds.
 */
static struct os_anchor merge(const struct resolved *resolved, size_t i)
{
	const struct resolved_path *p = &resolved->path[i];
	struct os_anchor anchor = {.subtree = p->subtree, .self = p->self};
	bool weak = implicit(p->origin);

	for (size_t j = 0; j < resolved->len; j++) {
		const struct resolved_path *q = &resolved->path[j];

		if (j == i || memcmp(&p->file, &q->file, sizeof(p->file)))
			continue;
		if (implicit(q->origin) && !weak)
			continue;
		if (weak && !implicit(q->origin)) {
			weak = false;
			anchor.subtree = q->subtree;
			anchor.self = q->self;
			continue;
		}
		anchor.subtree &= q->subtree;
		anchor.self &= q->self;
	}
	return anchor;
}

int anchor_write(const struct kernel *kernel, uint32_t slot, uint32_t generation,
		 const struct resolved *resolved, struct error *err)
{
	for (size_t i = 0; i < resolved->len; i++) {
		struct os_anchor_key key = {
			.slot = slot,
			.generation = generation,
			.file = resolved->path[i].file,
		};
		struct os_anchor anchor = merge(resolved, i);
		int r = bpf_map_update_elem(kernel->maps.anchor, &key, &anchor, BPF_ANY);

		if (r) {
			anchor_erase(kernel, slot, generation);
			return error_set(err, r,
					 "map os_anchor takes no more entries (%s): the policy is "
					 "refused and the one in force stays",
					 strerror(-r));
		}
	}
	return 0;
}

void anchor_erase(const struct kernel *kernel, uint32_t slot, uint32_t generation)
{
	struct os_anchor_key key, next;
	int r = bpf_map_get_next_key(kernel->maps.anchor, NULL, &next);

	while (!r) {
		key = next;
		r = bpf_map_get_next_key(kernel->maps.anchor, &key, &next);
		if (key.slot == slot && (!generation || key.generation == generation))
			bpf_map_delete_elem(kernel->maps.anchor, &key);
	}
}

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

static struct os_named_key name_key(uint32_t slot, uint32_t generation,
				    const struct resolved_name *name)
{
	struct os_named_key key = {
		.slot = slot, .generation = generation, .directory = name->directory};

	memcpy(key.name, name->name, sizeof(key.name));
	return key;
}

static int write_names(const struct kernel *kernel, uint32_t slot, uint32_t generation,
		       const struct resolved *resolved)
{
	for (size_t i = 0; i < resolved->names; i++) {
		const struct resolved_name *name = &resolved->name[i];
		const struct os_anchor value = {.subtree = name->subtree, .self = name->self};
		struct os_named_key key = name_key(slot, generation, name);
		int r = bpf_map_update_elem(kernel->maps.named, &key, &value, BPF_ANY);

		if (r)
			return r;
	}
	return 0;
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
	for (size_t j = 0; j < resolved->len; j++)
		if (resolved->path[j].names &&
		    !memcmp(&p->file, &resolved->path[j].file, sizeof(p->file)))
			anchor.subtree |= OS_ANCHOR_NAMES;
	return anchor;
}

static int full(const struct kernel *kernel, uint32_t slot, uint32_t generation, const char *map,
		int code, struct error *err)
{
	anchor_erase(kernel, slot, generation);
	return error_set(err, code,
			 "map %s takes no more entries (%s): the policy is refused and the one in "
			 "force stays",
			 map, strerror(-code));
}

int anchor_write(const struct kernel *kernel, uint32_t slot, uint32_t generation,
		 const struct resolved *resolved, struct error *err)
{
	int r;

	for (size_t i = 0; i < resolved->len; i++) {
		struct os_anchor_key key = {
			.slot = slot,
			.generation = generation,
			.file = resolved->path[i].file,
		};
		struct os_anchor anchor = merge(resolved, i);

		r = bpf_map_update_elem(kernel->maps.anchor, &key, &anchor, BPF_ANY);
		if (r)
			return full(kernel, slot, generation, "os_anchor", r, err);
	}
	r = write_names(kernel, slot, generation, resolved);
	return r ? full(kernel, slot, generation, "os_named", r, err) : 0;
}

/* Both maps' keys begin with slot and generation. */
static void erase(int map, void *key, void *next, uint32_t slot, uint32_t generation, size_t size)
{
	int r = bpf_map_get_next_key(map, NULL, next);

	while (!r) {
		const uint32_t *of = key;

		memcpy(key, next, size);
		r = bpf_map_get_next_key(map, key, next);
		if (of[0] == slot && (!generation || of[1] == generation))
			bpf_map_delete_elem(map, key);
	}
}

void anchor_erase(const struct kernel *kernel, uint32_t slot, uint32_t generation)
{
	struct os_anchor_key anchor, next_anchor;
	struct os_named_key name, next_name;

	erase(kernel->maps.anchor, &anchor, &next_anchor, slot, generation, sizeof(anchor));
	erase(kernel->maps.named, &name, &next_name, slot, generation, sizeof(name));
}

void anchor_remove(const struct kernel *kernel, uint32_t slot, uint32_t generation,
		   const struct resolved *resolved)
{
	for (size_t i = 0; i < resolved->len; i++) {
		struct os_anchor_key key = {
			.slot = slot,
			.generation = generation,
			.file = resolved->path[i].file,
		};

		bpf_map_delete_elem(kernel->maps.anchor, &key);
	}
	for (size_t i = 0; i < resolved->names; i++) {
		struct os_named_key key = name_key(slot, generation, &resolved->name[i]);

		bpf_map_delete_elem(kernel->maps.named, &key);
	}
}

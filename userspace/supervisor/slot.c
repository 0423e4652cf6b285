/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/slot.h"

#include "common/cleanup.h"
#include "supervisor/anchor.h"
#include "supervisor/device.h"
#include "supervisor/egress.h"
#include "supervisor/event_reader.h"
#include "supervisor/host_lock.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/syscall.h>

static int find_free(const struct kernel *kernel, uint32_t *ret_slot)
{
	_cleanup_free_ uint8_t *used = calloc(OS_SLOTS_MAX, 1);
	__u64 key, *at = NULL;

	if (!used)
		return -ENOMEM;
	while (!bpf_map_get_next_key(kernel->maps.sandbox, at, &key)) {
		__u32 slot;

		if (!bpf_map_lookup_elem(kernel->maps.sandbox, &key, &slot) && slot < OS_SLOTS_MAX)
			used[slot] = 1;
		at = &key;
	}
	for (uint32_t slot = OS_SLOT_NONE + 1; slot < OS_SLOTS_MAX; slot++) {
		if (!used[slot]) {
			*ret_slot = slot;
			return 0;
		}
	}
	return -ENOSPC;
}

static void discard(void *arg, const void *data, size_t size)
{
}

/*
 * A slot keeps its ring when its sandbox is gone: putting a map into a map of maps, or taking it
 * out, waits for an RCU grace period. What the last owner did not read is thrown away here.
 */
static int reuse_ring(const struct kernel *kernel, uint32_t bytes, struct slot *slot)
{
	static const struct event_sink nowhere = {.event = discard};
	struct event_reader *reader = NULL;
	struct bpf_map_info info = {};
	__u32 id, size = sizeof(info);

	if (bpf_map_lookup_elem(kernel->maps.event, &slot->slot, &id))
		return -ENOENT;
	slot->ring_fd = bpf_map_get_fd_by_id(id);
	if (slot->ring_fd < 0)
		return slot->ring_fd;
	if (bpf_obj_get_info_by_fd(slot->ring_fd, &info, &size) || info.max_entries != bytes ||
	    event_reader_open(slot->ring_fd, &nowhere, &reader, NULL)) {
		slot->ring_fd = safe_close(slot->ring_fd);
		return -EIO;
	}
	event_reader_drain(reader);
	event_reader_free(reader);
	return 0;
}

static int enter(const struct kernel *kernel, uint32_t ring_bytes, struct slot *slot,
		 struct error *err)
{
	int r = reuse_ring(kernel, ring_bytes, slot);

	if (r) {
		r = event_ring_create("os_ring", ring_bytes, &slot->ring_fd, err);
		if (r)
			return r;
		r = bpf_map_update_elem(kernel->maps.event, &slot->slot, &slot->ring_fd, BPF_ANY);
		if (r)
			return error_set(err, r, "map os_event takes no more entries: %s",
					 strerror(-r));
	}
	/* Never a generation that the slot's last owner used. */
	slot_switch(kernel, slot, kernel->policy[slot->slot].generation + 1, OS_MODE_SETUP);
	r = bpf_map_update_elem(kernel->maps.sandbox, &slot->cgroup.id, &slot->slot, BPF_NOEXIST);
	if (r)
		return error_set(err, r, "cannot enter the sandbox in the maps: %s", strerror(-r));
	return 0;
}

int slot_take(const struct kernel *kernel, const char *id, uint32_t ring_bytes,
	      struct slot *ret_slot, struct error *err)
{
	_cleanup_close_ int lock = -1;
	struct slot slot = SLOT_EMPTY;
	int r;

	r = host_lock(&lock, err);
	if (r)
		return r;
	r = find_free(kernel, &slot.slot);
	if (r)
		return error_set(err, r, "no slot is free: %d sandboxes run", OS_SLOTS_MAX - 1);
	r = cgroup_create(&kernel->tree, id, &slot.cgroup, err);
	if (r)
		return r;
	r = enter(kernel, ring_bytes, &slot, err);
	if (r) {
		lock = safe_close(lock);
		slot_release(kernel, &slot);
		return r;
	}
	*ret_slot = slot;
	return 0;
}

void slot_switch(const struct kernel *kernel, struct slot *slot, uint32_t generation,
		 enum os_mode mode)
{
	union {
		struct os_policy policy;
		uint64_t whole;
	} u = {.policy = {.generation = generation, .mode = mode}};

	__atomic_store_n((uint64_t *)&kernel->policy[slot->slot], u.whole, __ATOMIC_SEQ_CST);
	slot->generation = generation;
}

void slot_settle(void)
{
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

/* Remove the map entries of the sandbox of cgroup @id; @owner, if known, says of what kinds. */
static void erase(const struct kernel *kernel, uint64_t id, const struct slot *owner)
{
	__u32 slot;

	if (kernel->maps.sandbox < 0 || bpf_map_lookup_elem(kernel->maps.sandbox, &id, &slot))
		return;
	bpf_map_delete_elem(kernel->maps.sandbox, &id);
	bpf_map_delete_elem(kernel->maps.digest, &slot);
	kernel_clear_listener(kernel, slot);
	if (!owner || owner->anchors)
		anchor_erase(kernel, slot, 0);
	if (!owner || owner->endpoints)
		egress_erase(kernel, slot, 0);
	if (!owner || owner->devices)
		device_erase(kernel, slot);
}

void slot_release(const struct kernel *kernel, struct slot *slot)
{
	_cleanup_close_ int lock = -1;

	if (slot->cgroup.fd < 0)
		return;
	if (slot->slot != OS_SLOT_NONE)
		slot_switch(kernel, slot, slot->generation, OS_MODE_DENY);
	host_lock(&lock, NULL);
	cgroup_kill(slot->cgroup.fd);
	erase(kernel, slot->cgroup.id, slot);
	cgroup_destroy(&slot->cgroup);
	slot->ring_fd = safe_close(slot->ring_fd);
}

static void swept(void *arg, uint64_t id)
{
	erase(arg, id, NULL);
}

int slot_sweep(const struct kernel *kernel)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	int live = 0, fd;

	cgroup_sweep(&kernel->tree, swept, (void *)kernel);
	fd = openat(kernel->tree.agents_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return 1;
	dir = fdopendir(fd);
	if (!dir) {
		safe_close(fd);
		return 1;
	}
	while ((entry = readdir(dir)))
		live += entry->d_type == DT_DIR && entry->d_name[0] != '.';
	return live;
}

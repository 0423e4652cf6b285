/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox's place in the kernel's maps: a slot number, the generation in force, its event ring.
 * The lock on its cgroup's directory says that the owner lives; what a dead owner left is swept by
 * the next start. Taking and releasing happen under the host lock, so no two get one slot.
 */
#pragma once

#include "supervisor/kernel.h"

/*
 * Rings of events. Denials are few, and each wakes the reader: a ring holds some fifty usual ones.
 * Where everything is an event, or a policy is learnt from them, hundreds come at once.
 */
#define SLOT_RING_BYTES	      16384
#define SLOT_RING_BYTES_AUDIT 262144

struct slot {
	uint32_t slot;
	uint32_t generation; /* last one used */
	struct cgroup cgroup;
	int ring_fd; /* the sandbox's own ring buffer */
	/*
	 * Set by whoever writes: the slot may have entries in the maps of that kind. Looking for
	 * them takes milliseconds in maps of this size, which slot_release() saves if it has none.
	 */
	bool anchors, endpoints, devices;
};

#define SLOT_EMPTY                                                                                 \
	(struct slot)                                                                              \
	{                                                                                          \
		.cgroup = CGROUP_EMPTY, .ring_fd = -1                                              \
	}

/*
 * Make the cgroup openshell/@id, find a free slot, and enter it in mode SETUP, with a ring of
 * @ring_bytes. -EEXIST: that id is
 * in use; -ENOSPC: OS_SLOTS_MAX sandboxes run.
 */
int slot_take(const struct kernel *kernel, const char *id, uint32_t ring_bytes,
	      struct slot *ret_slot, struct error *err);

/* Put (generation, mode) in force: one 8-byte store, seen by the next decision. */
void slot_switch(const struct kernel *kernel, struct slot *slot, uint32_t generation,
		 enum os_mode mode);

/*
 * Wait until no program can still be looking at the generation before the last switch; its entries
 * may then be erased. Takes an RCU grace period, tens of milliseconds. (membarrier(2), GLOBAL)
 */
void slot_settle(void);

/* Deny all, kill what is left in the cgroup, and remove every trace. Idempotent. */
void slot_release(const struct kernel *kernel, struct slot *slot);

/*
 * Kill and remove what owners that died have left: processes, cgroups, map entries. The caller
 * holds the host lock. Returns the number of sandboxes whose owner lives.
 */
int slot_sweep(const struct kernel *kernel);

/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/device.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* What a point gives: BPF_DEVCG_ACC_*, and which device. 0 = none. */
static __u32 access_of(const struct resolved_path *point, struct os_device_key *key)
{
	__u32 access = 0;

	if (!S_ISCHR(point->mode))
		return 0;
	key->major = major(point->device);
	key->minor = minor(point->device);
	if (point->self & OS_RIGHT_READ)
		access |= BPF_DEVCG_ACC_READ;
	if (point->self & OS_RIGHT_WRITE)
		access |= BPF_DEVCG_ACC_WRITE;
	return access;
}

int device_write(const struct kernel *kernel, uint32_t slot, const struct resolved *resolved,
		 struct error *err)
{
	for (size_t i = 0; i < resolved->len; i++) {
		struct os_device_key key = {.slot = slot};
		__u32 access = access_of(&resolved->path[i], &key);
		int r;

		if (!access)
			continue;
		r = bpf_map_update_elem(kernel->maps.device, &key, &access, BPF_ANY);
		if (r)
			return error_set(err, r,
					 "map os_device takes no more entries (%s): the policy is "
					 "refused",
					 strerror(-r));
	}
	return 0;
}

static bool listed(const struct resolved *resolved, const struct os_device_key *key)
{
	for (size_t i = 0; resolved && i < resolved->len; i++) {
		struct os_device_key other = {.slot = key->slot};

		if (access_of(&resolved->path[i], &other) && other.major == key->major &&
		    other.minor == key->minor)
			return true;
	}
	return false;
}

void device_remove(const struct kernel *kernel, uint32_t slot, const struct resolved *resolved,
		   const struct resolved *keep)
{
	for (size_t i = 0; i < resolved->len; i++) {
		struct os_device_key key = {.slot = slot};

		if (access_of(&resolved->path[i], &key) && !listed(keep, &key))
			bpf_map_delete_elem(kernel->maps.device, &key);
	}
}

void device_erase(const struct kernel *kernel, uint32_t slot)
{
	struct os_device_key key, next;
	int r = bpf_map_get_next_key(kernel->maps.device, NULL, &next);

	while (!r) {
		key = next;
		r = bpf_map_get_next_key(kernel->maps.device, &key, &next);
		if (key.slot == slot)
			bpf_map_delete_elem(kernel->maps.device, &key);
	}
}

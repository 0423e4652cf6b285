/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Character devices that a policy lists by path, or that --gpu gives: the cgroup's device program
 * allows them beside the common ones. Block devices are never given. Rights over a directory give
 * no device below it. Fails closed.
 */
#pragma once

#include "supervisor/resolve.h"

/* Allow what @resolved lists, beside what the slot has. -E2BIG: map os_device is full. */
int device_write(const struct kernel *kernel, uint32_t slot, const struct resolved *resolved,
		 struct error *err);

/* Take away what @resolved gave and @keep, unless NULL, does not. By key: the map is large. */
void device_remove(const struct kernel *kernel, uint32_t slot, const struct resolved *resolved,
		   const struct resolved *keep);

/* Take away all that the slot has, whoever gave it. */
void device_erase(const struct kernel *kernel, uint32_t slot);

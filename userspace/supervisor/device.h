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

/* Take away what the slot has and @resolved does not list; all of it if @resolved is NULL. */
void device_erase(const struct kernel *kernel, uint32_t slot, const struct resolved *resolved);

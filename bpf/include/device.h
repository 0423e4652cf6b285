/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The character devices that every sandbox has. Pure, for the kernel program and unit tests.
 * Numbers from Documentation/admin-guide/devices.txt.
 */
#pragma once

#include "address.h"

#ifndef __bpf__
#include <linux/bpf.h>
#endif

static __always_inline int device_is_common(__u32 type, __u32 access, __u32 major, __u32 minor)
{
	if (type != BPF_DEVCG_DEV_CHAR || (access & BPF_DEVCG_ACC_MKNOD))
		return 0;
	switch (major) {
	case 1: /* null, zero, full, random, urandom */
		return minor == 3 || minor == 5 || minor == 7 || minor == 8 || minor == 9;
	case 5: /* tty, ptmx */
		return minor == 0 || minor == 2;
	default: /* pts */
		return major >= 136 && major <= 143;
	}
}

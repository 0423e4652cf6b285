/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few of the kernel's types that an object's relocations ask about, as a BTF file of their own.
 * libbpf would otherwise read and search all of the kernel's, 150,000 of them, at each load: a
 * third of the time that loading takes. Written once for each boot, kernel and object, in a
 * directory that only root can write to. Any thread. Fails harmless: without it libbpf does what it
 * always does.
 */
#pragma once

#include <bpf/libbpf.h>

#define KERNEL_TYPES_PATH_MAX 128

/*
 * The file for @object, which is open and not loaded; written to @directory if it is not there.
 * Only relocations of fields are served by it: every type that the object's BTF names is there as
 * the kernel has it, but what pointers point to. Errors of reading BTF, of SHA-256, of writing.
 */
int kernel_types_file(const struct bpf_object *object, const char *directory,
		      char ret_path[KERNEL_TYPES_PATH_MAX]);

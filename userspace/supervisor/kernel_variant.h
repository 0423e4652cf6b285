/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the LSM programs this kernel can have: hooks come, go and change their arguments. Read
 * from the kernel's BTF, never from its version. A hook that is missing has a row in `doctor` with
 * what covers it instead.
 */
#pragma once

#include "common/error.h"

struct bpf_object;

/* Set autoload of every program of the LSM object. -ENOTSUP: no BPF-LSM in this kernel at all. */
int kernel_variant_choose(struct bpf_object *object, struct error *err);

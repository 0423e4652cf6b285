/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the LSM programs this kernel can have: hooks come, go and change their arguments. Read
 * from the kernel's BTF, never from its version. A hook that is missing has a row in `doctor` with
 * what covers it instead. Fails closed: where nothing covers it, BPF-LSM is not used.
 */
#pragma once

#include "common/error.h"

struct bpf_object;

/*
 * Set autoload of every program of the LSM object. -ENOTSUP: no BPF-LSM in this kernel, or a hook
 * is missing that nothing covers.
 */
int kernel_variant_choose(struct bpf_object *object, struct error *err);

/* What decides in the place of @hook ("path_chown") on a kernel without it; NULL: nothing. */
const char *kernel_variant_cover(const char *hook);

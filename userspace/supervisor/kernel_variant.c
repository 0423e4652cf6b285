/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/kernel_variant.h"

#include "common/cleanup.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Programs of one hook that differ in its arguments: the one with as many as the kernel is kept. */
static const struct variant {
	const char *program;
	int arguments; /* of the kernel's bpf_lsm_<hook>() */
} variants[] = {
	{"inode_setattr_idmap", 3},	{"inode_setattr_plain", 2},
	{"inode_setxattr_idmap", 6},	{"inode_setxattr_plain", 5},
	{"inode_removexattr_idmap", 3}, {"inode_removexattr_plain", 2},
};

static int wanted_arguments(const char *program)
{
	for (size_t i = 0; i < ARRAY_LEN(variants); i++)
		if (!strcmp(variants[i].program, program))
			return variants[i].arguments;
	return -1;
}

/*
 * A hook whose argument is a struct by value cannot be attached to before kernel commit
 * 720e6a435194 (Linux 6.1) taught the verifier: path_chown's kuid_t.
 */
static bool takes_struct(const struct btf *btf, const struct btf_type *proto)
{
	const struct btf_param *param = btf_params(proto);

	for (int i = 0; i < btf_vlen(proto); i++) {
		const struct btf_type *t = btf__type_by_id(btf, param[i].type);

		while (t && (btf_is_mod(t) || btf_is_typedef(t)))
			t = btf__type_by_id(btf, t->type);
		if (t && btf_is_struct(t))
			return true;
	}
	return false;
}

/* Helper that came with the same kernels as struct arguments; its id is in the enum of bpf.h. */
static bool structs_allowed(const struct btf *btf)
{
	return btf__find_by_name_kind(btf, "bpf_user_ringbuf_drain", BTF_KIND_FUNC) > 0;
}

int kernel_variant_choose(struct bpf_object *object, struct error *err)
{
	struct btf *btf = btf__load_vmlinux_btf();
	struct bpf_program *prog;
	int kept = 0, r = 0;

	if (!btf)
		return error_set(err, -ENOTSUP, "the kernel's BTF cannot be read: %s",
				 strerror(errno));
	bpf_object__for_each_program(prog, object) {
		const char *hook = strchr(bpf_program__section_name(prog), '/');
		int arguments = wanted_arguments(bpf_program__name(prog));
		const struct btf_type *func, *proto = NULL;
		bool keep = false;
		char name[128];
		int id;

		snprintf(name, sizeof(name), "bpf_lsm_%s", hook ? hook + 1 : "");
		id = btf__find_by_name_kind(btf, name, BTF_KIND_FUNC);
		if (id > 0) {
			func = btf__type_by_id(btf, id);
			proto = btf__type_by_id(btf, func->type);
			keep = arguments < 0 || arguments == btf_vlen(proto);
			if (keep && takes_struct(btf, proto) && !structs_allowed(btf))
				keep = false;
		}
		bpf_program__set_autoload(prog, keep);
		kept += keep;
	}
	if (!kept)
		r = error_set(err, -ENOTSUP,
			      "this kernel has no BPF-LSM hooks (CONFIG_BPF_LSM is not set)");
	btf__free(btf);
	return r;
}

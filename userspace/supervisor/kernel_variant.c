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
	{"inode_setattr_idmap", 3},  {"inode_setattr_plain", 2},     {"inode_setxattr_idmap", 6},
	{"inode_setxattr_plain", 5}, {"inode_removexattr_idmap", 3}, {"inode_removexattr_plain", 2},
};

#define BY_SECCOMP "seccomp: io_uring_setup answers ENOSYS"
#define BY_XATTR   "there the hooks of extended attributes are asked about access control lists"
#define BY_AGE	   "the system call came with the hook"

/* Hooks that came later than Linux 5.15, or can be attached to only since, and what covers them. */
static const struct {
	const char *hook, *covered_by;
} covers[] = {
	{"path_chown", "inode_setattr decides every change of owner"},
	{"userns_create", "capable denies capabilities in every user namespace, seccomp denies "
			  "making one"},
	{"uring_override_creds", BY_SECCOMP},
	{"uring_sqpoll", BY_SECCOMP},
	{"uring_cmd", BY_SECCOMP},
	{"inode_set_acl", BY_XATTR},
	{"inode_get_acl", BY_XATTR},
	{"inode_remove_acl", BY_XATTR},
	{"inode_file_setattr", BY_AGE},
	{"inode_file_getattr", BY_AGE},
};

const char *kernel_variant_cover(const char *hook)
{
	for (size_t i = 0; i < ARRAY_LEN(covers); i++)
		if (!strcmp(covers[i].hook, hook))
			return covers[i].covered_by;
	return NULL;
}

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

/* A helper that came with the same kernel as struct arguments, Linux 6.1: in BTF as a function. */
static bool structs_allowed(const struct btf *btf)
{
	return btf__find_by_name_kind(btf, "bpf_user_ringbuf_drain", BTF_KIND_FUNC) > 0;
}

static const char *hook_of(const struct bpf_program *prog)
{
	const char *slash = strchr(bpf_program__section_name(prog), '/');

	return slash ? slash + 1 : "";
}

static bool is_kept(struct bpf_object *object, const char *hook)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, object) if (bpf_program__autoload(prog) &&
						       !strcmp(hook_of(prog), hook)) return true;
	return false;
}

/* A hook without a program, because it is not there or has other arguments, lets everything by. */
static int require_covered(struct bpf_object *object, struct error *err)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, object)
	{
		const char *hook = hook_of(prog);

		if (!kernel_variant_cover(hook) && !is_kept(object, hook))
			return error_set(err, -ENOTSUP,
					 "this kernel lacks the LSM hook %s, or it has other "
					 "arguments, and nothing else covers it",
					 hook);
	}
	return 0;
}

int kernel_variant_choose(struct bpf_object *object, struct error *err)
{
	struct btf *btf = btf__load_vmlinux_btf();
	struct bpf_program *prog;
	int kept = 0;

	if (!btf)
		return error_set(err, -ENOTSUP, "the kernel's BTF cannot be read: %s",
				 strerror(errno));
	bpf_object__for_each_program(prog, object)
	{
		int arguments = wanted_arguments(bpf_program__name(prog));
		const struct btf_type *func, *proto = NULL;
		bool keep = false;
		char name[128];
		int id;

		snprintf(name, sizeof(name), "bpf_lsm_%s", hook_of(prog));
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
	btf__free(btf);
	if (!kept)
		return error_set(err, -ENOTSUP,
				 "this kernel has no BPF-LSM hooks (CONFIG_BPF_LSM is not set)");
	return require_covered(object, err);
}

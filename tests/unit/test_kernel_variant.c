/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/kernel_variant.h"

#include "common/cleanup.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lsm.skel.h"

static int quiet(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return 0;
}

/* The LSM object; @hook, if any, replaced by one that no kernel has, of a name as long. */
static struct bpf_object *open_without(const char *hook)
{
	size_t size, len = hook ? strlen(hook) : 0;
	const void *elf = lsm_bpf__elf_bytes(&size);
	_cleanup_free_ uint8_t *copy = malloc(size);
	struct bpf_object *object;

	assert_non_null(copy);
	memcpy(copy, elf, size);
	for (uint8_t *at = copy; hook && (at = memmem(at, size - (size_t)(at - copy), hook, len));)
		memset(at + len - 1, '_', 1);
	object = bpf_object__open_mem(copy, size, NULL);
	assert_non_null(object);
	return object;
}

/* Needs the kernel's BTF, and a kernel with BPF-LSM. */
static void need_hooks(void)
{
	struct bpf_object *object;
	struct error err = {};
	int r = -ENOTSUP;

	if (!access("/sys/kernel/btf/vmlinux", R_OK)) {
		object = open_without(NULL);
		r = kernel_variant_choose(object, &err);
		bpf_object__close(object);
	}
	if (r == -ENOTSUP) {
		print_message("no BPF-LSM hooks in this kernel's BTF: %s\n", err.message);
		skip();
	}
	assert_int_equal(r, 0);
}

/* One program for each hook that this kernel has, never two forms of one. */
static void one_form_of_each(void **state)
{
	static const char *const forms[][2] = {
		{"inode_setattr_idmap", "inode_setattr_plain"},
		{"inode_setxattr_idmap", "inode_setxattr_plain"},
		{"inode_removexattr_idmap", "inode_removexattr_plain"},
	};
	struct bpf_object *object;
	struct error err = {};

	need_hooks();
	object = open_without(NULL);
	assert_int_equal(kernel_variant_choose(object, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		bool kept[2];

		for (int k = 0; k < 2; k++)
			kept[k] = bpf_program__autoload(
				bpf_object__find_program_by_name(object, forms[i][k]));
		assert_true(kept[0] != kept[1]);
	}
	bpf_object__close(object);
}

static void missing_is_refused(void **state)
{
	static const char *const hooks[] = {"lsm/path_truncate", "lsm/unix_may_send",
					    "lsm/inode_setxattr"};

	need_hooks();
	for (size_t i = 0; i < ARRAY_LEN(hooks); i++) {
		struct bpf_object *object = open_without(hooks[i]);
		struct error err = {};

		assert_int_equal(kernel_variant_choose(object, &err), -ENOTSUP);
		assert_non_null(strstr(err.message, "nothing else covers it"));
		assert_memory_equal(strstr(err.message, "hook ") + 5, hooks[i] + 4,
				    strlen(hooks[i]) - 5);
		bpf_object__close(object);
	}
}

static void what_covers(void **state)
{
	assert_non_null(kernel_variant_cover("path_chown"));
	assert_non_null(kernel_variant_cover("inode_set_acl"));
	assert_null(kernel_variant_cover("file_open"));
	assert_null(kernel_variant_cover(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_form_of_each),
		cmocka_unit_test(missing_is_refused),
		cmocka_unit_test(what_covers),
	};

	libbpf_set_print(quiet);
	return cmocka_run_group_tests_name("kernel_variant", tests, NULL, NULL);
}

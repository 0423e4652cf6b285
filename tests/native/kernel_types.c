// SPDX-License-Identifier: Apache-2.0
/*
 * Programs relocated with the kernel's types in a file of our own are, instruction by instruction,
 * those relocated with all of the kernel's types.
 */
#include "core.skel.h"
#include "supervisor/kernel_types.h"
#include "tap.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* SHA of the instructions, as the kernel got them. */
static bool tag_of(const struct bpf_program *program, __u8 tag[BPF_TAG_SIZE])
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
		return false;
	memcpy(tag, info.tag, BPF_TAG_SIZE);
	return true;
}

static void compare(struct core_bpf *whole, struct core_bpf *ours)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, whole->obj)
	{
		const char *name = bpf_program__name(program);
		__u8 a[BPF_TAG_SIZE], b[BPF_TAG_SIZE];

		ok(tag_of(program, a) &&
			   tag_of(bpf_object__find_program_by_name(ours->obj, name), b) &&
			   !memcmp(a, b, sizeof(a)),
		   "%s is the same program either way", name);
	}
}

int main(void)
{
	char directory[] = "/tmp/openshell-types.XXXXXX", path[KERNEL_TYPES_PATH_MAX], again[128];
	LIBBPF_OPTS(bpf_object_open_opts, options, .btf_custom_path = path);
	struct core_bpf *whole = core_bpf__open(), *ours;
	struct stat first, second;

	if (geteuid() != 0) {
		skip("kernel types", "loading programs needs root");
		return tap_end();
	}
	if (!whole || !mkdtemp(directory)) {
		perror("setting up");
		return 1;
	}
	if (!ok(!kernel_types_file(whole->obj, directory, path) && !stat(path, &first),
		"the file is written"))
		return tap_end();
	ok((first.st_mode & 07777) == 0600 && first.st_size > 0 && first.st_size < 1 << 20,
	   "it is root's, and small: %lld bytes", (long long)first.st_size);
	ok(!kernel_types_file(whole->obj, directory, again) && !strcmp(path, again) &&
		   !stat(again, &second) && first.st_ino == second.st_ino,
	   "the second time it is found");
	ours = core_bpf__open_opts(&options);
	ok(!bpf_object__load(whole->obj), "the object loads with the kernel's types");
	if (ok(ours && !bpf_object__load(ours->obj), "and with ours"))
		compare(whole, ours);
	core_bpf__destroy(ours);
	unlink(path);
	ok(kernel_types_file(whole->obj, "/nonexistent", again) < 0,
	   "a directory that cannot be written to is an error");
	rmdir(directory);
	core_bpf__destroy(whole);
	return tap_end();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/kernel_load.h"

#include "common/cleanup.h"
#include "supervisor/kernel_types.h"
#include "supervisor/kernel_variant.h"
#include "supervisor/probe.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core.skel.h"
#include "lsm.skel.h"

#define WORKER_FILTER "worker_packet_out"
#define REDIRECT      "egress_redirect"

/* The maps that outlive us, by name; the rest of an object's maps are its own. */
static const struct shared_map {
	const char *name;
	size_t offset;
} shared_maps[] = {
	{"os_sandbox", offsetof(struct kernel_maps, sandbox)},
	{"os_policy", offsetof(struct kernel_maps, policy)},
	{"os_anchor", offsetof(struct kernel_maps, anchor)},
	{"os_named", offsetof(struct kernel_maps, named)},
	{"os_binary", offsetof(struct kernel_maps, binary)},
	{"os_endpoint", offsetof(struct kernel_maps, endpoint)},
	{"os_cidr", offsetof(struct kernel_maps, cidr)},
	{"os_device", offsetof(struct kernel_maps, device)},
	{"os_name", offsetof(struct kernel_maps, name)},
	{"os_worker", offsetof(struct kernel_maps, worker)},
	{"os_flow", offsetof(struct kernel_maps, flow)},
	{"os_proxied", offsetof(struct kernel_maps, proxied)},
	{"os_listener", offsetof(struct kernel_maps, listener)},
	{"os_proc", offsetof(struct kernel_maps, proc)},
	{"os_sock", offsetof(struct kernel_maps, sock)},
	{"os_event", offsetof(struct kernel_maps, event)},
	{"os_count", offsetof(struct kernel_maps, count)},
	{"os_meta", offsetof(struct kernel_maps, meta)},
	{"os_digest", offsetof(struct kernel_maps, digest)},
};

static int *map_slot(struct kernel *kernel, const struct shared_map *map)
{
	return (int *)((char *)&kernel->maps + map->offset);
}

static char load_log[8192]; /* the last warnings of libbpf, for error messages */
static size_t load_log_len;

/* Keep what libbpf says until it is known whether it matters: probing fails by design. */
static int keep_log(enum libbpf_print_level level, const char *fmt, va_list args)
{
	int n;

	if (level == LIBBPF_DEBUG)
		return 0;
	if (level == LIBBPF_INFO)
		return 0;
	if (load_log_len > sizeof(load_log) / 2) {
		memmove(load_log, load_log + load_log_len - 2048, 2048);
		load_log_len = 2048;
	}
	n = vsnprintf(load_log + load_log_len, sizeof(load_log) - load_log_len, fmt, args);
	if (n > 0)
		load_log_len += (size_t)n < sizeof(load_log) - load_log_len
					? (size_t)n
					: sizeof(load_log) - load_log_len - 1;
	return 0;
}

/* The verifier's last few lines say what is wrong; the thousands before do not. */
static const char *log_tail(void)
{
	const char *tail = load_log_len > 600 ? load_log + load_log_len - 600 : load_log;

	return tail;
}

static int attach_and_pin(struct bpf_program *prog, const struct kernel *kernel, struct error *err)
{
	enum bpf_prog_type type = bpf_program__type(prog);
	const char *name = bpf_program__name(prog);
	char path[256];
	struct bpf_link *link;
	int r;

	if (!bpf_program__autoload(prog))
		return 0;
	/*
	 * One is run from here, one attached to what each sandbox's worker has, one to network
	 * namespaces where a proxy listens.
	 */
	if (type == BPF_PROG_TYPE_SYSCALL || type == BPF_PROG_TYPE_SK_LOOKUP ||
	    !strcmp(name, WORKER_FILTER)) {
		snprintf(path, sizeof(path), KERNEL_PIN_DIR "/prog_%s", name);
		r = bpf_program__pin(prog, path);
		return r ? error_set(err, r, "cannot pin program %s: %s", name, strerror(-r)) : 0;
	}
	switch (type) {
	case BPF_PROG_TYPE_CGROUP_SKB:
	case BPF_PROG_TYPE_CGROUP_SOCK:
	case BPF_PROG_TYPE_CGROUP_SOCK_ADDR:
	case BPF_PROG_TYPE_CGROUP_SOCKOPT:
	case BPF_PROG_TYPE_CGROUP_DEVICE:
	case BPF_PROG_TYPE_SOCK_OPS:
		link = bpf_program__attach_cgroup(prog, kernel->tree.agents_fd);
		break;
	default:
		link = bpf_program__attach(prog);
	}
	if (!link)
		return error_set(err, -errno, "cannot attach program %s: %s", name,
				 strerror(errno));
	snprintf(path, sizeof(path), KERNEL_PIN_DIR "/link_%s", name);
	r = bpf_link__pin(link, path);
	if (r)
		error_set(err, r, "cannot pin %s: %s", path, strerror(-r));
	/* A pinned link stays attached after the descriptor is closed. */
	bpf_link__destroy(link);
	return r;
}

static int attach_all(struct bpf_object *object, const struct kernel *kernel, struct error *err)
{
	struct bpf_program *prog;
	int r;

	bpf_object__for_each_program(prog, object)
	{
		r = attach_and_pin(prog, kernel, err);
		if (r)
			return r;
	}
	return 0;
}

/* Take back what attach_all() did before it failed: half a set must not hold anybody. */
static void detach_all(struct bpf_object *object)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, object)
	{
		char path[256];

		snprintf(path, sizeof(path), KERNEL_PIN_DIR "/link_%s", bpf_program__name(prog));
		unlink(path);
	}
}

/* The verifier's words are no answer on a kernel that is simply too old: say that instead. */
static int core_refused(int result, struct error *err)
{
	struct probe probe = {};
	char lacking[128];
	int r = -EPERM;

	if (!probe_open(&probe)) {
		r = probe_floor(&probe, lacking, sizeof(lacking));
		probe_close(&probe);
	}
	if (r == -ENOSYS)
		return error_set(err, -ENOTSUP,
				 "this kernel is too old: it lacks %s; use Linux 5.15 or newer",
				 lacking);
	return error_set(err, result == -EPERM ? -EPERM : -ENOTSUP,
			 "the kernel refused the core programs (%s); `openshell doctor` says what "
			 "is missing. %s",
			 strerror(-result), log_tail());
}

/* A descriptor of our own for what the object closes with itself. */
static int keep_fd(int fd, int *ret_fd, struct error *err)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (own < 0)
		return error_set(err, -errno, "cannot keep a descriptor: %s", strerror(errno));
	*ret_fd = own;
	return 0;
}

/* Open, with the kernel's types from a file if there is one. */
static struct core_bpf *open_core(void)
{
	char path[KERNEL_TYPES_PATH_MAX];
	LIBBPF_OPTS(bpf_object_open_opts, options, .btf_custom_path = path);
	struct core_bpf *core = core_bpf__open(), *again;

	if (!core || kernel_types_file(core->obj, KERNEL_STATE_DIR, path))
		return core;
	again = core_bpf__open_opts(&options);
	core_bpf__destroy(again ? core : NULL);
	return again ? again : core;
}

/* @without_lsm: no program will ever look at a file. */
static int load_core(struct kernel *kernel, bool without_lsm, struct error *err)
{
	struct core_bpf *core = open_core();
	int r;

	if (!core)
		return error_set(err, -errno, "cannot open the core kernel object: %s",
				 strerror(errno));
	core->rodata->os_root_cgroup = kernel->tree.agents_id;
	core->rodata->os_root_level = kernel->tree.agents_level;
	if (without_lsm) {
		/* They stay empty, and an empty table of full size takes megabytes and time. */
		bpf_map__set_max_entries(core->maps.os_anchor, 1);
		bpf_map__set_max_entries(core->maps.os_named, 1);
	}
	r = bpf_object__load(core->obj);
	if (r) {
		r = core_refused(r, err);
		goto out;
	}
	for (size_t i = 0; i < ARRAY_LEN(shared_maps); i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(core->obj, shared_maps[i].name);
		char path[256];

		if (!map) {
			r = error_set(err, -EINVAL, "the core object lacks map %s; rebuild",
				      shared_maps[i].name);
			goto out;
		}
		snprintf(path, sizeof(path), KERNEL_PIN_DIR "/%s", shared_maps[i].name);
		r = bpf_map__pin(map, path);
		if (r) {
			error_set(err, r, "cannot pin %s: %s", path, strerror(-r));
			goto out;
		}
		r = keep_fd(bpf_map__fd(map), map_slot(kernel, &shared_maps[i]), err);
		if (r)
			goto out;
	}
	r = attach_all(core->obj, kernel, err);
	if (!r)
		r = keep_fd(bpf_program__fd(core->progs.file_probe), &kernel->file_probe_fd, err);
	if (!r)
		r = keep_fd(bpf_program__fd(core->progs.worker_packet_out),
			    &kernel->worker_filter_fd, err);
	if (!r)
		r = keep_fd(bpf_program__fd(core->progs.egress_redirect), &kernel->redirect_fd,
			    err);
out:
	core_bpf__destroy(core);
	return r;
}

/*
 * Some hosts refuse every LSM program, whatever it is. Asking costs microseconds, finding out with
 * the whole object a hundred milliseconds. A program without a hook is -EINVAL where they may load.
 */
static bool lsm_refused(void)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_LSM_MAC);

	return bpf_prog_load(BPF_PROG_TYPE_LSM, "probe", "Dual BSD/GPL", insns, ARRAY_LEN(insns),
			     &options) == -EPERM;
}

/* 0 with kernel->lsm set or lsm_reason filled; an error only for what must not happen. */
static int load_lsm(struct kernel *kernel, bool refused, struct error *err)
{
	struct lsm_bpf *lsm = NULL;
	struct error why = {};
	int r;

	if (refused) {
		snprintf(kernel->lsm_reason, sizeof(kernel->lsm_reason),
			 "the kernel refuses BPF-LSM programs: EPERM");
		return 0;
	}
	lsm = lsm_bpf__open();
	if (!lsm)
		return error_set(err, -errno, "cannot open the LSM kernel object: %s",
				 strerror(errno));
	lsm->rodata->os_root_cgroup = kernel->tree.agents_id;
	lsm->rodata->os_root_level = kernel->tree.agents_level;
	r = kernel_variant_choose(lsm->obj, &why);
	if (r)
		goto without;
	for (size_t i = 0; i < ARRAY_LEN(shared_maps); i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(lsm->obj, shared_maps[i].name);

		if (!map)
			continue;
		r = bpf_map__reuse_fd(map, *map_slot(kernel, &shared_maps[i]));
		if (r) {
			error_set(err, r, "cannot share map %s: %s", shared_maps[i].name,
				  strerror(-r));
			goto out;
		}
	}
	r = bpf_object__load(lsm->obj);
	if (r) {
		error_set(&why, r, "the kernel refused the BPF-LSM programs (%s). %s", strerror(-r),
			  log_tail());
		goto without;
	}
	r = attach_all(lsm->obj, kernel, &why);
	if (r) {
		detach_all(lsm->obj);
		goto without;
	}
	kernel->lsm = true;
	goto out;
without:
	snprintf(kernel->lsm_reason, sizeof(kernel->lsm_reason), "%.*s",
		 (int)sizeof(kernel->lsm_reason) - 1, why.message);
	r = 0;
out:
	lsm_bpf__destroy(lsm);
	return r;
}

int kernel_load(struct kernel *kernel, struct error *err)
{
	libbpf_print_fn_t saved = libbpf_set_print(keep_log);
	struct os_meta meta = {
		.abi = OS_ABI,
		.root_cgroup = kernel->tree.agents_id,
		.root_level = kernel->tree.agents_level,
		.complete = 1,
	};
	__u32 zero = 0;
	bool refused;
	int r;

	load_log_len = 0;
	load_log[0] = '\0';
	if (access("/sys/kernel/btf/vmlinux", R_OK)) {
		r = error_set(err, -ENOTSUP,
			      "this kernel has no BTF (/sys/kernel/btf/vmlinux); a kernel of Linux "
			      "5.15 or later with CONFIG_DEBUG_INFO_BTF is needed");
		goto out;
	}
	if (mkdir(KERNEL_PIN_DIR, 0700) && errno != EEXIST) {
		r = error_set(err, -errno, "cannot make %s: %s; is bpffs mounted on /sys/fs/bpf?",
			      KERNEL_PIN_DIR, strerror(errno));
		goto out;
	}
	refused = lsm_refused();
	r = load_core(kernel, refused, err);
	if (!r)
		r = load_lsm(kernel, refused, err);
	if (!r) {
		if (kernel->lsm)
			meta.flags |= OS_META_LSM;
		r = bpf_map_update_elem(kernel->maps.meta, &zero, &meta, BPF_ANY);
		if (r)
			error_set(err, r, "cannot finish loading: %s", strerror(-r));
	}
	if (r)
		kernel_unpin();
out:
	libbpf_set_print(saved);
	return r;
}

int kernel_adopt(struct kernel *kernel, struct error *err)
{
	struct os_meta meta = {};
	__u32 zero = 0;

	for (size_t i = 0; i < ARRAY_LEN(shared_maps); i++) {
		char path[256];
		int fd;

		snprintf(path, sizeof(path), KERNEL_PIN_DIR "/%s", shared_maps[i].name);
		fd = bpf_obj_get(path);
		if (fd < 0)
			return error_set(err, -ENOENT, "%s: %s", path, strerror(-fd));
		*map_slot(kernel, &shared_maps[i]) = fd;
	}
	kernel->file_probe_fd = bpf_obj_get(KERNEL_PIN_DIR "/prog_file_probe");
	kernel->worker_filter_fd = bpf_obj_get(KERNEL_PIN_DIR "/prog_" WORKER_FILTER);
	kernel->redirect_fd = bpf_obj_get(KERNEL_PIN_DIR "/prog_" REDIRECT);
	if (kernel->file_probe_fd < 0 || kernel->worker_filter_fd < 0 || kernel->redirect_fd < 0 ||
	    bpf_map_lookup_elem(kernel->maps.meta, &zero, &meta) || !meta.complete)
		return error_set(err, -ENOENT, "%s is not a complete set", KERNEL_PIN_DIR);
	if (meta.abi != OS_ABI)
		return error_set(err, -EEXIST, "%s was loaded by a version with ABI %u, ours is %u",
				 KERNEL_PIN_DIR, meta.abi, OS_ABI);
	if (meta.root_cgroup != kernel->tree.agents_id ||
	    meta.root_level != kernel->tree.agents_level)
		return error_set(err, -ENOENT, "%s belongs to another agents' cgroup",
				 KERNEL_PIN_DIR);
	kernel->lsm = meta.flags & OS_META_LSM;
	if (!kernel->lsm)
		snprintf(kernel->lsm_reason, sizeof(kernel->lsm_reason),
			 "it could not be loaded when the kernel side was set up");
	return 0;
}

void kernel_unpin(void)
{
	_cleanup_closedir_ DIR *dir = opendir(KERNEL_PIN_DIR);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	rmdir(KERNEL_PIN_DIR);
}

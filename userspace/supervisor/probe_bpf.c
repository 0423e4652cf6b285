/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/probe.h"
#include "common/cleanup.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#define HOOK_PREFIX "bpf_lsm_"
#define HOOKS_MAX   1024

struct probe_hook {
	const char *name; /* in the BTF's strings, without the prefix */
	int32_t id;
};

const struct probe_program probe_programs[] = {
	{"cgroup/connect4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT,
	 "IPv4 connections are admitted by policy"},
	{"cgroup/connect6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT,
	 "IPv6 connections are admitted by policy"},
	{"cgroup/sendmsg4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_SENDMSG,
	 "IPv4 datagrams are admitted by policy"},
	{"cgroup/sendmsg6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_SENDMSG,
	 "IPv6 datagrams are admitted by policy"},
	{"cgroup/recvmsg4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_RECVMSG,
	 "IPv4 answers show the address that was asked"},
	{"cgroup/recvmsg6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_RECVMSG,
	 "IPv6 answers show the address that was asked"},
	{"cgroup/getpeername4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_GETPEERNAME,
	 "a socket shows the IPv4 address it was connected to"},
	{"cgroup/getpeername6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_GETPEERNAME,
	 "a socket shows the IPv6 address it was connected to"},
	{"cgroup/bind4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_BIND,
	 "IPv4 listeners stay on loopback"},
	{"cgroup/bind6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_BIND,
	 "IPv6 listeners stay on loopback"},
	{"cgroup/sock_create", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE,
	 "sockets carry their sandbox's stamp; raw sockets are refused"},
	{"cgroup/setsockopt", BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT,
	 "options that move a destination are refused"},
	{"cgroup_skb/egress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS,
	 "no packet leaves but to where its socket was admitted"},
	{"cgroup_skb/ingress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS,
	 "nothing but answers comes in"},
	{"cgroup/dev", BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE,
	 "devices are limited to a short list"},
	{"sockops", BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS,
	 "proxied connections are told apart"},
	{"sk_lookup", BPF_PROG_TYPE_SK_LOOKUP, BPF_SK_LOOKUP,
	 "proxied connections reach their sandbox's worker"},
	{"raw_tp/sched_process_exec", BPF_PROG_TYPE_RAW_TRACEPOINT, 0,
	 "executables and their ancestors are recorded for rules that name binaries"},
	{"syscall", BPF_PROG_TYPE_SYSCALL, 0, "the kernel names the listed paths (Linux 5.14)"},
};

const size_t probe_programs_len = ARRAY_LEN(probe_programs);

const struct probe_map probe_maps[] = {
	{"hash", BPF_MAP_TYPE_HASH, "sandboxes, paths, binaries, endpoints"},
	{"lpm_trie", BPF_MAP_TYPE_LPM_TRIE, "address ranges"},
	{"sk_storage", BPF_MAP_TYPE_SK_STORAGE, "what a socket was admitted for"},
	{"ringbuf", BPF_MAP_TYPE_RINGBUF, "events (Linux 5.8)"},
	{"hash_of_maps", BPF_MAP_TYPE_HASH_OF_MAPS, "a ring buffer for each sandbox"},
	{"percpu_array", BPF_MAP_TYPE_PERCPU_ARRAY, "counters"},
	{"sockmap", BPF_MAP_TYPE_SOCKMAP, "the listeners of proxies"},
};

const size_t probe_maps_len = ARRAY_LEN(probe_maps);

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

/* One pass: the kernel has some 100,000 types and we want dozens of them. */
static int collect_hooks(struct probe *probe)
{
	uint32_t types = btf__type_cnt(probe->vmlinux);

	probe->hook = calloc(HOOKS_MAX, sizeof(*probe->hook));
	if (!probe->hook)
		return -ENOMEM;
	for (uint32_t id = 1; id < types; id++) {
		const struct btf_type *type = btf__type_by_id(probe->vmlinux, id);
		const char *name = btf__name_by_offset(probe->vmlinux, type->name_off);

		if (!name)
			continue;
		if (btf_is_func(type) && !strncmp(name, HOOK_PREFIX, strlen(HOOK_PREFIX)) &&
		    probe->hooks < HOOKS_MAX)
			probe->hook[probe->hooks++] =
				(struct probe_hook){name + strlen(HOOK_PREFIX), (int32_t)id};
	}
	return 0;
}

int probe_open(struct probe *ret_probe)
{
	libbpf_print_fn_t print = libbpf_set_print(silent);
	struct probe probe = {};
	int r = 0;

	probe.vmlinux = btf__load_vmlinux_btf();
	libbpf_set_print(print);
	if (!probe.vmlinux)
		probe.vmlinux_error = errno ? -errno : -ENOENT;
	else
		r = collect_hooks(&probe);
	if (r < 0) {
		probe_close(&probe);
		return r;
	}
	*ret_probe = probe;
	return 0;
}

void probe_close(struct probe *probe)
{
	btf__free(probe->vmlinux);
	free(probe->hook);
	*probe = (struct probe){};
}

static int hook_id(const struct probe *probe, const char *hook)
{
	for (size_t i = 0; i < probe->hooks; i++)
		if (!strcmp(probe->hook[i].name, hook))
			return probe->hook[i].id;
	return -ENOENT;
}

/* A program descriptor or a negative errno. */
static int load(uint32_t type, uint32_t attach, uint32_t btf_id, const struct bpf_insn *insn,
		size_t len)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach,
		    .attach_btf_id = btf_id,
		    .prog_flags = type == BPF_PROG_TYPE_SYSCALL ? BPF_F_SLEEPABLE : 0);
	int fd = bpf_prog_load(type, "os_probe", "Dual BSD/GPL", insn, len, &opts);

	/* 524 is the kernel's own ENOTSUPP, which no errno.h has. */
	return fd == -524 ? -EOPNOTSUPP : fd;
}

static int load_returning(uint32_t type, uint32_t attach, uint32_t btf_id, int value)
{
	const struct bpf_insn insn[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = value},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return load(type, attach, btf_id, insn, ARRAY_LEN(insn));
}

int probe_lsm_load(const struct probe *probe, const char *hook)
{
	_cleanup_close_ int fd = -1;
	int id = hook_id(probe, hook);

	if (id < 0)
		return probe->vmlinux ? id : probe->vmlinux_error;
	fd = load_returning(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, (uint32_t)id, 0);
	return fd < 0 ? fd : 0;
}

int probe_lsm_denial(const struct probe *probe)
{
	/* An errno that chroot() never has: what denies is this program. */
	const struct bpf_insn insn[] = {
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_current_pid_tgid},
		{.code = BPF_ALU64 | BPF_RSH | BPF_K, .dst_reg = BPF_REG_0, .imm = 32},
		{.code = BPF_JMP | BPF_JEQ | BPF_K,
		 .dst_reg = BPF_REG_0,
		 .imm = getpid(),
		 .off = 2},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = -EDOM},
		{.code = BPF_JMP | BPF_EXIT},
	};
	_cleanup_close_ int program = -1, attached = -1;
	int id = hook_id(probe, "path_chroot");

	if (id < 0)
		return probe->vmlinux ? id : probe->vmlinux_error;
	program = load(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, (uint32_t)id, insn, ARRAY_LEN(insn));
	if (program < 0)
		return program;
	attached = bpf_raw_tracepoint_open(NULL, program);
	if (attached < 0)
		return attached;
	if (chroot("/") == 0)
		return -ENOTRECOVERABLE;
	return errno == EDOM ? 0 : -errno;
}

int probe_program_load(const struct probe_program *program)
{
	/* 1 allows or passes on, wherever that is what the value means. */
	_cleanup_close_ int fd = load_returning(program->type, program->attach, 0, 1);

	return fd < 0 ? fd : 0;
}

int probe_map_create(const struct probe_map *map)
{
	libbpf_print_fn_t print = libbpf_set_print(silent);
	int r;

	errno = 0;
	r = libbpf_probe_bpf_map_type(map->type, NULL);
	libbpf_set_print(print);
	if (r < 0)
		return r;
	return r == 1 ? 0 : (errno ? -errno : -EINVAL);
}

static const struct probe_program *find_program(const char *name)
{
	for (size_t i = 0; i < probe_programs_len; i++)
		if (!strcmp(probe_programs[i].name, name))
			return &probe_programs[i];
	return NULL;
}

static const struct probe_map *find_map(const char *name)
{
	for (size_t i = 0; i < probe_maps_len; i++)
		if (!strcmp(probe_maps[i].name, name))
			return &probe_maps[i];
	return NULL;
}

int probe_floor(const struct probe *probe, char *buf, size_t size)
{
	const struct {
		const char *what;
		int result;
	} features[] = {
		{"BTF", probe->vmlinux ? 0 : probe->vmlinux_error},
		{"ring buffers", probe_map_create(find_map("ringbuf"))},
		{"mount_setattr", probe_mount_setattr()},
		{"programs of type syscall", probe_program_load(find_program("syscall"))},
	};
	bool unknown = false;
	size_t len = 0;

	if (size)
		buf[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(features); i++) {
		if (features[i].result == -EPERM)
			unknown = true;
		else if (features[i].result < 0 && len < size)
			len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? ", " : "",
						features[i].what);
	}
	if (len)
		return -ENOSYS;
	return unknown ? -EPERM : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "loaded.h"

#include "core.skel.h"
#include "supervisor/egress.h"
#include "world.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOTS LOADED_SLOTS

static struct core_bpf *core;
static struct bpf_link *links[32];
static size_t links_len;
static struct kernel kernel;
static char root[256];
static int cgroup_fd[SLOTS + 1];
static struct ring_buffer *rings[SLOTS + 1];
static struct os_event last[SLOTS + 1];
static int fresh[SLOTS + 1];
static struct os_policy in_force[OS_SLOTS_MAX]; /* as os_policy has it, for who maps that */

static uint64_t id_of(int fd)
{
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + 8];
	} u = {.handle.handle_bytes = 8};
	uint64_t id;
	int mount;

	if (name_to_handle_at(fd, "", &u.handle, &mount, AT_EMPTY_PATH))
		die("cgroup id");
	memcpy(&id, u.handle.f_handle, sizeof(id));
	return id;
}

static int make_cgroup(const char *path)
{
	int fd;

	if (mkdir(path, 0755))
		die(path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		die(path);
	return fd;
}

/* What a run that was killed left: cgroups named after a process that is no more. */
static void sweep(const char *mount)
{
	DIR *dir = opendir(mount);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		static const char name[] = "ostest-egress-";
		char path[sizeof(root) + 320];
		long pid;

		if (strncmp(entry->d_name, name, sizeof(name) - 1))
			continue;
		pid = strtol(entry->d_name + sizeof(name) - 1, NULL, 10);
		if (pid <= 0 || !kill((pid_t)pid, 0) || errno != ESRCH)
			continue;
		for (uint32_t slot = 1; slot <= SLOTS; slot++) {
			snprintf(path, sizeof(path), "%s/%s/%u", mount, entry->d_name, slot);
			rmdir(path);
		}
		snprintf(path, sizeof(path), "%s/%s", mount, entry->d_name);
		rmdir(path);
	}
	if (dir)
		closedir(dir);
}

static uint32_t watched_pid;
static unsigned int watched;
static struct os_event refused;

static int keep(void *ctx, void *data, size_t size)
{
	uint32_t slot = (uint32_t)(uintptr_t)ctx;

	if (size >= sizeof(struct os_event)) {
		const struct os_event *event = data;

		if (event->hook == OS_HOOK_EGRESS && event->pid == watched_pid) {
			watched++;
			refused = *event;
		}
		if (event->hook == OS_HOOK_EXEC)
			return 0; /* may come between an act and its event */
		memcpy(&last[slot], data, sizeof(struct os_event));
		fresh[slot] = 1;
	}
	return 0;
}

static void open_slot(uint32_t slot)
{
	char path[sizeof(root) + 16];
	uint64_t id;
	int ring;

	snprintf(path, sizeof(path), "%s/%u", root, slot);
	cgroup_fd[slot] = make_cgroup(path);
	id = id_of(cgroup_fd[slot]);
	ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, 262144, NULL);
	if (ring < 0 ||
	    bpf_map_update_elem(bpf_map__fd(core->maps.os_event), &slot, &ring, BPF_ANY) ||
	    bpf_map_update_elem(bpf_map__fd(core->maps.os_sandbox), &id, &slot, BPF_ANY))
		die("slot");
	rings[slot] = ring_buffer__new(ring, keep, (void *)(uintptr_t)slot, NULL);
	if (!rings[slot])
		die("ring buffer");
}

static struct bpf_link *attach(struct bpf_program *prog)
{
	struct bpf_link *link;
	int ns;

	switch (bpf_program__type(prog)) {
	case BPF_PROG_TYPE_RAW_TRACEPOINT:
		return bpf_program__attach(prog);
	case BPF_PROG_TYPE_SK_LOOKUP:
		ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		link = bpf_program__attach_netns(prog, ns);
		close(ns);
		return link;
	default:
		return bpf_program__attach_cgroup(prog, cgroup_fd[0]);
	}
}

void loaded_open(void)
{
	const char *mount = access("/sys/fs/cgroup/unified/cgroup.procs", F_OK)
				    ? "/sys/fs/cgroup"
				    : "/sys/fs/cgroup/unified";
	struct bpf_program *prog;

	sweep(mount);
	snprintf(root, sizeof(root), "%s/ostest-egress-%d", mount, getpid());
	cgroup_fd[0] = make_cgroup(root);
	core = core_bpf__open();
	if (!core)
		die("core object");
	core->rodata->os_root_cgroup = id_of(cgroup_fd[0]);
	core->rodata->os_root_level = 1;
	if (core_bpf__load(core))
		die("core object does not load");
	kernel.maps.binary = bpf_map__fd(core->maps.os_binary);
	kernel.maps.endpoint = bpf_map__fd(core->maps.os_endpoint);
	kernel.maps.cidr = bpf_map__fd(core->maps.os_cidr);
	kernel.maps.name = bpf_map__fd(core->maps.os_name);
	kernel.maps.flow = bpf_map__fd(core->maps.os_flow);
	kernel.maps.proxied = bpf_map__fd(core->maps.os_proxied);
	kernel.maps.listener = bpf_map__fd(core->maps.os_listener);
	kernel.maps.sock = bpf_map__fd(core->maps.os_sock);
	kernel.policy = in_force;
	kernel.file_probe_fd = bpf_program__fd(core->progs.file_probe);
	for (uint32_t slot = 1; slot <= SLOTS; slot++)
		open_slot(slot);
	bpf_object__for_each_program(prog, core->obj)
	{
		struct bpf_link *link;

		if (bpf_program__type(prog) == BPF_PROG_TYPE_SYSCALL ||
		    !strcmp(bpf_program__name(prog), "worker_packet_out"))
			continue;
		link = attach(prog);
		if (!link)
			die(bpf_program__name(prog));
		links[links_len++] = link;
	}
}

void loaded_close(void)
{
	while (links_len)
		bpf_link__destroy(links[--links_len]);
	for (uint32_t slot = 1; slot <= SLOTS; slot++) {
		char path[sizeof(root) + 16];

		ring_buffer__free(rings[slot]);
		snprintf(path, sizeof(path), "%s/%u", root, slot);
		for (int i = 0; i < 100 && rmdir(path) && errno == EBUSY; i++)
			usleep(20000);
	}
	if (rmdir(root))
		perror(root);
	core_bpf__destroy(core);
}

void loaded_switch(uint32_t slot, uint32_t generation, uint32_t mode)
{
	const struct os_policy policy = {.generation = generation, .mode = mode};

	if (bpf_map_update_elem(bpf_map__fd(core->maps.os_policy), &slot, &policy, BPF_ANY))
		die("os_policy");
	in_force[slot] = policy;
}

int loaded_policy(uint32_t slot, uint32_t generation, uint32_t mode,
		  const Openshell__Compiled__V1__CompiledPolicy *policy)
{
	struct egress_report report = {};
	struct error err = {};
	int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = egress_write(&kernel, slot, generation, policy, host, &report, &err);

	close(host);
	if (r) {
		printf("# %s\n", err.message);
		return r;
	}
	loaded_switch(slot, generation, mode);
	egress_erase(&kernel, slot, generation - 1);
	return 0;
}

uint64_t loaded_count(uint32_t index)
{
	uint64_t values[256] = {}, sum = 0;
	int cpus = libbpf_num_possible_cpus();

	if (cpus > 256 || bpf_map_lookup_elem(bpf_map__fd(core->maps.os_count), &index, values))
		die("os_count");
	for (int i = 0; i < cpus; i++)
		sum += values[i];
	return sum;
}

static void *listen_to(void *ring)
{
	while (ring_buffer__poll(ring, -1) >= 0 || errno == EINTR)
		;
	return NULL;
}

void loaded_listen(void)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, listen_to, rings[1]);
	if (errno)
		die("thread");
	pthread_detach(thread);
}

static int stats_fd = -1;

void loaded_measure(void)
{
	stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (stats_fd < 0)
		die("bpf statistics");
}

void loaded_print_times(void)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, core->obj)
	{
		struct bpf_prog_info info = {};
		uint32_t size = sizeof(info);

		if (bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &size) || !info.run_cnt)
			continue;
		printf("%-32s %6llu ns a run, %llu runs\n", bpf_program__name(prog),
		       (unsigned long long)(info.run_time_ns / info.run_cnt),
		       (unsigned long long)info.run_cnt);
	}
	close(stats_fd);
}

int loaded_event(uint32_t slot, struct os_event *ret_event)
{
	fresh[slot] = 0;
	ring_buffer__consume(rings[slot]);
	if (fresh[slot])
		*ret_event = last[slot];
	return fresh[slot];
}

void loaded_watch(pid_t pid)
{
	watched_pid = (uint32_t)pid;
	watched = 0;
}

unsigned int loaded_watched(uint32_t slot, struct os_event *ret_event)
{
	ring_buffer__consume(rings[slot]);
	if (watched)
		*ret_event = refused;
	return watched;
}

int loaded_map(const char *name)
{
	int fd = bpf_object__find_map_fd_by_name(core->obj, name);

	if (fd < 0)
		die(name);
	return fd;
}

const struct kernel *loaded_kernel(void)
{
	return &kernel;
}

struct os_image loaded_image(const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	struct os_image image = {};
	uint32_t mode;

	if (fd < 0 || kernel_identify(&kernel, fd, &image, &mode))
		die(path);
	close(fd);
	return image;
}

size_t loaded_processes(void)
{
	int map = bpf_map__fd(core->maps.os_proc);
	uint32_t key, *previous = NULL;
	size_t n = 0;

	for (; !bpf_map_get_next_key(map, previous, &key); previous = &key)
		n++;
	return n;
}

pid_t loaded_run(uint32_t slot, char *const argv[], int *ret_report, int *ret_go)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	int report[2], go[2];
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, go))
		die("pipe");
	if (slot) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup_fd[slot];
	}
	fflush(stdout);
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		die("clone3");
	if (!pid) {
		/* Above what they are moved to, so that neither overwrites the other. */
		int r = fcntl(report[1], F_DUPFD, 100), g = fcntl(go[1], F_DUPFD, 100);

		dup2(r, 3);
		dup2(g, 4);
		close(r);
		close(g);
		execv(argv[0], argv);
		_exit(127);
	}
	close(report[1]);
	close(go[1]);
	*ret_report = report[0];
	*ret_go = go[0];
	return pid;
}

/* The loader's job, in a test that loads by itself. */
int kernel_identify(const struct kernel *k, int fd, struct os_image *ret_image, uint32_t *ret_mode)
{
	struct os_file_probe probe = {.fd = (uint32_t)fd};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &probe, .ctx_size_in = sizeof(probe));
	int r = bpf_prog_test_run_opts(k->file_probe_fd, &opts);

	if (r)
		return r;
	if (opts.retval)
		return (int)opts.retval;
	*ret_image = (struct os_image){.file = probe.file, .changed = probe.changed};
	*ret_mode = probe.mode;
	return 0;
}

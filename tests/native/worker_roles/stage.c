/* SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

#include "common/cleanup.h"
#include "core.skel.h"
#include "names.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct kernel kernel;
struct worker *worker;
char real[PATH_MAX], hostile[PATH_MAX], liar[PATH_MAX];
int client = -1; /* the agent: a UDP socket */

/* What the callbacks heard. */
unsigned int problems, refusals;
char problem[512], refused_name[WORKER_NAME_MAX + 1];
struct worker_refusal refusal;
struct os_flow flow_asked;
bool flow_allowed, proxied;
unsigned int requests, requests_denied, ca_changes;
uint64_t requests_stand_for, request_bytes;
bool request_query;
int listener = -1;

_Noreturn void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

double now_ms(void)
{
	return (double)worker_now() / 1e6;
}

void put_flow(uint16_t protocol, uint16_t local, uint16_t remote, uint32_t slot)
{
	static const uint8_t loopback[16] = {[10] = 0xff, 0xff, 127, 0, 0, 1};
	struct os_flow_key key = {.local_port = local, .remote_port = remote, .protocol = protocol};
	struct os_flow flow = {.slot = slot, .tgid = 4711};

	memcpy(key.local, loopback, 16);
	memcpy(key.remote, loopback, 16);
	if (bpf_map_update_elem(kernel.maps.flow, &key, &flow, BPF_ANY))
		die("os_flow");
}

void put_proxied(int fd, const struct os_flow *flow)
{
	struct os_flow_key key = {.protocol = IPPROTO_TCP};
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	memset(key.local + 10, 0xff, 2);
	memset(key.remote + 10, 0xff, 2);
	if (getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		die("getsockname");
	memcpy(key.local + 12, &at.sin_addr, 4);
	key.local_port = ntohs(at.sin_port);
	if (getpeername(fd, (struct sockaddr *)&at, &len) < 0)
		die("getpeername");
	memcpy(key.remote + 12, &at.sin_addr, 4);
	key.remote_port = ntohs(at.sin_port);
	if (bpf_map_update_elem(kernel.maps.proxied, &key, flow, BPF_ANY))
		die("os_proxied");
}

uint16_t port_of(int fd)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	if (getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		die("getsockname");
	return ntohs(at.sin_port);
}

static void on_refused(void *arg, const struct worker_refusal *told)
{
	refusals++;
	refusal = *told;
	snprintf(refused_name, sizeof(refused_name), "%s", told->name);
}

static void on_problem(void *arg, const char *sentence)
{
	problems++;
	snprintf(problem, sizeof(problem), "%s", sentence);
}

/* The socket to go on with: the end of a pipe that says so. */
static int on_flow(void *arg, const struct os_flow *flow, int *ret_fd)
{
	int ends[2];

	flow_asked = *flow;
	if (!flow_allowed)
		return -EPERM;
	if (pipe2(ends, O_CLOEXEC) < 0 || write(ends[1], "go on", 5) != 5)
		return -errno;
	close(ends[1]);
	*ret_fd = ends[0];
	return 0;
}

/* What the kernel says of it, and of its process what a path is enough for. */
static int on_origin(void *arg, const struct os_flow *flow, struct worker_origin *ret_origin)
{
	flow_asked = *flow;
	if (!flow_allowed)
		return -EPERM;
	ret_origin->generation = flow->generation;
	ret_origin->pid = flow->tgid;
	ret_origin->port = flow->asked_port;
	memcpy(ret_origin->asked, flow->asked, 16);
	ret_origin->binary_length = 9;
	memcpy(ret_origin->binary, "/bin/true", 9);
	return 0;
}

static void on_request(void *arg, const struct worker_request *told)
{
	requests++;
	requests_stand_for += told->repeated ? told->repeated : 1;
	request_bytes += told->record->down;
	requests_denied += told->record->verdict == WORKER_RECORD_DENIED;
	request_query |= memchr(told->record->text[WORKER_RECORD_PATH].data, '?',
				told->record->text[WORKER_RECORD_PATH].size) != NULL;
}

static void on_ca_changed(void *arg)
{
	ca_changes++;
}

/*
 * In place of the kernel side's: a listener is found by who knows its address, and nobody is
 * redirected.
 */
int kernel_set_listener(const struct kernel *k, uint32_t slot, int fd)
{
	listener = fd;
	return 0;
}

int kernel_find_flow(const struct kernel *k, const struct os_flow_key *key,
		     struct os_flow *ret_flow)
{
	return bpf_map_lookup_elem(k->maps.proxied, key, ret_flow) &&
			       bpf_map_lookup_elem(k->maps.flow, key, ret_flow)
		       ? -ENOENT
		       : 0;
}

int start(const char *program, struct error *err)
{
	const struct worker_options options = {
		.kernel = &kernel,
		.slot = SLOT,
		.refused = on_refused,
		.problem = on_problem,
		.flow = on_flow,
		.origin = on_origin,
		.request = on_request,
		.ca_changed = on_ca_changed,
		.proxies = proxied,
		.program = program,
	};

	problems = refusals = requests = requests_denied = ca_changes = 0;
	requests_stand_for = request_bytes = 0;
	fake_forget();
	return worker_start(&options, &worker, err);
}

void fresh(const char *program)
{
	struct error err = {};

	worker_free(worker);
	worker = NULL;
	if (start(program, &err)) {
		printf("Bail out! a worker cannot be started: %s\n", err.message);
		exit(1);
	}
}

/* Run the supervisor's loop for at most @ms, or until the agent's socket has something. */
bool pump(int ms)
{
	double end = now_ms() + ms;

	for (;;) {
		struct pollfd wait[] = {{.fd = worker_fd(worker), .events = POLLIN},
					{.fd = client, .events = POLLIN}};
		int left = (int)(end - now_ms());

		if (left < 0 || poll(wait, 2, left) < 0)
			return false;
		if (wait[0].revents)
			worker_poll(worker);
		if (wait[1].revents)
			return true;
	}
}

void pump_until_problem(unsigned int more_than, int ms)
{
	for (double end = now_ms() + ms; problems <= more_than && now_ms() < end;)
		pump(10);
}

void tell(const char *command)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(worker->sockets.address.dns_udp4)};

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sendto(client, command, strlen(command), 0, (struct sockaddr *)&to, sizeof(to));
}

/* What the worker answers to @command within @ms, or "". */
const char *say_for(const char *command, int ms)
{
	static char text[512];
	ssize_t n;

	while (recv(client, text, sizeof(text), MSG_DONTWAIT) >= 0)
		;
	tell(command);
	n = pump(ms) ? recv(client, text, sizeof(text) - 1, MSG_DONTWAIT) : 0;
	text[n > 0 ? n : 0] = '\0';
	return text;
}

const char *say(const char *command)
{
	return say_for(command, 5000);
}

bool said(const char *command, const char *wanted)
{
	const char *got = say(command);

	if (!strcmp(got, wanted))
		return true;
	printf("# %s: '%s', expected '%s'; last problem: %s\n", command, got, wanted, problem);
	return false;
}

/* Processes: the zygote, then its children. */
static size_t children_of(pid_t pid, pid_t *ret_pids, size_t max)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[64];
	size_t n = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	file = fopen(path, "re");
	while (file && n < max && fscanf(file, "%d", &ret_pids[n]) == 1)
		n++;
	return n;
}

pid_t zygote_pid(void)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[64], line[128];
	int pid = 0;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", worker->zygote.pidfd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Pid: %d", &pid) == 1)
			break;
	return pid;
}

size_t processes(pid_t pids[PROCESSES])
{
	pids[0] = zygote_pid();
	return 1 + children_of(pids[0], pids + 1, PROCESSES - 1);
}

bool all_gone(const pid_t *pids, size_t n, int ms)
{
	for (double end = now_ms() + ms;;) {
		size_t left = 0;

		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		for (size_t i = 0; i < n; i++)
			left += kill(pids[i], 0) == 0;
		if (!left)
			return true;
		if (now_ms() > end)
			return false;
		usleep(1000);
	}
}

size_t open_descriptors(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Surroundings */

static void write_file(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0 || fchmod(fd, 0644) < 0)
		die(path);
}

static void set_up_file(const char *dir, const char *target, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/file", dir);
	write_file(path, text);
	if (mount(path, target, NULL, MS_BIND, NULL) < 0)
		die(target);
	unlink(path);
}

/* "ip ARGUMENT..", without a shell. */
static void ip(const char *a, const char *b, const char *c, const char *d, const char *e,
	       const char *f)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execlp("ip", "ip", a, b, c, d, e, f, NULL);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		die("ip");
}

static void set_up_host(void)
{
	char dir[] = "/tmp/openshell-worker.XXXXXX";

	if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || !mkdtemp(dir))
		die("namespaces");
	set_up_file(dir, "/etc/resolv.conf", "nameserver 127.0.0.1\n");
	set_up_file(dir, "/etc/hosts",
		    "127.0.0.1 localhost\n198.51.100.44 listed.example\n"
		    "127.0.0.1 model.test\n169.254.169.254 metadata.test\n");
	rmdir(dir);
	ip("link", "set", "lo", "up", NULL, NULL);
	/* An address towards everywhere, which is what the host's name is to mean. */
	ip("address", "add", "10.9.8.7/32", "dev", "lo", NULL);
	ip("route", "add", "default", "dev", "lo", NULL);
	dns_start();
}

/* Maps of the kernel side's, and the program that reads one of them. */
static void set_up_maps(void)
{
	struct core_bpf *core = core_bpf__open();
	struct bpf_program *prog;
	struct error err = {};

	if (!core)
		die("core object");
	bpf_object__for_each_program(prog, core->obj)
		bpf_program__set_autoload(prog, prog == core->progs.worker_packet_out);
	if (core_bpf__load(core) || cgroup_mounts_load(&kernel.tree.mounts, &err))
		die("core object does not load, or no cgroup v2");
	kernel.maps.worker = bpf_map__fd(core->maps.os_worker);
	kernel.maps.flow = bpf_map__fd(core->maps.os_flow);
	kernel.maps.proxied = bpf_map__fd(core->maps.os_proxied);
	kernel.maps.endpoint = bpf_map__fd(core->maps.os_endpoint);
	kernel.maps.cidr = bpf_map__fd(core->maps.os_cidr);
	kernel.policy = calloc(OS_SLOTS_MAX, sizeof(*kernel.policy));
	if (!kernel.policy)
		die("memory");
	kernel.policy[SLOT] = (struct os_policy){.generation = 3, .mode = OS_MODE_ENFORCE};
	kernel.maps.sock = bpf_map__fd(core->maps.os_sock);
	kernel.worker_filter_fd = bpf_program__fd(core->progs.worker_packet_out);
}

static void set_up_client(void)
{
	const struct os_sock own = {.slot = SLOT}; /* as the kernel side has it */
	struct sockaddr_in at = {.sin_family = AF_INET};

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (client < 0 || bind(client, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    bpf_map_update_elem(kernel.maps.sock, &client, &own, BPF_ANY))
		die("client");
}

/* Where the programs are: beside this one, and in the build's bin. */
static void find_programs(void)
{
	char self[PATH_MAX - 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n < 0)
		die("/proc/self/exe");
	self[n] = '\0';
	slash = strrchr(self, '/');
	*slash = '\0';
	snprintf(hostile, sizeof(hostile), "%s/worker_roles/hostile", self);
	snprintf(liar, sizeof(liar), "%s/worker_roles/liar", self);
	snprintf(real, sizeof(real), "%s/../../bin/openshell-proxy", self);
}

void set_up(void)
{
	find_programs();
	set_up_host();
	set_up_maps();
	set_up_client();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listeners of proxies, in network namespaces of the test's own: where the program is attached, for
 * how long, and who it gives connections to. os_proxied is filled by hand.
 */
#include "common/cleanup.h"
#include "core.skel.h"
#include "supervisor/kernel.h"
#include "tap.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOT 3

static struct kernel kernel;

static _Noreturn void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void new_network(void)
{
	int fd;
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};

	if (unshare(CLONE_NEWNET))
		die("unshare");
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo))
		die("lo");
	close(fd);
}

static struct core_bpf *load(void)
{
	struct core_bpf *core = core_bpf__open();
	struct bpf_program *prog;

	if (!core)
		die("core object");
	bpf_object__for_each_program(prog, core->obj)
		bpf_program__set_autoload(prog, prog == core->progs.egress_redirect);
	if (core_bpf__load(core))
		die("core object");
	kernel.redirect_fd = bpf_program__fd(core->progs.egress_redirect);
	kernel.maps.listener = bpf_map__fd(core->maps.os_listener);
	kernel.maps.proxied = bpf_map__fd(core->maps.os_proxied);
	kernel.maps.flow = bpf_map__fd(core->maps.os_flow);
	return core;
}

static int socket_at(int type, uint32_t address, uint16_t port)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(address), .sin_port = htons(port)};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)))
		die("socket");
	return fd;
}

static int listener(void)
{
	int fd = socket_at(SOCK_STREAM | SOCK_NONBLOCK, OS_PROXY_LISTENER, 0);

	if (listen(fd, 16))
		die("listen");
	return fd;
}

/* Pinned links; those with @ino alone, unless it is 0. */
static unsigned int links(ino_t ino)
{
	static const char prefix[] = "link_egress_redirect_";
	DIR *dir = opendir(KERNEL_PIN_DIR);
	struct dirent *entry;
	unsigned int n = 0;
	char name[64];

	if (!dir)
		die(KERNEL_PIN_DIR);
	snprintf(name, sizeof(name), "%s%lu", prefix, (unsigned long)ino);
	while ((entry = readdir(dir)))
		n += ino ? !strcmp(entry->d_name, name)
			 : !strncmp(entry->d_name, prefix, sizeof(prefix) - 1);
	closedir(dir);
	return n;
}

static ino_t network(void)
{
	struct stat st;

	if (stat("/proc/self/ns/net", &st))
		die("namespace");
	return st.st_ino;
}

static bool is_known(void)
{
	const uint32_t slot = SLOT;
	uint64_t cookie;

	return !bpf_map_lookup_elem(kernel.maps.listener, &slot, &cookie) && cookie;
}

static struct os_flow_key flow(uint16_t from, uint32_t to, uint16_t port)
{
	struct os_flow_key key = {.local = {[10] = 0xff, 0xff, 127, 0, 0, 1},
				  .remote = {[10] = 0xff, 0xff},
				  .local_port = from,
				  .remote_port = port,
				  .protocol = IPPROTO_TCP};
	uint32_t address = htonl(to);

	memcpy(key.remote + 12, &address, 4);
	return key;
}

/* Connect from a port of our own: the errno. */
static int dial(uint16_t from, uint32_t to, uint16_t port)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(to), .sin_port = htons(port)};
	int fd = socket_at(SOCK_STREAM, INADDR_LOOPBACK, from);
	int r = connect(fd, (struct sockaddr *)&at, sizeof(at)) ? errno : 0;
	const struct linger none = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(fd);
	return r;
}

static bool accepts(int fd)
{
	int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	safe_close(accepted);
	return accepted >= 0;
}

/* In another network, which ends with the process: 0, or what went wrong. */
static int in_another_network(ino_t *ret_ino)
{
	int pipe_fd[2], status;
	pid_t pid;

	if (pipe2(pipe_fd, O_CLOEXEC))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		ino_t ino;

		new_network();
		ino = network();
		if (kernel_set_listener(&kernel, SLOT + 1, listener()))
			_exit(1);
		_exit(write(pipe_fd[1], &ino, sizeof(ino)) == sizeof(ino) ? 0 : 2);
	}
	close(pipe_fd[1]);
	if (read(pipe_fd[0], ret_ino, sizeof(*ret_ino)) != sizeof(*ret_ino))
		*ret_ino = 0;
	close(pipe_fd[0]);
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void check_attached(void)
{
	ino_t other = 0, another = 0;
	int fd = listener(), r;

	ok(!links(0), "nothing is attached before");
	r = kernel_set_listener(&kernel, SLOT, fd);
	ok(!r && links(network()) == 1 && is_known(), "with the first listener it is (%d)", r);
	r = kernel_set_listener(&kernel, SLOT, fd);
	ok(!r && links(0) == 1 && is_known(), "once (%d)", r);
	r = in_another_network(&other);
	ok(!r && other && links(other) == 1 && links(0) == 2, "and in another network (%d)", r);
	/* Namespaces are taken apart by a thread of the kernel's. */
	for (int i = 0; i < 100 && (links(other) || !another); i++) {
		r = in_another_network(&another);
		usleep(20000);
	}
	ok(!r && !links(other) && links(network()) == 1,
	   "what was attached to a network that is gone is removed (%d)", r);
	kernel_clear_listener(&kernel, SLOT);
	ok(!is_known(), "a listener is forgotten");
	r = kernel_set_listener(&kernel, SLOT, fd);
	ok(!r && is_known(), "and known again (%d)", r);
	close(fd);
	ok(!is_known(), "one that is closed is gone by itself");
}

static void check_refused(void)
{
	int udp = socket_at(SOCK_DGRAM, INADDR_LOOPBACK, 0), fd;

	ok(kernel_set_listener(&kernel, SLOT, -1) < 0 && !is_known(), "no socket is none");
	ok(kernel_set_listener(&kernel, OS_SLOTS_MAX, udp) < 0, "no slot neither");
	close(udp);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ok(kernel_set_listener(&kernel, SLOT, fd) < 0 || !is_known() ||
		   dial(2101, OS_PROXY_IPV4 + 1, 443) == ECONNREFUSED,
	   "a socket of another kind gets nothing");
	kernel_clear_listener(&kernel, SLOT);
	close(fd);
}

static void check_given(void)
{
	const uint32_t to = OS_PROXY_IPV4 + SLOT * OS_PROXY_SPREAD + 1;
	const struct os_flow known = {.slot = SLOT, .tgid = 7};
	struct os_flow_key key = flow(2001, to, 443);
	int fd = listener(), host = socket_at(SOCK_STREAM | SOCK_NONBLOCK, INADDR_ANY, 443);
	struct os_flow found;
	int r;

	if (listen(host, 16) || kernel_set_listener(&kernel, SLOT, fd))
		die("listeners");
	ok(kernel_find_flow(&kernel, &key, &found) == -ENOENT, "nobody is known yet");
	r = dial(2001, to, 443);
	ok(!r && !accepts(fd) && accepts(host), "who is not known meets who listens there (%d)", r);
	if (bpf_map_update_elem(kernel.maps.proxied, &key, &known, BPF_ANY))
		die("os_proxied");
	ok(!kernel_find_flow(&kernel, &key, &found) && found.tgid == 7, "somebody is known");
	r = dial(2001, to, 443);
	ok(!r && accepts(fd) && !accepts(host), "who is known meets the proxy (%d)", r);
	r = dial(2002, to, 443);
	ok(!r && !accepts(fd) && accepts(host), "by all of the port (%d)", r);
	r = dial(2001, to + 1, 443);
	ok(!r && !accepts(fd) && accepts(host), "and of the address (%d)", r);
	kernel_clear_listener(&kernel, SLOT);
	r = dial(2001, to, 443);
	ok(r == ECONNREFUSED && !accepts(fd) && !accepts(host),
	   "without a listener nobody is met (%d)", r);
	bpf_map_delete_elem(kernel.maps.proxied, &key);
	if (bpf_map_update_elem(kernel.maps.flow, &key, &known, BPF_ANY))
		die("os_flow");
	ok(!kernel_find_flow(&kernel, &key, &found) && found.slot == SLOT,
	   "who is gone is remembered");
	r = dial(2003, OS_PROXY_LISTENER, 443);
	ok(r == ECONNREFUSED, "a listener's address is nobody's, not the host's either (%d)", r);
	close(fd);
	close(host);
}

/* A server on a port of which the proxy has a connection. */
static void check_server(void)
{
	const uint32_t to = OS_PROXY_IPV4 + SLOT * OS_PROXY_SPREAD + 1;
	const struct os_flow known = {.slot = SLOT};
	struct os_flow_key key = flow(2011, to, 444);
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(to), .sin_port = htons(444)};
	int fd = listener(), client = socket_at(SOCK_STREAM, INADDR_LOOPBACK, 2011), accepted;
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	if (kernel_set_listener(&kernel, SLOT, fd) ||
	    bpf_map_update_elem(kernel.maps.proxied, &key, &known, BPF_ANY) ||
	    connect(client, (struct sockaddr *)&at, sizeof(at)))
		die("a connection");
	accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	at.sin_addr.s_addr = INADDR_ANY;
	setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	ok(accepted >= 0 && !bind(server, (struct sockaddr *)&at, sizeof(at)) && !listen(server, 1),
	   "a server of the host can start on a port that connections to the proxy have");
	close(server);
	close(client);
	safe_close(accepted);
	close(fd);
}

int main(void)
{
	struct core_bpf *core;

	if (geteuid() != 0) {
		skip("listeners of proxies", "needs root");
		return tap_end();
	}
	if (access("/sys/kernel/btf/vmlinux", R_OK)) {
		skip("listeners of proxies", "the kernel has no BTF");
		return tap_end();
	}
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=0700") || mkdir(KERNEL_PIN_DIR, 0700))
		die("a bpffs of our own");
	new_network();
	core = load();
	check_attached();
	check_refused();
	check_given();
	check_server();
	core_bpf__destroy(core);
	return tap_end();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include "common/cleanup.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>

static const char here[] = "link set lo up\n"
			   "addr add 10.77.0.1/24 dev b0\n"
			   "addr add fd77::1/64 dev b0 nodad\n"
			   "addr add fe80::78/64 dev b0 nodad\n"
			   "link set b0 up\n"
			   "route add default via 10.77.0.2\n"
			   "route add ::/0 via fd77::2\n";

/* `local` routes: every address of the range is one of ours. */
static const char there[] = "link set lo up\n"
			    "addr add 10.77.0.2/24 dev b1\n"
			    "addr add 10.77.0.3/24 dev b1\n"
			    "addr add 10.77.0.53/24 dev b1\n"
			    "addr add 192.88.99.2/32 dev b1\n"
			    "addr add fd77::2/64 dev b1 nodad\n"
			    "addr add fd77::3/64 dev b1 nodad\n"
			    "addr add fe80::77/64 dev b1 nodad\n"
			    "link set b1 up\n"
			    "route add local 11.22.33.0/24 dev b1\n"
			    "route add local 8.8.8.0/24 dev b1\n"
			    "route add local 198.18.0.0/15 dev b1\n"
			    "route add local 169.254.169.254/32 dev b1\n"
			    "route add local 100.100.100.200/32 dev b1\n"
			    "route add local 172.30.0.0/24 dev b1\n"
			    "route add local 2600:77::/64 dev b1\n"
			    "route add local 2001:4860:4860::/64 dev b1\n"
			    "route add local fd6f:7065:6e73:6865::/64 dev b1\n"
			    "route add local fd00:ec2::254/128 dev b1\n"
			    "route add local 64:ff9b::/96 dev b1\n"
			    "route add local 2002::/16 dev b1\n";

/* Where names are. `.test` is answered by this server alone. */
static const struct server_name names[] = {
	{"first.test", {"11.22.33.10"}, {}, NULL, 60},
	{"allowed.test", {"11.22.33.1"}, {"2600:77::1"}, NULL, 60},
	{"second.test", {"11.22.33.2"}, {"2600:77::2"}, NULL, 60},
	{"same-address.test", {"11.22.33.1"}, {"2600:77::1"}, NULL, 60},
	{"parent-only.test", {"11.22.33.3"}, {}, NULL, 60},
	{"denied.test", {"11.22.33.9"}, {"2600:77::9"}, NULL, 60},
	{"under_score.test", {"11.22.33.4"}, {}, NULL, 60},
	{"xn--bcher-kva.test", {"11.22.33.5"}, {}, NULL, 60},
	{"stale.test", {"11.22.33.40"}, {}, NULL, 60},
	{"rebinds.test", {"11.22.33.7"}, {}, "169.254.169.254", 1},
	{"moves.test", {"11.22.33.7"}, {}, "11.22.33.8", 1},
	{"metadata.test", {"169.254.169.254"}, {"fd00:ec2::254"}, NULL, 60},
	{"loopback.test", {"127.0.0.1"}, {"::1"}, NULL, 60},
	{"mapped.test", {}, {"::ffff:127.0.0.1", "64:ff9b::7f00:1"}, NULL, 60},
	{"synthetic.test", {"198.18.0.1"}, {"fd6f:7065:6e73:6865::1"}, NULL, 60},
	{"mixed.test", {"169.254.169.254", "11.22.33.8"}, {}, NULL, 60},
	{"private.test", {"172.30.0.1"}, {}, NULL, 60},
	{"inner.wild.test", {"172.30.0.1"}, {}, NULL, 60},
	{"dns.test", {"8.8.8.8"}, {"2001:4860:4860::8888"}, NULL, 60},
	{"*.slow.test", {"11.22.33.23"}, {"2600:77::23"}, NULL, 60},
	{"*.wild.test", {"11.22.33.20"}, {"2600:77::20"}, NULL, 60},
	{"*.tunnel.test", {"11.22.33.21"}, {}, NULL, 60},
	{"long.test", {"11.22.33.22"}, {}, NULL, 60},
};

static const uint16_t outside_ports[] = {WORLD_PORT, WORLD_OTHER, 443, 853, 80, 5353};
static const uint16_t here_ports[] = {WORLD_HOST};

static struct {
	pid_t server[2];
	int outside, here; /* network namespaces */
	int wire;	   /* a packet socket where everything that leaves arrives */
	bool veth;
	struct server_seen *seen, *seen_here;
} world = {.outside = -1, .here = -1, .wire = -1};

void world_die(const char *fmt, ...)
{
	int error = errno;
	va_list args;

	printf("Bail out! ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf(" (%s)\n", strerror(error));
	exit(1);
}

static void write_file(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		world_die("%s", path);
}

/* True if `ip` carried all of @commands out; with @device for b1 if there is no b1. */
static bool ip_batch(const char *commands, const char *device)
{
	_cleanup_free_ char *text = strdup(commands);
	int in[2], status;
	pid_t pid;

	for (char *c = text; device && (c = strstr(c, "b1")); c += 2)
		memcpy(c, device, 2);
	fflush(stdout);
	if (pipe(in) || (pid = fork()) < 0)
		world_die("ip");
	if (!pid) {
		dup2(in[0], 0);
		close(in[1]);
		execlp("ip", "ip", "-batch", "-", NULL);
		_exit(127);
	}
	close(in[0]);
	if (write(in[1], text, strlen(text)) < 0)
		world_die("ip");
	close(in[1]);
	return waitpid(pid, &status, 0) == pid && !status;
}

static int namespace_of(pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		world_die("%s", path);
	return fd;
}

void world_enter_outside(void)
{
	if (setns(world.outside, CLONE_NEWNET))
		world_die("setns");
}

static void *shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		world_die("mmap");
	return p;
}

static void wait_byte(int fd)
{
	char c;

	if (read(fd, &c, 1) != 1)
		world_die("a server did not start");
}

/* A server in the namespace outside, or in the host's. */
static pid_t start(const struct server_spec *spec, bool outside, int ready)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		world_die("fork");
	if (!pid) {
		if (outside)
			world_enter_outside();
		server_run(spec);
	}
	wait_byte(ready);
	return pid;
}

/* A process that holds the namespace outside until it has been opened. */
static void make_outside(void)
{
	int made[2], done[2];
	char command[128];
	pid_t pid;

	if (pipe2(made, O_CLOEXEC) || pipe2(done, O_CLOEXEC))
		world_die("pipe");
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		world_die("fork");
	if (!pid) {
		if (unshare(CLONE_NEWNET) || write(made[1], "", 1) != 1)
			_exit(1);
		close(done[1]);
		_exit(read(done[0], made, 1) < 0);
	}
	close(done[0]);
	wait_byte(made[0]);
	snprintf(command, sizeof(command), "link add b0 type veth peer name b1 netns %d\n", pid);
	world.veth = ip_batch(command, NULL);
	world.here = namespace_of(getpid());
	world.outside = namespace_of(world.veth ? pid : getpid());
	close(made[0]);
	close(made[1]);
	close(done[1]);
	waitpid(pid, NULL, 0);
}

static void open_wire(void)
{
	world.wire = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
	if (world.wire < 0)
		world_die("packet socket");
}

static void write_sysctls(void)
{
	write_file("/proc/sys/net/ipv4/tcp_fastopen", "3");
	write_file("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
}

/* What the resolvers of the host read. */
static void bind_text(const char *dir, const char *name, const char *target, const char *text)
{
	char path[4200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	write_file(path, text);
	if (mount(path, target, NULL, MS_BIND, NULL))
		world_die("%s", target);
}

void world_open(const char *dir)
{
	int ready[2];
	struct server_spec spec = {
		.ports = outside_ports,
		.ports_len = ARRAY_LEN(outside_ports),
		.names = names,
		.names_len = ARRAY_LEN(names),
	};

	if (unshare(CLONE_NEWNET) || pipe2(ready, O_CLOEXEC))
		world_die("unshare");
	world.seen = shared(sizeof(*world.seen));
	world.seen_here = shared(sizeof(*world.seen_here));
	write_sysctls();
	make_outside();
	if (world.veth && !ip_batch(here, NULL))
		world_die("ip");
	/* Without veth, as in a VM's small kernel, everybody lives on the loopback device. */
	if (!world.veth)
		printf("# no veth: the world's addresses are on lo\n");
	world_enter_outside();
	if (!ip_batch(there, world.veth ? NULL : "lo"))
		world_die("ip");
	if (!world.veth && !ip_batch("addr add 10.77.0.1/24 dev lo\n"
				     "addr add fd77::1/64 dev lo nodad\n",
				     NULL))
		world_die("ip");
	write_sysctls();
	open_wire();
	if (setns(world.here, CLONE_NEWNET))
		world_die("setns");
	spec.ready = ready[1];
	spec.seen = world.seen;
	world.server[0] = start(&spec, true, ready[0]);
	spec = (struct server_spec){.ports = here_ports,
				    .ports_len = ARRAY_LEN(here_ports),
				    .seen = world.seen_here,
				    .ready = ready[1]};
	world.server[1] = start(&spec, false, ready[0]);
	close(ready[0]);
	close(ready[1]);
	bind_text(dir, "resolv.conf", "/etc/resolv.conf",
		  "nameserver " WORLD_DNS "\noptions timeout:1 attempts:2\n");
	bind_text(dir, "hosts", "/etc/hosts", "127.0.0.1 localhost\n11.22.33.30 in-hosts.test\n");
}

void world_close(void)
{
	for (size_t i = 0; i < 2; i++) {
		if (world.server[i] > 0) {
			kill(world.server[i], SIGKILL);
			waitpid(world.server[i], NULL, 0);
		}
		world.server[i] = 0;
	}
	umount2("/etc/resolv.conf", MNT_DETACH);
	umount2("/etc/hosts", MNT_DETACH);
}

struct server_seen *world_seen(void)
{
	return world.seen;
}

struct server_seen *world_seen_here(void)
{
	return world.seen_here;
}

const char *world_interface(void)
{
	return world.veth ? "b0" : "lo";
}

/* Something that an agent could have sent: no reply, no neighbour discovery, not the host's DNS. */
static bool is_new(const unsigned char *data, size_t len)
{
	static const unsigned char client4[4] = {10, 77, 0, 1}, dns4[4] = {10, 77, 0, 53};
	static const unsigned char client6[16] = {0xfd, 0x77, [15] = 1};
	const unsigned char *transport;
	unsigned int protocol, port;

	if (len < 20 || (data[0] >> 4 != 4 && len < 40))
		return false;
	if (data[0] >> 4 == 4) {
		protocol = data[9];
		transport = data + (data[0] & 15) * 4;
		if (data[16] == 127 || !memcmp(data + 16, client4, 4))
			return false;
		/* ICMP and IGMP are the kernel's own. */
		if (protocol == IPPROTO_ICMP || protocol == IPPROTO_IGMP)
			return false;
	} else {
		static const unsigned char own6[16] = {[15] = 1};

		protocol = data[6];
		transport = data + 40;
		if (!memcmp(data + 24, client6, 16) || !memcmp(data + 24, own6, 16))
			return false;
		/* Neighbour discovery, and reports of groups behind a hop-by-hop header. */
		if (protocol == IPPROTO_ICMPV6 || (protocol == 0 && len > 40 && data[40] == 58))
			return false;
	}
	if (transport + (protocol == IPPROTO_TCP ? 14 : 4) > data + len)
		return true;
	port = (unsigned int)transport[2] << 8 | transport[3];
	if (port == 53 && data[0] >> 4 == 4 && !memcmp(data + 16, dns4, 4))
		return false;
	return protocol != IPPROTO_TCP || (transport[13] & 0x12) == 2; /* SYN alone */
}

unsigned int world_left(void)
{
	unsigned char data[512];
	struct sockaddr_ll from;
	socklen_t len = sizeof(from);
	unsigned int count = 0;
	ssize_t n;

	while ((n = recvfrom(world.wire, data, sizeof(data), 0, (struct sockaddr *)&from, &len)) >=
	       0) {
		len = sizeof(from);
		if (from.sll_pkttype == PACKET_OUTGOING || from.sll_pkttype == PACKET_LOOPBACK)
			continue;
		if (from.sll_protocol != htons(ETH_P_IP) && from.sll_protocol != htons(ETH_P_IPV6))
			continue;
		count += is_new(data, (size_t)n);
	}
	return count;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

#include "common/cleanup.h"
#include "common/event.h"
#include "common/policy.h"
#include "supervisor/event_reader.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define AGENT_UID 61003

struct stage stage;

static char top[48], group[PATH_MAX];
static pid_t server;
static int orders = -1, answers = -1;
static struct event_reader *reader;
static struct event event;
static struct policy *policy;
static Openshell__Compiled__V1__CompiledPolicy *compiled;

void die(const char *what)
{
	int error = errno;

	stage_close();
	printf("Bail out! %s: %s\n", what, strerror(error));
	exit(1);
}

static void must(bool held, const char *what)
{
	if (!held)
		die(what);
}

static void must_error(int r, const struct error *err)
{
	if (!r)
		return;
	errno = -r;
	die(err->message);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

/* The test goes on in a child; what is left of it in the host's view goes when it ends. */
static void clean_up_after_child(void)
{
	int status = -1;
	pid_t pid = fork();

	must(pid >= 0, "fork");
	if (!pid)
		return;
	waitpid(pid, &status, 0);
	nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	rmdir(group);
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/* A part of the cgroup tree in the place of all of it, and bpffs and /run of our own. */
static void own_instance(void)
{
	char unified[PATH_MAX] = "", line[PATH_MAX], at[64];
	_cleanup_fclose_ FILE *mounts = fopen("/proc/mounts", "re");

	must(mounts != NULL, "/proc/mounts");
	while (!unified[0] && fgets(line, sizeof(line), mounts)) {
		char type[64], point[PATH_MAX];

		if (sscanf(line, "%*s %4095s %63s", point, type) == 2 && !strcmp(type, "cgroup2"))
			snprintf(unified, sizeof(unified), "%s", point);
	}
	must(unified[0], "cgroup2");
	snprintf(top, sizeof(top), "/var/tmp/openshell-identity-XXXXXX");
	must(mkdtemp(top) && !chmod(top, 0755), top);
	must(snprintf(group, sizeof(group), "%s/%s", unified, strrchr(top, '/') + 1) <
		     (int)sizeof(group),
	     "the cgroup's name");
	must(!mkdir(group, 0755), group);
	clean_up_after_child();
	must(!unshare(CLONE_NEWNS | CLONE_NEWNET), "unshare");
	must(!mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private mounts");
	snprintf(at, sizeof(at), "%s/group", top);
	must(!mkdir(at, 0755), at);
	must(!mount(group, at, NULL, MS_BIND, NULL), "bind the cgroup");
	must(!umount2(unified, MNT_DETACH), unified);
	must(!mount(at, unified, NULL, MS_MOVE, NULL), "move the cgroup");
	must(!mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL), "bpffs");
	must(!mount("run", "/run", "tmpfs", 0, NULL), "/run");
}

static void own_network(void)
{
	_cleanup_close_ int four = socket(AF_INET, SOCK_DGRAM, 0),
			    six = socket(AF_INET6, SOCK_DGRAM, 0);
	struct ifreq request = {.ifr_name = "lo"};
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct in6_ifreq request6 = {.ifr6_prefixlen = 128};

	must(!ioctl(four, SIOCGIFFLAGS, &request), "lo");
	request.ifr_flags |= IFF_UP;
	must(!ioctl(four, SIOCSIFFLAGS, &request), "lo up");
	must(!ioctl(four, SIOCGIFINDEX, &request), "lo");
	request6.ifr6_ifindex = request.ifr_ifindex;
	inet_pton(AF_INET, STAGE_ADDRESS, &address.sin_addr);
	inet_pton(AF_INET6, STAGE_ADDRESS6, &request6.ifr6_addr);
	request = (struct ifreq){.ifr_name = "lo:1"};
	memcpy(&request.ifr_addr, &address, sizeof(address));
	must(!ioctl(four, SIOCSIFADDR, &request), STAGE_ADDRESS);
	must(!ioctl(six, SIOCSIFADDR, &request6), STAGE_ADDRESS6);
}

/* Echo, whoever comes. */
_Noreturn static void serve(void)
{
	static const uint16_t ports[] = STAGE_PORTS;
	struct pollfd fds[256];
	nfds_t n = 0, listeners;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < 2 * ARRAY_LEN(ports); i++) {
		struct sockaddr_in6 at = {.sin6_family = AF_INET6,
					  .sin6_port = htons(ports[i / 2])};
		int type = i % 2 ? SOCK_DGRAM : SOCK_STREAM;

		fds[n] = (struct pollfd){.fd = socket(AF_INET6, type, 0), .events = POLLIN};
		must(!bind(fds[n].fd, (struct sockaddr *)&at, sizeof(at)), "bind");
		must(type == SOCK_DGRAM || !listen(fds[n].fd, 16), "listen");
		n++;
	}
	for (listeners = n; poll(fds, n, -1) > 0;) {
		for (nfds_t i = 0; i < n; i++) {
			struct sockaddr_in6 from;
			socklen_t len = sizeof(from);
			char byte;

			if (!fds[i].revents)
				continue;
			if (i < listeners && i % 2) {
				if (recvfrom(fds[i].fd, &byte, 1, 0, (struct sockaddr *)&from,
					     &len) == 1)
					sendto(fds[i].fd, &byte, 1, 0, (struct sockaddr *)&from,
					       len);
			} else if (i < listeners) {
				int fd = accept(fds[i].fd, NULL, NULL);

				if (fd >= 0 && n < ARRAY_LEN(fds))
					fds[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
			} else if (recv(fds[i].fd, &byte, 1, 0) != 1 ||
				   send(fds[i].fd, &byte, 1, MSG_NOSIGNAL) != 1) {
				close(fds[i].fd);
				fds[i].fd = -1;
			}
		}
	}
	exit(1);
}

static void on_revoked(void *arg, const struct binaries_revocation *revocation)
{
	stage.revoked = *revocation;
	stage.revoked.path = NULL;
	stage.revocations++;
}

static void on_decided(void *arg, const void *record, size_t size)
{
	must(size >= sizeof(stage.decided), "a whole record");
	memcpy(&stage.decided, record, sizeof(stage.decided));
	stage.decisions++;
}

void stage_ended(void *arg, const struct revoke_result *result)
{
	stage.ended = *result;
	stage.ends++;
}

static void on_event(void *arg, const void *data, size_t size)
{
	const struct event_context context = {
		.sandbox = "t", .path = mount_table_path, .path_arg = &stage.sandbox->mounts};

	if (event_decode(data, size, &context, &event)) {
		errno = EBADMSG;
		die("an event");
	}
	if (event.raw.verdict == OS_EVENT_DENIED)
		stage.denied = event.raw;
	binaries_event(stage.binaries, &event);
}

/* Both layers in memory: the host's /var/tmp may be an overlay, which is no upper layer. */
static void mount_overlay(void)
{
	static const char *const dirs[] = {"layers/lower", "layers/upper", "layers/work"};
	char path[128], options[512];

	snprintf(path, sizeof(path), "%s/layers", top);
	must(!mkdir(path, 0755) && !mount("layers", path, "tmpfs", 0, "mode=0755"), path);
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		snprintf(path, sizeof(path), "%s/%s", top, dirs[i]);
		must(!mkdir(path, 0755), path);
	}
	snprintf(options, sizeof(options),
		 "lowerdir=%s/layers/lower,upperdir=%s/layers/upper,workdir=%s/layers/work", top,
		 top, top);
	must(!mount("overlay", stage.dir, "overlay", 0, options), "overlay");
}

void stage_open(const char *act, const char *below)
{
	struct error err = {};

	stage.act = act;
	own_instance();
	own_network();
	snprintf(stage.dir, sizeof(stage.dir), "%s/work", top);
	must(!mkdir(stage.dir, 0755), stage.dir);
	if (below && !strcmp(below, "overlay"))
		mount_overlay();
	else if (below)
		must(!mount("memory", stage.dir, "tmpfs", 0, "mode=0755"), "tmpfs");
	must(!chown(stage.dir, AGENT_UID, AGENT_UID), stage.dir);
	server = fork();
	if (!server)
		serve();
	must_error(kernel_open(&stage.kernel, &err), &err);
}

static void start_sandbox(const uint8_t *digest)
{
	char *const argv[] = {(char *)stage_path("agent"), "agent", NULL}, *const envp[] = {NULL};
	static const struct network_sink network = {.record = on_decided};
	int in[2], out[2];
	struct sandbox_spec spec = {
		.id = "identity",
		.policy = compiled,
		.digest = digest,
		.argv = argv,
		.envp = envp,
		.workdir = stage.dir,
		.uid = AGENT_UID,
		.gid = AGENT_UID,
		.sink = &network,
	};
	const struct event_sink sink = {.event = on_event};
	struct error err = {};

	must(!pipe2(in, O_CLOEXEC) && !pipe2(out, O_CLOEXEC), "pipes");
	spec.stdio[0] = in[0];
	spec.stdio[1] = out[1];
	spec.stdio[2] = 2;
	must_error(sandbox_start(stage.kernel, &spec, &stage.sandbox, &err), &err);
	close(in[0]);
	close(out[1]);
	orders = in[1];
	answers = out[0];

	const struct binaries_options binaries = {
		.kernel = stage.kernel,
		.slot = stage.sandbox->slot.slot,
		.root_fd = stage.sandbox->root_fd,
		.mounts = &stage.sandbox->mounts,
		.revoked = on_revoked,
		.decided = on_decided,
	};
	const struct revoke_options revoke = {
		.kernel = stage.kernel, .slot = stage.sandbox->slot.slot, .done = stage_ended};

	must_error(binaries_new(&binaries, &stage.binaries, &err), &err);
	must_error(revoke_new(&revoke, &stage.revoke, &err), &err);
	must_error(event_reader_open(stage.sandbox->slot.ring_fd, &sink, &reader, &err), &err);
}

void stage_policy(const char *text)
{
	Openshell__Compiled__V1__CompiledPolicy *before = compiled;
	struct policy *policy_before = policy;
	uint8_t digest[POLICY_DIGEST_SIZE];
	struct error err = {};

	must_error(policy_load_buffer("test", text, strlen(text), &policy, NULL, &err), &err);
	must_error(policy_compile(policy, &compiled, &err), &err);
	must_error(policy_digest(compiled, digest, &err), &err);
	if (!stage.sandbox)
		start_sandbox(digest);
	else
		must_error(sandbox_update(stage.sandbox, compiled, digest, &err), &err);
	must_error(binaries_write(stage.binaries, stage.sandbox->slot.generation, compiled, NULL,
				  &err),
		   &err);
	policy_compiled_free(before);
	policy_free(policy_before);
	stage_settle();
}

void stage_settle(void)
{
	for (;;) {
		struct pollfd fds[] = {
			{.fd = event_reader_fd(reader), .events = POLLIN},
			{.fd = binaries_fd(stage.binaries), .events = POLLIN},
			{.fd = revoke_fd(stage.revoke), .events = POLLIN},
			{.fd = network_fd(stage.sandbox->network), .events = POLLIN},
		};

		if (poll(fds, ARRAY_LEN(fds), 150) <= 0)
			return;
		if (fds[0].revents)
			event_reader_consume(reader);
		if (fds[1].revents)
			binaries_poll(stage.binaries);
		if (fds[2].revents)
			revoke_poll(stage.revoke);
		if (fds[3].revents)
			network_poll(stage.sandbox->network);
	}
}

static int order(const char *fmt, va_list args)
{
	char line[1024];
	size_t len = 0;
	int n = vsnprintf(line, sizeof(line) - 1, fmt, args);

	must(n > 0 && n < (int)sizeof(line) - 1, "an order");
	line[n++] = '\n';
	must(write(orders, line, (size_t)n) == n, "give an order");
	for (;;) {
		struct pollfd fds[] = {
			{.fd = answers, .events = POLLIN},
			{.fd = network_fd(stage.sandbox->network), .events = POLLIN},
		};

		must(poll(fds, ARRAY_LEN(fds), 60000) > 0, "wait for an answer");
		/* The worker is listened to, or a connection that it has would wait for ever. */
		if (fds[1].revents)
			network_poll(stage.sandbox->network);
		if (!fds[0].revents)
			continue;
		must(read(answers, line + len, 1) == 1, "read an answer");
		if (line[len] == '\n')
			return (int)strtol(line, NULL, 10);
		must(++len < sizeof(line), "a short answer");
	}
}

int stage_order(const char *fmt, ...)
{
	va_list args;
	int r;

	va_start(args, fmt);
	r = order(fmt, args);
	va_end(args);
	return r;
}

int stage_order_settled(const char *fmt, ...)
{
	va_list args;
	int r;

	va_start(args, fmt);
	r = order(fmt, args);
	va_end(args);
	stage_settle();
	return r;
}

const char *stage_path(const char *name)
{
	static char paths[4][128];
	static unsigned int n;
	char *path = paths[n++ % ARRAY_LEN(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s", stage.dir, name);
	return path;
}

void stage_copy(const char *name)
{
	_cleanup_close_ int from = open(stage.act, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int to =
		open(stage_path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	struct stat st;

	must(from >= 0 && to >= 0 && !fstat(from, &st), name);
	must(sendfile(to, from, NULL, (size_t)st.st_size) == st.st_size, name);
}

void stage_append(const char *name, const char *data)
{
	_cleanup_close_ int fd = open(stage_path(name), O_WRONLY | O_APPEND | O_CLOEXEC);

	must(fd >= 0 && write(fd, data, strlen(data)) == (ssize_t)strlen(data), name);
}

void stage_truncate(const char *name, off_t less)
{
	struct stat st;

	must(!stat(stage_path(name), &st) && !truncate(stage_path(name), st.st_size - less), name);
}

void stage_close(void)
{
	event_reader_free(reader);
	reader = NULL;
	binaries_free(stage.binaries);
	revoke_free(stage.revoke);
	sandbox_free(stage.sandbox);
	kernel_close(stage.kernel);
	stage.binaries = NULL;
	stage.revoke = NULL;
	stage.sandbox = NULL;
	stage.kernel = NULL;
	policy_compiled_free(compiled);
	policy_free(policy);
	compiled = NULL;
	policy = NULL;
	safe_close(orders);
	safe_close(answers);
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
		server = 0;
	}
}

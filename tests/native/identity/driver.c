/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who a binary is, and what becomes of connections when that changes: contents rewritten in place,
 * names, links, ancestors, files that come late, and the end of what a policy admits no more.
 * usage: driver ACT [overlay|tmpfs]
 */
#include "../tap.h"
#include "stage.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char text[4096];

/* Port 8000: exact paths; 8001: globs; 8002: ancestors; 8003: the agent itself. */
static const char *policy_text(const char *more_of_8000)
{
	snprintf(text, sizeof(text),
		 "version: 1\n"
		 "network_policies:\n"
		 "  exact:\n"
		 "    endpoints: [{host: " STAGE_ADDRESS ", port: 8000}, {host: '" STAGE_ADDRESS6
		 "', port: 8000}]\n"
		 "    binaries: [{path: %s/admitted}, {path: %s/other-admitted}, {path: "
		 "%s/unused}%s]\n"
		 "  glob:\n"
		 "    endpoints: [{host: " STAGE_ADDRESS ", port: 8001}]\n"
		 "    binaries: [{path: '%s/npm/bin/*'}]\n"
		 "  ancestor:\n"
		 "    endpoints: [{host: " STAGE_ADDRESS ", port: 8002}]\n"
		 "    binaries: [{path: %s/parent}]\n"
		 "  agent:\n"
		 "    endpoints: [{host: " STAGE_ADDRESS ", port: 8003}]\n"
		 "    binaries: [{path: %s/agent}]\n",
		 stage.dir, stage.dir, stage.dir, more_of_8000, stage.dir, stage.dir, stage.dir);
	return text;
}

static int try_port(const char *name, int port)
{
	return stage_order_settled("run %s connect " STAGE_ADDRESS " %d", stage_path(name), port);
}

static int try(const char *name)
{
	return try_port(name, 8000);
}

/* A comparison takes its time, above all in an emulated machine. */
#define ATTEMPTS 20

static bool soon(const char *name, int port)
{
	int r = EPERM;

	for (int i = 0; i < ATTEMPTS && r == EPERM; i++)
		r = try_port(name, port);
	return !r;
}

/* The next finding, which another attempt at @name brings. */
static bool told_soon(const char *name, int port, unsigned int before)
{
	for (int i = 0; i < ATTEMPTS && stage.revocations == before; i++)
		if (!try_port(name, port))
			return false;
	return stage.revocations == before + 1;
}

static void admitted_by_path(void)
{
	ok(try("admitted") == 0, "a listed binary connects");
	ok(try("stranger") == EPERM, "another does not");
	ok(stage.denied.reason == OS_REASON_BINARY, "because of what it is");
	ok(try("other-admitted") == 0, "a second listed binary connects");
}

/* The ctime is another one, and nothing else is. */
static void mode_changes(void)
{
	int first;

	chmod(stage_path("admitted"), 0711);
	first = try("admitted");
	ok(first == 0 || (first == EPERM && stage.denied.reason == OS_REASON_CHANGED),
	   "chmod: denied as changed until its content is compared, or compared before (%d)",
	   first);
	ok(soon("admitted", 8000), "chmod: admitted again, since the content is the same");
	for (mode_t mode = 0700; mode < 0710; mode++) {
		chmod(stage_path("admitted"), mode | 011);
		soon("admitted", 8000);
	}
	ok(soon("admitted", 8000), "chmod: and so on, more often than times are remembered");
	ok(stage.revocations == 0, "chmod: nothing is told about it (%u)", stage.revocations);
}

/* A process that executed it before goes on, whatever its ctime is since. */
static void running_while_mode_changes(void)
{
	ok(stage_order_settled("open " STAGE_ADDRESS " 8003") >= 0, "the agent connects");
	chmod(stage_path("agent"), 0711);
	ok(stage_order_settled("run %s connect " STAGE_ADDRESS " 8003", stage_path("agent")) >= 0,
	   "its binary's mode changes, and it is executed again");
	ok(soon("agent", 8003), "which is admitted");
	ok(stage_order_settled("open " STAGE_ADDRESS " 8003") >= 0,
	   "and the one that executed it before connects as well");
}

static void rewritten_in_place(void)
{
	struct stat before, after;
	struct timespec times[2];
	unsigned int told = stage.revocations;

	stat(stage_path("admitted"), &before);
	stage_append("admitted", "x");
	times[0] = before.st_atim;
	times[1] = before.st_mtim;
	utimensat(AT_FDCWD, stage_path("admitted"), times, 0);
	stat(stage_path("admitted"), &after);
	ok(before.st_ino == after.st_ino && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec &&
		   before.st_mtim.tv_sec == after.st_mtim.tv_sec,
	   "rewritten in place: the same inode, the same time of modification");
	ok(try("admitted") == EPERM, "rewritten in place: denied");
	ok(stage.denied.reason == OS_REASON_CHANGED, "rewritten in place: as changed");
	ok(told_soon("admitted", 8000, told), "rewritten in place: told (%u)", stage.revocations);
	ok(stage.revoked.hashed && stage.revoked.readable &&
		   memcmp(stage.revoked.was, stage.revoked.is, 32),
	   "rewritten in place: with what it was and what it is");
	ok(try("admitted") == EPERM && stage.revocations == told + 1,
	   "rewritten in place: denied on, and told once");
	stage_truncate("admitted", 1);
	ok(try("admitted") == EPERM && try("admitted") == EPERM,
	   "rewritten in place: its old content comes too late");
	ok(try("other-admitted") == 0, "rewritten in place: the rule's other binary is admitted");
	stage_policy(policy_text(""));
	ok(try("admitted") == 0, "rewritten in place: admitted after a reload");
}

/* Change the last byte, of the last section's header, through a mapping. @read: look at it first.
 */
static bool store(const char *name, bool read_first)
{
	int fd = open(stage_path(name), O_RDWR | O_CLOEXEC);
	volatile char *mapped;
	struct stat st;
	char byte = 0;

	if (fd < 0 || fstat(fd, &st) || pread(fd, &byte, 1, st.st_size - 1) != 1)
		return false;
	mapped = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (mapped == MAP_FAILED)
		return false;
	if (read_first)
		byte = mapped[st.st_size - 1];
	mapped[st.st_size - 1] = byte ^ 1;
	return !munmap((void *)mapped, (size_t)st.st_size);
}

/* Through a mapping the file's times change once, and not with every store. */
static void rewritten_through_a_mapping(void)
{
	unsigned int told = stage.revocations;

	ok(soon("admitted", 8000), "rewritten through a mapping: admitted before");
	ok(store("admitted", false), "rewritten through a mapping: it is");
	ok(try("admitted") == EPERM && stage.denied.reason == OS_REASON_CHANGED,
	   "rewritten through a mapping: denied as changed");
	ok(told_soon("admitted", 8000, told) && stage.revoked.hashed,
	   "rewritten through a mapping: told");
	stage_copy("admitted");
	stage_policy(policy_text(""));
	ok(soon("admitted", 8000), "rewritten through a mapping: admitted after a reload");
}

/* In memory, with a page that was looked at before, they do not change at all. */
static void rewritten_without_a_trace(void)
{
	unsigned int told = stage.revocations;

	usleep(300000);
	ok(try("admitted") == 0 && store("admitted", true), "rewritten without a trace: it is");
	for (int i = 0; i < ATTEMPTS && stage.revocations == told; i++, usleep(100000))
		try("admitted");
	ok(stage.revocations == told + 1 && stage.revoked.hashed,
	   "rewritten without a trace: told all the same");
	ok(try("admitted") == EPERM && stage.denied.reason == OS_REASON_CHANGED,
	   "rewritten without a trace: denied from then on");
	stage_copy("admitted");
	stage_policy(policy_text(""));
	ok(soon("admitted", 8000), "rewritten without a trace: admitted after a reload");
}

static void changed_before_use(void)
{
	unsigned int told = stage.revocations;

	chmod(stage_path("unused"), 0711);
	ok(try("unused") == EPERM, "changed before its first use: denied");
	ok(told_soon("unused", 8000, told) && !stage.revoked.hashed,
	   "changed before its first use: told, without what it was");
}

/* Somebody who can write through a mapping needs no other ctime for it. */
static void open_for_writing(void)
{
	int fd = open(stage_path("other-admitted"), O_RDWR | O_CLOEXEC);
	unsigned int told = stage.revocations;
	int busy;

	ok(try("other-admitted") != 0, "open for writing: it cannot even be executed");
	chmod(stage_path("other-admitted"), 0711);
	busy = fd >= 0 && try("other-admitted") != 0;
	close(fd);
	ok(busy && stage.revocations == told, "open for writing: nothing is decided meanwhile");
	ok(soon("other-admitted", 8000), "open for writing: admitted when nobody can write");
}

static void names(void)
{
	const char *name = stage_path("hard-link");

	ok(!link(stage_path("admitted"), name), "a hard link is made");
	ok(soon("hard-link", 8000), "a hard link to an admitted binary is that binary");
	unlink(name);
	ok(soon("admitted", 8000), "and the binary is admitted when the link is gone");
	stage_copy("copy");
	ok(try("copy") == EPERM, "a copy of it is not");
	stage_copy("next");
	rename(stage_path("next"), stage_path("admitted"));
	ok(try("admitted") == EPERM, "a file that replaced it is another binary");
	ok(stage.denied.reason == OS_REASON_BINARY, "for that reason");
	stage_policy(policy_text(""));
	ok(try("admitted") == 0, "until the policy is loaded again");
}

static int by_parent(const char *how)
{
	return stage_order_settled("run %s %s %s connect " STAGE_ADDRESS " 8002",
				   stage_path("parent"), how, stage_path("stranger"));
}

static bool by_parent_soon(const char *how)
{
	int r = EPERM;

	for (int i = 0; i < ATTEMPTS && r == EPERM; i++)
		r = by_parent(how);
	return !r;
}

static void ancestors(void)
{
	unsigned int told;

	ok(try_port("stranger", 8002) == EPERM, "by ancestor: not without it");
	ok(by_parent("child") == 0, "by ancestor: a child of a listed binary connects");
	ok(by_parent("orphan") == 0, "by ancestor: so does a grandchild whose parent has ended");
	ok(by_parent("instead") == EPERM, "by ancestor: what was replaced by exec is none");
	told = stage.revocations;
	chmod(stage_path("parent"), 0711);
	ok(by_parent_soon("child"), "by ancestor: its mode changes, and it is admitted again");
	stage_append("parent", "x");
	ok(by_parent("child") == EPERM && stage.denied.reason == OS_REASON_CHANGED,
	   "by ancestor: its content changes, and its children are denied");
	for (int i = 0; i < ATTEMPTS && stage.revocations == told; i++)
		by_parent("child");
	by_parent("child");
	ok(stage.revocations == told + 1, "by ancestor: told once (%u)", stage.revocations - told);
	stage_policy(policy_text(""));
	ok(by_parent("child") == 0, "by ancestor: admitted after a reload");
}

/* A connection of @pid that waits, as the kernel would tell it. */
static bool flow_of(pid_t pid, uint16_t port, struct os_flow *ret)
{
	uint32_t key = (uint32_t)pid;
	struct os_proc proc;

	if (bpf_map_lookup_elem(stage.kernel->maps.proc, &key, &proc))
		return false;
	*ret = (struct os_flow){.start_time = proc.start_time,
				.slot = stage.sandbox->slot.slot,
				.generation = stage.sandbox->slot.generation,
				.tgid = key,
				.asked = {[10] = 0xff, [11] = 0xff},
				.asked_port = port,
				.exe = proc.identity.exe.file};
	inet_pton(AF_INET, STAGE_ADDRESS, ret->asked + 12);
	return true;
}

/* The process that executes @name and sleeps, by what the kernel recorded of it. */
static pid_t sleeper(const char *name)
{
	struct stat st;
	uint32_t pid, *at = NULL;
	struct os_proc proc;

	stage_order("start %s sleep", stage_path(name));
	if (stat(stage_path(name), &st))
		return -1;
	for (int i = 0; i < 100; i++, usleep(10000), at = NULL)
		while (!bpf_map_get_next_key(stage.kernel->maps.proc, at, &pid)) {
			at = &pid;
			if (!bpf_map_lookup_elem(stage.kernel->maps.proc, &pid, &proc) &&
			    proc.identity.exe.file.ino == st.st_ino)
				return (pid_t)pid;
		}
	return -1;
}

static bool is_connected(int fd)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	char byte = 'x';

	usleep(50000);
	return send(fd, &byte, 1, MSG_NOSIGNAL) == 1 && poll(&wait, 1, 3000) == 1 &&
	       recv(fd, &byte, 1, 0) == 1;
}

static int entry_of(const char *name, struct os_binary *ret)
{
	struct os_binary_key key = {.slot = stage.sandbox->slot.slot,
				    .generation = stage.sandbox->slot.generation};
	struct os_image image;
	int fd = open(stage_path(name), O_PATH | O_CLOEXEC);
	int r = kernel_identify(stage.kernel, fd, &image, NULL);

	close(fd);
	key.file = image.file;
	return r ? r : bpf_map_lookup_elem(stage.kernel->maps.binary, &key, ret);
}

/* At once, or by the worker that had it wait. */
static bool is_denied(int result)
{
	return result == EPERM || result == ECONNRESET || result == EPIPE;
}

static void files_that_come_late(void)
{
	struct os_flow flow, wrong;
	struct os_binary entry;
	unsigned int told = stage.decisions;
	int fd = -1;
	pid_t pid;

	mkdir(stage_path("npm"), 0755);
	mkdir(stage_path("npm/bin"), 0755);
	stage_copy("npm/bin/tool");
	ok(try_port("npm/bin/tool", 8001) == 0,
	   "late: a file that a glob matches is admitted at once");
	ok(stage.decisions == told + 1 && stage.decided.verdict == OS_EVENT_ALLOWED,
	   "late: since somebody was asked, which is told");
	ok(try_port("npm/bin/tool", 8001) == 0 && stage.decisions == told + 1,
	   "late: and only once");
	ok(try_port("npm/bin/tool", 8000) == EPERM, "late: to what that rule says");
	stage_copy("new-stranger");
	ok(is_denied(try_port("new-stranger", 8001)), "late: one that it does not match is not");
	ok(stage.decisions == told + 2 && stage.decided.verdict == OS_EVENT_DENIED &&
		   stage.decided.reason == OS_REASON_BINARY,
	   "late: which is told");
	ok(try_port("new-stranger", 8001) == EPERM && stage.decisions == told + 2,
	   "late: the next time the kernel knows");
	told = stage.decisions;

	stage_append("npm/bin/tool", "x");
	try_port("npm/bin/tool", 8001);
	ok(try_port("npm/bin/tool", 8001) == EPERM && stage.denied.reason == OS_REASON_CHANGED,
	   "late: its content is what it was at first use");

	stage_copy("elsewhere");
	ok(is_denied(try_port("elsewhere", 8001)), "late: a file at another place is denied");
	rename(stage_path("elsewhere"), stage_path("npm/bin/moved"));
	ok(soon("npm/bin/moved", 8001), "late: admitted where the glob matches");

	/* What the worker may ask, told wrongly in every way. */
	told = stage.decisions;
	stage_copy("npm/bin/waiting");
	pid = sleeper("npm/bin/waiting");
	ok(pid > 0 && flow_of(pid, 8001, &flow), "waiting: a process sleeps");
	wrong = flow;
	wrong.start_time++;
	ok(binaries_flow(stage.binaries, &wrong, &fd) == -EPERM,
	   "waiting: not for a process of another time");
	wrong = flow;
	wrong.slot++;
	ok(binaries_flow(stage.binaries, &wrong, &fd) == -EPERM,
	   "waiting: not for another sandbox");
	wrong = flow;
	wrong.exe.ino++;
	ok(binaries_flow(stage.binaries, &wrong, &fd) == -EPERM,
	   "waiting: not if it executes something else by now");
	wrong = flow;
	wrong.asked_port = 8000;
	ok(binaries_flow(stage.binaries, &wrong, &fd) == -EPERM &&
		   stage.decided.reason == OS_REASON_BINARY,
	   "waiting: not to another rule's port");
	ok(binaries_flow(stage.binaries, &flow, &fd) == 0 && is_connected(fd),
	   "waiting: connected to where it wanted");
	close(fd);
	ok(stage.decided.verdict == OS_EVENT_ALLOWED && stage.decided.pid == (uint32_t)pid &&
		   stage.decisions == told + 4,
	   "waiting: every decision is told (%u)", stage.decisions - told);
	kill(pid, SIGKILL);

	stage_copy("npm/bin/deleted");
	pid = sleeper("npm/bin/deleted");
	ok(pid > 0 && flow_of(pid, 8001, &flow) && !unlink(stage_path("npm/bin/deleted")),
	   "deleted: a process of a file that is gone");
	ok(binaries_flow(stage.binaries, &flow, &fd) == -EPERM,
	   "deleted: what its name says is worth nothing");
	kill(pid, SIGKILL);

	stage_copy("npm/bin/replaced");
	pid = sleeper("npm/bin/replaced");
	stage_copy("replacement");
	ok(pid > 0 && flow_of(pid, 8001, &flow) &&
		   !rename(stage_path("replacement"), stage_path("npm/bin/replaced")),
	   "replaced: another file has its name");
	ok(binaries_flow(stage.binaries, &flow, &fd) == -EPERM, "replaced: it is not that file");
	ok(!entry_of("npm/bin/replaced", &entry) ? !entry.rules.word[0] : true,
	   "replaced: nor is that file known");
	kill(pid, SIGKILL);
	stage_settle();
}

static void spoofed(void)
{
	ok(stage_order("exe-file 0") == EPERM, "PR_SET_MM_EXE_FILE is refused");
	if (!prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, -1, 0, 0) || errno == EBADF)
		ok(true, "and is an operation like others outside");
	else
		skip("and is an operation like others outside", "it is refused here: %s",
		     strerror(errno));
}

/* Look through all sockets for a sandbox that admits nothing. */
static void for_another_sandbox(void)
{
	const uint32_t slot = OS_SLOTS_MAX - 1;
	const struct revoke_options options = {
		.kernel = stage.kernel, .slot = slot, .done = stage_ended};
	struct pollfd wait = {.events = POLLIN};
	struct revoke *other = NULL;

	stage.ends = 0;
	stage.kernel->policy[slot] = (struct os_policy){.generation = 7, .mode = OS_MODE_ENFORCE};
	if (revoke_new(&options, &other, NULL))
		die("revoke_new");
	revoke_start(other);
	for (wait.fd = revoke_fd(other); !stage.ends && poll(&wait, 1, 3000) == 1;)
		revoke_poll(other);
	revoke_free(other);
	stage.kernel->policy[slot] = (struct os_policy){};
	ok(stage.ends == 1 && !stage.ended.error && !stage.ended.sockets && !stage.ended.destroyed,
	   "end: another sandbox finds no socket of its own");
}

static void ended_by_a_switch(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(8000)};
	int mine = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int gone, gone6, gone_udp, stays;

	inet_pton(AF_INET, STAGE_ADDRESS, &to.sin_addr);
	ok(!connect(mine, (struct sockaddr *)&to, sizeof(to)), "end: somebody outside connects");
	stage_policy(policy_text(", {path: /nowhere}"));
	stage_order_settled("run %s connect " STAGE_ADDRESS " 8003", stage_path("agent"));

	char with_agent[160];

	snprintf(with_agent, sizeof(with_agent), ", {path: %s/agent}", stage.dir);
	stage_policy(policy_text(with_agent));
	gone = stage_order("open " STAGE_ADDRESS " 8000");
	gone6 = stage_order("open " STAGE_ADDRESS6 " 8000");
	gone_udp = stage_order("open-udp " STAGE_ADDRESS " 8000");
	stays = stage_order("open " STAGE_ADDRESS " 8003");
	ok(gone > 2 && gone6 > 2 && gone_udp > 2 && stays > 2, "end: the agent has connections");
	ok(!stage_order("echo %d", gone) && !stage_order("echo %d", gone6) &&
		   !stage_order("echo %d", gone_udp) && !stage_order("echo %d", stays),
	   "end: all of them work");
	revoke_start(stage.revoke);
	stage_settle();
	ok(stage.ends == 1 && !stage.ended.error && stage.ended.sockets > 2 &&
		   !stage.ended.destroyed,
	   "end: nothing to end (%u sockets, %u ended)", stage.ended.sockets,
	   stage.ended.destroyed);
	for_another_sandbox();
	ok(!stage_order("echo %d", gone) && !stage_order("echo %d", stays),
	   "end: another sandbox's policy ends none of them");
	/* The sandbox looks for what its switch revokes by itself. */
	stage_policy(policy_text(""));
	ok(stage_order("echo %d", gone) == ECONNABORTED,
	   "end: a connection that is not admitted any more is gone");
	ok(stage_order("echo %d", gone6) == ECONNABORTED, "end: IPv6 as well");
	ok(stage_order("echo %d", gone_udp) == EPERM, "end: UDP is refused");
	ok(!stage_order("echo %d", stays), "end: another one goes on");
	ok(is_connected(mine), "end: so does one that is not the sandbox's");
	close(mine);
	stage.ends = 0;
	revoke_start(stage.revoke);
	revoke_start(stage.revoke);
	stage_settle();
	ok(stage.ends == 1 && !stage.ended.destroyed,
	   "end: asked twice, it is done once more from the start, and nothing is left");
}

int main(int argc, char **argv)
{
	const char *below = argc == 3 ? argv[2] : NULL;

	if (argc < 2 || argc > 3)
		return 2;
	stage_open(argv[1], below);
	stage_copy("agent");
	stage_copy("admitted");
	stage_copy("other-admitted");
	stage_copy("unused");
	stage_copy("stranger");
	stage_copy("parent");
	stage_policy(policy_text(""));
	admitted_by_path();
	mode_changes();
	running_while_mode_changes();
	rewritten_in_place();
	rewritten_through_a_mapping();
	if (!below || strcmp(below, "overlay"))
		rewritten_without_a_trace();
	changed_before_use();
	open_for_writing();
	names();
	ancestors();
	files_that_come_late();
	spoofed();
	ended_by_a_switch();
	stage_close();
	return tap_end();
}

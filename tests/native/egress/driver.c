/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Egress and devices on the machine's own kernel. Each row is an act of an agent, with the errno it
 * must meet inside, the hook that must have run (and, for a denial, denied), the reason that its
 * event must carry, and what the same act meets outside the sandbox. Prints TAP. With --bench:
 * throughput of an agent over that of the same program outside.
 */
#include "loaded.h"
#include "names.h"
#include "policy.h"
#include "redirect.h"
#include "runner.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct row rows[] = {
#include "rows.h"
};

static void check_modes(int scope)
{
	static const char admitted[] = "{admitted} tcp 10.77.0.2 8000";
	struct os_event event;
	int error;

	policy_mode(OS_MODE_DENY);
	error = run(1, admitted, scope);
	result(error == EPERM && loaded_event(1, &event) && event.reason == OS_REASON_NO_POLICY,
	       "no policy: not even a socket");
	policy_mode(OS_MODE_SETUP);
	error = run(1, admitted, scope);
	result(error == EPERM, "setup: no network (%d)", error);
	policy_mode(OS_MODE_AUDIT);
	loaded_event(1, &event);
	error = run(1, "{other} tcp 10.77.0.2 8000", scope);
	result(error == 0 && loaded_event(1, &event) && event.verdict == OS_EVENT_AUDIT &&
		       event.reason == OS_REASON_BINARY,
	       "audit: allowed, and told as what it would be (%d)", error);
	error = run(1, "{other} open /dev/kmsg", scope);
	result(error == 0 && loaded_event(1, &event) && event.verdict == OS_EVENT_AUDIT,
	       "audit: devices too (%d)", error);
	policy_mode(OS_MODE_ENFORCE);
	result(run(1, admitted, scope) == 0, "enforce again");
	result(run(2, admitted, scope) == EPERM, "another sandbox has nothing of it");
}

/* A connection that audit mode let through is judged when the policy starts to count. */
static void check_audit_ends(int scope)
{
	int report, go, first, second;
	pid_t pid;

	policy_mode(OS_MODE_AUDIT);
	pid = start(1, "{other} hold 10.77.0.2 8000", scope, &report, &go);
	first = next_report(report);
	policy_mode(OS_MODE_ENFORCE);
	if (write(go, "", 1) != 1)
		die("go");
	second = next_report(report);
	result(first == 0 && (second == EAGAIN || second == EPERM),
	       "a connection of audit mode stops when enforcement begins (%d, %d)", first, second);
	end(pid, report, go);
}

/* A listener of slot 1: who gets through to it. */
static void check_listener(const char *address, const char *from, uint32_t slot, bool reached,
			   const char *what, int scope)
{
	int report, go, port, accepted, other;
	char act[128], listen[64];
	pid_t pid;

	snprintf(listen, sizeof(listen), "{other} listen %s", address);
	pid = start(1, listen, scope, &report, &go);
	port = next_report(report);
	snprintf(act, sizeof(act), "{admitted} tcp %s %d", from, port);
	other = run(slot, act, scope);
	accepted = next_report(report);
	result((accepted == 0) == reached && (slot == 0 || reached || other == EPERM),
	       "%s (connect %d, accept %d)", what, other, accepted);
	end(pid, report, go);
}

/* A socket that left the sandbox does not carry the sandbox's rights out, nor lose its limits. */
static void check_passed(int scope)
{
	char c, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {.iov_base = &c, .iov_len = 1};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(8000),
				 .sin_addr.s_addr = htonl(0x0a4d0002)};
	int report, go, fd = -1, r;
	pid_t pid = start(1, "{admitted} pass 10.77.0.2 8000", scope, &report, &go);
	struct os_event event;

	if (next_report(report) || recvmsg(go, &message, 0) != 1 || !CMSG_FIRSTHDR(&message))
		die("passing a socket");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	loaded_event(1, &event);
	r = connect(fd, (struct sockaddr *)&to, sizeof(to));
	result(r && errno == EPERM && loaded_event(1, &event) &&
		       event.reason == OS_REASON_OTHER_SANDBOX,
	       "a sandbox's socket is of no use outside of it");
	close(fd);
	end(pid, report, go);
}

struct shared {
	int own, other; /* connections that the agent accepted itself; that took a byte elsewhere */
	int read;	/* bytes that the host's listener got */
};

/* Listen with SO_REUSEPORT on a new port, and let a program of the same user join and connect. */
static void share_port(uint32_t slot, int scope, struct shared *ret_shared)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	int report, go, accepted;
	socklen_t len = sizeof(at);
	char act[64];
	pid_t pid;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&at, len) || listen(fd, 64) ||
	    getsockname(fd, (struct sockaddr *)&at, &len))
		die("a shared port");
	snprintf(act, sizeof(act), "{other} share 127.0.0.1 %d", ntohs(at.sin_port));
	pid = start(slot, act, scope, &report, &go);
	ret_shared->own = next_report(report);
	ret_shared->other = next_report(report);
	end(pid, report, go);
	while ((accepted = accept(fd, NULL, NULL)) >= 0) {
		char c;

		ret_shared->read += recv(accepted, &c, 1, MSG_DONTWAIT) == 1;
		close(accepted);
	}
	close(fd);
}

/*
 * Asked at connect() for the listener of a shared port, the kernel may name the agent's, and then
 * give the connection to the host's, where the source port was not known yet: the packets are
 * refused. Whether it does depends on a secret of the kernel's; bound sockets meet both.
 */
static void check_shared_port(int scope)
{
	struct shared in = {}, out = {};

	share_port(1, scope, &in);
	share_port(0, scope, &out);
	result(in.own > 0 && in.other == 0 && in.read == 0,
	       "a shared port: only its own half reaches the agent (%d own, %d other, %d read)",
	       in.own, in.other, in.read);
	result(out.own > 0 && out.other > 0 && out.read > 0,
	       "and outside both halves (%d own, %d other, %d read)", out.own, out.other, out.read);
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

#define BENCH_RUNS 15

/*
 * Ratios of what an agent does to what the same program does outside, for the same processor time:
 * median of alternated runs. Somebody reads the events, as would be.
 */
static void bench(int scope)
{
	static const struct {
		const char *what, *act;
	} rows_of[] = {
		{"echo over one TCP connection", "{admitted} rounds tcp 10.77.0.2 8000 60"},
		{"echo over connected UDP", "{admitted} rounds udp 10.77.0.2 8000 60"},
		{"64 KiB there and back", "{admitted} rounds bulk 198.18.0.1 8000 60"},
		{"connect and close", "{admitted} rounds connect 10.77.0.2 8000 60"},
		{"connect by name and close", "{admitted} rounds connect 198.18.0.1 8000 60"},
		{"connect by name over v6, close",
		 "{admitted} rounds connect fd6f:7065:6e73:6865::1 8000 60"},
		{"datagram to a name and back", "{admitted} rounds sendto 198.18.0.1 8000 60"},
	};
	const size_t len = sizeof(rows_of) / sizeof(rows_of[0]);

	loaded_listen();
	for (size_t i = 0; i < len; i++) {
		double ratio[BENCH_RUNS], each[BENCH_RUNS];

		for (int n = 0; n < BENCH_RUNS; n++) {
			int outside = run(0, rows_of[i].act, scope);
			int inside = run(1, rows_of[i].act, scope);

			if (inside <= 0 || outside <= 0) {
				errno = -inside;
				die(rows_of[i].what);
			}
			ratio[n] = (double)inside / outside;
			each[n] = 60e6 / outside;
		}
		qsort(ratio, BENCH_RUNS, sizeof(ratio[0]), compare_doubles);
		qsort(each, BENCH_RUNS, sizeof(each[0]), compare_doubles);
		printf("%-32s %.3f of outside (%.3f..%.3f), which takes %.0f ns\n", rows_of[i].what,
		       ratio[BENCH_RUNS / 2], ratio[0], ratio[BENCH_RUNS - 1],
		       each[BENCH_RUNS / 2]);
	}
	loaded_measure(); /* costs time itself */
	for (size_t i = 0; i < len; i++)
		run(1, rows_of[i].act, scope);
	loaded_print_times();
}

static void copy_program(const char *from, const char *name)
{
	char path[PATH_MAX], buffer[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", runner_dir, name);
	out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	if (in < 0 || out < 0)
		die(path);
	while ((n = read(in, buffer, sizeof(buffer))) > 0)
		if (write(out, buffer, (size_t)n) != n)
			die(path);
	close(in);
	close(out);
}

static const char *const programs[] = {"admitted", "other",   "parent",	  "glob-a",
				       "glob-b.x", "another", "admitted2"};

static void remove_programs(void)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", runner_dir, programs[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/link", runner_dir);
	unlink(path);
	rmdir(runner_dir);
}

int main(int argc, char **argv)
{
	char path[PATH_MAX];
	size_t processes;
	int scope, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2 || argc > 3 || (argc == 3 && strcmp(argv[2], "--bench")) ||
	    !mkdtemp(runner_dir))
		return 2;
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		copy_program(argv[1], programs[i]);
	snprintf(path, sizeof(path), "%s/link", runner_dir);
	if (symlink("admitted2", path))
		die(path);
	scope = world_open();
	loaded_open();
	policy_switch(POLICY_FULL, runner_dir);

	if (argc == 3) {
		bench(scope);
		goto out;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i], scope);
	check_listener("127.0.0.1", "127.0.0.1", 1, true, "own listener, own client", scope);
	check_listener("127.0.0.1", "127.0.0.1", 0, false, "own listener, the host's client",
		       scope);
	check_listener("127.0.0.1", "127.0.0.1", 2, false, "own listener, another sandbox", scope);
	check_listener("::", "::1", 0, false, "own v6 listener, the host's client", scope);
	check_listener("::", "::1", 1, true, "own v6 listener, own client", scope);
	check_listener("0.0.0.0", "10.77.0.1", 0, false, "own listener, from its outer address",
		       scope);
	check_shared_port(scope);
	check_passed(scope);
	check_switch("{admitted} hold 10.77.0.2 8000 fd77::2 8000", "switch, TCP", 0, scope);
	check_switch("{admitted} hold-udp 10.77.0.2 8000 fd77::2 8000", "switch, UDP", 0, scope);
	check_modes(scope);
	check_audit_ends(scope);
	redirect_check(scope);
	names_check(scope);
	for (int i = 0; i < 50 && loaded_processes(); i++)
		usleep(20000);
	processes = loaded_processes();
	result(processes == 0, "no process is remembered after its end (%zu)", processes);

	failed = runner_finish();
out:
	loaded_close();
	world_close();
	remove_programs();
	return failed;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/event_line.h"
#include "event_fixture.h"

#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <cmocka.h>
#include <linux/bpf.h>

#define TIME "2026-04-01T04:04:32.118Z OCSF "

static struct record record;
static struct event event;
static char buf[EVENT_LINE_SIZE];

static const char *line(void)
{
	struct text t;

	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
	text_init(&t, buf, sizeof(buf));
	event_line(&event, false, &t);
	return buf;
}

static void files(void **state)
{
	fixture_record(&record, OS_HOOK_FILE_OPEN, OS_EVENT_FILE);
	fixture_object(&record, "/root/.ssh/id_ed25519", OS_RIGHT_READ, 0);
	assert_string_equal(line(), TIME
			    "FILE:OPEN [MED] DENIED /usr/bin/cat(66) -> /root/.ssh/id_ed25519 "
			    "read [engine:lsm] [reason:path is not in filesystem_policy; "
			    "filesystem_policy.read_only: /root/.ssh/id_ed25519 would grant it]");
	fixture_object(&record, "/etc/hosts", OS_RIGHT_READ | OS_RIGHT_WRITE, OS_RIGHTS_READ);
	assert_string_equal(line(),
			    TIME "FILE:OPEN [MED] DENIED /usr/bin/cat(66) -> /etc/hosts "
				 "read,write [engine:lsm] [reason:write is not granted; "
				 "filesystem_policy.read_write: /etc/hosts would grant it]");
	record.event.verdict = OS_EVENT_AUDIT;
	assert_non_null(strstr(line(), "FILE:OPEN [LOW] AUDIT /usr/bin/cat(66) -> /etc/hosts"));
	record.event.verdict = OS_EVENT_ALLOWED;
	assert_string_equal(line(), TIME "FILE:OPEN [INFO] ALLOWED /usr/bin/cat(66) -> /etc/hosts "
					 "read,write [engine:lsm]");

	fixture_record(&record, OS_HOOK_PATH_MKDIR, OS_EVENT_FILE);
	fixture_object(&record, "/opt/new", OS_RIGHT_CREATE, OS_RIGHTS_READ);
	record.event.flags = OS_EVENT_NEW_NAME | OS_EVENT_DIRECTORY;
	assert_string_equal(line(), TIME "FILE:CREATE [MED] DENIED /usr/bin/cat(66) -> /opt/new "
					 "create [engine:lsm] [reason:create is not granted; "
					 "filesystem_policy.read_write: /opt would grant it]");

	fixture_record(&record, OS_HOOK_PATH_CHMOD, OS_EVENT_FILE);
	fixture_object(&record, "/opt/x", OS_RIGHT_ATTR, OS_RIGHTS_READ);
	record.event.detail = 0100755;
	assert_non_null(strstr(line(), "FILE:ATTRIBUTES [MED] DENIED /usr/bin/cat(66) -> /opt/x "
				       "attributes mode 0755 [engine:lsm]"));

	fixture_record(&record, OS_HOOK_UNIX_STREAM_CONNECT, OS_EVENT_FILE);
	record.event.family = AF_UNIX;
	record.event.wanted = OS_RIGHT_WRITE;
	record.event.reason = OS_REASON_OTHER_SANDBOX;
	assert_string_equal(line(), TIME "FILE:CONNECT [MED] DENIED /usr/bin/cat(66) -> unix "
					 "socket without a path write [engine:lsm] "
					 "[reason:connecting to a unix socket reaches outside this "
					 "sandbox; no policy can grant it]");
}

static void programs(void **state)
{
	fixture_record(&record, OS_HOOK_BPRM_CHECK, OS_EVENT_EXEC);
	fixture_exe(&record, "/usr/bin/dash");
	fixture_object(&record, "/opt/tool", OS_RIGHT_EXEC, 0);
	assert_string_equal(line(),
			    TIME "PROC:LAUNCH [MED] DENIED /usr/bin/dash(66) -> /opt/tool execute "
				 "[engine:lsm] [reason:path is not in filesystem_policy; "
				 "filesystem_policy.read_only: /opt/tool would grant it]");
	fixture_record(&record, OS_HOOK_EXEC, OS_EVENT_EXEC);
	record.event.verdict = OS_EVENT_ALLOWED;
	assert_string_equal(line(),
			    TIME "PROC:LAUNCH [INFO] ALLOWED /usr/bin/cat(66) [engine:bpf]");
	/* Opening it in order to execute it is the same act. */
	fixture_record(&record, OS_HOOK_FILE_OPEN, OS_EVENT_EXEC);
	fixture_object(&record, "/opt/tool", OS_RIGHT_EXEC | OS_RIGHT_LIBRARY, 0);
	assert_non_null(strstr(line(), "PROC:LAUNCH [MED] DENIED /usr/bin/cat(66) -> /opt/tool"));
}

static void network(void **state)
{
	fixture_record(&record, OS_HOOK_CONNECT4, OS_EVENT_NET);
	fixture_exe(&record, "/usr/bin/curl");
	fixture_endpoint(&record, "192.0.2.7", 443);
	record.event.reason = OS_REASON_NO_ENDPOINT;
	assert_string_equal(line(), TIME
			    "NET:OPEN [MED] DENIED /usr/bin/curl(66) -> 192.0.2.7:443 "
			    "[policy:- engine:bpf] [reason:endpoint 192.0.2.7:443 is not allowed "
			    "by any policy; a rule of network_policies with this host, this port "
			    "and the binary /usr/bin/curl would admit it]");
	fixture_record(&record, OS_HOOK_SENDMSG6, OS_EVENT_NET);
	fixture_endpoint(&record, "2001:db8::1", 53);
	record.event.protocol = IPPROTO_UDP;
	record.event.reason = OS_REASON_NEVER_ADDRESS;
	assert_non_null(strstr(line(), "NET:TRAFFIC [MED] DENIED /usr/bin/cat(66) -> "
				       "[2001:db8::1]:53 udp [policy:- engine:bpf] [reason:the "
				       "policy in force names no host, so there is nobody to ask"));
	fixture_record(&record, OS_HOOK_SOCKET_CREATE, OS_EVENT_NET);
	record.event.family = AF_PACKET;
	record.event.detail = SOCK_RAW;
	record.event.reason = OS_REASON_FAMILY;
	assert_non_null(strstr(line(), "NET:SOCKET [MED] DENIED /usr/bin/cat(66) -> socket "
				       "AF_PACKET raw [policy:- engine:lsm]"));
	fixture_record(&record, OS_HOOK_SOCKET_CONNECT, OS_EVENT_NET);
	record.event.family = AF_INET;
	record.event.reason = OS_REASON_OTHER_SANDBOX;
	assert_non_null(strstr(line(), "-> socket AF_INET [policy:-"));
}

static void processes_and_system(void **state)
{
	fixture_record(&record, OS_HOOK_TASK_KILL, OS_EVENT_PROCESS);
	record.event.peer_pid = 1;
	record.event.detail = SIGKILL;
	record.event.reason = OS_REASON_OTHER_SANDBOX;
	assert_non_null(strstr(line(), "PROC:TERMINATE [MED] DENIED /usr/bin/cat(66) -> process 1 "
				       "(host pid) SIGKILL [engine:lsm]"));
	fixture_record(&record, OS_HOOK_CAPABLE, OS_EVENT_PROCESS);
	record.event.detail = CAP_SYS_ADMIN;
	record.event.reason = OS_REASON_FORBIDDEN;
	assert_non_null(strstr(line(), "-> CAP_SYS_ADMIN [engine:lsm] [reason:using a capability "
				       "is never allowed in a sandbox"));
	fixture_record(&record, OS_HOOK_BPF, OS_EVENT_SYSTEM);
	record.event.detail = 5;
	record.event.reason = OS_REASON_FORBIDDEN;
	assert_string_equal(line(), TIME "FINDING:CREATE [HIGH] DENIED /usr/bin/cat(66) -> bpf() "
					 "command 5 [engine:lsm] [reason:bpf() is never allowed in "
					 "a sandbox; no policy can grant it]");
	fixture_record(&record, OS_HOOK_DEVICE, OS_EVENT_DEVICE);
	record.event.object.dev = 10u << 20 | 229;
	record.event.detail = BPF_DEVCG_DEV_CHAR;
	record.event.wanted = OS_RIGHT_READ;
	assert_non_null(strstr(line(), "FILE:DEVICE [MED] DENIED /usr/bin/cat(66) -> \"char device "
				       "10:229\" read [engine:bpf]"));
}

/* Whatever a path or a program is called, there is one line, and its fields are ours. */
static void names_cannot_forge_lines(void **state)
{
	static const char evil[] = "/srv/x read [engine:lsm]\n2026-04-01T04:04:32.118Z OCSF "
				   "FILE:OPEN [INFO] ALLOWED \033[2K";

	fixture_record(&record, OS_HOOK_FILE_OPEN, OS_EVENT_FILE);
	fixture_exe(&record, evil);
	fixture_object(&record, evil, OS_RIGHT_READ, 0);
	line();
	assert_null(strchr(buf, '\n'));
	assert_null(strchr(buf, '\033'));
	assert_non_null(strstr(buf, "DENIED \"/srv/x read [engine:lsm]\\n2026"));
	/* In the reason, brackets do not close. */
	assert_non_null(strstr(buf, "read_only: /srv/x read \\x5bengine:lsm\\x5d\\n"));
}

static void every_hook_gives_one_line(void **state)
{
	for (uint32_t hook = 0; hook < OS_HOOK_COUNT; hook++) {
		for (uint32_t kind = OS_EVENT_FILE; kind <= OS_EVENT_DEVICE; kind++) {
			for (uint16_t verdict = 0; verdict <= OS_EVENT_AUDIT; verdict++) {
				fixture_record(&record, hook, kind);
				record.event.verdict = verdict;
				record.event.detail = ~0u;
				assert_null(strchr(line(), '\n'));
				assert_memory_equal(buf, TIME, strlen(TIME));
			}
		}
	}
}

static void long_lines_are_cut_and_say_so(void **state)
{
	char small[64];
	struct text t;

	fixture_record(&record, OS_HOOK_FILE_OPEN, OS_EVENT_FILE);
	fixture_object(&record, "/srv/a/rather/long/path/indeed", OS_RIGHT_READ, 0);
	line();
	text_init(&t, small, sizeof(small));
	event_line(&event, false, &t);
	assert_int_equal(strlen(small), sizeof(small) - 1);
	assert_string_equal(small + strlen(small) - 3, "...");
}

static void made_events(void **state)
{
	char *argv[] = {(char *)"claude", (char *)"--token=secret", NULL};
	static const uint8_t digest[32] = {0xab, 0xcd};
	struct text t;

	event_started(&event, "demo", "bpf-lsm", argv);
	event.time = 1775016272118000000ull;
	text_init(&t, buf, sizeof(buf));
	event_line(&event, false, &t);
	assert_string_equal(buf, TIME "LIFECYCLE:START [INFO] STARTED sandbox demo: claude "
				      "[backend:bpf-lsm]");
	event_stopped(&event, "demo", 137);
	event.time = 1775016272118000000ull;
	text_init(&t, buf, sizeof(buf));
	event_line(&event, false, &t);
	assert_string_equal(buf, TIME "LIFECYCLE:STOP [INFO] STOPPED sandbox demo [exit:137]");
	event_policy_loaded(&event, "demo", "p.yaml", 3, digest);
	text_init(&t, buf, sizeof(buf));
	event_line(&event, false, &t);
	assert_non_null(strstr(buf, "CONFIG:LOADED [INFO] LOADED policy p.yaml [generation:3 "
				    "digest:sha256:abcd0000"));
	event_finding(&event, "demo", EVENT_SEVERITY_HIGH, "landlock", "%s\n[x]", "no BPF-LSM");
	text_init(&t, buf, sizeof(buf));
	event_line(&event, true, &t);
	assert_non_null(strstr(buf, "FINDING:CREATE \033[31m[HIGH] FOUND\033[0m no "
				    "BPF-LSM\\n\\x5bx\\x5d [engine:landlock]"));
}

static void repeats_are_told(void **state)
{
	struct text t;

	fixture_record(&record, OS_HOOK_FILE_OPEN, OS_EVENT_FILE);
	fixture_object(&record, "/x", OS_RIGHT_READ, OS_RIGHTS_READ);
	line();
	event.repeated = 12;
	text_init(&t, buf, sizeof(buf));
	event_line(&event, false, &t);
	assert_non_null(strstr(buf, " [repeated 12 times]"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files),
		cmocka_unit_test(programs),
		cmocka_unit_test(network),
		cmocka_unit_test(processes_and_system),
		cmocka_unit_test(names_cannot_forge_lines),
		cmocka_unit_test(every_hook_gives_one_line),
		cmocka_unit_test(long_lines_are_cut_and_say_so),
		cmocka_unit_test(made_events),
		cmocka_unit_test(repeats_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

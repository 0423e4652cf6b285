/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/event_grants.h"
#include "common/learn.h"
#include "common/policy.h"
#include "common/rights.h"
#include "event_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <cmocka.h>

static struct record record;
static struct event event;
static char directory[] = "/tmp/test_learn.XXXXXX";
static char out[64];
static char text[1 << 20];

static int setup(void **state)
{
	if (!mkdtemp(directory))
		return -1;
	snprintf(out, sizeof(out), "%s/out.yaml", directory);
	return 0;
}

static int teardown(void **state)
{
	unlink(out);
	return rmdir(directory);
}

static struct learn *start(const char *base)
{
	struct learn_options o = {.base = base,
				  .base_len = base ? strlen(base) : 0,
				  .program = "agent",
				  .workdir = "/home/u/work",
				  .root_fd = -1};
	struct learn *l;

	assert_int_equal(learn_new(&o, &l, NULL), 0);
	return l;
}

static void add(struct learn *l, uint32_t hook, const char *path, uint32_t wanted, uint32_t held,
		uint32_t flags)
{
	uint32_t kind = OS_EVENT_FILE;

	if (hook == OS_HOOK_BPRM_CHECK)
		kind = OS_EVENT_EXEC;
	fixture_record(&record, hook, kind);
	fixture_object(&record, path, wanted, held);
	record.event.verdict = OS_EVENT_AUDIT;
	record.event.flags = flags;
	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
	learn_add(l, &event);
}

static void add_read(struct learn *l, const char *path)
{
	add(l, OS_HOOK_FILE_OPEN, path, OS_RIGHT_READ, 0, 0);
}

static void add_create(struct learn *l, const char *path)
{
	add(l, OS_HOOK_PATH_MKNOD, path, OS_RIGHT_CREATE, 0,
	    OS_EVENT_NEW_NAME | OS_EVENT_DIRECTORY);
}

static void add_connect(struct learn *l, const char *exe, const char *address, uint16_t port,
			uint16_t reason, const char *rule)
{
	fixture_record(&record, OS_HOOK_CONNECT4, OS_EVENT_NET);
	fixture_exe(&record, exe);
	fixture_endpoint(&record, address, port);
	record.event.verdict = OS_EVENT_AUDIT;
	record.event.reason = reason;
	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
	snprintf(event.rule, sizeof(event.rule), "%s", rule);
	learn_add(l, &event);
}

/* Write, read back, and have the policy loader say that it is a policy. */
static struct learn_result finish(struct learn *l)
{
	struct learn_result result = {0};
	struct diagnostics diag = {0};
	struct policy *policy;
	struct error err = {0};
	size_t n;
	FILE *f;

	if (learn_write(l, out, &result, &err) < 0)
		fail_msg("%s", err.message);
	learn_free(l);
	f = fopen(out, "re");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	if (policy_load_buffer("out.yaml", text, n, &policy, &diag, &err) < 0)
		fail_msg("%s\n%s", text, err.message);
	policy_free(policy);
	diagnostics_clear(&diag);
	return result;
}

static void assert_body(const char *expected)
{
	const char *body = text;

	while (*body == '#')
		body = strchr(body, '\n') + 1;
	assert_string_equal(body, expected);
}

static void a_run_becomes_its_policy(void **state)
{
	struct learn *l = start(NULL);
	struct learn_result r;

	add_read(l, "/srv/data/a.csv");
	add_read(l, "/srv/data/a.csv");
	add(l, OS_HOOK_FILE_OPEN, "/srv/log", OS_RIGHT_WRITE, OS_RIGHTS_READ, 0);
	add_create(l, "/srv/out/new");
	add(l, OS_HOOK_FILE_OPEN, "/srv/out/new", OS_RIGHT_WRITE, 0, 0);
	add(l, OS_HOOK_BPRM_CHECK, "/opt/tool", OS_RIGHT_EXEC, 0, 0);
	add(l, OS_HOOK_INODE_GETATTR, "/srv", OS_RIGHT_STAT, 0,
	    0); /* on the way to what is listed */
	add_connect(l, "/usr/bin/curl", "192.0.2.7", 443, OS_REASON_NO_ENDPOINT, "");
	add_connect(l, "/usr/bin/curl", "198.51.100.1", 80, OS_REASON_NO_ENDPOINT, "");
	add_connect(l, "/usr/bin/git", "192.0.2.7", 443, OS_REASON_NO_ENDPOINT, "");
	r = finish(l);
	assert_int_equal(r.paths, 4);
	assert_int_equal(r.endpoints, 3);
	assert_int_equal(r.not_learned, 0);
	assert_body("version: 1\n"
		    "filesystem_policy:\n"
		    "  include_workdir: true\n"
		    "  read_only:\n"
		    "  - /opt/tool\n"
		    "  - /srv/data/a.csv\n"
		    "  read_write:\n"
		    "  - /srv/log\n"
		    "  - /srv/out\n"
		    "network_policies:\n"
		    "  learned_curl:\n"
		    "    endpoints:\n"
		    "    - {host: 192.0.2.7, port: 443}\n"
		    "    - {host: 198.51.100.1, port: 80}\n"
		    "    binaries:\n"
		    "    - {path: /usr/bin/curl}\n"
		    "  learned_git:\n"
		    "    endpoints:\n"
		    "    - {host: 192.0.2.7, port: 443}\n"
		    "    binaries:\n"
		    "    - {path: /usr/bin/git}\n");
	assert_memory_equal(text, "# Made by `openshell run --learn` at ", 37);
	assert_non_null(strstr(text, " from one run of agent,\n# on top of the default policy. "));
}

static void what_the_base_says_stays(void **state)
{
	struct learn *l = start("version: 1\n"
				"filesystem_policy:\n"
				"  read_only: [/srv/ro/, /srv/grow]\n"
				"  read_write: [/srv/rw]\n"
				"  deny: [/srv/rw/.env]\n"
				"process: {run_as_user: \"1500\"}\n"
				"network_policies:\n"
				"  plain:\n"
				"    endpoints: [{host: 192.0.2.7, port: 443}]\n"
				"    binaries: [{path: /usr/bin/curl}]\n"
				"  rich:\n"
				"    endpoints: [{host: 192.0.2.8, port: 443, protocol: rest,"
				" enforcement: enforce, access: read-only}]\n"
				"    binaries: [{path: /usr/bin/curl}]\n");
	struct learn_result r;

	add(l, OS_HOOK_FILE_OPEN, "/srv/grow", OS_RIGHT_WRITE, OS_RIGHTS_READ, 0);
	add_read(l, "/srv/rw/.env");
	add_read(l, "/srv/new");
	add_connect(l, "/usr/bin/git", "192.0.2.7", 443, OS_REASON_BINARY, "plain");
	add_connect(l, "/usr/bin/git", "192.0.2.8", 443, OS_REASON_BINARY, "rich");
	r = finish(l);
	assert_int_equal(r.not_learned, 1);
	assert_body("version: 1\n"
		    "filesystem_policy:\n"
		    "  include_workdir: false\n"
		    "  read_only:\n"
		    "  - /srv/new\n"
		    "  - /srv/ro\n"
		    "  read_write:\n"
		    "  - /srv/grow\n"
		    "  - /srv/rw\n"
		    "  deny: [/srv/rw/.env]\n"
		    "process: {run_as_user: \"1500\"}\n"
		    "network_policies:\n"
		    "  plain:\n"
		    "    endpoints: [{host: 192.0.2.7, port: 443}]\n"
		    "    binaries: [{path: /usr/bin/curl}]\n"
		    "  rich:\n"
		    "    endpoints: [{host: 192.0.2.8, port: 443, protocol: rest, enforcement: "
		    "enforce, access: read-only}]\n"
		    "    binaries: [{path: /usr/bin/curl}, {path: /usr/bin/git}]\n"
		    "  learned_git:\n"
		    "    endpoints:\n"
		    "    - {host: 192.0.2.7, port: 443}\n"
		    "    binaries:\n"
		    "    - {path: /usr/bin/git}\n");
	assert_non_null(strstr(text,
			       "# - still denied: opening a file: /srv/rw/.env read (the base "
			       "policy's deny)\n"));
}

static void programs_go_where_programs_are_listed(void **state)
{
	Openshell__Compiled__V1__CompiledPolicy policy;
	Openshell__Compiled__V1__ExecPolicy exec;
	struct learn *l = start("version: 1\nexec_policy:\n  allow: [/usr/bin/**]\n");

	openshell__compiled__v1__compiled_policy__init(&policy);
	openshell__compiled__v1__exec_policy__init(&exec);
	exec.allow_present = 1;
	policy.exec = &exec;
	fixture_record(&record, OS_HOOK_BPRM_CHECK, OS_EVENT_EXEC);
	fixture_object(&record, "/opt/tool", OS_RIGHT_EXEC, 0);
	record.event.verdict = OS_EVENT_AUDIT;
	assert_int_equal(fixture_decode(&record, &policy, &event), 0);
	learn_add(l, &event);
	finish(l);
	assert_non_null(strstr(text, "  allow: [/usr/bin/**, /opt/tool]\n"));
	assert_non_null(strstr(text, "  read_only:\n  - /opt/tool\n"));
}

static void crowds_become_directories(void **state)
{
	struct learn *l = start(NULL);
	char path[64];

	for (int i = 0; i < LEARN_CROWD; i++) {
		snprintf(path, sizeof(path), "/srv/few/f%d", i);
		add_read(l, path);
	}
	for (int i = 0; i < LEARN_CROWD + 1; i++) {
		snprintf(path, sizeof(path), "/srv/many/f%d", i);
		add_read(l, path);
	}
	assert_int_equal(finish(l).paths, LEARN_CROWD + 1);
	assert_non_null(strstr(text, "  - /srv/many\n"));
	assert_null(strstr(text, "/srv/many/f"));
	assert_non_null(strstr(text, "# - read_only for many paths below it: /srv/many\n"));
}

static void what_no_line_can_grant_is_said(void **state)
{
	struct learn *l = start(NULL);
	struct learn_result r;

	add(l, OS_HOOK_FILE_OPEN, "/proc/4711/oom_score_adj", OS_RIGHT_WRITE, OS_RIGHTS_READ, 0);
	add_create(l, "/new");
	fixture_record(&record, OS_HOOK_BPF, OS_EVENT_SYSTEM);
	record.event.verdict = OS_EVENT_AUDIT;
	record.event.reason = OS_REASON_FORBIDDEN;
	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
	learn_add(l, &event);
	add_connect(l, "/usr/bin/a*b", "192.0.2.7", 443, OS_REASON_NO_ENDPOINT, "");
	r = finish(l);
	assert_int_equal(r.not_learned, 4);
	assert_int_equal(r.paths + r.endpoints, 0);
	assert_non_null(strstr(text, "a process's own files have another name in every run"));
	assert_non_null(strstr(text, "/ cannot be read_write"));
	assert_non_null(strstr(text, "(no policy can grant it)"));
	assert_non_null(strstr(text, "the program's name would be a pattern"));
}

/* Names that an agent chose to hurt whoever reads the policy. */
static void hostile_names_stay_data(void **state)
{
	struct learn *l = start(NULL);

	add_read(l, "/srv/a: b # c");
	add_read(l, "/srv/- \"x\"\\");
	add_read(l, "/srv/{x}, *y &z !t %");
	add_read(l, "/srv/ends with blank ");
	add_read(l, "/srv/\xe6\x97\xa5");
	add_read(l, "/one/line\n  read_write: [/]");
	add_read(l, "/two/not\xffutf8");
	finish(l);
	assert_non_null(strstr(text, "  - /one\n"));
	assert_non_null(strstr(text, "  - /two\n"));
	assert_null(strstr(text, "\n  read_write:"));
	assert_non_null(
		strstr(text, "# - for a name below it that YAML cannot hold, all of: /one"));
}

/* What is asked of inference.local is no policy's to say. */
static void inference_is_not_learned(void **state)
{
	struct learn *l = start(NULL);
	struct learn_result result;

	memset(&event, 0, sizeof(event));
	event.class = EVENT_CLASS_API;
	event.decided = true;
	event.action = EVENT_DENIED;
	event.exe_state = EVENT_PATH_FULL;
	event.raw.kind = OS_EVENT_NET;
	event.raw.port = 443;
	snprintf(event.exe, sizeof(event.exe), "/usr/bin/node");
	snprintf(event.host, sizeof(event.host), "inference.local");
	learn_add(l, &event);
	assert_int_equal(learn_write(l, out, &result, NULL), 0);
	assert_int_equal(result.endpoints, 0);
	assert_int_equal(result.not_learned, 0);
	learn_free(l);
}

static void a_failed_write_leaves_the_old_file(void **state)
{
	struct learn *l = start(NULL);
	struct learn_result r;
	struct error err = {0};
	char before[16] = "";
	FILE *f = fopen(out, "we");

	fputs("old", f);
	fclose(f);
	add_read(l, "/srv/a");
	assert_int_equal(learn_write(l, "/nonexistent/dir/x", &r, &err), -ENOENT);
	assert_true(strlen(err.message) > 0);
	learn_free(l);
	f = fopen(out, "re");
	assert_non_null(fgets(before, sizeof(before), f));
	fclose(f);
	assert_string_equal(before, "old");
}

static void a_base_that_is_no_policy(void **state)
{
	struct learn_options o = {.base = "[1, 2]", .base_len = 6, .root_fd = -1};
	struct learn *l = (void *)1;
	struct error err = {0};

	assert_int_equal(learn_new(&o, &l, &err), -EINVAL);
	assert_ptr_equal(l, (void *)1);
	o.base = "a: [";
	o.base_len = 4;
	assert_int_equal(learn_new(&o, &l, &err), -EINVAL);
}

static void directories_are_told_from_files(void **state)
{
	struct learn_options o = {.root_fd = open("/", O_PATH | O_CLOEXEC)};
	struct learn *l;

	assert_int_equal(learn_new(&o, &l, NULL), 0);
	add_read(l, directory);
	finish(l);
	assert_non_null(strstr(text,
			       "# - only listed or looked at, but a line for it opens what is "
			       "below: /tmp/test_learn."));
	close(o.root_fd);
}

/* The rights that the written policy gives @path, without exec. */
static uint32_t granted(const Openshell__Compiled__V1__CompiledPolicy *policy, const char *path)
{
	static struct rights_rule rules[1024];
	struct rights_input in = {.rule = rules, .exec_allow_writable = true};

	for (size_t i = 0; i < policy->n_paths; i++) {
		rules[in.rules].path = policy->paths[i]->path;
		rules[in.rules++].access = (enum rights_access)policy->paths[i]->access;
	}
	return rights_at(&in, path).self;
}

/* Whatever a run does, the policy written allows all of it, within 256 paths. */
static void the_policy_allows_the_run(void **state)
{
	static char wanted_path[3000][128];
	static uint32_t wanted[3000];

	srand(1);
	for (int round = 0; round < 8; round++) {
		Openshell__Compiled__V1__CompiledPolicy *compiled = NULL;
		struct diagnostics diag = {0};
		struct policy *policy = NULL;
		struct learn *l = start("version: 1\nfilesystem_policy: {read_only: [/a/b, /a1],"
					" read_write: [/a/c]}\n");
		int n = 30 << round > 3000 ? 3000 : 30 << round;

		for (int i = 0; i < n; i++) {
			int depth = 1 + rand() % 5;
			struct text t;

			text_init(&t, wanted_path[i], sizeof(wanted_path[i]));
			for (int d = 0; d < depth; d++)
				text_add(&t, "/%c%.0d", 'a' + rand() % 4, rand() % 12);
			text_add(&t, "/f%d", rand() % 400);
			switch (rand() % 4) {
			case 0:
				add(l, OS_HOOK_FILE_OPEN, wanted_path[i], OS_RIGHT_WRITE, 0, 0);
				wanted[i] = OS_RIGHT_WRITE;
				break;
			case 1:
				add_create(l, wanted_path[i]);
				wanted[i] = OS_RIGHT_CREATE;
				break;
			default:
				add_read(l, wanted_path[i]);
				wanted[i] = OS_RIGHT_READ;
				break;
			}
		}
		assert_true(finish(l).paths <= LEARN_PATHS_MAX - 3);
		assert_int_equal(policy_load_file(out, &policy, &diag, NULL), 0);
		assert_int_equal(policy_compile(policy, &compiled, NULL), 0);
		for (int i = 0; i < n; i++)
			if ((granted(compiled, wanted_path[i]) & wanted[i]) != wanted[i])
				fail_msg("round %d: %s lacks %x\n%s", round, wanted_path[i],
					 wanted[i], text);
		policy_compiled_free(compiled);
		policy_free(policy);
		diagnostics_clear(&diag);
	}
}

static void grants_are_bounded(void **state)
{
	struct event_grants g = {0};
	char path[64];

	for (int i = 0; i < 3 * EVENT_GRANTS_PATHS_MAX; i++) {
		snprintf(path, sizeof(path), "/srv/%d/%d/%d", i % 7, i % 101, i);
		assert_int_equal(event_grants_add_path(&g, path, OS_RIGHT_READ, false), 0);
		assert_true(g.paths <= EVENT_GRANTS_PATHS_MAX);
	}
	assert_int_equal(event_grants_collapse(&g, 0, 1), 0);
	assert_int_equal(g.paths, 1);
	assert_string_equal(g.path[0].path, "/srv");
	event_grants_free(&g);

	/* Entries of "/" have nothing that could stand for them. */
	for (int i = 0; i < 10; i++) {
		snprintf(path, sizeof(path), "/%d", i);
		assert_int_equal(event_grants_add_path(&g, path, OS_RIGHT_READ, false), 0);
	}
	assert_int_equal(event_grants_collapse(&g, 1, 9), -E2BIG);
	assert_int_equal(g.paths, 10);
	event_grants_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_becomes_its_policy),
		cmocka_unit_test(what_the_base_says_stays),
		cmocka_unit_test(programs_go_where_programs_are_listed),
		cmocka_unit_test(crowds_become_directories),
		cmocka_unit_test(what_no_line_can_grant_is_said),
		cmocka_unit_test(hostile_names_stay_data),
		cmocka_unit_test(inference_is_not_learned),
		cmocka_unit_test(a_failed_write_leaves_the_old_file),
		cmocka_unit_test(a_base_that_is_no_policy),
		cmocka_unit_test(directories_are_told_from_files),
		cmocka_unit_test(the_policy_allows_the_run),
		cmocka_unit_test(grants_are_bounded),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

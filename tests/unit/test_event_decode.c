/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "event_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct record record;
static struct event event;

static void a_denial_is_decoded_whole(void **state)
{
	fixture_record(&record, OS_HOOK_FILE_OPEN, OS_EVENT_FILE);
	fixture_object(&record, "/root/.ssh/id_ed25519", OS_RIGHT_READ | OS_RIGHT_WRITE,
		       OS_RIGHT_STAT);
	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
	assert_string_equal(event.exe, "/usr/bin/cat");
	assert_string_equal(event.path, "/root/.ssh/id_ed25519");
	assert_int_equal(event.exe_state, EVENT_PATH_FULL);
	assert_int_equal(event.path_state, EVENT_PATH_FULL);
	assert_int_equal(event.path2_state, EVENT_PATH_NONE);
	assert_int_equal(event.missing, OS_RIGHT_READ | OS_RIGHT_WRITE);
	assert_int_equal(event.class, EVENT_CLASS_FILE);
	assert_int_equal(event.action, EVENT_DENIED);
	assert_int_equal(event.severity, EVENT_SEVERITY_MED);
	assert_string_equal(event.engine, "lsm");
	assert_string_equal(event.sandbox, "demo");
	assert_int_equal(event.time, 1775016272118000000ull);
}

/* Every prefix of a good record, and every length that lies, is refused without a bad read. */
static void truncated_records_are_refused(void **state)
{
	struct event_context ctx = fixture_context(NULL);
	size_t size;

	fixture_record(&record, OS_HOOK_PATH_RENAME, OS_EVENT_FILE);
	fixture_object(&record, "/srv/a", OS_RIGHT_REMOVE, 0);
	size = fixture_size(&record);
	for (size_t n = 0; n < size; n++) {
		void *copy = malloc(n ? n : 1);

		memcpy(copy, &record, n);
		assert_int_equal(event_decode(copy, n, &ctx, &event), -EBADMSG);
		free(copy);
	}
	assert_int_equal(event_decode(&record, size, &ctx, &event), 0);
	assert_int_equal(event_decode(&record, size + 8, &ctx, &event), 0);
}

static void lengths_past_the_end_are_refused(void **state)
{
	struct event_context ctx = fixture_context(NULL);
	size_t size;

	fixture_record(&record, OS_HOOK_FILE_OPEN, OS_EVENT_FILE);
	size = fixture_size(&record);
	record.event.exe_len = 65535;
	assert_int_equal(event_decode(&record, size, &ctx, &event), -EBADMSG);
	record.event.exe_len = 0;
	record.event.path_len = 65535;
	assert_int_equal(event_decode(&record, size, &ctx, &event), -EBADMSG);
	record.event.path_len = 0;
	record.event.path2_len = 65535;
	assert_int_equal(event_decode(&record, size, &ctx, &event), -EBADMSG);
	/* Long enough a record, but longer than a path can be. */
	record.event.path2_len = EVENT_PATH_SIZE;
	assert_int_equal(event_decode(&record, sizeof(record), &ctx, &event), -EBADMSG);
}

static void hostile_fields_are_refused_or_harmless(void **state)
{
	fixture_record(&record, OS_HOOK_FILE_OPEN, OS_EVENT_FILE);
	record.event.verdict = 3;
	assert_int_equal(fixture_decode(&record, NULL, &event), -EBADMSG);
	fixture_record(&record, OS_HOOK_FILE_OPEN, 0);
	assert_int_equal(fixture_decode(&record, NULL, &event), -EBADMSG);
	fixture_record(&record, OS_HOOK_FILE_OPEN, 7);
	assert_int_equal(fixture_decode(&record, NULL, &event), -EBADMSG);
	/* A component that does not end. */
	fixture_record(&record, OS_HOOK_FILE_OPEN, OS_EVENT_FILE);
	record.data[record.event.exe_len - 1] = 'x';
	assert_int_equal(fixture_decode(&record, NULL, &event), -EBADMSG);

	/* Numbers that no table has. */
	fixture_record(&record, 60000, OS_EVENT_FILE);
	record.event.reason = 60000;
	record.event.wanted = ~0u;
	memset(record.event.comm, 'A', sizeof(record.event.comm));
	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
	assert_int_equal(event.class, EVENT_CLASS_FINDING);
	assert_int_equal(strlen(event.raw.comm), sizeof(event.raw.comm) - 1);
}

static void every_hook_has_a_row(void **state)
{
	for (uint32_t hook = 0; hook < OS_HOOK_COUNT; hook++) {
		const struct event_hook *row = event_hook_get(hook);

		assert_non_null(row->activity);
		assert_non_null(row->act);
		assert_non_null(row->engine);
		assert_true(row->activity_id > 0);
		assert_true(hook == OS_HOOK_NONE || row != event_hook_get(OS_HOOK_NONE));
		assert_true(strlen(event_hook_name(hook)) > 0);
	}
	assert_ptr_equal(event_hook_get(OS_HOOK_COUNT), event_hook_get(OS_HOOK_NONE));
}

static void every_hook_and_verdict_decodes(void **state)
{
	for (uint32_t hook = 0; hook < OS_HOOK_COUNT; hook++) {
		for (uint16_t verdict = 0; verdict <= OS_EVENT_AUDIT; verdict++) {
			for (uint16_t reason = 0; reason <= OS_REASON_NAME; reason++) {
				fixture_record(&record, hook, OS_EVENT_FILE + hook % 6);
				fixture_object(&record, "/a", OS_RIGHT_WRITE, OS_RIGHT_READ);
				record.event.verdict = verdict;
				record.event.reason = reason;
				assert_int_equal(fixture_decode(&record, NULL, &event), 0);
				assert_true((verdict == OS_EVENT_ALLOWED) == !event.reason[0]);
			}
		}
	}
}

static void cut_paths_are_marked(void **state)
{
	char deep[64 * 3 + 1] = "";

	for (int i = 0; i < 64; i++)
		strcat(deep, "/d");
	fixture_record(&record, OS_HOOK_FILE_OPEN, OS_EVENT_FILE);
	fixture_object(&record, deep, OS_RIGHT_READ, 0);
	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
	assert_int_equal(event.path_state, EVENT_PATH_FULL);
	record.event.flags = OS_EVENT_TRUNCATED;
	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
	assert_int_equal(event.path_state, EVENT_PATH_CUT);
	assert_memory_equal(event.path, ".../d/d", 7);
	assert_int_equal(event.exe_state, EVENT_PATH_FULL);

	/* Cut, and nothing says where: no path is trusted. */
	fixture_record(&record, OS_HOOK_FILE_OPEN, OS_EVENT_FILE);
	fixture_object(&record, "/a", OS_RIGHT_READ, 0);
	record.event.flags = OS_EVENT_TRUNCATED;
	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
	assert_int_equal(event.path_state, EVENT_PATH_CUT);
	assert_int_equal(event.exe_state, EVENT_PATH_CUT);
}

/* An executable without a path is not the root of its filesystem, but one whose path is not known.
 */
static void an_unknown_executable_has_no_path(void **state)
{
	fixture_record(&record, OS_HOOK_CONNECT4, OS_EVENT_NET);
	record.event.exe_len = 0;
	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
	assert_int_equal(event.exe_state, EVENT_PATH_NONE);
	assert_string_equal(event.exe, "");
}

static void objects_on_no_mount_are_named_by_device(void **state)
{
	fixture_record(&record, OS_HOOK_FILE_OPEN, OS_EVENT_FILE);
	fixture_object(&record, "/x/y", OS_RIGHT_READ, 0);
	record.event.object.dev = 0x12300005;
	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
	assert_int_equal(event.path_state, EVENT_PATH_INSIDE);
	assert_string_equal(event.path, "[dev 291:5]/x/y");
	/* The root of the filesystem that is mounted at "/". */
	fixture_object(&record, "", OS_RIGHT_READ, 0);
	record.event.object.dev = 8 << 20 | 1;
	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
	assert_string_equal(event.path, "/");
}

static void rules_come_from_the_policy_in_force(void **state)
{
	Openshell__Compiled__V1__Endpoint named, literal;
	Openshell__Compiled__V1__Endpoint *endpoints[] = {&named, &literal};
	Openshell__Compiled__V1__CompiledPolicy policy;

	openshell__compiled__v1__endpoint__init(&named);
	openshell__compiled__v1__endpoint__init(&literal);
	openshell__compiled__v1__compiled_policy__init(&policy);
	named.rule = (char *)"github";
	named.host = (char *)"api.github.com";
	literal.rule = (char *)"box";
	literal.host = (char *)"192.0.2.1";
	literal.host_is_address = 1;
	policy.endpoints = endpoints;
	policy.n_endpoints = 2;

	fixture_record(&record, OS_HOOK_CONNECT4, OS_EVENT_NET);
	fixture_endpoint(&record, "192.0.2.1", 443);
	record.event.verdict = OS_EVENT_ALLOWED;
	record.event.endpoint = 0;
	assert_int_equal(fixture_decode(&record, &policy, &event), 0);
	assert_string_equal(event.rule, "github");
	assert_string_equal(event.host, "api.github.com");
	record.event.endpoint = 1;
	assert_int_equal(fixture_decode(&record, &policy, &event), 0);
	assert_string_equal(event.rule, "box");
	assert_string_equal(event.host, "");
	/* Out of range, of another generation, no policy: no name rather than a wrong one. */
	record.event.endpoint = 2;
	assert_int_equal(fixture_decode(&record, &policy, &event), 0);
	assert_string_equal(event.rule, "");
	record.event.endpoint = 0;
	record.event.generation = 8;
	assert_int_equal(fixture_decode(&record, &policy, &event), 0);
	assert_string_equal(event.rule, "");
	record.event.generation = 7;
	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
	assert_string_equal(event.rule, "");
}

static void assert_remedies(const char *expected)
{
	static const char *const kinds[] = {"", "ro", "rw", "exec", "net"};
	struct event_remedy remedy[EVENT_REMEDIES_MAX];
	char buf[1024] = "";
	struct text t;
	size_t n;

	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
	n = event_remedies(&event, remedy);
	text_init(&t, buf, sizeof(buf));
	for (size_t i = 0; i < n; i++)
		text_add(&t, "%s%s %s", i ? ", " : "", kinds[remedy[i].kind], remedy[i].path);
	assert_string_equal(buf, expected);
}

static void remedies_are_the_lines_that_would_help(void **state)
{
	fixture_record(&record, OS_HOOK_FILE_OPEN, OS_EVENT_FILE);
	fixture_object(&record, "/srv/a", OS_RIGHT_READ, 0);
	assert_remedies("ro /srv/a");
	fixture_object(&record, "/srv/a", OS_RIGHT_READ | OS_RIGHT_WRITE, 0);
	assert_remedies("rw /srv/a");
	/* A new name: its directory. */
	fixture_record(&record, OS_HOOK_PATH_MKNOD, OS_EVENT_FILE);
	fixture_object(&record, "/srv/a", OS_RIGHT_CREATE, OS_RIGHTS_READ);
	record.event.flags = OS_EVENT_DIRECTORY | OS_EVENT_NEW_NAME;
	assert_remedies("rw /srv");
	fixture_object(&record, "/a", OS_RIGHT_CREATE, 0);
	assert_remedies("rw /");
	/* Removal is asked of the object, then of the directory. */
	fixture_record(&record, OS_HOOK_PATH_UNLINK, OS_EVENT_FILE);
	fixture_object(&record, "/srv/d/a", OS_RIGHT_REMOVE, OS_RIGHTS_READ);
	assert_remedies("rw /srv/d");
	fixture_object(&record, "/srv/d", OS_RIGHT_REMOVE, OS_RIGHTS_READ);
	record.event.flags = OS_EVENT_DIRECTORY;
	assert_remedies("rw /srv/d");
	/* A link into a directory where the file would be writable. */
	fixture_record(&record, OS_HOOK_PATH_LINK, OS_EVENT_FILE);
	fixture_object(&record, "/srv/a", OS_RIGHT_WRITE | OS_RIGHT_REMOVE, OS_RIGHTS_READ);
	record.event.path2_len = (uint16_t)fixture_components(
		record.data + record.event.exe_len + record.event.path_len, "/tmp");
	assert_remedies("rw /srv/a");
	/* A program that may not even be read, and one that only may not be executed. */
	fixture_record(&record, OS_HOOK_BPRM_CHECK, OS_EVENT_EXEC);
	fixture_object(&record, "/opt/x", OS_RIGHT_EXEC, 0);
	assert_remedies("ro /opt/x");
	fixture_object(&record, "/opt/x", OS_RIGHT_EXEC, OS_RIGHTS_READ);
	assert_remedies("");
	/* Network. */
	fixture_record(&record, OS_HOOK_CONNECT4, OS_EVENT_NET);
	fixture_endpoint(&record, "192.0.2.1", 443);
	record.event.reason = OS_REASON_NO_ENDPOINT;
	assert_remedies("net ");
	record.event.reason = OS_REASON_NEVER_ADDRESS;
	assert_remedies("");
	/* What was allowed needs nothing; what is forbidden gets nothing. */
	fixture_record(&record, OS_HOOK_FILE_OPEN, OS_EVENT_FILE);
	fixture_object(&record, "/srv/a", OS_RIGHT_READ, 0);
	record.event.verdict = OS_EVENT_ALLOWED;
	assert_remedies("");
	record.event.verdict = OS_EVENT_DENIED;
	record.event.reason = OS_REASON_FORBIDDEN;
	assert_remedies("");
}

static void an_exec_list_is_where_programs_go(void **state)
{
	Openshell__Compiled__V1__CompiledPolicy policy;
	Openshell__Compiled__V1__ExecPolicy exec;
	struct event_remedy remedy[EVENT_REMEDIES_MAX];

	openshell__compiled__v1__compiled_policy__init(&policy);
	openshell__compiled__v1__exec_policy__init(&exec);
	exec.allow_present = 1;
	policy.exec = &exec;
	fixture_record(&record, OS_HOOK_BPRM_CHECK, OS_EVENT_EXEC);
	fixture_object(&record, "/opt/x", OS_RIGHT_EXEC, OS_RIGHTS_READ);
	assert_int_equal(fixture_decode(&record, &policy, &event), 0);
	assert_int_equal(event_remedies(&event, remedy), 1);
	assert_int_equal(remedy[0].kind, EVENT_REMEDY_EXEC);
	assert_non_null(strstr(event.reason, "exec_policy.allow: /opt/x would grant it"));
	fixture_object(&record, "/opt/x", OS_RIGHT_EXEC, 0);
	assert_int_equal(fixture_decode(&record, &policy, &event), 0);
	assert_int_equal(event_remedies(&event, remedy), 2);
}

static void a_deny_line_is_named_and_final(void **state)
{
	Openshell__Compiled__V1__PathRule rw, deny;
	Openshell__Compiled__V1__PathRule *paths[] = {&rw, &deny};
	Openshell__Compiled__V1__CompiledPolicy policy;
	struct event_remedy remedy[EVENT_REMEDIES_MAX];

	openshell__compiled__v1__compiled_policy__init(&policy);
	openshell__compiled__v1__path_rule__init(&rw);
	openshell__compiled__v1__path_rule__init(&deny);
	rw.path = (char *)"/srv/app";
	rw.access = OPENSHELL__COMPILED__V1__PATH_ACCESS__PATH_ACCESS_READ_WRITE;
	deny.path = (char *)"/srv/app/.env";
	deny.access = OPENSHELL__COMPILED__V1__PATH_ACCESS__PATH_ACCESS_DENY;
	policy.paths = paths;
	policy.n_paths = 2;
	fixture_record(&record, OS_HOOK_FILE_OPEN, OS_EVENT_FILE);
	fixture_object(&record, "/srv/app/.env", OS_RIGHT_READ, 0);
	assert_int_equal(fixture_decode(&record, &policy, &event), 0);
	assert_string_equal(event.reason, "filesystem_policy.deny: /srv/app/.env forbids it, "
					  "whatever else is granted");
	assert_int_equal(event_remedies(&event, remedy), 0);
	/* A neighbour whose name begins the same is another file. */
	fixture_object(&record, "/srv/app/.env2", OS_RIGHT_READ, 0);
	assert_int_equal(fixture_decode(&record, &policy, &event), 0);
	assert_int_equal(event_remedies(&event, remedy), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_denial_is_decoded_whole),
		cmocka_unit_test(truncated_records_are_refused),
		cmocka_unit_test(lengths_past_the_end_are_refused),
		cmocka_unit_test(hostile_fields_are_refused_or_harmless),
		cmocka_unit_test(every_hook_has_a_row),
		cmocka_unit_test(every_hook_and_verdict_decodes),
		cmocka_unit_test(cut_paths_are_marked),
		cmocka_unit_test(an_unknown_executable_has_no_path),
		cmocka_unit_test(objects_on_no_mount_are_named_by_device),
		cmocka_unit_test(rules_come_from_the_policy_in_force),
		cmocka_unit_test(remedies_are_the_lines_that_would_help),
		cmocka_unit_test(an_exec_list_is_where_programs_go),
		cmocka_unit_test(a_deny_line_is_named_and_final),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

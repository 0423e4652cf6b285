/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/event_ocsf.h"
#include "event_fixture.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct record record;
static struct event event;

static json_t *parse(const struct event *e)
{
	char *text = event_ocsf(e);
	json_t *root;

	assert_non_null(text);
	assert_null(strchr(text, '\n'));
	for (const char *p = text; *p; p++)
		assert_in_range((unsigned char)*p, 0x20, 0x7e);
	root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	free(text);
	return root;
}

static json_t *decoded(void)
{
	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
	return parse(&event);
}

/* The value at a path such as "actor.process.pid". */
static json_t *at(json_t *root, const char *path)
{
	char key[64];

	while (*path) {
		size_t n = strcspn(path, ".");

		snprintf(key, sizeof(key), "%.*s", (int)n, path);
		root = json_object_get(root, key);
		assert_non_null(root);
		path += n + (path[n] == '.');
	}
	return root;
}

static void assert_int_at(json_t *root, const char *path, json_int_t value)
{
	assert_true(json_is_integer(at(root, path)));
	assert_int_equal(json_integer_value(at(root, path)), value);
}

static void assert_string_at(json_t *root, const char *path, const char *value)
{
	assert_true(json_is_string(at(root, path)));
	assert_string_equal(json_string_value(at(root, path)), value);
}

static void a_file_denial(void **state)
{
	json_t *root;

	fixture_record(&record, OS_HOOK_FILE_OPEN, OS_EVENT_FILE);
	fixture_object(&record, "/root/.ssh/id_ed25519", OS_RIGHT_READ, 0);
	root = decoded();
	assert_int_at(root, "time", 1775016272118);
	assert_int_at(root, "class_uid", 1001);
	assert_int_at(root, "category_uid", 1);
	assert_int_at(root, "activity_id", 14);
	assert_int_at(root, "type_uid", 100114);
	assert_string_at(root, "type_name", "File System Activity: Open");
	assert_int_at(root, "severity_id", 3);
	assert_int_at(root, "status_id", 2);
	assert_int_at(root, "action_id", 2);
	assert_int_at(root, "disposition_id", 2);
	assert_string_at(root, "metadata.version", "1.8.0");
	assert_string_at(root, "metadata.product.name", "OpenShell");
	assert_int_at(root, "actor.process.pid", 66);
	assert_string_at(root, "actor.process.name", "cat");
	assert_string_at(root, "actor.process.file.path", "/usr/bin/cat");
	assert_string_at(root, "actor.process.user.uid", "1500");
	assert_int_at(root, "actor.process.created_time", 1775016271618);
	assert_string_at(root, "file.path", "/root/.ssh/id_ed25519");
	assert_string_at(root, "file.name", "id_ed25519");
	assert_string_at(root, "message", "DENIED /usr/bin/cat(66) -> /root/.ssh/id_ed25519 read");
	assert_string_at(root, "unmapped.hook", "file_open");
	assert_string_at(root, "unmapped.missing", "read");
	assert_int_at(root, "unmapped.error", -13);
	json_decref(root);
}

static void a_connection(void **state)
{
	json_t *root;

	fixture_record(&record, OS_HOOK_CONNECT4, OS_EVENT_NET);
	fixture_endpoint(&record, "192.0.2.7", 443);
	record.event.verdict = OS_EVENT_ALLOWED;
	root = decoded();
	assert_int_at(root, "class_uid", 4001);
	assert_int_at(root, "type_uid", 400101);
	assert_int_at(root, "status_id", 1);
	assert_int_at(root, "disposition_id", 1);
	assert_string_at(root, "dst_endpoint.ip", "192.0.2.7");
	assert_int_at(root, "dst_endpoint.port", 443);
	assert_int_at(root, "connection_info.direction_id", 2);
	assert_string_at(root, "connection_info.protocol_name", "tcp");
	json_decref(root);
}

static void a_launch_and_an_audit(void **state)
{
	json_t *root;

	fixture_record(&record, OS_HOOK_BPRM_CHECK, OS_EVENT_EXEC);
	fixture_object(&record, "/opt/tool", OS_RIGHT_EXEC, 0);
	record.event.verdict = OS_EVENT_AUDIT;
	root = decoded();
	assert_int_at(root, "type_uid", 100701);
	assert_string_at(root, "process.file.path", "/opt/tool");
	assert_string_at(root, "actor.process.file.path", "/usr/bin/cat");
	assert_int_at(root, "action_id", 1);
	assert_int_at(root, "disposition_id", 17);
	assert_string_at(root, "unmapped.verdict", "AUDIT");
	json_decref(root);
}

static void made_events(void **state)
{
	static const uint8_t digest[32];
	json_t *root;

	event_stopped(&event, "demo", 3);
	root = parse(&event);
	assert_int_at(root, "type_uid", 600204);
	assert_int_at(root, "unmapped.exit_code", 3);
	assert_string_at(root, "app.name", "OpenShell");
	assert_int_at(root, "status_id", 2);
	assert_null(json_object_get(root, "action_id"));
	json_decref(root);

	event_finding(&event, "demo", EVENT_SEVERITY_HIGH, "landlock", "weak");
	root = parse(&event);
	assert_int_at(root, "type_uid", 200401);
	assert_int_at(root, "severity_id", 4);
	assert_string_at(root, "finding_info.title", "weak");
	assert_true(strlen(json_string_value(at(root, "finding_info.uid"))) > 0);
	json_decref(root);

	event_policy_loaded(&event, "demo", NULL, 1, digest);
	root = parse(&event);
	assert_int_at(root, "type_uid", 501901);
	json_decref(root);
}

static void bytes_that_are_not_utf8_are_replaced(void **state)
{
	json_t *root;

	fixture_record(&record, OS_HOOK_FILE_OPEN, OS_EVENT_FILE);
	fixture_exe(&record, "/bin/\"\\\n\x01\xc0\xaf");
	fixture_object(&record, "/a\xff\xed\xa0\x80z", OS_RIGHT_READ, 0);
	memset(record.event.comm, 0xfe, sizeof(record.event.comm));
	root = decoded();
	assert_string_at(root, "file.path", "/a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz");
	assert_string_at(root, "actor.process.file.path",
			 "/bin/\"\\\n\x01\xef\xbf\xbd\xef\xbf\xbd");
	json_decref(root);
}

/* What the schema requires of every event is there, for every hook, kind and verdict. */
static void every_event_has_what_is_required(void **state)
{
	static const char *const required[] = {"time",	      "class_uid",     "category_uid",
					       "activity_id", "type_uid",      "severity_id",
					       "metadata",    "actor",	       "device",
					       "message",     "disposition_id"};

	for (uint32_t hook = 0; hook < OS_HOOK_COUNT; hook++) {
		for (uint16_t verdict = 0; verdict <= OS_EVENT_AUDIT; verdict++) {
			json_t *root;

			fixture_record(&record, hook, OS_EVENT_FILE + hook % 6);
			record.event.verdict = verdict;
			root = decoded();
			for (size_t i = 0; i < ARRAY_LEN(required); i++)
				assert_non_null(json_object_get(root, required[i]));
			switch (event.class) {
			case EVENT_CLASS_FILE:
				at(root, "file.name");
				at(root, "file.type_id");
				break;
			case EVENT_CLASS_PROC:
				at(root, "process.pid");
				break;
			case EVENT_CLASS_NET:
				at(root, "dst_endpoint.ip");
				break;
			case EVENT_CLASS_DNS:
				at(root, "query.hostname");
				break;
			default:
				at(root, "finding_info.uid");
				break;
			}
			json_decref(root);
		}
	}
}

static void repeats_are_a_count(void **state)
{
	json_t *root;

	fixture_record(&record, OS_HOOK_FILE_OPEN, OS_EVENT_FILE);
	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
	event.repeated = 9;
	root = parse(&event);
	assert_int_at(root, "count", 9);
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_denial),
		cmocka_unit_test(a_connection),
		cmocka_unit_test(a_launch_and_an_audit),
		cmocka_unit_test(made_events),
		cmocka_unit_test(bytes_that_are_not_utf8_are_replaced),
		cmocka_unit_test(every_event_has_what_is_required),
		cmocka_unit_test(repeats_are_a_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

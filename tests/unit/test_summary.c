/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/event_name.h"
#include "common/inference.h"
#include "common/policy.h"
#include "common/summary.h"
#include "event_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct record record;
static struct event event;
static char *text;
static size_t text_len;

static void add_file(struct summary *s, const char *path, uint32_t wanted, uint16_t verdict)
{
	fixture_record(&record, OS_HOOK_FILE_OPEN, OS_EVENT_FILE);
	fixture_object(&record, path, wanted, 0);
	record.event.verdict = verdict;
	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
	summary_add(s, &event);
}

static void add_connect(struct summary *s, const char *exe, const char *address, uint16_t port)
{
	fixture_record(&record, OS_HOOK_CONNECT4, OS_EVENT_NET);
	fixture_exe(&record, exe);
	fixture_endpoint(&record, address, port);
	record.event.reason = OS_REASON_NO_ENDPOINT;
	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
	summary_add(s, &event);
}

static const char *name_of(const void *arg, const uint8_t address[16])
{
	return arg;
}

static void add_connect_name(struct summary *s, const char *exe, const char *name, uint16_t port,
			     uint16_t reason)
{
	struct event_context ctx = fixture_context(NULL);

	ctx.name = name_of;
	ctx.name_arg = name;
	fixture_record(&record, OS_HOOK_CONNECT4, OS_EVENT_NET);
	fixture_exe(&record, exe);
	fixture_endpoint(&record, "198.18.0.1", port);
	record.event.reason = reason;
	assert_int_equal(event_decode(&record, fixture_size(&record), &ctx, &event), 0);
	summary_add(s, &event);
}

static void add_question(struct summary *s, const char *exe, const char *name, bool limited)
{
	struct event_context ctx = fixture_context(NULL);
	static struct os_proc proc;
	struct event_question q = {
		.name = name, .type = 1, .limited = limited, .pid = 1, .ns_pid = 1, .proc = &proc};

	proc.path_len = (uint16_t)fixture_components(proc.path, exe);
	proc.identity.exe.file = q.exe = (struct os_file_id){.ino = 11, .dev = 8 << 20 | 1};
	event_name_refused(&q, &ctx, &event);
	summary_add(s, &event);
}

static const char *print(struct summary *s, const struct summary_losses *losses)
{
	FILE *out;

	free(text);
	text = NULL;
	out = open_memstream(&text, &text_len);
	summary_print(s, losses, out);
	fclose(out);
	return text;
}

static void a_quiet_run_says_nothing(void **state)
{
	struct summary *s = summary_new();
	struct summary_losses none = {0};

	add_file(s, "/etc/hosts", OS_RIGHT_READ, OS_EVENT_ALLOWED);
	event_stopped(&event, "demo", 0);
	summary_add(s, &event);
	assert_string_equal(print(s, &none), "");
	assert_string_equal(print(s, NULL), "");
	summary_free(s);
}

static void the_root_gets_no_line(void **state)
{
	struct summary *s = summary_new();

	add_file(s, "/", OS_RIGHT_READ, OS_EVENT_DENIED);
	assert_null(strstr(print(s, NULL), "read_only"));
	assert_non_null(strstr(text, "1 of them are about / itself"));
	add_file(s, "/srv/in", OS_RIGHT_READ, OS_EVENT_DENIED);
	assert_non_null(strstr(print(s, NULL), "      - /srv/in\n"));
	assert_null(strstr(text, "- /\n"));
	summary_free(s);
}

static void denials_are_counted_with_what_would_allow_them(void **state)
{
	struct summary *s = summary_new();

	for (int i = 0; i < 12; i++)
		add_file(s, "/root/.ssh/id_ed25519", OS_RIGHT_READ, OS_EVENT_DENIED);
	add_file(s, "/srv/out", OS_RIGHT_WRITE, OS_EVENT_DENIED);
	add_connect(s, "/usr/bin/curl", "192.0.2.7", 443);
	add_connect(s, "/usr/bin/curl", "2001:db8::1", 80);
	fixture_record(&record, OS_HOOK_BPF, OS_EVENT_SYSTEM);
	record.event.reason = OS_REASON_FORBIDDEN;
	record.event.detail = 5;
	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
	summary_add(s, &event);
	assert_int_equal(summary_denied(s), 16);
	assert_string_equal(print(s, NULL),
			    "openshell: 16 denied\n"
			    "      12 x FILE    /root/.ssh/id_ed25519 read  by /usr/bin/cat\n"
			    "       1 x FILE    /srv/out write  by /usr/bin/cat\n"
			    "       1 x FINDING bpf() command 5  by /usr/bin/cat\n"
			    "       1 x NET     192.0.2.7:443  by /usr/bin/curl\n"
			    "       1 x NET     [2001:db8::1]:80  by /usr/bin/curl\n"
			    "These lines in the policy would allow what a policy can allow of it:\n"
			    "  filesystem_policy:  # a new section: also include_workdir: true\n"
			    "    read_only:\n"
			    "      - /root/.ssh/id_ed25519\n"
			    "    read_write:\n"
			    "      - /srv/out\n"
			    "  network_policies:\n"
			    "    allow_curl:\n"
			    "      binaries: [{path: /usr/bin/curl}]\n"
			    "      endpoints:\n"
			    "        - {host: 192.0.2.7, port: 443}\n"
			    "        - {host: \"2001:db8::1\", port: 80}\n"
			    "The network part of it, for a sandbox that is running:\n"
			    "  openshell policy update demo --add-endpoint 192.0.2.7:443 --binary "
			    "/usr/bin/curl\n"
			    "  openshell policy update demo --add-endpoint '[2001:db8::1]:80' "
			    "--binary /usr/bin/curl\n"
			    "1 of them no policy can allow, or the policy forbids them by name.\n");
	summary_free(s);
}

/* The lines printed are a policy when `version: 1` is put before them. */
static void the_lines_are_a_policy(void **state)
{
	struct summary *s = summary_new();
	struct policy *policy;
	struct diagnostics diag = {0};
	struct error err = {0};
	char *whole = NULL, *lines, *end;
	int n;

	add_file(s, "/srv/we: ird #\"'\\ -name", OS_RIGHT_READ, OS_EVENT_DENIED);
	add_file(s, "/srv/\xe6\x97\xa5\xe2\x80\xae", OS_RIGHT_WRITE, OS_EVENT_DENIED);
	add_file(s, "/srv/bad\xff", OS_RIGHT_READ, OS_EVENT_DENIED);
	add_connect(s, "/usr/bin/py thon: x", "2001:db8::1", 80);
	add_connect_name(s, "/usr/bin/curl", "null", 443, OS_REASON_NO_ENDPOINT);
	add_question(s, "/usr/bin/curl", "api.example.com", false);
	print(s, NULL);
	lines = strstr(text, "  filesystem_policy");
	assert_non_null(lines);
	n = asprintf(&whole, "  version: 1\n%s", lines);
	assert_true(n > 0);
	end = strstr(whole, "The network part of it,");
	assert_non_null(end);
	*end = '\0';
	if (policy_load_buffer("summary", whole, (size_t)(end - whole), &policy, &diag, &err) < 0)
		fail_msg("%s\n%s", whole, err.message);
	policy_free(policy);
	diagnostics_clear(&diag);
	free(whole);
	summary_free(s);
}

static void names_are_told_by_name_port_and_program(void **state)
{
	struct summary *s = summary_new();

	add_connect_name(s, "/usr/bin/git", "api.example.com", 443, OS_REASON_NO_ENDPOINT);
	add_connect_name(s, "/usr/bin/curl", "api.example.com", 443, OS_REASON_BINARY);
	add_connect_name(s, "/usr/bin/curl", "api.example.com", 80, OS_REASON_NO_ENDPOINT);
	record.event.protocol = IPPROTO_UDP;
	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
	snprintf(event.host, sizeof(event.host), "api.example.com");
	summary_add(s, &event);
	for (int i = 0; i < 4; i++)
		add_question(s, "/usr/bin/o'curl", "httpbin.org", false);
	/* The port came to light: no guess. */
	add_question(s, "/usr/bin/git", "api.example.com", false);
	assert_string_equal(
		print(s, NULL),
		"openshell: 9 denied\n"
		"       4 x DNS     httpbin.org  by \"/usr/bin/o'curl\"\n"
		"       2 x NET     api.example.com:80  by /usr/bin/curl\n"
		"       1 x NET     api.example.com:443  by /usr/bin/curl\n"
		"       1 x NET     api.example.com:443  by /usr/bin/git\n"
		"       1 x DNS     api.example.com  by /usr/bin/git\n"
		"These lines in the policy would allow it:\n"
		"  network_policies:\n"
		"    allow_curl:\n"
		"      binaries: [{path: /usr/bin/curl}]\n"
		"      endpoints:\n"
		"        - {host: \"api.example.com\", port: 80}\n"
		"        - {host: \"api.example.com\", port: 443}\n"
		"    allow_git:\n"
		"      binaries: [{path: /usr/bin/git}]\n"
		"      endpoints:\n"
		"        - {host: \"api.example.com\", port: 443}\n"
		"    allow_o_curl:\n"
		"      binaries: [{path: \"/usr/bin/o'curl\"}]\n"
		"      endpoints:\n"
		"        - {host: \"httpbin.org\", port: 443}  # only the name was asked for: the "
		"port is a guess\n"
		"The network part of it, for a sandbox that is running:\n"
		"  openshell policy update demo --add-endpoint api.example.com:80 --binary "
		"/usr/bin/curl\n"
		"  openshell policy update demo --add-endpoint api.example.com:443 --binary "
		"/usr/bin/curl --binary /usr/bin/git\n"
		"  openshell policy update demo --add-endpoint httpbin.org:443 --binary "
		"'/usr/bin/o'\\''curl'  # only the name was asked for: port 443 is a guess\n");
	summary_free(s);
}

/* Where no line helps there is none, and it says what would. */
static void what_no_rule_helps_against(void **state)
{
	struct summary *s = summary_new();

	add_connect_name(s, "/usr/bin/curl", "api.example.com", 443, OS_REASON_CHANGED);
	add_connect_name(s, "/usr/bin/curl", "api.example.com", 443, OS_REASON_CHANGED);
	add_connect_name(s, "/usr/bin/curl", NULL, 443, OS_REASON_STALE_NAME);
	add_connect_name(s, "/usr/bin/curl", NULL, 443, OS_REASON_NEVER_ADDRESS);
	add_question(s, "/usr/bin/dig", "a.tunnel.example", true);
	add_question(s, "/usr/bin/dig", "b.tunnel.example", true);
	print(s, NULL);
	assert_null(strstr(text, "policy update"));
	assert_null(strstr(text, "network_policies:"));
	assert_non_null(strstr(text, "       2 x FINDING new names, too many in a short time  by "
				     "/usr/bin/dig\n"));
	assert_non_null(strstr(text, "6 of them no policy can allow"));
	assert_non_null(strstr(text, "  - the content of /usr/bin/curl, or of an ancestor of it, "
				     "changed since it was identified"));
	assert_non_null(strstr(text, "  - 198.18.0.1 is not an address of any name now; look the "
				     "name up again\n"));
	assert_non_null(strstr(text, "  - loopback, link-local"));
	assert_non_null(strstr(text, "  - too many new names in a short time"));
	summary_free(s);
}

static void several_programs_and_audit(void **state)
{
	struct summary *s = summary_new();

	add_file(s, "/a/x", OS_RIGHT_READ, OS_EVENT_AUDIT);
	fixture_exe(&record, "/bin/head");
	fixture_object(&record, "/a/x", OS_RIGHT_READ, 0);
	assert_int_equal(fixture_decode(&record, NULL, &event), 0);
	summary_add(s, &event);
	assert_int_equal(summary_audited(s), 2);
	print(s, NULL);
	assert_non_null(strstr(text, "openshell: 2 would have been denied (audit mode)\n"));
	assert_non_null(strstr(text, "2 x FILE    /a/x read  by several programs\n"));
	summary_free(s);
}

static void the_table_is_bounded(void **state)
{
	struct summary *s = summary_new();
	char path[64];

	for (int i = 0; i < SUMMARY_KINDS_MAX + 500; i++) {
		snprintf(path, sizeof(path), "/srv/d%d/f%d", i % 700, i);
		add_file(s, path, OS_RIGHT_READ, OS_EVENT_DENIED);
	}
	print(s, NULL);
	snprintf(path, sizeof(path), "  and %d more\n",
		 SUMMARY_KINDS_MAX + 500 - SUMMARY_LINES_MAX);
	assert_non_null(strstr(text, path));
	assert_non_null(strstr(text, "# directories stand for their files"));
	assert_true(text_len < 20000);
	summary_free(s);
}

static void losses_are_never_silent(void **state)
{
	struct summary *s = summary_new();
	struct summary_losses losses = {
		.dropped = 1, .undecoded = 2, .lost = 3, .helper_failed = 4, .proc_full = 5};

	print(s, &losses);
	assert_non_null(strstr(text, "WARNING: 1 events were dropped"));
	assert_non_null(strstr(text, "WARNING: 2 events could not be decoded"));
	assert_non_null(strstr(text, "WARNING: 3 events could not be written"));
	assert_non_null(strstr(text, "WARNING: 4 times a kernel helper failed"));
	assert_non_null(strstr(text, "WARNING: 5 processes got no identity"));
	summary_free(s);
}

static void add_inference(struct summary *s, const char *route, uint16_t status, uint64_t repeated)
{
	memset(&event, 0, sizeof(event));
	event.class = EVENT_CLASS_API;
	event.decided = true;
	event.action = EVENT_ALLOWED;
	event.repeated = repeated;
	event.request.scheme = "https";
	event.request.plain_port = true;
	event.request.status = status;
	snprintf(event.host, sizeof(event.host), "inference.local");
	snprintf(event.request.method, sizeof(event.request.method), "POST");
	snprintf(event.request.path, sizeof(event.request.path), "/v1/embeddings");
	snprintf(event.exe, sizeof(event.exe), "/usr/bin/node");
	snprintf(event.inference.route, sizeof(event.inference.route), "%s", route);
	event.inference.counted = status < 400;
	event.inference.tokens_in = status < 400 ? 1000 : 0;
	event.inference.tokens_out = status < 400 ? 50 : 0;
	event.inference.first_byte = status < 400 ? 250000 : 0;
	if (!route[0])
		event.action = EVENT_DENIED;
	summary_add(s, &event);
}

static void inference_has_its_lines(void **state)
{
	struct summary *s = summary_new();

	add_inference(s, "fast", 200, 0);
	add_inference(s, "fast", 502, 0);
	event.request.status = 200;
	event.inference.first_byte = 4 * 1500000;
	event.inference.tokens_out = 7;
	event.repeated = 4;
	summary_add(s, &event);
	event.repeated = 0;
	event.inference.first_byte = 0;
	event.inference.estimated = true;
	snprintf(event.inference.route, sizeof(event.inference.route), "a [b]");
	summary_add(s, &event);
	assert_string_equal(print(s, NULL),
			    "openshell: inference: route fast: 6 requests, 1 failed, 1000 tokens "
			    "in, 57 out, first byte after 1.250 s (at most 1.500 s)\n"
			    "openshell: inference: route \"a [b]\": 1 requests, ~0 tokens in, "
			    "~7 out\n");
	summary_free(s);
}

/* No line of a policy helps against one. */
static void refused_inference_needs_no_policy(void **state)
{
	struct summary *s = summary_new();

	add_inference(s, "", 429, 0);
	add_inference(s, "", 429, 8);
	assert_string_equal(print(s, NULL),
			    "openshell: 9 denied\n"
			    "       9 x API     POST https://inference.local/v1/embeddings  by "
			    "/usr/bin/node\n"
			    "9 of them are requests to inference.local, of which a policy says "
			    "nothing; the log has the reason of each.\n"
			    "openshell: inference: no route: 9 requests, 9 refused\n");
	summary_free(s);
}

static void routes_are_bounded(void **state)
{
	struct summary *s = summary_new();
	char route[16];
	int lines = 0;

	for (int turn = 0; turn < 2; turn++) {
		for (int i = 0; i < INFERENCE_ROUTES_MAX + 10; i++) {
			snprintf(route, sizeof(route), "r%d", i);
			add_inference(s, route, 200, 0);
		}
	}
	print(s, NULL);
	for (const char *p = text; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, INFERENCE_ROUTES_MAX + 1);
	assert_non_null(strstr(text, "route r31: 2 requests, 2000 tokens in"));
	assert_non_null(strstr(text, "inference: other routes: 20 requests, 20000 tokens in"));
	assert_null(strstr(text, "no route"));
	summary_free(s);
}

static int teardown(void **state)
{
	free(text);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quiet_run_says_nothing),
		cmocka_unit_test(the_root_gets_no_line),
		cmocka_unit_test(denials_are_counted_with_what_would_allow_them),
		cmocka_unit_test(the_lines_are_a_policy),
		cmocka_unit_test(names_are_told_by_name_port_and_program),
		cmocka_unit_test(what_no_rule_helps_against),
		cmocka_unit_test(several_programs_and_audit),
		cmocka_unit_test(the_table_is_bounded),
		cmocka_unit_test(losses_are_never_silent),
		cmocka_unit_test(inference_has_its_lines),
		cmocka_unit_test(refused_inference_needs_no_policy),
		cmocka_unit_test(routes_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: bypass [--vm] TOOLS AGENTS [PART]
 *
 * The bypass suite: ways to reach an address that the policy does not admit, by agents in
 * sandboxes of the real `openshell run`, on this machine's kernel. TOOLS has openshell, AGENTS what
 * is beside this program. One line of TAP for a row. PART runs those parts whose name contains it.
 * With --vm it fails if BPF-LSM is not in force, and some rows are left to the native run.
 */
#include "rows.h"

#include "common/cleanup.h"
#include "world.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A denial that takes longer is a hang to whoever waits for it; a busy host is not yet. */
#define DENIED_MS 5000

struct actor actors[WHO_MAX];

static const char main_policy[] =
	"version: 1\n"
	"filesystem_policy: {include_workdir: true, read_only: ['@/agents']}\n"
	"process: {run_as_user: '1500', run_as_group: '1500'}\n"
	"network_policies:\n"
	"  literal:\n"
	"    endpoints:\n"
	"      - {host: 10.77.0.2, port: 8000}\n"
	"      - {host: 'fd77::2', port: 8000}\n"
	"    binaries: [{path: '@/agents/admitted'}]\n"
	"  names:\n"
	"    endpoints:\n"
	"      - {host: allowed.test, port: 8000}\n"
	"      - {host: second.test, ports: [8000, 443]}\n"
	"      - {host: under_score.test, port: 8000}\n"
	"      - {host: xn--bcher-kva.test, port: 8000}\n"
	"      - {host: stale.test, port: 8000}\n"
	"      - {host: rebinds.test, port: 8000}\n"
	"      - {host: moves.test, port: 8000}\n"
	"      - {host: metadata.test, port: 8000}\n"
	"      - {host: loopback.test, port: 8100}\n"
	"      - {host: mapped.test, port: 8100}\n"
	"      - {host: synthetic.test, port: 8000}\n"
	"      - {host: mixed.test, port: 8000}\n"
	"      - {host: private.test, port: 8000}\n"
	"      - {host: in-hosts.test, port: 8000}\n"
	"      - {host: '*.wild.test', port: 8000}\n"
	"      - {host: '*.tunnel.test', port: 8000}\n"
	"    binaries: [{path: '@/agents/admitted'}]\n"
	"  parents:\n"
	"    endpoints:\n"
	"      - {host: parent-only.test, port: 8000}\n"
	"      - {host: 10.77.0.3, port: 8000}\n"
	"    binaries: [{path: '@/agents/parent'}]\n";

static const char second_policy[] =
	"version: 1\n"
	"filesystem_policy: {include_workdir: true, read_only: ['@/agents']}\n"
	"process: {run_as_user: '1500', run_as_group: '1500'}\n"
	"network_policies:\n"
	"  literal:\n"
	"    endpoints:\n"
	"      - {host: 10.77.0.3, port: 8001}\n"
	"      - {host: first.test, port: 8000}\n"
	"      - {host: denied.test, port: 8000}\n"
	"      - {host: '*.slow.test', port: 8000}\n"
	"    binaries: [{path: '@/agents/admitted'}]\n";

static const char strict_policy[] =
	"version: 1\n"
	"filesystem_policy: {include_workdir: true, read_only: ['@/agents']}\n"
	"process: {run_as_user: '1500', run_as_group: '1500'}\n"
	"exec_policy: {allow_writable: false}\n"
	"network_policies:\n"
	"  literal:\n"
	"    endpoints: [{host: 10.77.0.2, port: 8000}]\n"
	"    binaries: [{path: '@/agents/admitted'}]\n";

static const char *const hook_names[] = {
#define HOOK_NAME(id, name, kind) name,
	OS_HOOKS(HOOK_NAME)
#undef HOOK_NAME
};

static const char *name_of(int error)
{
	const char *name = strerrorname_np(error);

	return error == 0 ? "ok" : name ? name : "nonsense";
}

static bool says(const struct answer *answer, const char *text)
{
	char real[600];

	if (!text)
		return true;
	stage_expand(text, real, sizeof(real));
	return strstr(answer->text, real);
}

static void print_answer(const char *what, const struct answer *answer, int wanted,
			 const char *text)
{
	char real[600] = "";

	if (text)
		stage_expand(text, real, sizeof(real));
	printf("#   %s: %s '%s' after %u ms; wanted %s '%s'\n", what, name_of(answer->error),
	       answer->text, answer->ms, name_of(wanted), real);
}

static void print_hooks(const char *what, uint64_t hooks)
{
	printf("#   %s:", what);
	for (unsigned int hook = 0; hook < HOOKS_MAX && hook < OS_HOOK_COUNT; hook++)
		if (hooks >> hook & 1)
			printf(" %s", hook_names[hook]);
	printf("\n");
}

/* Which hooks ran and denied since @before. */
static uint64_t denied_since(const struct event_counters *before)
{
	struct event_counters now, since;
	uint64_t denied = 0;

	stage_counters(&now);
	event_counters_since(before, &now, &since);
	for (unsigned int hook = 0; hook < HOOKS_MAX && hook < OS_HOOK_COUNT; hook++)
		if (since.value[OS_COUNT_HOOK + hook] && since.value[OS_COUNT_HOOK_DENIED + hook])
			denied |= 1ULL << hook;
	return denied;
}

static enum who outside_of(const struct row *row)
{
	if ((row->flags & ROW_ROOT) || row->who == WHO_BARE)
		return WHO_ROOT;
	return row->who == WHO_STRANGER ? WHO_STRANGER : WHO_USER;
}

/* A kernel that answers @outside without any sandbox: whoever denies first may still be seen. */
static void lacking(const struct row *row, int wanted, int outside)
{
	struct answer in = stage_ask(&actors[row->who], row->act);

	if (in.error == outside && outside != wanted)
		point(true, "%s # SKIP this kernel answers %s outside too", row->name,
		      name_of(outside));
	else
		point(in.error == wanted, "%s: %s (outside: %s)", row->name, name_of(in.error),
		      name_of(outside));
}

void row_run(const struct row *row)
{
	struct answer in, control = {}, out = {.error = row->outside_wanted};
	const char *outside = row->outside ? row->outside : row->act;
	bool is_outside = !(row->flags & ROW_NOT_OUTSIDE), ok;
	struct event_counters before;
	uint64_t denied;
	unsigned int left, asked;
	int wanted = (row->flags & ROW_LSM_EACCES) && stage_has_lsm() ? EACCES : row->wanted;

	if ((row->flags & ROW_NOT_LSM) && stage_has_lsm()) {
		point(true, "%s # SKIP BPF-LSM denies what the act needs of /proc", row->name);
		return;
	}
	if (is_outside) {
		out = stage_ask(&actors[outside_of(row)], outside);
		if ((row->flags & ROW_OPTIONAL) && out.error != row->outside_wanted) {
			lacking(row, wanted, out.error);
			return;
		}
	}
	world_left();
	asked = atomic_load(&world_seen()->queries);
	stage_counters(&before);
	in = stage_ask(&actors[row->who], row->act);
	denied = denied_since(&before);
	left = world_left();
	asked = atomic_load(&world_seen()->queries) - asked;
	if (row->control)
		control = stage_ask(&actors[row->who], row->control);

	if ((row->flags & ROW_OR_EACCES) && in.error == EACCES)
		wanted = EACCES;
	ok = in.error == wanted && says(&in, row->says);
	ok = ok && control.error == 0 && says(&control, row->control_says);
	ok = ok && out.error == row->outside_wanted &&
	     (!is_outside || says(&out, row->outside_says));
	if (row->flags & ROW_UNASKED)
		ok = ok && !asked && !left;
	if (row->wanted)
		ok = ok && (in.ms < DENIED_MS || wanted == EAGAIN) &&
		     left <= (row->flags & ROW_SENDS ? 1u : 0u) &&
		     (!row->hooks || wanted != row->wanted || (denied & row->hooks));
	point(ok, "%s: %s", row->name, name_of(wanted));
	if (ok)
		return;
	printf("#   act: %s\n", row->act);
	print_answer("inside", &in, wanted, row->says);
	if (row->control)
		print_answer("where it is granted", &control, 0, row->control_says);
	if (is_outside)
		print_answer("outside", &out, row->outside_wanted, row->outside_says);
	printf("#   left the host: %u, asked of its resolver: %u\n", left, asked);
	print_hooks("denied", denied);
	print_hooks("should deny", row->hooks);
}

void rows_run(const struct row *table, size_t len)
{
	for (size_t i = 0; i < len; i++)
		row_run(&table[i]);
}

static void run_sockets(void)
{
	rows_run(rows_socket, rows_socket_len);
}

static void run_connect(void)
{
	rows_run(rows_connect, rows_connect_len);
}

static void run_datagram(void)
{
	rows_run(rows_datagram, rows_datagram_len);
}

static bool in_vm;

static void run_matrix(void)
{
	matrix_run(in_vm);
}

static void run_names(void)
{
	if (names_known())
		rows_run(rows_name, rows_name_len);
}

static void run_identity(void)
{
	rows_run(rows_identity, rows_identity_len);
}

static const struct {
	const char *name;
	void (*run)(void);
} parts[] = {
	{"matrix", run_matrix},	      {"connect", run_connect},
	{"datagram", run_datagram},   {"socket", run_sockets},
	{"identity", run_identity},   {"name", run_names},
	{"resolver", resolvers_run},  {"tunnel", special_tunnel},
	{"rebind", special_rebind},   {"stale", special_stale},
	{"glob", special_glob},	      {"flood", special_flood},
	{"worker", special_worker},   {"hostile", special_hostile},
	{"pass", special_sockets},    {"inherited", special_inherited},
	{"ingress", special_ingress}, {"recycled", special_recycled},
};

static void run_part(size_t i)
{
	struct timespec from, to;

	clock_gettime(CLOCK_MONOTONIC, &from);
	parts[i].run();
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("# %s: %.1f s\n", parts[i].name,
	       (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
}

int main(int argc, char **argv)
{
	const char *part;

	in_vm = argc > 1 && !strcmp(argv[1], "--vm");
	argv += in_vm;
	argc -= in_vm;
	if (argc < 3)
		return 2;
	part = argc > 3 ? argv[3] : "";
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	stage_open(argv[1], argv[2]);
	atexit(stage_close); /* also where a broken stage ends it */
	world_open(stage_directory());
	stage_set("interface", world_interface());
	stage_run("main", main_policy, NULL, &actors[WHO_AGENT]);
	stage_run("second", second_policy, NULL, &actors[WHO_SECOND]);
	stage_run("strict", strict_policy, NULL, &actors[WHO_STRICT]);
	stage_spawn(STAGE_INSIDE, &actors[WHO_AGENT], 0, &actors[WHO_BARE]);
	stage_spawn(STAGE_HOST, NULL, STAGE_UID, &actors[WHO_USER]);
	stage_spawn(STAGE_HOST, NULL, 0, &actors[WHO_ROOT]);
	stage_spawn(STAGE_OUTSIDE, NULL, STAGE_UID, &actors[WHO_STRANGER]);
	if (in_vm)
		point(stage_has_lsm(), "BPF-LSM is in force");
	names_learn();
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (strstr(parts[i].name, part))
			run_part(i);
	for (size_t i = WHO_MAX; i-- > 0;)
		stage_stop(&actors[i]);
	world_close();
	return points_end();
}

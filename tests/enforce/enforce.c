/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: enforce bpf-lsm|landlock
 *
 * The enforcement suite: every row of the table in four legs. What is forbidden gets the exact
 * errno; the same act where the policy grants it succeeds; the hook that should have denied counted
 * a denial and told it; and the same act by the same user without a sandbox succeeds. One line of
 * TAP for a row. At the end, under bpf-lsm, every hook must have denied something.
 */
#include "rows.h"

#include "act.h"
#include "common/cleanup.h"
#include "supervisor/landlock.h"

#include <bpf/btf.h>
#include <stdarg.h>
#include <string.h>

static struct stage stage;
static unsigned int points, failures;
static uint64_t denied_hooks; /* that were seen to deny */

static const char *const hook_names[] = {
#define HOOK_NAME(id, name, kind) name,
	OS_HOOKS(HOOK_NAME)
#undef HOOK_NAME
};

static const char *name_of(int r)
{
	return r == 0 ? "ok" : r == -ANY_ERROR ? "an error" : strerrorname_np(-r);
}

static void point(bool ok, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void point(bool ok, const char *fmt, ...)
{
	va_list args;

	failures += !ok;
	printf("%sok %u - ", ok ? "" : "not ", ++points);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

static bool same(int wanted, int got)
{
	return wanted == got || (wanted == -ANY_ERROR && got < 0);
}

/* What the kernel side did during one act. */
struct observed {
	int result;
	uint64_t counted, told; /* hooks whose denials rose, and that told this errno */
};

static struct observed observe(enum who who, const char *words, int error)
{
	struct event_counters before, after, since;
	struct observed o = {};
	char real[1024];

	stage_prepare(&stage, words, real);
	if (!stage.lsm) {
		o.result = server_ask(&stage.server[who], real);
		return o;
	}
	stage_drain(&stage, who);
	if (event_counters_read(stage.kernel->maps.count, &before))
		stage_die("os_count");
	o.result = server_ask(&stage.server[who], real);
	if (event_counters_read(stage.kernel->maps.count, &after))
		stage_die("os_count");
	event_counters_since(&before, &after, &since);
	stage_listen(&stage, who);
	for (unsigned int hook = 0; hook < OS_HOOK_COUNT; hook++) {
		if (since.value[OS_COUNT_HOOK + hook] && since.value[OS_COUNT_HOOK_DENIED + hook])
			o.counted |= 1ULL << hook;
		if (stage.heard[hook].count && same(error, stage.heard[hook].error))
			o.told |= 1ULL << hook;
	}
	return o;
}

static int ask(enum who who, const char *words)
{
	char real[1024];

	stage_prepare(&stage, words, real);
	return server_ask(&stage.server[who], real);
}

static void print_hooks(const char *what, uint64_t hooks)
{
	printf("#   %s:", what);
	for (unsigned int hook = 0; hook < OS_HOOK_COUNT; hook++)
		if (hooks >> hook & 1)
			printf(" %s", hook_names[hook]);
	printf("\n");
}

/* One row's legs, whatever table it is from. */
struct legs {
	const char *where, *name;
	enum who who, outside_who;
	const char *act, *control;
	int wanted, outside, event;
	uint64_t hooks;
	bool no_outside;
};

static void run_legs(const struct legs *l)
{
	struct observed o;
	int control = 0, outside = l->outside;
	bool hook = true, ok;

	o = observe(l->who, l->act, l->event ? l->event : l->wanted);
	if (l->control)
		control = ask(l->who, l->control);
	if (!l->no_outside)
		outside = ask(l->outside_who, l->act);
	if (outside == -ENOSYS && l->outside != -ENOSYS && !l->no_outside) {
		point(true, "%s%s # SKIP this kernel has no such system call", l->where, l->name);
		return;
	}
	if (stage.lsm && l->hooks && l->wanted) {
		hook = (o.counted & l->hooks) && (o.told & l->hooks);
		denied_hooks |= o.counted & o.told;
	}
	ok = same(l->wanted, o.result) && control == 0 && same(l->outside, outside) && hook;
	point(ok, "%s%s: %s", l->where, l->name, name_of(l->wanted));
	if (ok)
		return;
	printf("#   act: %s\n#   got %s, wanted %s\n", l->act, name_of(o.result), name_of(l->wanted));
	if (l->control)
		printf("#   where it is granted: %s\n", name_of(control));
	if (!l->no_outside)
		printf("#   without a sandbox: %s, wanted %s\n", name_of(outside),
		       name_of(l->outside));
	if (stage.lsm && l->hooks) {
		print_hooks("should deny", l->hooks);
		print_hooks("denied", o.counted);
		print_hooks("told", o.told);
	}
}

/* What an act in a zone gets. docs/backends.md has the same table for people. */
static int expected(const struct zone *zone, enum class class)
{
	bool changes = class != CLASS_READ && class != CLASS_LOOK && class != CLASS_FIND &&
		       class != CLASS_EXECUTE;

	if (stage.lsm) {
		if (zone->kind == ZONE_READ_WRITE || (zone->kind == ZONE_READ_ONLY && !changes))
			return 0;
		return class == CLASS_FIND ? 0 : -EACCES;
	}
	switch (zone->kind) {
	case ZONE_READ_WRITE:
		return (class == CLASS_MOVE || class == CLASS_LINK) ? -EXDEV : 0;
	case ZONE_UNLISTED:
		return -ENOENT;
	case ZONE_DENIED:
		return -EACCES;
	case ZONE_READ_ONLY:
		if (!changes || class == CLASS_IOCTL)
			return 0;
		if (class == CLASS_CONNECT)
			return -EACCES;
		return class == CLASS_MOVE || class == CLASS_LINK ? -EXDEV : -EROFS;
	}
	return 0;
}

static void run_matrix(void)
{
	for (size_t z = 0; z < zones_len; z++) {
		char where[64];

		snprintf(where, sizeof(where), "%s: ", zones[z].path);
		for (size_t i = 0; i < matrix_len; i++) {
			const struct matrix_row *row = &matrix[i];
			char words[512], control[512];

			if (row->ext4_only && !zones[z].ext4)
				continue;
			matrix_words(row, zones[z].path, words);
			matrix_words(row, "rw", control);
			run_legs(&(struct legs){
				.where = where,
				.name = row->name,
				.who = WHO_AGENT,
				.outside_who = WHO_USER,
				.act = words,
				.control = control,
				.wanted = expected(&zones[z], row->class),
				.hooks = row->hooks,
			});
		}
	}
}

static const struct landlock_gap *find_gap(const char *id)
{
	for (size_t i = 0; i < landlock_gaps_len; i++)
		if (!strcmp(landlock_gaps[i].id, id))
			return &landlock_gaps[i];
	stage_die("landlock_gaps[] has no %s", id);
}

/* What the backend at hand answers; possible where the documentation says that it is. */
static int wanted(const struct row *row)
{
	if (stage.lsm)
		return -row->lsm;
	if (row->gap && landlock_gap_open(find_gap(row->gap), stage.landlock_abi))
		return 0;
	return -row->landlock;
}

static void run_rows(const struct row *table, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		const struct row *row = &table[i];
		bool root = (row->flags & ROW_ROOT) || row->who == WHO_BARE;

		if (!stage.lsm && (row->flags & ROW_LSM))
			continue;
		run_legs(&(struct legs){
			.where = "",
			.name = row->name,
			.who = row->who,
			.outside_who = root ? WHO_ROOT : WHO_USER,
			.act = row->act,
			.control = row->control,
			.wanted = wanted(row),
			.outside = -row->outside,
			.event = -row->event,
			.hooks = row->hooks,
			.no_outside = row->flags & ROW_NOT_OUTSIDE,
		});
	}
}

int main(int argc, char **argv)
{
	if (argc != 2 || (strcmp(argv[1], "bpf-lsm") && strcmp(argv[1], "landlock"))) {
		fprintf(stderr, "usage: enforce bpf-lsm|landlock\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	stage.lsm = !strcmp(argv[1], "bpf-lsm");
	stage_set_up(&stage);
	run_matrix();
	run_rows(rows, rows_len);
	run_rows(rows_system, rows_system_len);
	stage_tear_down(&stage);
	printf("1..%u\n", points);
	return failures != 0;
}

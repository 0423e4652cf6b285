/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: enforce bpf-lsm|landlock
 *
 * The enforcement suite: every row of the table in four legs. What is forbidden gets the exact
 * errno; the same act where the policy grants it succeeds; the hook that should have denied counted
 * a denial and told it; and the same act by the same user without a sandbox succeeds. One line of
 * TAP for a row. At the end, under bpf-lsm, every hook must have denied something.
 */
#include "suite.h"

#include "act.h"
#include "common/cleanup.h"
#include "supervisor/landlock.h"

#include <bpf/btf.h>
#include <stdarg.h>
#include <string.h>

static hook_set denied_hooks; /* that were seen to deny */

static const char *const hook_names[] = {
#define HOOK_NAME(id, name, kind) name,
	OS_HOOKS(HOOK_NAME)
#undef HOOK_NAME
};

void print_hooks(const char *what, hook_set hooks)
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
	hook_set hooks;
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
		hook = (o.denied & l->hooks) && (o.told & l->hooks);
		denied_hooks |= o.denied & o.told;
	}
	ok = l->wanted == o.result && control == 0 && l->outside == outside && hook;
	point(ok, "%s%s: %s", l->where, l->name, name_of(l->wanted));
	if (ok)
		return;
	printf("#   act: %s\n#   got %s, wanted %s\n", l->act, name_of(o.result),
	       name_of(l->wanted));
	if (l->control)
		printf("#   where it is granted: %s\n", name_of(control));
	if (!l->no_outside)
		printf("#   without a sandbox: %s, wanted %s\n", name_of(outside),
		       name_of(l->outside));
	if (stage.lsm && l->hooks) {
		print_hooks("should deny", l->hooks);
		print_hooks("denied", o.denied);
		print_hooks("told", o.told);
	}
}

/* What an act in a zone gets. docs/backends.md has the same table for people. */
int matrix_wanted(const struct matrix_row *row, const struct zone *zone)
{
	enum class class = row->class;
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
				.wanted = matrix_wanted(row, &zones[z]),
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
int row_wanted(const struct row *row)
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
			.wanted = row_wanted(row),
			.outside = -row->outside,
			.event = -row->event,
			.hooks = row->hooks,
			.no_outside = row->flags & ROW_NOT_OUTSIDE,
		});
	}
}

/*
 * A hook that nothing was denied by was not tested. One that this kernel lacks is named with what
 * its BTF says.
 */
static void check_coverage(void)
{
	struct btf *btf = btf__load_vmlinux_btf();

	if (!btf)
		stage_die("the kernel's BTF cannot be read");
	for (unsigned int hook = OS_HOOK_NONE + 1; hook < OS_HOOK_COUNT; hook++) {
		char name[128];

		/* Programs on cgroups and tracepoints have suites of their own. */
		if (strchr(hook_names[hook], '/') || hook == OS_HOOK_EXEC ||
		    hook == OS_HOOK_SOCKOPS || hook == OS_HOOK_DNS)
			continue;
		snprintf(name, sizeof(name), "bpf_lsm_%s", hook_names[hook]);
		if (btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) < 0)
			point(true, "hook %s denied # SKIP this kernel has no such hook",
			      hook_names[hook]);
		else
			point(denied_hooks >> hook & 1, "hook %s denied", hook_names[hook]);
	}
	btf__free(btf);
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
	special_seccomp();
	special_run();
	if (stage.lsm) {
		special_audit();
		check_coverage();
	}
	stage_tear_down(&stage);
	return suite_end();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/probe_report.h"
#include "abi.h"
#include "common/cleanup.h"
#include "supervisor/kernel_variant.h"
#include "supervisor/landlock.h"
#include "supervisor/probe.h"

#include <mntent.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/utsname.h>

/* What a report is made from, on its way. */
struct making {
	struct probe_report report;
	struct probe probe;
	bool root;
	bool required_missing, required_unknown;
	bool failed; /* out of memory */

	int lsm_active, lsm_load, lsm_denial;
	bool hooks_missing;
	int abi;
};

#define NOT_PROBED "not probed without root"
#define AS_ROOT	   "sudo openshell doctor"

const char *probe_status_name(enum probe_status status)
{
	static const char *const names[] = {
		[PROBE_FOUND] = "found",
		[PROBE_PARTIAL] = "partial",
		[PROBE_MISSING] = "missing",
		[PROBE_UNKNOWN] = "unknown",
	};

	return names[status];
}

/* A new row; the texts are set by the caller. Never NULL: out of memory is remembered instead. */
static struct probe_row *add(struct making *m, const char *group, const char *name,
			     enum probe_status status)
{
	static struct probe_row nowhere;
	struct probe_report *report = &m->report;
	struct probe_row *row;

	if (report->len == report->cap) {
		size_t cap = report->cap ? report->cap * 2 : 128;

		row = cap > PROBE_ROWS_MAX ? NULL : reallocarray(report->row, cap, sizeof(*row));
		if (!row) {
			m->failed = true;
			return &nowhere;
		}
		report->row = row;
		report->cap = cap;
	}
	row = &report->row[report->len++];
	*row = (struct probe_row){.group = group, .status = status};
	snprintf(row->id, sizeof(row->id), "%s.%s", group, name);
	return row;
}

__attribute__((format(printf, 3, 4))) static void text(char *buf, size_t size, const char *format,
						       ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(buf, size, format, args);
	va_end(args);
}

#define FOUND(row, ...)	      text((row)->found, sizeof((row)->found), __VA_ARGS__)
#define CONSEQUENCE(row, ...) text((row)->consequence, sizeof((row)->consequence), __VA_ARGS__)
#define ACTION(row, ...)      text((row)->action, sizeof((row)->action), __VA_ARGS__)

/* Without privilege a refusal says nothing about the kernel. */
static enum probe_status status_of(const struct making *m, int result)
{
	if (result >= 0)
		return PROBE_FOUND;
	if (!m->root && (result == -EPERM || result == -EACCES))
		return PROBE_UNKNOWN;
	return PROBE_MISSING;
}

/* The common row: @found if @result is 0, else the error, its consequence and what to do. */
static struct probe_row *add_result(struct making *m, const char *group, const char *name,
				    int result, bool required, const char *found,
				    const char *consequence, const char *action)
{
	struct probe_row *row = add(m, group, name, status_of(m, result));

	if (row->status == PROBE_FOUND) {
		FOUND(row, "%s", found);
		return row;
	}
	if (row->status == PROBE_UNKNOWN) {
		FOUND(row, "%s", NOT_PROBED);
		ACTION(row, "%s", AS_ROOT);
	} else {
		FOUND(row, "%s", strerror(-result));
		CONSEQUENCE(row, "%s", consequence);
		ACTION(row, "%s", action);
	}
	if (required && row->status == PROBE_MISSING)
		m->required_missing = true;
	if (required && row->status == PROBE_UNKNOWN)
		m->required_unknown = true;
	return row;
}

static void add_host(struct making *m)
{
	struct probe_row *row;
	struct utsname uts;

	row = add(m, "host", "root", m->root ? PROBE_FOUND : PROBE_PARTIAL);
	FOUND(row, "uid %u", (unsigned int)geteuid());
	if (!m->root) {
		CONSEQUENCE(row, "programs, maps, cgroups and namespaces could not be probed, and "
				 "run needs the host's supervisor");
		ACTION(row, "sudo openshell doctor");
	}
	row = add(m, "kernel", "release", PROBE_FOUND);
	FOUND(row, "%s %s", uname(&uts) < 0 ? "unknown" : uts.release, uts.machine);
	add_result(m, "kernel", "btf", m->probe.vmlinux ? 0 : m->probe.vmlinux_error, true,
		   "/sys/kernel/btf/vmlinux", "no program that looks into the kernel can be loaded",
		   "use a kernel built with CONFIG_DEBUG_INFO_BTF");
	add_result(m, "kernel", "mount_setattr", probe_mount_setattr(), true, "yes",
		   "read-only trees cannot be made", "use Linux 5.15 or newer");
}

static void add_floor(struct making *m)
{
	char lacking[256];
	int r = probe_floor(&m->probe, lacking, sizeof(lacking));
	struct probe_row *row =
		add_result(m, "kernel", "floor", r, true, "what Linux 5.15 brought is there",
			   "run refuses to start", "use Linux 5.15 or newer");

	if (r == -ENOSYS)
		FOUND(row, "lacks %s, which Linux 5.15 has", lacking);
}

static void add_lsm(struct making *m)
{
	const char *fallback = "files are held by Landlock and mounts instead: see landlock.*";
	char list[512] = "";
	struct probe_row *row;
	int r = probe_lsm_list(list, sizeof(list));

	m->lsm_active = probe_lsm_active();
	m->lsm_load = probe_lsm_load(&m->probe, "file_open");
	m->lsm_denial = probe_lsm_denial(&m->probe);

	add_result(m, "lsm", "list", r, false, list, "cannot tell whether BPF-LSM is active",
		   "mount securityfs on /sys/kernel/security");
	if (m->lsm_active == 0) {
		row = add(m, "lsm", "bpf", PROBE_MISSING);
		FOUND(row, "bpf is not in the list");
		CONSEQUENCE(row, "BPF-LSM programs would load and enforce nothing; %s", fallback);
		ACTION(row, "boot with lsm=%s%sbpf on the kernel's command line", list,
		       list[0] ? "," : "");
	} else {
		add_result(m, "lsm", "bpf", m->lsm_active, false, "bpf is in the list", fallback,
			   "mount securityfs on /sys/kernel/security");
	}
	add_result(m, "lsm", "load", m->lsm_load, false, "a BPF-LSM program loads", fallback,
		   m->lsm_load == -EPERM
			   ? "use a host that allows BPF-LSM programs: this one refuses them even "
			     "to root"
			   : "use a kernel built with CONFIG_BPF_LSM");
	row = add_result(m, "lsm", "denial", m->lsm_denial, false,
			 "an act was denied by a BPF-LSM program", fallback,
			 "see lsm.bpf and lsm.load");
	if (m->lsm_denial == -ENOTRECOVERABLE)
		FOUND(row, "a program was attached and denied nothing");
}

static void add_hook(struct making *m, const char *hook)
{
	const char *cover = kernel_variant_cover(hook);
	int r = probe_lsm_load(&m->probe, hook);
	struct probe_row *row = add(m, "hook", hook, status_of(m, r));

	if (row->status == PROBE_FOUND) {
		FOUND(row, "loads");
		return;
	}
	if (row->status == PROBE_UNKNOWN) {
		FOUND(row, "%s", NOT_PROBED);
		ACTION(row, "%s", AS_ROOT);
		return;
	}
	FOUND(row, "%s", r == -ENOENT ? "not on this kernel" : strerror(-r));
	/* Where nothing loads, the hook itself is not the matter. */
	if (m->lsm_load < 0) {
		CONSEQUENCE(row, "as lsm.load");
		ACTION(row, "see lsm.load");
	} else if (cover) {
		row->status = PROBE_PARTIAL;
		CONSEQUENCE(row, "none: %s", cover);
	} else {
		m->hooks_missing = true;
		CONSEQUENCE(row, "BPF-LSM is not used, since nothing else covers this hook");
		ACTION(row, "use Linux 5.15 or newer");
	}
}

static void add_hooks(struct making *m)
{
	static const char *const names[] = {
#define HOOK_NAME(id, name, kind) name,
		OS_HOOKS(HOOK_NAME)
#undef HOOK_NAME
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		/* Cgroup programs and tracepoints have rows among the programs. */
		if (i == OS_HOOK_NONE || i == OS_HOOK_EXEC || i == OS_HOOK_SOCKOPS ||
		    i == OS_HOOK_DNS || strchr(names[i], '/'))
			continue;
		add_hook(m, names[i]);
	}
}

static void add_programs(struct making *m)
{
	char consequence[320];

	for (size_t i = 0; i < probe_programs_len; i++) {
		const struct probe_program *p = &probe_programs[i];

		snprintf(consequence, sizeof(consequence),
			 "run refuses to start, for nothing else does this: %s", p->what);
		add_result(m, "program", p->name, probe_program_load(p), true, p->what, consequence,
			   strncmp(p->name, "cgroup", strlen("cgroup"))
				   ? "use Linux 5.15 or newer"
				   : "use Linux 5.15 or newer with CONFIG_CGROUP_BPF");
	}
	for (size_t i = 0; i < probe_maps_len; i++) {
		const struct probe_map *p = &probe_maps[i];

		snprintf(consequence, sizeof(consequence), "run refuses to start: no place for %s",
			 p->what);
		add_result(m, "map", p->name, probe_map_create(p), true, p->what, consequence,
			   "use Linux 5.15 or newer");
	}
}

static void add_controllers(struct making *m, const struct probe_cgroup *cgroup)
{
	bool all = cgroup->cpu && cgroup->memory && cgroup->pids;
	struct probe_row *row = add(m, "cgroup", "controllers", all ? PROBE_FOUND : PROBE_PARTIAL);

	FOUND(row, "cpu %s, memory %s, pids %s (v2 has: %s)", cgroup->cpu ? "yes" : "no",
	      cgroup->memory ? "yes" : "no", cgroup->pids ? "yes" : "no",
	      cgroup->v2[0] ? cgroup->v2 : "none");
	if (!all) {
		CONSEQUENCE(row, "--cpu and --memory cannot be kept for what is missing");
		ACTION(row, "enable the controllers (cgroup_enable= on the kernel's command line)");
	}
}

static void add_cgroup(struct making *m)
{
	struct probe_cgroup_trial t = {-ENOENT, -ENOENT, -ENOENT, -ENOENT, -ENOENT};
	const char *refuses = "run refuses to start: agents cannot be told apart and held";
	struct probe_cgroup cgroup = {};
	char where[320];
	int r = probe_cgroup_find(&cgroup);

	if (r == 0 && !cgroup.path[0])
		r = -ENOENT;
	snprintf(where, sizeof(where), "%s, %s", cgroup.path,
		 cgroup.hybrid ? "hybrid (v1 hierarchies beside it)" : "unified");
	add_result(m, "cgroup", "v2", r, true, where, refuses,
		   "mount it: mount -t cgroup2 none /sys/fs/cgroup/unified");
	add_controllers(m, &cgroup);
	if (r == 0)
		probe_cgroup_try(cgroup.path, &t);
	add_result(m, "cgroup", "create", t.create, true, "a cgroup can be made", refuses,
		   "give this container or unit a writable cgroup (delegation)");
	add_result(m, "cgroup", "kill", t.kill, true, "cgroup.kill",
		   "a sandbox cannot be ended at once", "use Linux 5.15 or newer");
	add_result(m, "cgroup", "clone3", t.clone3, true, "a process starts in its cgroup", refuses,
		   "allow clone3 in this container's seccomp profile");
	add_result(m, "cgroup", "attach", t.attach, true, "a program attaches by a link", refuses,
		   "use Linux 5.15 or newer with CONFIG_CGROUP_BPF");
	r = t.denial;
	if (add_result(m, "cgroup", "denial", r, true,
		       "a connection was denied inside, and allowed outside",
		       "run refuses to start: the network would be open", "see cgroup.attach")
			    ->status == PROBE_MISSING &&
	    r == -ENOTRECOVERABLE)
		FOUND(&m->report.row[m->report.len - 1],
		      "a program was attached and denied nothing");
}

static void add_landlock(struct making *m)
{
	bool lsm = !strcmp(m->report.backend, "bpf-lsm");
	struct probe_row *row;

	row = add(m, "landlock", "abi", PROBE_FOUND);
	FOUND(row, "ABI %d (newest known: %d)", m->abi, LANDLOCK_ABI_KNOWN);
	if (m->abi < 1) {
		row->status = PROBE_MISSING;
		FOUND(row, "none");
		CONSEQUENCE(row, "%s",
			    lsm ? "files are held by BPF-LSM alone"
				: "files cannot be held without BPF-LSM");
		ACTION(row, "add landlock to lsm= on the kernel's command line");
	}
	for (size_t i = 0; i < landlock_gaps_len; i++) {
		const struct landlock_gap *gap = &landlock_gaps[i];
		bool open = landlock_gap_open(gap, m->abi);

		row = add(m, "landlock", gap->id, open && !lsm ? PROBE_PARTIAL : PROBE_FOUND);
		if (lsm)
			FOUND(row, "%s: Landlock is not the backend", gap->what);
		else if (gap->since_abi && m->abi >= gap->since_abi)
			FOUND(row, "%s: held by Landlock", gap->what);
		else
			FOUND(row, "%s: %s", gap->what,
			      gap->covered_by ? gap->covered_by : "nothing holds it");
		if (row->status == PROBE_FOUND)
			continue;
		CONSEQUENCE(row, "%s", gap->remains);
		if (gap->since_abi)
			ACTION(row, "use BPF-LSM, or a kernel with Landlock ABI %d",
			       gap->since_abi);
		else
			ACTION(row, "use BPF-LSM (see lsm.*)");
	}
}

static void add_process(struct making *m)
{
	static const struct {
		const char *name;
		int flag;
	} namespaces[] = {
		{"mnt", CLONE_NEWNS},
		{"pid", CLONE_NEWPID},
		{"ipc", CLONE_NEWIPC},
		{"uts", CLONE_NEWUTS},
	};

	add_result(m, "process", "seccomp", probe_seccomp(), true, "filters with an errno",
		   "run refuses to start", "use a kernel built with CONFIG_SECCOMP_FILTER");
	for (size_t i = 0; i < ARRAY_LEN(namespaces); i++)
		add_result(m, "namespace", namespaces[i].name, probe_namespace(namespaces[i].flag),
			   true, "yes", "run refuses to start",
			   "allow it in this container, or raise user.max_*_namespaces");
}

/* The mount point of the first file system of @type, or false. */
static bool find_mount(const char *type, char *buf, size_t size)
{
	_cleanup_fclose_ FILE *mounts = fopen("/proc/self/mounts", "re");
	struct mntent entry;
	char line[4096];

	while (mounts && getmntent_r(mounts, &entry, line, sizeof(line))) {
		if (!strcmp(entry.mnt_type, type)) {
			snprintf(buf, size, "%s", entry.mnt_dir);
			return true;
		}
	}
	return false;
}

static void add_bpf(struct making *m)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/sys/kernel/unprivileged_bpf_disabled", "re");
	int value = file ? fgetc(file) : EOF;
	struct probe_row *row;
	char where[256];

	row = add(m, "bpf", "bpffs", PROBE_FOUND);
	if (find_mount("bpf", where, sizeof(where))) {
		FOUND(row, "%s", where);
	} else {
		row->status = PROBE_PARTIAL;
		FOUND(row, "not mounted");
		CONSEQUENCE(row, "enforcement cannot outlive a daemon until it is");
		ACTION(row, "mount -t bpf bpf /sys/fs/bpf");
	}
	row = add(m, "bpf", "unprivileged", PROBE_FOUND);
	if (value == '1' || value == '2') {
		FOUND(row, "kernel.unprivileged_bpf_disabled = %c", value);
	} else {
		row->status = PROBE_PARTIAL;
		FOUND(row, "kernel.unprivileged_bpf_disabled = %c", value == EOF ? '?' : value);
		CONSEQUENCE(row, "users outside of sandboxes may load BPF programs (agents may "
				 "not: seccomp denies bpf)");
		ACTION(row, "sysctl kernel.unprivileged_bpf_disabled=2");
	}
}

static void conclude_backend(struct making *m)
{
	bool lsm = m->lsm_active == 1 && !m->lsm_load && !m->lsm_denial && !m->hooks_missing;
	bool lsm_unknown = !lsm && !m->root && m->lsm_active != 0 && !m->hooks_missing;

	if (lsm)
		m->report.backend = "bpf-lsm";
	else if (lsm_unknown)
		m->report.backend = "unknown";
	else
		m->report.backend = m->abi >= 1 ? "landlock" : "none";
}

static void conclude(struct making *m)
{
	/* With Landlock there, files are held whatever BPF-LSM turns out to be. */
	bool files_unknown = !strcmp(m->report.backend, "unknown") && m->abi < 1;

	if (m->required_missing || !strcmp(m->report.backend, "none"))
		m->report.can_enforce = PROBE_NO;
	else if (m->required_unknown || files_unknown)
		m->report.can_enforce = PROBE_CANNOT_TELL;
	else
		m->report.can_enforce = PROBE_YES;
}

int probe_report_make(struct probe_report *ret_report, struct error *err)
{
	struct making m = {.root = geteuid() == 0, .abi = landlock_abi()};
	int r = probe_open(&m.probe);

	if (r < 0)
		return error_set(err, r, "cannot read the kernel's types: %s", strerror(-r));
	add_host(&m);
	add_floor(&m);
	add_lsm(&m);
	add_hooks(&m);
	conclude_backend(&m);
	add_landlock(&m);
	add_programs(&m);
	add_cgroup(&m);
	add_process(&m);
	add_bpf(&m);
	conclude(&m);
	probe_close(&m.probe);
	if (m.failed) {
		probe_report_free(&m.report);
		return error_set(err, -ENOMEM, "out of memory");
	}
	*ret_report = m.report;
	return 0;
}

void probe_report_free(struct probe_report *report)
{
	if (!report)
		return;
	free(report->row);
	*report = (struct probe_report){};
}

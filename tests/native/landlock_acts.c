/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the Landlock backend really denies: each act in each zone of a policy, with its exact errno,
 * next to the same act where the policy allows it (zone rw), and by the same user with no sandbox
 * at all. Once with the planned mounts, as `run` does it, and once with Landlock alone, so that
 * what docs/backends.md says of either is shown. Prints TAP. Needs root; leaves nothing behind.
 */
#include "acts.h"
#include "common/cleanup.h"
#include "common/rights.h"
#include "supervisor/landlock.h"
#include "supervisor/masks.h"
#include "supervisor/mounts.h"
#include "supervisor/probe.h"

#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

/* Classes of acts that are answered alike. */
enum class {
	READS,
	LOOKS,
	OPENS_TO_WRITE,
	TRUNCATES,
	CHANGES_DIRECTORY,
	MOVES,
	LINKS,
	ATTRIBUTES,
	CONNECTS,
	EXECUTES
};

static const struct {
	struct act act;
	enum class class;
} acts[] = {
	{{"read", A_FILE, act_read}, READS},
	{{"readdir", A_DIRECTORY, act_read}, READS},
	{{"map_exec", A_FILE, act_map_exec}, READS},
	{{"stat", A_FILE, act_stat}, LOOKS},
	{{"chdir", A_DIRECTORY, act_chdir}, LOOKS},
	{{"readlink", A_LINK, act_readlink}, LOOKS},
	{{"opath", A_FILE, act_opath}, LOOKS},
	{{"write", A_FILE, act_write}, OPENS_TO_WRITE},
	{{"truncate", A_FILE, act_truncate}, TRUNCATES},
	{{"create", NOTHING, act_create}, CHANGES_DIRECTORY},
	{{"unlink", A_FILE, act_unlink}, CHANGES_DIRECTORY},
	{{"rename", A_FILE, act_rename}, CHANGES_DIRECTORY},
	{{"symlink", NOTHING, act_symlink}, CHANGES_DIRECTORY},
	{{"mkdir", NOTHING, act_mkdir}, CHANGES_DIRECTORY},
	{{"rmdir", A_DIRECTORY, act_rmdir}, CHANGES_DIRECTORY},
	{{"mkfifo", NOTHING, act_mkfifo}, CHANGES_DIRECTORY},
	{{"bind", NOTHING, act_bind}, CHANGES_DIRECTORY},
	{{"rename_into_rw", A_FILE, act_rename_into_rw}, MOVES},
	{{"link_into_rw", A_FILE, act_link_into_rw}, LINKS},
	{{"chmod", A_FILE, act_chmod}, ATTRIBUTES},
	{{"chown", A_FILE, act_chown}, ATTRIBUTES},
	{{"utimes", A_FILE, act_utimes}, ATTRIBUTES},
	{{"setxattr", A_FILE, act_setxattr}, ATTRIBUTES},
	{{"connect", A_SOCKET, act_connect}, CONNECTS},
	{{"exec", A_PROGRAM, act_exec}, EXECUTES},
};

enum zone { RW, RW_IN_RO, RO, RO_IN_RW, DENIED, UNLISTED, MASKED, ZONES };

/* Where a zone is; MASKED is in a top-level directory that no listed path needs. */
static const char *const zone_dirs[ZONES] = {
	[RW] = "rw",	      [RW_IN_RO] = "ro/rw", [RO] = "ro",	 [RO_IN_RW] = "rw/ro",
	[DENIED] = "rw/deny", [UNLISTED] = "out",   [MASKED] = "masked",
};

struct tree {
	char top[64], masked[64];
	int sockets[ZONES];
	int client; /* of the socket in zone ro, so that the kernel lists that one twice */
};

enum sandbox { FREE, WITH_MOUNTS, LANDLOCK_ONLY };

/* What the sandboxed child found, in memory shared with its parent. */
struct findings {
	int act[ZONES][ARRAY_LEN(acts)];
	int special[32];
	int started; /* 0, or why the sandbox could not be made */
	size_t steps;
	double mount_ms;
	char message[ERROR_MESSAGE_MAX];
};

static int abi;

static int expected_alone(enum zone zone, enum class class)
{
	bool listed = zone == RO;

	switch (class) {
	case READS:
	case EXECUTES:
		return listed ? 0 : -EACCES;
	case LOOKS:
	case ATTRIBUTES:
		return 0;
	case TRUNCATES:
		return abi < 3 ? 0 : -EACCES;
	case CONNECTS:
		return abi < 9 ? 0 : -EACCES;
	case LINKS:
		return -EXDEV;
	case MOVES:
		return abi < 2 ? -EXDEV : -EACCES;
	default:
		return -EACCES;
	}
}

static int expected(enum sandbox sandbox, enum zone zone, enum class class)
{
	if (sandbox == FREE)
		return 0;
	if (zone == RW || zone == RW_IN_RO) {
		/* Another mount, or no right to move at all before ABI 2. */
		if ((class == MOVES || class == LINKS) &&
		    (zone == RW_IN_RO && sandbox == WITH_MOUNTS))
			return -EXDEV;
		if (class == MOVES && zone == RW_IN_RO && abi < 2)
			return -EXDEV;
		if (class == LINKS && zone == RW_IN_RO && abi < 2)
			return -EXDEV;
		return 0;
	}
	if (sandbox == LANDLOCK_ONLY)
		return expected_alone(zone, class);
	if (zone == UNLISTED)
		return -ENOENT;
	if (zone == DENIED || zone == MASKED)
		return -EACCES;
	switch (class) {
	case READS:
	case LOOKS:
	case EXECUTES:
		return 0;
	case CONNECTS:
		return -EACCES;
	case MOVES:
	case LINKS:
		return -EXDEV;
	default:
		return -EROFS;
	}
}

static void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void zone_path(const struct tree *t, enum zone zone, const char *name, char buf[static 512])
{
	if (zone == MASKED)
		snprintf(buf, 512, "%s/%s", t->masked, name);
	else
		snprintf(buf, 512, "%s/%s/%s", t->top, zone_dirs[zone], name);
}

static void make_file(const char *path, bool program)
{
	_cleanup_close_ int from = open("/bin/true", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	char buf[65536];
	ssize_t n;

	if (from < 0 || to < 0)
		die(path);
	while ((n = read(from, buf, program ? sizeof(buf) : 4096)) > 0) {
		if (write(to, buf, (size_t)n) != n)
			die(path);
		if (!program)
			break;
	}
}

static void make_fixture(struct tree *t, enum zone zone, const char *path, enum fixture fixture)
{
	switch (fixture) {
	case NOTHING:
		return;
	case A_FILE:
	case A_PROGRAM:
		make_file(path, fixture == A_PROGRAM);
		break;
	case A_DIRECTORY:
		if (mkdir(path, 0755) < 0)
			die(path);
		break;
	case A_LINK:
		if (symlink("/etc/hostname", path) < 0)
			die(path);
		break;
	case A_SOCKET:
		t->sockets[zone] = unix_act(path, false, true);
		if (t->sockets[zone] < 0)
			die(path);
		break;
	}
	if (lchown(path, USER, USER) < 0)
		die(path);
}

static void make_tree(struct tree *t)
{
	static const char *const dirs[] = {"rw",      "ro",  "ro/rw",	 "rw/ro",
					   "rw/deny", "out", "rw/moves", NULL};
	char path[512];

	*t = (struct tree){.top = "/var/tmp/openshell-XXXXXX", .masked = "/srv/openshell-XXXXXX"};
	if (!mkdtemp(t->top) || !mkdtemp(t->masked))
		die("mkdtemp");
	if (chmod(t->top, 0755) < 0 || chmod(t->masked, 0755) < 0 ||
	    chown(t->masked, USER, USER) < 0)
		die("chmod");
	for (size_t i = 0; dirs[i]; i++) {
		snprintf(path, sizeof(path), "%s/%s", t->top, dirs[i]);
		if (mkdir(path, 0755) < 0 || chown(path, USER, USER) < 0)
			die(path);
	}
	for (enum zone zone = 0; zone < ZONES; zone++)
		for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
			zone_path(t, zone, acts[i].act.name, path);
			make_fixture(t, zone, path, acts[i].act.fixture);
		}
	zone_path(t, RO, "connect", path);
	t->client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (unix_connect(t->client, path) < 0)
		die(path);
	zone_path(t, RW, ".env", path);
	make_fixture(t, RW, path, A_FILE);
	zone_path(t, RW, "moves/secret", path);
	make_fixture(t, RW, path, A_FILE);
	zone_path(t, RO, "denied_program", path);
	make_fixture(t, RO, path, A_PROGRAM);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void remove_tree(struct tree *t)
{
	for (size_t i = 0; i < ARRAY_LEN(t->sockets); i++)
		safe_close(t->sockets[i]);
	safe_close(t->client);
	if (nftw(t->top, remove_one, 16, FTW_DEPTH | FTW_PHYS) < 0 ||
	    nftw(t->masked, remove_one, 16, FTW_DEPTH | FTW_PHYS) < 0)
		printf("# could not remove %s\n", t->top);
}

/* Acts that have one place only. */
enum special {
	READ_MASKED_FILE,
	UNLINK_MASKED_FILE,
	RENAME_MASKED_FILE,
	READ_BELOW_RENAMED_PARENT,
	EXEC_DENIED_PROGRAM,
	MAP_DENIED_PROGRAM,
	CONNECT_ABSTRACT,
	SIGNAL_OUTSIDE,
	LIST_MASKED_DIRECTORY,
	LIST_HIDDEN_DIRECTORY,
	SPECIALS,
};

static const struct {
	const char *name;
	int with_mounts, alone;
	int abi; /* the expectation holds from this ABI on; below, the act succeeds */
} specials[SPECIALS] = {
	[READ_MASKED_FILE] = {"read a denied file in a read_write directory", -EACCES, 0, 1},
	[UNLINK_MASKED_FILE] = {"unlink a denied file", -EBUSY, 0, 1},
	[RENAME_MASKED_FILE] = {"rename a denied file", -EBUSY, 0, 1},
	[READ_BELOW_RENAMED_PARENT] = {"read a denied file below a renamed parent", -EBUSY, 0, 1},
	[EXEC_DENIED_PROGRAM] = {"execute a program that exec_policy denies", -EACCES, 0, 1},
	[MAP_DENIED_PROGRAM] = {"map that program executable", -EPERM, 0, 1},
	[CONNECT_ABSTRACT] = {"connect to an abstract socket outside", -EPERM, -EPERM, 6},
	[SIGNAL_OUTSIDE] = {"signal a process outside", -EPERM, -EPERM, 6},
	[LIST_MASKED_DIRECTORY] = {"list a masked top-level directory", -EACCES, -EACCES, 1},
	[LIST_HIDDEN_DIRECTORY] = {"list a directory that leads to listed paths", -EACCES, -EACCES,
				   1},
};

struct peer {
	pid_t pid;
	char name[64];
};

static int act_special(const struct tree *t, const struct peer *peer, enum special special)
{
	char path[512], to[512];
	int r;

	switch (special) {
	case READ_MASKED_FILE:
		zone_path(t, RW, ".env", path);
		return act_read(path, NULL);
	case RENAME_MASKED_FILE:
		zone_path(t, RW, ".env", path);
		zone_path(t, RW, ".env2", to);
		r = result(rename(path, to));
		return r < 0 ? r : result(rename(to, path));
	case UNLINK_MASKED_FILE:
		zone_path(t, RW, ".env", path);
		return act_unlink(path, NULL);
	case READ_BELOW_RENAMED_PARENT:
		zone_path(t, RW, "moves", path);
		zone_path(t, RW, "moved", to);
		r = result(rename(path, to));
		if (r < 0)
			return r == -EACCES ? -ECANCELED : r;
		zone_path(t, RW, "moved/secret", path);
		return act_read(path, NULL);
	case EXEC_DENIED_PROGRAM:
		zone_path(t, RO, "denied_program", path);
		return act_exec(path, NULL);
	case MAP_DENIED_PROGRAM:
		zone_path(t, RO, "denied_program", path);
		return act_map_exec(path, NULL);
	case CONNECT_ABSTRACT:
		return unix_act(peer->name, true, false);
	case SIGNAL_OUTSIDE:
		return result(kill(peer->pid, 0));
	case LIST_MASKED_DIRECTORY:
		return act_read("/srv", NULL);
	case LIST_HIDDEN_DIRECTORY:
		return act_read("/var", NULL);
	default:
		return -ENOSYS;
	}
}

/* Renaming comes before unlinking, so that the free run has the file for both. */
static const enum special special_order[SPECIALS] = {
	READ_MASKED_FILE,      RENAME_MASKED_FILE,    UNLINK_MASKED_FILE, READ_BELOW_RENAMED_PARENT,
	EXEC_DENIED_PROGRAM,   MAP_DENIED_PROGRAM,    CONNECT_ABSTRACT,	  SIGNAL_OUTSIDE,
	LIST_MASKED_DIRECTORY, LIST_HIDDEN_DIRECTORY,
};

#define PATHS_MAX 32

struct policy {
	struct masks_path path[PATHS_MAX];
	char text[PATHS_MAX][512];
	size_t len;
};

static void list(struct policy *p, const char *path, enum masks_access access)
{
	snprintf(p->text[p->len], sizeof(p->text[0]), "%s", path);
	p->path[p->len] = (struct masks_path){
		.path = p->text[p->len], .access = access, .size = 1 << 20, .mode = 01777};
	p->len++;
}

static void list_zone(struct policy *p, const struct tree *t, enum zone zone, const char *below,
		      enum masks_access access)
{
	char path[512];

	zone_path(t, zone, below, path);
	if (!below[0])
		path[strlen(path) - 1] = '\0';
	list(p, path, access);
}

static void make_policy(struct policy *p, const struct tree *t, enum sandbox sandbox)
{
	static const char *const read_only[] = {"/usr", "/lib",	 "/lib64",   "/bin",
						"/etc", "/proc", "/var/log", "/dev/urandom"};

	for (size_t i = 0; i < ARRAY_LEN(read_only); i++)
		list(p, read_only[i], MASKS_READ_ONLY);
	list(p, "/dev/null", MASKS_READ_WRITE);
	list(p, "/tmp", sandbox == WITH_MOUNTS ? MASKS_OWN : MASKS_READ_WRITE);
	list_zone(p, t, RW, "", MASKS_READ_WRITE);
	list_zone(p, t, RO, "", MASKS_READ_ONLY);
	list_zone(p, t, RW_IN_RO, "", MASKS_READ_WRITE);
	if (sandbox != WITH_MOUNTS)
		return;
	list_zone(p, t, RO_IN_RW, "", MASKS_READ_ONLY);
	list_zone(p, t, DENIED, "", MASKS_DENY);
	list_zone(p, t, RW, ".env", MASKS_DENY);
	list_zone(p, t, RW, "moves/secret", MASKS_DENY);
}

static int plan_and_mount(const struct policy *p, const char *exec_deny, struct findings *f,
			  struct error *err)
{
	const struct masks_spec spec = {
		.path = p->path, .path_len = p->len, .exec_deny = &exec_deny, .exec_deny_len = 1};
	struct mount_plan plan = {};
	struct timespec start, end;
	int r = masks_plan(&spec, &plan, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < plan.len; i++)
		for (size_t j = 0; j < i; j++)
			if (plan.step[i].op == plan.step[j].op &&
			    !strcmp(plan.step[i].target, plan.step[j].target))
				return error_set(err, -EEXIST, "%s is planned twice",
						 plan.step[i].target);
	/* What is gone by the time of the mounts is no reason not to start. */
	r = mount_plan_add(&plan, &(struct mount_step){.op = MOUNT_OP_MASK,
						       .target = (char *)"/var/gone",
						       .may_vanish = true});
	if (r < 0)
		return r;
	clock_gettime(CLOCK_MONOTONIC, &start);
	r = mounts_execute(&plan, err);
	clock_gettime(CLOCK_MONOTONIC, &end);
	f->steps = plan.len;
	f->mount_ms = (double)(end.tv_sec - start.tv_sec) * 1e3 +
		      (double)(end.tv_nsec - start.tv_nsec) / 1e6;
	mount_plan_free(&plan);
	return r;
}

/* What the integrator's resolver does, for the few paths of this test. */
static int resolve(const struct policy *p, const char *exec_deny, struct resolved *resolved)
{
	static struct resolved_path paths[PATHS_MAX + 1];
	static struct rights_rule rules[PATHS_MAX];
	const struct rights_exec deny = {.path = exec_deny};
	struct rights_input input = {
		.rule = rules, .exec_allow_writable = true, .exec_deny = &deny, .exec_denies = 1};
	static const enum rights_access access[] = {
		[MASKS_READ_ONLY] = RIGHTS_READ_ONLY,
		[MASKS_READ_WRITE] = RIGHTS_READ_WRITE,
		[MASKS_DENY] = RIGHTS_DENY,
		[MASKS_OWN] = RIGHTS_READ_WRITE,
	};

	resolved->path = paths;
	for (size_t i = 0; i <= p->len; i++) {
		char *path = realpath(i < p->len ? p->path[i].path : exec_deny, NULL);
		struct stat st;
		bool known = false;

		if (!path)
			continue;
		for (size_t j = 0; j < resolved->len; j++)
			known |= !strcmp(paths[j].path, path);
		if (known)
			continue;
		if (i < p->len)
			rules[input.rules++] =
				(struct rights_rule){path, access[p->path[i].access]};
		paths[resolved->len] =
			(struct resolved_path){.path = path, .fd = open(path, O_PATH | O_CLOEXEC)};
		if (paths[resolved->len].fd < 0 || fstat(paths[resolved->len].fd, &st) < 0)
			return -errno;
		paths[resolved->len++].mode = st.st_mode;
	}
	for (size_t i = 0; i < resolved->len; i++) {
		struct os_anchor anchor = rights_at(&input, paths[i].path);

		paths[i].subtree = anchor.subtree;
		paths[i].self = anchor.self;
	}
	return 0;
}

static int enter(const struct tree *t, enum sandbox sandbox, struct findings *f, struct error *err)
{
	static struct policy policy;
	_cleanup_close_ int ruleset = -1;
	struct resolved resolved = {};
	char exec_deny[512];
	int r;

	if (sandbox != FREE) {
		make_policy(&policy, t, sandbox);
		zone_path(t, RO, sandbox == WITH_MOUNTS ? "denied_program" : "nothing", exec_deny);
		if (unshare(CLONE_NEWNS) < 0)
			return error_set(err, -errno, "unshare: %s", strerror(errno));
		r = sandbox == WITH_MOUNTS ? plan_and_mount(&policy, exec_deny, f, err) : 0;
		if (r == 0)
			r = resolve(&policy, exec_deny, &resolved);
		if (r == 0)
			r = landlock_build(&resolved, &ruleset, err);
		if (r < 0)
			return r;
	}
	if (setgroups(0, NULL) < 0 || setresgid(USER, USER, USER) < 0 ||
	    setresuid(USER, USER, USER) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(err, -errno, "cannot become %d: %s", USER, strerror(errno));
	return sandbox == FREE ? 0 : landlock_restrict(ruleset);
}

static bool zone_exists(enum sandbox sandbox, enum zone zone)
{
	return sandbox != LANDLOCK_ONLY || (zone != RO_IN_RW && zone != DENIED);
}

/* /srv may be on another file system, so that nothing moves from there anyway. */
static bool act_applies(enum zone zone, size_t act)
{
	return zone != MASKED || (acts[act].class != MOVES && acts[act].class != LINKS);
}

static void run_acts(struct tree *t, const struct peer *peer, enum sandbox sandbox,
		     struct findings *f)
{
	struct error err = {};
	char path[512], rw[512], name[64];

	f->started = enter(t, sandbox, f, &err);
	memcpy(f->message, err.message, sizeof(f->message));
	if (f->started < 0)
		return;
	for (enum zone zone = 0; zone < ZONES; zone++) {
		for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
			zone_path(t, zone, acts[i].act.name, path);
			snprintf(name, sizeof(name), "from-%d-%zu", zone, i);
			zone_path(t, RW, name, rw);
			f->act[zone][i] = act_applies(zone, i) ? acts[i].act.call(path, rw) : 0;
		}
	}
	for (size_t i = 0; i < SPECIALS; i++)
		f->special[special_order[i]] = act_special(t, peer, special_order[i]);
}

static struct findings *run(enum sandbox sandbox, const struct peer *peer)
{
	struct findings *f =
		mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct tree tree;
	pid_t pid;

	if (f == MAP_FAILED)
		die("mmap");
	make_tree(&tree);
	f->started = -ECANCELED;
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		run_acts(&tree, peer, sandbox, f);
		_exit(0);
	}
	while (waitpid(pid, NULL, 0) < 0)
		;
	remove_tree(&tree);
	return f;
}

static void peer_start(struct peer *peer)
{
	int ready[2], fd;
	char byte;

	snprintf(peer->name, sizeof(peer->name), "openshell-test-%d", getpid());
	if (pipe2(ready, O_CLOEXEC) < 0)
		die("pipe");
	peer->pid = fork();
	if (peer->pid < 0)
		die("fork");
	if (peer->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		fd = unix_act(peer->name, true, true);
		if (fd < 0 || setresuid(USER, USER, USER) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		die("peer");
	close(ready[0]);
}

static unsigned int tests, failures;

static const char *name_of(int r)
{
	return r == 0 ? "succeeds" : strerrorname_np(-r);
}

/* Both legs on one line: what the sandbox did, and that the user could without it. */
static void check(const char *sandbox, const char *where, const char *what, int wanted, int got,
		  int free)
{
	bool ok = wanted == got && free == 0;

	failures += !ok;
	printf("%sok %u - %s, %s: %s %s\n", ok ? "" : "not ", ++tests, sandbox, where, what,
	       name_of(wanted));
	if (!ok)
		printf("# got %s in the sandbox, %s without\n", name_of(got), name_of(free));
}

static void check_all(const char *label, enum sandbox sandbox, const struct findings *f,
		      const struct findings *free)
{
	if (f->started < 0) {
		failures++;
		printf("not ok %u - %s: the sandbox starts\n# %s: %s\n", ++tests, label,
		       name_of(f->started), f->message);
		return;
	}
	for (enum zone zone = 0; zone < ZONES; zone++)
		for (size_t i = 0; zone_exists(sandbox, zone) && i < ARRAY_LEN(acts); i++)
			if (act_applies(zone, i))
				check(label, zone_dirs[zone], acts[i].act.name,
				      expected(sandbox, zone, acts[i].class), f->act[zone][i],
				      free->act[zone][i]);
	for (size_t i = 0; i < SPECIALS; i++) {
		int wanted = sandbox == WITH_MOUNTS ? specials[i].with_mounts : specials[i].alone;

		check(label, "special", specials[i].name, abi < specials[i].abi ? 0 : wanted,
		      f->special[i], free->special[i]);
	}
}

int main(void)
{
	struct findings *free_run, *mounts_run, *alone_run;
	struct peer peer;

	setvbuf(stdout, NULL, _IOLBF, 0);
	abi = landlock_abi();
	if (geteuid() != 0 || abi < 1 || access("/srv", F_OK) < 0) {
		printf("1..1\nok 1 - Landlock acts # SKIP needs root, Landlock and /srv\n");
		return 0;
	}
	printf("# Landlock ABI %d\n", abi);
	peer_start(&peer);
	free_run = run(FREE, &peer);
	mounts_run = run(WITH_MOUNTS, &peer);
	alone_run = run(LANDLOCK_ONLY, &peer);
	kill(peer.pid, SIGKILL);
	waitpid(peer.pid, NULL, 0);
	check_all("with mounts", WITH_MOUNTS, mounts_run, free_run);
	check_all("landlock alone", LANDLOCK_ONLY, alone_run, free_run);
	printf("# %zu mount steps in %.2f ms\n", mounts_run->steps, mounts_run->mount_ms);
	printf("1..%u\n", tests);
	return failures ? 1 : 0;
}

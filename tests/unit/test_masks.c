/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "supervisor/masks.h"
#include "supervisor/masks_path.h"

#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* A root of its own, with the usual directories in it. */
static char root[32];

static void make(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s%s", root, name);
	if (name[strlen(name) - 1] == '/') {
		assert_int_equal(mkdir(path, 0755), 0);
	} else {
		int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

		assert_true(fd >= 0);
		close(fd);
	}
}

static void make_link(const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s%s", root, name);
	assert_int_equal(symlink(text, path), 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int make_root(void **state)
{
	static const char *const names[] = {
		"/usr/",
		"/usr/bin/",
		"/usr/bin/nc",
		"/etc/",
		"/proc/",
		"/proc/kcore",
		"/dev/",
		"/dev/null",
		"/home/",
		"/home/u/",
		"/home/u/proj/",
		"/home/u/proj/ro/",
		"/home/u/proj/.env",
		"/home/u/proj/ro/rw/",
		"/home/u/.ssh/",
		"/home/v/",
		"/root/",
		"/tmp/",
		"/tmp/w/",
		"/run/",
		"/var/",
		"/var/log/",
		"/var/tmp/",
		"/data/",
		"/data/x/",
		"/data/x/f",
		"/container",
	};

	snprintf(root, sizeof(root), "/tmp/masks-unit-XXXXXX");
	assert_non_null(mkdtemp(root));
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		make(names[i]);
	make_link("/bin", "usr/bin");
	make_link("/home/u/link", "/data/x");
	make_link("/loop", "loop");
	return 0;
}

static int remove_root(void **state)
{
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *op_word(enum mount_op op)
{
	switch (op) {
	case MOUNT_OP_TMPFS:
		return "tmpfs";
	case MOUNT_OP_BIND_HOST:
		return "bind";
	case MOUNT_OP_READ_ONLY:
		return "ro";
	case MOUNT_OP_MASK:
		return "mask";
	case MOUNT_OP_CONTENT:
		return "content";
	case MOUNT_OP_NO_EXEC:
		return "noexec";
	case MOUNT_OP_PIN:
		return "pin";
	case MOUNT_OP_SYMLINK:
		return "link";
	case MOUNT_OP_ROOT:
		return "root";
	}
	return "?";
}

/* The plan for @spec as one line: "op path" with ", " between. */
static void assert_plan(struct masks_spec *spec, const char *expected)
{
	struct mount_plan plan = {};
	struct error err = {};
	char text[4096] = "";
	size_t len = 0;

	spec->root = root;
	assert_int_equal(masks_plan(spec, &plan, &err), 0);
	for (size_t i = 0; i < plan.len; i++) {
		const struct mount_step *step = &plan.step[i];

		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %s", i ? ", " : "",
					op_word(step->op), step->target);
		/* What is shown again is what the root had there. */
		if (step->op == MOUNT_OP_BIND_HOST) {
			assert_memory_equal(step->content, root, strlen(root));
			assert_string_equal(step->content + strlen(root), step->target);
		} else if (step->content)
			len += (size_t)snprintf(text + len, sizeof(text) - len, " -> %s",
						step->content);
	}
	mount_plan_free(&plan);
	assert_string_equal(text, expected);
}

#define RO(p)                                                                                      \
	{                                                                                          \
		.path = (p), .access = MASKS_READ_ONLY                                             \
	}
#define RW(p)                                                                                      \
	{                                                                                          \
		.path = (p), .access = MASKS_READ_WRITE                                            \
	}
#define DENY(p)                                                                                    \
	{                                                                                          \
		.path = (p), .access = MASKS_DENY                                                  \
	}
#define OWN(p)                                                                                     \
	{                                                                                          \
		.path = (p), .access = MASKS_OWN, .size = 4096, .mode = 01777                      \
	}

#define PATHS(s, p)                                                                                \
	(s)->path = (p);                                                                           \
	(s)->path_len = ARRAY_LEN(p)

static void what_no_path_needs_is_masked(void **state)
{
	const struct masks_path paths[] = {RO("/usr"), RW("/data")};
	struct masks_spec spec = {};

	PATHS(&spec, paths);
	assert_plan(&spec, "mask /container, mask /etc, mask /home, mask /root, mask /run, "
			   "mask /tmp, ro /usr, mask /var");
}

static void what_leads_to_a_path_shows_only_that(void **state)
{
	const struct masks_path paths[] = {RW("/home/u/proj"), RO("/var/log"),
					   RW("/home/u/missing")};
	struct masks_spec spec = {};

	PATHS(&spec, paths);
	assert_plan(&spec, "mask /container, mask /data, mask /etc, tmpfs /home, "
			   "bind /home/u/proj, mask /root, mask /run, mask /tmp, mask /usr, "
			   "tmpfs /var, bind /var/log, ro /var/log");
}

static void nested_paths_take_away_and_give_back(void **state)
{
	const struct masks_path paths[] = {RW("/home/u/proj/ro/rw"),
					   RO("/home/u/proj/ro"),
					   DENY("/home/u/proj/.env"),
					   RW("/home"),
					   DENY("/home/v"),
					   RW("/home/v"),
					   DENY("/root/none"),
					   DENY("/proc/kcore"),
					   RW("/dev/null")};
	struct masks_spec spec = {};

	PATHS(&spec, paths);
	assert_plan(&spec,
		    "mask /container, mask /data, mask /etc, pin /home/u, pin /home/u/proj, "
		    "mask /home/u/proj/.env, ro /home/u/proj/ro, bind /home/u/proj/ro/rw, mask "
		    "/home/v, "
		    "mask /proc/kcore, mask /root, mask /run, mask /tmp, mask /usr, mask /var");
}

static void a_listed_root_counts_through_its_entries(void **state)
{
	const struct masks_path paths[] = {RO("/"), RW("/home/u/proj"), RW("/data"), DENY("/root")};
	struct masks_spec spec = {};

	PATHS(&spec, paths);
	assert_plan(&spec, "ro /container, ro /etc, ro /home, bind /home/u/proj, mask /root, "
			   "ro /run, ro /tmp, ro /usr, ro /var");
}

static void own_directories_are_empty_but_for_listed_paths(void **state)
{
	const struct masks_path paths[] = {OWN("/tmp"), RW("/tmp"), OWN("/var/tmp"), RO("/usr")};
	struct masks_spec spec = {.workdir = "/tmp/w"};

	PATHS(&spec, paths);
	assert_plan(&spec, "mask /container, mask /data, mask /etc, mask /home, mask /root, "
			   "mask /run, tmpfs /tmp, bind /tmp/w, ro /tmp/w, ro /usr, tmpfs /var, "
			   "tmpfs /var/tmp");
	spec.bpf_lsm = true;
	assert_plan(&spec, "tmpfs /tmp, bind /tmp/w, tmpfs /var/tmp");
}

static void an_unlisted_workdir_is_an_empty_directory(void **state)
{
	const struct masks_path paths[] = {RO("/usr")};
	struct masks_spec spec = {.workdir = "/home/u/proj"};

	PATHS(&spec, paths);
	assert_plan(&spec, "mask /container, mask /data, mask /etc, tmpfs /home, "
			   "tmpfs /home/u/proj, mask /root, mask /run, mask /tmp, ro /usr, "
			   "mask /var");
	spec.workdir = "/usr/bin";
	assert_plan(&spec, "mask /container, mask /data, mask /etc, mask /home, mask /root, "
			   "mask /run, mask /tmp, ro /usr, mask /var");
}

static void links_to_listed_paths_are_kept(void **state)
{
	const struct masks_path paths[] = {RO("/bin/nc"), RW("/home/u/link"), DENY("/loop")};
	struct masks_spec spec = {.path = paths, .path_len = 2};
	struct mount_plan plan = {};
	struct error err = {};

	assert_plan(&spec, "mask /container, tmpfs /data, bind /data/x, mask /etc, mask /home, "
			   "mask /root, mask /run, mask /tmp, tmpfs /usr, bind /usr/bin/nc, "
			   "ro /usr/bin/nc, mask /var");
	spec.workdir = "/home/v";
	assert_plan(&spec, "mask /container, tmpfs /data, bind /data/x, mask /etc, tmpfs /home, "
			   "tmpfs /home/v, mask /root, mask /run, mask /tmp, tmpfs /usr, "
			   "bind /usr/bin/nc, ro /usr/bin/nc, mask /var, "
			   "link /home/u/link -> /data/x");
	spec.path_len = 3;
	assert_int_equal(masks_plan(&spec, &plan, &err), -ELOOP);
	assert_string_equal(err.message, "cannot find /loop: Too many levels of symbolic links");
	mount_plan_free(&plan);
}

static void execution_is_taken_away(void **state)
{
	const char *const deny[] = {"/bin/nc", "/usr/missing", "/root/x"};
	const struct masks_path paths[] = {RO("/usr"), RW("/home/u/proj"), RO("/home/u/proj/ro"),
					   RW("/home/u/proj/ro/rw"), OWN("/tmp")};
	struct masks_spec spec = {
		.exec_deny = deny, .exec_deny_len = ARRAY_LEN(deny), .writable_no_exec = true};

	PATHS(&spec, paths);
	assert_plan(&spec, "mask /container, mask /data, mask /etc, tmpfs /home, "
			   "bind /home/u/proj, noexec /home/u/proj, bind /home/u/proj/ro, "
			   "ro /home/u/proj/ro, bind /home/u/proj/ro/rw, "
			   "noexec /home/u/proj/ro/rw, mask /root, mask /run, tmpfs /tmp, "
			   "noexec /tmp, ro /usr, mask /var, noexec /usr/bin/nc");
}

static void a_plan_that_does_not_fit_is_an_error(void **state)
{
	enum { LINKS = MOUNT_PLAN_MAX / 2 + 16 };
	static char names[LINKS][32];
	static struct masks_path paths[LINKS];
	struct masks_spec spec = {.path = paths, .path_len = LINKS, .root = root};
	struct mount_plan plan = {};
	struct error err = {};

	for (size_t i = 0; i < LINKS; i++) {
		snprintf(names[i], sizeof(names[i]), "/data/x/f%zu", i);
		make(names[i]);
		paths[i] = (struct masks_path)RO(names[i]);
	}
	assert_int_equal(masks_plan(&spec, &plan, &err), -E2BIG);
	assert_non_null(strstr(err.message, "more than 1024 mounts"));
	assert_int_equal(plan.len, MOUNT_PLAN_MAX);
	mount_plan_free(&plan);
}

static void paths_are_made_canonical(void **state)
{
	static const struct {
		const char *path, *canonical;
		int error;
	} cases[] = {
		{"/", "/", 0},
		{"//usr//bin/", "/usr/bin", 0},
		{"/usr/./bin/..", "/usr", 0},
		{"/../..", "/", 0},
		{"/bin", "/usr/bin", 0},
		{"/bin/../nothing", NULL, -ENOENT},
		{"/home/u/link/f", "/data/x/f", 0},
		{"/home/u/link/../x/f", "/data/x/f", 0},
		{"/usr/bin/nc/..", NULL, -ENOTDIR},
		{"/usr/bin/nc/", "/usr/bin/nc", -ENOTDIR},
		{"/loop", NULL, -ELOOP},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_free_ char *path = NULL;

		assert_int_equal(masks_path_resolve(root, cases[i].path, NULL, &path),
				 cases[i].error);
		if (!cases[i].error)
			assert_string_equal(path, cases[i].canonical);
	}
}

static void directories_come_right_before_what_is_below(void **state)
{
	static const char *const sorted[] = {"/",    "/a",   "/a/b", "/a/b/c",
					     "/a b", "/a-b", "/a.b", "/b"};

	for (size_t i = 0; i < ARRAY_LEN(sorted); i++)
		for (size_t j = 0; j < ARRAY_LEN(sorted); j++) {
			int order = masks_path_compare(sorted[i], sorted[j]);

			assert_int_equal(order < 0 ? -1 : order > 0, i < j ? -1 : i > j);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH_ROOT(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)
		WITH_ROOT(what_no_path_needs_is_masked),
		WITH_ROOT(what_leads_to_a_path_shows_only_that),
		WITH_ROOT(nested_paths_take_away_and_give_back),
		WITH_ROOT(a_listed_root_counts_through_its_entries),
		WITH_ROOT(own_directories_are_empty_but_for_listed_paths),
		WITH_ROOT(an_unlisted_workdir_is_an_empty_directory),
		WITH_ROOT(links_to_listed_paths_are_kept),
		WITH_ROOT(execution_is_taken_away),
		WITH_ROOT(a_plan_that_does_not_fit_is_an_error),
		WITH_ROOT(paths_are_made_canonical),
		cmocka_unit_test(directories_come_right_before_what_is_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

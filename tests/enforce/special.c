/* SPDX-License-Identifier: Apache-2.0 */
/* What takes more than words: somebody outside has to do something at the right moment. */
#include "suite.h"

#include "common/cleanup.h"
#include "supervisor/seccomp.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Somebody outside removes a file that the agent holds by an O_PATH descriptor. */
static int deleted_reopen(enum who who, const char *file)
{
	char words[1024];
	int r;

	stage_prepare(&stage, file, words);
	server_send(&stage.server[who], words);
	usleep(300000);
	if (unlink(strchr(words, ' ') + 1))
		stage_die("unlink: %s", strerror(errno));
	r = server_answer(&stage.server[who]);
	return r;
}

static void deleted_but_open(void)
{
	int denied, granted, outside;

	stage_drain(&stage, WHO_AGENT);
	denied = deleted_reopen(WHO_AGENT, "deleted_reopen X:rw/secret.gone");
	stage_listen(&stage, WHO_AGENT);
	granted = deleted_reopen(WHO_AGENT, "deleted_reopen F:rw/gone");
	outside = deleted_reopen(WHO_USER, "deleted_reopen F:rw/secret.gone");
	point(denied == -EACCES && granted == 0 && outside == 0 &&
		      (!stage.lsm || stage.heard[OS_HOOK_FILE_OPEN].error == -EACCES),
	      "a denied file that was deleted while its O_PATH descriptor is held: EACCES");
	if (denied != -EACCES || granted || outside)
		printf("#   got %s, granted %s, without a sandbox %s\n", name_of(denied),
		       name_of(granted), name_of(outside));
}

/* A child cgroup inherits: no process of an agent's gets rid of its policy by making one. */
static void nested_cgroup(void)
{
	struct sandbox nested = *stage.sandbox[WHO_AGENT];
	struct server server;
	char words[1024];
	int denied, granted, fd;

	if (mkdirat(nested.slot.cgroup.fd, "nested", 0755))
		stage_die("mkdir nested: %s", strerror(errno));
	fd = openat(nested.slot.cgroup.fd, "nested", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	nested.slot.cgroup.fd = fd;
	stage_spawn(&stage, &nested, 0, &server);
	stage_prepare(&stage, "read X:rw/secret", words);
	denied = server_ask(&server, words);
	stage_prepare(&stage, "read X:rw/plain", words);
	granted = server_ask(&server, words);
	server_stop(&server);
	close(fd);
	for (int i = 0;
	     i < 100 && unlinkat(stage.sandbox[WHO_AGENT]->slot.cgroup.fd, "nested", AT_REMOVEDIR);
	     i++)
		usleep(10000);
	point(denied == -EACCES && granted == 0, "a process in a nested cgroup: %s",
	      name_of(denied));
}

/* A cgroup below the agents' parent that no sandbox was made for. */
static void unknown_cgroup(void)
{
	int parent = stage.kernel->tree.agents_fd, status = 0;
	pid_t pid;
	int fd;

	if (mkdirat(parent, "unknown", 0755))
		stage_die("mkdir unknown: %s", strerror(errno));
	fd = openat(parent, "unknown", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pid = fork();
	if (pid == 0) {
		int error = 0;

		if (cgroup_write(fd, "cgroup.procs", "0"))
			_exit(99);
		if (open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0)
			error = errno;
		_exit(error);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	close(fd);
	for (int i = 0; i < 100 && unlinkat(parent, "unknown", AT_REMOVEDIR); i++)
		usleep(10000);
	point(WIFEXITED(status) && WEXITSTATUS(status) == EACCES,
	      "a process in a cgroup that no policy is known for: EACCES");
}

static uint64_t inode_of(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		stage_die("stat %s: %s", path, strerror(errno));
	return st.st_ino;
}

/* The kernel cannot use a number again while somebody holds the inode: let go, as if we died. */
static void forget_file(const char *path)
{
	struct resolved *resolved = &stage.sandbox[WHO_AGENT]->resolved;
	struct stat st, held;

	if (stat(path, &st))
		stage_die("stat %s: %s", path, strerror(errno));
	for (enum who who = 0; who <= WHO_AUDIT; who++) {
		resolved = &stage.sandbox[who]->resolved;
		for (size_t i = 0; i < resolved->len; i++)
			if (!fstat(resolved->path[i].fd, &held) && held.st_ino == st.st_ino &&
			    held.st_dev == st.st_dev)
				resolved->path[i].fd = safe_close(resolved->path[i].fd);
	}
}

/* Make files in a directory until one has that number; its path, or NULL. */
static const char *reuse(const char *dir, uint64_t ino)
{
	for (int i = 0; i < 20000; i++) {
		char name[64];
		const char *path;
		int fd;

		snprintf(name, sizeof(name), "%s/reused%d", dir, i);
		path = stage_path(&stage, name);
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd < 0)
			stage_die("open %s: %s", path, strerror(errno));
		close(fd);
		if (inode_of(path) == ino)
			return path;
	}
	return NULL;
}

/* What was listed is gone, and another file has its inode number: it has none of its rights. */
static void reused_inode(void)
{
	const char *granted = stage_path(&stage, "one/granted"), *path;
	uint64_t ino = inode_of(granted);
	char words[512];
	int before = ask(WHO_AGENT, "rdwr X:one/granted"), after, outside;

	forget_file(granted);
	if (unlink(granted))
		stage_die("unlink: %s", strerror(errno));
	path = reuse("one", ino);
	if (!path) {
		point(false, "inode number %llu was not used again", (unsigned long long)ino);
		return;
	}
	if (chmod(path, 0666))
		stage_die("chmod: %s", strerror(errno));
	snprintf(words, sizeof(words), "rdwr X:%s", path);
	after = ask(WHO_AGENT, words);
	outside = ask(WHO_USER, words);
	point(before == 0 && after == -EACCES && outside == 0,
	      "a file with the inode number of one that was granted: EACCES");
	if (after != -EACCES)
		printf("#   before %s, got %s\n", name_of(before), name_of(after));
}

/*
 * A file or directory that somebody outside changes is copied to overlayfs's upper layer, and once
 * nobody holds it, has another inode number.
 */
static void copied_up(void)
{
	static const char *const paths[] = {"overlay/secret", "overlay/deny", "overlay/ro"};
	_cleanup_close_ int drop = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	int file, directory, written;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		const char *path = stage_path(&stage, paths[i]);

		forget_file(path);
		if (chmod(path, i ? 0755 : 0644))
			stage_die("chmod %s: %s", path, strerror(errno));
	}
	if (drop < 0 || write(drop, "2", 1) != 1)
		stage_die("drop_caches: %s", strerror(errno));
	file = ask(WHO_AGENT, "read X:overlay/secret");
	directory = ask(WHO_AGENT, "read X:overlay/deny/lower");
	written = ask(WHO_AGENT, "write X:overlay/ro/lower");
	point(file == -EACCES && directory == -EACCES && written == -EACCES,
	      "what overlayfs copied up stays denied and read_only");
	if (file != -EACCES || directory != -EACCES || written != -EACCES)
		printf("#   denied file %s, in a denied directory %s, read_only %s\n",
		       name_of(file), name_of(directory), name_of(written));
}

/* The working directory is writable where the policy says so, and not there where it does not. */
static void working_directory(bool included)
{
	struct sandbox *sandbox;
	struct server server;
	char policy[256], words[1024];
	int inside, outside, wanted = included ? 0 : -EACCES;

	snprintf(policy, sizeof(policy),
		 "version: 1\n"
		 "filesystem_policy:\n"
		 "  include_workdir: %s\n"
		 "  read_only: [@/bin]\n",
		 included ? "true" : "false");
	sandbox = stage_start(&stage, "enforce-work", policy, "work", false, &server);
	stage_prepare(&stage, "create N:work/file", words);
	inside = server_ask(&server, words);
	stage_prepare(&stage, "create N:rw/file", words);
	outside = server_ask(&server, words);
	point(inside == wanted && outside == (stage.lsm ? -EACCES : -ENOENT),
	      "include_workdir: %s: create in the working directory: %s",
	      included ? "true" : "false", name_of(inside));
	if (inside != wanted || !outside)
		printf("#   there %s, elsewhere %s\n", name_of(inside), name_of(outside));
	server_stop(&server);
	sandbox_free(sandbox);
}

/* A path that is missing is not passed over in silence. */
static void missing_path(void)
{
	const struct sandbox *sandbox = stage.sandbox[WHO_AGENT];
	const char *later = stage_path(&stage, "rw/later");
	bool told = false;

	for (size_t i = 0; i < sandbox->findings.len; i++)
		told |= strstr(sandbox->findings.item[i], later) != NULL;
	point(told, "a denied path that is missing at the start is a finding");
	for (size_t i = 0; !told && i < sandbox->findings.len; i++)
		printf("#   %s\n", sandbox->findings.item[i]);
}

/*
 * Every row of the filter's table that looks at no argument, with arguments that are all wrong: in
 * the sandbox the filter answers before the kernel looks at them. Without one somebody else does,
 * and mostly otherwise; what needs a capability says EPERM there too.
 */
void special_seccomp(void)
{
	size_t len;
	const struct seccomp_rule *rules = seccomp_rules(&len);

	for (size_t i = 0; i < len; i++) {
		int inside, outside;
		char words[64];

		if (rules[i].when != SECCOMP_WHEN_ALWAYS)
			continue;
		snprintf(words, sizeof(words), "syscall %u", rules[i].nr);
		inside = ask(WHO_AGENT, words);
		outside = ask(WHO_USER, words);
		point(inside == -rules[i].error, "system call %s: %s%s", rules[i].name,
		      name_of(inside), inside == outside ? " (as without a sandbox)" : "");
	}
}

void special_run(void)
{
	deleted_but_open();
	working_directory(true);
	working_directory(false);
	if (!stage.lsm) {
		missing_path();
		return;
	}
	nested_cgroup();
	unknown_cgroup();
	reused_inode();
	copied_up();
}

/* In audit mode an act does what it does without a sandbox, and its denial is told all the same. */
static void audit(const char *where, const char *name, const char *act, int outside, int wanted,
		  hook_set hooks)
{
	struct observed o = observe(WHO_AUDIT, act, wanted);
	bool ok = o.result == outside && (o.audited & o.told & hooks) && !o.denied;

	point(ok, "audit: %s%s: %s", where, name, name_of(outside));
	if (!ok) {
		printf("#   act: %s\n#   got %s\n", act, name_of(o.result));
		print_hooks("told", o.told);
		print_hooks("audited", o.audited);
		print_hooks("denied", o.denied);
		print_hooks("should be of", hooks);
	}
}

static void audit_rows(const struct row *table, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		const struct row *row = &table[i];

		/* What a device's owner keeps from the agent is no matter of audit mode. */
		if (row->who == WHO_AGENT && row->hooks && !(row->flags & ROW_ROOT))
			audit("", row->name, row->act, 0, row->event ? -row->event : -row->lsm,
			      row->hooks);
	}
}

void special_audit(void)
{
	for (size_t z = 0; z < zones_len; z++) {
		char where[64];

		if (strcmp(zones[z].path, "rw/deny") && strcmp(zones[z].path, "ro"))
			continue;
		snprintf(where, sizeof(where), "%s: ", zones[z].path);
		for (size_t i = 0; i < matrix_len; i++) {
			int wanted = matrix_wanted(&matrix[i], &zones[z]);
			char words[512];

			matrix_words(&matrix[i], zones[z].path, words);
			if (wanted && ask(WHO_USER, words) != -ENOSYS)
				audit(where, matrix[i].name, words, 0, wanted, matrix[i].hooks);
		}
	}
	audit_rows(rows, rows_len);
	audit_rows(rows_system, rows_system_len);
}

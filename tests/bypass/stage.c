/* SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

#include "common/cleanup.h"
#include "world.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define COUNTERS "/sys/fs/bpf/openshell/os_count"

static char directory[] = "/var/tmp/openshell-bypass-XXXXXX";
static const char *tools, *agents_from;
static pid_t owner;

/* Copies of the agent: what rules name, and what they do not. */
static const char *const programs[] = {"agent", "admitted", "other", "parent"};

const char *stage_directory(void)
{
	return directory;
}

static void copy(const char *from, const char *to, mode_t mode)
{
	_cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	ssize_t n;

	if (in < 0 || out < 0 || fchmod(out, mode))
		world_die("%s to %s", from, to);
	while ((n = sendfile(out, in, NULL, 1 << 20)) > 0)
		;
	if (n < 0)
		world_die("%s", to);
}

const char *stage_path(const char *fmt, ...)
{
	static char path[16][512];
	static unsigned int next;
	char *to = path[next++ % 16];
	int n = snprintf(to, sizeof(path[0]), "%s/", directory);
	va_list args;

	va_start(args, fmt);
	vsnprintf(to + n, sizeof(path[0]) - (size_t)n, fmt, args);
	va_end(args);
	return to;
}

static void make_directory(const char *name, mode_t mode)
{
	if (mkdir(stage_path("%s", name), mode) || chmod(stage_path("%s", name), mode))
		world_die("%s", name);
}

void stage_open(const char *bin, const char *agents)
{
	char from[512];

	owner = getpid();
	tools = bin;
	agents_from = agents;
	if (!mkdtemp(directory) || chmod(directory, 0755))
		world_die("%s", directory);
	make_directory("bin", 0755);
	make_directory("agents", 0755);
	make_directory("logs", 0755);
	make_directory("work", 01777);
	snprintf(from, sizeof(from), "%s/openshell", bin);
	copy(from, stage_path("bin/openshell"), 0755);
	snprintf(from, sizeof(from), "%s/openshell-proxy", bin);
	if (!access(from, X_OK))
		copy(from, stage_path("bin/openshell-proxy"), 0755);
	snprintf(from, sizeof(from), "%s/act", agents);
	for (size_t i = 0; i < ARRAY_LEN(programs); i++)
		copy(from, stage_path("agents/%s", programs[i]), 0755);
	snprintf(from, sizeof(from), "%s/preload.so", agents);
	copy(from, stage_path("work/preload.so"), 0755);
	stage_set("dir", directory);
	stage_set("work", stage_path("work"));
}

void stage_replace(const char *bin, const char *program)
{
	char from[512];

	make_directory(bin, 0755);
	snprintf(from, sizeof(from), "%s/openshell", tools);
	copy(from, stage_path("%s/openshell", bin), 0755);
	snprintf(from, sizeof(from), "%s/%s", agents_from, program ? program : "");
	if (program)
		copy(from, stage_path("%s/openshell-proxy", bin), 0755);
}

void stage_close(void)
{
	pid_t pid;

	/* A child that ends is not the end; and whoever looks for a fault wants the logs. */
	if (getpid() != owner || getenv("BYPASS_KEEP"))
		return;
	pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-rf", "--one-file-system", directory, NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

/* Names */

static struct {
	char name[32], value[600];
} names[64];

void stage_set(const char *name, const char *value)
{
	size_t i = 0;

	while (i < ARRAY_LEN(names) && names[i].name[0] && strcmp(names[i].name, name))
		i++;
	if (i == ARRAY_LEN(names))
		world_die("too many names");
	snprintf(names[i].name, sizeof(names[i].name), "%s", name);
	snprintf(names[i].value, sizeof(names[i].value), "%s", value);
}

const char *stage_get(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(names) && names[i].name[0]; i++)
		if (!strcmp(names[i].name, name))
			return names[i].value;
	return NULL;
}

void stage_expand(const char *words, char *ret, size_t size)
{
	size_t n = 0;

	while (*words && n + 1 < size) {
		const char *end = *words == '{' ? strchr(words, '}') : NULL, *value;
		char name[32];

		if (!end) {
			ret[n++] = *words++;
			continue;
		}
		snprintf(name, sizeof(name), "%.*s", (int)(end - words - 1), words + 1);
		value = stage_get(name);
		if (!value)
			world_die("nobody set {%s}", name);
		n += (size_t)snprintf(ret + n, size - n, "%s", value);
		words = end + 1;
	}
	ret[n < size ? n : size - 1] = '\0';
}

/* What the kernel side counted, and userspace wrote */

void stage_counters(struct event_counters *ret_counters)
{
	static int fd = -1;

	if (fd < 0)
		fd = bpf_obj_get(COUNTERS);
	if (fd < 0 || event_counters_read(fd, ret_counters))
		world_die(COUNTERS);
}

static unsigned int count_lines(const char *path, const char *text)
{
	_cleanup_fclose_ FILE *in = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	unsigned int count = 0;
	size_t size = 0;

	while (in && getline(&line, &size, in) > 0)
		count += strstr(line, text) != NULL;
	return count;
}

unsigned int stage_count_logged(const struct actor *sandbox, const char *text)
{
	return count_lines(stage_path("logs/%s", sandbox->name), text);
}

bool stage_logged(const struct actor *sandbox, const char *text)
{
	for (int i = 0; i < 100; i++) {
		if (stage_count_logged(sandbox, text))
			return true;
		usleep(20000);
	}
	return false;
}

bool stage_said(const char *name, const char *text)
{
	return count_lines(stage_path("logs/%s.err", name), text) > 0;
}

bool stage_has_lsm(void)
{
	struct os_meta meta;
	const uint32_t key = 0;
	int fd = bpf_obj_get("/sys/fs/bpf/openshell/os_meta");
	bool has;

	if (fd < 0 || bpf_map_lookup_elem(fd, &key, &meta))
		world_die("os_meta");
	has = meta.flags & OS_META_LSM;
	close(fd);
	return has;
}

bool stage_wait_file(const char *name)
{
	for (int i = 0; i < 200; i++) {
		if (!unlink(stage_path("work/%s", name)))
			return true;
		usleep(10000);
	}
	return false;
}

/* TAP */

static unsigned int points, failures;

void point(bool ok, const char *fmt, ...)
{
	va_list args;

	failures += !ok;
	printf("%sok %u - ", ok ? "" : "not ", ++points);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

int points_end(void)
{
	printf("1..%u\n", points);
	return failures != 0;
}

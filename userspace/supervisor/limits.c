/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/limits.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define PERIOD_US	100000 /* the kernel's default */
#define CPU_MILLI_MIN	10     /* 1 ms of a period, the least that the kernel takes */
#define CPU_MILLI_MAX	(8192 * 1000)
#define MEMORY_MIN	(4ULL << 20) /* less cannot even start a shell */
#define FRACTION_DIGITS 3

/* Digits, and up to three after a point; value times 1000. Where it stopped, or NULL. */
static const char *parse_decimal(const char *text, uint64_t *ret_milli)
{
	uint64_t value = 0;
	const char *p = text;
	int decimals = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (value > UINT64_MAX / 100000)
			return NULL;
		value = value * 10 + (uint64_t)(*p - '0');
	}
	if (p == text)
		return NULL;
	if (*p == '.') {
		for (p++; *p >= '0' && *p <= '9' && decimals < FRACTION_DIGITS; p++, decimals++)
			value = value * 10 + (uint64_t)(*p - '0');
		if (decimals == 0)
			return NULL;
	}
	for (; decimals < FRACTION_DIGITS; decimals++) {
		if (value > UINT64_MAX / 10)
			return NULL;
		value *= 10;
	}
	*ret_milli = value;
	return p;
}

int limits_parse_cpu(const char *text, uint32_t *ret_milli, struct error *err)
{
	uint64_t milli;
	const char *end = parse_decimal(text, &milli);

	if (!end || *end || milli < CPU_MILLI_MIN || milli > CPU_MILLI_MAX)
		return error_set(err, -EINVAL,
				 "'%.64s' is no number of processors: give 0.01 to 8192, such as 2 "
				 "or 1.5",
				 text);
	*ret_milli = (uint32_t)milli;
	return 0;
}

int limits_parse_memory(const char *text, uint64_t *ret_bytes, struct error *err)
{
	static const struct {
		const char *suffix;
		unsigned int shift;
	} units[] = {
		{"", 0},     {"B", 0},	 {"k", 10},   {"K", 10},   {"KiB", 10}, {"Ki", 10},
		{"M", 20},   {"m", 20},	 {"MiB", 20}, {"Mi", 20},  {"G", 30},	{"g", 30},
		{"GiB", 30}, {"Gi", 30}, {"T", 40},   {"TiB", 40}, {"Ti", 40},
	};
	uint64_t milli;
	const char *end = parse_decimal(text, &milli);

	for (size_t i = 0; end && i < ARRAY_LEN(units); i++) {
		unsigned __int128 bytes;

		if (strcmp(end, units[i].suffix))
			continue;
		bytes = ((unsigned __int128)milli << units[i].shift) / 1000;
		if (bytes < MEMORY_MIN || bytes > INT64_MAX)
			return error_set(err, -ERANGE,
					 "'%.64s' is no amount of memory for a sandbox: at least "
					 "4M, at most 8 EiB",
					 text);
		*ret_bytes = (uint64_t)bytes;
		return 0;
	}
	return error_set(
		err, -EINVAL,
		"'%.64s' is no amount of memory: give bytes, or a number with K, M, G or T", text);
}

/* Whether @word is one of the words of the one line in @file. */
static bool has_word(int dir, const char *file, const char *word)
{
	_cleanup_close_ int fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	size_t len = strlen(word);
	char text[1024];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return false;
	text[n] = '\0';
	for (const char *p = text; *p;) {
		size_t word_len = strcspn(p, " \n");

		if (word_len == len && !memcmp(p, word, len))
			return true;
		p += word_len;
		p += strspn(p, " \n");
	}
	return false;
}

/*
 * Make @controller available in the sandbox's v2 cgroup, by enabling it in the root and in the
 * agents' parent. false where the kernel has it in no v2 hierarchy, or it is used by a v1 one.
 */
static bool enable_v2(const struct cgroup *cgroup, const char *controller)
{
	_cleanup_close_ int root =
		open(cgroup->tree->mounts.v2, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char text[32];

	if (root < 0 || !has_word(root, "cgroup.controllers", controller))
		return false;
	if (has_word(cgroup->fd, "cgroup.controllers", controller))
		return true;
	snprintf(text, sizeof(text), "+%s", controller);
	return cgroup_write(root, "cgroup.subtree_control", text) == 0 &&
	       cgroup_write(cgroup->tree->agents_fd, "cgroup.subtree_control", text) == 0;
}

static int set_v2(const struct limits *limits, const struct cgroup *cgroup,
		  enum cgroup_controller controller, struct error *err)
{
	char text[64];
	int r;

	if (controller == CGROUP_CPU) {
		snprintf(text, sizeof(text), "%llu %u",
			 (unsigned long long)limits->cpu_milli * PERIOD_US / 1000, PERIOD_US);
		r = cgroup_write(cgroup->fd, "cpu.max", text);
	} else {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)limits->memory_bytes);
		r = cgroup_write(cgroup->fd, "memory.max", text);
		/* Swap would make the limit a suggestion; a kernel without swap lacks the file. */
		if (r == 0) {
			r = cgroup_write(cgroup->fd, "memory.swap.max", "0");
			if (r == -ENOENT)
				r = 0;
		}
	}
	if (r < 0)
		return error_set(err, r, "cannot limit the sandbox's %s: %s",
				 cgroup_controller_name(controller), strerror(-r));
	return 0;
}

static int set_v1(const struct limits *limits, const struct cgroup *cgroup,
		  enum cgroup_controller controller, pid_t init, struct error *err)
{
	_cleanup_close_ int dir = -1;
	char text[64];
	int r;

	r = cgroup_open_v1(cgroup->tree, controller, cgroup->name, &dir);
	if (r < 0)
		return error_set(err, r, "cannot make the sandbox's cgroup below %s: %s",
				 cgroup->tree->mounts.v1[controller], strerror(-r));
	if (controller == CGROUP_CPU) {
		snprintf(text, sizeof(text), "%u", PERIOD_US);
		r = cgroup_write(dir, "cpu.cfs_period_us", text);
		snprintf(text, sizeof(text), "%llu",
			 (unsigned long long)limits->cpu_milli * PERIOD_US / 1000);
		if (r == 0)
			r = cgroup_write(dir, "cpu.cfs_quota_us", text);
	} else {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)limits->memory_bytes);
		r = cgroup_write(dir, "memory.limit_in_bytes", text);
		/* memory + swap; only where the kernel counts swap */
		if (r == 0) {
			r = cgroup_write(dir, "memory.memsw.limit_in_bytes", text);
			if (r == -ENOENT)
				r = 0;
		}
	}
	if (r == 0) {
		snprintf(text, sizeof(text), "%d", init);
		r = cgroup_write(dir, "cgroup.procs", text);
	}
	if (r < 0)
		return error_set(err, r, "cannot limit the sandbox's %s: %s",
				 cgroup_controller_name(controller), strerror(-r));
	return 0;
}

int limits_apply(const struct limits *limits, const struct cgroup *cgroup, pid_t init,
		 struct error *err)
{
	const bool wanted[CGROUP_CONTROLLERS] = {
		[CGROUP_CPU] = limits->cpu_milli > 0,
		[CGROUP_MEMORY] = limits->memory_bytes > 0,
	};

	for (int c = 0; c < CGROUP_CONTROLLERS; c++) {
		int r;

		if (!wanted[c])
			continue;
		if (enable_v2(cgroup, cgroup_controller_name(c)))
			r = set_v2(limits, cgroup, c, err);
		else if (cgroup->tree->mounts.v1[c][0])
			r = set_v1(limits, cgroup, c, init, err);
		else
			r = error_set(
				err, -EOPNOTSUPP,
				"--%s needs the cgroup controller '%s', and no mounted "
				"hierarchy offers it: enable it with `echo +%s > "
				"%s/cgroup.subtree_control`, boot with "
				"systemd.unified_cgroup_hierarchy=1, or run without the option",
				cgroup_controller_name(c), cgroup_controller_name(c),
				cgroup_controller_name(c), cgroup->tree->mounts.v2);
		if (r < 0)
			return r;
	}
	return 0;
}

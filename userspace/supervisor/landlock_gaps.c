/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/landlock.h"
#include "common/cleanup.h"
#include "supervisor/probe.h"

#include <stdio.h>
#include <string.h>

/*
 * The one list of what is weaker under Landlock: it drives the sentence at the start of a run, the
 * rows of `doctor` and docs/backends.md (a test compares them). A gap whose `remains` is NULL is
 * listed because something else than Landlock holds it, and a reader should know what.
 */
const struct landlock_gap landlock_gaps[] = {
	{"exec_by_mapping", "map a readable file executable, or start it through ld.so", 0, NULL,
	 "files that exec_policy denies, and writable paths with allow_writable: false, are on "
	 "noexec mounts",
	 "a program that exec_policy.allow leaves out can still be run through ld.so or mmap"},
	{"memfd_exec", "execute a memfd", 0, probe_memfd_noexec,
	 "vm.memfd_noexec of the sandbox's pid namespace (Linux 6.3)",
	 "a program written into a memfd can be executed"},
	{"unix_path_read_only", "connect to a unix socket below a read_only path", 9, NULL,
	 "sockets that exist at start are masked, and what is not listed is not there",
	 "a socket that somebody makes below a read_only path later can be connected to"},
	{"unix_path_nested",
	 "connect to a unix socket below a read_only path that is inside a read_write one", 0, NULL,
	 "sockets that exist at start are masked",
	 "the same for a read_only path inside a read_write one"},
	{"unix_abstract", "connect to another's abstract unix socket", 6, NULL, NULL,
	 "the host's abstract unix sockets can be connected to"},
	{"file_receive", "use a file descriptor that a process outside passes", 0, NULL,
	 "no socket leads outside, except those of read_write paths",
	 "a server on a unix socket below a read_write path can pass any file or connected socket "
	 "in"},
	{"metadata", "look at names, metadata and links (stat, readlink, chdir, O_PATH)", 0, NULL,
	 "what is not listed is masked or not there",
	 "names and metadata in /, /dev and /proc can be seen"},
	{"attributes", "change mode, owner, times and extended attributes", 0, NULL,
	 "read_only paths are on read-only mounts, what is not listed is not there", NULL},
	{"truncate", "truncate a file that is not writable", 3, NULL,
	 "read_only paths are on read-only mounts, what is not listed is not there", NULL},
	{"ioctl", "ioctl on a device that is only readable", 5, NULL,
	 "the cgroup's device list has null, zero, full, random, urandom and terminals only", NULL},
	{"signals", "signal a process outside", 6, NULL, "the sandbox's pid namespace", NULL},
	{"refer", "link or rename between directories", 2, NULL,
	 "always EXDEV before ABI 2, which is stricter than the policy", NULL},
	{"replaced_file", "reach a denied or read_only path inside a read_write one", 0, NULL,
	 "a mount on that file or directory",
	 "when a process outside replaces such a file, the new one is as writable as what is "
	 "around it, and a denied path that does not exist at start can be made"},
	{"hot_swap", "stay within filesystem_policy as it is now, not as it was at start", 0, NULL,
	 NULL, "filesystem_policy cannot be changed while the sandbox runs"},
	{"events", "be denied a file without anybody hearing of it", 0, NULL,
	 "from ABI 7 on the kernel's audit log has denials",
	 "denied files are not in the decision log; --audit and --learn need BPF-LSM"},
};

const size_t landlock_gaps_len = ARRAY_LEN(landlock_gaps);

bool landlock_gap_open(const struct landlock_gap *gap, int abi)
{
	return gap->remains && (gap->since_abi == 0 || abi < gap->since_abi) &&
	       !(gap->probe && gap->probe() == 0);
}

const char *landlock_gaps_describe(int abi, char *buf, size_t size)
{
	size_t len;
	const char *separator = "";

	snprintf(buf, size, "weaker than BPF-LSM at Landlock ABI %d: ", abi);
	for (size_t i = 0; i < landlock_gaps_len; i++) {
		if (!landlock_gap_open(&landlock_gaps[i], abi))
			continue;
		len = strlen(buf);
		snprintf(buf + len, size - len, "%s%s", separator, landlock_gaps[i].remains);
		separator = "; ";
	}
	return buf;
}

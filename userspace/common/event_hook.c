/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event_hook.h"

#include "common/cleanup.h"

#include <linux/capability.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* activity_id as in OCSF 1.8; 99 where it has no such activity. */
#define FILE_ROW(activity, id, severity, act)                                                      \
	{                                                                                          \
		EVENT_CLASS_FILE, activity, id, "lsm", EVENT_SEVERITY_##severity, act              \
	}
#define PROC_ROW(activity, id, severity, act)                                                      \
	{                                                                                          \
		EVENT_CLASS_PROC, activity, id, "lsm", EVENT_SEVERITY_##severity, act              \
	}
#define FINDING_ROW(severity, act)                                                                 \
	{                                                                                          \
		EVENT_CLASS_FINDING, "CREATE", 1, "lsm", EVENT_SEVERITY_##severity, act            \
	}
#define NET_ROW(activity, id, engine, act)                                                         \
	{                                                                                          \
		EVENT_CLASS_NET, activity, id, engine, EVENT_SEVERITY_MED, act                     \
	}

static const struct event_hook hooks[OS_HOOK_COUNT] = {
	[OS_HOOK_NONE] = FINDING_ROW(MED, "an unknown act"),
	[OS_HOOK_FILE_OPEN] = FILE_ROW("OPEN", 14, MED, "opening a file"),
	[OS_HOOK_FILE_RECEIVE] = FILE_ROW("RECEIVE", 99, MED, "receiving a file descriptor"),
	[OS_HOOK_FILE_IOCTL] = FILE_ROW("IOCTL", 99, MED, "an ioctl on a file"),
	[OS_HOOK_INODE_GETATTR] = FILE_ROW("STAT", 8, LOW, "reading metadata"),
	[OS_HOOK_PATH_MKNOD] = FILE_ROW("CREATE", 1, MED, "creating a file"),
	[OS_HOOK_PATH_MKDIR] = FILE_ROW("CREATE", 1, MED, "creating a directory"),
	[OS_HOOK_PATH_SYMLINK] = FILE_ROW("CREATE", 1, MED, "creating a symbolic link"),
	[OS_HOOK_PATH_UNLINK] = FILE_ROW("DELETE", 4, MED, "deleting a file"),
	[OS_HOOK_PATH_RMDIR] = FILE_ROW("DELETE", 4, MED, "deleting a directory"),
	[OS_HOOK_PATH_RENAME] = FILE_ROW("RENAME", 5, MED, "renaming"),
	[OS_HOOK_PATH_LINK] = FILE_ROW("LINK", 1, MED, "creating a hard link"),
	[OS_HOOK_PATH_TRUNCATE] = FILE_ROW("UPDATE", 3, MED, "truncating a file"),
	[OS_HOOK_PATH_CHMOD] = FILE_ROW("ATTRIBUTES", 6, MED, "changing a mode"),
	[OS_HOOK_PATH_CHOWN] = FILE_ROW("ATTRIBUTES", 6, MED, "changing an owner"),
	[OS_HOOK_INODE_SETATTR] = FILE_ROW("ATTRIBUTES", 6, MED, "changing attributes"),
	[OS_HOOK_INODE_SETXATTR] = FILE_ROW("ATTRIBUTES", 6, MED, "setting an extended attribute"),
	[OS_HOOK_INODE_REMOVEXATTR] =
		FILE_ROW("ATTRIBUTES", 6, MED, "removing an extended attribute"),
	[OS_HOOK_INODE_GETXATTR] = FILE_ROW("STAT", 8, LOW, "reading an extended attribute"),
	[OS_HOOK_INODE_LISTXATTR] = FILE_ROW("STAT", 8, LOW, "listing extended attributes"),
	[OS_HOOK_INODE_READLINK] = FILE_ROW("STAT", 8, LOW, "reading a symbolic link"),
	[OS_HOOK_BPRM_CHECK] = PROC_ROW("LAUNCH", 1, MED, "executing a program"),
	[OS_HOOK_MMAP_FILE] = PROC_ROW("LOAD", 99, MED, "mapping a file executable"),
	[OS_HOOK_FILE_MPROTECT] = PROC_ROW("LOAD", 99, MED, "making a mapping executable"),
	[OS_HOOK_PATH_CHROOT] = FINDING_ROW(MED, "chroot()"),
	[OS_HOOK_MOVE_MOUNT] = FILE_ROW("MOUNT", 12, HIGH, "moving a mount"),
	[OS_HOOK_SB_MOUNT] = FILE_ROW("MOUNT", 12, HIGH, "mounting a filesystem"),
	[OS_HOOK_SB_UMOUNT] = FILE_ROW("UNMOUNT", 13, HIGH, "unmounting a filesystem"),
	[OS_HOOK_SB_REMOUNT] = FILE_ROW("MOUNT", 12, HIGH, "remounting a filesystem"),
	[OS_HOOK_SB_PIVOTROOT] = FINDING_ROW(HIGH, "pivot_root()"),
	[OS_HOOK_BPF] = FINDING_ROW(HIGH, "bpf()"),
	[OS_HOOK_PERF_EVENT_OPEN] = FINDING_ROW(MED, "perf_event_open()"),
	[OS_HOOK_KERNEL_LOAD_DATA] = FINDING_ROW(HIGH, "loading code or data into the kernel"),
	[OS_HOOK_KERNEL_READ_FILE] = FINDING_ROW(HIGH, "making the kernel read a file"),
	[OS_HOOK_KEY_PERMISSION] = FINDING_ROW(MED, "using the kernel's keyrings"),
	[OS_HOOK_SYSLOG] = FINDING_ROW(MED, "reading the kernel's log"),
	[OS_HOOK_CAPABLE] = PROC_ROW("CAPABILITY", 99, MED, "using a capability"),
	[OS_HOOK_PTRACE_ACCESS_CHECK] = PROC_ROW("OPEN", 3, MED, "looking into a process"),
	[OS_HOOK_TASK_KILL] = PROC_ROW("TERMINATE", 2, MED, "sending a signal"),
	[OS_HOOK_UNIX_STREAM_CONNECT] = FILE_ROW("CONNECT", 99, MED, "connecting to a unix socket"),
	[OS_HOOK_UNIX_MAY_SEND] = FILE_ROW("SEND", 99, MED, "sending to a unix socket"),
	[OS_HOOK_USERNS_CREATE] = FINDING_ROW(MED, "creating a user namespace"),
	[OS_HOOK_URING_OVERRIDE_CREDS] = FINDING_ROW(HIGH, "borrowing credentials with io_uring"),
	[OS_HOOK_URING_SQPOLL] = FINDING_ROW(MED, "an io_uring polling thread"),
	[OS_HOOK_URING_CMD] = FINDING_ROW(MED, "an io_uring command"),
	[OS_HOOK_SOCKET_CREATE] = NET_ROW("SOCKET", 99, "lsm", "creating a socket"),
	[OS_HOOK_SOCKET_CONNECT] = NET_ROW("OPEN", 1, "lsm", "connecting"),
	[OS_HOOK_SOCKET_SENDMSG] = NET_ROW("TRAFFIC", 6, "lsm", "sending"),
	[OS_HOOK_CONNECT4] = NET_ROW("OPEN", 1, "bpf", "connecting"),
	[OS_HOOK_CONNECT6] = NET_ROW("OPEN", 1, "bpf", "connecting"),
	[OS_HOOK_SENDMSG4] = NET_ROW("TRAFFIC", 6, "bpf", "sending"),
	[OS_HOOK_SENDMSG6] = NET_ROW("TRAFFIC", 6, "bpf", "sending"),
	[OS_HOOK_BIND4] = NET_ROW("LISTEN", 7, "bpf", "binding an address"),
	[OS_HOOK_BIND6] = NET_ROW("LISTEN", 7, "bpf", "binding an address"),
	[OS_HOOK_SOCK_CREATE] = NET_ROW("SOCKET", 99, "bpf", "creating a socket"),
	[OS_HOOK_SETSOCKOPT] = NET_ROW("SOCKET", 99, "bpf", "setting a socket option"),
	[OS_HOOK_EGRESS] = NET_ROW("TRAFFIC", 6, "bpf", "sending a packet"),
	[OS_HOOK_INGRESS] = NET_ROW("TRAFFIC", 6, "bpf", "receiving a packet"),
	[OS_HOOK_DEVICE] = {EVENT_CLASS_FILE, "DEVICE", 14, "bpf", EVENT_SEVERITY_MED,
			    "opening a device"},
	[OS_HOOK_EXEC] = {EVENT_CLASS_PROC, "LAUNCH", 1, "bpf", EVENT_SEVERITY_MED,
			  "executing a program"},
	[OS_HOOK_PATH_NOTIFY] = FILE_ROW("WATCH", 99, LOW, "watching a file"),
	[OS_HOOK_PTRACE_TRACEME] = PROC_ROW("OPEN", 3, MED, "being traced"),
	[OS_HOOK_RECVMSG4] = NET_ROW("TRAFFIC", 6, "bpf", "receiving"),
	[OS_HOOK_RECVMSG6] = NET_ROW("TRAFFIC", 6, "bpf", "receiving"),
	[OS_HOOK_GETPEERNAME4] = NET_ROW("SOCKET", 99, "bpf", "asking for the peer's address"),
	[OS_HOOK_GETPEERNAME6] = NET_ROW("SOCKET", 99, "bpf", "asking for the peer's address"),
	[OS_HOOK_SOCKOPS] = NET_ROW("OPEN", 1, "bpf", "establishing a connection"),
	[OS_HOOK_DNS] = {EVENT_CLASS_DNS, "QUERY", 1, "dns", EVENT_SEVERITY_MED,
			 "looking up a name"},
};

static const char *const hook_names[OS_HOOK_COUNT] = {
#define HOOK_NAME(id, name, kind) [OS_HOOK_##id] = name,
	OS_HOOKS(HOOK_NAME)
#undef HOOK_NAME
};

const struct event_hook *event_hook_get(uint32_t hook)
{
	if (hook >= OS_HOOK_COUNT || !hooks[hook].activity)
		return &hooks[OS_HOOK_NONE];
	return &hooks[hook];
}

const char *event_hook_name(uint32_t hook)
{
	return hook < OS_HOOK_COUNT ? hook_names[hook] : hook_names[OS_HOOK_NONE];
}

static const struct {
	enum event_class class;
	const char *label, *name, *category;
	int category_uid;
} classes[] = {
	{EVENT_CLASS_FILE, "FILE", "File System Activity", "System Activity", 1},
	{EVENT_CLASS_PROC, "PROC", "Process Activity", "System Activity", 1},
	{EVENT_CLASS_FINDING, "FINDING", "Detection Finding", "Findings", 2},
	{EVENT_CLASS_NET, "NET", "Network Activity", "Network Activity", 4},
	{EVENT_CLASS_HTTP, "HTTP", "HTTP Activity", "Network Activity", 4},
	{EVENT_CLASS_DNS, "DNS", "DNS Activity", "Network Activity", 4},
	{EVENT_CLASS_CONFIG, "CONFIG", "Device Config State Change", "Discovery", 5},
	{EVENT_CLASS_LIFECYCLE, "LIFECYCLE", "Application Lifecycle", "Application Activity", 6},
	{EVENT_CLASS_API, "API", "API Activity", "Application Activity", 6},
};

static size_t class_row(enum event_class class)
{
	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if (classes[i].class == class)
			return i;
	return 0;
}

const char *event_class_label(enum event_class class)
{
	return classes[class_row(class)].label;
}

const char *event_class_name(enum event_class class)
{
	return classes[class_row(class)].name;
}

const char *event_class_category(enum event_class class, int *ret_uid)
{
	*ret_uid = classes[class_row(class)].category_uid;
	return classes[class_row(class)].category;
}

static const char *const severities[][2] = {
	[EVENT_SEVERITY_INFO] = {"INFO", "Informational"},
	[EVENT_SEVERITY_LOW] = {"LOW", "Low"},
	[EVENT_SEVERITY_MED] = {"MED", "Medium"},
	[EVENT_SEVERITY_HIGH] = {"HIGH", "High"},
	[EVENT_SEVERITY_CRIT] = {"CRIT", "Critical"},
	[EVENT_SEVERITY_FATAL] = {"FATAL", "Fatal"},
};

const char *event_severity_label(enum event_severity severity)
{
	return severities[severity][0];
}

const char *event_severity_name(enum event_severity severity)
{
	return severities[severity][1];
}

struct word {
	uint32_t number;
	const char *name;
};

static void add_word(struct text *t, const struct word *words, size_t n, uint32_t number,
		     const char *what)
{
	for (size_t i = 0; i < n; i++) {
		if (words[i].number == number) {
			text_add(t, "%s", words[i].name);
			return;
		}
	}
	text_add(t, "%s %u", what, number);
}

void event_rights_text(struct text *t, uint32_t rights, const char *separator)
{
	static const struct word words[] = {
		{OS_RIGHT_READ, "read"},       {OS_RIGHT_WRITE, "write"},
		{OS_RIGHT_CREATE, "create"},   {OS_RIGHT_REMOVE, "remove"},
		{OS_RIGHT_ATTR, "attributes"}, {OS_RIGHT_STAT, "stat"},
		{OS_RIGHT_EXEC, "execute"},    {OS_RIGHT_LIBRARY, "library"},
	};
	const char *before = "";

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (!(rights & words[i].number))
			continue;
		text_add(t, "%s%s", before, words[i].name);
		before = separator;
	}
}

void event_capability_text(struct text *t, uint32_t capability)
{
#define CAPABILITY(name)                                                                           \
	{                                                                                          \
		name, #name                                                                        \
	}
	static const struct word words[] = {
		CAPABILITY(CAP_CHOWN),
		CAPABILITY(CAP_DAC_OVERRIDE),
		CAPABILITY(CAP_DAC_READ_SEARCH),
		CAPABILITY(CAP_FOWNER),
		CAPABILITY(CAP_FSETID),
		CAPABILITY(CAP_KILL),
		CAPABILITY(CAP_SETGID),
		CAPABILITY(CAP_SETUID),
		CAPABILITY(CAP_SETPCAP),
		CAPABILITY(CAP_LINUX_IMMUTABLE),
		CAPABILITY(CAP_NET_BIND_SERVICE),
		CAPABILITY(CAP_NET_BROADCAST),
		CAPABILITY(CAP_NET_ADMIN),
		CAPABILITY(CAP_NET_RAW),
		CAPABILITY(CAP_IPC_LOCK),
		CAPABILITY(CAP_IPC_OWNER),
		CAPABILITY(CAP_SYS_MODULE),
		CAPABILITY(CAP_SYS_RAWIO),
		CAPABILITY(CAP_SYS_CHROOT),
		CAPABILITY(CAP_SYS_PTRACE),
		CAPABILITY(CAP_SYS_PACCT),
		CAPABILITY(CAP_SYS_ADMIN),
		CAPABILITY(CAP_SYS_BOOT),
		CAPABILITY(CAP_SYS_NICE),
		CAPABILITY(CAP_SYS_RESOURCE),
		CAPABILITY(CAP_SYS_TIME),
		CAPABILITY(CAP_SYS_TTY_CONFIG),
		CAPABILITY(CAP_MKNOD),
		CAPABILITY(CAP_LEASE),
		CAPABILITY(CAP_AUDIT_WRITE),
		CAPABILITY(CAP_AUDIT_CONTROL),
		CAPABILITY(CAP_SETFCAP),
		CAPABILITY(CAP_MAC_OVERRIDE),
		CAPABILITY(CAP_MAC_ADMIN),
		CAPABILITY(CAP_SYSLOG),
		CAPABILITY(CAP_WAKE_ALARM),
		CAPABILITY(CAP_BLOCK_SUSPEND),
		CAPABILITY(CAP_AUDIT_READ),
		CAPABILITY(CAP_PERFMON),
		CAPABILITY(CAP_BPF),
		CAPABILITY(CAP_CHECKPOINT_RESTORE),
	};
#undef CAPABILITY

	add_word(t, words, ARRAY_LEN(words), capability, "capability");
}

void event_signal_text(struct text *t, uint32_t signal)
{
	/* sigabbrev_np() knows every number; 0 only asks whether the target exists. */
	const char *name = signal && signal < 65 ? sigabbrev_np((int)signal) : NULL;

	if (name)
		text_add(t, "SIG%s", name);
	else
		text_add(t, "signal %u", signal);
}

void event_family_text(struct text *t, uint32_t family)
{
	static const struct word words[] = {
		{AF_UNSPEC, "AF_UNSPEC"},   {AF_UNIX, "AF_UNIX"},
		{AF_INET, "AF_INET"},	    {AF_INET6, "AF_INET6"},
		{AF_NETLINK, "AF_NETLINK"}, {AF_PACKET, "AF_PACKET"},
		{AF_ALG, "AF_ALG"},	    {AF_VSOCK, "AF_VSOCK"},
		{AF_XDP, "AF_XDP"},	    {AF_BLUETOOTH, "AF_BLUETOOTH"},
		{AF_CAN, "AF_CAN"},	    {AF_TIPC, "AF_TIPC"},
		{AF_KEY, "AF_KEY"},	    {AF_RDS, "AF_RDS"},
		{AF_SMC, "AF_SMC"},
	};

	add_word(t, words, ARRAY_LEN(words), family, "address family");
}

void event_protocol_text(struct text *t, uint32_t protocol)
{
	static const struct word words[] = {
		{0, "any protocol"},	{IPPROTO_TCP, "tcp"},	      {IPPROTO_UDP, "udp"},
		{IPPROTO_ICMP, "icmp"}, {IPPROTO_ICMPV6, "icmpv6"},   {IPPROTO_RAW, "raw"},
		{IPPROTO_SCTP, "sctp"}, {IPPROTO_UDPLITE, "udplite"}, {262, "mptcp"},
	};

	add_word(t, words, ARRAY_LEN(words), protocol, "protocol");
}

/* IANA's registry of resource record types; others as RFC 3597 writes them. */
void event_query_text(struct text *t, uint32_t type)
{
	static const struct word words[] = {
		{1, "A"},      {2, "NS"},    {5, "CNAME"},  {6, "SOA"},	   {12, "PTR"},
		{13, "HINFO"}, {15, "MX"},   {16, "TXT"},   {28, "AAAA"},  {33, "SRV"},
		{35, "NAPTR"}, {43, "DS"},   {44, "SSHFP"}, {46, "RRSIG"}, {48, "DNSKEY"},
		{52, "TLSA"},  {64, "SVCB"}, {65, "HTTPS"}, {99, "SPF"},   {251, "IXFR"},
		{252, "AXFR"}, {255, "ANY"}, {256, "URI"},  {257, "CAA"},
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (words[i].number == type) {
			text_add(t, "%s", words[i].name);
			return;
		}
	}
	text_add(t, "TYPE%u", type);
}

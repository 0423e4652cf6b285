/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel programs and userspace agree on: keys, values and events of every map. Read by
 * both sides; a test compares the layout in BTF. Fixed-width types, explicit padding. Change
 * anything here and raise OS_ABI: a supervisor adopts pinned maps only with the same number.
 */
#pragma once

#ifdef __bpf__
#include "vmlinux.h"
#else
#include <linux/types.h>
#endif

#define OS_ABI 5

/* Slot 0 is never given out: it is what an agent without an entry gets, and it denies all. */
#define OS_SLOT_NONE 0
#define OS_SLOTS_MAX 4096

/* Rights to a file or directory. A path anchor holds one set for its subtree, one for itself. */
#define OS_RIGHT_READ	 (1u << 0) /* open for reading, list a directory */
#define OS_RIGHT_WRITE	 (1u << 1) /* open for writing, truncate, connect to a unix socket */
#define OS_RIGHT_CREATE	 (1u << 2) /* make an entry in this directory */
#define OS_RIGHT_REMOVE	 (1u << 3) /* remove or rename this object */
#define OS_RIGHT_ATTR	 (1u << 4) /* change mode, owner, times, extended attributes */
#define OS_RIGHT_STAT	 (1u << 5) /* read metadata, extended attributes, a link's target */
#define OS_RIGHT_EXEC	 (1u << 6) /* be the program of execve, `#!` interpreters included */
#define OS_RIGHT_LIBRARY (1u << 7) /* be mapped executable, be an ELF interpreter */
#define OS_RIGHTS_READ	 (OS_RIGHT_READ | OS_RIGHT_STAT)
#define OS_RIGHTS_WRITE                                                                            \
	(OS_RIGHTS_READ | OS_RIGHT_WRITE | OS_RIGHT_CREATE | OS_RIGHT_REMOVE | OS_RIGHT_ATTR)
#define OS_RIGHTS_ALL (OS_RIGHTS_WRITE | OS_RIGHT_EXEC | OS_RIGHT_LIBRARY)

/* os_policy: slot -> what is in force. Written with one 8-byte store. */
enum os_mode {
	OS_MODE_DENY = 0,    /* no policy yet, or torn down: nothing is allowed */
	OS_MODE_ENFORCE = 1, /* the policy decides */
	OS_MODE_AUDIT = 2,   /* everything is allowed, would-be denials are events */
	OS_MODE_SETUP = 3,   /* our own init prepares mounts; no agent code runs yet */
};

struct os_policy {
	__u32 generation;
	__u32 mode; /* enum os_mode */
};

/* A file's identity as the kernel sees it; i_generation, because inode numbers are reused. */
struct os_file_id {
	__u64 ino;
	__u32 dev; /* s_dev of the superblock, kernel encoding (major << 20 | minor) */
	__u32 generation;
};

struct os_anchor_key {
	__u32 slot;
	__u32 generation;
	struct os_file_id file;
};

struct os_anchor {
	__u32 subtree; /* OS_RIGHT_* of everything below; OS_ANCHOR_NAMES */
	__u32 self;    /* OS_RIGHT_* of the object itself */
};

/*
 * In os_anchor.subtree: some entries of this directory are listed by name as well (os_named). A
 * listed file that somebody outside replaces is another inode under the old name, and a denied one
 * may not exist yet: the name says what it may be used for.
 */
#define OS_ANCHOR_NAMES (1u << 31)
#define OS_NAME_MAX	64 /* a longer name is compared by what fits, which lists more, not less */

struct os_named_key {
	__u32 slot;
	__u32 generation;
	struct os_file_id directory;
	char name[OS_NAME_MAX]; /* NUL-terminated and padded */
};

/*
 * The rules of a policy that share one list of binaries share one bit; a connection is admitted
 * when the endpoint's mask and the caller's mask intersect.
 */
#define OS_RULE_WORDS 4
#define OS_RULE_SETS  (OS_RULE_WORDS * 64)

struct os_rule_mask {
	__u64 word[OS_RULE_WORDS];
};

/* os_binary: which rules this executable satisfies. file all zero = every executable (`/` `**`). */
struct os_binary_key {
	__u32 slot;
	__u32 generation;
	struct os_file_id file;
};

/*
 * A binary that changed since it was identified satisfies no rule until userspace has compared its
 * SHA-256. One that was looked at and satisfies nothing has an entry too: nobody is asked again.
 * Several times, because processes that execute the file go on while its mode or links change.
 */
#define OS_BINARY_TIMES 4
#define OS_BINARY_NEVER (~0ull) /* in changed[0]: revoked, whatever the file's ctime is */

struct os_binary {
	struct os_rule_mask rules;
	/* ctimes at which the content was the identified one, ns, 0 = unused; [0] 0 = any */
	__u64 changed[OS_BINARY_TIMES];
};

/* os_endpoint: an exact address; IPv4 is stored v4-mapped. port in host order. */
struct os_endpoint_key {
	__u32 slot;
	__u32 generation;
	__u8 address[16];
	__u16 port;
	__u16 pad[3];
};

enum os_verdict {
	OS_VERDICT_DENY = 0,
	OS_VERDICT_DIRECT = 1,
	OS_VERDICT_PROXY = 2,
};

/*
 * A name's endpoint: which addresses its rules may admit. A connection goes to one of os_name, but
 * one that exists when the policy changes may be where the name was earlier: it stays if the new
 * policy does not limit that.
 */
#define OS_ENDPOINT_PUBLIC (1u << 0) /* private ones only if they are in os_name */
#define OS_ENDPOINT_LISTED (1u << 1) /* none but those in os_name */

struct os_endpoint {
	__u32 endpoint; /* index into CompiledPolicy.endpoints, for events */
	__u16 verdict;	/* enum os_verdict */
	__u16 limits;	/* OS_ENDPOINT_* */
	struct os_rule_mask rules;
	/* Those of the rules whose binaries are globs: a binary not known yet is asked about. */
	struct os_rule_mask ask;
};

/*
 * Names. The sandbox's responder answers an admitted name with synthetic addresses, one of each
 * family the name has: OS_SYNTHETIC_IPV4 + n and OS_SYNTHETIC_IPV6 + n, where n is the name's
 * number in its sandbox (1..OS_SYNTHETIC_MAX). An endpoint that is a name is entered in os_endpoint
 * under the v4-mapped synthetic address, whichever family is connected to.
 */
#define OS_SYNTHETIC_IPV4	 0xc6120000u /* 198.18.0.0/15, host order (RFC 2544) */
#define OS_SYNTHETIC_IPV4_PREFIX 15
#define OS_SYNTHETIC_MAX	 0x1ffffu
/* fd6f:7065:6e73:6865::/64, host order: the words before the name's number (RFC 4193) */
#define OS_SYNTHETIC_IPV6_0 0xfd6f7065u
#define OS_SYNTHETIC_IPV6_1 0x6e736865u

/*
 * os_name: where a name's port really is: addresses that were validated for this endpoint by this
 * generation's policy, of the family of the synthetic one. port 0 = every port, read in audit mode
 * only.
 */
#define OS_NAME_REAL_MAX 8
#define OS_NAME_TEXT_MAX 256

struct os_name_key {
	__u32 slot;
	__u32 generation;
	__u8 address[16]; /* synthetic; IPv4 v4-mapped */
	__u16 port;	  /* host order */
	__u16 pad[3];
};

struct os_name {
	__u64 expiry; /* CLOCK_BOOTTIME ns: not used any more after it */
	__u64 used;   /* CLOCK_BOOTTIME ns of the last connect; written by the kernel */
	__u32 id;     /* the name's number */
	__u32 count;  /* entries in real[] */
	__u32 next;   /* round robin; written by the kernel */
	__u32 pad;
	__u8 real[OS_NAME_REAL_MAX][16]; /* network order, IPv4 v4-mapped */
	char text[OS_NAME_TEXT_MAX];	 /* the name, NUL-terminated, for who reads the map */
};

/*
 * Connections to endpoints whose content decides (OS_VERDICT_PROXY) are rewritten into this
 * network, same port; a v6 socket to the v4-mapped form. bpf/redirect.bpf.c gives them to the
 * sandbox's listener. Each slot has OS_PROXY_SPREAD addresses of its own there, so that no sandbox
 * uses up the local ports that others connect from; a name has one by its number, literal addresses
 * share the first. Which address it is says nothing about who and where: os_proxied does.
 */
#define OS_PROXY_IPV4	     0x7f400000u /* 127.64.0.0/10, host order */
#define OS_PROXY_IPV4_PREFIX 10
#define OS_PROXY_SPREAD	     1024u
#define OS_PROXY_LISTENER    0x7f400001u /* 127.64.0.1, where listeners are bound: of slot 0 */

_Static_assert(OS_PROXY_SPREAD *OS_SLOTS_MAX == 1u << (32 - OS_PROXY_IPV4_PREFIX),
	       "every slot has its addresses");

/*
 * os_worker: slot -> where that sandbox's worker listens, ports of 127.0.0.1 and ::1 in host order;
 * 0 = not there. Everything to port 53 goes to the responder if there is an entry.
 */
struct os_worker {
	__u16 dns_udp4, dns_tcp4;
	__u16 dns_udp6, dns_tcp6;
	__u16 ask4, ask6; /* TCP connections of binaries that a glob may know */
	__u16 pad[2];
};

/*
 * os_flow: who is behind a connection or datagram that reaches a worker. Written before the first
 * packet leaves, removed when the connection closes; the oldest go if there are too many.
 *
 * os_proxied: the same of connections that go to the proxy (OS_SOCK_PROXY), which are needed for as
 * long as they last: none goes before it closes, and a sandbox has at most OS_PROXIED_MAX. After a
 * change of policy the agent's next packet brings generation, endpoint, rules and flags up to date
 * before it is delivered. What an agent has closed while its words are still to be read is in
 * os_flow from then on. With OS_SOCK_ASK set as well, a glob may know the caller's binary: rules is
 * empty, nobody has admitted the connection yet, and the supervisor does when the worker asks whose
 * it is, or denies it.
 */
#define OS_PROXIED_MAX 16384
struct os_flow_key {
	__u8 local[16], remote[16]; /* as the agent's socket has them, v4-mapped */
	__u16 local_port, remote_port;
	__u16 protocol; /* IPPROTO_TCP, IPPROTO_UDP */
	__u16 pad;
};

struct os_flow {
	__u64 start_time; /* of the process */
	__u32 slot;
	__u32 generation;
	__u32 tgid;
	__u32 endpoint;
	__u8 asked[16]; /* the address that the agent gave: synthetic, or a resolver's */
	__u16 asked_port;
	__u16 flags; /* OS_SOCK_* of the socket */
	__u16 pad[2];
	struct os_file_id exe;
	/* OS_SOCK_PROXY: of the endpoint's, those the caller satisfied under `generation` */
	struct os_rule_mask rules;
};

/* os_cidr: longest prefix; the port comes before the address, so one entry is one port's. */
struct os_cidr_key {
	__u32 prefixlen; /* bits: 32 + 32 + 32 + prefix of the v4-mapped address */
	__u32 slot;
	__u32 generation;
	__u16 port; /* host order */
	__u16 pad;
	__u8 address[16];
};

#define OS_CIDR_PREFIX_BASE 96

/*
 * What a rule's binaries are compared with: the executable and those of the ancestors. bpf/
 * process.bpf.c says what counts as an ancestor. exe all zero = nothing executed in the sandbox
 * yet.
 */
#define OS_ANCESTORS_MAX 16

/* An executable as it was when it was executed. */
struct os_image {
	struct os_file_id file;
	__u64 changed; /* the inode's ctime, ns; 0 = any, in a rule's entry */
};

struct os_identity {
	__u32 ancestors; /* entries used in ancestor[]; more than fit sets OS_IDENTITY_TRUNCATED */
	__u32 flags;
	struct os_image exe;
	struct os_image ancestor[OS_ANCESTORS_MAX]; /* distinct */
};

#define OS_IDENTITY_TRUNCATED (1u << 0) /* more ancestors than fit: the oldest are here */

/*
 * os_proc: the identity of a process, inherited at fork, replaced at exec. Key: tgid. The path is
 * the executable's, as in an event: components from the leaf up, each with its NUL.
 */
#define OS_PROC_PATH_MAX 768

struct os_proc {
	__u64 start_time; /* task start_boottime, ns: a recycled pid is not its predecessor */
	__u32 slot;
	__u16 path_len;
	__u16 path_flags; /* OS_EVENT_TRUNCATED */
	struct os_identity identity;
	char path[OS_PROC_PATH_MAX];
};

/* What os_sock knows about its address, with the generation that decided: one 8-byte store. */
enum os_sock_state {
	OS_SOCK_NONE = 0,     /* nothing authorised */
	OS_SOCK_ALLOWED = 1,  /* the address and port are admitted */
	OS_SOCK_LOOPBACK = 2, /* the peer is to be one of this sandbox's own sockets */
	OS_SOCK_REFUSED = 3,  /* was authorised by an older generation, is not by this one */
};

struct os_sock_stamp {
	__u32 generation;
	__u32 state; /* enum os_sock_state */
};

/* os_sock: whose the socket is, what it was authorised for, and for whom. */
struct os_sock {
	struct os_sock_stamp stamp;
	__u32 slot;
	__u32 endpoint;	  /* index for events */
	__u8 address[16]; /* where packets go: the real address */
	__u16 port;	  /* host order */
	__u16 flags;	  /* OS_SOCK_* */
	__u32 tgid;	  /* of the process that connected or sent last */
	__u64 start_time; /* its */
	__u8 asked[16];	  /* the address that the agent gave, if it was rewritten */
	__u16 asked_port; /* 0 = it was not */
	__u16 pad[3];
	struct os_rule_mask rules; /* of the endpoint's, those the caller satisfied */
	struct os_identity identity;
};

#define OS_SOCK_DNS   (1u << 0) /* goes to the sandbox's responder */
#define OS_SOCK_ASK   (1u << 1) /* goes to the worker, which asks about the binary */
#define OS_SOCK_PROXY (1u << 2) /* goes to the worker, which reads what is said */

/* os_device: character devices that a slot may use beyond the common ones (GPU nodes). */
struct os_device_key {
	__u32 slot;
	__u32 major;
	__u32 minor; /* OS_DEVICE_ANY = every minor */
};

#define OS_DEVICE_ANY (~0u)

/* Events */

enum os_event_kind {
	OS_EVENT_FILE = 1,    /* a path: open, create, remove, attributes, unix socket paths */
	OS_EVENT_EXEC = 2,    /* execve, executable mappings */
	OS_EVENT_NET = 3,     /* connect, sendto, socket creation */
	OS_EVENT_PROCESS = 4, /* ptrace, signals, capabilities */
	OS_EVENT_SYSTEM = 5,  /* mount, bpf, modules, keys, namespaces: what no sandbox may */
	OS_EVENT_DEVICE = 6,  /* cgroup/dev */
};

enum os_event_verdict {
	OS_EVENT_DENIED = 0,
	OS_EVENT_ALLOWED = 1,
	OS_EVENT_AUDIT = 2, /* allowed because the sandbox is in audit mode; would be denied */
};

/* Where a decision was taken. One row of the table gives the enumerator, name and event kind. */
#define OS_HOOKS(X)                                                                                \
	X(NONE, "none", SYSTEM)                                                                    \
	X(FILE_OPEN, "file_open", FILE)                                                            \
	X(FILE_RECEIVE, "file_receive", FILE)                                                      \
	X(FILE_IOCTL, "file_ioctl", FILE)                                                          \
	X(INODE_GETATTR, "inode_getattr", FILE)                                                    \
	X(PATH_MKNOD, "path_mknod", FILE)                                                          \
	X(PATH_MKDIR, "path_mkdir", FILE)                                                          \
	X(PATH_SYMLINK, "path_symlink", FILE)                                                      \
	X(PATH_UNLINK, "path_unlink", FILE)                                                        \
	X(PATH_RMDIR, "path_rmdir", FILE)                                                          \
	X(PATH_RENAME, "path_rename", FILE)                                                        \
	X(PATH_LINK, "path_link", FILE)                                                            \
	X(PATH_TRUNCATE, "path_truncate", FILE)                                                    \
	X(PATH_CHMOD, "path_chmod", FILE)                                                          \
	X(PATH_CHOWN, "path_chown", FILE)                                                          \
	X(INODE_SETATTR, "inode_setattr", FILE)                                                    \
	X(INODE_SETXATTR, "inode_setxattr", FILE)                                                  \
	X(INODE_REMOVEXATTR, "inode_removexattr", FILE)                                            \
	X(INODE_GETXATTR, "inode_getxattr", FILE)                                                  \
	X(INODE_LISTXATTR, "inode_listxattr", FILE)                                                \
	X(INODE_READLINK, "inode_readlink", FILE)                                                  \
	X(BPRM_CHECK, "bprm_check_security", EXEC)                                                 \
	X(MMAP_FILE, "mmap_file", EXEC)                                                            \
	X(FILE_MPROTECT, "file_mprotect", EXEC)                                                    \
	X(PATH_CHROOT, "path_chroot", SYSTEM)                                                      \
	X(MOVE_MOUNT, "move_mount", SYSTEM)                                                        \
	X(SB_MOUNT, "sb_mount", SYSTEM)                                                            \
	X(SB_UMOUNT, "sb_umount", SYSTEM)                                                          \
	X(SB_REMOUNT, "sb_remount", SYSTEM)                                                        \
	X(SB_PIVOTROOT, "sb_pivotroot", SYSTEM)                                                    \
	X(BPF, "bpf", SYSTEM)                                                                      \
	X(PERF_EVENT_OPEN, "perf_event_open", SYSTEM)                                              \
	X(KERNEL_LOAD_DATA, "kernel_load_data", SYSTEM)                                            \
	X(KERNEL_READ_FILE, "kernel_read_file", SYSTEM)                                            \
	X(KEY_PERMISSION, "key_permission", SYSTEM)                                                \
	X(SYSLOG, "syslog", SYSTEM)                                                                \
	X(CAPABLE, "capable", PROCESS)                                                             \
	X(PTRACE_ACCESS_CHECK, "ptrace_access_check", PROCESS)                                     \
	X(TASK_KILL, "task_kill", PROCESS)                                                         \
	X(UNIX_STREAM_CONNECT, "unix_stream_connect", FILE)                                        \
	X(UNIX_MAY_SEND, "unix_may_send", FILE)                                                    \
	X(USERNS_CREATE, "userns_create", SYSTEM)                                                  \
	X(URING_OVERRIDE_CREDS, "uring_override_creds", SYSTEM)                                    \
	X(URING_SQPOLL, "uring_sqpoll", SYSTEM)                                                    \
	X(URING_CMD, "uring_cmd", SYSTEM)                                                          \
	X(SOCKET_CREATE, "socket_create", NET)                                                     \
	X(SOCKET_CONNECT, "socket_connect", NET)                                                   \
	X(SOCKET_SENDMSG, "socket_sendmsg", NET)                                                   \
	X(CONNECT4, "cgroup/connect4", NET)                                                        \
	X(CONNECT6, "cgroup/connect6", NET)                                                        \
	X(SENDMSG4, "cgroup/sendmsg4", NET)                                                        \
	X(SENDMSG6, "cgroup/sendmsg6", NET)                                                        \
	X(BIND4, "cgroup/bind4", NET)                                                              \
	X(BIND6, "cgroup/bind6", NET)                                                              \
	X(SOCK_CREATE, "cgroup/sock_create", NET)                                                  \
	X(SETSOCKOPT, "cgroup/setsockopt", NET)                                                    \
	X(EGRESS, "cgroup_skb/egress", NET)                                                        \
	X(INGRESS, "cgroup_skb/ingress", NET)                                                      \
	X(DEVICE, "cgroup/dev", DEVICE)                                                            \
	X(EXEC, "sched_process_exec", EXEC)                                                        \
	X(PATH_NOTIFY, "path_notify", FILE)                                                        \
	X(PTRACE_TRACEME, "ptrace_traceme", PROCESS)                                               \
	X(RECVMSG4, "cgroup/recvmsg4", NET)                                                        \
	X(RECVMSG6, "cgroup/recvmsg6", NET)                                                        \
	X(GETPEERNAME4, "cgroup/getpeername4", NET)                                                \
	X(GETPEERNAME6, "cgroup/getpeername6", NET)                                                \
	X(SOCKOPS, "sockops", NET)                                                                 \
	X(DNS, "dns", NET)

enum os_hook {
#define OS_HOOK_ENUM(id, name, kind) OS_HOOK_##id,
	OS_HOOKS(OS_HOOK_ENUM)
#undef OS_HOOK_ENUM
		OS_HOOK_COUNT,
};

/* Why, where a right alone does not say it. */
enum os_reason {
	OS_REASON_NONE = 0,
	OS_REASON_RIGHT = 1,	     /* the path does not grant rights_wanted */
	OS_REASON_DEPTH = 2,	     /* more than 256 directories deep */
	OS_REASON_NO_ANCHOR = 3,     /* no listed path is above this object */
	OS_REASON_NO_POLICY = 4,     /* slot without policy: torn down or not admitted */
	OS_REASON_FORBIDDEN = 5,     /* never allowed in a sandbox (mount, bpf, ...) */
	OS_REASON_OTHER_SANDBOX = 6, /* the peer or target is outside this sandbox */
	OS_REASON_NEVER_ADDRESS = 7, /* loopback, link-local, metadata, multicast, unspecified */
	OS_REASON_NO_ENDPOINT = 8,   /* no rule names this address and port */
	OS_REASON_BINARY = 9,	     /* a rule names the endpoint, but not this executable */
	OS_REASON_IDENTITY = 10,     /* exec record and current executable disagree */
	OS_REASON_FAMILY = 11,	     /* socket family, type or protocol not offered */
	OS_REASON_OPTION = 12,	     /* socket option that could move the destination */
	OS_REASON_NO_IMAGE = 13,     /* pipe, socket or memfd as program or executable mapping */
	OS_REASON_STALE_NAME = 14,   /* synthetic address without a name, or one that expired */
	OS_REASON_ASK = 15,	     /* not decided: a glob may know the binary; no event has it */
	OS_REASON_CHANGED = 16,	     /* the binary's content changed since it was identified */
	OS_REASON_NAME = 17,	     /* DNS: no rule admits the name; told by userspace */
	OS_REASON_INSPECTED = 18,    /* content decides there, and this does not go to the proxy */
};

#define OS_EVENT_PATH_MAX  4096 /* bytes of components; a longer path sets OS_EVENT_TRUNCATED */
#define OS_EVENT_TRUNCATED (1u << 0)
#define OS_EVENT_NEW_NAME  (1u << 1) /* the first component names an entry not there yet */
#define OS_EVENT_DIRECTORY (1u << 2) /* the rights were asked of what is in this directory */
#define OS_EVENT_RECORDED                                                                          \
	(1u << 3)		   /* decided on a packet: pid, exe are who authorised the socket */
#define OS_EVENT_PROXIED (1u << 4) /* goes to the proxy, which tells of what is said there */

/*
 * One decision. Paths follow the fixed part as NUL-terminated components from the leaf to the
 * superblock's root: first exe_len bytes for the executable, then path_len for the object, then
 * path2_len for a second object (rename and link targets). Userspace joins them and finds the
 * mountpoint by dev in the sandbox's mountinfo.
 */
struct os_event {
	__u64 time;	  /* CLOCK_BOOTTIME ns */
	__u64 start_time; /* of the process, ns */
	__u32 slot;
	__u32 generation;
	__u32 pid;    /* tgid in the host's pid namespace */
	__u32 ns_pid; /* tgid as the sandbox sees it */
	__u32 uid;
	__u32 flags;   /* OS_EVENT_* */
	__u16 kind;    /* enum os_event_kind */
	__u16 hook;    /* enum os_hook */
	__u16 verdict; /* enum os_event_verdict */
	__u16 reason;  /* enum os_reason */
	__s32 error;   /* what the caller gets, negative errno */
	__u32 wanted;  /* OS_RIGHT_* asked for */
	__u32 held;    /* OS_RIGHT_* there are */
	__u32 detail;  /* hook's own: capability, signal, bpf command, ioctl, socket type, mode */
	struct os_file_id exe;
	struct os_file_id object;
	__u32 exe_dev_pad;
	__u32 peer_pid; /* ptrace, kill: target's host tgid */
	__u16 family;	/* NET: AF_* */
	__u16 protocol; /* NET: IPPROTO_* */
	__u16 port;	/* NET: host order */
	__u16 pad;
	__u32 endpoint;	  /* NET: index into CompiledPolicy.endpoints; ~0 = none */
	__u8 address[16]; /* NET: as the agent gave it; v4-mapped for IPv4 */
	__u8 real[16];	  /* NET: where an admitted name's connection went; zero = not rewritten */
	char comm[16];
	__u16 exe_len;
	__u16 path_len;
	__u16 path2_len;
	__u16 pad2;
	/* char data[] */
};

#define OS_EVENT_NO_ENDPOINT (~0u)

/* os_meta: one entry; says whose the pinned maps are. Written last, so that a set is whole. */
#define OS_META_LSM (1u << 0)

struct os_meta {
	__u32 abi;
	__u32 flags; /* OS_META_* */
	__u64 root_cgroup;
	__u32 root_level;
	__u32 complete;
};

/* os_digest: slot -> SHA-256 of the CompiledPolicy behind a generation, for audits. */
struct os_digest {
	__u32 generation;
	__u32 pad;
	__u8 sha256[32];
};

/* os_count: per-CPU counters, index OS_COUNT_x or OS_COUNT_HOOK + enum os_hook. */
enum os_count {
	OS_COUNT_EVENT_DROPPED = 0, /* ring buffer full */
	OS_COUNT_SCRATCH_BUSY = 1,  /* no scratch buffer free */
	OS_COUNT_HELPER_FAILED = 2, /* a BPF helper failed where it should not */
	OS_COUNT_ALLOWED = 3,
	OS_COUNT_DENIED = 4,
	OS_COUNT_AUDIT = 5,
	OS_COUNT_PROC_FULL = 6, /* os_proc could not take an entry: that process matches no rule */
	OS_COUNT_HOOK = 16,	/* + hook: runs by an agent of the hook's program */
	OS_COUNT_HOOK_DENIED = 96, /* + hook: denials */
	OS_COUNT_MAX = 192,
};

_Static_assert((int)OS_COUNT_HOOK + (int)OS_HOOK_COUNT <= (int)OS_COUNT_HOOK_DENIED &&
		       (int)OS_COUNT_HOOK_DENIED + (int)OS_HOOK_COUNT <= (int)OS_COUNT_MAX,
	       "every hook has its own counters");

/* os_file_probe: in and out of the SEC("syscall") program that names an open file for us. */
struct os_file_probe {
	__u32 fd;
	__u32 mode; /* out: st_mode as the kernel has it */
	struct os_file_id file;
	__u64 changed; /* out: ctime, ns, as os_image has it */
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/filter.h"

#include "common/cleanup.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "the list was not looked through for this architecture"
#endif

/* What the kernel reads of all arguments looked at here are 32 bits, or flags that are in these. */
enum test {
	TEST_NONE = 0,
	TEST_CLEAR, /* none of these bits */
	TEST_SET,   /* all of these bits */
	TEST_EQUAL,
};

struct condition {
	uint8_t argument;
	uint8_t test; /* enum test */
	uint32_t value;
};

#define CONDITIONS 4

/* Several rules of one number are alternatives. */
struct rule {
	unsigned int number;
	struct condition condition[CONDITIONS]; /* all of them */
};

#define CLEAR(argument, bits)                                                                      \
	{                                                                                          \
		argument, TEST_CLEAR, (uint32_t)(bits)                                             \
	}
#define SET(argument, bits)                                                                        \
	{                                                                                          \
		argument, TEST_SET, (uint32_t)(bits)                                               \
	}
#define EQUAL(argument, value)                                                                     \
	{                                                                                          \
		argument, TEST_EQUAL, (uint32_t)(value)                                            \
	}

/* Of send flags: MSG_FASTOPEN would connect a listener that was shut down to wherever it says. */
#define SEND_FLAGS ~(MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE)

/* Of these types but no other, whatever flags come with it; of the family's own protocol. */
#define SOCKET(family, type)                                                                       \
	{                                                                                          \
		SYS_socket,                                                                        \
		{                                                                                  \
			EQUAL(0, family), SET(1, type), CLEAR(1, 0xf & ~(type)), EQUAL(2, 0)       \
		}                                                                                  \
	}

static const struct rule common[] = {
	{SYS_recvmsg, {}},
	{SYS_sendmsg, {CLEAR(2, SEND_FLAGS)}},
	{SYS_recvfrom, {}},
	{SYS_sendto, {CLEAR(3, SEND_FLAGS)}},
#ifdef SYS_epoll_wait
	{SYS_epoll_wait, {}},
#endif
	{SYS_epoll_pwait, {}},
	{SYS_epoll_ctl, {}},
	{SYS_epoll_create1, {}},
#ifdef SYS_poll
	{SYS_poll, {}},
#endif
	{SYS_ppoll, {}},
	{SYS_read, {}},
	{SYS_write, {}},
	{SYS_close, {}},
	{SYS_getsockname, {}},
	{SYS_getsockopt, {}},
	{SYS_fcntl, {EQUAL(1, F_GETFL)}},
	{SYS_fcntl, {EQUAL(1, F_SETFL), CLEAR(2, O_ASYNC)}},
	/* Memory without a file behind it, and never code. */
	{SYS_mmap, {CLEAR(2, PROT_EXEC), SET(3, MAP_ANONYMOUS)}},
	{SYS_mprotect, {CLEAR(2, PROT_EXEC)}},
	{SYS_munmap, {}},
	{SYS_mremap, {}},
	{SYS_madvise, {}},
	{SYS_brk, {}},
	{SYS_futex, {}},
	{SYS_clock_gettime, {}},
	{SYS_gettimeofday, {}},
	{SYS_getrandom, {}},
	{SYS_restart_syscall, {}},
	{SYS_rt_sigreturn, {}},
	{SYS_exit, {}},
	{SYS_exit_group, {}},
};

/* Sockets are given to it; it makes, connects and binds none. */
static const struct rule worker[] = {
	{SYS_recvmmsg, {}},
	{SYS_sendmmsg, {CLEAR(3, SEND_FLAGS)}},
	{SYS_accept4, {}},
	{SYS_pread64, {}},
	{SYS_shutdown, {}},
	/* By this OpenSSL sees that it was forked, and that its random numbers must be new ones. */
	{SYS_getpid, {}},
	/* glibc's qsort() asks how much memory there is, the first time that it is used for much.
	 */
	{SYS_sysinfo, {}},
	{SYS_setsockopt, {EQUAL(1, IPPROTO_TCP), EQUAL(2, TCP_NODELAY)}},
	{SYS_setsockopt, {EQUAL(1, SOL_SOCKET), EQUAL(2, SO_LINGER)}},
};

/* Talks to the host's resolvers; reads what every user of the host may read. */
static const struct rule resolver[] = {
	SOCKET(AF_INET, SOCK_DGRAM),
	SOCKET(AF_INET, SOCK_STREAM),
	SOCKET(AF_INET6, SOCK_DGRAM),
	SOCKET(AF_INET6, SOCK_STREAM),
	{SYS_connect, {}},
	{SYS_bind, {}},
	{SYS_setsockopt, {EQUAL(1, IPPROTO_TCP), EQUAL(2, TCP_NODELAY)}},
	{SYS_openat, {CLEAR(2, O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | O_PATH | O_TMPFILE)}},
#ifdef SYS_stat
	{SYS_stat, {}},
#endif
	{SYS_newfstatat, {}},
	{SYS_fstat, {}},
	{SYS_lseek, {}},
	{SYS_uname, {}},
	{SYS_writev, {}},
	{SYS_fcntl, {EQUAL(1, F_GETFD)}},
	{SYS_fcntl, {EQUAL(1, F_SETFD)}},
};

struct assembly {
	struct sock_filter *code;
	unsigned int len;
	bool full;
};

static void emit(struct assembly *as, uint16_t op, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (as->len == FILTER_MAX)
		as->full = true;
	else
		as->code[as->len++] = (struct sock_filter){.code = op, .jt = jt, .jf = jf, .k = k};
}

static void emit_load(struct assembly *as, size_t offset)
{
	emit(as, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

/* Where the low half of an argument lies; both architectures are little-endian. */
static size_t argument_offset(uint8_t argument)
{
	return offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t);
}

static unsigned int conditions_of(const struct rule *rule)
{
	unsigned int n = 0;

	while (n < CONDITIONS && rule->condition[n].test != TEST_NONE)
		n++;
	return n;
}

static unsigned int length_of(const struct condition *condition)
{
	return condition->test == TEST_SET ? 3 : 2;
}

/* Allow if all conditions hold; else fall through to what follows. */
static void emit_rule(struct assembly *as, const struct rule *rule)
{
	unsigned int n = conditions_of(rule),
		     rest = 1; /* instructions after a test, RET included */

	for (unsigned int i = 0; i < n; i++)
		rest += length_of(&rule->condition[i]);
	for (unsigned int i = 0; i < n; i++) {
		const struct condition *c = &rule->condition[i];

		rest -= length_of(c);
		emit_load(as, argument_offset(c->argument));
		if (c->test == TEST_CLEAR) {
			emit(as, BPF_JMP | BPF_JSET | BPF_K, (uint8_t)rest, 0, c->value);
			continue;
		}
		if (c->test == TEST_SET)
			emit(as, BPF_ALU | BPF_AND | BPF_K, 0, 0, c->value);
		emit(as, BPF_JMP | BPF_JEQ | BPF_K, 0, (uint8_t)rest, c->value);
	}
	emit(as, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
}

static void emit_rules(struct assembly *as, const struct rule *rules, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned int jump = as->len;
		size_t first = i;

		/* Numbers of one kind stand together, and the accumulator holds the number. */
		emit(as, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, rules[i].number);
		emit_rule(as, &rules[i]);
		while (i + 1 < len && rules[i + 1].number == rules[first].number)
			emit_rule(as, &rules[++i]);
		/* The other list may have more of this number. */
		if (conditions_of(&rules[i]))
			emit_load(as, offsetof(struct seccomp_data, nr));
		if (!as->full)
			as->code[jump].jf = (uint8_t)(as->len - jump - 1);
	}
}

int filter_assemble(enum worker_role role, struct sock_filter *code, unsigned short *ret_len)
{
	struct assembly as = {.code = code};

	emit_load(&as, offsetof(struct seccomp_data, arch));
	emit(&as, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, ARCH);
	emit(&as, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS);
	/* The numbers of x32 have another bit set, so that none of them is in the list. */
	emit_load(&as, offsetof(struct seccomp_data, nr));
	emit_rules(&as, common, ARRAY_LEN(common));
	switch (role) {
	case WORKER_ROLE_WORKER:
		emit_rules(&as, worker, ARRAY_LEN(worker));
		break;
	case WORKER_ROLE_RESOLVER:
		emit_rules(&as, resolver, ARRAY_LEN(resolver));
		break;
	default:
		return -EINVAL;
	}
	emit(&as, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS);
	if (as.full)
		return -E2BIG;
	*ret_len = (unsigned short)as.len;
	return 0;
}

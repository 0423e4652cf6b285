/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filters of worker and resolver, run by an interpreter of the few instructions that they have.
 */
#include "common/cleanup.h"
#include "proxy/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <cmocka.h>

static struct sock_filter code[FILTER_MAX];
static unsigned short code_len;

static uint32_t run(const struct seccomp_data *data)
{
	uint32_t a = 0;

	for (unsigned int pc = 0; pc < code_len; pc++) {
		const struct sock_filter *in = &code[pc];
		bool held;

		switch (in->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(in->k + sizeof(a) <= sizeof(*data) && in->k % 4 == 0);
			memcpy(&a, (const char *)data + in->k, sizeof(a));
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= in->k;
			continue;
		case BPF_RET | BPF_K:
			return in->k;
		case BPF_JMP | BPF_JEQ | BPF_K:
			held = a == in->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			held = a & in->k;
			break;
		default:
			fail_msg("instruction %u: %#x", pc, in->code);
			return 0;
		}
		pc += held ? in->jt : in->jf;
	}
	fail_msg("ran off the end");
	return 0;
}

static bool allows(long number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	struct seccomp_data data = {
		.nr = (int)number, .arch = AUDIT_ARCH_X86_64, .args = {a0, a1, a2, a3}};
	uint32_t action = run(&data);

	assert_true(action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_KILL_PROCESS);
	return action == SECCOMP_RET_ALLOW;
}

static void use(enum worker_role role)
{
	assert_int_equal(filter_assemble(role, code, &code_len), 0);
	assert_true(code_len > 10 && code_len <= FILTER_MAX);
}

/* What both must never do. */
static void check_common(void)
{
	static const long never[] = {
		SYS_execve,	    SYS_execveat,    SYS_fork,	      SYS_vfork,
		SYS_clone,	    SYS_clone3,	     SYS_ptrace,      SYS_kill,
		SYS_tgkill,	    SYS_open,	     SYS_openat2,     SYS_creat,
		SYS_unlink,	    SYS_rename,	     SYS_mount,	      SYS_setuid,
		SYS_setresuid,	    SYS_prctl,	     SYS_seccomp,     SYS_bpf,
		SYS_ioctl,	    SYS_dup,	     SYS_dup2,	      SYS_dup3,
		SYS_memfd_create,   SYS_listen,	     SYS_accept,      SYS_process_vm_readv,
		SYS_io_uring_setup, SYS_userfaultfd, SYS_pidfd_getfd, SYS_shmget,
		SYS_personality,    SYS_splice,	     SYS_pipe2,	      SYS_timerfd_create,
		SYS_socketpair,	    SYS_setrlimit,
	};

	for (size_t i = 0; i < ARRAY_LEN(never); i++)
		if (allows(never[i], 0, 0, 0, 0))
			fail_msg("system call %ld is allowed", never[i]);
	assert_true(allows(SYS_recvmsg, 1, 2, 3, 4));
	assert_true(allows(SYS_exit_group, 0, 0, 0, 0));
	assert_true(allows(SYS_sendmsg, 3, 0, MSG_NOSIGNAL | MSG_DONTWAIT, 0));
	assert_false(allows(SYS_sendmsg, 3, 0, MSG_FASTOPEN, 0));
	assert_false(allows(SYS_sendmsg, 3, 0, MSG_OOB, 0));
	assert_false(allows(SYS_sendto, 3, 0, 0, MSG_FASTOPEN | MSG_NOSIGNAL));
	assert_true(allows(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS));
	assert_false(allows(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE));
	assert_false(allows(SYS_mmap, 0, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS));
	assert_false(allows(SYS_mprotect, 0, 4096, PROT_READ | PROT_EXEC, 0));
	assert_true(allows(SYS_fcntl, 3, F_SETFL, O_NONBLOCK, 0));
	assert_false(allows(SYS_fcntl, 3, F_SETFL, O_ASYNC, 0));
	assert_false(allows(SYS_fcntl, 3, F_DUPFD, 0, 0));
	assert_false(allows(SYS_fcntl, 3, F_SETOWN, 1, 0));
	/* The upper half of a register is not what the kernel reads, so it cannot help. */
	assert_false(allows(SYS_fcntl, 3, F_DUPFD | UINT64_C(1) << 32, 0, 0));
	assert_false(allows(SYS_sendmsg, 3, 0, MSG_FASTOPEN | UINT64_C(1) << 32, 0));
	/* x32, numbers beyond, and the numbers of another architecture. */
	assert_false(allows(0x40000000 | SYS_recvmsg, 0, 0, 0, 0));
	assert_false(allows(-1, 0, 0, 0, 0));
	assert_int_equal(run(&(struct seccomp_data){.nr = SYS_read, .arch = AUDIT_ARCH_I386}),
			 SECCOMP_RET_KILL_PROCESS);
}

static void a_worker_makes_no_socket(void **state)
{
	use(WORKER_ROLE_WORKER);
	check_common();
	assert_false(allows(SYS_socket, AF_INET, SOCK_STREAM, 0, 0));
	assert_false(allows(SYS_socket, AF_UNIX, SOCK_STREAM, 0, 0));
	assert_false(allows(SYS_connect, 3, 0, 0, 0));
	assert_false(allows(SYS_bind, 3, 0, 0, 0));
	assert_false(allows(SYS_openat, 0, 0, O_RDONLY, 0));
	assert_true(allows(SYS_accept4, 3, 0, 0, 0));
	assert_true(allows(SYS_pread64, 3, 0, 0, 0));
	assert_true(allows(SYS_shutdown, 3, SHUT_WR, 0, 0));
	assert_true(allows(SYS_getpid, 0, 0, 0, 0));
	assert_true(allows(SYS_sysinfo, 0, 0, 0, 0));
	assert_true(allows(SYS_sendmmsg, 3, 0, 1, MSG_DONTWAIT));
	assert_false(allows(SYS_sendmmsg, 3, 0, 1, MSG_FASTOPEN));
	assert_true(allows(SYS_setsockopt, 3, IPPROTO_TCP, TCP_NODELAY, 0));
	assert_true(allows(SYS_setsockopt, 3, SOL_SOCKET, SO_LINGER, 0));
	assert_false(allows(SYS_setsockopt, 3, SOL_SOCKET, SO_BINDTODEVICE, 0));
	assert_false(allows(SYS_setsockopt, 3, SOL_SOCKET, SO_ATTACH_FILTER, 0));
	assert_false(allows(SYS_setsockopt, 3, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 0));
	assert_false(allows(SYS_setsockopt, 3, IPPROTO_IP, IP_OPTIONS, 0));
}

static void a_resolver_reads_and_connects(void **state)
{
	use(WORKER_ROLE_RESOLVER);
	check_common();
	assert_true(allows(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0, 0));
	assert_true(allows(SYS_socket, AF_INET6, SOCK_STREAM, 0, 0));
	assert_false(allows(SYS_socket, AF_INET, SOCK_RAW, IPPROTO_ICMP, 0));
	assert_false(allows(SYS_socket, AF_INET, SOCK_RAW, 0, 0));
	assert_false(allows(SYS_socket, AF_INET, SOCK_DGRAM, IPPROTO_ICMP, 0));
	assert_false(allows(SYS_socket, AF_INET, SOCK_PACKET, 0, 0));
	assert_false(allows(SYS_socket, AF_UNIX, SOCK_STREAM, 0, 0));
	assert_false(allows(SYS_socket, AF_NETLINK, SOCK_RAW, 0, 0));
	assert_true(allows(SYS_openat, (uint64_t)AT_FDCWD, 0, O_RDONLY | O_CLOEXEC, 0));
	assert_false(allows(SYS_openat, (uint64_t)AT_FDCWD, 0, O_RDWR, 0));
	assert_false(allows(SYS_openat, (uint64_t)AT_FDCWD, 0, O_WRONLY, 0));
	assert_false(allows(SYS_openat, (uint64_t)AT_FDCWD, 0, O_RDONLY | O_CREAT, 0));
	assert_false(allows(SYS_openat, (uint64_t)AT_FDCWD, 0, O_RDONLY | O_TRUNC, 0));
	assert_false(allows(SYS_openat, (uint64_t)AT_FDCWD, 0, O_PATH, 0));
	assert_false(allows(SYS_accept4, 3, 0, 0, 0));
	assert_false(allows(SYS_pread64, 3, 0, 0, 0));
	assert_false(allows(SYS_getpid, 0, 0, 0, 0));
	assert_false(allows(SYS_sysinfo, 0, 0, 0, 0));
	assert_false(allows(SYS_setsockopt, 3, SOL_SOCKET, SO_RCVBUF, 0));
}

static void there_is_no_other_role(void **state)
{
	assert_int_equal(filter_assemble((enum worker_role)0, code, &code_len), -EINVAL);
	assert_int_equal(filter_assemble((enum worker_role)3, code, &code_len), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_makes_no_socket),
		cmocka_unit_test(a_resolver_reads_and_connects),
		cmocka_unit_test(there_is_no_other_role),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

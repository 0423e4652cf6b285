/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the assembled filter as the kernel would, over every number and the arguments that count. */
#include "common/cleanup.h"
#include "supervisor/seccomp.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <cmocka.h>

#define HIGH  (1ULL << 32)
#define ALLOW SECCOMP_RET_ALLOW

static struct sock_filter code[SECCOMP_FILTER_MAX];
static unsigned short code_len;

static uint32_t run(const struct seccomp_data *data)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < code_len; pc++) {
		const struct sock_filter *f = &code[pc];
		bool jump;

		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(f->k % 4 == 0 && f->k + 4 <= sizeof(*data));
			memcpy(&a, (const char *)data + f->k, sizeof(a));
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= f->k;
			continue;
		case BPF_RET | BPF_K:
			return f->k;
		case BPF_JMP | BPF_JA:
			pc += f->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			jump = a == f->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			jump = a >= f->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			jump = a > f->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			jump = a & f->k;
			break;
		default:
			fail_msg("instruction %#x", f->code);
			return 0;
		}
		pc += jump ? f->jt : f->jf;
	}
	fail_msg("ran off the end");
	return 0;
}

static uint32_t ask(long nr, uint64_t a0, uint64_t a1, uint64_t a2)
{
	const struct seccomp_data data = {
		.nr = (int)nr, .arch = AUDIT_ARCH_X86_64, .args = {a0, a1, a2}};

	return run(&data);
}

static uint32_t error(int code_number)
{
	return SECCOMP_RET_ERRNO | (uint32_t)code_number;
}

static void table_is_sorted_and_says_why(void **state)
{
	size_t len;
	const struct seccomp_rule *rules = seccomp_rules(&len);

	for (size_t i = 0; i < len; i++) {
		assert_true(i == 0 || rules[i - 1].nr < rules[i].nr);
		assert_true(rules[i].nr <= seccomp_last_known());
		assert_non_null(rules[i].why);
		assert_true(rules[i].error > 0);
	}
}

static void every_number_gets_its_rule(void **state)
{
	size_t len;
	const struct seccomp_rule *rules = seccomp_rules(&len);

	for (unsigned int nr = 0; nr <= seccomp_last_known(); nr++) {
		const struct seccomp_rule *rule = NULL;

		for (size_t i = 0; i < len; i++)
			if (rules[i].nr == nr)
				rule = &rules[i];
		if (!rule)
			assert_int_equal(ask(nr, ~0ULL, ~0ULL, ~0ULL), ALLOW);
		else if (rule->when == SECCOMP_WHEN_ALWAYS)
			assert_int_equal(ask(nr, 0, 0, 0), error(rule->error));
	}
}

static void unknown_numbers_and_foreign_abis(void **state)
{
	struct seccomp_data i386 = {.nr = 20, .arch = AUDIT_ARCH_I386};

	assert_int_equal(ask(seccomp_last_known() + 1, 0, 0, 0), error(ENOSYS));
	assert_int_equal(ask(-1, 0, 0, 0), error(ENOSYS));
	assert_int_equal(ask(0x40000000 | SYS_getpid, 0, 0, 0), error(ENOSYS));
	assert_int_equal(run(&i386), SECCOMP_RET_KILL_PROCESS);
}

static void only_offered_sockets(void **state)
{
	static const long calls[] = {SYS_socket, SYS_socketpair};

	for (size_t c = 0; c < ARRAY_LEN(calls); c++) {
		for (uint64_t family = 0; family < 300; family++) {
			uint32_t expected = family == AF_UNIX || family == AF_INET ||
							    family == AF_INET6 ||
							    family == AF_NETLINK
						    ? ALLOW
						    : error(EAFNOSUPPORT);

			assert_int_equal(ask(calls[c], family, SOCK_STREAM, 0), expected);
			assert_int_equal(ask(calls[c], HIGH | family, SOCK_STREAM, 0), expected);
		}
		for (uint64_t type = 0; type < 16; type++) {
			uint32_t expected =
				type == SOCK_STREAM || type == SOCK_DGRAM ? ALLOW : error(EPERM);
			uint64_t flags = SOCK_CLOEXEC | SOCK_NONBLOCK;

			assert_int_equal(ask(calls[c], AF_INET, type, 0), expected);
			assert_int_equal(ask(calls[c], AF_INET6, HIGH | flags | type, 0), expected);
			assert_int_equal(ask(calls[c], AF_UNIX, type, 0), ALLOW);
		}
		assert_int_equal(ask(calls[c], AF_NETLINK, SOCK_RAW, HIGH), ALLOW);
		for (uint64_t protocol = 1; protocol < 32; protocol++)
			assert_int_equal(ask(calls[c], AF_NETLINK, SOCK_RAW, protocol),
					 error(EPROTONOSUPPORT));
	}
}

static void no_new_namespace(void **state)
{
	static const uint64_t flags[] = {CLONE_NEWNS,	CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
					 CLONE_NEWUSER, CLONE_NEWPID,	 CLONE_NEWNET};

	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		assert_int_equal(ask(SYS_clone, flags[i] | SIGCHLD, 0, 0), error(EPERM));
		assert_int_equal(ask(SYS_clone, HIGH | flags[i], 0, 0), error(EPERM));
		assert_int_equal(ask(SYS_unshare, flags[i], 0, 0), error(EPERM));
	}
	assert_int_equal(ask(SYS_unshare, 0x80, 0, 0), error(EPERM));
	assert_int_equal(ask(SYS_unshare, CLONE_FILES | CLONE_FS, 0, 0), ALLOW);
	/* What a C library asks for a thread, and for fork(). */
	assert_int_equal(ask(SYS_clone, 0x3d0f00, 0, 0), ALLOW);
	assert_int_equal(ask(SYS_clone, 0x01200011, 0, 0), ALLOW);
}

static void arguments_count_by_32_bits(void **state)
{
	assert_int_equal(ask(SYS_ioctl, 0, TIOCSTI, 0), error(EPERM));
	assert_int_equal(ask(SYS_ioctl, 0, HIGH | TIOCSTI, 0), error(EPERM));
	assert_int_equal(ask(SYS_ioctl, 0, TIOCLINUX, 0), error(EPERM));
	assert_int_equal(ask(SYS_ioctl, 0, TIOCSETD, 0), error(EPERM));
	assert_int_equal(ask(SYS_ioctl, 0, TIOCGWINSZ, 0), ALLOW);
	assert_int_equal(ask(SYS_ioctl, TIOCSTI, TCGETS, 0), ALLOW);
	assert_int_equal(ask(SYS_prctl, PR_SET_MM, 0, 0), error(EPERM));
	assert_int_equal(ask(SYS_prctl, HIGH | PR_SET_MM, 0, 0), error(EPERM));
	assert_int_equal(ask(SYS_prctl, PR_SET_NAME, 0, 0), ALLOW);
	assert_int_equal(ask(SYS_personality, 0, 0, 0), ALLOW);
	assert_int_equal(ask(SYS_personality, 0xffffffff, 0, 0), ALLOW);
	assert_int_equal(ask(SYS_personality, HIGH | 0x400000, 0, 0), error(EPERM));
	assert_int_equal(ask(SYS_personality, 8, 0, 0), error(EPERM));
}

static int assemble(void **state)
{
	return seccomp_assemble(code, &code_len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_sorted_and_says_why),
		cmocka_unit_test(every_number_gets_its_rule),
		cmocka_unit_test(unknown_numbers_and_foreign_abis),
		cmocka_unit_test(only_offered_sockets),
		cmocka_unit_test(no_new_namespace),
		cmocka_unit_test(arguments_count_by_32_bits),
	};

	return cmocka_run_group_tests(tests, assemble, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* The smallest program there is, without a C library: exits, or with an argument sleeps for good.
 */
#include <sys/syscall.h>

__attribute__((noreturn, used)) static void begin(const long *stack)
{
	long argc = stack[0], result;

	while (argc > 1)
		__asm__ volatile("syscall"
				 : "=a"(result)
				 : "0"(SYS_pause)
				 : "rcx", "r11", "memory");
	__asm__ volatile("syscall" : "=a"(result) : "0"(SYS_exit), "D"(0) : "rcx", "r11", "memory");
	__builtin_unreachable();
}

__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall begin\n");

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that claims to be another program: it unmaps its own image, which the kernel asks for
 * before it lets the link behind /proc/self/exe change, changes it with PR_SET_MM_MAP, and
 * connects. What runs after the unmapping lies in a page of its own and calls nothing.
 */
#include "act.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct spoof {
	unsigned long start, size; /* of the image */
	struct prctl_mm_map map;
	struct sockaddr_storage to;
	long to_len;
};

#define BLOB __attribute__((section(".spoof"), used, optimize("O1"), no_stack_protector))

#define CALL(n, a, b, c, d, e)                                                                     \
	({                                                                                         \
		long _r;                                                                           \
		register long _d __asm__("r10") = (long)(d);                                       \
		register long _e __asm__("r8") = (long)(e);                                        \
		__asm__ volatile("syscall"                                                         \
				 : "=a"(_r)                                                        \
				 : "0"((long)(n)), "D"((long)(a)), "S"((long)(b)), "d"((long)(c)), \
				   "r"(_d), "r"(_e)                                                \
				 : "rcx", "r11", "memory");                                        \
		_r;                                                                                \
	})

BLOB static void become(struct spoof *s)
{
	long r = CALL(SYS_munmap, s->start, s->size, 0, 0, 0);
	long fd;
	int error;

	if (!r)
		r = CALL(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, &s->map, sizeof(s->map), 0);
	if (r) {
		error = ENOTTY;
	} else {
		fd = CALL(SYS_socket, AF_INET, SOCK_STREAM, 0, 0, 0);
		r = CALL(SYS_connect, fd, &s->to, s->to_len, 0, 0);
		error = (int)-r;
	}
	CALL(SYS_write, REPORT_FD, &error, sizeof(error), 0, 0);
	CALL(SYS_exit_group, 0, 0, 0, 0, 0);
}

/* Lowest and highest address that is mapped from our own file, bss included. */
static void find_image(struct spoof *s, const char *self)
{
	unsigned long from, to, low = ~0ul, high = 0;
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "re");

	if (!maps)
		finish(ENOTTY);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx", &from, &to) != 2 || !strstr(line, self))
			continue;
		low = from < low ? from : low;
		high = to > high ? to : high;
	}
	fclose(maps);
	s->start = low;
	s->size = high - low;
}

/* spoof PROGRAM ADDRESS PORT */
void act_spoof(char **argv)
{
	char self[256] = "";
	unsigned char *page;
	struct spoof *s;
	unsigned long base;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) <= 0)
		finish(ENOTTY);
	page = mmap(NULL, 16384, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	if (page == MAP_FAILED)
		finish(ENOTTY);
	memcpy(page, (const void *)become, 2048);
	s = (void *)(page + 8192);
	base = (unsigned long)page;
	find_image(s, self);
	s->to_len = parse_address(argv[2], argv[3], &s->to);
	/* Any addresses that hold together will do; only the file matters. */
	s->map = (struct prctl_mm_map){
		.start_code = base,
		.end_code = base + 1,
		.start_data = base + 2,
		.end_data = base + 3,
		.start_brk = base + 4096,
		.brk = base + 4096,
		.start_stack = base + 12288,
		.arg_start = base + 12288,
		.arg_end = base + 12289,
		.env_start = base + 12290,
		.env_end = base + 12291,
		.exe_fd = (unsigned int)open(argv[1], O_RDONLY | O_CLOEXEC),
	};
	((void (*)(struct spoof *))page)(s);
}

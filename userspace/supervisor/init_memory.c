/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/init_memory.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE ((uintptr_t)4096)

/* A sanitizer keeps its shadow where all this would be unmapped. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

/* Of the dynamic loader. */
extern void *__libc_stack_end;

struct mapping {
	uintptr_t start, end;
	uint64_t device, inode; /* inode 0: no file */
	bool special;		/* [stack], [vdso] and the like, but not [heap] */
};

/* What stays. */
struct keep {
	uintptr_t code, library, stack, thread; /* addresses in what stays as a whole */
	struct mapping code_file, library_file; /* and every other mapping of these files */
	uintptr_t last_end;		  /* end of the file mapping kept last: its .bss follows */
	uintptr_t stack_start, stack_end; /* the stack's mapping */
};

static uint64_t parse_number(const char **p, unsigned int base)
{
	uint64_t value = 0;

	for (;; (*p)++) {
		unsigned int digit;

		if (**p >= '0' && **p <= '9')
			digit = (unsigned int)(**p - '0');
		else if (base == 16 && **p >= 'a' && **p <= 'f')
			digit = (unsigned int)(**p - 'a') + 10;
		else
			return value;
		value = value * base + digit;
	}
}

static const char *skip_word(const char *p)
{
	p += strcspn(p, " ");
	return p + strspn(p, " ");
}

/* A line of proc_pid_maps(5): start-end perms offset major:minor inode path */
static bool parse_line(const char *p, struct mapping *ret)
{
	ret->start = parse_number(&p, 16);
	if (*p++ != '-')
		return false;
	ret->end = parse_number(&p, 16);
	if (*p++ != ' ')
		return false;
	p = skip_word(skip_word(p));
	ret->device = parse_number(&p, 16) << 32;
	if (*p++ != ':')
		return false;
	ret->device |= parse_number(&p, 16);
	p = skip_word(p);
	ret->inode = parse_number(&p, 10);
	p += strspn(p, " ");
	ret->special = *p == '[' && strncmp(p, "[heap]", 6);
	return ret->end > ret->start;
}

/* Visit every mapping. The visitor may unmap it: the file's position is an address. */
static void visit_all(int fd, void (*visit)(struct keep *keep, const struct mapping *mapping),
		      struct keep *keep)
{
	char buffer[4096], line[256];
	size_t len = 0;
	ssize_t n;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return;
	while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			struct mapping mapping;

			if (buffer[i] != '\n') {
				/* Only the path can be that long, and it does not matter. */
				if (len < sizeof(line) - 1)
					line[len++] = buffer[i];
				continue;
			}
			line[len] = '\0';
			len = 0;
			if (parse_line(line, &mapping))
				visit(keep, &mapping);
		}
	}
}

static bool contains(const struct mapping *mapping, uintptr_t address)
{
	return address >= mapping->start && address < mapping->end;
}

static bool same_file(const struct mapping *a, const struct mapping *b)
{
	return a->inode && a->inode == b->inode && a->device == b->device;
}

static void find(struct keep *keep, const struct mapping *mapping)
{
	if (contains(mapping, keep->code))
		keep->code_file = *mapping;
	if (contains(mapping, keep->library))
		keep->library_file = *mapping;
}

static void unmap(struct keep *keep, const struct mapping *mapping)
{
	if (same_file(mapping, &keep->code_file) || same_file(mapping, &keep->library_file)) {
		keep->last_end = mapping->end;
		return;
	}
	if (contains(mapping, keep->stack)) {
		keep->stack_start = mapping->start;
		keep->stack_end = mapping->end;
	}
	if (mapping->special || mapping->start == keep->last_end ||
	    contains(mapping, keep->stack) || contains(mapping, keep->thread))
		return;
	munmap((void *)mapping->start, mapping->end - mapping->start);
}

static void discard(uintptr_t start, uintptr_t end)
{
	start = (start + PAGE - 1) & ~(PAGE - 1);
	end &= ~(PAGE - 1);
	if (start < end)
		madvise((void *)start, end - start, MADV_DONTNEED);
}

/*
 * What setting up has left below this frame, and the supervisor's frames above @frame, which is
 * never returned from; a page of distance to each. At the stack's very end are the arguments that
 * ps shows, and before them is where the C library says that the first frame began.
 */
static void shed_stack(const struct keep *keep, uintptr_t frame)
{
	uintptr_t first = (uintptr_t)__libc_stack_end;

	discard(keep->stack_start, keep->stack - PAGE);
	if (first >= keep->stack_start && first < keep->stack_end)
		discard(frame + PAGE, first);
}

int init_memory_open(void)
{
	return open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
}

void init_memory_shed(int fd, const void *frame)
{
	struct keep keep = {
		.code = (uintptr_t)init_memory_shed,
		.library = (uintptr_t)poll,
		.stack = (uintptr_t)&keep,
		.thread = (uintptr_t)__builtin_thread_pointer(),
	};

	if (fd >= 0 && !SANITIZED) {
		visit_all(fd, find, &keep);
		if (keep.code_file.inode && keep.library_file.inode)
			visit_all(fd, unmap, &keep);
		shed_stack(&keep, (uintptr_t)frame);
	}
	safe_close(fd);
}

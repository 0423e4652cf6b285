/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system call filter under every sandbox, whatever its policy and backend: one table says
 * what is refused, with which errno and why; the filter and the documentation come from it.
 * Assembled by hand and not by libseccomp, which compares whole 64-bit registers where the kernel
 * reads 32 bits (so that socket(1ULL << 32 | AF_PACKET) slips through a rule for AF_PACKET), cannot
 * say "newer than what we know", and takes half a millisecond where this takes one microsecond.
 * Pure but for seccomp_install(); any thread. Fails closed: a foreign ABI kills the process.
 */
#pragma once

#include "common/error.h"

#include <linux/filter.h>
#include <stddef.h>

/* Which arguments are refused; SECCOMP_WHEN_ALWAYS looks at none. */
enum seccomp_when {
	SECCOMP_WHEN_ALWAYS,
	SECCOMP_WHEN_NEW_NAMESPACE, /* first argument has a CLONE_NEW* flag */
	SECCOMP_WHEN_FAMILY,	    /* socket family, type or protocol that is not offered */
	SECCOMP_WHEN_SET_MM,	    /* prctl(PR_SET_MM) */
	SECCOMP_WHEN_IOCTL,	    /* ioctl of a terminal's input or wiring, or of a snapshot */
	SECCOMP_WHEN_PERSONALITY,   /* anything but 0 and the question 0xffffffff */
};

struct seccomp_rule {
	const char *name;
	unsigned int nr;
	int error; /* positive errno that the caller gets */
	enum seccomp_when when;
	const char *why;
};

#define SECCOMP_FILTER_MAX 1024

/* The table, sorted by nr, without duplicates. */
const struct seccomp_rule *seccomp_rules(size_t *ret_len);

/* System calls above this number are newer than the table and answer ENOSYS. */
unsigned int seccomp_last_known(void);

/*
 * Assemble the filter into @code (room for SECCOMP_FILTER_MAX). -E2BIG if it does not fit, which
 * a unit test excludes.
 */
int seccomp_assemble(struct sock_filter *code, unsigned short *ret_len);

/* Put the filter on the calling thread and what it starts; needs no_new_privs. */
int seccomp_install(const struct sock_fprog *program, struct error *err);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_uring, by bare system calls: it opens files past every system call filter, on threads of the
 * kernel's, and can borrow credentials.
 */
#include "act.h"
#include "common/cleanup.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef IORING_SETUP_SQE128
#define IORING_SETUP_SQE128 (1U << 10)
#endif

struct ring {
	int fd;
	struct io_uring_params params;
	unsigned char *sq, *cq, *sqe;
};

static int ring_open(unsigned int flags, struct ring *ret_ring)
{
	struct ring ring = {.params.flags = flags};

	ring.fd = (int)syscall(SYS_io_uring_setup, 4, &ring.params);
	if (ring.fd < 0)
		return -errno;
	ring.sq = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd,
		       IORING_OFF_SQ_RING);
	ring.cq = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd,
		       IORING_OFF_CQ_RING);
	ring.sqe = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd,
			IORING_OFF_SQES);
	if (ring.sq == MAP_FAILED || ring.cq == MAP_FAILED || ring.sqe == MAP_FAILED)
		return -errno;
	*ret_ring = ring;
	return 0;
}

static unsigned int *at(unsigned char *base, unsigned int offset)
{
	return (unsigned int *)(void *)(base + offset);
}

/* Submit one entry and wait for its result. */
static int ring_do(struct ring *ring, const struct io_uring_sqe *sqe)
{
	const struct io_uring_params *p = &ring->params;
	unsigned int tail = *at(ring->sq, p->sq_off.tail);
	unsigned int head = *at(ring->cq, p->cq_off.head);
	struct io_uring_cqe *cqe;
	int r;

	memcpy(ring->sqe, sqe, sizeof(*sqe));
	at(ring->sq, p->sq_off.array)[tail & (p->sq_entries - 1)] = 0;
	__atomic_store_n(at(ring->sq, p->sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	cqe = (struct io_uring_cqe *)(void *)(ring->cq + p->cq_off.cqes) +
	      (head & (p->cq_entries - 1));
	r = cqe->res;
	__atomic_store_n(at(ring->cq, p->cq_off.head), head + 1, __ATOMIC_RELEASE);
	return r < 0 ? r : 0;
}

static struct io_uring_sqe open_entry(const char *path)
{
	return (struct io_uring_sqe){
		.opcode = IORING_OP_OPENAT,
		.fd = AT_FDCWD,
		.addr = (__u64)(unsigned long)path,
		.open_flags = O_RDONLY | O_CLOEXEC,
	};
}

static int do_setup(char **arg)
{
	struct io_uring_params params = {};

	return act_result(syscall(SYS_io_uring_setup, 4, &params));
}

static int do_open(char **arg)
{
	struct io_uring_sqe sqe = open_entry(arg[0]);
	struct ring ring;
	int r = ring_open(0, &ring);

	return r ? r : ring_do(&ring, &sqe);
}

/* On a thread of the kernel's own. */
static int do_open_worker(char **arg)
{
	struct io_uring_sqe sqe = open_entry(arg[0]);
	struct ring ring;
	int r = ring_open(0, &ring);

	sqe.flags = IOSQE_ASYNC;
	return r ? r : ring_do(&ring, &sqe);
}

/*
 * As the last, when the thread has our old credentials and so takes on our new ones: credentials
 * that are overridden without any personality.
 */
static int do_open_worker_override(char **arg)
{
	struct io_uring_sqe nop = {.opcode = IORING_OP_NOP, .flags = IOSQE_ASYNC};
	struct io_uring_sqe sqe = open_entry(arg[0]);
	struct ring ring;
	int r = ring_open(0, &ring);

	sqe.flags = IOSQE_ASYNC;
	if (r)
		return r;
	r = ring_do(&ring, &nop);
	/* Any change will do; it makes a new struct cred for this thread alone. */
	if (!r)
		r = act_result(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	return r ? r : ring_do(&ring, &sqe);
}

static int do_personality(char **arg)
{
	struct io_uring_sqe sqe = open_entry(arg[0]);
	struct ring ring;
	int r = ring_open(0, &ring);
	long id;

	if (r)
		return r;
	id = syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_PERSONALITY, NULL, 0);
	if (id < 0)
		return -errno;
	sqe.personality = (__u16)id;
	return ring_do(&ring, &sqe);
}

static int do_sqpoll(char **arg)
{
	struct io_uring_params params = {.flags = IORING_SETUP_SQPOLL};

	return act_result(syscall(SYS_io_uring_setup, 4, &params));
}

/* A command to a device: /dev/null takes any (Linux 6.1). */
static int do_command(char **arg)
{
	struct io_uring_sqe sqe = {.opcode = 46 /* IORING_OP_URING_CMD */};
	struct ring ring;
	int r = ring_open(0, &ring);

	sqe.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (sqe.fd < 0)
		return -errno;
	return r ? r : ring_do(&ring, &sqe);
}

const struct act acts_uring[] = {
	{"uring_setup", do_setup},
	{"uring_open", do_open},
	{"uring_open_worker", do_open_worker},
	{"uring_open_worker_override", do_open_worker_override},
	{"uring_personality", do_personality},
	{"uring_sqpoll", do_sqpoll},
	{"uring_command", do_command},
	{NULL, NULL},
};

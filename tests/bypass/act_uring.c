/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect() and sendmsg() through io_uring, by bare system calls: at once, on a worker thread of
 * the kernel's, and by the thread that polls the queue.
 */
#include "act.h"
#include "common/cleanup.h"

#include <linux/io_uring.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

struct ring {
	int fd;
	struct io_uring_params params;
	unsigned char *sq, *cq, *sqe;
};

static int ring_open(unsigned int flags, struct ring *ret_ring)
{
	struct ring ring = {.params = {.flags = flags, .sq_thread_idle = 1000}};
	const int protection = PROT_READ | PROT_WRITE, how = MAP_SHARED | MAP_POPULATE;

	ring.fd = (int)syscall(SYS_io_uring_setup, 4, &ring.params);
	if (ring.fd < 0)
		return -errno;
	ring.sq = mmap(NULL, 4096, protection, how, ring.fd, IORING_OFF_SQ_RING);
	ring.cq = mmap(NULL, 4096, protection, how, ring.fd, IORING_OFF_CQ_RING);
	ring.sqe = mmap(NULL, 4096, protection, how, ring.fd, IORING_OFF_SQES);
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
	unsigned int flags = IORING_ENTER_GETEVENTS;
	struct io_uring_cqe *cqe;
	int r;

	memcpy(ring->sqe, sqe, sizeof(*sqe));
	at(ring->sq, p->sq_off.array)[tail & (p->sq_entries - 1)] = 0;
	__atomic_store_n(at(ring->sq, p->sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	if (p->flags & IORING_SETUP_SQPOLL)
		flags |= IORING_ENTER_SQ_WAKEUP;
	if (syscall(SYS_io_uring_enter, ring->fd, 1, 1, flags, NULL, 0) < 0)
		return -errno;
	cqe = (struct io_uring_cqe *)(void *)(ring->cq + p->cq_off.cqes) +
	      (head & (p->cq_entries - 1));
	r = cqe->res;
	__atomic_store_n(at(ring->cq, p->cq_off.head), head + 1, __ATOMIC_RELEASE);
	return r < 0 ? r : 0;
}

static int do_setup(char **arg)
{
	struct io_uring_params params = {};

	return act_result(syscall(SYS_io_uring_setup, 4, &params));
}

static int connect_by(char **arg, unsigned int setup, uint8_t flags)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], arg[1], &to);
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_CONNECT,
		.flags = flags,
		.addr = (__u64)(unsigned long)&to,
		.off = len,
	};
	struct ring ring;
	int r = ring_open(setup, &ring);

	if (r)
		return r;
	sqe.fd = act_socket(to.ss_family, SOCK_STREAM);
	if (sqe.fd < 0)
		return sqe.fd;
	r = ring_do(&ring, &sqe);
	if (!r)
		r = act_where(sqe.fd);
	if (!r)
		act_say_ends(sqe.fd);
	return r;
}

static int do_connect(char **arg)
{
	return connect_by(arg, 0, 0);
}

static int do_connect_async(char **arg)
{
	return connect_by(arg, 0, IOSQE_ASYNC);
}

static int do_connect_poll(char **arg)
{
	return connect_by(arg, IORING_SETUP_SQPOLL, 0);
}

static int do_sendmsg(char **arg)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], arg[1], &to);
	char text[128] = "where";
	struct iovec iov = {text, 5};
	struct msghdr message = {
		.msg_name = &to, .msg_namelen = len, .msg_iov = &iov, .msg_iovlen = 1};
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_SENDMSG,
		.flags = IOSQE_ASYNC,
		.addr = (__u64)(unsigned long)&message,
		.len = 1,
	};
	struct ring ring;
	int r = ring_open(0, &ring);
	ssize_t n;

	if (r)
		return r;
	sqe.fd = act_socket(to.ss_family, SOCK_DGRAM);
	if (sqe.fd < 0)
		return sqe.fd;
	r = ring_do(&ring, &sqe);
	if (r)
		return r;
	/* What a ring has left to do for its task ends a wait. */
	do
		n = recv(sqe.fd, text, sizeof(text) - 1, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	act_say("at=%.*s", (int)n, text);
	return 0;
}

const struct act acts_uring[] = {
	{"uring-setup", do_setup},	   {"uring", do_connect},
	{"uring-async", do_connect_async}, {"uring-sqpoll", do_connect_poll},
	{"uring-sendmsg", do_sendmsg},	   {NULL, NULL},
};

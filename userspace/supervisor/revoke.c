/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two listings, one after the other: TCP over IPv4 and over IPv6, each socket with what os_sock has
 * of it (Linux 5.7, kernel commit 085c20cacf2b). A socket is destroyed by its cookie, so never
 * another one that has got its addresses meanwhile.
 */
#include "supervisor/revoke.h"

#include "address.h"
#include "common/cleanup.h"
#include "supervisor/egress_judge.h"

#include <bpf/bpf.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#define BUFFER 65536
#define BATCH  8 /* messages of the kernel, of up to 32 KiB, for each turn of the loop */

static const uint8_t families[] = {AF_INET, AF_INET6};

struct revoke {
	struct revoke_options options;
	int list_fd, destroy_fd;
	bool running, again;
	size_t listing;
	uint32_t sequence;
	struct revoke_result result;
	union {
		struct nlmsghdr header;
		uint8_t bytes[BUFFER];
	} buffer;
};

static int open_netlink(int flags)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_SOCK_DIAG);

	return fd < 0 ? -errno : fd;
}

int revoke_new(const struct revoke_options *options, struct revoke **ret_revoke, struct error *err)
{
	struct revoke *revoke = calloc(1, sizeof(*revoke));

	if (!revoke)
		return error_set(err, -ENOMEM, "out of memory");
	revoke->options = *options;
	revoke->list_fd = open_netlink(SOCK_NONBLOCK);
	revoke->destroy_fd = open_netlink(0);
	if (revoke->list_fd < 0 || revoke->destroy_fd < 0) {
		int r = revoke->list_fd < 0 ? revoke->list_fd : revoke->destroy_fd;

		revoke_free(revoke);
		return error_set(err, r, "cannot list sockets: %s", strerror(-r));
	}
	*ret_revoke = revoke;
	return 0;
}

void revoke_free(struct revoke *revoke)
{
	if (!revoke)
		return;
	safe_close(revoke->list_fd);
	safe_close(revoke->destroy_fd);
	free(revoke);
}

static void finish(struct revoke *revoke, int error)
{
	revoke->running = false;
	revoke->result.error = error;
	if (revoke->options.done)
		revoke->options.done(revoke->options.arg, &revoke->result);
}

/* Ask for the sockets of the current listing. */
static int request(struct revoke *revoke)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 diag;
		struct nlattr storages, map;
		uint32_t map_fd;
	} message = {
		.header = {.nlmsg_len = sizeof(message),
			   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			   .nlmsg_seq = ++revoke->sequence},
		.diag = {.sdiag_family = families[revoke->listing],
			 .sdiag_protocol = IPPROTO_TCP,
			 .idiag_states = ~(1u << TCP_LISTEN | 1u << TCP_CLOSE)},
		.storages = {.nla_len = sizeof(struct nlattr) * 2 + sizeof(uint32_t),
			     .nla_type = INET_DIAG_REQ_SK_BPF_STORAGES | NLA_F_NESTED},
		.map = {.nla_len = sizeof(struct nlattr) + sizeof(uint32_t),
			.nla_type = SK_DIAG_BPF_STORAGE_REQ_MAP_FD},
		.map_fd = (uint32_t)revoke->options.kernel->maps.sock,
	};

	return send(revoke->list_fd, &message, sizeof(message), 0) < 0 ? -errno : 0;
}

static void begin(struct revoke *revoke)
{
	int r;

	revoke->running = true;
	revoke->again = false;
	revoke->listing = 0;
	revoke->result = (struct revoke_result){};
	r = request(revoke);
	if (r)
		finish(revoke, r);
}

void revoke_start(struct revoke *revoke)
{
	if (revoke->running)
		revoke->again = true;
	else
		begin(revoke);
}

int revoke_fd(const struct revoke *revoke)
{
	return revoke->list_fd;
}

/* The attribute of that type among those in [at, end), or NULL. */
static const struct nlattr *attribute(const uint8_t *at, const uint8_t *end, uint16_t type)
{
	while ((size_t)(end - at) >= sizeof(struct nlattr)) {
		const struct nlattr *a = (const struct nlattr *)at;
		size_t size = NLA_ALIGN(a->nla_len);

		if (a->nla_len < sizeof(*a) || a->nla_len > end - at)
			return NULL;
		if ((a->nla_type & NLA_TYPE_MASK) == type)
			return a;
		if (size > (size_t)(end - at))
			return NULL;
		at += size;
	}
	return NULL;
}

static const uint8_t *inside(const struct nlattr *a)
{
	return (const uint8_t *)a + NLA_HDRLEN;
}

static const uint8_t *behind(const struct nlattr *a)
{
	return (const uint8_t *)a + a->nla_len;
}

/* What os_sock has of a socket; false if it has nothing. */
static bool storage(const struct nlmsghdr *header, struct os_sock *ret_sock)
{
	const uint8_t *message = (const uint8_t *)header;
	const struct nlattr *a;

	a = attribute(message + NLMSG_SPACE(sizeof(struct inet_diag_msg)),
		      message + header->nlmsg_len, INET_DIAG_SK_BPF_STORAGES);
	if (a)
		a = attribute(inside(a), behind(a), SK_DIAG_BPF_STORAGE);
	if (a)
		a = attribute(inside(a), behind(a), SK_DIAG_BPF_STORAGE_MAP_VALUE);
	if (!a || a->nla_len < NLA_HDRLEN + sizeof(*ret_sock))
		return false;
	memcpy(ret_sock, inside(a), sizeof(*ret_sock));
	return true;
}

/* Whether the policy in force admits the socket, or it is no business of its rules. */
static bool is_admitted(const struct revoke *revoke, const struct os_sock *sock,
			uint32_t generation)
{
	struct egress_question question = {
		.slot = sock->slot, .generation = generation, .identity = &sock->identity};
	bool rewritten = sock->asked_port;
	struct address address;
	uint32_t reason;

	memcpy(&address, rewritten ? sock->asked : sock->address, sizeof(address));
	question.port = rewritten ? sock->asked_port : sock->port;
	question.proxied = sock->flags & OS_SOCK_PROXY;
	/* Where a name really is counts for who goes there himself. */
	if (rewritten && !(sock->flags & (OS_SOCK_ASK | OS_SOCK_PROXY)))
		question.real = sock->address;
	memcpy(question.address, &address, sizeof(question.address));
	if (!question.port || sock->flags & OS_SOCK_DNS || sock->stamp.state == OS_SOCK_LOOPBACK ||
	    address_is_loopback(&address))
		return true;
	reason = egress_judge(revoke->options.kernel, &question, NULL, NULL);
	/* Whoever waits for a verdict waits on; the proxy asks again whose a connection is. */
	return reason == OS_REASON_NONE ||
	       (reason == OS_REASON_ASK && sock->flags & (OS_SOCK_ASK | OS_SOCK_PROXY));
}

static int destroy(const struct revoke *revoke, const struct inet_diag_msg *diag)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 diag;
	} message = {
		.header = {.nlmsg_len = sizeof(message),
			   .nlmsg_type = SOCK_DESTROY,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
		.diag = {.sdiag_family = diag->idiag_family,
			 .sdiag_protocol = IPPROTO_TCP,
			 .idiag_states = ~0u,
			 .id = diag->id},
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		uint8_t rest[sizeof(message) + 256];
	} answer;
	ssize_t n;

	if (send(revoke->destroy_fd, &message, sizeof(message), 0) < 0)
		return -errno;
	/* The kernel has answered when send() returns. */
	n = recv(revoke->destroy_fd, &answer, sizeof(answer), MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	if ((size_t)n < sizeof(answer.header) + sizeof(answer.error.error) ||
	    answer.header.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return answer.error.error;
}

static void judge(struct revoke *revoke, const struct nlmsghdr *header)
{
	const struct os_policy *in_force = &revoke->options.kernel->policy[revoke->options.slot];
	const struct inet_diag_msg *diag = NLMSG_DATA(header);
	union {
		uint64_t whole;
		struct os_policy policy;
	} u = {.whole = __atomic_load_n((const uint64_t *)in_force, __ATOMIC_RELAXED)};
	struct os_sock sock;
	int r;

	if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*diag)) || !storage(header, &sock) ||
	    sock.slot != revoke->options.slot || u.policy.mode != OS_MODE_ENFORCE)
		return;
	revoke->result.sockets++;
	if (is_admitted(revoke, &sock, u.policy.generation))
		return;
	r = destroy(revoke, diag);
	/* Gone by itself */
	if (r == -ENOENT)
		return;
	revoke->result.destroyed += !r;
	revoke->result.failed += r != 0;
	revoke->result.unsupported |= r == -EOPNOTSUPP;
}

/* 1: the listing is complete, 0: there is more, or its error. */
static int take(struct revoke *revoke, size_t size)
{
	for (const struct nlmsghdr *h = &revoke->buffer.header; NLMSG_OK(h, size);
	     h = NLMSG_NEXT(h, size)) {
		if (h->nlmsg_seq != revoke->sequence)
			continue;
		if (h->nlmsg_type == NLMSG_DONE)
			return 1;
		if (h->nlmsg_type == NLMSG_ERROR)
			return h->nlmsg_len < NLMSG_LENGTH(sizeof(int))
				       ? -EPROTO
				       : ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
		if (h->nlmsg_type == SOCK_DIAG_BY_FAMILY)
			judge(revoke, h);
	}
	return 0;
}

/* A listing is complete, or cannot be had (no module for it): on with the next. */
static void next(struct revoke *revoke, int r)
{
	if (revoke->again) {
		begin(revoke);
		return;
	}
	while (r >= 0 || r == -ENOENT) {
		if (++revoke->listing == ARRAY_LEN(families)) {
			finish(revoke, 0);
			return;
		}
		r = request(revoke);
		if (!r)
			return;
	}
	finish(revoke, r);
}

void revoke_poll(struct revoke *revoke)
{
	for (int i = 0; i < BATCH && revoke->running; i++) {
		ssize_t n = recv(revoke->list_fd, &revoke->buffer, sizeof(revoke->buffer), 0);
		int r;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		r = n < 0 ? -errno : take(revoke, (size_t)n);
		if (r)
			next(revoke, r);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/worker_protocol.h"

#include "abi.h"
#include "common/cleanup.h"
#include "common/inference.h"
#include "common/policy_address.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

/* A channel and all sockets of a worker ride on one message; one more shows who sends too many. */
#define FDS_MAX (1 + WORKER_SOCKETS + 1)

_Static_assert(sizeof(struct worker_header) == 8, "no hidden padding");
_Static_assert(sizeof(struct worker_fork) == 24, "no hidden padding");
_Static_assert(sizeof(struct worker_forked) == 16, "no hidden padding");
_Static_assert(sizeof(struct worker_peer) == 24, "no hidden padding");
_Static_assert(sizeof(struct worker_ask_name) == 35 + WORKER_NAME_MAX, "no hidden padding");
_Static_assert(sizeof(struct worker_name) == 36, "no hidden padding");
_Static_assert(sizeof(struct worker_ask_flow) == 56, "no hidden padding");
_Static_assert(sizeof(struct worker_flow) == 16, "no hidden padding");
_Static_assert(sizeof(struct worker_lookup) == 10 + WORKER_NAME_MAX + 1, "no hidden padding");
_Static_assert(sizeof(struct worker_found) == 16 + 16 * WORKER_ADDRESSES_MAX, "no hidden padding");
_Static_assert(sizeof(struct worker_policy) == 16, "no hidden padding");
_Static_assert(sizeof(struct worker_ask_origin) == 56, "no hidden padding");
_Static_assert(sizeof(struct worker_origin) == 88 + WORKER_NAME_MAX + 3 + WORKER_BINARY_MAX,
	       "no hidden padding");
_Static_assert(sizeof(struct worker_ask_upstream) == 32, "no hidden padding");
_Static_assert(sizeof(struct worker_upstream) == 40, "no hidden padding");
_Static_assert(sizeof(struct worker_ask_route) == 12 + WORKER_NAME_MAX + 3, "no hidden padding");
_Static_assert(sizeof(struct worker_probe) == 16, "no hidden padding");
_Static_assert(sizeof(struct worker_ca) == 12 + WORKER_CA_MAX, "no hidden padding");
_Static_assert(sizeof(((struct worker_origin *)0)->rules) == sizeof(struct os_rule_mask),
	       "as the kernel has them");

static bool is_zero(const void *data, size_t size)
{
	const uint8_t *byte = data;

	for (size_t i = 0; i < size; i++)
		if (byte[i])
			return false;
	return true;
}

static bool is_number(const char *label, size_t len)
{
	bool hex = len >= 2 && label[0] == '0' && label[1] == 'x';

	for (size_t i = hex ? 2 : 0; i < len; i++)
		if (!(label[i] >= '0' && label[i] <= '9') &&
		    !(hex && label[i] >= 'a' && label[i] <= 'f'))
			return false;
	return true;
}

int worker_name_check(const char *name, size_t length)
{
	size_t label = 0;

	if (!length || length > WORKER_NAME_MAX)
		return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		char c = name[i];

		if (c == '.') {
			if (i == label)
				return -EINVAL;
			label = i + 1;
			continue;
		}
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
			return -EINVAL;
		if (i - label >= 63)
			return -EINVAL;
	}
	/* What ends in a number is an address for inet_aton() and browsers, in ever more forms. */
	if (label == length || is_number(name + label, length - label))
		return -EINVAL;
	return 0;
}

static bool check_peer(const struct worker_peer *peer)
{
	return peer->port && (peer->protocol == IPPROTO_TCP || peer->protocol == IPPROTO_UDP) &&
	       !peer->pad;
}

static bool check_header(const union worker_message *m)
{
	return !m->header.id;
}

static bool check_fork(const union worker_message *m)
{
	const struct worker_fork *fork = &m->fork;

	if (!fork->uid || fork->uid == UINT32_MAX || fork->pad)
		return false;
	if (fork->role == WORKER_ROLE_RESOLVER)
		return !fork->sockets;
	return fork->role == WORKER_ROLE_WORKER && !(fork->sockets >> WORKER_SOCKETS);
}

static bool check_forked(const union worker_message *m)
{
	return m->forked.pid && m->forked.pid >= -4095 && !m->forked.pad;
}

static bool check_ask_name(const union worker_message *m)
{
	const struct worker_ask_name *ask = &m->ask_name;

	return check_peer(&ask->peer) && !worker_name_check(ask->name, ask->length) &&
	       is_zero(ask->name + ask->length, sizeof(ask->name) - ask->length);
}

static bool check_ask_flow(const union worker_message *m)
{
	return check_peer(&m->ask_flow.peer) && check_peer(&m->ask_flow.local) &&
	       m->ask_flow.peer.protocol == IPPROTO_TCP &&
	       m->ask_flow.local.protocol == IPPROTO_TCP;
}

static bool check_name(const union worker_message *m)
{
	const struct worker_name *name = &m->name;
	bool ipv4 = name->has & WORKER_NAME_HAS_IPV4, ipv6 = name->has & WORKER_NAME_HAS_IPV6;

	if (name->status > WORKER_NAME_LIMITED ||
	    name->has & ~(WORKER_NAME_HAS_IPV4 | WORKER_NAME_HAS_IPV6))
		return false;
	if (name->has && name->status != WORKER_NAME_FOUND)
		return false;
	return ipv4 == !is_zero(name->ipv4, sizeof(name->ipv4)) &&
	       ipv6 == !is_zero(name->ipv6, sizeof(name->ipv6));
}

static bool check_flow(const union worker_message *m)
{
	return m->flow.status <= WORKER_FLOW_DENIED && !m->flow.pad;
}

static bool check_lookup(const union worker_message *m)
{
	const struct worker_lookup *lookup = &m->lookup;

	return !lookup->pad && !worker_name_check(lookup->name, lookup->length) &&
	       is_zero(lookup->name + lookup->length, sizeof(lookup->name) - lookup->length);
}

static bool check_found(const union worker_message *m)
{
	const struct worker_found *found = &m->found;

	if (found->status != WORKER_NAME_FOUND && found->status != WORKER_NAME_NONE &&
	    found->status != WORKER_NAME_FAILED)
		return false;
	if (found->count > WORKER_ADDRESSES_MAX ||
	    (found->status == WORKER_NAME_FOUND) != (found->count > 0))
		return false;
	return is_zero(found->address[found->count],
		       sizeof(found->address[0]) * (WORKER_ADDRESSES_MAX - found->count));
}

static bool check_policy(const union worker_message *m)
{
	return !m->header.id && m->policy.generation && m->policy.size &&
	       m->policy.size <= WORKER_BUNDLE_MAX;
}

static bool is_proxied(const uint8_t *address)
{
	static const uint8_t mapped[12] = {[10] = 0xff, 0xff};
	uint32_t ipv4 = (uint32_t)address[12] << 24 | (uint32_t)address[13] << 16;

	return !memcmp(address, mapped, sizeof(mapped)) &&
	       (ipv4 ^ OS_PROXY_IPV4) >> (32 - OS_PROXY_IPV4_PREFIX) == 0;
}

static bool check_ask_origin(const union worker_message *m)
{
	const struct worker_ask_origin *ask = &m->ask_origin;

	return check_peer(&ask->peer) && check_peer(&ask->local) &&
	       ask->peer.protocol == IPPROTO_TCP && ask->local.protocol == IPPROTO_TCP &&
	       is_proxied(ask->local.address);
}

/* A canonical name, or the text of an address; what follows it is zero, so it ends as a string. */
static bool is_host(const char *host, size_t length, size_t size)
{
	struct policy_cidr cidr;

	if (!length || length > WORKER_NAME_MAX || !is_zero(host + length, size - length))
		return false;
	return !worker_name_check(host, length) ||
	       (strlen(host) == length && !policy_address_parse(host, &cidr));
}

static bool check_origin(const union worker_message *m)
{
	const struct worker_origin *origin = &m->origin;

	if (origin->status == WORKER_FLOW_DENIED)
		return is_zero(&origin->generation,
			       sizeof(*origin) - offsetof(struct worker_origin, generation));
	return origin->status == WORKER_FLOW_ALLOWED && origin->generation && origin->port &&
	       !origin->pad && !is_zero(origin->asked, sizeof(origin->asked)) &&
	       is_host(origin->host, origin->host_length, sizeof(origin->host)) &&
	       origin->binary_length <= sizeof(origin->binary) &&
	       !memchr(origin->binary, 0, origin->binary_length) &&
	       is_zero(origin->binary + origin->binary_length,
		       sizeof(origin->binary) - origin->binary_length);
}

static bool check_ask_upstream(const union worker_message *m)
{
	const struct worker_ask_upstream *ask = &m->ask_upstream;

	return ask->port && !ask->pad && ask->generation &&
	       !is_zero(ask->asked, sizeof(ask->asked));
}

static bool check_upstream(const union worker_message *m)
{
	const struct worker_upstream *upstream = &m->upstream;
	bool real = !is_zero(upstream->real, sizeof(upstream->real));

	if (!is_zero(upstream->pad, sizeof(upstream->pad)) || real != (upstream->port != 0))
		return false;
	switch (upstream->status) {
	case WORKER_UPSTREAM_FOUND:
		return real && !upstream->error;
	case WORKER_UPSTREAM_DENIED:
		return !real && !upstream->error;
	case WORKER_UPSTREAM_SSRF:
		return !upstream->error;
	case WORKER_UPSTREAM_FAILED:
		return upstream->error < 0 && upstream->error >= -4095;
	default:
		return false;
	}
}

static bool check_ask_route(const union worker_message *m)
{
	const struct worker_ask_route *ask = &m->ask_route;

	return ask->port && is_host(ask->host, ask->length, sizeof(ask->host));
}

static bool check_probe(const union worker_message *m)
{
	return !m->header.id && m->probe.route < INFERENCE_ROUTES_MAX && !m->probe.pad;
}

/*
 * One DER SEQUENCE that is as long as is said, ITU-T X.690 section 8.1: enough to keep it apart
 * from what would be something else in a file of certificates. Nobody here reads more of it.
 */
static bool is_der_sequence(const uint8_t *der, size_t size)
{
	size_t octets, length = 0;

	if (size < 2 || der[0] != 0x30)
		return false;
	if (der[1] < 0x80)
		return size == 2u + der[1];
	octets = der[1] & 0x7f;
	if (!octets || octets > 2 || size < 2 + octets)
		return false;
	for (size_t i = 0; i < octets; i++)
		length = length << 8 | der[2 + i];
	/* DER has the shortest form only. */
	return length >= (octets == 1 ? 0x80 : 0x100) && size == 2 + octets + length;
}

static bool check_ca(const union worker_message *m)
{
	const struct worker_ca *ca = &m->ca;

	return !m->header.id && ca->length && ca->length <= sizeof(ca->der) &&
	       is_der_sequence(ca->der, ca->length) &&
	       is_zero(ca->der + ca->length, sizeof(ca->der) - ca->length);
}

#define RECEIVER(x) (1u << (x))

static const struct kind {
	uint16_t kind;
	uint16_t size;
	uint32_t receivers; /* RECEIVER() of who expects it */
	bool (*check)(const union worker_message *message);
} kinds[] = {
	{WORKER_FORK, sizeof(struct worker_fork), RECEIVER(WORKER_TO_ZYGOTE), check_fork},
	{WORKER_FORKED, sizeof(struct worker_forked), RECEIVER(WORKER_FROM_ZYGOTE), check_forked},
	{WORKER_READY, sizeof(struct worker_header),
	 RECEIVER(WORKER_FROM_WORKER) | RECEIVER(WORKER_FROM_RESOLVER), check_header},
	{WORKER_ASK_NAME, sizeof(struct worker_ask_name), RECEIVER(WORKER_FROM_WORKER),
	 check_ask_name},
	{WORKER_ASK_FLOW, sizeof(struct worker_ask_flow), RECEIVER(WORKER_FROM_WORKER),
	 check_ask_flow},
	{WORKER_NAME, sizeof(struct worker_name), RECEIVER(WORKER_TO_WORKER), check_name},
	{WORKER_FLOW, sizeof(struct worker_flow), RECEIVER(WORKER_TO_WORKER), check_flow},
	{WORKER_FLUSH, sizeof(struct worker_header), RECEIVER(WORKER_TO_WORKER), check_header},
	{WORKER_POLICY, sizeof(struct worker_policy), RECEIVER(WORKER_TO_WORKER), check_policy},
	{WORKER_ASK_ORIGIN, sizeof(struct worker_ask_origin), RECEIVER(WORKER_FROM_WORKER),
	 check_ask_origin},
	{WORKER_ASK_UPSTREAM, sizeof(struct worker_ask_upstream), RECEIVER(WORKER_FROM_WORKER),
	 check_ask_upstream},
	{WORKER_CA, sizeof(struct worker_ca), RECEIVER(WORKER_FROM_WORKER), check_ca},
	{WORKER_ORIGIN, sizeof(struct worker_origin), RECEIVER(WORKER_TO_WORKER), check_origin},
	{WORKER_UPSTREAM, sizeof(struct worker_upstream), RECEIVER(WORKER_TO_WORKER),
	 check_upstream},
	{WORKER_ASK_ROUTE, sizeof(struct worker_ask_route), RECEIVER(WORKER_FROM_WORKER),
	 check_ask_route},
	{WORKER_PROBE, sizeof(struct worker_probe), RECEIVER(WORKER_TO_WORKER), check_probe},
	{WORKER_LOOKUP, sizeof(struct worker_lookup), RECEIVER(WORKER_TO_RESOLVER), check_lookup},
	{WORKER_FOUND, sizeof(struct worker_found), RECEIVER(WORKER_FROM_RESOLVER), check_found},
};

static const struct kind *kind_find(uint16_t number)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i].kind == number)
			return &kinds[i];
	return NULL;
}

int worker_message_read(enum worker_receiver receiver, const uint8_t *data, size_t size,
			union worker_message *ret_message)
{
	union worker_message message = {};
	const struct kind *kind;

	if (size < sizeof(message.header) || size > sizeof(message))
		return -EBADMSG;
	memcpy(&message, data, size);
	kind = kind_find(message.header.kind);
	if (!kind || !(kind->receivers & RECEIVER(receiver)) || kind->size != size ||
	    message.header.size != size || !kind->check(&message))
		return -EBADMSG;
	*ret_message = message;
	return 0;
}

size_t worker_message_init(union worker_message *message, enum worker_message_kind number,
			   uint32_t id)
{
	const struct kind *kind = kind_find(number);

	memset(message, 0, sizeof(*message));
	message->header.kind = number;
	message->header.size = kind ? kind->size : 0;
	message->header.id = id;
	return message->header.size;
}

int worker_message_send(int channel, const union worker_message *message, const int *fds,
			size_t fds_len)
{
	union {
		char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control = {};
	struct iovec iov = {.iov_base = (void *)message, .iov_len = message->header.size};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (fds_len > FDS_MAX || iov.iov_len < sizeof(message->header) ||
	    iov.iov_len > sizeof(*message))
		return -EINVAL;
	if (fds_len) {
		struct cmsghdr *cmsg;

		header.msg_control = control.space;
		header.msg_controllen = CMSG_SPACE(fds_len * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&header);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(fds_len * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, fds_len * sizeof(int));
	}
	do
		n = sendmsg(channel, &header, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return 0;
}

/* All descriptors that came; whatever else a control message is makes the packet invalid. */
static bool take_fds(struct msghdr *header, int *fds, size_t *ret_len)
{
	bool valid = !(header->msg_flags & (MSG_TRUNC | MSG_CTRUNC));
	size_t len = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
		    n > FDS_MAX - len) {
			valid = false;
			continue;
		}
		memcpy(fds + len, CMSG_DATA(c), n * sizeof(int));
		len += n;
	}
	*ret_len = len;
	return valid;
}

int worker_message_receive(int channel, enum worker_receiver receiver,
			   union worker_message *ret_message, int *ret_fds, size_t fds_max,
			   size_t *ret_fds_len)
{
	union {
		char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	uint8_t data[sizeof(union worker_message)];
	struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
	struct msghdr header = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = CMSG_LEN(FDS_MAX * sizeof(int)),
	};
	int fds[FDS_MAX];
	size_t fds_len;
	ssize_t n;
	bool valid;

	do
		n = recvmsg(channel, &header, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	valid = take_fds(&header, fds, &fds_len);
	/* An empty packet looks like the end; it is the last thing that its sender says. */
	if (n == 0 && valid && !fds_len)
		return 0;
	if (!valid || fds_len > fds_max ||
	    worker_message_read(receiver, data, (size_t)n, ret_message)) {
		for (size_t i = 0; i < fds_len; i++)
			safe_close(fds[i]);
		return -EBADMSG;
	}
	for (size_t i = 0; i < fds_len; i++)
		ret_fds[i] = fds[i];
	if (ret_fds_len)
		*ret_fds_len = fds_len;
	return 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/inference.h"
#include "common/worker_protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#define RECEIVERS (WORKER_FROM_RESOLVER + 1)

/* One valid message of each kind, and who may hear it. */
static const struct {
	enum worker_message_kind kind;
	uint32_t receivers;
} kinds[] = {
	{WORKER_FORK, 1u << WORKER_TO_ZYGOTE},
	{WORKER_FORKED, 1u << WORKER_FROM_ZYGOTE},
	{WORKER_READY, 1u << WORKER_FROM_WORKER | 1u << WORKER_FROM_RESOLVER},
	{WORKER_ASK_NAME, 1u << WORKER_FROM_WORKER},
	{WORKER_ASK_FLOW, 1u << WORKER_FROM_WORKER},
	{WORKER_NAME, 1u << WORKER_TO_WORKER},
	{WORKER_FLOW, 1u << WORKER_TO_WORKER},
	{WORKER_FLUSH, 1u << WORKER_TO_WORKER},
	{WORKER_POLICY, 1u << WORKER_TO_WORKER},
	{WORKER_ASK_ORIGIN, 1u << WORKER_FROM_WORKER},
	{WORKER_ASK_UPSTREAM, 1u << WORKER_FROM_WORKER},
	{WORKER_ASK_ROUTE, 1u << WORKER_FROM_WORKER},
	{WORKER_PROBE, 1u << WORKER_TO_WORKER},
	{WORKER_CA, 1u << WORKER_FROM_WORKER},
	{WORKER_ORIGIN, 1u << WORKER_TO_WORKER},
	{WORKER_UPSTREAM, 1u << WORKER_TO_WORKER},
	{WORKER_LOOKUP, 1u << WORKER_TO_RESOLVER},
	{WORKER_FOUND, 1u << WORKER_FROM_RESOLVER},
};

static size_t make(enum worker_message_kind kind, union worker_message *m)
{
	const struct worker_peer peer = {.port = 40000, .protocol = IPPROTO_TCP};
	size_t size = worker_message_init(m, kind, 7);

	switch (kind) {
	case WORKER_FORK:
		m->fork.role = WORKER_ROLE_WORKER;
		m->fork.uid = 1879048193;
		m->fork.sockets = WORKER_SOCKET_DNS_UDP4 | WORKER_SOCKET_ASK6;
		break;
	case WORKER_FORKED:
		m->forked.pid = 4711;
		break;
	case WORKER_READY:
	case WORKER_FLUSH:
		m->header.id = 0;
		break;
	case WORKER_ASK_NAME:
		m->ask_name.peer = peer;
		m->ask_name.peer.protocol = IPPROTO_UDP;
		m->ask_name.type = 28;
		m->ask_name.length = 11;
		memcpy(m->ask_name.name, "example.org", 11);
		break;
	case WORKER_ASK_FLOW:
		m->ask_flow.peer = m->ask_flow.local = peer;
		break;
	case WORKER_NAME:
		m->name.has = WORKER_NAME_HAS_IPV4;
		memcpy(m->name.ipv4, (uint8_t[]){198, 18, 0, 1}, 4);
		break;
	case WORKER_FLOW:
		m->flow.status = WORKER_FLOW_DENIED;
		break;
	case WORKER_POLICY:
		m->header.id = 0;
		m->policy.generation = 3;
		m->policy.size = 4096;
		break;
	case WORKER_ASK_ORIGIN:
		m->ask_origin.peer = m->ask_origin.local = peer;
		memcpy(m->ask_origin.local.address + 10, (uint8_t[]){0xff, 0xff, 127, 64, 0, 1}, 6);
		break;
	case WORKER_ASK_UPSTREAM:
		memcpy(m->ask_upstream.asked + 10, (uint8_t[]){0xff, 0xff, 198, 18, 0, 1}, 6);
		m->ask_upstream.port = 443;
		m->ask_upstream.generation = 3;
		break;
	case WORKER_ASK_ROUTE:
		m->ask_route.port = 443;
		m->ask_route.length = 15;
		memcpy(m->ask_route.host, "api.example.com", 15);
		break;
	case WORKER_PROBE:
		m->header.id = 0;
		m->probe.route = 3;
		break;
	case WORKER_CA:
		m->header.id = 0;
		m->ca.length = 4 + 0x150;
		memcpy(m->ca.der, (uint8_t[]){0x30, 0x82, 0x01, 0x50, 0x42}, 5);
		break;
	case WORKER_ORIGIN:
		m->origin.generation = 3;
		m->origin.rules[3] = 1;
		memcpy(m->origin.asked + 10, (uint8_t[]){0xff, 0xff, 198, 18, 0, 1}, 6);
		m->origin.port = 443;
		m->origin.host_length = 11;
		memcpy(m->origin.host, "example.org", 11);
		m->origin.binary_length = 13;
		memcpy(m->origin.binary, "/usr/bin/curl", 13);
		break;
	case WORKER_UPSTREAM:
		memcpy(m->upstream.real + 10, (uint8_t[]){0xff, 0xff, 192, 0, 2, 1}, 6);
		m->upstream.port = 443;
		break;
	case WORKER_LOOKUP:
		m->lookup.length = 11;
		memcpy(m->lookup.name, "example.org", 11);
		break;
	case WORKER_FOUND:
		m->found.count = 2;
		m->found.address[1][15] = 1;
		break;
	}
	return size;
}

static int read_as(enum worker_receiver receiver, const union worker_message *m, size_t size)
{
	union worker_message got, untouched;
	int r;

	memset(&got, 0x5a, sizeof(got));
	untouched = got;
	r = worker_message_read(receiver, (const uint8_t *)m, size, &got);
	if (r) {
		assert_int_equal(r, -EBADMSG);
		assert_memory_equal(&got, &untouched, sizeof(got));
	} else {
		assert_memory_equal(&got, m, size);
	}
	return r;
}

static enum worker_receiver receiver_of(enum worker_message_kind kind)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i].kind == kind)
			return (enum worker_receiver)__builtin_ctz(kinds[i].receivers);
	fail();
	return WORKER_TO_ZYGOTE;
}

static void each_kind_has_its_receivers(void **state)
{
	union worker_message m;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t size = make(kinds[i].kind, &m);

		for (int r = 0; r < RECEIVERS; r++)
			assert_int_equal(read_as((enum worker_receiver)r, &m, size) == 0,
					 kinds[i].receivers >> r & 1);
	}
}

static void the_size_is_exact(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct {
			union worker_message m;
			uint8_t beyond[64];
		} buf = {};
		size_t size = make(kinds[i].kind, &buf.m);
		enum worker_receiver receiver = receiver_of(kinds[i].kind);

		for (size_t n = 0; n < sizeof(buf); n++) {
			buf.m.header.size = (uint16_t)n;
			assert_int_equal(read_as(receiver, &buf.m, n) == 0, n == size);
		}
		buf.m.header.size = (uint16_t)(size + 1);
		assert_int_equal(read_as(receiver, &buf.m, size), -EBADMSG);
	}
}

/* Valid as made, invalid once the expression is done. */
#define REFUSED(kind, ...)                                                                         \
	do {                                                                                       \
		union worker_message m;                                                            \
		size_t size = make(kind, &m);                                                      \
                                                                                                   \
		assert_int_equal(read_as(receiver_of(kind), &m, size), 0);                         \
		__VA_ARGS__;                                                                       \
		assert_int_equal(read_as(receiver_of(kind), &m, size), -EBADMSG);                  \
	} while (0)

static void fields_are_checked(void **state)
{
	REFUSED(WORKER_FORK, m.fork.uid = 0);
	REFUSED(WORKER_FORK, m.fork.uid = UINT32_MAX);
	REFUSED(WORKER_FORK, m.fork.role = 0);
	REFUSED(WORKER_FORK, m.fork.role = 3);
	REFUSED(WORKER_FORK, m.fork.role = WORKER_ROLE_RESOLVER); /* which has no sockets */
	REFUSED(WORKER_FORK, m.fork.sockets = 1u << WORKER_SOCKETS);
	REFUSED(WORKER_FORK, m.fork.pad = 1);
	REFUSED(WORKER_FORKED, m.forked.pid = 0);
	REFUSED(WORKER_FORKED, m.forked.pid = INT32_MIN);
	REFUSED(WORKER_FORKED, m.forked.pad = 1);
	REFUSED(WORKER_READY, m.header.id = 1);
	REFUSED(WORKER_FLUSH, m.header.id = 1);
	REFUSED(WORKER_READY, m.header.kind = 0);
	REFUSED(WORKER_READY, m.header.kind = UINT16_MAX);
	REFUSED(WORKER_ASK_NAME, m.ask_name.length = 0);
	REFUSED(WORKER_ASK_NAME, m.ask_name.length = 10); /* the rest is not zero */
	REFUSED(WORKER_ASK_NAME, m.ask_name.length = 12); /* a NUL in the name */
	REFUSED(WORKER_ASK_NAME, m.ask_name.length = 255);
	REFUSED(WORKER_ASK_NAME, m.ask_name.name[0] = 'E');
	REFUSED(WORKER_ASK_NAME, m.ask_name.name[WORKER_NAME_MAX - 1] = 'x');
	REFUSED(WORKER_ASK_NAME, m.ask_name.peer.port = 0);
	REFUSED(WORKER_ASK_NAME, m.ask_name.peer.protocol = IPPROTO_SCTP);
	REFUSED(WORKER_ASK_NAME, m.ask_name.peer.pad = 1);
	REFUSED(WORKER_ASK_FLOW, m.ask_flow.peer.protocol = IPPROTO_UDP);
	REFUSED(WORKER_ASK_FLOW, m.ask_flow.local.protocol = IPPROTO_UDP);
	REFUSED(WORKER_ASK_FLOW, m.ask_flow.local.port = 0);
	REFUSED(WORKER_NAME, m.name.status = WORKER_NAME_LIMITED + 1);
	REFUSED(WORKER_NAME, m.name.status = WORKER_NAME_REFUSED); /* with an address */
	REFUSED(WORKER_NAME, m.name.has = 4);
	REFUSED(WORKER_NAME, m.name.has = 0);
	REFUSED(WORKER_NAME, m.name.has |= WORKER_NAME_HAS_IPV6);
	REFUSED(WORKER_NAME, m.name.ipv6[15] = 1);
	REFUSED(WORKER_FLOW, m.flow.status = 2);
	REFUSED(WORKER_FLOW, m.flow.pad = 1);
	REFUSED(WORKER_POLICY, m.header.id = 1);
	REFUSED(WORKER_POLICY, m.policy.generation = 0);
	REFUSED(WORKER_POLICY, m.policy.size = 0);
	REFUSED(WORKER_POLICY, m.policy.size = WORKER_BUNDLE_MAX + 1);
	REFUSED(WORKER_LOOKUP, m.lookup.pad = 1);
	REFUSED(WORKER_LOOKUP, m.lookup.length = 0);
	REFUSED(WORKER_LOOKUP, m.lookup.length = 254);
	REFUSED(WORKER_LOOKUP, m.lookup.name[WORKER_NAME_MAX] = 'x');
	REFUSED(WORKER_FOUND, m.found.count = 0);
	REFUSED(WORKER_FOUND, m.found.count = 1); /* the second is beyond */
	REFUSED(WORKER_FOUND, m.found.count = WORKER_ADDRESSES_MAX + 1);
	REFUSED(WORKER_FOUND, m.found.count = UINT16_MAX);
	REFUSED(WORKER_FOUND, m.found.status = WORKER_NAME_REFUSED);
	REFUSED(WORKER_FOUND, m.found.status = WORKER_NAME_NONE); /* with addresses */
}

static void proxied_connections_are_checked(void **state)
{
	union worker_message n;
	size_t len = make(WORKER_ORIGIN, &n);

	REFUSED(WORKER_ASK_ORIGIN, m.ask_origin.peer.protocol = IPPROTO_UDP);
	REFUSED(WORKER_ASK_ORIGIN, m.ask_origin.local.protocol = IPPROTO_UDP);
	REFUSED(WORKER_ASK_ORIGIN, m.ask_origin.peer.port = 0);
	REFUSED(WORKER_ASK_ORIGIN, m.ask_origin.local.port = 0);
	REFUSED(WORKER_ASK_ORIGIN, m.ask_origin.local.address[13] = 63);
	REFUSED(WORKER_ASK_ORIGIN, m.ask_origin.local.address[13] = 128);
	REFUSED(WORKER_ASK_ORIGIN, m.ask_origin.local.address[12] = 126);
	REFUSED(WORKER_ASK_ORIGIN, m.ask_origin.local.address[11] = 0);
	REFUSED(WORKER_ASK_UPSTREAM, m.ask_upstream.port = 0);
	REFUSED(WORKER_ASK_UPSTREAM, m.ask_upstream.pad = 1);
	REFUSED(WORKER_ASK_UPSTREAM, m.ask_upstream.generation = 0);
	REFUSED(WORKER_ASK_UPSTREAM, memset(m.ask_upstream.asked, 0, 16));
	REFUSED(WORKER_ORIGIN, m.origin.status = WORKER_FLOW_DENIED); /* with all the rest */
	REFUSED(WORKER_ORIGIN, m.origin.status = 2);
	REFUSED(WORKER_ORIGIN, m.origin.generation = 0);
	REFUSED(WORKER_ORIGIN, m.origin.port = 0);
	REFUSED(WORKER_ORIGIN, m.origin.pad = 1);
	REFUSED(WORKER_ORIGIN, memset(m.origin.asked, 0, 16));
	REFUSED(WORKER_ORIGIN, m.origin.host_length = 0);
	REFUSED(WORKER_ORIGIN, m.origin.host_length = 10); /* the rest is not zero */
	REFUSED(WORKER_ORIGIN, m.origin.host_length = WORKER_NAME_MAX + 1);
	REFUSED(WORKER_ORIGIN, m.origin.host[0] = 'E');
	REFUSED(WORKER_ORIGIN, m.origin.binary_length = 12);
	REFUSED(WORKER_ORIGIN, m.origin.binary_length = 14); /* a NUL in it */
	REFUSED(WORKER_ORIGIN, m.origin.binary_length = WORKER_BINARY_MAX + 1);
	REFUSED(WORKER_UPSTREAM, m.upstream.status = WORKER_UPSTREAM_FAILED); /* without a reason */
	REFUSED(WORKER_UPSTREAM, m.upstream.status = WORKER_UPSTREAM_DENIED); /* with an address */
	REFUSED(WORKER_UPSTREAM, m.upstream.status = WORKER_UPSTREAM_FAILED + 1);
	REFUSED(WORKER_UPSTREAM, m.upstream.error = -ECONNREFUSED);
	REFUSED(WORKER_UPSTREAM, m.upstream.port = 0);
	REFUSED(WORKER_UPSTREAM, memset(m.upstream.real, 0, 16));
	REFUSED(WORKER_UPSTREAM, m.upstream.pad[2] = 1);

	/* The text of a literal address is a host, another one is not. */
	memset(n.origin.host, 0, sizeof(n.origin.host));
	memcpy(n.origin.host, "2001:db8::1", 11);
	assert_int_equal(read_as(WORKER_TO_WORKER, &n, len), 0);
	n.origin.host[0] = 'g';
	assert_int_equal(read_as(WORKER_TO_WORKER, &n, len), -EBADMSG);
	/* An unknown executable is no reason to refuse. */
	len = make(WORKER_ORIGIN, &n);
	n.origin.binary_length = 0;
	memset(n.origin.binary, 0, sizeof(n.origin.binary));
	assert_int_equal(read_as(WORKER_TO_WORKER, &n, len), 0);
	/* Nothing but the status is told of what is denied. */
	len = worker_message_init(&n, WORKER_ORIGIN, 7);
	n.origin.status = WORKER_FLOW_DENIED;
	assert_int_equal(read_as(WORKER_TO_WORKER, &n, len), 0);
	len = worker_message_init(&n, WORKER_UPSTREAM, 7);
	n.upstream.status = WORKER_UPSTREAM_FAILED;
	n.upstream.error = -ENOENT;
	assert_int_equal(read_as(WORKER_TO_WORKER, &n, len), 0);
}

static void routes_are_checked(void **state)
{
	union worker_message n;
	size_t len = make(WORKER_ASK_ROUTE, &n);

	REFUSED(WORKER_ASK_ROUTE, m.ask_route.port = 0);
	REFUSED(WORKER_ASK_ROUTE, m.ask_route.length = 0);
	REFUSED(WORKER_ASK_ROUTE, m.ask_route.length = 14); /* the rest is not zero */
	REFUSED(WORKER_ASK_ROUTE, m.ask_route.length = 16); /* a NUL in it */
	REFUSED(WORKER_ASK_ROUTE, m.ask_route.length = WORKER_NAME_MAX + 1);
	REFUSED(WORKER_ASK_ROUTE, m.ask_route.length = UINT16_MAX);
	REFUSED(WORKER_ASK_ROUTE, m.ask_route.host[0] = 'A');
	REFUSED(WORKER_ASK_ROUTE, m.ask_route.host[WORKER_NAME_MAX + 2] = 'x');
	REFUSED(WORKER_PROBE, m.header.id = 1);
	REFUSED(WORKER_PROBE, m.probe.route = INFERENCE_ROUTES_MAX);
	REFUSED(WORKER_PROBE, m.probe.route = UINT32_MAX);
	REFUSED(WORKER_PROBE, m.probe.pad = 1);

	for (size_t i = 0; i < 2; i++) {
		static const char *const address[] = {"127.0.0.1", "2001:db8::1"};

		memset(n.ask_route.host, 0, sizeof(n.ask_route.host));
		n.ask_route.length = (uint16_t)strlen(address[i]);
		memcpy(n.ask_route.host, address[i], n.ask_route.length);
		assert_int_equal(read_as(WORKER_FROM_WORKER, &n, len), 0);
		n.ask_route.host[0] = 'x';
		assert_int_equal(read_as(WORKER_FROM_WORKER, &n, len), -EBADMSG);
	}
}

static void a_certificate_is_one(void **state)
{
	union worker_message n;
	size_t len;

	REFUSED(WORKER_CA, m.header.id = 1);
	REFUSED(WORKER_CA, m.ca.length = 0);
	REFUSED(WORKER_CA, m.ca.length = UINT32_MAX);
	REFUSED(WORKER_CA, m.ca.length++);
	REFUSED(WORKER_CA, m.ca.der[0] = '-');
	REFUSED(WORKER_CA, m.ca.der[3]++);
	REFUSED(WORKER_CA, m.ca.der[1] = 0x84);
	REFUSED(WORKER_CA, m.ca.der[1] = 0x80);
	REFUSED(WORKER_CA, m.ca.der[WORKER_CA_MAX - 1] = 1);
	/* A length in more octets than it needs. */
	REFUSED(WORKER_CA, memset(m.ca.der, 0, 16);
		memcpy(m.ca.der, (uint8_t[]){0x30, 0x81, 0x04, 1, 2, 3, 4}, 7), m.ca.length = 7);
	len = worker_message_init(&n, WORKER_CA, 0);
	memcpy(n.ca.der, (uint8_t[]){0x30, 0x04, 1, 2, 3, 4}, 6);
	n.ca.length = 6;
	assert_int_equal(read_as(WORKER_FROM_WORKER, &n, len), 0);
}

static bool is_name(const char *name)
{
	int r = worker_name_check(name, strlen(name));

	assert_true(r == 0 || r == -EINVAL);
	return r == 0;
}

static void names_are_canonical(void **state)
{
	static const char *const good[] = {
		"a",
		"localhost",
		"api.github.com",
		"_dmarc.example.org",
		"xn--mnchen-3ya.de",
		"3com",
		"1.2.3.4.example",
		"a-b.c_d",
		"0xa.example",
		"host.0x.g",
	};
	static const char *const bad[] = {
		"",    ".",	"a.",	      ".a",	     "a..b",  "A.example", "a b",
		"a/b", "*.a.b", "1.2.3.4",    "1",	     "127.1", "0x7f.1",	   "0x7f000001",
		"::1", "[::1]", "a.example.", "\xc3\xa9.fr", "a\nb",
	};
	char long_name[300];

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (!is_name(good[i]))
			fail_msg("%s was refused", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (is_name(bad[i]))
			fail_msg("%s was taken", bad[i]);
	assert_int_equal(worker_name_check("a\0b", 3), -EINVAL);

	memset(long_name, 'a', sizeof(long_name));
	assert_int_equal(worker_name_check(long_name, 63), 0);
	assert_int_equal(worker_name_check(long_name, 64), -EINVAL);
	for (size_t i = 63; i < sizeof(long_name); i += 64)
		long_name[i] = '.';
	assert_int_equal(worker_name_check(long_name, 253), 0);
	assert_int_equal(worker_name_check(long_name, 254), -EINVAL);
}

struct pair {
	int end[2];
};

static int make_pair(void **state)
{
	static struct pair pair;

	*state = &pair;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.end);
}

static int close_pair(void **state)
{
	struct pair *pair = *state;

	safe_close(pair->end[0]);
	safe_close(pair->end[1]);
	return 0;
}

static int open_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void descriptors_ride_along(void **state)
{
	struct pair *pair = *state;
	int sent[] = {pair->end[0], pair->end[1], 0}, got[3] = {-1, -1, -1};
	int before = open_descriptors();
	union worker_message m, read;
	size_t len = 99;

	make(WORKER_FORK, &m);
	assert_int_equal(worker_message_send(pair->end[0], &m, sent, 3), 0);
	assert_int_equal(
		worker_message_receive(pair->end[1], WORKER_TO_ZYGOTE, &read, got, 3, &len), 1);
	assert_memory_equal(&m, &read, m.header.size);
	assert_int_equal(len, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(fcntl(got[i], F_GETFD), FD_CLOEXEC);
		close(got[i]);
	}

	/* More than are wanted: none stays open, and nothing is said to have come. */
	for (size_t n = 1; n <= 2 + WORKER_SOCKETS; n++) {
		int many[2 + WORKER_SOCKETS] = {0};

		assert_int_equal(worker_message_send(pair->end[0], &m, many, n), 0);
		len = 99;
		assert_int_equal(worker_message_receive(pair->end[1], WORKER_TO_ZYGOTE, &read, got,
							n - 1 < 3 ? n - 1 : 3, &len),
				 -EBADMSG);
		assert_int_equal(len, 99);
	}
	assert_int_equal(worker_message_send(pair->end[0], &m, sent, 3 + WORKER_SOCKETS), -EINVAL);

	/* More than the protocol knows: the kernel has let go of those that did not fit. */
	{
		char space[CMSG_SPACE(20 * sizeof(int))] = {};
		struct iovec iov = {.iov_base = &m, .iov_len = m.header.size};
		struct msghdr header = {.msg_iov = &iov,
					.msg_iovlen = 1,
					.msg_control = space,
					.msg_controllen = sizeof(space)};
		struct cmsghdr *c = CMSG_FIRSTHDR(&header);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(20 * sizeof(int));
		assert_int_equal(sendmsg(pair->end[0], &header, 0), m.header.size);
		assert_int_equal(
			worker_message_receive(pair->end[1], WORKER_TO_ZYGOTE, &read, got, 3, &len),
			-EBADMSG);
		/* With an empty packet as well, which alone would be the end. */
		iov.iov_len = 0;
		assert_int_equal(sendmsg(pair->end[0], &header, 0), 0);
		assert_int_equal(
			worker_message_receive(pair->end[1], WORKER_TO_ZYGOTE, &read, got, 3, &len),
			-EBADMSG);
	}
	assert_int_equal(open_descriptors(), before);
}

static void the_channel_says_how_it_is(void **state)
{
	struct pair *pair = *state;
	union worker_message m, read;
	size_t len;
	int r, n = 0;

	assert_int_equal(
		worker_message_receive(pair->end[1], WORKER_FROM_WORKER, &read, NULL, 0, NULL),
		-EAGAIN);
	make(WORKER_ASK_NAME, &m);
	while ((r = worker_message_send(pair->end[0], &m, NULL, 0)) == 0)
		n++;
	assert_int_equal(r, -EAGAIN);
	assert_true(n > 0);
	while (n-- > 0)
		assert_int_equal(worker_message_receive(pair->end[1], WORKER_FROM_WORKER, &read,
							NULL, 0, NULL),
				 1);

	/* Too long, by what a valid message would be the beginning of. */
	{
		struct {
			union worker_message m;
			uint8_t more[sizeof(union worker_message)];
		} big = {.m = m};

		assert_int_equal(send(pair->end[0], &big, sizeof(big), 0), sizeof(big));
		assert_int_equal(worker_message_receive(pair->end[1], WORKER_FROM_WORKER, &read,
							NULL, 0, &len),
				 -EBADMSG);
	}
	m.header.size = 3;
	assert_int_equal(worker_message_send(pair->end[0], &m, NULL, 0), -EINVAL);

	/* What was said before the end is heard; unread words on the other side are no error. */
	make(WORKER_ASK_NAME, &m);
	assert_int_equal(worker_message_send(pair->end[0], &m, NULL, 0), 0);
	assert_int_equal(worker_message_send(pair->end[1], &m, NULL, 0), 0);
	pair->end[0] = safe_close(pair->end[0]);
	r = worker_message_receive(pair->end[1], WORKER_FROM_WORKER, &read, NULL, 0, NULL);
	if (r == 1)
		r = worker_message_receive(pair->end[1], WORKER_FROM_WORKER, &read, NULL, 0, NULL);
	assert_int_equal(r, 0);
	assert_int_equal(worker_message_send(pair->end[1], &m, NULL, 0), -EPIPE);
	assert_int_equal(worker_message_send(-1, &m, NULL, 0), -EBADF);
	assert_int_equal(worker_message_receive(-1, WORKER_FROM_WORKER, &read, NULL, 0, NULL),
			 -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_has_its_receivers),
		cmocka_unit_test(the_size_is_exact),
		cmocka_unit_test(fields_are_checked),
		cmocka_unit_test(proxied_connections_are_checked),
		cmocka_unit_test(routes_are_checked),
		cmocka_unit_test(a_certificate_is_one),
		cmocka_unit_test(names_are_canonical),
		cmocka_unit_test_setup_teardown(descriptors_ride_along, make_pair, close_pair),
		cmocka_unit_test_setup_teardown(the_channel_says_how_it_is, make_pair, close_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

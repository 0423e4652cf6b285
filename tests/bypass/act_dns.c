/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking for names: queries of every shape, made here byte by byte, and the ordinary way through
 * the C library. In a name `%XX` is a byte, so that labels may hold anything.
 */
#include "act.h"
#include "act_query.h"
#include "common/cleanup.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

static int patience; /* ms, 0: as usual */

static int exchange_udp(const struct sockaddr_storage *to, socklen_t len, const struct act_query *q)
{
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	unsigned char answer[4096];
	int fd = act_socket(to->ss_family, SOCK_DGRAM), r;
	ssize_t n;

	if (fd < 0)
		return fd;
	if (sendto(fd, q->data, q->len, 0, (const struct sockaddr *)to, len) < 0)
		return -errno;
	if (patience) {
		const struct timeval limit = {.tv_sec = patience / 1000,
					      .tv_usec = patience % 1000 * 1000};

		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	}
	n = recvfrom(fd, answer, sizeof(answer), 0, (struct sockaddr *)&from, &from_len);
	if (n < 0)
		return -errno;
	r = act_query_say(answer, (size_t)n, q);
	act_say("from=%s", act_address_text(&from));
	return r;
}

static int exchange_tcp(const struct sockaddr_storage *to, socklen_t len, const struct act_query *q)
{
	unsigned char data[4096];
	int fd = act_socket(to->ss_family, SOCK_STREAM), r;
	size_t have = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)to, len))
		return -errno;
	data[0] = (unsigned char)(q->len >> 8);
	data[1] = (unsigned char)q->len;
	memcpy(data + 2, q->data, q->len);
	if (send(fd, data, q->len + 2, MSG_NOSIGNAL) < 0)
		return -errno;
	while (have < 2 || have < act_get16(data) + 2u) {
		n = recv(fd, data + have, sizeof(data) - have, 0);
		if (n <= 0)
			return n ? -errno : -EPIPE;
		have += (size_t)n;
	}
	r = act_query_say(data + 2, have - 2, q);
	act_say_ends(fd);
	return r;
}

static int exchange(char **arg, const struct act_query *q)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], "53", &to);

	return !strcmp(arg[1], "tcp") ? exchange_tcp(&to, len, q) : exchange_udp(&to, len, q);
}

/* dns SERVER udp|tcp NAME TYPE [MILLISECONDS]: how long an answer over UDP is waited for */
static int do_dns(char **arg)
{
	struct act_query q;

	patience = arg[4] ? act_number(arg[4]) : 0;
	act_query_make(arg[2], arg[3], &q);
	return exchange(arg, &q);
}

/* dns-from SERVER NAME SOURCE: from an address of the agent's choice */
static int do_dns_from(char **arg)
{
	struct sockaddr_storage to, from;
	socklen_t len = act_address(arg[0], "53", &to), from_len = act_address(arg[2], "0", &from);
	int fd = act_socket(to.ss_family, SOCK_DGRAM);
	unsigned char answer[4096];
	struct act_query q;
	ssize_t n;

	if (fd < 0)
		return fd;
	act_query_make(arg[1], "A", &q);
	if (bind(fd, (struct sockaddr *)&from, from_len) ||
	    sendto(fd, q.data, q.len, 0, (struct sockaddr *)&to, len) < 0)
		return -errno;
	n = recvfrom(fd, answer, sizeof(answer), 0, (struct sockaddr *)&from, &from_len);
	if (n < 0)
		return -errno;
	act_say("from=%s", act_address_text(&from));
	return act_query_say(answer, (size_t)n, &q);
}

/* dns-bytes SERVER udp|tcp HEX: a message of any bytes after the id */
static int do_dns_bytes(char **arg)
{
	struct act_query q = {};

	act_query_put16(&q, QUERY_ID);
	for (const char *c = arg[2]; c[0] && c[1]; c += 2)
		q.data[q.len++] = (unsigned char)(act_hex(c[0]) << 4 | act_hex(c[1]));
	return exchange(arg, &q);
}

/* dns-port ADDRESS PORT NAME: the same question to another port (DoT and its like, in the clear) */
static int do_dns_port(char **arg)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], arg[1], &to);
	struct act_query q;

	act_query_make(arg[2], "A", &q);
	return exchange_udp(&to, len, &q);
}

#define MANY_BATCH 32

struct many {
	unsigned int answered, refused, other;
};

static void gather(int fd, unsigned int asked, struct many *many)
{
	unsigned char answer[2048];

	for (; asked; asked--) {
		ssize_t n = recv(fd, answer, sizeof(answer), 0);

		if (n >= 12 && (answer[3] & 0xf) == 0)
			many->answered++;
		else if (n >= 12 && (answer[3] & 0xf) == 5)
			many->refused++;
		else
			many->other++;
	}
}

/*
 * dns-many SERVER COUNT SUFFIX NAME: a new name below SUFFIX each time, some at once, then NAME
 */
static int do_dns_many(char **arg)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], "53", &to);
	unsigned int count = (unsigned int)act_number(arg[1]), asked = 0;
	int fd = act_socket(to.ss_family, SOCK_DGRAM);
	struct many many = {}, then = {};
	struct act_query q;

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&to, len))
		return -errno;
	for (unsigned int i = 0; i < count; i++) {
		char name[256];

		snprintf(name, sizeof(name), "x%06x-%u.%s", (unsigned int)(rand() & 0xffffff), i,
			 arg[2]);
		act_query_make(name, "A", &q);
		asked += send(fd, q.data, q.len, 0) > 0;
		if (asked == MANY_BATCH || i + 1 == count) {
			gather(fd, asked, &many);
			asked = 0;
		}
	}
	act_query_make(arg[3], "A", &q);
	if (send(fd, q.data, q.len, 0) > 0)
		gather(fd, 1, &then);
	act_say("answered=%u refused=%u other=%u then=%u", many.answered, many.refused, many.other,
		then.answered);
	return 0;
}

#define FLOOD_BATCH 64

/* One datagram from an address of 127.0.0.0/8, of which each is a sender of its own. */
struct flood_message {
	struct iovec iov;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

static void flood_from(struct flood_message *message, uint32_t n)
{
	struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(0x7f000000u | (n & 0xffffff))};
	struct cmsghdr *header = (void *)message->control;

	header->cmsg_level = IPPROTO_IP;
	header->cmsg_type = IP_PKTINFO;
	header->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(header), &info, sizeof(info));
}

/* dns-flood SERVER NAME MILLISECONDS READY: without waiting for any answer */
static int do_dns_flood(char **arg)
{
	static struct flood_message message[FLOOD_BATCH];
	static struct mmsghdr batch[FLOOD_BATCH];
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], "53", &to);
	int fd = act_socket(AF_INET, SOCK_DGRAM), n;
	uint32_t sent = 0, next = 0x10000;
	struct timespec now, end;
	struct act_query q;

	if (fd < 0)
		return fd;
	act_query_make(arg[1], "A", &q);
	for (size_t i = 0; i < FLOOD_BATCH; i++) {
		message[i].iov = (struct iovec){q.data, q.len};
		batch[i].msg_hdr = (struct msghdr){
			.msg_name = &to,
			.msg_namelen = len,
			.msg_iov = &message[i].iov,
			.msg_iovlen = 1,
			.msg_control = message[i].control,
			.msg_controllen = sizeof(message[i].control),
		};
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += act_number(arg[2]) / 1000;
	close(open(arg[3], O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
	do {
		for (size_t i = 0; i < FLOOD_BATCH; i++)
			flood_from(&message[i], next++);
		n = sendmmsg(fd, batch, FLOOD_BATCH, MSG_DONTWAIT);
		sent += n > 0 ? (uint32_t)n : 0;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec ||
		 (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec));
	act_say("sent=%u", sent);
	return sent ? 0 : -EIO;
}

/* dns-hold SERVER COUNT READY: connections to the responder that say nothing, for a while */
static int do_dns_hold(char **arg)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], "53", &to);
	int count = act_number(arg[1]), held = 0;

	for (int i = 0; i < count; i++) {
		int fd = act_socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK);

		if (fd < 0)
			break;
		if (!connect(fd, (struct sockaddr *)&to, len) || errno == EINPROGRESS)
			held++;
	}
	close(open(arg[2], O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
	act_say("held=%d", held);
	usleep(1500000);
	return held ? 0 : -EIO;
}

/*
 * dns-forge SERVER NAME: somebody else of this sandbox answers the query's socket before the
 * responder does. The answer's sender is what a client goes by.
 */
static int do_dns_forge(char **arg)
{
	struct sockaddr_storage to, from;
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = act_address(arg[0], "53", &to), own_len = sizeof(own), from_len;
	int asks = act_socket(AF_INET, SOCK_DGRAM), forger = act_socket(AF_INET, SOCK_DGRAM);
	unsigned char answer[2048];
	struct act_query q;
	ssize_t n;

	if (asks < 0 || forger < 0)
		return asks < 0 ? asks : forger;
	if (bind(asks, (struct sockaddr *)&own, sizeof(own)) ||
	    getsockname(asks, (struct sockaddr *)&own, &own_len))
		return -errno;
	act_query_make(arg[1], "A", &q);
	q.data[2] |= 0x80;
	if (sendto(forger, q.data, q.len, 0, (struct sockaddr *)&own, sizeof(own)) < 0)
		act_say("forger=%s", strerrorname_np(errno));
	q.data[2] &= 0x7f;
	if (sendto(asks, q.data, q.len, 0, (struct sockaddr *)&to, len) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		from_len = sizeof(from);
		n = recvfrom(asks, answer, sizeof(answer), 0, (struct sockaddr *)&from, &from_len);
		if (n < 0)
			break;
		act_say("answers=%u from=%s", act_get16(answer + 6), act_address_text(&from));
	}
	return 0;
}

/* name NAME PORT: as an ordinary client does, every address in turn */
static int do_name(char **arg)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list;
	int r = getaddrinfo(arg[0], arg[1], &hints, &list);

	if (r) {
		act_say("lookup=%s", r == EAI_AGAIN    ? "AGAIN"
				     : r == EAI_NONAME ? "NONAME"
				     : r == EAI_FAIL   ? "FAIL"
						       : gai_strerror(r));
		return -ENOENT;
	}
	r = -ENOENT;
	for (struct addrinfo *a = list; a && r; a = a->ai_next) {
		int fd = act_socket(a->ai_family, SOCK_STREAM);

		if (fd < 0)
			return fd;
		r = act_result(connect(fd, a->ai_addr, a->ai_addrlen));
		if (!r)
			r = act_where(fd);
		if (!r)
			act_say_ends(fd);
		close(fd);
	}
	freeaddrinfo(list);
	return r;
}

const struct act acts_dns[] = {
	{"dns", do_dns},
	{"dns-from", do_dns_from},
	{"dns-bytes", do_dns_bytes},
	{"dns-port", do_dns_port},
	{"dns-many", do_dns_many},
	{"dns-flood", do_dns_flood},
	{"dns-hold", do_dns_hold},
	{"dns-forge", do_dns_forge},
	{"name", do_name},
	{NULL, NULL},
};

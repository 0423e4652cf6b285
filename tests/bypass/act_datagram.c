/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways to send a datagram. Arguments: ADDRESS PORT unless an act says more.
 */
#include "act.h"
#include "common/cleanup.h"

#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <time.h>

/* The answer, and whose address the socket shows it to be from. */
static int answer(int fd)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	char where[128];
	ssize_t n = recvfrom(fd, where, sizeof(where) - 1, 0, (struct sockaddr *)&from, &len);

	if (n < 0)
		return -errno;
	where[n] = '\0';
	act_say("at=%s from=%s", where, act_address_text(&from));
	return 0;
}

static int send_to(int fd, const struct sockaddr_storage *to, socklen_t len)
{
	return act_result(sendto(fd, "where", 5, 0, (const struct sockaddr *)to, len));
}

static int do_sendto(char **arg)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], arg[1], &to);
	int fd = act_socket(to.ss_family, SOCK_DGRAM), r;

	if (fd < 0)
		return fd;
	r = send_to(fd, &to, len);
	return r ? r : answer(fd);
}

static int do_connected(char **arg)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], arg[1], &to);
	int fd = act_socket(to.ss_family, SOCK_DGRAM);

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&to, len) || send(fd, "where", 5, 0) < 0)
		return -errno;
	act_say_ends(fd);
	return answer(fd);
}

/* AF_UNSPEC, which UDP over IPv4 takes for AF_INET. */
static int do_unspecified(char **arg)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], arg[1], &to);
	int fd = act_socket(to.ss_family, SOCK_DGRAM), r;

	if (fd < 0)
		return fd;
	to.ss_family = AF_UNSPEC;
	r = send_to(fd, &to, len);
	return r ? r : answer(fd);
}

static int do_sendmsg(char **arg)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], arg[1], &to);
	int fd = act_socket(to.ss_family, SOCK_DGRAM);
	char text[] = "where";
	struct iovec iov[2] = {{text, 2}, {text + 2, 3}};
	struct msghdr message = {
		.msg_name = &to, .msg_namelen = len, .msg_iov = iov, .msg_iovlen = 2};

	if (fd < 0)
		return fd;
	return sendmsg(fd, &message, 0) < 0 ? -errno : answer(fd);
}

/* mmsg ADDRESS PORT [ADDRESS PORT]: several destinations in one call; how many were taken */
static int do_sendmmsg(char **arg)
{
	struct sockaddr_storage to[4];
	char text[] = "where";
	struct iovec iov = {text, 5};
	struct mmsghdr message[4] = {};
	int n = 0, fd, sent;

	for (; n < 4 && arg[2 * n] && arg[2 * n + 1]; n++)
		message[n].msg_hdr = (struct msghdr){
			.msg_name = &to[n],
			.msg_namelen = act_address(arg[2 * n], arg[2 * n + 1], &to[n]),
			.msg_iov = &iov,
			.msg_iovlen = 1,
		};
	fd = act_socket(to[0].ss_family, SOCK_DGRAM);
	if (fd < 0)
		return fd;
	sent = sendmmsg(fd, message, (unsigned int)n, 0);
	if (sent < 0)
		return -errno;
	act_say("sent=%d", sent);
	return answer(fd);
}

/* connected-elsewhere ADDRESS PORT ADDRESS PORT: connect to the second, send to the first */
static int do_connected_elsewhere(char **arg)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[2], arg[3], &to);
	int fd = act_socket(to.ss_family, SOCK_DGRAM);

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&to, len))
		return -ENOTTY;
	len = act_address(arg[0], arg[1], &to);
	/* No answer: a connected socket hears its peer alone. */
	return send_to(fd, &to, len);
}

/* udp-reconnect ADDRESS PORT ADDRESS PORT: connect to the second, dissolve, connect to the first */
static int do_reconnect(char **arg)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[2], arg[3], &to);
	int fd = act_socket(to.ss_family, SOCK_DGRAM);

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&to, len) || connect(fd, &none, sizeof(none)))
		return -ENOTTY;
	len = act_address(arg[0], arg[1], &to);
	if (connect(fd, (struct sockaddr *)&to, len) || send(fd, "where", 5, 0) < 0)
		return -errno;
	act_say_ends(fd);
	return answer(fd);
}

static int do_mapped(char **arg)
{
	char mapped[128];

	snprintf(mapped, sizeof(mapped), strchr(arg[0], ':') ? "%s" : "::ffff:%s", arg[0]);
	return do_sendto((char *[]){mapped, arg[1]});
}

/* fragments ADDRESS PORT: a datagram larger than any link takes */
static int do_fragments(char **arg)
{
	static char large[9000] = "where";
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], arg[1], &to);
	int fd = act_socket(to.ss_family, SOCK_DGRAM);

	if (fd < 0)
		return fd;
	if (sendto(fd, large, sizeof(large), 0, (struct sockaddr *)&to, len) < 0)
		return -errno;
	return answer(fd);
}

/* more ADDRESS PORT ADDRESS PORT: corked for the second, finished for the first */
static int do_more(char **arg)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[2], arg[3], &to);
	int fd = act_socket(to.ss_family, SOCK_DGRAM), r;

	if (fd < 0)
		return fd;
	if (sendto(fd, "wh", 2, MSG_MORE, (struct sockaddr *)&to, len) < 0)
		return -ENOTTY;
	len = act_address(arg[0], arg[1], &to);
	r = act_result(sendto(fd, "ere", 3, 0, (struct sockaddr *)&to, len));
	return r ? r : answer(fd);
}

/* Ancillary data of @level and @type, beside one datagram. */
static int send_with(char **arg, int level, int type, const void *data, size_t size)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], arg[1], &to);
	int fd = act_socket(to.ss_family, SOCK_DGRAM);
	char text[] = "where";
	struct iovec iov = {text, 5};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(64)] = {};
	struct msghdr message = {.msg_name = &to,
				 .msg_namelen = len,
				 .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = CMSG_SPACE(size)};
	struct cmsghdr *header = (void *)control;

	header->cmsg_level = level;
	header->cmsg_type = type;
	header->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(header), data, size);
	if (fd < 0)
		return fd;
	return sendmsg(fd, &message, 0) < 0 ? -errno : answer(fd);
}

/* cmsg-options ADDRESS PORT VIA: a loose source route (IPv4) */
static int do_cmsg_options(char **arg)
{
	unsigned char route[8] = {131, 7, 4};
	struct sockaddr_storage via;

	act_address(arg[2], "0", &via);
	memcpy(route + 3, &((struct sockaddr_in *)&via)->sin_addr, 4);
	return send_with(arg, IPPROTO_IP, IP_RETOPTS, route, sizeof(route));
}

/* cmsg-rthdr ADDRESS PORT VIA: a routing header of type 2 */
static int do_cmsg_rthdr(char **arg)
{
	unsigned char header[24] = {0, 2, 2, 1};
	struct sockaddr_storage via;

	act_address(arg[2], "0", &via);
	memcpy(header + 8, &((struct sockaddr_in6 *)&via)->sin6_addr, 16);
	return send_with(arg, IPPROTO_IPV6, IPV6_RTHDR, header, sizeof(header));
}

/* cmsg-dstopts ADDRESS PORT: destination options, padding alone */
static int do_cmsg_dstopts(char **arg)
{
	const unsigned char header[8] = {0, 0, 1, 4};

	return send_with(arg, IPPROTO_IPV6, IPV6_DSTOPTS, header, sizeof(header));
}

/* cmsg-source ADDRESS PORT SOURCE: IP_PKTINFO or IPV6_PKTINFO with another sender's address */
static int do_cmsg_source(char **arg)
{
	struct sockaddr_storage from;

	act_address(arg[2], "0", &from);
	if (from.ss_family == AF_INET) {
		struct in_pktinfo info = {.ipi_spec_dst = ((struct sockaddr_in *)&from)->sin_addr};

		return send_with(arg, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	}
	struct in6_pktinfo info = {.ipi6_addr = ((struct sockaddr_in6 *)&from)->sin6_addr};

	return send_with(arg, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
}

/* linux/in6.h, which cannot be had beside netinet/in.h */
struct flow_label {
	struct in6_addr to;
	uint32_t label;
	uint8_t action, share;
	uint16_t flags, expires, linger;
	uint32_t pad;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(8)];
};

#define FLOW_LABEL_MANAGER 32 /* IPV6_FLOWLABEL_MGR */
#define FLOW_INFO_SEND	   33 /* IPV6_FLOWINFO_SEND */

/* flow-label ADDRESS PORT: a label that brings options of every hop with it */
static int do_flow_label(char **arg)
{
	/* A label of its own: it lingers. */
	struct flow_label flow = {
		.label = htonl(0x10000 | (getpid() & 0xffff)), .share = 1, .flags = 1};
	struct cmsghdr *header = (void *)flow.control;
	const unsigned char options[8] = {0, 0, 1, 4};
	struct sockaddr_storage to;
	struct sockaddr_in6 *in6 = (void *)&to;
	socklen_t len = act_address(arg[0], arg[1], &to);
	int fd = act_socket(AF_INET6, SOCK_DGRAM), on = 1, r;

	if (fd < 0)
		return fd;
	flow.to = in6->sin6_addr;
	header->cmsg_level = IPPROTO_IPV6;
	header->cmsg_type = IPV6_HOPOPTS;
	header->cmsg_len = CMSG_LEN(sizeof(options));
	memcpy(CMSG_DATA(header), options, sizeof(options));
	if (setsockopt(fd, IPPROTO_IPV6, FLOW_INFO_SEND, &on, sizeof(on)) ||
	    setsockopt(fd, IPPROTO_IPV6, FLOW_LABEL_MANAGER, &flow, sizeof(flow)))
		return -errno;
	in6->sin6_flowinfo = flow.label;
	r = send_to(fd, &to, len);
	return r ? r : answer(fd);
}

/*
 * unasked ADDRESS PORT: have the server answer from another port than the one that was asked. A
 * datagram socket outside hears whoever sends.
 */
static int do_unasked(char **arg)
{
	struct sockaddr_storage to;
	socklen_t len = act_address(arg[0], arg[1], &to);
	int fd = act_socket(to.ss_family, SOCK_DGRAM);

	if (fd < 0)
		return fd;
	if (sendto(fd, "other", 5, 0, (struct sockaddr *)&to, len) < 0)
		return -errno;
	return answer(fd);
}

const struct act acts_datagram[] = {
	{"sendto", do_sendto},
	{"connected", do_connected},
	{"sendto-unspecified", do_unspecified},
	{"sendmsg", do_sendmsg},
	{"sendmmsg", do_sendmmsg},
	{"connected-elsewhere", do_connected_elsewhere},
	{"udp-reconnect", do_reconnect},
	{"sendto-mapped", do_mapped},
	{"fragments", do_fragments},
	{"more", do_more},
	{"cmsg-options", do_cmsg_options},
	{"cmsg-rthdr", do_cmsg_rthdr},
	{"cmsg-dstopts", do_cmsg_dstopts},
	{"cmsg-source", do_cmsg_source},
	{"flow-label", do_flow_label},
	{"unasked", do_unasked},
	{NULL, NULL},
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/dns_udp.h"

#include "common/cleanup.h"
#include "proxy/pages.h"
#include "proxy/peer.h"
#include "proxy/worker_event.h"

struct dns_udp {
	struct responder *responder;
	size_t sockets;
	int fd[DNS_UDP_SOCKETS];
	struct mmsghdr received[DNS_UDP_BATCH], sent[DNS_UDP_BATCH];
	struct iovec into[DNS_UDP_BATCH], from[DNS_UDP_BATCH];
	union peer_address address[DNS_UDP_BATCH];
	uint8_t answer[DNS_UDP_BATCH][DNS_ANSWER_MAX];
	uint8_t query[DNS_UDP_BATCH][DNS_QUERY_MAX];
};

int dns_udp_new(struct responder *responder, struct dns_udp **ret_udp)
{
	struct dns_udp *udp = pages_new(sizeof(*udp));

	if (!udp)
		return -ENOMEM;
	udp->responder = responder;
	for (size_t i = 0; i < DNS_UDP_BATCH; i++) {
		udp->into[i].iov_base = udp->query[i];
		udp->into[i].iov_len = sizeof(udp->query[i]);
		udp->received[i].msg_hdr = (struct msghdr){
			.msg_name = &udp->address[i],
			.msg_namelen = sizeof(udp->address[i]),
			.msg_iov = &udp->into[i],
			.msg_iovlen = 1,
		};
		udp->sent[i].msg_hdr = (struct msghdr){.msg_iov = &udp->from[i], .msg_iovlen = 1};
		udp->from[i].iov_base = udp->answer[i];
	}
	*ret_udp = udp;
	return 0;
}

void dns_udp_free(struct dns_udp *udp)
{
	if (!udp)
		return;
	for (size_t i = 0; i < udp->sockets; i++)
		safe_close(udp->fd[i]);
	pages_free(udp, sizeof(*udp));
}

int dns_udp_add(struct dns_udp *udp, int epoll_fd, int fd)
{
	const struct worker_event event = {
		.owner = WORKER_EVENT_DNS_UDP,
		.index = (uint16_t)udp->sockets,
	};

	if (udp->sockets >= DNS_UDP_SOCKETS)
		return -E2BIG;
	if (worker_event_watch(epoll_fd, EPOLL_CTL_ADD, fd, EPOLLIN, event))
		return -errno;
	udp->fd[udp->sockets++] = fd;
	return 0;
}

/* What cannot be sent must not hold up what comes after it. */
static void send_answers(struct dns_udp *udp, size_t index, unsigned int count)
{
	unsigned int done = 0;

	while (done < count) {
		int n = sendmmsg(udp->fd[index], udp->sent + done, count - done,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return;
		done += n > 0 ? (unsigned int)n : 1;
	}
}

void dns_udp_ready(struct dns_udp *udp, size_t index, uint64_t now)
{
	struct dns_client client = {.socket = (uint32_t)index};
	unsigned int answers = 0;
	int n = recvmmsg(udp->fd[index], udp->received, DNS_UDP_BATCH, MSG_DONTWAIT, NULL);

	for (int i = 0; i < n; i++) {
		struct msghdr *header = &udp->received[i].msg_hdr;
		struct msghdr *answer = &udp->sent[answers].msg_hdr;
		size_t size = udp->received[i].msg_len;

		answer->msg_name = header->msg_name;
		answer->msg_namelen = header->msg_namelen;
		header->msg_namelen = sizeof(udp->address[i]);
		if (peer_from_address(&udp->address[i], IPPROTO_UDP, &client.peer))
			continue;
		/* The beginning of something too long could pass for a query. */
		if (header->msg_flags & MSG_TRUNC)
			size = DNS_HEADER_SIZE;
		if (responder_query(udp->responder, &client, udp->query[i], size, now,
				    udp->answer[answers],
				    &udp->from[answers].iov_len) == RESPONDER_ANSWERED)
			answers++;
	}
	send_answers(udp, index, answers);
}

void dns_udp_deliver(struct dns_udp *udp, const struct dns_client *client, const uint8_t *data,
		     size_t size)
{
	struct iovec from = {.iov_base = (void *)data, .iov_len = size};
	union peer_address address;
	const struct msghdr header = {
		.msg_name = &address,
		.msg_namelen = peer_to_address(&client->peer, &address),
		.msg_iov = &from,
		.msg_iovlen = 1,
	};

	sendmsg(udp->fd[client->socket], &header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

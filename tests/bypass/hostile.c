/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In place of openshell-proxy: the real zygote and the real resolver, and a worker that does what
 * its agent tells it to. A query for `VERB.ARGS.cmd` is an order, and the answer's address says
 * what came of it: 0.0.0.STATUS for what the supervisor answered, 0.0.1.0 for "done".
 *
 * The name of the directory that this program is in says more: `bin-mute` never says that it is
 * ready, `bin-dies` ends as soon as it is.
 */
#include "common/cleanup.h"
#include "common/worker_protocol.h"
#include "proxy/worker.h"
#include "proxy/zygote.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define DONE 0x00000100u

static bool mute, dies;

struct hostile {
	int channel, udp, ask;
	uint32_t next_id;
	struct sockaddr_storage agent;
	socklen_t agent_len;
	unsigned char query[1500];
	size_t query_len;
};

/* The query back as an answer, with one address. */
static void answer(struct hostile *h, uint32_t address)
{
	const unsigned char record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4};
	size_t at = 12;

	while (at < h->query_len && h->query[at])
		at += h->query[at] + 1u;
	at += 5;
	h->query[2] |= 0x80;
	h->query[7] = 1;
	memset(h->query + 8, 0, 4);
	memcpy(h->query + at, record, sizeof(record));
	address = htonl(address);
	memcpy(h->query + at + sizeof(record), &address, 4);
	sendto(h->udp, h->query, at + sizeof(record) + 4, 0, (struct sockaddr *)&h->agent,
	       h->agent_len);
}

static const uint8_t loopback[16] = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1};

/* Ask for @name as @id, with a descriptor if @fd is one; the answer comes in its time. */
static void ask_name(struct hostile *h, const char *name, uint32_t id, int fd)
{
	const struct sockaddr_in *agent = (const void *)&h->agent;
	union worker_message message;

	worker_message_init(&message, WORKER_ASK_NAME, id);
	message.ask_name.type = 1;
	memcpy(message.ask_name.peer.address, loopback, sizeof(loopback));
	message.ask_name.peer.port = ntohs(agent->sin_port);
	message.ask_name.peer.protocol = IPPROTO_UDP;
	message.ask_name.length = (uint8_t)strlen(name);
	memcpy(message.ask_name.name, name, strlen(name));
	worker_message_send(h->channel, &message, &fd, fd >= 0);
}

/* The flow of somebody else, @port there; @local_port 0 is our own listener. */
static void ask_flow(struct hostile *h, uint16_t port, uint16_t local_port)
{
	struct sockaddr_in local = {};
	socklen_t len = sizeof(local);
	union worker_message message;

	worker_message_init(&message, WORKER_ASK_FLOW, h->next_id++);
	memcpy(message.ask_flow.peer.address, loopback, 16);
	memcpy(message.ask_flow.local.address, loopback, 16);
	message.ask_flow.peer.port = port;
	message.ask_flow.peer.protocol = message.ask_flow.local.protocol = IPPROTO_TCP;
	if (!local_port && !getsockname(h->ask, (struct sockaddr *)&local, &len))
		local_port = ntohs(local.sin_port);
	message.ask_flow.local.port = local_port;
	worker_message_send(h->channel, &message, NULL, 0);
}

static void send_kind(struct hostile *h, unsigned int kind, size_t size)
{
	union worker_message message = {
		.header = {.kind = (uint16_t)kind, .size = (uint16_t)size, .id = h->next_id++}};

	send(h->channel, &message, size, MSG_NOSIGNAL);
}

/* The address in the next four labels of @rest. */
static uint32_t address_in(const char *rest)
{
	uint32_t address = 0;

	for (int i = 0; i < 4; i++) {
		address = address << 8 | (strtoul(rest, (char **)&rest, 10) & 0xff);
		rest += *rest == '.';
	}
	return address;
}

/* Send from the one socket that can: to UDP services of the host's own loopback, or anywhere. */
static void send_away(struct hostile *h, const char *rest)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address_in(rest))};
	ssize_t n;

	for (int i = 0; i < 4; i++)
		rest += strcspn(rest, ".") + 1;
	to.sin_port = htons((uint16_t)strtoul(rest, NULL, 10));
	n = sendto(h->udp, "where", 5, 0, (struct sockaddr *)&to, sizeof(to));
	answer(h, n < 0 ? (uint32_t)errno : DONE);
}

/* True if the answer comes later, from the supervisor. */
static bool obey(struct hostile *h, const char *verb, const char *rest)
{
	char name[64];

	if (!strcmp(verb, "a")) {
		answer(h, address_in(rest));
	} else if (!strcmp(verb, "ask")) {
		ask_name(h, rest, h->next_id++, -1);
		return true;
	} else if (!strcmp(verb, "flow")) {
		ask_flow(h, (uint16_t)strtoul(rest, NULL, 10), 0);
		return true;
	} else if (!strcmp(verb, "elsewhere")) {
		ask_flow(h, 1, (uint16_t)strtoul(rest, NULL, 10));
	} else if (!strcmp(verb, "kind")) {
		send_kind(h, (unsigned int)strtoul(rest, NULL, 10), sizeof(struct worker_found));
	} else if (!strcmp(verb, "short")) {
		send_kind(h, WORKER_ASK_NAME, 7);
	} else if (!strcmp(verb, "long")) {
		send_kind(h, WORKER_ASK_NAME, sizeof(union worker_message));
	} else if (!strcmp(verb, "twice")) {
		/* A name that takes a look-up, so that the first is not answered yet. */
		ask_name(h, "unasked.wild.test", 7777, -1);
		ask_name(h, "unasked.wild.test", 7777, -1);
	} else if (!strcmp(verb, "descriptor")) {
		ask_name(h, "allowed.test", h->next_id++, h->udp);
	} else if (!strcmp(verb, "flood")) {
		for (int i = 0; i < 5000; i++) {
			snprintf(name, sizeof(name), "f%d.wild.test", i);
			ask_name(h, name, h->next_id++, -1);
		}
	} else if (!strcmp(verb, "send")) {
		send_away(h, rest);
	} else if (!strcmp(verb, "socket")) {
		answer(h, socket(AF_INET, SOCK_STREAM, 0) < 0 ? (uint32_t)errno : DONE);
	} else if (!strcmp(verb, "open")) {
		answer(h, open("/etc/passwd", O_RDONLY) < 0 ? (uint32_t)errno : DONE);
	} else if (!strcmp(verb, "fork")) {
		answer(h, fork() < 0 ? (uint32_t)errno : DONE);
	} else if (!strcmp(verb, "kill")) {
		answer(h, kill(1, SIGKILL) < 0 ? (uint32_t)errno : DONE);
	} else if (!strcmp(verb, "exit")) {
		_exit(0);
	}
	return false;
}

static void hear_agent(struct hostile *h)
{
	char name[256] = "", *rest;
	size_t n = 0;
	ssize_t got;

	h->agent_len = sizeof(h->agent);
	got = recvfrom(h->udp, h->query, 1200, MSG_DONTWAIT, (struct sockaddr *)&h->agent,
		       &h->agent_len);
	if (got < 17)
		return;
	h->query_len = (size_t)got;
	for (size_t at = 12; at < h->query_len && h->query[at]; at += h->query[at] + 1u) {
		size_t label = h->query[at];

		if (label > 63 || n + label + 2 > sizeof(name) || at + label >= h->query_len)
			return;
		if (n)
			name[n++] = '.';
		memcpy(name + n, h->query + at + 1, label);
		n += label;
		name[n] = '\0';
	}
	if (n < 5 || strcmp(name + n - 4, ".cmd"))
		return;
	name[n - 4] = '\0';
	rest = strchr(name, '.');
	if (rest)
		*rest++ = '\0';
	obey(h, name, rest ? rest : "");
}

static void hear_supervisor(struct hostile *h)
{
	union worker_message message;
	int fds[1], r;
	size_t len;
	uint32_t address;

	r = worker_message_receive(h->channel, WORKER_TO_WORKER, &message, fds, 1, &len);
	if (r == 0)
		_exit(0);
	if (r < 0)
		return;
	if (message.header.kind == WORKER_FLOW) {
		answer(h, message.flow.status);
	} else if (message.header.kind == WORKER_NAME) {
		memcpy(&address, message.name.ipv4, 4);
		answer(h, message.name.status ? message.name.status : ntohl(address));
	}
}

/* In place of the real one; the zygote calls it when everything is given up. */
int worker_main(int channel, uint32_t sockets, const int fds[], struct tls_ca_store *store)
{
	struct hostile h = {.channel = channel, .udp = fds[0], .ask = -1, .next_id = 1};
	int epoll = epoll_create1(EPOLL_CLOEXEC), n = 0;
	struct epoll_event event = {.events = EPOLLIN};
	union worker_message message;

	for (int bit = 0; bit < WORKER_SOCKETS; bit++)
		if (sockets & 1u << bit) {
			if (1u << bit == WORKER_SOCKET_ASK4)
				h.ask = fds[n];
			n++;
		}
	while (mute)
		epoll_wait(epoll, &event, 1, 1000);
	worker_message_init(&message, WORKER_READY, 0);
	worker_message_send(channel, &message, NULL, 0);
	if (dies)
		return 0;
	event.data.fd = channel;
	epoll_ctl(epoll, EPOLL_CTL_ADD, channel, &event);
	event.data.fd = h.udp;
	epoll_ctl(epoll, EPOLL_CTL_ADD, h.udp, &event);
	for (;;) {
		if (epoll_wait(epoll, &event, 1, -1) != 1)
			continue;
		if (event.data.fd == channel)
			hear_supervisor(&h);
		else
			hear_agent(&h);
	}
}

int main(int argc, char **argv)
{
	char self[512] = "";

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) <= 0)
		return 1;
	mute = strstr(self, "/bin-mute/");
	dies = strstr(self, "/bin-dies/");
	return zygote_main(WORKER_ZYGOTE_CHANNEL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "proxies.h"

#include "loaded.h"
#include "world.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
	int fd;
	uint32_t slot;
	bool counted;
};

static struct connection listeners[LOADED_SLOTS + 1];
static struct proxies_seen seen[LOADED_SLOTS + 1];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int epoll_fd, stop_fd;
static pthread_t thread;

static void watch(struct connection *connection)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fd, &event))
		die("epoll");
}

static void mapped(const struct sockaddr_in *in, uint8_t *ret_address, uint16_t *ret_port)
{
	memset(ret_address, 0, 16);
	ret_address[10] = ret_address[11] = 0xff;
	memcpy(ret_address + 12, &in->sin_addr, 4);
	*ret_port = ntohs(in->sin_port);
}

/* As the supervisor would find it: by what accept() tells of both ends. */
static int look(const struct connection *c, struct os_flow_key *ret_ends, struct os_flow *ret_flow)
{
	struct sockaddr_in peer, local;
	socklen_t peer_len = sizeof(peer), local_len = sizeof(local);

	memset(ret_ends, 0, sizeof(*ret_ends));
	if (getpeername(c->fd, (struct sockaddr *)&peer, &peer_len) ||
	    getsockname(c->fd, (struct sockaddr *)&local, &local_len))
		return -errno;
	mapped(&peer, ret_ends->local, &ret_ends->local_port);
	mapped(&local, ret_ends->remote, &ret_ends->remote_port);
	ret_ends->protocol = IPPROTO_TCP;
	return kernel_find_flow(loaded_kernel(), ret_ends, ret_flow);
}

static void note(struct connection *c, char byte)
{
	struct proxies_seen *of = &seen[c->slot];
	struct os_flow_key ends;
	struct os_flow flow = {};
	int r = look(c, &ends, &flow);

	pthread_mutex_lock(&lock);
	of->accepted += !c->counted;
	if (r != -ENOTCONN) {
		of->unknown += r != 0;
		of->wrong += !r && flow.slot != c->slot;
		of->wrong += byte >= '0' && byte <= '9' && (uint32_t)(byte - '0') != c->slot;
		of->ends = ends;
		of->flow = flow;
	}
	c->counted = true;
	pthread_mutex_unlock(&lock);
}

static void accept_one(const struct connection *listener)
{
	struct connection *c;
	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	c = calloc(1, sizeof(*c));
	if (!c)
		die("memory");
	c->fd = fd;
	c->slot = listener->slot;
	watch(c);
}

static void serve(struct connection *c)
{
	char data[256];
	ssize_t n = recv(c->fd, data, sizeof(data), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0) {
		note(c, data[0]);
		if (data[0] == 'x')
			data[0] = 'w';
		if (send(c->fd, data, (size_t)n, MSG_NOSIGNAL) == n)
			return;
	}
	/* Closing alone does not do it while a child that has not executed yet holds it too. */
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
	close(c->fd);
	free(c);
}

static bool paused;

static void *run_loop(void *arg)
{
	struct epoll_event events[16];

	for (;;) {
		int n = epoll_wait(epoll_fd, events, 16, -1);
		bool wait;

		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;

			if (!c)
				return NULL;
			do {
				pthread_mutex_lock(&lock);
				wait = paused;
				pthread_mutex_unlock(&lock);
			} while (wait && !usleep(1000));
			if (c >= listeners && c <= &listeners[LOADED_SLOTS])
				accept_one(c);
			else
				serve(c);
		}
	}
}

static int listen_there(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(OS_PROXY_LISTENER)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 1024))
		die("a proxy's listener");
	return fd;
}

void proxies_open(void)
{
	struct epoll_event stop = {.events = EPOLLIN};

	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	stop_fd = eventfd(0, EFD_CLOEXEC);
	if (epoll_fd < 0 || stop_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, stop_fd, &stop))
		die("epoll");
	for (uint32_t slot = 1; slot <= LOADED_SLOTS; slot++) {
		listeners[slot] = (struct connection){.fd = listen_there(), .slot = slot};
		watch(&listeners[slot]);
		proxies_know(slot, true);
	}
	errno = pthread_create(&thread, NULL, run_loop, NULL);
	if (errno)
		die("thread");
}

void proxies_close(void)
{
	eventfd_write(stop_fd, 1);
	pthread_join(thread, NULL);
	for (uint32_t slot = 1; slot <= LOADED_SLOTS; slot++)
		close(listeners[slot].fd);
	close(epoll_fd);
	close(stop_fd);
}

void proxies_know(uint32_t slot, bool known)
{
	int map = loaded_map("os_listener");
	uint64_t fd = (uint64_t)listeners[slot].fd;

	if (known ? bpf_map_update_elem(map, &slot, &fd, BPF_ANY) : bpf_map_delete_elem(map, &slot))
		die("os_listener");
}

void proxies_pause(bool pause)
{
	pthread_mutex_lock(&lock);
	paused = pause;
	pthread_mutex_unlock(&lock);
}

struct proxies_seen proxies_seen(uint32_t slot)
{
	struct proxies_seen now;

	pthread_mutex_lock(&lock);
	now = seen[slot];
	seen[slot] = (struct proxies_seen){};
	pthread_mutex_unlock(&lock);
	return now;
}

uint16_t proxies_port(uint32_t slot)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	if (getsockname(listeners[slot].fd, (struct sockaddr *)&at, &len))
		die("getsockname");
	return ntohs(at.sin_port);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/keeper_wire.h"

#include "common/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define INLINE_MAX 65536 /* bytes that go behind the header */

struct header {
	uint32_t version, kind;
	uint64_t id, size;
	int32_t value;
	uint32_t in_memfd;
};

/* One more than a sender gives: the body's. */
#define ALL_FDS (KEEPER_FDS_MAX + 1)

void keeper_message_clear(struct keeper_message *message)
{
	if (message->body)
		explicit_bzero(message->body, message->size);
	free(message->body);
	for (size_t i = 0; i < KEEPER_FDS_MAX; i++)
		safe_close(message->fd[i]);
	*message = (struct keeper_message){.fd = {-1, -1, -1}};
}

int keeper_message_take_fd(struct keeper_message *message, size_t i)
{
	return TAKE_FD(message->fd[i]);
}

static int put_in_memfd(const uint8_t *body, size_t size, int *ret_fd)
{
	_cleanup_close_ int fd = memfd_create("openshell-keeper", MFD_CLOEXEC);
	size_t done = 0;

	if (fd < 0)
		return -errno;
	while (done < size) {
		ssize_t n = write(fd, body + done, size - done);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			done += (size_t)n;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int send_message(int fd, struct header *header, uint8_t *body, const int *fds,
			size_t fds_len)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(ALL_FDS * sizeof(int))];
	} control = {};
	struct iovec iov[] = {{header, sizeof(*header)}, {body, (size_t)header->size}};
	struct msghdr message = {
		.msg_iov = iov,
		.msg_iovlen = header->in_memfd || !header->size ? 1 : 2,
	};

	if (fds_len) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(fds_len * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(fds_len * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, fds_len * sizeof(int));
	}
	while (sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno == EINTR)
			continue;
		return errno == EAGAIN || errno == ENOBUFS ? -EAGAIN : -EPIPE;
	}
	return 0;
}

int keeper_send(int fd, enum keeper_kind kind, uint64_t id, int32_t value,
		const ProtobufCMessage *body, const int *fds, size_t fds_len)
{
	size_t size = body ? protobuf_c_message_get_packed_size(body) : 0;
	struct header header = {
		.version = KEEPER_VERSION, .kind = kind, .id = id, .size = size, .value = value};
	_cleanup_close_ int memfd = -1;
	uint8_t *packed = malloc(size + 1);
	int all[ALL_FDS], r = 0;

	if (!packed || size > KEEPER_BODY_MAX || fds_len > KEEPER_FDS_MAX) {
		free(packed);
		return packed ? -E2BIG : -ENOMEM;
	}
	if (body)
		protobuf_c_message_pack(body, packed);
	for (size_t i = 0; i < fds_len; i++)
		all[i] = fds[i];
	if (size > INLINE_MAX) {
		header.in_memfd = 1;
		r = put_in_memfd(packed, size, &memfd);
		all[fds_len] = memfd;
	}
	if (!r)
		r = send_message(fd, &header, packed, all, fds_len + header.in_memfd);
	explicit_bzero(packed, size);
	free(packed);
	return r;
}

static int read_memfd(int fd, uint8_t *body, size_t size)
{
	struct stat st;
	size_t done = 0;

	if (fstat(fd, &st) || (size_t)st.st_size != size)
		return -EPROTO;
	while (done < size) {
		ssize_t n = pread(fd, body + done, size - done, (off_t)done);

		if (n <= 0)
			return -EPROTO;
		done += (size_t)n;
	}
	return 0;
}

int keeper_receive(int fd, struct keeper_message *ret_message)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(ALL_FDS * sizeof(int))];
	} control;
	struct keeper_message message = {.fd = {-1, -1, -1}};
	struct header header;
	uint8_t data[INLINE_MAX];
	struct iovec iov[] = {{&header, sizeof(header)}, {data, sizeof(data)}};
	struct msghdr m = {
		.msg_iov = iov,
		.msg_iovlen = 2,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int all[ALL_FDS] = {-1, -1, -1, -1}, r = 0;
	struct cmsghdr *c;
	size_t count = 0;
	ssize_t n;

	do
		n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -EPIPE;
	if (n == 0)
		return -EPIPE;
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(all, CMSG_DATA(c), count * sizeof(int));
	}
	if (n < (ssize_t)sizeof(header) || header.version != KEEPER_VERSION ||
	    header.size > KEEPER_BODY_MAX || (header.in_memfd && !count) ||
	    (!header.in_memfd && header.size != (size_t)n - sizeof(header)))
		r = -EPROTO;
	if (!r) {
		message.kind = header.kind;
		message.id = header.id;
		message.value = header.value;
		message.size = header.size;
		message.body = malloc(header.size + 1);
		if (!message.body)
			r = -ENOMEM;
		else if (header.in_memfd)
			r = read_memfd(all[count - 1], message.body, header.size);
		else
			memcpy(message.body, data, header.size);
	}
	explicit_bzero(data, sizeof(data));
	if (!r && header.in_memfd)
		safe_close(TAKE_FD(all[count - 1]));
	for (size_t i = 0; i < ALL_FDS; i++) {
		if (!r && i < KEEPER_FDS_MAX)
			message.fd[i] = all[i];
		else
			safe_close(all[i]);
	}
	if (r) {
		keeper_message_clear(&message);
		return r;
	}
	*ret_message = message;
	return 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "node.pb-c.h"
#include "supervisor/keeper_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static int pair[2];

static int set_up(void **state)
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int tear_down(void **state)
{
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static size_t open_descriptors(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void send_policy(size_t size, int *fds, size_t fds_len)
{
	Openshell__Node__V1__Policy policy = OPENSHELL__NODE__V1__POLICY__INIT;
	uint8_t *data = malloc(size + 1);

	memset(data, 0x5a, size);
	policy.compiled = (ProtobufCBinaryData){size, data};
	assert_int_equal(keeper_send(pair[0], KEEPER_POLICY, 77, -5, &policy.base, fds, fds_len),
			 0);
	free(data);
}

static void check_policy(size_t size, size_t fds_len)
{
	struct keeper_message message;
	Openshell__Node__V1__Policy *policy;

	assert_int_equal(keeper_receive(pair[1], &message), 1);
	assert_int_equal(message.kind, KEEPER_POLICY);
	assert_int_equal(message.id, 77);
	assert_int_equal(message.value, -5);
	policy = openshell__node__v1__policy__unpack(NULL, message.size, message.body);
	assert_non_null(policy);
	assert_int_equal(policy->compiled.len, size);
	openshell__node__v1__policy__free_unpacked(policy, NULL);
	for (size_t i = 0; i < KEEPER_FDS_MAX; i++)
		assert_int_equal(message.fd[i] >= 0, i < fds_len);
	for (size_t i = 0; i < fds_len; i++)
		assert_true(fcntl(message.fd[i], F_GETFD) & FD_CLOEXEC);
	keeper_message_clear(&message);
}

/* Small ones go inline, large ones in a memfd; either with descriptors. */
static void messages_of_all_sizes_arrive(void **state)
{
	static const size_t sizes[] = {0, 1, 60000, 65530, 65536, 70000, 3 << 20};
	int fds[] = {pair[0], pair[1], 0};
	size_t before = open_descriptors();

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		for (size_t n = 0; n <= KEEPER_FDS_MAX; n++) {
			send_policy(sizes[i], fds, n);
			check_policy(sizes[i], n);
		}
	}
	assert_int_equal(open_descriptors(), before);
}

static void too_large_is_refused(void **state)
{
	Openshell__Node__V1__Policy policy = OPENSHELL__NODE__V1__POLICY__INIT;
	uint8_t *data = calloc(1, KEEPER_BODY_MAX + 1);

	policy.compiled = (ProtobufCBinaryData){KEEPER_BODY_MAX + 1, data};
	assert_int_equal(keeper_send(pair[0], KEEPER_POLICY, 1, 0, &policy.base, NULL, 0), -E2BIG);
	free(data);
}

static void what_is_malformed_ends_the_link(void **state)
{
	struct keeper_message message;
	uint8_t data[64] = {};
	uint32_t version = KEEPER_VERSION + 1;
	uint64_t size = KEEPER_BODY_MAX + 1;

	assert_int_equal(send(pair[0], "x", 1, 0), 1);
	assert_int_equal(keeper_receive(pair[1], &message), -EPROTO);
	memcpy(data, &version, sizeof(version));
	assert_int_equal(send(pair[0], data, 32, 0), 32);
	assert_int_equal(keeper_receive(pair[1], &message), -EPROTO);
	version = KEEPER_VERSION;
	memcpy(data, &version, sizeof(version));
	memcpy(data + 16, &size, sizeof(size));
	assert_int_equal(send(pair[0], data, 32, 0), 32);
	assert_int_equal(keeper_receive(pair[1], &message), -EPROTO);
	/* A body that is shorter than it says. */
	size = 33;
	memcpy(data + 16, &size, sizeof(size));
	assert_int_equal(send(pair[0], data, 64, 0), 64);
	assert_int_equal(keeper_receive(pair[1], &message), -EPROTO);
	/* In a memfd that is not there. */
	data[28] = 1;
	assert_int_equal(send(pair[0], data, 32, 0), 32);
	assert_int_equal(keeper_receive(pair[1], &message), -EPROTO);
}

static void the_end_is_told(void **state)
{
	struct keeper_message message;
	int other[2];

	assert_int_equal(keeper_receive(pair[1], &message), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, other), 0);
	assert_int_equal(keeper_send(other[0], KEEPER_STOP, 0, 9, NULL, NULL, 0), 0);
	close(other[0]);
	assert_int_equal(keeper_receive(other[1], &message), 1);
	assert_int_equal(message.value, 9);
	keeper_message_clear(&message);
	assert_int_equal(keeper_receive(other[1], &message), -EPIPE);
	assert_int_equal(keeper_send(other[1], KEEPER_STOP, 0, 0, NULL, NULL, 0), -EPIPE);
	close(other[1]);
}

static void a_full_socket_is_told(void **state)
{
	int r = 0, sent = 0;

	while (!r && sent < 100000) {
		r = keeper_send(pair[0], KEEPER_STOP, 0, 0, NULL, NULL, 0);
		sent += !r;
	}
	assert_int_equal(r, -EAGAIN);
	assert_true(sent > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(messages_of_all_sizes_arrive, set_up, tear_down),
		cmocka_unit_test_setup_teardown(too_large_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_malformed_ends_the_link, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_end_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_full_socket_is_told, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

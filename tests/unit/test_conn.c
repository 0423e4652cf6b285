/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections with and without TLS: what goes through, how they end, and that nothing is lost when
 * the other side is slow.
 */
#include "tls_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>

#define HOST  "api.one.example"
#define PIECE 65536

static struct tls_ca_store *store;
static struct tls_ca *ca;
static struct tls *tls;
static SSL_CTX *client;

static void open_pair(struct pair *pair)
{
	pair_agent(pair, tls, HOST, true, client, HOST);
	assert_int_equal(pair_shake(pair), 1);
}

static uint8_t byte_at(size_t place)
{
	return (uint8_t)(place * 2654435761u >> 13);
}

static void fill(uint8_t *data, size_t size, size_t place)
{
	for (size_t i = 0; i < size; i++)
		data[i] = byte_at(place + i);
}

static void check(const uint8_t *data, size_t size, size_t place)
{
	for (size_t i = 0; i < size; i++)
		if (data[i] != byte_at(place + i))
			fail_msg("byte %zu is another", place + i);
}

/* Numbers that are the same each time. */
static size_t some(uint32_t *seed, size_t max)
{
	*seed = *seed * 1664525u + 1013904223u;
	return 1 + (*seed >> 8) % max;
}

static void plaintext_goes_both_ways(void **state)
{
	const struct iovec iov[] = {{(void *)"one ", 4}, {(void *)"", 0}, {(void *)"two", 3}};
	uint8_t data[64];
	struct conn conn;
	int fds[2];

	sockets_make(fds);
	conn_init(&conn, fds[0], NULL, true);
	assert_int_equal(conn_handshake(&conn), 1);
	assert_int_equal(conn_read(&conn, data, sizeof(data)), -EAGAIN);
	assert_int_equal(conn_events(&conn, true, false), EPOLLIN);
	assert_int_equal(conn_events(&conn, false, true), EPOLLOUT);
	assert_int_equal(conn_events(&conn, false, false), 0);
	assert_int_equal(conn_write(&conn, (const uint8_t *)"word", 4), 4);
	assert_int_equal(recv(fds[1], data, sizeof(data), 0), 4);
	assert_int_equal(conn_writev(&conn, iov, 3), 7);
	assert_int_equal(recv(fds[1], data, sizeof(data), 0), 7);
	assert_memory_equal(data, "one two", 7);
	assert_int_equal(send(fds[1], "answer", 6, 0), 6);
	assert_int_equal(conn_read(&conn, data, 4), 4);
	assert_false(conn_pending(&conn));
	assert_int_equal(conn_read(&conn, data, sizeof(data)), 2);
	/* Half closed: the other direction goes on. */
	assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
	assert_int_equal(conn_read(&conn, data, sizeof(data)), 0);
	assert_int_equal(conn_read(&conn, data, sizeof(data)), 0);
	assert_int_equal(conn_events(&conn, true, false), 0);
	assert_int_equal(conn_write(&conn, (const uint8_t *)"word", 4), 4);
	assert_int_equal(conn_shutdown_write(&conn), 0);
	assert_int_equal(conn_write(&conn, (const uint8_t *)"word", 4), -EPIPE);
	assert_int_equal(recv(fds[1], data, sizeof(data), 0), 4);
	assert_int_equal(recv(fds[1], data, sizeof(data), 0), 0);
	conn_close(&conn, false);
	conn_close(&conn, false);
	assert_int_equal(conn.fd, -1);
	assert_int_equal(conn_read(&conn, data, sizeof(data)), -EBADF);
	close(fds[1]);
}

/* With SIGPIPE's default, so that one would be the end of the test. */
static void nobody_there_is_an_error_not_a_signal(void **state)
{
	struct pair pair;
	struct conn conn;
	int fds[2], r;

	signal(SIGPIPE, SIG_DFL);
	sockets_make(fds);
	conn_init(&conn, fds[0], NULL, false);
	close(fds[1]);
	assert_int_equal(conn_write(&conn, (const uint8_t *)"word", 4), -EPIPE);
	assert_int_equal(conn_events(&conn, true, true), 0);
	conn_close(&conn, false);

	open_pair(&pair);
	close(pair.fd);
	assert_int_equal(conn_write(&pair.conn, (const uint8_t *)"word", 4), -EPIPE);
	assert_int_equal(conn_write(&pair.conn, (const uint8_t *)"word", 4), -EPIPE);
	conn_close(&pair.conn, false);
	SSL_free(pair.other);

	/* In the handshake, and with a close_notify that finds nobody. */
	pair_agent(&pair, tls, HOST, true, client, HOST);
	assert_int_equal(SSL_do_handshake(pair.other), -1);
	close(pair.fd);
	r = conn_handshake(&pair.conn);
	assert_int_equal(r, -EPIPE);
	conn_close(&pair.conn, false);
	SSL_free(pair.other);
	open_pair(&pair);
	close(pair.fd);
	conn_close(&pair.conn, false);
	SSL_free(pair.other);
	ERR_clear_error();
	signal(SIGPIPE, SIG_IGN);
}

static int listener(struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*address);

	*address = (struct sockaddr_in){.sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)address, &len), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static int dial(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		assert_int_equal(errno, EINPROGRESS);
	return fd;
}

static int shake_with_poll(struct conn *conn)
{
	int r;

	while ((r = conn_handshake(conn)) == 0) {
		struct pollfd pollfd = {.fd = conn->fd};
		uint32_t events = conn_events(conn, false, false);

		assert_true(events == EPOLLIN || events == EPOLLOUT);
		pollfd.events = events == EPOLLIN ? POLLIN : POLLOUT;
		assert_int_equal(poll(&pollfd, 1, 5000), 1);
	}
	return r;
}

static void a_refused_connection_says_so(void **state)
{
	struct sockaddr_in address;
	int fd = listener(&address);
	struct conn conn;
	SSL *ssl;

	close(fd);
	conn_init(&conn, dial(&address), NULL, true);
	assert_int_equal(shake_with_poll(&conn), -ECONNREFUSED);
	assert_int_equal(conn_write(&conn, (const uint8_t *)"word", 4), -ECONNREFUSED);
	conn_close(&conn, false);

	fd = dial(&address);
	assert_int_equal(tls_connect(tls, fd, HOST, 443, true, &ssl), 0);
	conn_init(&conn, fd, ssl, true);
	assert_int_equal(shake_with_poll(&conn), -ECONNREFUSED);
	conn_close(&conn, false);
}

static void a_reset_is_not_an_end(void **state)
{
	for (int reset = 0; reset < 2; reset++) {
		struct sockaddr_in address;
		int fd = listener(&address), accepted;
		struct conn conn, other;
		uint8_t data[16];

		conn_init(&conn, dial(&address), NULL, true);
		accepted = accept(fd, NULL, NULL);
		assert_true(accepted >= 0);
		conn_init(&other, accepted, NULL, false);
		assert_int_equal(shake_with_poll(&conn), 1);
		conn_close(&other, reset);
		assert_int_equal(poll(&(struct pollfd){.fd = conn.fd, .events = POLLIN}, 1, 5000),
				 1);
		assert_int_equal(conn_read(&conn, data, sizeof(data)), reset ? -ECONNRESET : 0);
		assert_int_equal(conn_read(&conn, data, sizeof(data)), reset ? -ECONNRESET : 0);
		conn_close(&conn, false);
		close(fd);
	}
}

static void close_notify_is_the_end(void **state)
{
	uint8_t data[16];
	struct pair pair;

	open_pair(&pair);
	assert_int_equal(SSL_write(pair.other, "words", 5), 5);
	assert_int_equal(SSL_shutdown(pair.other), 0);
	assert_int_equal(conn_read(&pair.conn, data, sizeof(data)), 5);
	assert_int_equal(conn_read(&pair.conn, data, sizeof(data)), 0);
	assert_int_equal(conn_read(&pair.conn, data, sizeof(data)), 0);
	/* Our direction goes on. */
	pair_say(&pair, "an answer");
	assert_int_equal(conn_shutdown_write(&pair.conn), 0);
	assert_int_equal(SSL_read(pair.other, data, sizeof(data)), 0);
	assert_int_equal(SSL_get_error(pair.other, 0), SSL_ERROR_ZERO_RETURN);
	pair_end(&pair);
}

static void a_cut_is_an_error(void **state)
{
	char sentence[TLS_FAILURE_MAX];
	uint8_t data[16];
	struct pair pair;

	for (int inside = 0; inside < 2; inside++) {
		open_pair(&pair);
		assert_int_equal(SSL_write(pair.other, "words", 5), 5);
		/* Between two records, or in one. */
		if (inside)
			assert_int_equal(send(pair.fd, "\x17\x03\x03\x00\x40zz", 7, 0), 7);
		assert_int_equal(shutdown(pair.fd, SHUT_WR), 0);
		assert_int_equal(conn_read(&pair.conn, data, sizeof(data)), 5);
		assert_false(conn_pending(&pair.conn));
		assert_int_equal(conn_read(&pair.conn, data, sizeof(data)), -EPROTO);
		assert_int_equal(conn_read(&pair.conn, data, sizeof(data)), -EPROTO);
		assert_int_equal(conn_write(&pair.conn, (const uint8_t *)"word", 4), -EPROTO);
		tls_failure(pair.conn.ssl, sentence, sizeof(sentence));
		assert_string_equal(sentence, "TLS failed: the connection ended in the middle of "
					      "it");
		pair_end(&pair);
	}
}

/* The end is behind it already, and nothing tells of that a second time. */
static void a_part_of_a_record_is_cut_at_once(void **state)
{
	uint8_t data[16];
	struct pair pair;

	open_pair(&pair);
	assert_int_equal(send(pair.fd, "\x17\x03\x03\x00\x40zz", 7, 0), 7);
	assert_int_equal(shutdown(pair.fd, SHUT_WR), 0);
	assert_int_equal(conn_read(&pair.conn, data, sizeof(data)), -EPROTO);
	pair_end(&pair);
}

static void we_end_half(void **state)
{
	uint8_t data[16];
	struct pair pair;

	open_pair(&pair);
	assert_int_equal(conn_write(&pair.conn, (const uint8_t *)"question", 8), 8);
	assert_int_equal(conn_shutdown_write(&pair.conn), 0);
	assert_int_equal(conn_shutdown_write(&pair.conn), 0);
	assert_int_equal(conn_write(&pair.conn, (const uint8_t *)"more", 4), -EPIPE);
	assert_int_equal(SSL_read(pair.other, data, sizeof(data)), 8);
	assert_int_equal(SSL_read(pair.other, data, sizeof(data)), 0);
	assert_int_equal(SSL_get_error(pair.other, 0), SSL_ERROR_ZERO_RETURN);
	assert_int_equal(recv(pair.fd, data, sizeof(data), 0), 0);
	pair_hear(&pair, "an answer");
	pair_end(&pair);
}

static void how_we_close_is_how_it_looks(void **state)
{
	for (int reset = 0; reset < 2; reset++) {
		uint8_t data[16];
		struct pair pair;
		int r;

		open_pair(&pair);
		assert_int_equal(conn_write(&pair.conn, (const uint8_t *)"word", 4), 4);
		conn_close(&pair.conn, reset);
		assert_int_equal(SSL_read(pair.other, data, sizeof(data)), 4);
		r = SSL_read(pair.other, data, sizeof(data));
		assert_true(r <= 0);
		assert_int_equal(SSL_get_error(pair.other, r),
				 reset ? SSL_ERROR_SSL : SSL_ERROR_ZERO_RETURN);
		SSL_free(pair.other);
		close(pair.fd);
		ERR_clear_error();
	}
}

static void what_was_decrypted_is_pending(void **state)
{
	static uint8_t data[40000], got[40000];
	struct pair pair;
	ssize_t n;

	open_pair(&pair);
	fill(data, sizeof(data), 0);
	assert_int_equal(SSL_write(pair.other, data, sizeof(data)), sizeof(data));
	assert_int_equal(conn_read(&pair.conn, got, 100), 100);
	check(got, 100, 0);
	assert_true(conn_pending(&pair.conn));
	/* More records than one in one call, and then nothing that epoll would not tell. */
	n = conn_read(&pair.conn, got, sizeof(got));
	assert_int_equal(n, sizeof(data) - 100);
	check(got, (size_t)n, 100);
	assert_false(conn_pending(&pair.conn));
	assert_int_equal(conn_read(&pair.conn, got, sizeof(got)), -EAGAIN);
	/* A part of a record is nothing to read yet. */
	assert_int_equal(send(pair.fd, "\x17\x03\x03\x00\x40zz", 7, 0), 7);
	assert_int_equal(conn_read(&pair.conn, got, sizeof(got)), -EAGAIN);
	assert_false(conn_pending(&pair.conn));
	assert_int_equal(conn_events(&pair.conn, true, false), EPOLLIN);
	pair_end(&pair);
}

/* All that is there, as a client reads it: one SSL_read() is one record. */
static size_t count_records(struct pair *pair, size_t place, size_t *ret_size)
{
	static uint8_t got[32768];
	size_t records = 0, size = 0;
	int n;

	while ((n = SSL_read(pair->other, got, sizeof(got))) > 0) {
		check(got, (size_t)n, place + size);
		size += (size_t)n;
		records++;
	}
	*ret_size = size;
	return records;
}

static void pieces_are_gathered_into_records(void **state)
{
	static const struct {
		size_t size[4];
		size_t records;
	} rows[] = {
		{{200, 1000, 0, 7}, 1},	   {{0, 0, 9, 0}, 1},	      {{16384, 0, 0, 0}, 1},
		{{10000, 6384, 0, 0}, 1},  {{10000, 6385, 0, 0}, 2},  {{5, 40000, 5, 0}, 3},
		{{16384, 16384, 1, 0}, 3}, {{1, 16383, 16384, 1}, 3}, {{0, 0, 0, 49153}, 4},
	};
	static uint8_t data[65536];
	struct pair pair;

	open_pair(&pair);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct iovec iov[4];
		size_t total = 0, size;

		fill(data, sizeof(data), i);
		for (size_t j = 0; j < 4; j++) {
			iov[j] = (struct iovec){data + total, rows[i].size[j]};
			total += rows[i].size[j];
		}
		assert_int_equal(conn_writev(&pair.conn, iov, 4), total);
		assert_int_equal(count_records(&pair, i, &size), rows[i].records);
		assert_int_equal(size, total);
	}
	pair_end(&pair);
}

/* Megabytes to a client that reads less at a time than is written. */
static void push(struct pair *pair, bool gather)
{
	static uint8_t data[PIECE], got[PIECE];
	const size_t total = 8u << 20;
	size_t sent = 0, received = 0, blocked = 0;
	uint32_t seed = 7;

	while (received < total) {
		size_t size = some(&seed, sizeof(data));
		ssize_t n = 0;
		int m;

		if (size > total - sent)
			size = total - sent;
		if (size) {
			struct iovec iov[2];

			fill(data, size, sent);
			iov[0] = (struct iovec){data, size / 3};
			iov[1] = (struct iovec){data + size / 3, size - size / 3};
			n = gather ? conn_writev(&pair->conn, iov, 2)
				   : conn_write(&pair->conn, data, size);
			memset(data, 0, size);
		} else {
			int r = conn_flush(&pair->conn);

			assert_true(r == 0 || r == -EAGAIN);
		}
		if (n == -EAGAIN)
			blocked++;
		else
			assert_true(n >= 0);
		sent += n > 0 ? (size_t)n : 0;
		assert_true(conn_events(&pair->conn, false, false) ==
			    (pair->conn.unsent ? EPOLLOUT : 0));
		m = SSL_read(pair->other, got, (int)some(&seed, sizeof(got)));
		if (m <= 0)
			assert_int_equal(SSL_get_error(pair->other, m), SSL_ERROR_WANT_READ);
		else
			check(got, (size_t)m, received);
		received += m > 0 ? (size_t)m : 0;
	}
	assert_int_equal(sent, total);
	assert_int_equal(received, total);
	assert_true(blocked > 0);
	assert_int_equal(conn_flush(&pair->conn), 0);
	assert_null(pair->conn.unsent);
}

static void nothing_is_lost_to_a_slow_reader(void **state)
{
	struct pair pair;
	int size = 20000;

	for (int gather = 0; gather < 2; gather++) {
		open_pair(&pair);
		assert_int_equal(
			setsockopt(pair.conn.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
		push(&pair, gather);
		/* And the end comes after what waited. */
		pair_end(&pair);
	}
}

static void the_end_waits_for_what_was_taken(void **state)
{
	static uint8_t data[PIECE], got[PIECE];
	size_t sent = 0, received = 0;
	struct pair pair;
	ssize_t n;
	int r, m;

	open_pair(&pair);
	fill(data, sizeof(data), 0);
	while ((n = conn_write(&pair.conn, data + sent % 256, 16384)) > 0)
		sent += (size_t)n;
	assert_int_equal(n, -EAGAIN);
	assert_non_null(pair.conn.unsent);
	assert_int_equal(conn_shutdown_write(&pair.conn), -EAGAIN);
	assert_int_equal(conn_events(&pair.conn, false, false), EPOLLOUT);
	do {
		m = SSL_read(pair.other, got, sizeof(got));
		received += m > 0 ? (size_t)m : 0;
		r = conn_shutdown_write(&pair.conn);
		assert_true(r == 0 || r == -EAGAIN);
	} while (m > 0);
	assert_int_equal(r, 0);
	assert_int_equal(received, sent);
	assert_int_equal(SSL_get_error(pair.other, m), SSL_ERROR_ZERO_RETURN);
	pair_end(&pair);
}

static void both_ways_at_once(void **state)
{
	static uint8_t data[PIECE], got[PIECE];
	const size_t total = 2u << 20;
	size_t sent[2] = {}, received[2] = {};
	uint32_t seed = 11;
	struct pair pair;

	open_pair(&pair);
	SSL_set_mode(pair.other,
		     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	while (received[0] < total || received[1] < total) {
		ssize_t n;
		int m;

		fill(data, sizeof(data), sent[0]);
		n = sent[0] < total ? conn_write(&pair.conn, data, some(&seed, 9000))
				    : conn_flush(&pair.conn);
		assert_true(n >= 0 || n == -EAGAIN);
		sent[0] += n > 0 ? (size_t)n : 0;
		/* Now and then new keys, which the other side wants from us as well. */
		if (some(&seed, 50) == 1)
			assert_int_equal(SSL_key_update(pair.other, SSL_KEY_UPDATE_REQUESTED), 1);
		fill(data, sizeof(data), sent[1]);
		/* What it could not write it has to write again. */
		m = sent[1] < total ? SSL_write(pair.other, data, 5000) : 0;
		sent[1] += m > 0 ? (size_t)m : 0;
		n = conn_read(&pair.conn, got, some(&seed, sizeof(got)));
		assert_true(n > 0 || n == -EAGAIN);
		if (n > 0)
			check(got, (size_t)n, received[1]);
		received[1] += n > 0 ? (size_t)n : 0;
		m = SSL_read(pair.other, got, (int)some(&seed, sizeof(got)));
		if (m > 0)
			check(got, (size_t)m, received[0]);
		received[0] += m > 0 ? (size_t)m : 0;
		ERR_clear_error();
	}
	assert_int_equal(received[0], sent[0]);
	assert_int_equal(received[1], sent[1]);
	pair_end(&pair);
}

static void tls_begins_on_a_connection(void **state)
{
	struct conn conn;
	SSL *other = SSL_new(client), *ssl;
	int fds[2];

	sockets_make(fds);
	conn_init(&conn, fds[0], NULL, false);
	assert_int_equal(conn_peek_tls(&conn), -EAGAIN);
	assert_int_equal(SSL_set_fd(other, fds[1]), 1);
	SSL_set_connect_state(other);
	assert_int_equal(SSL_do_handshake(other), -1);
	assert_int_equal(conn_peek_tls(&conn), 1);
	assert_int_equal(conn_peek_tls(&conn), 1);
	assert_int_equal(tls_accept(tls, fds[0], HOST, true, &ssl), 0);
	conn_start_tls(&conn, ssl);
	assert_int_equal(conn_handshake(&conn), 0);
	assert_int_equal(SSL_do_handshake(other), 1);
	assert_int_equal(conn_handshake(&conn), 1);
	conn_close(&conn, false);
	SSL_free(other);
	close(fds[1]);
	sockets_make(fds);
	conn_init(&conn, fds[0], NULL, false);
	close(fds[1]);
	assert_int_equal(conn_peek_tls(&conn), -ENODATA);
	conn_close(&conn, false);
	ERR_clear_error();
}

static int setup(void **state)
{
	/* The other end is OpenSSL's own, and raises it. */
	signal(SIGPIPE, SIG_IGN);
	if (tls_ca_store_new(&store) || tls_ca_open(store, &ca) || tls_new(ca, &tls, NULL))
		return -1;
	client = client_make(ca);
	return 0;
}

static int teardown(void **state)
{
	SSL_CTX_free(client);
	tls_free(tls);
	tls_ca_free(ca);
	tls_ca_store_free(store);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plaintext_goes_both_ways),
		cmocka_unit_test(nobody_there_is_an_error_not_a_signal),
		cmocka_unit_test(a_refused_connection_says_so),
		cmocka_unit_test(a_reset_is_not_an_end),
		cmocka_unit_test(close_notify_is_the_end),
		cmocka_unit_test(a_cut_is_an_error),
		cmocka_unit_test(a_part_of_a_record_is_cut_at_once),
		cmocka_unit_test(we_end_half),
		cmocka_unit_test(how_we_close_is_how_it_looks),
		cmocka_unit_test(what_was_decrypted_is_pending),
		cmocka_unit_test(pieces_are_gathered_into_records),
		cmocka_unit_test(nothing_is_lost_to_a_slow_reader),
		cmocka_unit_test(the_end_waits_for_what_was_taken),
		cmocka_unit_test(both_ways_at_once),
		cmocka_unit_test(tls_begins_on_a_connection),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

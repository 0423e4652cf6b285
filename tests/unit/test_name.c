/* SPDX-License-Identifier: Apache-2.0 */
#include "asked.h"
#include "name.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* Read by the library, not by the code under test. */
static struct address of(const char *text)
{
	struct address a;
	struct in_addr v4;

	if (inet_pton(AF_INET, text, &v4) == 1)
		return address_of_ipv4(v4.s_addr);
	assert_int_equal(inet_pton(AF_INET6, text, &a), 1);
	return a;
}

static bool is(struct address a, const char *text)
{
	struct address b = of(text);

	return address_equal(&a, &b);
}

static void tells_synthetic_addresses(void **state)
{
	static const char *const yes[] = {"198.18.0.0",
					  "198.18.0.1",
					  "198.19.255.255",
					  "::ffff:198.18.0.9",
					  "fd6f:7065:6e73:6865::1",
					  "fd6f:7065:6e73:6865:1::"};
	static const char *const no[] = {
		"198.17.255.255",	  "198.20.0.0",		 "127.0.0.1",
		"::198.18.0.1",		  "64:ff9b::198.18.0.1", "fd6f:7065:6e73:6866::1",
		"fd6f:7065:6e74:6865::1", "2002:c612:1::1"};

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		struct address a = of(yes[i]);

		assert_true(name_is_synthetic(&a));
	}
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		struct address a = of(no[i]);

		assert_false(name_is_synthetic(&a));
	}
}

static void both_families_are_one_name(void **state)
{
	static const struct {
		const char *from, *to;
	} rows[] = {
		{"198.18.0.5", "198.18.0.5"},
		{"fd6f:7065:6e73:6865::5", "198.18.0.5"},
		{"fd6f:7065:6e73:6865::1:2", "198.19.0.2"},
		{"fd6f:7065:6e73:6865::1:ffff", "198.19.255.255"},
		/* numbers that no name has */
		{"fd6f:7065:6e73:6865::2:0", "198.18.0.0"},
		{"fd6f:7065:6e73:6865::2:1", "198.18.0.0"},
		{"fd6f:7065:6e73:6865:0:1:0:5", "198.18.0.0"},
		{"fd6f:7065:6e73:6865:8000::5", "198.18.0.0"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct address a = of(rows[i].from);

		assert_true(is(name_canonical(&a), rows[i].to));
	}
}

static void set_real(struct os_name *name, const char *const *text, size_t n)
{
	name->count = (uint32_t)n;
	for (size_t i = 0; i < n; i++) {
		struct address a = of(text[i]);

		memcpy(name->real[i], &a, sizeof(a));
	}
}

static void addresses_take_turns(void **state)
{
	static const char *const three[] = {"10.0.0.1", "10.0.0.2", "10.0.0.3"};
	struct address asked = of("198.18.0.1"), six = of("fd6f:7065:6e73:6865::1"), real;
	struct os_name name = {};

	set_real(&name, three, 3);
	for (uint32_t turn = 0; turn < 9; turn++) {
		assert_true(name_pick(&name, turn, &asked, &real));
		assert_true(is(real, three[turn % 3]));
	}
	assert_true(name_pick(&name, UINT32_MAX, &asked, &real));
	assert_true(is(real, three[UINT32_MAX % 3]));
	/* an entry of the other family is a mistake of somebody's */
	assert_false(name_pick(&name, 0, &six, &real));
	name.count = 0;
	assert_false(name_pick(&name, 0, &asked, &real));
	name.count = OS_NAME_REAL_MAX + 1;
	assert_false(name_pick(&name, 0, &asked, &real));
}

static void an_address_is_the_names_or_not(void **state)
{
	static const char *const two[] = {"10.0.0.1", "10.0.0.2"};
	struct address first = of("10.0.0.1"), last = of("10.0.0.2"), other = of("10.0.0.3"),
		       zero = {};
	struct os_name name = {.expiry = 100};

	set_real(&name, two, 2);
	assert_true(name_has(&name, &first));
	assert_true(name_has(&name, &last));
	assert_false(name_has(&name, &other));
	assert_false(name_has(&name, &zero)); /* what unused entries hold */
	name.count = 1;
	assert_false(name_has(&name, &last));
	assert_true(name_is_fresh(&name, 99));
	assert_false(name_is_fresh(&name, 100));
}

static void a_worker_has_a_port_for_each(void **state)
{
	const struct os_worker worker = {
		.dns_udp4 = 1, .dns_tcp4 = 2, .dns_udp6 = 3, .dns_tcp6 = 4, .ask4 = 5, .ask6 = 6};

	assert_int_equal(name_worker_port(&worker, OS_SOCK_DNS, 1, 0), 1);
	assert_int_equal(name_worker_port(&worker, OS_SOCK_DNS, 1, 1), 2);
	assert_int_equal(name_worker_port(&worker, OS_SOCK_DNS, 0, 0), 3);
	assert_int_equal(name_worker_port(&worker, OS_SOCK_DNS, 0, 1), 4);
	assert_int_equal(name_worker_port(&worker, OS_SOCK_ASK, 1, 1), 5);
	assert_int_equal(name_worker_port(&worker, OS_SOCK_ASK, 0, 1), 6);
	/* nobody answers datagrams for a verdict, and other sockets have no worker */
	assert_int_equal(name_worker_port(&worker, OS_SOCK_ASK, 1, 0), 0);
	assert_int_equal(name_worker_port(&worker, 0, 1, 1), 0);
	assert_true(is(name_worker_address(1), "127.0.0.1"));
	assert_true(is(name_worker_address(0), "::1"));
}

/* A record of os_sock: @asked NULL = it was not rewritten. */
static struct os_sock record(const char *real, uint16_t port, const char *asked)
{
	struct os_sock sock = {.port = port, .asked_port = asked ? port : 0};
	struct address a = of(real);

	memcpy(sock.address, &a, sizeof(a));
	if (asked) {
		a = of(asked);
		memcpy(sock.asked, &a, sizeof(a));
	}
	return sock;
}

static struct asked_place place(const char *text, uint16_t port)
{
	return (struct asked_place){.address = of(text), .port = port};
}

static void earlier_destinations_are_kept(void **state)
{
	struct os_asked all = {};
	struct os_sock first = record("10.0.0.1", 53, "198.18.0.1");
	struct os_sock second = record("10.0.0.2", 53, "198.18.0.2");
	struct os_sock literal = record("10.0.0.1", 53, NULL);
	struct asked_place real = place("10.0.0.1", 53), other_port = place("10.0.0.1", 54),
			   name = place("198.18.0.2", 53), nothing = {};
	int at;

	assert_int_equal(asked_by_real(&all, &real), -1);
	asked_keep(&all, &literal); /* nothing to remember of it */
	assert_int_equal(asked_by_real(&all, &real), -1);
	asked_keep(&all, &first);
	asked_keep(&all, &second);
	at = asked_by_real(&all, &real);
	assert_in_range(at, 0, ASKED_MAX - 1);
	assert_int_equal(all.entry[at].asked_port, 53);
	assert_memory_equal(all.entry[at].asked, first.asked, 16);
	at = asked_by_name(&all, &name);
	assert_in_range(at, 0, ASKED_MAX - 1);
	assert_memory_equal(all.entry[at].real, second.address, 16);
	assert_int_equal(asked_by_real(&all, &other_port), -1);
	/* unused entries are nobody's */
	assert_int_equal(asked_by_real(&all, &nothing), -1);
	assert_int_equal(asked_by_name(&all, &nothing), -1);

	/* The same place, asked for under its own address since: the name is forgotten. */
	asked_keep(&all, &literal);
	at = asked_by_real(&all, &real);
	assert_in_range(at, 0, ASKED_MAX - 1);
	assert_int_equal(all.entry[at].asked_port, 0);
	assert_int_equal(all.next, 2);
}

static void the_oldest_are_forgotten(void **state)
{
	struct os_asked all = {};
	struct asked_place real = place("10.0.0.1", 1000);

	for (uint16_t i = 0; i < ASKED_MAX; i++) {
		struct os_sock sock = record("10.0.0.1", (uint16_t)(1000 + i), "198.18.0.1");

		asked_keep(&all, &sock);
	}
	assert_int_equal(asked_by_real(&all, &real), 0);

	struct os_sock more = record("10.0.0.2", 1, "198.18.0.2");

	asked_keep(&all, &more);
	assert_int_equal(asked_by_real(&all, &real), -1);
	real = place("10.0.0.1", 1001);
	assert_int_equal(asked_by_real(&all, &real), 1);
	all.next = UINT32_MAX; /* goes around without leaving the table */
	more.port = more.asked_port = 2;
	asked_keep(&all, &more);
	more.port = more.asked_port = 3;
	asked_keep(&all, &more);
	real = place("10.0.0.2", 2);
	assert_int_equal(asked_by_real(&all, &real), ASKED_MAX - 1);
	real = place("10.0.0.2", 3);
	assert_int_equal(asked_by_real(&all, &real), 0);
}

static void every_slot_has_addresses_of_its_own_for_its_proxy(void **state)
{
	static const uint32_t slots[] = {1, 2, 4032, OS_SLOTS_MAX - 1};
	struct address literal = of("10.0.0.1"), six;

	for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
		for (uint32_t number = 0; number < 5000; number += 7) {
			struct address name = address_of_ipv4(htonl(OS_SYNTHETIC_IPV4 + number));
			struct address to = name_proxy_address(slots[i], &name);
			uint32_t at = ntohl(to.word[3]) - OS_PROXY_IPV4;

			assert_true(address_is_ipv4(&to) && address_is_loopback(&to));
			assert_int_equal(at / OS_PROXY_SPREAD, slots[i]);
			assert_int_equal(at % OS_PROXY_SPREAD, number % OS_PROXY_SPREAD);
			assert_true(ntohl(to.word[3]) != OS_PROXY_LISTENER);
			six = (struct address){.word = {htonl(OS_SYNTHETIC_IPV6_0),
							htonl(OS_SYNTHETIC_IPV6_1), 0,
							htonl(number)}};
			six = name_proxy_address(slots[i], &six);
			assert_true(address_equal(&six, &to));
		}
		six = name_proxy_address(slots[i], &literal);
		assert_int_equal(ntohl(six.word[3]), OS_PROXY_IPV4 + slots[i] * OS_PROXY_SPREAD);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_synthetic_addresses),
		cmocka_unit_test(both_families_are_one_name),
		cmocka_unit_test(addresses_take_turns),
		cmocka_unit_test(an_address_is_the_names_or_not),
		cmocka_unit_test(a_worker_has_a_port_for_each),
		cmocka_unit_test(every_slot_has_addresses_of_its_own_for_its_proxy),
		cmocka_unit_test(earlier_destinations_are_kept),
		cmocka_unit_test(the_oldest_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

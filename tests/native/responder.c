/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's DNS over real sockets: what is asked of the supervisor and what is not, what clients
 * get when, over UDP and TCP, from polite clients and from others, and what becomes of it when its
 * supervisor says what it must not, or goes, or when it is killed itself.
 */
#include "dns_packet.h"
#include "worker_child.h"

#include "proxy/dns_tcp.h"
#include "proxy/responder.h"

#include <fcntl.h>

static struct worker_child worker;

/* The supervisor's part */

static bool asked(const char *name, union worker_message *ret_message)
{
	return hear(&worker, PATIENCE_MS, ret_message) &&
	       ret_message->header.kind == WORKER_ASK_NAME &&
	       ret_message->ask_name.length == strlen(name) &&
	       !memcmp(ret_message->ask_name.name, name, strlen(name));
}

static bool quiet(void)
{
	union worker_message message;

	return !hear(&worker, QUIET_MS, &message);
}

static void say(uint32_t id, enum worker_name_status status, uint8_t number, uint32_t ttl)
{
	union worker_message m;

	worker_message_init(&m, WORKER_NAME, id);
	m.name.status = (uint16_t)status;
	m.name.ttl = ttl;
	if (status == WORKER_NAME_FOUND) {
		m.name.has = WORKER_NAME_HAS_IPV4;
		memcpy(m.name.ipv4, (uint8_t[]){198, 18, 0, number}, 4);
		if (number & 1) {
			m.name.has |= WORKER_NAME_HAS_IPV6;
			memcpy(m.name.ipv6, "\xfd\x6f\x70\x65\x6e\x73\x68\x65", 8);
			m.name.ipv6[15] = number;
		}
	}
	if (worker_message_send(worker.channel, &m, NULL, 0))
		bail("answering");
}

static void flush(void)
{
	union worker_message m;

	worker_message_init(&m, WORKER_FLUSH, 0);
	if (worker_message_send(worker.channel, &m, NULL, 0))
		bail("flushing");
}

/* Make a name known, through UDP. */
static void teach(int fd, const char *name, enum worker_name_status status, uint8_t number)
{
	struct packet query = query_of(1, name, A);
	union worker_message m;

	push(fd, &query);
	if (!asked(name, &m))
		bail(name);
	say(m.header.id, status, number, 300);
	if (!pull(fd, PATIENCE_MS).size)
		bail(name);
}

/* It answers a query of a name that was never heard of: it is alive, and its loop goes round. */
static bool serves(void)
{
	static unsigned int number;
	int fd = client_socket(false, SOCK_DGRAM, worker.port[UDP4]);
	union worker_message m;
	struct packet query;
	char name[32];
	bool served;

	snprintf(name, sizeof(name), "alive%u.example", ++number);
	query = query_of(77, name, A);
	push(fd, &query);
	served = asked(name, &m);
	if (served) {
		struct packet answer;

		say(m.header.id, WORKER_NAME_FOUND, 2, 300);
		answer = pull(fd, PATIENCE_MS);
		served = has_record(&answer, &query, A, "\xc6\x12\0\2", 4);
	}
	close(fd);
	return served;
}

/* Tests */

static void it_starts_small(void)
{
	long private_kib = worker_child_number(&worker, "smaps_rollup", "Private_Clean:") +
			   worker_child_number(&worker, "smaps_rollup", "Private_Dirty:");
	long before;

	ok(private_kib > 0 && private_kib <= 2048, "idle, it has %ld KiB of its own", private_kib);
	usleep(200000);
	before = worker_child_number(&worker, "status", "voluntary_ctxt_switches:");
	usleep(1200000);
	ok(worker_child_number(&worker, "status", "voluntary_ctxt_switches:") == before,
	   "idle, it sleeps");
}

static void names_are_asked_once(void)
{
	int fd = client_socket(false, SOCK_DGRAM, worker.port[UDP4]);
	struct packet query = query_of(0xbeef, "WwW.ExAmPlE.com", A), answer;
	static const uint8_t loopback4[16] = {[10] = 0xff, 0xff, 127, 0, 0, 1};
	union worker_message m;
	uint8_t ipv6[16] = "\xfd\x6f\x70\x65\x6e\x73\x68\x65";

	push(fd, &query);
	ok(asked("www.example.com", &m) && m.ask_name.type == A, "an unknown name is asked about");
	ok(m.ask_name.peer.port == port_of(fd) && m.ask_name.peer.protocol == IPPROTO_UDP &&
		   !memcmp(m.ask_name.peer.address, loopback4, 16),
	   "and who wants to know is said");
	ok(!pull(fd, QUIET_MS).size, "nobody is answered before the supervisor has said");
	say(m.header.id, WORKER_NAME_FOUND, 7, 300);
	answer = pull(fd, PATIENCE_MS);
	ok(has_record(&answer, &query, A, "\xc6\x12\0\7", 4),
	   "the address comes, in the case asked");

	query = query_of(0x1234, "www.EXAMPLE.com", A);
	push(fd, &query);
	answer = pull(fd, PATIENCE_MS);
	ok(has_record(&answer, &query, A, "\xc6\x12\0\7", 4), "the next one is answered at once");
	ipv6[15] = 7;
	query = query_of(0x1235, "www.example.com", AAAA);
	push(fd, &query);
	answer = pull(fd, PATIENCE_MS);
	ok(has_record(&answer, &query, AAAA, ipv6, 16), "and its IPv6 address is known too");
	query = query_of(0x1236, "www.example.com", HTTPS);
	push(fd, &query);
	answer = pull(fd, PATIENCE_MS);
	ok(is_negative(&answer, 0), "HTTPS has no record");
	ok(quiet(), "none of which the supervisor is asked");

	flush();
	query = query_of(9, "www.example.com", A);
	push(fd, &query);
	ok(asked("www.example.com", &m), "after a change of policy it is");
	say(m.header.id, WORKER_NAME_REFUSED, 0, 0);
	answer = pull(fd, PATIENCE_MS);
	ok(rcode(&answer) == 5, "and the name that went is refused");
	close(fd);
}

static void ipv6_is_served(void)
{
	static const uint8_t loopback6[16] = {[15] = 1};
	struct packet query = query_of(3, "six.example", A), answer;
	union worker_message m;
	int fd;

	if (!(worker.sockets & WORKER_SOCKET_DNS_UDP6)) {
		skip("queries over IPv6", "no ::1 here");
		return;
	}
	fd = client_socket(true, SOCK_DGRAM, worker.port[UDP6]);
	push(fd, &query);
	ok(asked("six.example", &m) && !memcmp(m.ask_name.peer.address, loopback6, 16) &&
		   m.ask_name.peer.port == port_of(fd),
	   "a query over IPv6 is asked about");
	say(m.header.id, WORKER_NAME_FOUND, 2, 300);
	answer = pull(fd, PATIENCE_MS);
	ok(has_record(&answer, &query, A, "\xc6\x12\0\2", 4), "and answered");
	query = query_of(4, "six.example", AAAA);
	push(fd, &query);
	answer = pull(fd, PATIENCE_MS);
	ok(is_negative(&answer, 0), "a family without an address: no record");
	close(fd);
}

static void each_status_has_its_answer(void)
{
	static const struct {
		enum worker_name_status status;
		const char *name;
		int rcode, soa;
	} row[] = {
		{WORKER_NAME_REFUSED, "refused.example", 5, 0},
		{WORKER_NAME_NONE, "none.example", 3, 1},
		{WORKER_NAME_FAILED, "failed.example", 2, 0},
		{WORKER_NAME_LIMITED, "limited.example", 5, 0},
	};
	int fd = client_socket(false, SOCK_DGRAM, worker.port[UDP4]);

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct packet query = query_of(5, row[i].name, A), first, second;
		union worker_message m;

		query.data[11] = 1;
		memcpy(query.data + query.size, OPT, sizeof(OPT) - 1);
		query.size += sizeof(OPT) - 1;
		push(fd, &query);
		if (!asked(row[i].name, &m))
			bail(row[i].name);
		say(m.header.id, row[i].status, 0, 300);
		first = pull(fd, PATIENCE_MS);
		push(fd, &query);
		second = pull(fd, PATIENCE_MS);
		ok(rcode(&first) == row[i].rcode && at16(&first, 8) == (unsigned int)row[i].soa &&
			   at16(&first, 10) == 1 && first.size == second.size &&
			   !memcmp(first.data, second.data, 12) && quiet(),
		   "%s: code %d, twice, asked once", row[i].name, rcode(&first));
		if (row[i].rcode == 5)
			ok(memmem(first.data, first.size, "policy", 6), "%s: says why",
			   row[i].name);
	}
	close(fd);
}

static void addresses_have_names(void)
{
	int fd = client_socket(false, SOCK_DGRAM, worker.port[UDP4]);
	struct packet query, answer;

	teach(fd, "reverse.example", WORKER_NAME_FOUND, 9);
	query = query_of(6, "9.0.18.198.in-addr.arpa", PTR);
	push(fd, &query);
	answer = pull(fd, PATIENCE_MS);
	ok(has_record(&answer, &query, PTR, "\7reverse\7example", 17),
	   "PTR of a synthetic address");
	query = query_of(
		6, "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.5.6.8.6.3.7.e.6.5.6.0.7.f.6.d.f.ip6.arpa", PTR);
	push(fd, &query);
	answer = pull(fd, PATIENCE_MS);
	ok(has_record(&answer, &query, PTR, "\7reverse\7example", 17), "and of its IPv6 one");
	query = query_of(6, "10.0.18.198.in-addr.arpa", PTR);
	push(fd, &query);
	answer = pull(fd, PATIENCE_MS);
	ok(is_negative(&answer, 3) && quiet(), "one that nobody was given has no name");
	close(fd);
}

static void nonsense_is_no_question(void)
{
	int fd = client_socket(false, SOCK_DGRAM, worker.port[UDP4]);
	struct packet good = query_of(8, "reverse.example", A), p, answer;
	unsigned int seed = 20261124, answers = 0;
	static const char *const refused[] = {"1.2.3.4", "a b.example", "a*.example", "*.example"};

	p = good;
	p.data[2] |= 0x80;
	push(fd, &p);
	p.size = 11;
	push(fd, &p);
	p.size = 0;
	push(fd, &p);
	push(fd, &good);
	answer = pull(fd, PATIENCE_MS);
	ok(has_record(&answer, &good, A, "\xc6\x12\0\x9", 4),
	   "responses and less than a header are not answered");
	p = good;
	p.size -= 1;
	push(fd, &p);
	answer = pull(fd, PATIENCE_MS);
	ok(rcode(&answer) == 1, "a query cut short: FORMERR");
	p = good;
	p.size = 3000;
	push(fd, &p);
	answer = pull(fd, PATIENCE_MS);
	ok(rcode(&answer) == 1 && answer.size == 12, "3000 bytes: FORMERR");
	p = good;
	p.size = 2049;
	p.data[11] = 1;
	memcpy(p.data + good.size, "\0\0\x29\x10\0\0\0\0\0", 9);
	p.data[good.size + 9] = (uint8_t)((2048 - good.size - 11) >> 8);
	p.data[good.size + 10] = (uint8_t)(2048 - good.size - 11);
	memset(p.data + good.size + 11, 0, 2049 - good.size - 11);
	push(fd, &p);
	answer = pull(fd, PATIENCE_MS);
	ok(rcode(&answer) == 1 && answer.size == 12,
	   "the beginning of a longer one is not a query");
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		p = query_of(9, refused[i], A);
		push(fd, &p);
		answer = pull(fd, PATIENCE_MS);
		ok(rcode(&answer) == 5, "%s: refused", refused[i]);
	}
	ok(quiet(), "and the supervisor is asked about none of it");

	for (int i = 0; i < 20000; i++) {
		p.size = (size_t)rand_r(&seed) % 200;
		for (size_t j = 0; j < p.size; j++)
			p.data[j] = (uint8_t)rand_r(&seed);
		/* Often enough with a header that is taken seriously. */
		if (i % 2 && p.size >= 12)
			memcpy(p.data + 2, "\1\0\0\1\0\0\0\0\0", 9);
		push(fd, &p);
		if (i % 64 == 63)
			while (pull(fd, 0).size)
				answers++;
	}
	while (pull(fd, DRAIN_MS).size)
		answers++;
	ok(answers > 1000 && serves(), "after 20000 random packets (%u answers) it serves",
	   answers);
	close(fd);
}

static void many_wait_for_one_question(void)
{
	int fd[20];
	struct packet query = query_of(10, "crowd.example", A);
	unsigned int answers = 0;
	union worker_message m;

	for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
		fd[i] = client_socket(false, SOCK_DGRAM, worker.port[UDP4]);
		push(fd[i], &query);
		push(fd[i], &query);
	}
	ok(asked("crowd.example", &m) && quiet(), "20 clients, each twice: one question");
	say(m.header.id, WORKER_NAME_FOUND, 2, 300);
	for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
		struct packet answer = pull(fd[i], PATIENCE_MS);

		answers += has_record(&answer, &query, A, "\xc6\x12\0\2", 4);
		answers += pull(fd[i], 1).size ? 100 : 0;
		close(fd[i]);
	}
	ok(answers == ARRAY_LEN(fd), "each is answered, once");
}

/* The supervisor does not even listen while it comes. */
static void a_flood_of_names_is_bounded(void)
{
	static uint32_t ids[RESPONDER_ASKS + 1];
	int fd = client_socket(false, SOCK_DGRAM, worker.port[UDP4]), size = 8 << 20;
	unsigned int failed = 0, asks = 0, found = 0;
	union worker_message m;
	struct packet answer;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	for (unsigned int i = 0; i < 2000; i++) {
		struct packet query;
		char name[32];

		snprintf(name, sizeof(name), "flood%u.example", i);
		query = query_of((uint16_t)i, name, A);
		push(fd, &query);
		if (i % 50 == 49) {
			usleep(1000);
			while ((answer = pull(fd, 0)).size)
				failed += rcode(&answer) == 2;
		}
	}
	while ((answer = pull(fd, DRAIN_MS)).size)
		failed += rcode(&answer) == 2;
	while (asks <= RESPONDER_ASKS && hear(&worker, DRAIN_MS, &m))
		ids[asks++] = m.header.id;
	ok(asks == RESPONDER_ASKS && failed == 2000 - RESPONDER_ASKS,
	   "2000 names at once: %u questions, %u failed at once", asks, failed);
	for (unsigned int i = 0; i < asks; i++) {
		say(ids[i], WORKER_NAME_FOUND, 2, 300);
		answer = pull(fd, PATIENCE_MS);
		found += rcode(&answer) == 0 && at16(&answer, 6) == 1;
	}
	ok(found == asks && serves(), "all of which are answered, and it serves on");
	close(fd);
}

static void tcp_is_served(void)
{
	int udp = client_socket(false, SOCK_DGRAM, worker.port[UDP4]);
	int fd = client_socket(false, SOCK_STREAM, worker.port[TCP4]);
	struct packet known = query_of(11, "tcp.example", A), query, answer, other;
	struct packet burst = {};
	unsigned int answers = 0;
	union worker_message m;

	teach(udp, "tcp.example", WORKER_NAME_FOUND, 4);
	query = query_of(12, "slow.example", A);
	push_tcp(fd, &query);
	ok(asked("slow.example", &m) && m.ask_name.peer.protocol == IPPROTO_TCP &&
		   m.ask_name.peer.port == port_of(fd),
	   "a name asked over TCP is asked about");
	push_tcp(fd, &known);
	answer = pull_tcp(fd, PATIENCE_MS);
	ok(has_record(&answer, &known, A, "\xc6\x12\0\4", 4), "what is known does not wait for it");
	say(m.header.id, WORKER_NAME_FOUND, 2, 300);
	answer = pull_tcp(fd, PATIENCE_MS);
	ok(has_record(&answer, &query, A, "\xc6\x12\0\2", 4), "and it comes when it is known");

	/* 100 in a few pieces, none of which ends where a query does. */
	for (int i = 0; i < 100; i++) {
		known.data[1] = (uint8_t)i;
		burst.data[burst.size++] = 0;
		burst.data[burst.size++] = (uint8_t)known.size;
		memcpy(burst.data + burst.size, known.data, known.size);
		burst.size += known.size;
	}
	for (size_t at = 0; at < burst.size; at += 1000) {
		size_t size = burst.size - at < 1000 ? burst.size - at : 1000;

		if (send(fd, burst.data + at, size, 0) != (ssize_t)size)
			bail("send");
		usleep(2000);
	}
	for (int i = 0; i < 100; i++) {
		known.data[1] = (uint8_t)i;
		answer = pull_tcp(fd, PATIENCE_MS);
		answers += has_record(&answer, &known, A, "\xc6\x12\0\4", 4);
	}
	ok(answers == 100, "100 pipelined queries are answered in their order");

	for (size_t i = 0; i < known.size + 2; i++) {
		uint8_t byte = i == 0 ? 0 : i == 1 ? (uint8_t)known.size : known.data[i - 2];

		if (send(fd, &byte, 1, 0) != 1)
			bail("send");
		usleep(500);
	}
	answer = pull_tcp(fd, PATIENCE_MS);
	ok(has_record(&answer, &known, A, "\xc6\x12\0\4", 4), "byte by byte, too");

	query = query_of(13, "last.example", A);
	other = query_of(14, "last.example", AAAA);
	push_tcp(fd, &query);
	push_tcp(fd, &other);
	shutdown(fd, SHUT_WR);
	ok(asked("last.example", &m) && quiet(), "two types of one name are one question");
	say(m.header.id, WORKER_NAME_FOUND, 2, 300);
	answer = pull_tcp(fd, PATIENCE_MS);
	answers = at16(&answer, 0);
	other = pull_tcp(fd, PATIENCE_MS);
	ok(answers + at16(&other, 0) == 13 + 14 && closed(fd, PATIENCE_MS),
	   "who has ended gets what was asked for before the end");
	close(fd);
	close(udp);
}

static void what_is_no_query_ends_a_connection(void)
{
	static const struct {
		const char *what;
		uint8_t data[16];
		size_t size;
	} row[] = {
		{"a length of 65535", {0xff, 0xff}, 2},
		{"a length of 2049", {0x08, 0x01}, 2},
		{"an empty message", {0, 0}, 2},
		{"a response", {0, 12, 1, 2, 0x81, 0x80}, 14},
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		int fd = client_socket(false, SOCK_STREAM, worker.port[TCP4]);

		if (send(fd, row[i].data, row[i].size, 0) != (ssize_t)row[i].size)
			bail("send");
		ok(closed(fd, PATIENCE_MS), "%s ends a connection", row[i].what);
		close(fd);
	}
}

static void who_does_not_read_is_not_read_from(void)
{
	int fd = client_socket(false, SOCK_STREAM, worker.port[TCP4]);
	struct packet known = query_of(15, "tcp.example", A);
	size_t sent = 0, part = 0, answers = 0;
	uint8_t framed[64];
	uint64_t cpu;

	framed[0] = 0;
	framed[1] = (uint8_t)known.size;
	memcpy(framed + 2, known.data, known.size);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (sent < 1000000) {
		ssize_t n = send(fd, framed + part, known.size + 2 - part, MSG_NOSIGNAL);

		/* What went in part goes on where it stopped, or the rest is no query. */
		part += n > 0 ? (size_t)n : 0;
		if (part == known.size + 2) {
			part = 0;
			sent++;
		} else if (poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 500) != 1) {
			break;
		}
	}
	ok(sent < 1000000, "after %zu queries without reading there is no room for more", sent);
	cpu = worker_child_cpu_ms(&worker);
	usleep(300000);
	ok(worker_child_cpu_ms(&worker) - cpu < 50 && serves(), "others are served, nothing spins");
	/* The last one may be there in part, and is none. */
	shutdown(fd, SHUT_WR);
	fcntl(fd, F_SETFL, 0);
	while (pull_tcp(fd, PATIENCE_MS).size)
		answers++;
	ok(answers == sent, "reading on, all %zu answers come", answers);
	close(fd);
}

static void connections_are_counted(void)
{
	int fd[2 * DNS_TCP_CONNECTIONS];
	unsigned int served = 0, ended = 0;
	struct packet known = query_of(16, "tcp.example", A);

	for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
		struct packet answer;

		fd[i] = client_socket(false, SOCK_STREAM, worker.port[TCP4]);
		push_tcp(fd[i], &known);
		answer = pull_tcp(fd[i], PATIENCE_MS);
		served += has_record(&answer, &known, A, "\xc6\x12\0\4", 4);
	}
	for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
		ended += i < DNS_TCP_CONNECTIONS && closed(fd[i], QUIET_MS);
		close(fd[i]);
	}
	ok(served == ARRAY_LEN(fd) && ended == DNS_TCP_CONNECTIONS,
	   "%zu connections: each is served, the %u quiet ones end", ARRAY_LEN(fd), ended);
}

/* A connection that goes takes what waits for it along. */
static void who_goes_waits_for_nothing(void)
{
	unsigned int asks = 0;
	union worker_message m;

	for (int i = 0; i < 200; i++) {
		int fd = client_socket(false, SOCK_STREAM, worker.port[TCP4]);

		for (int j = 0; j < 10; j++) {
			struct packet query;
			char name[32];

			snprintf(name, sizeof(name), "gone%d.example", j);
			query = query_of((uint16_t)j, name, A);
			push_tcp(fd, &query);
		}
		close(fd);
	}
	while (hear(&worker, DRAIN_MS, &m)) {
		say(m.header.id, WORKER_NAME_FOUND, 2, 1);
		asks++;
	}
	ok(asks >= 10 && asks <= 30 && serves(),
	   "2000 queries of connections that went: %u questions", asks);
}

/* What takes RESPONDER_TIMEOUT_MS, all at the same time. */
static void waiting_ends(void)
{
	int udp = client_socket(false, SOCK_DGRAM, worker.port[UDP4]);
	int idle = client_socket(false, SOCK_STREAM, worker.port[TCP4]);
	int partial = client_socket(false, SOCK_STREAM, worker.port[TCP4]);
	int asking = client_socket(false, SOCK_STREAM, worker.port[TCP4]);
	struct packet query = query_of(17, "never.example", A), answer;
	uint64_t start = now_ms(), cpu = worker_child_cpu_ms(&worker);
	union worker_message m;
	struct packet tcp;

	push(udp, &query);
	push_tcp(asking, &query);
	if (!asked("never.example", &m))
		bail("never.example");
	for (int i = 0; i < 9; i++) {
		if (send(partial, "\0\100abcdefgh" + i, 1, MSG_NOSIGNAL) != 1)
			bail("send");
		usleep(1000000);
	}
	ok(!closed(idle, 0) && !closed(partial, 0) && !pull(udp, 0).size, "for 9 s all wait");
	answer = pull(udp, 3000);
	tcp = pull_tcp(asking, 1000);
	ok(rcode(&answer) == 2 && rcode(&tcp) == 2 && now_ms() - start >= RESPONDER_TIMEOUT_MS,
	   "without an answer for 10 s: SERVFAIL");
	ok(closed(idle, 2000), "who says nothing for 10 s is disconnected");
	ok(closed(partial, 2000), "and so is who says it byte by byte");
	ok(worker_child_cpu_ms(&worker) - cpu < 100, "waiting takes no time of the processor");
	push(udp, &query);
	ok(quiet(), "the question is open still, and not asked again");
	say(m.header.id, WORKER_NAME_FOUND, 2, 300);
	answer = pull(udp, PATIENCE_MS);
	ok(has_record(&answer, &query, A, "\xc6\x12\0\2", 4), "a late answer is an answer");
	close(udp);
	close(idle);
	close(partial);
	close(asking);
}

static void the_supervisor_is_checked(void)
{
	union worker_message m;
	int fds[1] = {0};

	say(RESPONDER_ID + 3, WORKER_NAME_FOUND, 2, 300);
	ok(worker_child_ended(&worker) == 1, "an answer to no question ends it");
	close(worker.channel);
	worker_child_start(&worker);
	say(RESPONDER_ID + RESPONDER_ASKS + 7, WORKER_NAME_FOUND, 2, 300);
	ok(worker_child_ended(&worker) == 1, "and so does one that it could not have asked");
	close(worker.channel);
	worker_child_start(&worker);
	worker_message_init(&m, WORKER_FLUSH, 0);
	if (worker_message_send(worker.channel, &m, fds, 1))
		bail("sending a descriptor");
	ok(worker_child_ended(&worker) == 1, "and a descriptor that comes along");
	close(worker.channel);
	worker_child_start(&worker);
	ok(serves(), "each time another one serves on the same sockets");
}

static void without_descriptors_the_quiet_go(void)
{
	struct packet known = query_of(19, "tight.example", A), answer;
	int udp = client_socket(false, SOCK_DGRAM, worker.port[UDP4]), fd[5];
	unsigned int served = 0, ended = 0;

	if (worker_child_stop(&worker))
		bail("the worker does not stop");
	worker.spare = 2;
	worker_child_start(&worker);
	teach(udp, "tight.example", WORKER_NAME_FOUND, 4);
	for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
		fd[i] = client_socket(false, SOCK_STREAM, worker.port[TCP4]);
		push_tcp(fd[i], &known);
		answer = pull_tcp(fd[i], PATIENCE_MS);
		served += has_record(&answer, &known, A, "\xc6\x12\0\4", 4);
	}
	for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
		ended += closed(fd[i], QUIET_MS);
		close(fd[i]);
	}
	ok(served == 5 && ended == 3,
	   "with 2 descriptors to spare %u of 5 connections are served, %u end", served, ended);
	close(udp);
	if (worker_child_stop(&worker))
		bail("the worker does not stop");
	worker.spare = 0;
	worker_child_start(&worker);
}

static void a_killed_worker_is_replaced(void)
{
	int fd = client_socket(false, SOCK_DGRAM, worker.port[UDP4]);
	int tcp = client_socket(false, SOCK_STREAM, worker.port[TCP4]), late;
	struct packet query = query_of(18, "orphan.example", A), answer;
	union worker_message m;

	push(fd, &query);
	if (!asked("orphan.example", &m))
		bail("orphan.example");
	kill(worker.pid, SIGKILL);
	waitpid(worker.pid, NULL, 0);
	close(worker.channel);
	ok(closed(tcp, PATIENCE_MS), "killed, it drops its connections");
	push(fd, &query);
	late = client_socket(false, SOCK_STREAM, worker.port[TCP4]);
	push_tcp(late, &query);
	worker_child_start(&worker);
	ok(asked("orphan.example", &m), "what was asked meanwhile the next one asks about");
	say(m.header.id, WORKER_NAME_FOUND, 2, 300);
	answer = pull(fd, PATIENCE_MS);
	ok(has_record(&answer, &query, A, "\xc6\x12\0\2", 4), "and answers");
	answer = pull_tcp(late, PATIENCE_MS);
	ok(has_record(&answer, &query, A, "\xc6\x12\0\2", 4), "over TCP, too");
	close(fd);
	close(tcp);
	close(late);
}

int main(void)
{
	worker_child_sockets(&worker);
	worker_child_start(&worker);
	it_starts_small();
	names_are_asked_once();
	ipv6_is_served();
	each_status_has_its_answer();
	addresses_have_names();
	nonsense_is_no_question();
	many_wait_for_one_question();
	a_flood_of_names_is_bounded();
	tcp_is_served();
	what_is_no_query_ends_a_connection();
	who_does_not_read_is_not_read_from();
	connections_are_counted();
	who_goes_waits_for_nothing();
	waiting_ends();
	the_supervisor_is_checked();
	without_descriptors_the_quiet_go();
	a_killed_worker_is_replaced();
	ok(worker_child_stop(&worker) == 0, "when the supervisor goes, it goes");
	return tap_end();
}

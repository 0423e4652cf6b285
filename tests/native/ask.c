/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that wait for a verdict, over real sockets: what the supervisor is told of them, what
 * is done before the verdict and after each, and that bytes, ends and failures of one end are the
 * other's, with neither end able to make the worker keep more than it has room for.
 */
#include "worker_child.h"

#include "proxy/ask_relay.h"

#include <fcntl.h>

#define BULK (8u << 20)

static struct worker_child worker;

/* An agent's connection, the question about it, and where it is to go. */
struct flow {
	int agent, far; /* the test's ends */
	uint32_t id;
};

static bool asked(int agent, uint32_t *ret_id)
{
	static const uint8_t loopback4[16] = {[10] = 0xff, 0xff, 127, 0, 0, 1};
	union worker_message m;

	if (!hear(&worker, PATIENCE_MS, &m) || m.header.kind != WORKER_ASK_FLOW)
		return false;
	*ret_id = m.header.id;
	return m.ask_flow.peer.port == port_of(agent) &&
	       m.ask_flow.local.port == worker.port[ASK4] &&
	       !memcmp(m.ask_flow.peer.address, loopback4, 16) &&
	       !memcmp(m.ask_flow.local.address, loopback4, 16);
}

static void say(uint32_t id, enum worker_flow_status status, int fd)
{
	union worker_message m;

	worker_message_init(&m, WORKER_FLOW, id);
	m.flow.status = status;
	if (worker_message_send(worker.channel, &m, &fd, fd >= 0))
		bail("verdict");
	safe_close(fd);
}

/* Two ends of one TCP connection; the first is for the worker. */
static void connection(int *ret_near, int *ret_far)
{
	_cleanup_close_ int listener = bound_socket(false, SOCK_STREAM, 1);

	*ret_near = client_socket(false, SOCK_STREAM, port_of(listener));
	*ret_far = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	fcntl(*ret_near, F_SETFL, O_NONBLOCK);
	if (*ret_far < 0)
		bail("accept4");
}

static struct flow flow_asked(void)
{
	struct flow f = {.far = -1};

	f.agent = client_socket(false, SOCK_STREAM, worker.port[ASK4]);
	if (!asked(f.agent, &f.id))
		bail("no question");
	return f;
}

static struct flow flow_allowed(void)
{
	struct flow f = flow_asked();
	int near;

	connection(&near, &f.far);
	say(f.id, WORKER_FLOW_ALLOWED, near);
	return f;
}

static void flow_close(struct flow *f)
{
	f->agent = safe_close(f->agent);
	f->far = safe_close(f->far);
}

/* What reading ends with: 0 at the end, a negative errno, -ETIMEDOUT. */
static int end_of(int fd, int timeout_ms)
{
	char buffer[65536];

	while (readable(fd, timeout_ms)) {
		ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

		if (n <= 0)
			return n ? -errno : 0;
	}
	return -ETIMEDOUT;
}

static bool passes(int from, int to, const char *text)
{
	size_t size = strlen(text), got = 0;
	char buffer[64];

	if (send(from, text, size, MSG_NOSIGNAL) != (ssize_t)size)
		return false;
	while (got < size && readable(to, PATIENCE_MS)) {
		ssize_t n = recv(to, buffer + got, size - got, 0);

		if (n <= 0)
			return false;
		got += (size_t)n;
	}
	return got == size && !memcmp(buffer, text, size);
}

static void reset(int fd)
{
	const struct linger linger = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

static void nothing_passes_before_the_verdict(void)
{
	int agent = client_socket(false, SOCK_STREAM, worker.port[ASK4]), near, far;
	char buffer[16];
	uint32_t id;

	ok(asked(agent, &id), "a connection is asked about, and both of its ends are said");
	if (send(agent, "early", 5, 0) != 5)
		bail("send");
	connection(&near, &far);
	ok(!readable(far, QUIET_MS) && !readable(agent, 0), "nothing passes before the verdict");
	say(id, WORKER_FLOW_ALLOWED, near);
	ok(readable(far, PATIENCE_MS) && recv(far, buffer, sizeof(buffer), 0) == 5 &&
		   !memcmp(buffer, "early", 5),
	   "what was sent before it comes after it");
	ok(passes(far, agent, "answer") && passes(agent, far, "question"), "in both directions");
	close(agent);
	ok(end_of(far, PATIENCE_MS) == 0, "the end is the other's end");
	close(far);
}

static void denied_is_reset(void)
{
	struct flow f = flow_asked();

	say(f.id, WORKER_FLOW_DENIED, -1);
	ok(end_of(f.agent, PATIENCE_MS) == -ECONNRESET, "a connection that is denied is reset");
	flow_close(&f);
}

static void both_halves_close_alone(void)
{
	struct flow f = flow_allowed();

	shutdown(f.agent, SHUT_WR);
	ok(end_of(f.far, PATIENCE_MS) == 0, "an agent that has said all is heard to have");
	ok(passes(f.far, f.agent, "still here"), "and is still told");
	shutdown(f.far, SHUT_WR);
	ok(end_of(f.agent, PATIENCE_MS) == 0, "until the far end has said all, too");
	flow_close(&f);
	f = flow_allowed();
	shutdown(f.far, SHUT_WR);
	ok(end_of(f.agent, PATIENCE_MS) == 0 && passes(f.agent, f.far, "going on"),
	   "the other way round it is the same");
	flow_close(&f);
}

/* Bytes of a sequence whose period no buffer's size divides. */
static void fill(uint8_t *data, size_t size, size_t at)
{
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)((at + i) % 251);
}

struct pump {
	int fd;
	size_t sent, got;
	bool wrong;
};

static void pump(struct pump *p, short events)
{
	static uint8_t data[65536], expected[65536];
	ssize_t n;

	if (events & POLLOUT) {
		fill(data, sizeof(data), p->sent);
		n = send(p->fd, data, BULK - p->sent < sizeof(data) ? BULK - p->sent : sizeof(data),
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		p->sent += n > 0 ? (size_t)n : 0;
	}
	if (events & POLLIN) {
		n = recv(p->fd, data, sizeof(data), MSG_DONTWAIT);
		fill(expected, n > 0 ? (size_t)n : 0, p->got);
		p->wrong |= n <= 0 || memcmp(data, expected, (size_t)n);
		p->got += n > 0 ? (size_t)n : 0;
	}
}

static void bulk_arrives_unchanged(void)
{
	struct flow f = flow_allowed();
	struct pump end[2] = {{.fd = f.agent}, {.fd = f.far}};
	uint64_t deadline = now_ms() + 30000;

	while ((end[0].got < BULK || end[1].got < BULK) && !end[0].wrong && !end[1].wrong &&
	       now_ms() < deadline) {
		struct pollfd p[2];

		for (int i = 0; i < 2; i++)
			p[i] = (struct pollfd){
				.fd = end[i].fd,
				.events = (short)(POLLIN | (end[i].sent < BULK ? POLLOUT : 0)),
			};
		poll(p, 2, 1000);
		for (int i = 0; i < 2; i++)
			pump(&end[i], p[i].revents);
	}
	ok(end[0].got == BULK && end[1].got == BULK && !end[0].wrong && !end[1].wrong,
	   "%u MiB in both directions at once arrive unchanged", BULK >> 20);
	flow_close(&f);
}

static void failures_are_passed_on(void)
{
	struct flow f = flow_allowed();
	int near;

	if (!passes(f.agent, f.far, "x"))
		bail("relay");
	reset(f.far);
	ok(end_of(f.agent, PATIENCE_MS) == -ECONNRESET, "a far end that fails resets the agent");
	close(f.agent);

	f = flow_allowed();
	if (!passes(f.agent, f.far, "x"))
		bail("relay");
	reset(f.agent);
	ok(end_of(f.far, PATIENCE_MS) == -ECONNRESET, "an agent that fails resets the far end");
	close(f.far);

	f = flow_asked();
	near = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	{
		int unused = bound_socket(false, SOCK_STREAM, -1);
		struct sockaddr_storage address;
		socklen_t size = loopback(false, port_of(unused), &address);

		if (connect(near, (struct sockaddr *)&address, size) == 0)
			bail("connect succeeded");
		say(f.id, WORKER_FLOW_ALLOWED, near);
		close(unused);
	}
	ok(end_of(f.agent, PATIENCE_MS) == -ECONNRESET, "a far end that refuses resets the agent");
	close(f.agent);

	f = flow_asked();
	say(f.id, WORKER_FLOW_ALLOWED, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	ok(end_of(f.agent, PATIENCE_MS) == -ECONNRESET, "and so does one that was never connected");
	close(f.agent);
}

/* A listener with no room lets a connection wait in SYN_SENT until something is accepted. */
static void a_slow_connection_is_waited_for(void)
{
	_cleanup_close_ int listener = bound_socket(false, SOCK_STREAM, 0);
	struct flow f = flow_asked();
	int filler[8], near = -1, got = -1;
	struct sockaddr_storage address;
	socklen_t size = loopback(false, port_of(listener), &address);
	size_t fillers = 0;
	uint64_t cpu;

	while (fillers < ARRAY_LEN(filler)) {
		near = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (connect(near, (struct sockaddr *)&address, size) && errno != EINPROGRESS)
			bail("connect");
		if (poll(&(struct pollfd){.fd = near, .events = POLLOUT}, 1, QUIET_MS) != 1)
			break;
		filler[fillers++] = near;
		near = -1;
	}
	if (near < 0)
		bail("the listener's queue does not fill");
	if (send(f.agent, "hello", 5, 0) != 5)
		bail("send");
	shutdown(f.agent, SHUT_WR);
	say(f.id, WORKER_FLOW_ALLOWED, near);
	cpu = worker_child_cpu_ms(&worker);
	ok(!readable(f.agent, 300) && worker_child_cpu_ms(&worker) - cpu < 50,
	   "a connection in the making is waited for, asleep");
	for (size_t i = 0; i < fillers; i++) {
		close(accept(listener, NULL, NULL));
		close(filler[i]);
	}
	if (readable(listener, 8000))
		got = accept(listener, NULL, NULL);
	if (got >= 0) {
		char buffer[16];

		ok(recv(got, buffer, sizeof(buffer), MSG_WAITALL) == 5 &&
			   !memcmp(buffer, "hello", 5),
		   "once made, what the agent said and its end arrive");
		ok(passes(got, f.agent, "and back"), "and it is answered");
		close(got);
	} else {
		ok(false, "once made, what the agent said and its end arrive");
	}
	flow_close(&f);
}

/* How much of @from's is taken while @to does not read. */
static size_t taken(int from)
{
	static const uint8_t data[65536];
	size_t sum = 0;

	while (sum < 64u << 20) {
		ssize_t n = send(from, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			sum += (size_t)n;
		else if (poll(&(struct pollfd){.fd = from, .events = POLLOUT}, 1, 500) != 1)
			break;
	}
	return sum;
}

static void who_does_not_read_is_not_sent_to(void)
{
	struct flow f = flow_allowed();
	size_t up = taken(f.agent), down = taken(f.far);
	uint64_t cpu = worker_child_cpu_ms(&worker);

	ok(up < 64u << 20 && down < 64u << 20, "unread, %zu and %zu KiB are taken and no more",
	   up >> 10, down >> 10);
	usleep(300000);
	ok(worker_child_cpu_ms(&worker) - cpu < 50, "and the worker sleeps");
	/* Both ends hang up on what nobody wants. */
	reset(f.far);
	usleep(300000);
	ok(worker_child_cpu_ms(&worker) - cpu < 100 && end_of(f.agent, PATIENCE_MS) == -ECONNRESET,
	   "a failure is passed on even then");
	close(f.agent);
}

/* With all of one side's bytes under way, its end must come after them. */
static void the_end_comes_last(void)
{
	struct flow f = flow_allowed();
	size_t sent = taken(f.agent), got = 0;
	char buffer[65536];
	ssize_t n;

	close(f.agent);
	while (readable(f.far, PATIENCE_MS) && (n = recv(f.far, buffer, sizeof(buffer), 0)) > 0)
		got += (size_t)n;
	ok(got == sent, "%zu bytes before the end arrive before the end", sent);
	close(f.far);
}

static void they_are_counted(void)
{
	static struct flow flows[RELAY_CONNECTIONS];
	static const uint8_t data[4 * RELAY_BUFFER];
	long idle = worker_child_number(&worker, "smaps_rollup", "Private_Dirty:"), busy, after;
	unsigned int works = 0;
	struct flow last;
	int beyond;

	for (size_t i = 0; i < ARRAY_LEN(flows); i++) {
		flows[i] = flow_allowed();
		if (send(flows[i].agent, data, sizeof(data), MSG_NOSIGNAL) != sizeof(data))
			bail("send");
	}
	busy = worker_child_number(&worker, "smaps_rollup", "Private_Dirty:");
	beyond = client_socket(false, SOCK_STREAM, worker.port[ASK4]);
	ok(end_of(beyond, PATIENCE_MS) == -ECONNRESET, "the one after the last is reset");
	close(beyond);
	for (size_t i = 0; i < ARRAY_LEN(flows); i++) {
		works += passes(flows[i].far, flows[i].agent, "here");
		reset(flows[i].agent);
		end_of(flows[i].far, PATIENCE_MS);
		close(flows[i].far);
	}
	ok(works == ARRAY_LEN(flows), "%u at once work", works);
	last = flow_allowed();
	ok(passes(last.agent, last.far, "again"), "when they are gone, others work");
	flow_close(&last);
	usleep(100000);
	after = worker_child_number(&worker, "smaps_rollup", "Private_Dirty:");
	ok(busy >= idle + 64 * 16 && after < idle + 256 && after < 2048,
	   "their buffers are given back: %ld, %ld, %ld KiB", idle, busy, after);
}

/* A listener that cannot be served stays readable: the worker must neither spin nor forget it. */
static void without_descriptors_they_wait(void)
{
	struct flow first, second;
	union worker_message m;
	int third, dns;
	uint64_t cpu;
	uint32_t id;

	if (worker_child_stop(&worker))
		bail("the worker does not stop");
	worker.spare = 2;
	worker_child_start(&worker);
	first = flow_asked();
	second = flow_asked();
	cpu = worker_child_cpu_ms(&worker);
	third = client_socket(false, SOCK_STREAM, worker.port[ASK4]);
	dns = client_socket(false, SOCK_STREAM, worker.port[TCP4]);
	if (send(dns, "\0\0", 2, 0) != 2)
		bail("send");
	ok(!hear(&worker, 1200, &m) && !readable(third, 0) && !readable(dns, 0) &&
		   worker_child_cpu_ms(&worker) - cpu < 50,
	   "without a descriptor for it a connection waits, asleep");
	say(first.id, WORKER_FLOW_DENIED, -1);
	say(second.id, WORKER_FLOW_DENIED, -1);
	ok(asked(third, &id), "and is asked about when there is one");
	ok(readable(dns, PATIENCE_MS), "queries over TCP go on, too");
	flow_close(&first);
	flow_close(&second);
	close(third);
	close(dns);
	if (worker_child_stop(&worker))
		bail("the worker does not stop");
	worker.spare = 0;
	worker_child_start(&worker);
}

static void who_goes_before_the_verdict(void)
{
	struct flow f = flow_asked(), g;
	int near, far;

	reset(f.agent);
	usleep(50000);
	g = flow_allowed();
	ok(g.id != f.id && passes(g.agent, g.far, "next"), "a question that is open keeps its id");
	connection(&near, &far);
	say(f.id, WORKER_FLOW_ALLOWED, near);
	ok(end_of(far, PATIENCE_MS) != -ETIMEDOUT, "a verdict for who has gone closes its socket");
	close(far);
	flow_close(&g);
}

static void waiting_ends(void)
{
	struct flow f = flow_asked();
	uint64_t start = now_ms();
	int r = end_of(f.agent, RELAY_TIMEOUT_MS + 3000);

	ok(r == -ECONNRESET && now_ms() - start >= RELAY_TIMEOUT_MS - 100,
	   "without a verdict for 10 s: reset");
	say(f.id, WORKER_FLOW_DENIED, -1);
	close(f.agent);
	f = flow_allowed();
	ok(passes(f.agent, f.far, "x"), "a late verdict harms nobody");
	flow_close(&f);
}

static void the_supervisor_is_checked(void)
{
	struct flow f = flow_asked();

	say(f.id, WORKER_FLOW_ALLOWED, -1);
	ok(worker_child_ended(&worker) == 1, "leave without a socket ends the worker");
	ok(end_of(f.agent, PATIENCE_MS) == -ECONNRESET, "and what waited is reset");
	close(worker.channel);
	close(f.agent);
	worker_child_start(&worker);
	f = flow_asked();
	say(f.id, WORKER_FLOW_DENIED, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	ok(worker_child_ended(&worker) == 1, "and so does a refusal with one");
	close(worker.channel);
	close(f.agent);
	worker_child_start(&worker);
	say(RELAY_ID + RELAY_CONNECTIONS, WORKER_FLOW_DENIED, -1);
	ok(worker_child_ended(&worker) == 1, "and a verdict about nothing");
	close(worker.channel);
	worker_child_start(&worker);
	f = flow_allowed();
	ok(passes(f.agent, f.far, "x"), "each time another one goes on with the same sockets");
	kill(worker.pid, SIGKILL);
	waitpid(worker.pid, NULL, 0);
	ok(end_of(f.agent, PATIENCE_MS) != -ETIMEDOUT && end_of(f.far, PATIENCE_MS) != -ETIMEDOUT,
	   "killed, it leaves no connection that waits");
	flow_close(&f);
	close(worker.channel);
	worker_child_start(&worker);
}

static void ipv6_is_served(void)
{
	union worker_message m;
	int fd;

	if (!(worker.sockets & WORKER_SOCKET_ASK6)) {
		skip("a connection over IPv6", "no ::1 here");
		return;
	}
	fd = client_socket(true, SOCK_STREAM, worker.port[ASK6]);
	ok(hear(&worker, PATIENCE_MS, &m) && m.header.kind == WORKER_ASK_FLOW &&
		   m.ask_flow.peer.address[15] == 1 && m.ask_flow.peer.port == port_of(fd) &&
		   m.ask_flow.local.port == worker.port[ASK6],
	   "a connection over IPv6 is asked about");
	say(m.header.id, WORKER_FLOW_DENIED, -1);
	ok(end_of(fd, PATIENCE_MS) == -ECONNRESET, "and reset");
	close(fd);
}

int main(void)
{
	worker_child_sockets(&worker);
	worker_child_start(&worker);
	nothing_passes_before_the_verdict();
	denied_is_reset();
	ipv6_is_served();
	both_halves_close_alone();
	bulk_arrives_unchanged();
	failures_are_passed_on();
	a_slow_connection_is_waited_for();
	who_does_not_read_is_not_sent_to();
	the_end_comes_last();
	they_are_counted();
	without_descriptors_they_wait();
	who_goes_before_the_verdict();
	waiting_ends();
	the_supervisor_is_checked();
	ok(worker_child_stop(&worker) == 0, "when the supervisor goes, it goes");
	return tap_end();
}

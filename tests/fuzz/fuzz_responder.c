/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A responder between clients and a supervisor that do things in any order: each query that waits
 * is answered exactly once, to who asked, unless it went; each question is asked once; nothing is
 * asked that is known; and the numbers of both stay within their bounds.
 *
 * Three bytes are an act: what, by which client or about which question, about which name.
 */
#include "common/cleanup.h"
#include "proxy/responder.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(held)                                                                                \
	do {                                                                                       \
		if (!(held))                                                                       \
			__builtin_trap();                                                          \
	} while (0)

#define CLIENTS	    8 /* the upper half over TCP */
#define WAITING_MAX 4096
#define QUERY_SIZE  29
#define ACTS_MAX    80
#define SECOND	    1000000000ull

struct waiting {
	uint8_t client, name;
	uint16_t id;
};

struct question {
	uint32_t id;
	uint8_t name;
};

static struct responder *responder;
static struct waiting waiting[WAITING_MAX];
static size_t waiting_len;
static struct question question[RESPONDER_ASKS];
static size_t question_len;
static int channel[2];
static uint64_t now;

static struct dns_client client_of(uint8_t number)
{
	return (struct dns_client){
		.peer = {.port = 1000 + number,
			 .protocol = number < CLIENTS / 2 ? IPPROTO_UDP : IPPROTO_TCP},
		.socket = number % 2,
		.generation = number,
	};
}

static void remove_waiting(size_t i)
{
	waiting[i] = waiting[--waiting_len];
}

static void on_deliver(void *arg, const struct dns_client *client, const uint8_t *data, size_t size)
{
	uint16_t id = (uint16_t)(data[0] << 8 | data[1]);

	uint8_t name;

	CHECK(size >= QUERY_SIZE && size <= DNS_ANSWER_MAX);
	name = (uint8_t)((data[14] - 'a') << 4 | (data[15] - 'a'));
	for (size_t i = 0; i < waiting_len; i++) {
		if (waiting[i].id == id && waiting[i].name == name &&
		    waiting[i].client == client->generation) {
			remove_waiting(i);
			return;
		}
	}
	CHECK(false);
}

/* `n<number>.example`, A. */
static size_t make_query(uint8_t *query, uint16_t id, uint8_t name)
{
	static const uint8_t head[] = {0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 'n'};
	static const uint8_t tail[] = "\7example\0\0\1\0\1";

	memcpy(query, head, sizeof(head));
	query[0] = (uint8_t)(id >> 8);
	query[1] = (uint8_t)id;
	query[14] = (uint8_t)('a' + (name >> 4));
	query[15] = (uint8_t)('a' + (name & 15));
	memcpy(query + 16, tail, sizeof(tail) - 1);
	return 16 + sizeof(tail) - 1;
}

/* Questions that were sent, once each. */
static void listen_to_it(void)
{
	union worker_message m;

	while (worker_message_receive(channel[0], WORKER_FROM_WORKER, &m, NULL, 0, NULL) == 1) {
		uint8_t name;

		CHECK(m.header.kind == WORKER_ASK_NAME && m.ask_name.length == 11);
		CHECK(question_len < RESPONDER_ASKS);
		name = (uint8_t)((m.ask_name.name[1] - 'a') << 4 | (m.ask_name.name[2] - 'a'));
		for (size_t i = 0; i < question_len; i++)
			CHECK(question[i].name != name && question[i].id != m.header.id);
		question[question_len++] = (struct question){m.header.id, name};
	}
}

static void ask(uint8_t who, uint8_t name, bool again)
{
	static uint16_t next_id;
	struct dns_client client = client_of(who % CLIENTS);
	uint16_t id = again ? next_id : ++next_id;
	uint8_t query[64], answer[DNS_ANSWER_MAX];
	size_t size = make_query(query, id, name), answer_size;
	bool retransmission = false;

	for (size_t i = 0; i < waiting_len; i++)
		retransmission |= client.peer.protocol == IPPROTO_UDP && waiting[i].id == id &&
				  waiting[i].client == who % CLIENTS && waiting[i].name == name;
	switch (responder_query(responder, &client, query, size, now, answer, &answer_size)) {
	case RESPONDER_WAITS:
		if (retransmission)
			break;
		CHECK(waiting_len < RESPONDER_WAITERS);
		waiting[waiting_len++] = (struct waiting){who % CLIENTS, name, id};
		break;
	case RESPONDER_ANSWERED:
		CHECK(answer_size >= size && !memcmp(answer, query, 2) && !retransmission);
		break;
	case RESPONDER_IGNORED:
		CHECK(false);
	}
	CHECK(responder_waits(responder) == (waiting_len > 0));
}

static void say(size_t i, uint8_t status)
{
	struct worker_name name = {
		.header.id = question[i].id,
		.status = status % (WORKER_NAME_LIMITED + 1),
		.ttl = status / 16,
	};
	uint8_t about = question[i].name;

	if (name.status == WORKER_NAME_FOUND) {
		name.has = WORKER_NAME_HAS_IPV4;
		name.ipv4[3] = about;
	}
	question[i] = question[--question_len];
	CHECK(responder_answer(responder, &name, now) == 0);
	for (size_t j = 0; j < waiting_len; j++)
		CHECK(waiting[j].name != about);
	CHECK(responder_answer(responder, &name, now) == -EBADMSG);
}

static void act(const uint8_t *data)
{
	struct dns_client client = client_of(data[1] % CLIENTS);

	switch (data[0] % 8) {
	case 0:
	case 1:
		ask(data[1], data[2], false);
		break;
	case 2:
		ask(data[1], data[2], true);
		break;
	case 3:
		/* The channel is full for as long as nobody listens. */
		listen_to_it();
		responder_send(responder);
		break;
	case 4:
		if (question_len)
			say(data[1] % question_len, data[2]);
		break;
	case 5:
		responder_forget(responder, &client);
		for (size_t i = waiting_len; i > 0; i--)
			if (waiting[i - 1].client == data[1] % CLIENTS)
				remove_waiting(i - 1);
		break;
	case 6:
		now += data[2] * SECOND / 16;
		responder_tick(responder, now);
		break;
	case 7:
		for (unsigned int i = 0; i < data[1] % 64; i++)
			ask((uint8_t)i, (uint8_t)(data[2] + i), false);
		if (data[2] == 0)
			responder_flush(responder);
		break;
	}
	CHECK(responder_waits(responder) == (waiting_len > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct responder_options options = {.deliver = on_deliver};

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, channel))
		return 0;
	options.channel = channel[1];
	if (responder_new(&options, &responder))
		return 0;
	waiting_len = question_len = 0;
	now = SECOND;
	for (size_t i = 0; i + 3 <= size && i < 3 * ACTS_MAX; i += 3)
		act(data + i);
	/* Whatever it was, when all is answered nothing is left. */
	do
		listen_to_it();
	while (responder_blocked(responder) && !(responder_send(responder) && !question_len));
	listen_to_it();
	while (question_len)
		say(0, 0);
	CHECK(!waiting_len && !responder_blocked(responder) && !responder_waits(responder));
	responder_free(responder);
	close(channel[0]);
	close(channel[1]);
	return 0;
}

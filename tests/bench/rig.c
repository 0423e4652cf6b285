/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker alone, without a sandbox: this program is its supervisor, admits every connection as
 * one to the host given, and sends it on to the server given. For profiling, and for looking at the
 * proxy without the kernel's part:
 *
 *	rig POLICY.yaml LISTEN-PORT HOST PORT SERVER-ADDRESS SERVER-PORT [TRUST.pem [CA-OUT.pem]]
 *
 * Clients connect to 127.64.0.1:LISTEN-PORT and speak of HOST:PORT. Requests are told on standard
 * error when RIG_VERBOSE is set.
 */
#include "abi.h"
#include "common/cleanup.h"
#include "common/policy.h"
#include "common/worker_protocol.h"
#include "common/worker_record.h"
#include "proxy/tls_ca.h"
#include "proxy/worker.h"
#include "worker_bundle.pb-c.h"

#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define BATCH (WORKER_RECORDS_BYTES + WORKER_RECORDS_HEAD)

static struct {
	int channel, records;
	const char *host;
	uint16_t port;
	struct sockaddr_in server;
	const char *ca_out;
} rig;

static int listener(uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	address.sin_addr.s_addr = htonl(OS_PROXY_IPV4 + 1);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 4096))
		err(1, "port %u", port);
	return fd;
}

static uint8_t *read_file(const char *path, size_t *ret_size)
{
	FILE *f = fopen(path, "re");
	uint8_t *data = malloc(8 << 20);

	if (!f || !data)
		err(1, "%s", path);
	*ret_size = fread(data, 1, 8 << 20, f);
	fclose(f);
	return data;
}

static void send_policy(const char *policy_file, const char *trust_file)
{
	Openshell__Worker__V1__WorkerBundle bundle = OPENSHELL__WORKER__V1__WORKER_BUNDLE__INIT;
	Openshell__Compiled__V1__CompiledPolicy *compiled;
	union worker_message message;
	struct policy *policy;
	struct error error = {};
	uint8_t *packed;
	size_t size;
	int fd;

	if (policy_load_file(policy_file, &policy, NULL, &error) ||
	    policy_compile(policy, &compiled, &error))
		errx(1, "%s", error.message);
	bundle.generation = 1;
	bundle.sandbox = (char *)"rig";
	bundle.policy.len = openshell__compiled__v1__compiled_policy__get_packed_size(compiled);
	bundle.policy.data = malloc(bundle.policy.len + 1);
	openshell__compiled__v1__compiled_policy__pack(compiled, bundle.policy.data);
	if (trust_file)
		bundle.trust.data = read_file(trust_file, &bundle.trust.len);
	size = openshell__worker__v1__worker_bundle__get_packed_size(&bundle);
	packed = malloc(size + 1);
	openshell__worker__v1__worker_bundle__pack(&bundle, packed);
	fd = memfd_create("bundle", MFD_CLOEXEC);
	if (fd < 0 || write(fd, packed, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET))
		err(1, "memfd");
	worker_message_init(&message, WORKER_POLICY, 0);
	message.policy.generation = 1;
	message.policy.size = (uint32_t)size;
	if (worker_message_send(rig.channel, &message, &fd, 1))
		err(1, "channel");
	close(fd);
	policy_compiled_free(compiled);
	policy_free(policy);
}

static void answer_origin(uint32_t id)
{
	union worker_message message;
	struct worker_origin *origin = &message.origin;

	worker_message_init(&message, WORKER_ORIGIN, id);
	origin->status = WORKER_FLOW_ALLOWED;
	origin->generation = 1;
	origin->pid = origin->ns_pid = 1;
	memset(origin->rules, 0xff, sizeof(origin->rules));
	origin->asked[10] = origin->asked[11] = 0xff;
	origin->asked[12] = 198;
	origin->asked[13] = 18;
	origin->asked[15] = 1;
	origin->port = rig.port;
	origin->host_length = (uint16_t)strlen(rig.host);
	memcpy(origin->host, rig.host, origin->host_length);
	origin->binary_length = 4;
	memcpy(origin->binary, "/rig", 4);
	worker_message_send(rig.channel, &message, NULL, 0);
}

static void answer_upstream(uint32_t id)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	union worker_message message;

	worker_message_init(&message, WORKER_UPSTREAM, id);
	message.upstream.status = WORKER_UPSTREAM_FOUND;
	message.upstream.port = ntohs(rig.server.sin_port);
	message.upstream.real[10] = message.upstream.real[11] = 0xff;
	memcpy(message.upstream.real + 12, &rig.server.sin_addr, 4);
	if (connect(fd, (struct sockaddr *)&rig.server, sizeof(rig.server)) &&
	    errno != EINPROGRESS) {
		message.upstream.status = WORKER_UPSTREAM_FAILED;
		message.upstream.error = -errno;
	}
	worker_message_send(rig.channel, &message, &fd,
			    message.upstream.status == WORKER_UPSTREAM_FOUND);
	close(fd);
}

static void write_ca(const struct worker_ca *ca)
{
	FILE *f = rig.ca_out ? fopen(rig.ca_out, "we") : NULL;

	if (!f)
		return;
	fwrite(ca->der, 1, ca->length, f);
	fclose(f);
}

static void hear(void)
{
	union worker_message message;
	int r = worker_message_receive(rig.channel, WORKER_FROM_WORKER, &message, NULL, 0,
				       &(size_t){0});

	if (r <= 0)
		errx(1, "the worker has gone: %d", r);
	switch (message.header.kind) {
	case WORKER_ASK_ORIGIN:
		answer_origin(message.header.id);
		break;
	case WORKER_ASK_UPSTREAM:
		answer_upstream(message.header.id);
		break;
	case WORKER_CA:
		write_ca(&message.ca);
		break;
	}
}

static void hear_records(void)
{
	static uint8_t batch[BATCH];
	struct worker_records_reader reader;
	struct worker_record record;
	ssize_t n = recv(rig.records, batch, sizeof(batch), 0);

	if (n <= 0 || !getenv("RIG_VERBOSE"))
		return;
	if (worker_records_read(batch, (size_t)n, &reader))
		errx(1, "a batch that cannot be read");
	while (worker_records_next(&reader, &record) > 0)
		fprintf(stderr, "%u %.*s %.*s status %u verdict %u up %lu down %lu %lu us %.*s\n",
			record.kind, (int)record.text[WORKER_RECORD_METHOD].size,
			record.text[WORKER_RECORD_METHOD].data,
			(int)record.text[WORKER_RECORD_PATH].size,
			record.text[WORKER_RECORD_PATH].data, record.status, record.verdict,
			record.up, record.down, record.microseconds,
			(int)record.text[WORKER_RECORD_REASON].size,
			record.text[WORKER_RECORD_REASON].data);
}

int main(int argc, char **argv)
{
	int channel[2], records[2], fds[2];
	struct tls_ca_store *store;

	if (argc < 7)
		errx(2, "rig POLICY LISTEN HOST PORT SERVER SERVER-PORT [TRUST [CA-OUT]]");
	rig.host = argv[3];
	rig.port = (uint16_t)strtoul(argv[4], NULL, 10);
	rig.server.sin_family = AF_INET;
	rig.server.sin_port = htons((uint16_t)strtoul(argv[6], NULL, 10));
	inet_pton(AF_INET, argv[5], &rig.server.sin_addr);
	rig.ca_out = argc > 8 ? argv[8] : NULL;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, records) ||
	    tls_ca_store_new(&store))
		err(1, "sockets");
	fds[0] = listener((uint16_t)strtoul(argv[2], NULL, 10));
	fds[1] = records[1];
	fcntl(records[1], F_SETFL, O_NONBLOCK);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(channel[0]);
		_exit(-worker_main(channel[1], WORKER_SOCKET_PROXY | WORKER_SOCKET_RECORDS, fds,
				   store));
	}
	close(channel[1]);
	rig.channel = channel[0];
	rig.records = records[0];
	send_policy(argv[1], argc > 7 ? argv[7] : NULL);
	for (;;) {
		struct pollfd pollfd[2] = {{.fd = rig.channel, .events = POLLIN},
					   {.fd = rig.records, .events = POLLIN}};

		poll(pollfd, 2, -1);
		if (pollfd[0].revents)
			hear();
		if (pollfd[1].revents)
			hear_records();
	}
}

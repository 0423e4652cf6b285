/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A resolver that answers a name as the name says: "twice", "unasked", "silent", "exit", "open"
 * (for writing), "hosts" and "program" (if it can read these files); everything else is at
 * 203.0.113.9. For the second of the two programs that the test has made of
 * openshell-proxy.
 */
#include "proxy/resolver.h"

#include "common/worker_protocol.h"

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

static void answer(int channel, uint32_t id)
{
	static const uint8_t address[16] = {[10] = 0xff, 0xff, 203, 0, 113, 9};
	union worker_message m;

	worker_message_init(&m, WORKER_FOUND, id);
	m.found.count = 1;
	m.found.ttl = 60;
	memcpy(m.found.address[0], address, sizeof(address));
	worker_message_send(channel, &m, NULL, 0);
}

static bool can_read(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int resolver_main(int channel)
{
	union worker_message m;

	worker_message_init(&m, WORKER_READY, 0);
	worker_message_send(channel, &m, NULL, 0);
	for (;;) {
		struct pollfd wait = {.fd = channel, .events = POLLIN};

		if (poll(&wait, 1, -1) < 0 ||
		    worker_message_receive(channel, WORKER_TO_RESOLVER, &m, NULL, 0, NULL) <= 0)
			return 0;
		if (!strcmp(m.lookup.name, "silent.example"))
			continue;
		if (!strcmp(m.lookup.name, "exit.example"))
			return 0;
		if (!strcmp(m.lookup.name, "open.example"))
			open("/etc/hosts", O_RDWR);
		if ((!strcmp(m.lookup.name, "hosts.example") && !can_read("/etc/hosts")) ||
		    (!strcmp(m.lookup.name, "program.example") && !can_read("/proc/self/exe")))
			continue;
		if (!strcmp(m.lookup.name, "unasked.example"))
			m.header.id++;
		answer(channel, m.header.id);
		if (!strcmp(m.lookup.name, "twice.example"))
			answer(channel, m.header.id);
	}
}

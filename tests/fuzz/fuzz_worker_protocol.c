/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a packet to every receiver: what is taken is of a kind that this receiver expects,
 * is byte for byte what was sent, and has nothing in it that its reader would have to check again.
 */
#include "common/inference.h"
#include "common/worker_protocol.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const expected[] = {
	[WORKER_TO_ZYGOTE] = "\1",
	[WORKER_FROM_ZYGOTE] = "\2",
	[WORKER_TO_WORKER] = "\14\15\16\17\23\26\30",
	[WORKER_FROM_WORKER] = "\3\12\13\20\21\22\27",
	[WORKER_TO_RESOLVER] = "\24",
	[WORKER_FROM_RESOLVER] = "\3\25",
};

/* The definition of a name once more, by splitting instead of scanning. */
static bool is_name(const char *name, size_t length)
{
	const char *label = name, *end = name + length;

	if (length < 1 || length > 253)
		return false;
	for (;;) {
		const char *dot = memchr(label, '.', (size_t)(end - label));
		const char *stop = dot ? dot : end;
		size_t digits = 0, hex = 0, len = (size_t)(stop - label);

		if (len < 1 || len > 63)
			return false;
		for (const char *c = label; c < stop; c++) {
			if (*c & 0x80 || isupper(*c) || (!isalnum(*c) && *c != '-' && *c != '_'))
				return false;
			digits += isdigit(*c) != 0;
			hex += c >= label + 2 && isxdigit(*c);
		}
		if (!dot)
			return digits != len &&
			       !(len >= 2 && !memcmp(label, "0x", 2) && hex == len - 2);
		label = dot + 1;
	}
}

static bool is_sound(const union worker_message *m)
{
	switch (m->header.kind) {
	case WORKER_FORK:
		return m->fork.uid && m->fork.sockets < 1u << WORKER_SOCKETS;
	case WORKER_ASK_NAME:
		return is_name(m->ask_name.name, m->ask_name.length) && m->ask_name.peer.port;
	case WORKER_LOOKUP:
		return is_name(m->lookup.name, m->lookup.length) &&
		       m->lookup.name[m->lookup.length] == '\0';
	case WORKER_FOUND:
		return m->found.count <= WORKER_ADDRESSES_MAX;
	case WORKER_NAME:
		return m->name.status <= WORKER_NAME_LIMITED && m->name.has < 4;
	case WORKER_POLICY:
		return m->policy.generation && m->policy.size &&
		       m->policy.size <= WORKER_BUNDLE_MAX;
	case WORKER_ASK_ORIGIN:
		return m->ask_origin.local.address[12] == 127 &&
		       m->ask_origin.local.address[13] >> 6 == 1;
	case WORKER_ASK_UPSTREAM:
		return m->ask_upstream.port && m->ask_upstream.generation;
	case WORKER_ORIGIN:
		return m->origin.status == WORKER_FLOW_DENIED ||
		       (m->origin.generation && strlen(m->origin.host) == m->origin.host_length &&
			strnlen(m->origin.binary, WORKER_BINARY_MAX) == m->origin.binary_length);
	case WORKER_UPSTREAM:
		return m->upstream.status != WORKER_UPSTREAM_FOUND || m->upstream.port;
	case WORKER_ASK_ROUTE:
		return m->ask_route.port && strlen(m->ask_route.host) == m->ask_route.length;
	case WORKER_PROBE:
		return m->probe.route < INFERENCE_ROUTES_MAX;
	case WORKER_CA:
		return m->ca.length >= 2 && m->ca.length <= WORKER_CA_MAX && m->ca.der[0] == 0x30;
	default:
		return true;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int receiver = WORKER_TO_ZYGOTE; receiver <= WORKER_FROM_RESOLVER; receiver++) {
		union worker_message m;

		if (worker_message_read((enum worker_receiver)receiver, data, size, &m))
			continue;
		if (m.header.kind > 255 || !strchr(expected[receiver], m.header.kind) ||
		    m.header.size != size || memcmp(&m, data, size) || !is_sound(&m))
			__builtin_trap();
	}
	if ((worker_name_check((const char *)data, size) == 0) != is_name((const char *)data, size))
		__builtin_trap();
	return 0;
}

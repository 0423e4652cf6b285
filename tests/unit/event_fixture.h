/* SPDX-License-Identifier: Apache-2.0 */
/* Records as a kernel program would write them, for the tests of what reads them. */
#pragma once

#include "common/event.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURE_TIME 1000000000ull /* CLOCK_BOOTTIME of every record */
/* 2026-04-01T04:04:32.118Z */
#define FIXTURE_OFFSET (1775016272118000000ll - (int64_t)FIXTURE_TIME)

struct record {
	struct os_event event;
	char data[3 * 8192];
};

/* Append @path as components from the leaf up; returns the bytes used. */
static inline size_t fixture_components(char *data, const char *path)
{
	size_t out = 0, end = strlen(path);

	while (end) {
		size_t start = end;

		while (start && path[start - 1] != '/')
			start--;
		memcpy(data + out, path + start, end - start);
		out += end - start;
		data[out++] = '\0';
		end = start ? start - 1 : 0;
	}
	return out;
}

static inline size_t fixture_size(const struct record *r)
{
	return sizeof(r->event) + r->event.exe_len + r->event.path_len + r->event.path2_len;
}

/* A denial at @hook of /usr/bin/cat(66), without an object. */
static inline void fixture_record(struct record *r, uint32_t hook, uint32_t kind)
{
	memset(r, 0, sizeof(*r));
	r->event.time = FIXTURE_TIME;
	r->event.start_time = FIXTURE_TIME / 2;
	r->event.slot = 1;
	r->event.generation = 7;
	r->event.pid = 4066;
	r->event.ns_pid = 66;
	r->event.uid = 1500;
	r->event.kind = (uint16_t)kind;
	r->event.hook = (uint16_t)hook;
	r->event.verdict = OS_EVENT_DENIED;
	r->event.reason = OS_REASON_RIGHT;
	r->event.error = -EACCES;
	r->event.endpoint = OS_EVENT_NO_ENDPOINT;
	r->event.exe = (struct os_file_id){.ino = 11, .dev = 8 << 20 | 1};
	memcpy(r->event.comm, "cat", 3);
	r->event.exe_len = (uint16_t)fixture_components(r->data, "/usr/bin/cat");
}

/* Give it an object, below the filesystem 8:1, and what was wanted and held there. */
static inline void fixture_object(struct record *r, const char *path, uint32_t wanted,
				  uint32_t held)
{
	r->event.object = (struct os_file_id){.ino = 12, .dev = 8 << 20 | 1};
	r->event.path_len = (uint16_t)fixture_components(r->data + r->event.exe_len, path);
	r->event.wanted = wanted;
	r->event.held = held;
}

static inline void fixture_exe(struct record *r, const char *path)
{
	r->event.exe_len = (uint16_t)fixture_components(r->data, path);
}

/* A record about @address (IPv4 or IPv6) and @port. */
static inline void fixture_endpoint(struct record *r, const char *address, uint16_t port)
{
	struct in_addr v4;

	if (inet_pton(AF_INET, address, &v4) == 1) {
		r->event.family = AF_INET;
		r->event.address[10] = r->event.address[11] = 0xff;
		memcpy(r->event.address + 12, &v4, 4);
	} else {
		r->event.family = AF_INET6;
		inet_pton(AF_INET6, address, r->event.address);
	}
	r->event.port = port;
	r->event.protocol = IPPROTO_TCP;
}

/* 8:1 is mounted at /, everything else nowhere. */
static inline int fixture_path(const void *arg, const struct os_file_id *file, const char *inside,
			       char *ret_path, size_t size)
{
	if (file->dev != (8 << 20 | 1))
		return EVENT_PATH_INSIDE;
	return snprintf(ret_path, size, "%s", inside) < (int)size ? EVENT_PATH_FULL : -ENAMETOOLONG;
}

static inline struct event_context
fixture_context(const Openshell__Compiled__V1__CompiledPolicy *policy)
{
	return (struct event_context){
		.sandbox = "demo",
		.policy = policy,
		.generation = 7,
		.clock_offset = FIXTURE_OFFSET,
		.path = fixture_path,
	};
}

/* Decode from a copy that ends where the record ends, so that a sanitizer sees a read past it. */
static inline int fixture_decode(const struct record *r,
				 const Openshell__Compiled__V1__CompiledPolicy *policy,
				 struct event *ret_event)
{
	struct event_context ctx = fixture_context(policy);
	size_t size = fixture_size(r);
	void *copy = malloc(size);
	int result;

	memcpy(copy, r, size);
	result = event_decode(copy, size, &ctx, ret_event);
	free(copy);
	return result;
}

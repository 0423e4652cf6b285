/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the head of a request to a service. What has been refused stays so with more bytes
 * behind it, what was found stays found, and names that come out are no longer than names are.
 */
#include "gateway/service_head.h"

#include <errno.h>
#include <string.h>

#define CHECK(held)                                                                                \
	do {                                                                                       \
		if (!(held))                                                                       \
			__builtin_trap();                                                          \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name, size_t size)
{
	CHECK(strnlen(name, size) < size);
	for (const char *p = name; *p; p++)
		CHECK((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct service_name whole = {}, part;
	int r = service_head_parse(data, size, &whole);

	CHECK(r == 0 || r == -EAGAIN || r == -EBADMSG || r == -ENOENT);
	if (!r) {
		CHECK(*whole.sandbox);
		check_name(whole.service, sizeof(whole.service));
		check_name(whole.sandbox, sizeof(whole.sandbox));
		check_name(whole.workspace, sizeof(whole.workspace));
	}
	for (size_t n = 0; n < size && n < 512; n++) {
		int before = service_head_parse(data, n, &part);

		CHECK(before == -EAGAIN || before == r);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Two globs and a text, separated by NULs: what both match is an overlap, and order is no matter.
 */
#include "common/cleanup.h"
#include "common/policy_glob.h"
#include "common/policy_host.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char canonical[POLICY_HOST_MAX + 1], again[POLICY_HOST_MAX + 1];
	size_t steps = 1 << 22, steps_reverse = 1 << 22;
	_cleanup_free_ char *text = malloc(size + 3);
	const char *a, *b, *c, *why = NULL;
	enum policy_host_kind kind;
	int forth, back;

	if (!text)
		return 0;
	memcpy(text, data, size);
	memset(text + size, 0, 3);
	a = text;
	b = a + strlen(a) + 1;
	c = b < text + size ? b + strlen(b) + 1 : b;
	if (c > text + size)
		c = text + size;

	forth = policy_glob_overlap(a, b, '/', 0, &steps);
	back = policy_glob_overlap(b, a, '/', 0, &steps_reverse);
	if (forth != back)
		__builtin_trap();
	if (!forth && policy_glob_match(a, c, '/', 0) && policy_glob_match(b, c, '/', 0))
		__builtin_trap();
	/* a deny rule's reading matches whatever an allow rule's does */
	if (policy_glob_match(a, c, '/', 0) && !policy_glob_match(a, c, '/', POLICY_GLOB_CROSS))
		__builtin_trap();
	if (policy_glob_match(a, c, '/', 0) && policy_glob_check(a))
		__builtin_trap();

	/* a canonical host is canonical */
	if (!policy_host_parse(a, &kind, canonical, &why) &&
	    (policy_host_parse(canonical, &kind, again, &why) || strcmp(canonical, again)))
		__builtin_trap();
	return 0;
}

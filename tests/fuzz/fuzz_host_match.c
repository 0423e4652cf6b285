/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host of a policy and a name, separated by a NUL: the matcher agrees with a second one that
 * works backwards and by recursion, and with what the policy's own check says about overlaps. Bytes
 * that no host has are mapped to ones that it can have, so that few inputs are wasted.
 */
#include "common/policy_host.h"
#include "common/worker_protocol.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * The first @host bytes of one string against the first @name of the other, from their ends. A star
 * that is a whole label takes a label; `**` at the very beginning takes what is left, if that is
 * whole labels. @steps keeps hostile stars from taking forever.
 */
static int match_ends(const char *host, size_t host_len, const char *name, size_t name_len,
		      size_t *steps)
{
	size_t least;

	if (!(*steps)--)
		return -1;
	if (!host_len)
		return !name_len;
	if (host_len == 2 && host[0] == '*' && host[1] == '*')
		return name_len > 0 && name[0] != '.' && name[name_len - 1] != '.';
	if (host[host_len - 1] != '*')
		return name_len && host[host_len - 1] == name[name_len - 1]
			       ? match_ends(host, host_len - 1, name, name_len - 1, steps)
			       : 0;
	/* Between two separators a star must not be empty; elsewhere it may. */
	least = (host_len == 1 || host[host_len - 2] == '.') && host[host_len] == '.';
	for (size_t take = least; take <= name_len; take++) {
		int r;

		if (take && name[name_len - take] == '.')
			break;
		r = match_ends(host, host_len - 1, name, name_len - take, steps);
		if (r)
			return r;
	}
	return 0;
}

static size_t map(const uint8_t *data, size_t size, const char *alphabet, char *to, size_t max)
{
	size_t n = 0;

	for (; n < size && n < max && data[n]; n++)
		to[n] = alphabet[data[n] % strlen(alphabet)];
	to[n] = '\0';
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char host[POLICY_HOST_MAX + 1], canonical[POLICY_HOST_MAX + 1], name[WORKER_NAME_MAX + 1];
	size_t used = map(data, size, "abc*.-*.0", host, POLICY_HOST_MAX);
	size_t overlap_steps = 1 << 20, steps = 1 << 16, name_len;
	enum policy_host_kind kind;
	const char *why;
	int wanted, overlap;
	bool match;

	while (used < size && data[used++])
		;
	name_len = map(data + used, size - used, "abc.a.-0", name, WORKER_NAME_MAX);
	if (policy_host_parse(host, &kind, canonical, &why) || kind == POLICY_HOST_ADDRESS ||
	    worker_name_check(name, name_len))
		return 0;
	match = policy_host_match(canonical, name);
	wanted = match_ends(canonical, strlen(canonical), name, name_len, &steps);
	if (wanted >= 0 && match != wanted)
		__builtin_trap();
	overlap = policy_host_overlap(canonical, name, &overlap_steps);
	if (overlap >= 0 && match != overlap)
		__builtin_trap();
	if (!policy_host_match(name, name))
		__builtin_trap();
	return 0;
}

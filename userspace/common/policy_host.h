/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host names and host patterns of a policy: an exact name, a literal address, or labels with
 * wildcards (`*` one label or a part of the first, a leading `**` one or more labels). Pure
 * functions; any thread. Fails closed: what is not clearly a host is refused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define POLICY_HOST_MAX 253 /* RFC 1035 section 2.3.4, in text */

enum policy_host_kind {
	POLICY_HOST_NAME,
	POLICY_HOST_ADDRESS,
	POLICY_HOST_WILDCARD,
};

/*
 * Classify @host and write its canonical form: lower case, or the canonical text of an address.
 * -EINVAL with @ret_why set to a sentence's end, such as "'*' alone would admit every host".
 */
int policy_host_parse(const char *host, enum policy_host_kind *ret_kind,
		      char ret_canonical[POLICY_HOST_MAX + 1], const char **ret_why);

/* Whether some name matches both canonical hosts; as policy_glob_overlap(). */
int policy_host_overlap(const char *a, const char *b, size_t *steps);

/*
 * Whether @name, in canonical form (worker_name_check() says which), is one that the canonical
 * @host names. `*` is one whole label, or any part of the first one, nothing included; a leading
 * `**` is one or more labels.
 */
bool policy_host_match(const char *host, const char *name);

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy_host.h"
#include "common/policy_address.h"
#include "common/policy_glob.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* Sentences for what people paste where a host belongs. */
static const char *mistaken(const char *host)
{
	const char *colon = strchr(host, ':');

	if (!*host)
		return "it is empty";
	if (strstr(host, "://"))
		return "a host has no scheme: write the name only";
	if (strchr(host, '/'))
		return "a host has no path; CIDRs belong in 'allowed_ips'";
	if (strchr(host, '@'))
		return "a host has no user: write the name only";
	if (host[0] == '[')
		return "an IPv6 address is written without brackets";
	if (colon && !strchr(colon + 1, ':'))
		return "a host has no port: write it as 'port'";
	if (colon)
		return "it is not an IPv6 address";
	if (strlen(host) > POLICY_HOST_MAX)
		return "it is longer than 253 characters";
	if (host[strlen(host) - 1] == '.')
		return "a name has no dot at its end";
	for (const char *c = host; *c; c++)
		if (*c & 0x80)
			return "a name has ASCII characters only: write the xn-- form";
	return NULL;
}

static const char *check_label(const char *label, size_t len, bool is_first)
{
	size_t stars = 0;

	if (!len)
		return "it has an empty label";
	if (len > 63)
		return "a label is longer than 63 characters";
	for (size_t i = 0; i < len; i++) {
		stars += label[i] == '*';
		if (!isalnum((unsigned char)label[i]) && !strchr("-_*", label[i]))
			return "a name has letters, digits, '-', '_' and dots only";
	}
	if (label[0] == '-' || label[len - 1] == '-')
		return "a label begins or ends with '-'";
	if (stars && len == 1)
		return NULL;
	if (!strncmp(label, "**", 2) && len == 2)
		return is_first ? NULL : "'**' can only be the whole first label";
	if (memmem(label, len, "**", 2))
		return "'**' can only be the whole first label";
	if (stars && !is_first)
		return "a wildcard after the first label must be the whole label";
	return NULL;
}

static bool is_number(const char *label, size_t len)
{
	if (len > 2 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X'))
		return strspn(label + 2, "0123456789abcdefABCDEF") >= len - 2;
	return len && strspn(label, "0123456789") >= len;
}

static const char *check_name(const char *host, bool *ret_wildcard)
{
	const char *label = host;
	size_t labels = 0, last_wildcard = 0; /* number of the last label with a star */

	if (!strcmp(host, "*") || !strcmp(host, "**"))
		return "it would admit every host; name the hosts";
	for (;;) {
		size_t len = strcspn(label, ".");
		const char *why = check_label(label, len, labels == 0);

		if (why)
			return why;
		labels++;
		if (memchr(label, '*', len))
			last_wildcard = labels;
		if (!label[len]) {
			if (is_number(label, len))
				return "it looks like an address but is not one: write four "
				       "decimal numbers";
			break;
		}
		label += len + 1;
	}
	if (last_wildcard && last_wildcard + 2 > labels)
		return "a wildcard directly under a top-level domain would admit strangers' hosts";
	*ret_wildcard = last_wildcard > 0;
	return NULL;
}

int policy_host_parse(const char *host, enum policy_host_kind *ret_kind,
		      char ret_canonical[POLICY_HOST_MAX + 1], const char **ret_why)
{
	char text[POLICY_CIDR_TEXT_MAX];
	struct policy_cidr address;
	bool wildcard = false;
	const char *why;
	size_t i;

	if (!policy_address_parse(host, &address)) {
		policy_cidr_format(&address, true, text);
		memcpy(ret_canonical, text, strlen(text) + 1);
		*ret_kind = POLICY_HOST_ADDRESS;
		return 0;
	}
	why = mistaken(host);
	if (!why)
		why = check_name(host, &wildcard);
	if (why) {
		*ret_why = why;
		return -EINVAL;
	}
	for (i = 0; host[i]; i++)
		ret_canonical[i] = (char)tolower((unsigned char)host[i]);
	ret_canonical[i] = '\0';
	*ret_kind = wildcard ? POLICY_HOST_WILDCARD : POLICY_HOST_NAME;
	return 0;
}

/* The ends after the last wildcard must agree: settles nearly every pair without a search. */
static bool ends_agree(const char *a, const char *b)
{
	size_t i = strlen(a), j = strlen(b);

	while (i > 0 && j > 0 && a[i - 1] != '*' && b[j - 1] != '*')
		if (a[--i] != b[--j])
			return false;
	return true;
}

int policy_host_overlap(const char *a, const char *b, size_t *steps)
{
	if (!strchr(a, '*') && !strchr(b, '*'))
		return !strcmp(a, b);
	if (!ends_agree(a, b))
		return 0;
	return policy_glob_overlap(a, b, '.', 0, steps);
}

static size_t count_labels(const char *name)
{
	size_t labels = 1;

	for (; *name; name++)
		labels += *name == '.';
	return labels;
}

/* When a star was too short, it takes one character more: going back to the last one is enough. */
static bool label_match(const char *pattern, size_t pattern_len, const char *label, size_t len)
{
	size_t i = 0, j = 0, after_star = 0, taken = 0;

	while (j < len) {
		if (i < pattern_len && pattern[i] == '*') {
			after_star = ++i;
			taken = j;
		} else if (i < pattern_len && pattern[i] == label[j]) {
			i++;
			j++;
		} else if (after_star) {
			i = after_star;
			j = ++taken;
		} else {
			return false;
		}
	}
	while (i < pattern_len && pattern[i] == '*')
		i++;
	return i == pattern_len;
}

bool policy_host_match(const char *host, const char *name)
{
	if (!strncmp(host, "**.", 3)) {
		size_t labels = count_labels(name), rest = count_labels(host + 3);

		if (labels <= rest)
			return false;
		for (host += 3; labels > rest; labels--) {
			size_t len = strcspn(name, ".");

			if (!len)
				return false;
			name += len + 1;
		}
	}
	for (;;) {
		size_t pattern_len = strcspn(host, "."), len = strcspn(name, ".");

		if (!len || !label_match(host, pattern_len, name, len))
			return false;
		host += pattern_len;
		name += len;
		if (!*host || !*name)
			return *host == *name;
		host++;
		name++;
	}
}

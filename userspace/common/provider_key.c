/* SPDX-License-Identifier: Apache-2.0 */
#include "common/provider_key.h"

#include <string.h>

bool provider_key_is_valid(const char *name)
{
	size_t len = strlen(name);

	return len && len <= PROVIDER_KEY_MAX && !(name[0] >= '0' && name[0] <= '9') &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
		       len;
}

bool provider_key_is_ambiguous(const char *name)
{
	if (name[0] == 'v') {
		size_t digits = strspn(name + 1, "0123456789");

		return digits && name[1 + digits] == '_';
	}
	return name[0] == 's' && strspn(name + 1, "0123456789abcdef") == 64 && name[65] == '_';
}

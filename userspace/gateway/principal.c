/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/principal.h"

#include <stdlib.h>
#include <string.h>

static void free_strings(char **strings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(strings[i]);
	free(strings);
}

void principal_clear(struct principal *principal)
{
	free(principal->subject);
	free(principal->display_name);
	free_strings(principal->role, principal->roles);
	free_strings(principal->scope, principal->scopes);
	*principal = (struct principal){};
}

static bool has(char *const *strings, size_t count, const char *text)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(strings[i], text))
			return true;
	return false;
}

bool principal_has_role(const struct principal *principal, const char *role)
{
	return has(principal->role, principal->roles, role);
}

bool principal_has_scope(const struct principal *principal, const char *scope)
{
	return has(principal->scope, principal->scopes, scope);
}

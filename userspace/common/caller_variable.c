/* SPDX-License-Identifier: Apache-2.0 */
#include "common/caller_variable.h"

#include <stdlib.h>

static __thread const struct caller_variables *used;

const char *caller_variable(const char *name)
{
	return used ? used->find(used->arg, name) : getenv(name);
}

const char *caller_variables_place(void)
{
	return used && used->place ? used->place : "in the environment";
}

const char *caller_variables_sudo(void)
{
	return !used && getenv("SUDO_UID") ? "; sudo keeps it with --preserve-env=" : "";
}

void caller_variables_use(const struct caller_variables *variables)
{
	used = variables;
}

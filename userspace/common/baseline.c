/* SPDX-License-Identifier: Apache-2.0 */
#include "common/baseline.h"

#include "common/cleanup.h"

const struct baseline_path baseline_paths[] = {
	{"/usr", RIGHTS_READ_ONLY},   {"/lib", RIGHTS_READ_ONLY},
	{"/lib64", RIGHTS_READ_ONLY}, {"/bin", RIGHTS_READ_ONLY},
	{"/sbin", RIGHTS_READ_ONLY},  {"/etc", RIGHTS_READ_ONLY},
	{"/app", RIGHTS_READ_ONLY},   {"/var/log", RIGHTS_READ_ONLY},
	{"/proc", RIGHTS_READ_ONLY},  {"/dev/urandom", RIGHTS_READ_ONLY},
	{"/tmp", RIGHTS_READ_WRITE},  {"/dev/null", RIGHTS_READ_WRITE},
};
const size_t baseline_paths_len = ARRAY_LEN(baseline_paths);

enum rights_access baseline_access(Openshell__Compiled__V1__PathAccess access)
{
	switch (access) {
	case OPENSHELL__COMPILED__V1__PATH_ACCESS__PATH_ACCESS_READ_ONLY:
		return RIGHTS_READ_ONLY;
	case OPENSHELL__COMPILED__V1__PATH_ACCESS__PATH_ACCESS_READ_WRITE:
		return RIGHTS_READ_WRITE;
	case OPENSHELL__COMPILED__V1__PATH_ACCESS__PATH_ACCESS_DENY:
		return RIGHTS_DENY;
	default:
		return (enum rights_access)0;
	}
}

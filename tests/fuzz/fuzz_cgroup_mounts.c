/* SPDX-License-Identifier: Apache-2.0 */
/* mountinfo of any bytes: what is found is a whole path from the text, and never cut. */
#include "supervisor/cgroup_mounts.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cgroup_mounts mounts;

	cgroup_mounts_parse(data, size, &mounts);
	if (memchr(mounts.v2, '\0', sizeof(mounts.v2)) == NULL || strlen(mounts.v2) > size ||
	    mounts.v2_depth > size)
		abort();
	for (int c = 0; c < CGROUP_CONTROLLERS; c++)
		if (memchr(mounts.v1[c], '\0', sizeof(mounts.v1[c])) == NULL ||
		    strlen(mounts.v1[c]) > size)
			abort();
	return 0;
}

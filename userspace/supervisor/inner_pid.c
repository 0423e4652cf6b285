/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/inner_pid.h"

#include "common/cleanup.h"

#include <string.h>

uint32_t inner_pid(uint32_t pid, uint32_t *ret_uid)
{
	_cleanup_fclose_ FILE *status = NULL;
	char path[32], line[256];
	uint32_t uid = 0, inner = 0;

	snprintf(path, sizeof(path), "/proc/%u/status", pid);
	status = fopen(path, "re");
	while (status && fgets(line, sizeof(line), status)) {
		const char *last = strrchr(line, '\t');

		if (!strncmp(line, "Uid:\t", 5))
			uid = (uint32_t)strtoul(line + 5, NULL, 10);
		else if (!strncmp(line, "NSpid:\t", 7) && last)
			inner = (uint32_t)strtoul(last + 1, NULL, 10);
	}
	if (inner && ret_uid)
		*ret_uid = uid;
	return inner;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* mountinfo of any bytes, and the paths that come out of it. */
#include "common/event.h"
#include "supervisor/mount_table.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mount_table table = {0};
	char path[64];

	if (mount_table_parse(data, size, &table, NULL) < 0)
		return 0;
	for (size_t i = 0; i < table.len; i++) {
		struct os_file_id file = {.dev = table.entry[i].dev};
		int r;

		if (table.entry[i].root[0] != '/' || table.entry[i].point[0] != '/')
			abort();
		r = mount_table_path(&table, &file, table.entry[i].root, path, sizeof(path));
		if (r >= 0 && r != EVENT_PATH_FULL)
			abort();
		mount_table_path(&table, &file, "/a/b", path, sizeof(path));
	}
	mount_table_free(&table);
	return 0;
}

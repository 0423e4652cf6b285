/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/runtime_dir.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int make(char *path, struct error *err)
{
	struct stat st;

	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		if (mkdir(path, 0700) && errno != EEXIST)
			return error_set(err, -errno, "cannot make %s: %s", path, strerror(errno));
		*p = '/';
	}
	if (mkdir(path, 0700) && errno != EEXIST)
		return error_set(err, -errno, "cannot make %s: %s", path, strerror(errno));
	if (lstat(path, &st) || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		return error_set(err, -EPERM, "%s is not a directory of yours", path);
	return 0;
}

int state_dir(char *ret_path, size_t size, struct error *err)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	struct passwd *pw;

	if (!home || *home != '/') {
		pw = getpwuid(geteuid());
		home = pw ? pw->pw_dir : "/root";
	}
	if (state && *state == '/')
		snprintf(ret_path, size, "%s/openshell", state);
	else
		snprintf(ret_path, size, "%s/.local/state/openshell", home);
	return make(ret_path, err);
}

int runtime_dir(char *ret_path, size_t size, struct error *err)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int r;

	if (runtime && *runtime == '/') {
		snprintf(ret_path, size, "%s/openshell", runtime);
		return make(ret_path, err);
	}
	r = state_dir(ret_path, size, err);
	if (r)
		return r;
	snprintf(ret_path + strlen(ret_path), size - strlen(ret_path), "/run");
	return make(ret_path, err);
}

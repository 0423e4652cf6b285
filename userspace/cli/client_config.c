/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client_config.h"

#include "common/cleanup.h"
#include "common/grpc_endpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEM_DIR "/etc/openshell"
#define FILE_MAX   65536

bool client_name_is_valid(const char *name)
{
	size_t n = strlen(name);

	return n && n <= CLIENT_NAME_MAX && name[0] != '.' && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
		       n;
}

static void user_dir(char path[PATH_MAX])
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	struct passwd *pw;

	if (!home || *home != '/') {
		pw = getpwuid(geteuid());
		home = pw ? pw->pw_dir : "/root";
	}
	if (config && *config == '/')
		snprintf(path, PATH_MAX, "%s/openshell", config);
	else
		snprintf(path, PATH_MAX, "%s/.config/openshell", home);
}

static int read_file(const char *path, char *text, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	if (n < 0)
		return -errno;
	text[n] = 0;
	return 0;
}

void client_config_active(char ret_name[CLIENT_NAME_MAX + 1])
{
	char directory[PATH_MAX], path[PATH_MAX + 32], text[256] = "";

	user_dir(directory);
	snprintf(path, sizeof(path), "%s/active_gateway", directory);
	if (read_file(path, text, sizeof(text)))
		(void)read_file(SYSTEM_DIR "/active_gateway", text, sizeof(text));
	text[strcspn(text, " \t\r\n")] = 0;
	snprintf(ret_name, CLIENT_NAME_MAX + 1, "%.*s", CLIENT_NAME_MAX,
		 client_name_is_valid(text) ? text : "");
}

static void find_file(char *ret_path, size_t size, const char *directory, const char *name)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	snprintf(ret_path, size, "%.*s", (int)size - 1, access(path, F_OK) ? "" : path);
}

static int parse(const char *text, const char *path, struct client_gateway *gateway,
		 struct error *err)
{
	json_error_t problem;
	json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &problem);
	const char *endpoint, *mode;
	int r = 0;

	if (!json)
		return error_set_at(err, -EINVAL, path, problem.line, problem.column,
				    "this is no JSON: %s", problem.text);
	endpoint = json_string_value(json_object_get(json, "gateway_endpoint"));
	mode = json_string_value(json_object_get(json, "auth_mode"));
	if (!endpoint || strlen(endpoint) >= sizeof(gateway->endpoint))
		r = error_set(err, -EINVAL, "%s has no gateway_endpoint", path);
	if (!r) {
		snprintf(gateway->endpoint, sizeof(gateway->endpoint), "%s", endpoint);
		snprintf(gateway->auth_mode, sizeof(gateway->auth_mode), "%.15s",
			 mode ? mode : "plaintext");
		gateway->is_remote = json_is_true(json_object_get(json, "is_remote"));
	}
	json_decref(json);
	return r;
}

static int load_from(const char *root, const char *name, struct client_gateway *gateway,
		     struct error *err)
{
	char directory[PATH_MAX], path[PATH_MAX + 32];
	_cleanup_free_ char *text = malloc(FILE_MAX);
	int r;

	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	if (snprintf(directory, sizeof(directory), "%s/gateways/%s", root, name) >=
	    (int)sizeof(directory))
		return error_set(err, -ENAMETOOLONG, "the configuration's path is too long");
	snprintf(path, sizeof(path), "%s/metadata.json", directory);
	r = read_file(path, text, FILE_MAX);
	if (r)
		return error_set(err, r, "there is no gateway '%s' (openshell gateway list)", name);
	snprintf(gateway->name, sizeof(gateway->name), "%s", name);
	find_file(gateway->ca, sizeof(gateway->ca), directory, "mtls/ca.crt");
	find_file(gateway->cert, sizeof(gateway->cert), directory, "mtls/tls.crt");
	find_file(gateway->key, sizeof(gateway->key), directory, "mtls/tls.key");
	find_file(gateway->token, sizeof(gateway->token), directory, "token");
	return parse(text, path, gateway, err);
}

int client_config_get(const char *name, struct client_gateway *ret_gateway, struct error *err)
{
	struct client_gateway gateway = {};
	char active[CLIENT_NAME_MAX + 1], directory[PATH_MAX];
	int r;

	if (!name) {
		client_config_active(active);
		name = active;
		if (!*name)
			return error_set(
				err, -ENOENT,
				"no gateway is selected: `openshell gateway start` makes one "
				"here, `openshell gateway add URL --name NAME` knows another");
	}
	if (!client_name_is_valid(name))
		return error_set(err, -EINVAL, "'%.64s' is no gateway's name", name);
	user_dir(directory);
	r = load_from(directory, name, &gateway, err);
	if (r == -ENOENT)
		r = load_from(SYSTEM_DIR, name, &gateway, err);
	if (!r)
		*ret_gateway = gateway;
	return r;
}

/* ---- writing ---- */

static int make_directories(const char *path, struct error *err)
{
	char copy[PATH_MAX + 64];

	snprintf(copy, sizeof(copy), "%s/", path);
	for (char *p = copy + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		if (mkdir(copy, 0700) && errno != EEXIST)
			return error_set(err, -errno, "cannot make %s: %s", copy, strerror(errno));
		*p = '/';
	}
	return 0;
}

/* Whole or not at all. */
static int write_file(const char *directory, const char *name, const char *text, size_t size,
		      struct error *err)
{
	char path[PATH_MAX + 64], temporary[PATH_MAX + 80];
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write(fd, text, size) != (ssize_t)size || fsync(fd) ||
	    rename(temporary, path)) {
		int r = errno ? -errno : -EIO;

		unlink(temporary);
		return error_set(err, r, "cannot write %s: %s", path, strerror(-r));
	}
	return 0;
}

static int copy_file(const char *from, const char *directory, const char *name, struct error *err)
{
	_cleanup_free_ char *text = NULL;
	int r;

	if (!from || !*from)
		return 0;
	text = malloc(FILE_MAX);
	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	r = read_file(from, text, FILE_MAX);
	if (r)
		return error_set(err, r, "cannot read %s: %s", from, strerror(-r));
	r = write_file(directory, name, text, strlen(text), err);
	explicit_bzero(text, FILE_MAX);
	return r;
}

static int write_metadata(const char *directory, const struct client_gateway *gateway,
			  struct error *err)
{
	struct grpc_endpoint endpoint;
	_cleanup_free_ char *text = NULL;
	json_t *json;
	int r = grpc_endpoint_parse(gateway->endpoint, &endpoint, err);

	if (r)
		return r;
	json = json_pack("{s:s, s:s, s:b, s:i, s:s}", "name", gateway->name, "gateway_endpoint",
			 gateway->endpoint, "is_remote", gateway->is_remote, "gateway_port",
			 endpoint.port, "auth_mode", gateway->auth_mode);
	text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
	json_decref(json);
	return text ? write_file(directory, "metadata.json", text, strlen(text), err)
		    : error_set(err, -ENOMEM, "out of memory");
}

int client_config_add(const struct client_gateway *gateway, const char *ca, const char *cert,
		      const char *key, const char *token, struct error *err)
{
	char root[PATH_MAX], directory[PATH_MAX + 96], mtls[PATH_MAX + 128];
	int r;

	if (!client_name_is_valid(gateway->name))
		return error_set(err, -EINVAL,
				 "a gateway's name has letters, digits, '-', '_' and '.'");
	user_dir(root);
	snprintf(directory, sizeof(directory), "%s/gateways/%s", root, gateway->name);
	snprintf(mtls, sizeof(mtls), "%s/mtls", directory);
	r = make_directories(ca || cert ? mtls : directory, err);
	if (!r)
		r = copy_file(ca, mtls, "ca.crt", err);
	if (!r)
		r = copy_file(cert, mtls, "tls.crt", err);
	if (!r)
		r = copy_file(key, mtls, "tls.key", err);
	if (!r)
		r = copy_file(token, directory, "token", err);
	return r ? r : write_metadata(directory, gateway, err);
}

int client_config_select(const char *name, struct error *err)
{
	struct client_gateway gateway;
	char root[PATH_MAX];
	int r = client_config_get(name, &gateway, err);

	user_dir(root);
	if (!r)
		r = make_directories(root, err);
	return r ? r : write_file(root, "active_gateway", name, strlen(name), err);
}

int client_config_remove(const char *name, struct error *err)
{
	static const char *const files[] = {"mtls/ca.crt", "mtls/tls.crt", "mtls/tls.key", "token",
					    "metadata.json"};
	char root[PATH_MAX], path[PATH_MAX + 128], active[CLIENT_NAME_MAX + 1];
	bool there = false;

	if (!client_name_is_valid(name))
		return error_set(err, -EINVAL, "'%.64s' is no gateway's name", name);
	user_dir(root);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(path, sizeof(path), "%s/gateways/%s/%s", root, name, files[i]);
		there |= !unlink(path);
	}
	snprintf(path, sizeof(path), "%s/gateways/%s/mtls", root, name);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/gateways/%s", root, name);
	rmdir(path);
	if (!there)
		return error_set(err, -ENOENT, "there is no gateway '%s' in %s", name, root);
	client_config_active(active);
	snprintf(path, sizeof(path), "%s/active_gateway", root);
	if (!strcmp(active, name))
		unlink(path);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_in(const char *root, char ***names, size_t *count)
{
	char path[PATH_MAX + 32];
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;

	snprintf(path, sizeof(path), "%s/gateways", root);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		bool known = !client_name_is_valid(entry->d_name);
		char **grown;

		for (size_t i = 0; !known && i < *count; i++)
			known = !strcmp((*names)[i], entry->d_name);
		if (known)
			continue;
		grown = reallocarray(*names, *count + 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		*names = grown;
		grown[*count] = strdup(entry->d_name);
		if (!grown[*count])
			return -ENOMEM;
		(*count)++;
	}
	return 0;
}

int client_config_list(char ***ret_names, size_t *ret_count, struct error *err)
{
	char root[PATH_MAX], **names = NULL;
	size_t count = 0;

	user_dir(root);
	if (list_in(root, &names, &count) || list_in(SYSTEM_DIR, &names, &count))
		return error_set(err, -ENOMEM, "out of memory");
	if (count)
		qsort(names, count, sizeof(*names), by_name);
	*ret_names = names;
	*ret_count = count;
	return 0;
}

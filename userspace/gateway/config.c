/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/config.h"

#include "common/cleanup.h"
#include "gateway/config_file.h"
#include "gateway/listen_address.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <pwd.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENVIRONMENT "OPENSHELL_GATEWAY_"
#define NUMBER_MAX  1000000
#define VALUE_MAX   4096

enum kind { KIND_STRING, KIND_NUMBER, KIND_FLAG };

/* One row drives the flag, the variable, the file's key, and the help. */
struct row {
	const char *name;
	enum kind kind;
	size_t offset;
	const char *initial, *metavar, *help;
};

#define STRING(field, name, initial, metavar, help)                                                \
	{                                                                                          \
		name, KIND_STRING, offsetof(struct config, field), initial, metavar, help          \
	}
#define NUMBER(field, name, initial, help)                                                         \
	{                                                                                          \
		name, KIND_NUMBER, offsetof(struct config, field), initial, "N", help              \
	}
#define FLAG(field, name, help)                                                                    \
	{                                                                                          \
		name, KIND_FLAG, offsetof(struct config, field), "false", NULL, help               \
	}

static const struct row rows[] = {
	STRING(file, "config", "", "FILE", "YAML with these options as keys"),
	STRING(listen, "listen", "127.0.0.1:17670", "ADDRESS", "of the API"),
	STRING(health, "health", "127.0.0.1:17671", "ADDRESS",
	       "of /healthz, /readyz, /metrics; \"\" = none"),
	STRING(services, "services", "127.0.0.1:17672", "ADDRESS",
	       "of HTTP to exposed services; \"\" = none"),
	STRING(socket, "socket", "", "PATH", "a unix socket besides"),
	STRING(database, "database", "", "FILE",
	       "default: openshell/gateway/openshell.db below XDG_STATE_HOME"),
	STRING(key, "key", "", "FILE", "of the database; default: beside it, made with it"),
	STRING(tls_cert, "tls-cert", "", "FILE", "certificate; without: HTTP/2 without TLS"),
	STRING(tls_key, "tls-key", "", "FILE", "its key"),
	STRING(tls_client_ca, "tls-client-ca", "", "FILE", "CA of clients' certificates"),
	STRING(oidc_issuer, "oidc-issuer", "", "URL", "whose bearer tokens are believed"),
	STRING(oidc_audience, "oidc-audience", "openshell", "NAME", "that tokens have to be for"),
	STRING(oidc_roles_claim, "oidc-roles-claim", "roles", "NAME", "claim with a user's roles"),
	STRING(oidc_admin_role, "oidc-admin-role", "openshell-admin", "NAME",
	       "role of platform administrators"),
	STRING(oidc_ca, "oidc-ca", "", "FILE", "CA of the issuer; default: the system's"),
	STRING(admins, "admins", "", "SUBJECT,..", "platform administrators"),
	STRING(node_token, "node-token", "", "FILE",
	       "token of supervisors that have no certificate"),
	STRING(public_endpoint, "public-endpoint", "", "URL", "what clients are told to reach"),
	STRING(profiles, "profiles", "", "DIRECTORY", "of provider profiles"),
	STRING(log_level, "log-level", "info", "LEVEL", "debug, info, warn or error"),
	NUMBER(rate_user, "rate", "0", "requests a second of one user; 0 = no limit"),
	NUMBER(rate_burst, "rate-burst", "200", "requests at once before that counts"),
	NUMBER(sandboxes_max, "sandboxes-max", "10000", "sandboxes of all workspaces"),
	NUMBER(connections_max, "connections-max", "4096", "connections at once"),
	FLAG(plaintext_remote, "plaintext-remote", "no TLS on addresses beyond this host"),
	FLAG(local_user, "local-user", "everybody on this host is one user, an administrator"),
};

#define ROWS ARRAY_LEN(rows)

struct loaded {
	struct config config; /* first: what the caller has */
	char *value[ROWS];
};

static void *field_of(struct loaded *loaded, const struct row *row)
{
	return (char *)&loaded->config + row->offset;
}

static int parse_number(const struct row *row, const char *from, const char *text,
			uint32_t *ret_number, struct error *err)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || n > NUMBER_MAX)
		return error_set(err, -EINVAL, "%s%s: '%.100s' is no number from 0 to %d", from,
				 row->name, text, NUMBER_MAX);
	*ret_number = (uint32_t)n;
	return 0;
}

static int parse_flag(const struct row *row, const char *from, const char *text, bool *ret_flag,
		      struct error *err)
{
	if (!strcmp(text, "true") || !strcmp(text, "1") || !strcmp(text, "yes"))
		*ret_flag = true;
	else if (!strcmp(text, "false") || !strcmp(text, "0") || !strcmp(text, "no"))
		*ret_flag = false;
	else
		return error_set(err, -EINVAL, "%s%s: '%.100s' is neither true nor false", from,
				 row->name, text);
	return 0;
}

static int set(struct loaded *loaded, size_t i, const char *from, const char *text,
	       struct error *err)
{
	const struct row *row = &rows[i];
	char *copy;

	if (row->kind == KIND_NUMBER)
		return parse_number(row, from, text, field_of(loaded, row), err);
	if (row->kind == KIND_FLAG)
		return parse_flag(row, from, text, field_of(loaded, row), err);
	if (strlen(text) > VALUE_MAX)
		return error_set(err, -E2BIG, "%s%s: longer than %d bytes", from, row->name,
				 VALUE_MAX);
	copy = strdup(text);
	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	free(loaded->value[i]);
	loaded->value[i] = copy;
	*(const char **)field_of(loaded, row) = copy;
	return 0;
}

static int set_from_file(void *arg, const char *key, const char *value, struct error *err)
{
	for (size_t i = 1; i < ROWS; i++)
		if (!strcmp(rows[i].name, key))
			return set(arg, i, "", value, err);
	return error_set(err, -EINVAL, "'%.100s' is no option of the gateway", key);
}

/* tls-cert -> OPENSHELL_GATEWAY_TLS_CERT */
static const char *variable(const struct row *row)
{
	char name[64] = ENVIRONMENT;
	size_t n = strlen(name);

	for (const char *p = row->name; *p && n + 1 < sizeof(name); p++)
		name[n++] = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
	name[n] = 0;
	return getenv(name);
}

static void help(FILE *out)
{
	fputs("Usage: openshell-gateway [OPTION]..\n"
	      "       openshell-gateway generate-certs --dir DIRECTORY [--name HOST]..\n\n"
	      "The control plane: keeps sandboxes, policies and providers, and tells "
	      "supervisors.\n\n",
	      out);
	for (size_t i = 0; i < ROWS; i++) {
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", rows[i].name, rows[i].metavar ? " " : "",
			 rows[i].metavar ? rows[i].metavar : "");
		fprintf(out, "  %-28s %s", left, rows[i].help);
		if (rows[i].kind != KIND_FLAG && *rows[i].initial)
			fprintf(out, " [%s]", rows[i].initial);
		fputc('\n', out);
	}
	fputs("  -h, --help; -V, --version\n\n"
	      "Each is also a variable, OPENSHELL_GATEWAY_LISTEN for --listen, and a key of the "
	      "file. "
	      "A flag\nwins over a variable, and that over the file.\n",
	      out);
}

/* Flags by row; 1: help or version was printed. */
static int parse_flags(int argc, char **argv, const char *given[ROWS], struct error *err)
{
	struct option options[ROWS + 3] = {};
	int c, at = 0;

	for (size_t i = 0; i < ROWS; i++)
		options[i] = (struct option){
			rows[i].name, rows[i].kind == KIND_FLAG ? no_argument : required_argument,
			NULL, 0};
	options[ROWS] = (struct option){"help", no_argument, NULL, 'h'};
	options[ROWS + 1] = (struct option){"version", no_argument, NULL, 'V'};
	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, ":hV", options, &at)) != -1) {
		if (c == 'h') {
			help(stdout);
			return 1;
		}
		if (c == 'V') {
			printf("openshell-gateway %s\n", OPENSHELL_VERSION);
			return 1;
		}
		if (c == ':')
			return error_set(err, -EINVAL, "%s wants a value; see --help",
					 argv[optind - 1]);
		if (c)
			return error_set(err, -EINVAL, "%s is no option; see --help",
					 argv[optind - 1]);
		given[at] = optarg ? optarg : "true";
	}
	if (optind < argc)
		return error_set(err, -EINVAL, "'%s' is not understood; see --help", argv[optind]);
	return 0;
}

static int make_directories(char *path, struct error *err)
{
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		int r = 0;

		*p = 0;
		if (mkdir(path, 0700) && errno != EEXIST)
			r = error_set(err, -errno, "cannot make the directory %s: %s", path,
				      strerror(errno));
		*p = '/';
		if (r)
			return r;
	}
	return 0;
}

static int default_database(struct loaded *loaded, struct error *err)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char path[PATH_MAX];
	struct passwd *pw;
	int r;

	if (*loaded->config.database)
		return 0;
	if (!home || *home != '/') {
		pw = getpwuid(geteuid());
		home = pw ? pw->pw_dir : "/root";
	}
	if (state && *state == '/')
		snprintf(path, sizeof(path), "%s/openshell/gateway/openshell.db", state);
	else
		snprintf(path, sizeof(path), "%s/.local/state/openshell/gateway/openshell.db",
			 home);
	r = make_directories(path, err);
	for (size_t i = 0; !r && i < ROWS; i++)
		if (!strcmp(rows[i].name, "database"))
			r = set(loaded, i, "", path, err);
	return r;
}

static int default_key(struct loaded *loaded, struct error *err)
{
	char path[PATH_MAX];
	int r = 0;

	if (*loaded->config.key)
		return 0;
	if (snprintf(path, sizeof(path), "%s.key", loaded->config.database) >= (int)sizeof(path))
		return error_set(err, -ENAMETOOLONG, "the database's path is too long");
	for (size_t i = 0; !r && i < ROWS; i++)
		if (!strcmp(rows[i].name, "key"))
			r = set(loaded, i, "", path, err);
	return r;
}

static int check(const struct config *c, struct error *err)
{
	static const char *const levels[] = {"debug", "info", "warn", "error"};
	struct listen_address address;
	bool tls = *c->tls_cert, level = false;
	int r = listen_address_parse(c->listen, "--listen", &address, err);

	if (r)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		level |= !strcmp(levels[i], c->log_level);
	if (!level)
		return error_set(err, -EINVAL, "--log-level: debug, info, warn or error");
	if (tls != !!*c->tls_key)
		return error_set(err, -EINVAL, "--tls-cert and --tls-key belong together");
	if (*c->tls_client_ca && !tls)
		return error_set(err, -EINVAL, "--tls-client-ca wants --tls-cert and --tls-key");
	if (!tls && !address.loopback && !c->plaintext_remote)
		return error_set(err, -EINVAL,
				 "--listen %s is reached from other hosts: give --tls-cert and "
				 "--tls-key, or say --plaintext-remote",
				 c->listen);
	if (c->local_user && !address.loopback)
		return error_set(err, -EINVAL,
				 "--local-user makes everybody who reaches --listen an "
				 "administrator: listen on a loopback address");
	if (*c->oidc_issuer && strncmp(c->oidc_issuer, "https://", 8) &&
	    strncmp(c->oidc_issuer, "http://127.0.0.1", 16))
		return error_set(err, -EINVAL, "--oidc-issuer has to be an https:// URL");
	if (*c->health) {
		r = listen_address_parse(c->health, "--health", &address, err);
		if (r)
			return r;
	}
	return *c->services ? listen_address_parse(c->services, "--services", &address, err) : 0;
}

static int load(int argc, char **argv, struct loaded *loaded, struct error *err)
{
	const char *given[ROWS] = {};
	const char *file;
	int r = parse_flags(argc, argv, given, err);

	for (size_t i = 0; !r && i < ROWS; i++)
		r = set(loaded, i, "--", rows[i].initial, err);
	if (r)
		return r;
	file = given[0] ? given[0] : variable(&rows[0]);
	if (file && *file) {
		r = set(loaded, 0, "--", file, err);
		if (!r)
			r = config_file_read(file, set_from_file, loaded, err);
	}
	for (size_t i = 1; !r && i < ROWS; i++) {
		const char *value = variable(&rows[i]);

		if (value)
			r = set(loaded, i, "variable for --", value, err);
		if (!r && given[i])
			r = set(loaded, i, "--", given[i], err);
	}
	if (!r)
		r = check(&loaded->config, err);
	if (!r)
		r = default_database(loaded, err);
	if (!r)
		r = default_key(loaded, err);
	return r;
}

int config_load(int argc, char **argv, struct config **ret_config, struct error *err)
{
	struct loaded *loaded = calloc(1, sizeof(*loaded));
	int r;

	if (!loaded)
		return error_set(err, -ENOMEM, "out of memory");
	r = load(argc, argv, loaded, err);
	if (r) {
		config_free(&loaded->config);
		return r;
	}
	*ret_config = &loaded->config;
	return 0;
}

void config_free(struct config *config)
{
	struct loaded *loaded = (struct loaded *)config;

	if (!loaded)
		return;
	for (size_t i = 0; i < ROWS; i++)
		free(loaded->value[i]);
	free(loaded);
}

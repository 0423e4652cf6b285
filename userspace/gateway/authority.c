/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/authority_internal.h"

#include "common/cleanup.h"
#include "gateway/store.h"
#include "openshell.pb-c.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PLATFORM_ADMIN "platform_admin"
#define TOKEN_MIN      32
#define TOKEN_MAX      512
#define BEARER	       "Bearer "
#define STRINGS_MAX    64

static int add_string(char ***strings, size_t *count, const char *text, size_t size)
{
	char **grown, *copy;

	if (*count == STRINGS_MAX)
		return -E2BIG;
	grown = reallocarray(*strings, *count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	*strings = grown;
	copy = strndup(text, size);
	if (!copy)
		return -ENOMEM;
	grown[(*count)++] = copy;
	return 0;
}

int principal_add_role(struct principal *principal, const char *role)
{
	return add_string(&principal->role, &principal->roles, role, strlen(role));
}

int principal_add_scope(struct principal *principal, const char *scope, size_t size)
{
	return add_string(&principal->scope, &principal->scopes, scope, size);
}

static int read_node_token(const char *path, char **ret_token, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[TOKEN_MAX + 1];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		return error_set(err, -errno, "cannot read the nodes' token %s: %s", path,
				 strerror(errno));
	if (st.st_mode & 077)
		return error_set(err, -EPERM, "others may read the nodes' token %s: chmod 600 it",
				 path);
	n = read(fd, text, sizeof(text));
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	if (n < TOKEN_MIN || n > TOKEN_MAX)
		return error_set(err, -EINVAL,
				 "the nodes' token %s has to have %d to %d characters", path,
				 TOKEN_MIN, TOKEN_MAX);
	text[n] = 0;
	for (ssize_t i = 0; i < n; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return error_set(
				err, -EINVAL,
				"the nodes' token %s has a character that is not printable "
				"ASCII",
				path);
	*ret_token = strdup(text);
	OPENSSL_cleanse(text, sizeof(text));
	return *ret_token ? 0 : error_set(err, -ENOMEM, "out of memory");
}

int authority_new(struct gateway *gateway, struct authority **ret_authority, struct error *err)
{
	const struct config *config = gateway->config;
	struct authority *authority = calloc(1, sizeof(*authority));
	int r;

	if (!authority)
		return error_set(err, -ENOMEM, "out of memory");
	authority->gateway = gateway;
	r = authority_key_load(authority, err);
	if (!r && *config->node_token)
		r = read_node_token(config->node_token, &authority->node_token, err);
	if (!r && config->rate_user) {
		authority->limit = rate_limit_new(config->rate_user, config->rate_burst);
		if (!authority->limit)
			r = error_set(err, -ENOMEM, "out of memory");
	}
	if (!r && *config->oidc_issuer)
		r = oidc_new(gateway, &authority->oidc, err);
	if (r) {
		authority_free(authority);
		return r;
	}
	*ret_authority = authority;
	return 0;
}

void authority_free(struct authority *authority)
{
	if (!authority)
		return;
	oidc_free(authority->oidc);
	EVP_PKEY_free(authority->key);
	if (authority->node_token)
		OPENSSL_cleanse(authority->node_token, strlen(authority->node_token));
	free(authority->node_token);
	rate_limit_free(authority->limit);
	free(authority);
}

/* ---- who ---- */

static bool is_listed(const char *list, const char *name)
{
	size_t size = strlen(name);

	while (*list) {
		size_t n = strcspn(list, ",");

		if (n == size && !strncmp(list, name, n))
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

static bool is_loopback(const struct sockaddr *peer)
{
	if (peer->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)peer)->sin_addr.s_addr) >> 24 == 127;
	if (peer->sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)peer)->sin6_addr);
	return false;
}

static int be_admin(struct principal *principal, const char *subject, const char *provider,
		    struct error *err)
{
	principal->kind = PRINCIPAL_USER;
	principal->provider = provider;
	principal->subject = strdup(subject);
	if (!principal->subject || principal_add_role(principal, PLATFORM_ADMIN))
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

static bool is_node_token(const struct authority *authority, const char *token)
{
	size_t size = strlen(token);

	return authority->node_token && size == strlen(authority->node_token) &&
	       !CRYPTO_memcmp(token, authority->node_token, size);
}

/* A supervisor that has no name by what it shows says its name itself. */
static int be_node(struct principal *principal, struct error *err)
{
	principal->kind = PRINCIPAL_NODE;
	principal->provider = "node";
	principal->subject = strdup("");
	return principal->subject ? 0 : error_set(err, -ENOMEM, "out of memory");
}

/* The socket's file is 0600, so only root and the gateway's own user come here. */
static int by_socket(struct grpc_call *call, struct principal *principal, struct error *err)
{
	uid_t uid = grpc_call_peer_uid(call);
	struct passwd *pw = getpwuid(uid);
	char number[32];

	if (uid == (uid_t)-1)
		return error_set(err, -EPERM, "nobody is known behind this connection");
	if (grpc_call_method(call)->auth == RPC_AUTH_NODE) {
		if (uid)
			return error_set(err, -EPERM, "a supervisor runs as root");
		return be_node(principal, err);
	}
	snprintf(number, sizeof(number), "uid-%u", uid);
	return be_admin(principal, pw ? pw->pw_name : number, "local", err);
}

/* 0; -EINPROGRESS: it will be told; or an error. */
static int identify(struct authority *authority, struct grpc_call *call, const char **ret_token,
		    struct principal *principal, struct error *err)
{
	const char *header = grpc_call_metadata(call, "authorization");
	const struct config *config = authority->gateway->config;
	X509 *certificate = grpc_call_peer_certificate(call);

	if (header && strncasecmp(header, BEARER, strlen(BEARER)))
		return error_set(err, -EPERM, "authorization has to be a bearer token");
	if (header) {
		const char *token = header + strlen(BEARER);

		if (is_node_token(authority, token))
			return be_node(principal, err);
		if (authority_is_sandbox_token(token)) {
			int r = authority_verify_sandbox(authority, token, principal, err);

			return r == -EACCES || r == -EBADMSG ? (err->code = -EPERM) : r;
		}
		if (!authority->oidc)
			return error_set(err, -EPERM, "this gateway does not know such tokens");
		*ret_token = token;
		return -EINPROGRESS;
	}
	if (grpc_call_peer(call)->sa_family == AF_UNIX)
		return by_socket(call, principal, err);
	if (certificate) {
		int r = authority_read_certificate(certificate, principal, err);

		if (!r && principal->kind == PRINCIPAL_USER &&
		    is_listed(config->admins, principal->subject) &&
		    !principal_has_role(principal, PLATFORM_ADMIN))
			r = principal_add_role(principal, PLATFORM_ADMIN);
		return r == -EACCES ? (err->code = -EPERM) : r;
	}
	if (config->local_user && is_loopback(grpc_call_peer(call)))
		return be_admin(principal, "local", "local", err);
	return error_set(err, -EPERM,
			 "who are you? show a client certificate or a bearer token (openshell "
			 "gateway add)");
}

static int limit(struct authority *authority, const struct principal *principal, struct error *err)
{
	char who[128];

	if (!authority->limit || principal->kind == PRINCIPAL_NODE)
		return 0;
	snprintf(who, sizeof(who), "%s:%s", principal->provider ? principal->provider : "",
		 principal->subject ? principal->subject : "");
	if (rate_limit_take(authority->limit, who, uv_now(authority->gateway->loop)))
		return 0;
	return error_set(err, -EAGAIN, "too many requests: slow down");
}

void authority_identify(struct authority *authority, struct grpc_call *call, authority_known known,
			void *arg)
{
	struct principal principal = {};
	struct error err = {};
	const char *token = NULL;
	int r = 0;

	/* Health is open, and whoever asks is not looked at. */
	if (grpc_call_method(call)->auth != RPC_AUTH_UNAUTHENTICATED)
		r = identify(authority, call, &token, &principal, &err);
	if (r == -EINPROGRESS) {
		oidc_identify(authority->oidc, token, known, arg);
		return;
	}
	if (!r)
		r = limit(authority, &principal, &err);
	known(arg, grpc_code_of_errno(r), err.message, r ? NULL : &principal);
	principal_clear(&principal);
}

void authority_forget(struct authority *authority, void *arg)
{
	if (authority->oidc)
		oidc_forget(authority->oidc, arg);
}

/* ---- what ---- */

static int role_in(struct authority *authority, const struct principal *principal,
		   const char *workspace, enum rpc_role *ret_role, struct error *err)
{
	Openshell__V1__WorkspaceMember *member;
	struct store_object object;
	int r = store_get(authority->gateway->store, STORE_MEMBER, workspace, principal->subject,
			  &object, err);

	*ret_role = RPC_ROLE_NONE;
	if (r == -ENOENT)
		return 0;
	if (r)
		return r;
	member = openshell__v1__workspace_member__unpack(NULL, object.payload_size, object.payload);
	store_object_clear(&object);
	if (!member)
		return error_set(err, -EBADMSG, "a workspace's member is damaged");
	if (member->role == OPENSHELL__V1__WORKSPACE_ROLE__WORKSPACE_ROLE_ADMIN)
		*ret_role = RPC_ROLE_ADMIN;
	else if (member->role == OPENSHELL__V1__WORKSPACE_ROLE__WORKSPACE_ROLE_USER)
		*ret_role = RPC_ROLE_USER;
	openshell__v1__workspace_member__free_unpacked(member, NULL);
	return 0;
}

static int user_allows(struct authority *authority, const struct principal *principal,
		       const struct rpc_method *method, const char *workspace, struct error *err)
{
	enum rpc_role role;
	int r;

	if (principal->scoped && *method->scope && !principal_has_scope(principal, method->scope))
		return error_set(err, -EACCES, "the token lacks the scope %s", method->scope);
	if (principal_has_role(principal, PLATFORM_ADMIN))
		return 0;
	if (method->platform_admin)
		return error_set(err, -EACCES, "only platform administrators may do that");
	if (method->role == RPC_ROLE_NONE || !workspace)
		return 0;
	r = role_in(authority, principal, workspace, &role, err);
	if (r)
		return r;
	if (role == RPC_ROLE_NONE)
		return error_set(err, -EACCES, "%s is no member of workspace '%s'",
				 principal->subject, workspace);
	if (role < method->role)
		return error_set(err, -EACCES, "only administrators of workspace '%s' may do that",
				 workspace);
	return 0;
}

int authority_allows(struct authority *authority, const struct principal *principal,
		     const struct rpc_method *method, const char *workspace, const char *sandbox_id,
		     struct error *err)
{
	switch (method->auth) {
	case RPC_AUTH_UNAUTHENTICATED:
		return 0;
	case RPC_AUTH_NODE:
		if (principal->kind == PRINCIPAL_NODE)
			return 0;
		return error_set(err, -EACCES, "only supervisors may do that");
	case RPC_AUTH_BEARER:
		if (principal->kind == PRINCIPAL_USER)
			return user_allows(authority, principal, method, workspace, err);
		return error_set(err, -EACCES, "only users may do that");
	case RPC_AUTH_DUAL:
		if (principal->kind == PRINCIPAL_USER)
			return user_allows(authority, principal, method, workspace, err);
		/* fallthrough */
	case RPC_AUTH_SANDBOX:
		if (principal->kind != PRINCIPAL_SANDBOX)
			return error_set(err, -EACCES, "only a sandbox itself may do that");
		/* A request that names no sandbox is about the one that makes it. */
		if (sandbox_id && *sandbox_id && strcmp(sandbox_id, principal->subject))
			return error_set(err, -EACCES, "the token is of another sandbox");
		return 0;
	}
	return error_set(err, -EACCES, "nobody may do that");
}

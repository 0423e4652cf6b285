/* SPDX-License-Identifier: Apache-2.0 */
#include "common/cleanup.h"
#include "common/policy_glob.h"
#include "common/policy_host.h"
#include "common/provider_key.h"
#include "proxy/placeholder_internal.h"

#include <stdlib.h>

#define WORKER(name) Openshell__Worker__V1__##name

#define ARENA_MAX    (64u << 20)
#define TOKEN_DIGITS 64

struct binding {
	const char *host, *path;
	const uint32_t *ports;
	size_t ports_len; /* 0 = 443 */
};

struct credential {
	const char *provider, *key;
	char *value;
	uint32_t size;
	uint64_t revision;
	const char *token;
	bool signing_only;
	struct binding *bindings;
	size_t bindings_len;
};

struct credentials {
	struct arena *arena;
	size_t len;
	struct credential items[]; /* sorted by key */
};

static const char *unfit(const WORKER(Credential) * from)
{
	size_t size = strlen(from->value), token = strlen(from->token);

	if (!provider_key_is_valid(from->key) || provider_key_is_ambiguous(from->key))
		return "its key is not a variable's name";
	if (!size)
		return "it is empty";
	if (size > CREDENTIAL_VALUE_MAX)
		return "it is too long";
	for (const char *c = from->value; *c; c++)
		if ((unsigned char)*c < ' ' ? *c != '\t' : *c == 0x7f)
			return "it has a control character";
	if (token &&
	    (token != TOKEN_DIGITS || strspn(from->token, "0123456789abcdef") != TOKEN_DIGITS))
		return "its token is not 64 hexadecimal digits";
	if (from->n_bindings > CREDENTIAL_BINDINGS_MAX)
		return "it may go to too many places";
	return NULL;
}

static int copy_binding(struct arena *arena, const WORKER(Binding) * from, struct binding *ret,
			struct error *err)
{
	char host[POLICY_HOST_MAX + 1];
	enum policy_host_kind kind;
	uint32_t *ports;
	const char *why;

	if (policy_host_parse(from->host, &kind, host, &why) < 0)
		return error_set(err, -EINVAL, "a credential's host is refused: %s", why);
	why = policy_glob_check(from->path);
	if (why)
		return error_set(err, -EINVAL, "a credential's path is refused: %s", why);
	ports = arena_alloc_array(arena, from->n_ports, sizeof(*ports));
	ret->host = arena_copy(arena, host, strlen(host));
	ret->path = arena_copy(arena, from->path, strlen(from->path));
	if (!ports || !ret->host || !ret->path)
		return error_set(err, -ENOMEM, "not enough memory for credentials");
	if (from->n_ports)
		memcpy(ports, from->ports, from->n_ports * sizeof(*ports));
	ret->ports = ports;
	ret->ports_len = from->n_ports;
	return 0;
}

static int copy_credential(struct arena *arena, const WORKER(Credential) * from,
			   struct credential *ret, struct error *err)
{
	const char *why = unfit(from);

	if (why)
		return error_set(err, -EINVAL, "a credential of provider '%s' is refused: %s",
				 from->provider, why);
	*ret = (struct credential){
		.provider = arena_copy(arena, from->provider, strlen(from->provider)),
		.key = arena_copy(arena, from->key, strlen(from->key)),
		.value = arena_copy(arena, from->value, strlen(from->value)),
		.size = (uint32_t)strlen(from->value),
		.revision = from->revision,
		.token = arena_copy(arena, from->token, strlen(from->token)),
		.signing_only = from->signing_only,
		.bindings = arena_alloc_array(arena, from->n_bindings, sizeof(struct binding)),
		.bindings_len = from->n_bindings,
	};
	if (!ret->provider || !ret->key || !ret->value || !ret->token || !ret->bindings)
		return error_set(err, -ENOMEM, "not enough memory for credentials");
	for (size_t i = 0; i < from->n_bindings; i++) {
		int r = copy_binding(arena, from->bindings[i], &ret->bindings[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int key_compare(const void *a, const void *b)
{
	const struct credential *x = a, *y = b;
	int r = strcmp(x->key, y->key);

	return r ? r : strcmp(x->provider, y->provider);
}

static void cleanup_credentialsp(struct credentials **credentials)
{
	credentials_free(*credentials);
}

int credentials_new(WORKER(Credential) *const *credentials, size_t len,
		    struct credentials **ret_credentials, struct error *err)
{
	_cleanup_(cleanup_credentialsp) struct credentials *table = NULL;
	struct arena *arena;

	if (len > CREDENTIALS_MAX)
		return error_set(err, -E2BIG, "more than %d credentials", CREDENTIALS_MAX);
	arena = arena_new(ARENA_MAX);
	table = arena ? arena_alloc(arena, sizeof(*table) + len * sizeof(table->items[0])) : NULL;
	if (!table) {
		arena_free(arena);
		return error_set(err, -ENOMEM, "not enough memory for credentials");
	}
	table->arena = arena;
	for (size_t i = 0; i < len; i++) {
		int r;

		table->len = i + 1; /* a half-copied one is wiped as well */
		r = copy_credential(arena, credentials[i], &table->items[i], err);
		if (r < 0)
			return r;
	}
	qsort(table->items, len, sizeof(table->items[0]), key_compare);
	*ret_credentials = TAKE_PTR(table);
	return 0;
}

void credentials_free(struct credentials *credentials)
{
	if (!credentials)
		return;
	for (size_t i = 0; i < credentials->len; i++)
		if (credentials->items[i].value)
			explicit_bzero(credentials->items[i].value, credentials->items[i].size);
	/* The table itself comes from its arena. */
	arena_free(credentials->arena);
}

/* In the clear nothing goes to the port of HTTPS: whoever listens on the way would have it. */
static bool port_admits(const struct binding *binding, const struct credential_scope *scope)
{
	if (scope->port == 443 && !scope->secure)
		return false;
	for (size_t i = 0; i < binding->ports_len; i++)
		if (binding->ports[i] == scope->port)
			return true;
	return !binding->ports_len && scope->port == 443;
}

static bool binding_admits(const struct binding *binding, const struct placeholder_request *request)
{
	const struct credential_scope *scope = request->scope;

	if (!port_admits(binding, scope) ||
	    (strcmp(binding->host, scope->host) && !policy_host_match(binding->host, scope->host)))
		return false;
	return !*binding->path ||
	       (request->has_path && policy_glob_match(binding->path, request->path, '/', 0));
}

static bool find_may_go(const struct credential *credential,
			const struct placeholder_request *request)
{
	const char *provider = request->scope->provider;

	if (provider && *provider && strcmp(provider, credential->provider))
		return false;
	for (size_t i = 0; i < credential->bindings_len; i++)
		if (binding_admits(&credential->bindings[i], request))
			return true;
	return false;
}

static void make_ready(struct placeholder_request *request)
{
	struct text path = request->scope->path;

	request->ready = true;
	memset(request->may, 0, sizeof(request->may));
	/* A longer one, or one that is cut short by a NUL, matches no glob. */
	request->has_path =
		path.size <= POLICY_GLOB_MAX && (!path.size || !memchr(path.data, '\0', path.size));
	if (!request->has_path)
		return;
	if (path.size)
		memcpy(request->path, path.data, path.size);
	request->path[path.size] = '\0';
}

static bool may_go(struct placeholder_request *request, size_t number)
{
	if (!request->ready)
		make_ready(request);
	if (!request->may[number])
		request->may[number] =
			find_may_go(&request->credentials->items[number], request) ? 1 : 2;
	return request->may[number] == 1;
}

/* A placeholder's name, taken apart. */
struct wanted {
	char key[CREDENTIAL_KEY_MAX + 1];
	bool has_revision, has_token;
	uint64_t revision;
	char token[TOKEN_DIGITS + 1];
};

static bool read_revision(struct text *name, struct wanted *wanted)
{
	uint64_t revision = 0;
	uint32_t i;

	for (i = 1; i < name->size && name->data[i] >= '0' && name->data[i] <= '9'; i++)
		if (__builtin_mul_overflow(revision, 10, &revision) ||
		    __builtin_add_overflow(revision, (uint64_t)(name->data[i] - '0'), &revision))
			return false;
	if (i == 1 || i == name->size || name->data[i] != '_')
		return true; /* a key that begins with v */
	wanted->has_revision = true;
	wanted->revision = revision;
	*name = (struct text){name->data + i + 1, name->size - i - 1};
	return true;
}

static void read_token(struct text *name, struct wanted *wanted)
{
	if (name->size <= TOKEN_DIGITS + 2 || name->data[1 + TOKEN_DIGITS] != '_')
		return;
	memcpy(wanted->token, name->data + 1, TOKEN_DIGITS);
	wanted->token[TOKEN_DIGITS] = '\0';
	if (strspn(wanted->token, "0123456789abcdef") != TOKEN_DIGITS)
		return;
	wanted->has_token = true;
	*name = (struct text){name->data + TOKEN_DIGITS + 2, name->size - TOKEN_DIGITS - 2};
}

static bool read_name(struct text name, struct wanted *wanted)
{
	if (name.size && name.data[0] == 'v' && !read_revision(&name, wanted))
		return false;
	if (name.size && name.data[0] == 's' && !wanted->has_revision)
		read_token(&name, wanted);
	if (!name.size || name.size > CREDENTIAL_KEY_MAX)
		return false;
	memcpy(wanted->key, name.data, name.size);
	wanted->key[name.size] = '\0';
	return true;
}

static bool is_wanted(const struct credential *credential, const struct wanted *wanted)
{
	if (strcmp(credential->key, wanted->key))
		return false;
	if (wanted->has_revision)
		return credential->revision && credential->revision == wanted->revision;
	if (wanted->has_token)
		return !strcmp(credential->token, wanted->token);
	return true;
}

static size_t first_with(const struct credentials *credentials, const char *key)
{
	size_t low = 0, high = credentials->len;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(credentials->items[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int find(struct placeholder_request *request, const struct wanted *wanted, bool signing,
		struct text *ret_value)
{
	const struct credentials *credentials = request->credentials;
	const struct credential *found = NULL;
	int r = -ENOENT;

	for (size_t i = first_with(credentials, wanted->key);
	     i < credentials->len && !strcmp(credentials->items[i].key, wanted->key); i++) {
		const struct credential *credential = &credentials->items[i];

		if (!is_wanted(credential, wanted))
			continue;
		r = -EACCES;
		if ((credential->signing_only && !signing) || !may_go(request, i))
			continue;
		/* Two that may go there: which one is meant, nobody said. */
		if (found && strcmp(found->value, credential->value))
			return -EACCES;
		found = credential;
	}
	if (!found)
		return r;
	*ret_value = (struct text){found->value, found->size};
	return 0;
}

int placeholder_resolve(struct placeholder_request *request, struct text name,
			struct text *ret_value)
{
	struct wanted wanted = {};

	if (!read_name(name, &wanted))
		return -ENOENT;
	return find(request, &wanted, false, ret_value);
}

int credentials_find(const struct credentials *credentials, const struct credential_scope *scope,
		     const char *key, struct text *ret_value)
{
	struct placeholder_request request;
	struct wanted wanted = {};
	size_t len = strlen(key);

	if (len > CREDENTIAL_KEY_MAX)
		return -ENOENT;
	memcpy(wanted.key, key, len + 1);
	placeholder_request_init(&request, credentials, scope);
	return find(&request, &wanted, true, ret_value);
}

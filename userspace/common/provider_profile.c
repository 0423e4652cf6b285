/* SPDX-License-Identifier: Apache-2.0 */
#include "common/provider_profile.h"
#include "common/arena.h"
#include "common/cleanup.h"
#include "common/policy_check.h"
#include "common/policy_decode.h"
#include "common/policy_glob.h"
#include "common/policy_host.h"
#include "common/policy_words.h"
#include "common/policy_yaml.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define ARENA_MAX	  (4u << 20)
#define FILE_MAX	  (256u << 10)
#define PROFILE_FILES_MAX 256

#define AT(type, member) .offset = offsetof(struct type, member)

static const struct policy_object object_credential = {
	.name = "a credential",
	.size = sizeof(struct profile_credential),
	.is_foreign = true,
	.fields = (const struct policy_field[]){
		{.name = "key",
		 .kind = POLICY_KIND_STRING,
		 AT(profile_credential, key),
		 .flags = POLICY_FIELD_REQUIRED},
		{.name = "env",
		 .kind = POLICY_KIND_STRINGS,
		 AT(profile_credential, env),
		 .flags = POLICY_FIELD_NOT_EMPTY,
		 .note = "leave it out to look for the key alone"},
		{.name = "required", .kind = POLICY_KIND_BOOL, AT(profile_credential, required)},
		{.name = "signing", .kind = POLICY_KIND_BOOL, AT(profile_credential, signing)},
		{}}};

static const struct policy_object object_binding = {
	.name = "a binding",
	.size = sizeof(struct profile_binding),
	.is_foreign = true,
	.fields = (const struct policy_field[]){
		{.name = "host",
		 .kind = POLICY_KIND_STRING,
		 AT(profile_binding, host),
		 .flags = POLICY_FIELD_REQUIRED},
		{.name = "ports",
		 .kind = POLICY_KIND_NUMBERS,
		 AT(profile_binding, ports),
		 .flags = POLICY_FIELD_NOT_EMPTY,
		 .min = 1,
		 .max = 65535,
		 .note = "leave it out for 443"},
		{.name = "path", .kind = POLICY_KIND_STRING, AT(profile_binding, path)},
		{.name = "credentials",
		 .kind = POLICY_KIND_STRINGS,
		 AT(profile_binding, credentials),
		 .flags = POLICY_FIELD_NOT_EMPTY,
		 .note = "leave it out for all of them"},
		{}}};

static const struct policy_object object_profile = {
	.name = "the profile's top level",
	.size = sizeof(struct provider_profile),
	.is_foreign = true,
	.fields = (const struct policy_field[]){
		{.name = "version",
		 .kind = POLICY_KIND_NUMBER,
		 AT(provider_profile, version),
		 .flags = POLICY_FIELD_REQUIRED,
		 .min = 1,
		 .max = 1},
		{.name = "type",
		 .kind = POLICY_KIND_STRING,
		 AT(provider_profile, type),
		 .flags = POLICY_FIELD_REQUIRED},
		{.name = "description",
		 .kind = POLICY_KIND_STRING,
		 AT(provider_profile, description)},
		{.name = "aliases", .kind = POLICY_KIND_STRINGS, AT(provider_profile, aliases)},
		{.name = "credentials",
		 .kind = POLICY_KIND_LIST,
		 AT(provider_profile, credentials),
		 .object = &object_credential},
		{.name = "bindings",
		 .kind = POLICY_KIND_LIST,
		 AT(provider_profile, bindings),
		 .object = &object_binding},
		{.name = "named_variables",
		 .kind = POLICY_KIND_BOOL,
		 AT(provider_profile, named_variables)},
		{.name = "inference",
		 .kind = POLICY_KIND_OBJECT,
		 AT(provider_profile, inference),
		 .object = &profile_object_inference},
		{}}};

static void check_key(const struct policy_string *key, struct diagnostics *diag)
{
	if (!key->value)
		return;
	if (!provider_key_is_valid(key->value) || provider_key_is_ambiguous(key->value))
		policy_error(diag, key->at, "profile.variable",
			     "'%s' cannot name a credential's variable: letters, digits and '_', "
			     "no digit first, at most %d",
			     key->value, PROVIDER_KEY_MAX);
	else if (!strncmp(key->value, "OPENSHELL_", 10))
		policy_error(diag, key->at, "profile.variable",
			     "'%s': names that start with OPENSHELL_ are ours", key->value);
}

static void check_name(const struct policy_string *name, struct diagnostics *diag)
{
	const char *value = name->value;

	if (value && (!*value || strlen(value) > PROFILE_NAME_MAX ||
		      value[strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-")]))
		policy_error(diag, name->at, "profile.type",
			     "'%s' is no type: lower-case letters, digits and '-', at most %d",
			     value, PROFILE_NAME_MAX);
}

static void check_credentials(const struct provider_profile *profile, struct diagnostics *diag)
{
	const struct profile_credential *credentials = profile->credentials.items;

	if (profile->credentials.count > PROFILE_CREDENTIALS_MAX) {
		policy_error(diag, profile->credentials.at, "profile.credentials",
			     "%zu credentials: at most %d in one profile",
			     profile->credentials.count, PROFILE_CREDENTIALS_MAX);
		return;
	}
	if (!profile->credentials.count && !profile->named_variables.value)
		policy_error(diag, profile->head.at, "profile.credentials",
			     "a profile needs 'credentials', or 'named_variables: true'");
	for (size_t i = 0; i < profile->credentials.count; i++) {
		const struct profile_credential *credential = &credentials[i];

		check_key(&credential->key, diag);
		if (credential->env.count > PROFILE_VARIABLES_MAX)
			policy_error(diag, credential->env.at, "profile.variable",
				     "%zu variables: at most %d for one credential",
				     credential->env.count, PROFILE_VARIABLES_MAX);
		for (size_t j = 0; j < credential->env.count; j++)
			check_key(&credential->env.items[j], diag);
		for (size_t j = 0; j < i; j++)
			if (credential->key.value && credentials[j].key.value &&
			    !strcmp(credential->key.value, credentials[j].key.value))
				policy_error(diag, credential->key.at, "profile.credentials",
					     "'%s' is a credential already in line %d",
					     credential->key.value, credentials[j].key.at.line);
	}
}

const struct profile_credential *profile_credential(const struct provider_profile *profile,
						    const char *key)
{
	const struct profile_credential *credentials = profile->credentials.items;

	for (size_t i = 0; i < profile->credentials.count; i++)
		if (credentials[i].key.value && !strcmp(credentials[i].key.value, key))
			return &credentials[i];
	return NULL;
}

static void check_binding(const struct provider_profile *profile,
			  const struct profile_binding *binding, struct diagnostics *diag)
{
	char canonical[POLICY_HOST_MAX + 1];
	enum policy_host_kind kind;
	const char *why;

	if (binding->host.value &&
	    policy_host_parse(binding->host.value, &kind, canonical, &why) < 0)
		policy_error(diag, binding->host.at, "profile.host", "host '%s' is refused: %s",
			     binding->host.value, why);
	if (binding->path.value && policy_check_glob(&binding->path, "path", diag) &&
	    binding->path.value[0] != '/')
		policy_error(diag, binding->path.at, "profile.path",
			     "'path' must begin with '/', not '%s'", binding->path.value);
	for (size_t i = 0; i < binding->credentials.count; i++)
		if (!profile_credential(profile, binding->credentials.items[i].value))
			policy_error(diag, binding->credentials.items[i].at, "profile.binding",
				     "the profile has no credential '%s'",
				     binding->credentials.items[i].value);
}

static void check(const struct provider_profile *profile, struct diagnostics *diag)
{
	const struct profile_binding *bindings = profile->bindings.items;

	check_name(&profile->type, diag);
	for (size_t i = 0; i < profile->aliases.count; i++)
		check_name(&profile->aliases.items[i], diag);
	check_credentials(profile, diag);
	if (profile->bindings.count > PROFILE_BINDINGS_MAX)
		policy_error(diag, profile->bindings.at, "profile.bindings",
			     "%zu bindings: at most %d in one profile", profile->bindings.count,
			     PROFILE_BINDINGS_MAX);
	for (size_t i = 0; i < profile->bindings.count; i++)
		check_binding(profile, &bindings[i], diag);
	profile_check_inference(profile, diag);
}

static int parse(const char *name, const void *data, size_t size,
		 struct provider_profile **ret_profile, struct diagnostics *diag)
{
	_cleanup_arena_ struct arena *arena = arena_new(ARENA_MAX);
	struct provider_profile *profile = arena ? arena_alloc(arena, sizeof(*profile)) : NULL;
	struct yaml_node *root = NULL;
	int r;

	if (!profile)
		return -ENOMEM;
	profile->file = arena_copy(arena, name, strlen(name));
	if (!profile->file)
		return -ENOMEM;
	r = yaml_parse(data, size, arena, diag, &root);
	if (!r)
		r = policy_decode(root, &object_profile, profile, arena, diag);
	if (r < 0)
		return r;
	if (root->kind == YAML_KIND_MAPPING)
		check(profile, diag);
	if (diag->errors)
		return -EBADMSG;
	profile->arena = TAKE_PTR(arena);
	*ret_profile = profile;
	return 0;
}

int provider_profile_parse(const char *name, const void *data, size_t size,
			   struct provider_profile **ret_profile, struct diagnostics *diag,
			   struct error *err)
{
	_cleanup_diagnostics_ struct diagnostics own = {};
	const struct policy_diagnostic *first;
	int r;

	if (!diag)
		diag = &own;
	if (size > FILE_MAX)
		return error_set_at(err, -EBADMSG, name, 1, 1, "larger than %u KiB: no profile",
				    FILE_MAX >> 10);
	r = parse(name, data, size, ret_profile, diag);
	diagnostics_sort(diag);
	if (r == -ENOMEM)
		return error_set_at(err, r, name, 0, 0, "not enough memory for this profile");
	if (r < 0) {
		first = diagnostics_first_error(diag);
		return error_set_at(err, r, name, first ? first->at.line : 0,
				    first ? first->at.col : 0, "%s",
				    first ? first->message : "the profile is not valid");
	}
	return 0;
}

void provider_profile_free(struct provider_profile *profile)
{
	/* The profile itself comes from its arena. */
	if (profile)
		arena_free(profile->arena);
}

int provider_profile_load(const char *path, struct provider_profile **ret_profile,
			  struct diagnostics *diag, struct error *err)
{
	_cleanup_free_ char *data = malloc(FILE_MAX + 1);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	size_t size = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set_at(err, -errno, path, 0, 0, "cannot be read: %s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set_at(err, -EINVAL, path, 0, 0, "is not a regular file");
	if (!data)
		return error_set_at(err, -ENOMEM, path, 0, 0, "not enough memory");
	while (size <= FILE_MAX) {
		ssize_t n = read(fd, data + size, FILE_MAX + 1 - size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set_at(err, -errno, path, 0, 0, "cannot be read: %s",
					    strerror(errno));
		if (n == 0)
			break;
		size += (size_t)n;
	}
	return provider_profile_parse(path, data, size, ret_profile, diag, err);
}

static bool answers_to(const struct provider_profile *profile, const char *type)
{
	if (!strcmp(profile->type.value, type))
		return true;
	for (size_t i = 0; i < profile->aliases.count; i++)
		if (!strcmp(profile->aliases.items[i].value, type))
			return true;
	return false;
}

struct known {
	char *type[PROFILE_FILES_MAX];
	size_t count;
	char near[PROFILE_NAME_MAX + 1]; /* type or alias; "" = none is */
	unsigned int distance;		 /* of it */
};

static void known_clear(struct known *known)
{
	for (size_t i = 0; i < known->count; i++)
		free(known->type[i]);
}

static int known_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void known_compare_to(struct known *known, const char *type, const char *word)
{
	const char *const one[] = {word, NULL};
	unsigned int limit = policy_word_limit(type);
	unsigned int distance = policy_word_distance(type, word, limit);

	if (!policy_word_nearest(type, one) || (*known->near && distance >= known->distance))
		return;
	snprintf(known->near, sizeof(known->near), "%s", word);
	known->distance = distance;
}

static int no_such_type(const char *directory, const char *type, struct known *known,
			struct error *err)
{
	char list[512] = "";
	size_t used = 0;

	if (*known->near)
		return error_set(err, -ENOENT,
				 "there is no provider type '%s' (did you mean '%s'?)", type,
				 known->near);
	qsort(known->type, known->count, sizeof(known->type[0]), known_compare);
	for (size_t i = 0; i < known->count && used < sizeof(list); i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "",
					 known->type[i]);
	return error_set(err, -ENOENT, "there is no provider type '%s'; %s has: %s", type,
			 directory, list);
}

static int consider(const char *directory, const char *file, const char *type, struct known *known,
		    struct provider_profile **ret_profile, struct error *err)
{
	_cleanup_provider_profile_ struct provider_profile *profile = NULL;
	char path[PATH_MAX];
	int r;

	if (snprintf(path, sizeof(path), "%s/%s", directory, file) >= (int)sizeof(path))
		return error_set(err, -ENAMETOOLONG, "%s/%s: too long", directory, file);
	r = provider_profile_load(path, &profile, NULL, err);
	if (r < 0)
		return r;
	if (answers_to(profile, type)) {
		if (*ret_profile)
			return error_set_at(err, -EBADMSG, path, 1, 1,
					    "'%s' is also a type or alias of %s", type,
					    (*ret_profile)->file);
		*ret_profile = TAKE_PTR(profile);
		return 0;
	}
	known_compare_to(known, type, profile->type.value);
	for (size_t i = 0; i < profile->aliases.count; i++)
		known_compare_to(known, type, profile->aliases.items[i].value);
	known->type[known->count] = strdup(profile->type.value);
	if (!known->type[known->count])
		return error_set(err, -ENOMEM, "out of memory");
	known->count++;
	return 0;
}

int provider_profile_find(const char *directory, const char *type,
			  struct provider_profile **ret_profile, struct error *err)
{
	_cleanup_provider_profile_ struct provider_profile *found = NULL;
	_cleanup_closedir_ DIR *dir = opendir(directory);
	_cleanup_(known_clear) struct known known = {};
	struct dirent *entry;

	if (!dir)
		return error_set(err, -errno, "the provider profiles %s: %s", directory,
				 strerror(errno));
	while ((entry = readdir(dir))) {
		size_t len = strlen(entry->d_name);
		int r;

		if (entry->d_name[0] == '.' || len <= 5 || strcmp(entry->d_name + len - 5, ".yaml"))
			continue;
		if (known.count == PROFILE_FILES_MAX)
			return error_set(err, -E2BIG, "%s has more than %d profiles", directory,
					 PROFILE_FILES_MAX);
		r = consider(directory, entry->d_name, type, &known, &found, err);
		if (r < 0)
			return r;
	}
	if (!found)
		return no_such_type(directory, type, &known, err);
	*ret_profile = TAKE_PTR(found);
	return 0;
}

int provider_profile_directory(char *buf, size_t size, struct error *err)
{
	static const char *const places[] = {"../share/openshell/policy/providers",
					     "../../policy/providers"};
	char program[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	char *slash;

	if (n < 0)
		return error_set(err, -errno, "cannot find out where this program is: %s",
				 strerror(errno));
	program[n] = '\0';
	slash = strrchr(program, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (snprintf(buf, size, "%s/%s", program, places[i]) < (int)size &&
		    !access(buf, R_OK | X_OK))
			return 0;
	}
	return error_set(err, -ENOENT,
			 "there are no provider profiles at %s/%s: install OpenShell whole, or run "
			 "it where it was built",
			 program, places[0]);
}

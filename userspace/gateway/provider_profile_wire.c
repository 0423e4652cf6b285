/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/provider_profile_wire.h"

#include "common/cleanup.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

static int add_string(json_t *object, const char *key, const char *text)
{
	return text && *text ? json_object_set_new(object, key, json_string(text)) : 0;
}

static int add_strings(json_t *object, const char *key, char *const *items, size_t count)
{
	json_t *list;

	if (!count)
		return 0;
	list = json_array();
	for (size_t i = 0; i < count; i++)
		if (json_array_append_new(list, json_string(items[i]))) {
			json_decref(list);
			return -1;
		}
	return json_object_set_new(object, key, list);
}

/* A static one is given once, an external one by whoever updates the provider: nothing to do. */
static bool is_refreshed(const Openshell__V1__ProviderProfileCredential *credential)
{
	if (!credential->refresh)
		return false;
	switch ((int)credential->refresh->strategy) {
	case OPENSHELL__V1__PROVIDER_CREDENTIAL_REFRESH_STRATEGY__PROVIDER_CREDENTIAL_REFRESH_STRATEGY_UNSPECIFIED:
	case OPENSHELL__V1__PROVIDER_CREDENTIAL_REFRESH_STRATEGY__PROVIDER_CREDENTIAL_REFRESH_STRATEGY_STATIC:
	case OPENSHELL__V1__PROVIDER_CREDENTIAL_REFRESH_STRATEGY__PROVIDER_CREDENTIAL_REFRESH_STRATEGY_EXTERNAL:
		return false;
	}
	return true;
}

static void check_supported(const Openshell__V1__ProviderProfile *message, struct diagnostics *diag)
{
	struct policy_place nowhere = {};

	for (size_t i = 0; i < message->n_credentials; i++) {
		const Openshell__V1__ProviderProfileCredential *c = message->credentials[i];
		const struct {
			bool asked;
			const char *what;
		} unsupported[] = {{is_refreshed(c), "refresh"},
				   {c->token_grant, "token_grant"},
				   {*c->path_template, "path_template"}};

		for (size_t k = 0; k < ARRAY_LEN(unsupported); k++)
			if (unsupported[k].asked)
				policy_error(diag, nowhere, "profile.credential",
					     "credential '%.64s': this gateway does not do %s",
					     c->name, unsupported[k].what);
	}
}

/* The variable that the agent sees is the first of its list, or its name. */
static json_t *credential_tree(const Openshell__V1__ProviderProfileCredential *credential)
{
	json_t *tree = json_object();
	const char *key = credential->n_env_vars ? credential->env_vars[0] : credential->name;

	if (add_string(tree, "key", key) ||
	    add_strings(tree, "env", credential->env_vars, credential->n_env_vars) ||
	    (credential->required && json_object_set_new(tree, "required", json_true()))) {
		json_decref(tree);
		return NULL;
	}
	return tree;
}

static json_t *binding_tree(const Openshell__Sandbox__V1__NetworkEndpoint *endpoint)
{
	json_t *tree = json_object(), *ports = json_array();

	for (size_t i = 0; i < endpoint->n_ports; i++)
		json_array_append_new(ports, json_integer(endpoint->ports[i]));
	if (!endpoint->n_ports && endpoint->port)
		json_array_append_new(ports, json_integer(endpoint->port));
	if (json_array_size(ports))
		json_object_set(tree, "ports", ports);
	json_decref(ports);
	if (add_string(tree, "host", endpoint->host) || add_string(tree, "path", endpoint->path)) {
		json_decref(tree);
		return NULL;
	}
	return tree;
}

static json_t *profile_tree(const Openshell__V1__ProviderProfile *message)
{
	json_t *tree = json_pack("{s:i}", "version", 1);
	json_t *credentials = json_array(), *bindings = json_array();
	int r = add_string(tree, "type", message->id);

	if (!r)
		r = add_string(tree, "description",
			       *message->description ? message->description
						     : message->display_name);
	for (size_t i = 0; !r && i < message->n_credentials; i++)
		r = json_array_append_new(credentials, credential_tree(message->credentials[i]));
	for (size_t i = 0; !r && i < message->n_endpoints; i++)
		r = json_array_append_new(bindings, binding_tree(message->endpoints[i]));
	if (!r && json_array_size(credentials))
		r = json_object_set(tree, "credentials", credentials);
	if (!r && json_array_size(bindings))
		r = json_object_set(tree, "bindings", bindings);
	json_decref(credentials);
	json_decref(bindings);
	if (!r)
		return tree;
	json_decref(tree);
	return NULL;
}

int profile_from_wire(const Openshell__V1__ProviderProfile *message,
		      struct provider_profile **ret_profile, struct diagnostics *diag,
		      struct error *err)
{
	_cleanup_provider_profile_ struct provider_profile *profile = NULL;
	_cleanup_diagnostics_ struct diagnostics own = {};
	_cleanup_free_ char *text = NULL;
	json_t *tree = profile_tree(message);
	int r;

	if (!diag)
		diag = &own;
	text = tree ? json_dumps(tree, JSON_COMPACT) : NULL;
	json_decref(tree);
	if (!text)
		return error_set(err, -EINVAL, "the profile has text that is not UTF-8");
	r = provider_profile_parse("profile", text, strlen(text), &profile, diag, err);
	if (r && err)
		err->line = err->col = 0;
	check_supported(message, diag);
	if (!r && diag->errors)
		r = error_set(err, -EBADMSG, "%s", diagnostics_first_error(diag)->message);
	if (!r)
		*ret_profile = TAKE_PTR(profile);
	return r;
}

static char *copy(const char *text)
{
	return text && *text ? strdup(text) : (char *)protobuf_c_empty_string;
}

static void *new_message(const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *message = malloc(type->sizeof_message);

	if (message)
		protobuf_c_message_init(type, message);
	return message;
}

static int add_credential(const struct profile_credential *credential,
			  Openshell__V1__ProviderProfile *message)
{
	Openshell__V1__ProviderProfileCredential *c =
		new_message(&openshell__v1__provider_profile_credential__descriptor);

	if (!c)
		return -ENOMEM;
	message->credentials[message->n_credentials++] = c;
	c->name = copy(credential->key.value);
	c->required = credential->required.value;
	c->env_vars = calloc(credential->env.count + 1, sizeof(*c->env_vars));
	if (!c->env_vars)
		return -ENOMEM;
	for (size_t i = 0; i < credential->env.count; i++)
		c->env_vars[c->n_env_vars++] = copy(credential->env.items[i].value);
	return 0;
}

static int add_endpoint(const struct profile_binding *binding,
			Openshell__V1__ProviderProfile *message)
{
	Openshell__Sandbox__V1__NetworkEndpoint *e =
		new_message(&openshell__sandbox__v1__network_endpoint__descriptor);

	if (!e)
		return -ENOMEM;
	message->endpoints[message->n_endpoints++] = e;
	e->host = copy(binding->host.value);
	e->path = copy(binding->path.value);
	e->ports = calloc(binding->ports.count + 1, sizeof(*e->ports));
	if (!e->ports)
		return -ENOMEM;
	for (size_t i = 0; i < binding->ports.count; i++)
		e->ports[e->n_ports++] = (uint32_t)binding->ports.items[i].value;
	if (!binding->ports.count)
		e->ports[e->n_ports++] = 443;
	return 0;
}

static int fill(const struct provider_profile *profile, const char *source,
		Openshell__V1__ProviderProfile *message)
{
	const struct profile_credential *credentials = profile->credentials.items;
	const struct profile_binding *bindings = profile->bindings.items;
	int r = 0;

	message->id = copy(profile->type.value);
	message->display_name = copy(profile->type.value);
	message->description = copy(profile->description.value);
	message->source = copy(source);
	message->scope = copy(!strcmp(source, "builtin") ? "global" : "workspace");
	message->inference_capable = profile->inference.head.at.line > 0;
	message->category =
		message->inference_capable
			? OPENSHELL__V1__PROVIDER_PROFILE_CATEGORY__PROVIDER_PROFILE_CATEGORY_INFERENCE
			: OPENSHELL__V1__PROVIDER_PROFILE_CATEGORY__PROVIDER_PROFILE_CATEGORY_OTHER;
	message->credentials =
		calloc(profile->credentials.count + 1, sizeof(*message->credentials));
	message->endpoints = calloc(profile->bindings.count + 1, sizeof(*message->endpoints));
	if (!message->credentials || !message->endpoints)
		return -ENOMEM;
	for (size_t i = 0; !r && i < profile->credentials.count; i++)
		r = add_credential(&credentials[i], message);
	for (size_t i = 0; !r && i < profile->bindings.count; i++)
		r = add_endpoint(&bindings[i], message);
	return r;
}

int profile_to_wire(const struct provider_profile *profile, const char *source,
		    Openshell__V1__ProviderProfile **ret_message)
{
	Openshell__V1__ProviderProfile *message =
		new_message(&openshell__v1__provider_profile__descriptor);
	int r = message ? fill(profile, source, message) : -ENOMEM;

	if (r) {
		if (message)
			openshell__v1__provider_profile__free_unpacked(message, NULL);
		return r;
	}
	*ret_message = message;
	return 0;
}

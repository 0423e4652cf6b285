/* SPDX-License-Identifier: Apache-2.0 */
/* Routes of inference.local: which model of which provider answers a workspace's sandboxes. */
#include "common/caller_variable.h"
#include "common/cleanup.h"
#include "common/inference.h"
#include "common/inference_config.h"
#include "common/inference_message.h"
#include "common/rpc.h"
#include "gateway/config.h"
#include "gateway/credentials.h"
#include "gateway/handlers.h"
#include "gateway/profile_store.h"
#include "gateway/provider_change.h"
#include "gateway/provider_record.h"
#include "gateway/provider_variables.h"
#include "gateway/replace_string.h"
#include "inference.pb-c.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUTE_DEFAULT INFERENCE_HOST
#define ROUTE_SYSTEM  "sandbox-system"
#define TIMEOUT_MAX_S 86400
#define TEXT_MAX      8192

struct route {
	struct store_object object;
	Openshell__Inference__V1__InferenceRoute *route;
};

static void route_clear(struct route *route)
{
	if (route->route)
		openshell__inference__v1__inference_route__free_unpacked(route->route, NULL);
	store_object_clear(&route->object);
	*route = (struct route){};
}

/* As the store and clients have it, and as a sandbox's worker and its log have it. */
static const char *route_name(const char *name)
{
	return *name && strcmp(name, "default") != 0 ? name : ROUTE_DEFAULT;
}

static const char *told_name(const char *name)
{
	return !*name || !strcmp(name, ROUTE_DEFAULT) ? "default" : name;
}

/* Takes @object. */
static int unpack(struct store_object *object, struct route *ret_route, struct error *err)
{
	struct route route = {.object = *object};

	*object = (struct store_object){};
	route.route = openshell__inference__v1__inference_route__unpack(
		NULL, route.object.payload_size, route.object.payload);
	if (!route.route || !route.route->config) {
		error_set(err, -EIO, "route '%s' is damaged", route.object.name);
		route_clear(&route);
		return -EIO;
	}
	*ret_route = route;
	return 0;
}

static int get_route(struct gateway *gateway, const char *workspace, const char *name,
		     struct route *ret_route, struct error *err)
{
	struct store_object object;
	int r = store_get(gateway->store, STORE_INFERENCE_ROUTE, workspace, route_name(name),
			  &object, err);

	if (r == -ENOENT)
		return error_set(err, r, "workspace '%s' has no route '%s'", workspace,
				 route_name(name));
	return r ? r : unpack(&object, ret_route, err);
}

/* What a sandbox's worker is told of one route. */
static int build(struct gateway *gateway, const char *workspace, const char *name,
		 const Openshell__Inference__V1__InferenceRouteConfig *config,
		 Openshell__Worker__V1__Inference **ret_inference, struct error *err)
{
	_cleanup_provider_profile_ struct provider_profile *profile = NULL;
	_cleanup_inference_config_ struct inference_config *built = NULL;
	struct provider_record provider = {};
	struct caller_variables variables = {.find = provider_variable,
					     .place = PROVIDER_VARIABLES_PLACE};
	char directory[PATH_MAX], request[TEXT_MAX], text[TEXT_MAX];
	const char *requests[] = {text}, *providers[] = {request};
	struct inference_source source = {
		.requests = requests,
		.requests_len = 1,
		.providers = providers,
		.providers_len = 1,
		.directory = directory,
	};
	int r = provider_record_get(gateway, workspace, config->provider_name, &provider, err);

	if (!r)
		r = profile_store_find(gateway, workspace, provider.provider->type, &profile, err);
	if (!r && !policy_given(profile->inference.head))
		r = error_set(err, -EINVAL,
			      "provider '%s' is of type '%s', which has no model to ask; a server "
			      "of your own is openai-compatible, with OPENAI_COMPATIBLE_BASE_URL "
			      "in its config",
			      config->provider_name, provider.provider->type);
	if (!r)
		r = provider_request_text(provider.provider, profile, request, sizeof(request),
					  err);
	if (!r && *gateway->config->profiles)
		snprintf(directory, sizeof(directory), "%s", gateway->config->profiles);
	else if (!r)
		r = provider_profile_directory(directory, sizeof(directory), err);
	if (!r) {
		int n = snprintf(text, sizeof(text), "provider=%s,model=%s,name=%s",
				 config->provider_name, config->model_id, name);

		if (config->timeout_secs)
			snprintf(text + n, sizeof(text) - (size_t)n, ",timeout=%llu",
				 (unsigned long long)config->timeout_secs);
		variables.arg = provider.provider;
		caller_variables_use(&variables);
		r = inference_config_new(&source, &built, NULL, err);
		caller_variables_use(NULL);
	}
	if (!r && inference_message_copy(inference_config_get(built), ret_inference))
		r = error_set(err, -ENOMEM, "out of memory");
	provider_record_clear(&provider);
	return r;
}

/* ---- what nodes are told ---- */

static int append(Openshell__Worker__V1__Inference **all, Openshell__Worker__V1__Inference *one)
{
	void *grown;

	if (!*all) {
		*all = one;
		return 0;
	}
	grown = reallocarray((*all)->routes, (*all)->n_routes + one->n_routes + 1,
			     sizeof(*(*all)->routes));
	if (!grown) {
		inference_message_free(one);
		return -ENOMEM;
	}
	(*all)->routes = grown;
	for (size_t i = 0; i < one->n_routes; i++)
		(*all)->routes[(*all)->n_routes++] = one->routes[i];
	one->n_routes = 0;
	inference_message_free(one);
	return 0;
}

/* The default one is tried first; what is meant for the system itself, agents do not get. */
static int build_all(struct gateway *gateway, const char *workspace,
		     Openshell__Worker__V1__Inference **ret_inference, struct error *err)
{
	const struct store_query query = {.kind = STORE_INFERENCE_ROUTE, .workspace = workspace};
	Openshell__Worker__V1__Inference *all = NULL;
	struct store_list list;
	int r = store_list(gateway->store, &query, &list, err);

	if (r)
		return r;
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; !r && i < list.count; i++) {
			Openshell__Worker__V1__Inference *one;
			bool is_default =
				list.items[i].name && !strcmp(list.items[i].name, ROUTE_DEFAULT);
			struct route route;

			if (!list.items[i].name || is_default != !pass ||
			    !strcmp(list.items[i].name, ROUTE_SYSTEM))
				continue;
			r = unpack(&list.items[i], &route, err);
			if (r)
				break;
			r = build(gateway, workspace, told_name(route.object.name),
				  route.route->config, &one, err);
			if (!r && append(&all, one))
				r = error_set(err, -ENOMEM, "out of memory");
			route_clear(&route);
		}
	}
	store_list_clear(&list);
	if (r) {
		inference_message_free(all);
		return r;
	}
	*ret_inference = all;
	return 0;
}

int inference_for_sandbox(struct gateway *gateway, const struct sandbox_record *record,
			  Openshell__Node__V1__Inference **ret_inference, struct error *err)
{
	Openshell__Node__V1__Inference *message = malloc(sizeof(*message));
	int r;

	if (!message)
		return error_set(err, -ENOMEM, "out of memory");
	openshell__node__v1__inference__init(message);
	r = build_all(gateway, record->object.workspace, &message->inference, err);
	if (!r && replace_string(&message->sandbox_id, record->object.id))
		r = error_set(err, -ENOMEM, "out of memory");
	if (r) {
		rpc_scrub(&message->base);
		openshell__node__v1__inference__free_unpacked(message, NULL);
		return r;
	}
	*ret_inference = message;
	return 0;
}

int inference_try(struct gateway *gateway, const char *workspace, const char *provider,
		  struct error *err)
{
	const struct store_query query = {.kind = STORE_INFERENCE_ROUTE, .workspace = workspace};
	struct store_list list;
	int r = store_list(gateway->store, &query, &list, err);

	if (r)
		return r;
	for (size_t i = 0; !r && i < list.count; i++) {
		Openshell__Worker__V1__Inference *built = NULL;
		struct error why = {};
		struct route route;

		r = unpack(&list.items[i], &route, err);
		if (r)
			break;
		if (!strcmp(route.route->config->provider_name, provider) &&
		    build(gateway, workspace, told_name(route.object.name), route.route->config,
			  &built, &why))
			r = error_set(err, -EBUSY, "route '%s' could not use it any more: %s",
				      route.object.name, why.message);
		inference_message_free(built);
		route_clear(&route);
	}
	store_list_clear(&list);
	return r;
}

int inference_uses(struct gateway *gateway, const char *workspace, const char *provider,
		   struct error *err)
{
	const struct store_query query = {.kind = STORE_INFERENCE_ROUTE, .workspace = workspace};
	struct store_list list;
	int r = store_list(gateway->store, &query, &list, err);

	if (r)
		return r;
	for (size_t i = 0; !r && i < list.count; i++) {
		struct route route;

		r = unpack(&list.items[i], &route, err);
		if (r)
			break;
		if (!strcmp(route.route->config->provider_name, provider))
			r = error_set(err, -EBUSY,
				      "provider '%s' is used by route '%s' of inference.local",
				      provider, route.object.name);
		route_clear(&route);
	}
	store_list_clear(&list);
	return r;
}

/* ---- the RPCs ---- */

static int check(const Openshell__Inference__V1__SetInferenceRouteRequest *message,
		 struct error *err)
{
	const char *name = message->route_name;

	if (!*message->provider_name || !*message->model_id)
		return error_set(err, -EINVAL, "a route has a provider and a model");
	if (strlen(message->model_id) > INFERENCE_MODEL_MAX || strpbrk(message->model_id, ", \t="))
		return error_set(err, -EINVAL, "model_id: at most %d characters, no ',' or '='",
				 INFERENCE_MODEL_MAX);
	if (strlen(name) > INFERENCE_NAME_MAX ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != strlen(name))
		return error_set(err, -EINVAL,
				 "route_name: at most %d lower-case letters, digits, '-', '_', '.'",
				 INFERENCE_NAME_MAX);
	if (message->timeout_secs > TIMEOUT_MAX_S)
		return error_set(err, -EINVAL, "timeout_secs: at most %d", TIMEOUT_MAX_S);
	if (message->verify && message->no_verify)
		return error_set(err, -EINVAL, "verify and no_verify exclude each other");
	return 0;
}

static int write_route(struct request *request,
		       const Openshell__Inference__V1__SetInferenceRouteRequest *message,
		       uint64_t *ret_version, struct error *err)
{
	Openshell__Inference__V1__InferenceRoute route =
		OPENSHELL__INFERENCE__V1__INFERENCE_ROUTE__INIT;
	Openshell__Inference__V1__InferenceRouteConfig config =
		OPENSHELL__INFERENCE__V1__INFERENCE_ROUTE_CONFIG__INIT;
	const char *name = route_name(message->route_name);
	struct store_object object = {};
	uint8_t packed[1024];
	uint64_t count;
	char id[37];
	int r;

	config.provider_name = message->provider_name;
	config.model_id = message->model_id;
	config.timeout_secs = message->timeout_secs;
	route.config = &config;
	r = store_get(request->gateway->store, STORE_INFERENCE_ROUTE, request->workspace, name,
		      &object, err);
	if (!r) {
		free(object.payload);
		object.payload = packed;
		object.payload_size = protobuf_c_message_pack(&route.base, packed);
		r = store_update(request->gateway->store, &object, 0, err);
		*ret_version = object.version;
		object.payload = NULL;
		store_object_clear(&object);
		return r;
	}
	if (r != -ENOENT)
		return r;
	r = store_count(request->gateway->store, STORE_INFERENCE_ROUTE, request->workspace, &count,
			err);
	if (r)
		return r;
	if (count >= INFERENCE_ROUTES_MAX)
		return error_set(err, -ENOSPC, "a workspace has at most %d routes",
				 INFERENCE_ROUTES_MAX);
	store_make_id(id);
	object = (struct store_object){
		.id = id,
		.kind = STORE_INFERENCE_ROUTE,
		.workspace = (char *)request->workspace,
		.name = (char *)name,
		.payload = packed,
		.payload_size = protobuf_c_message_pack(&route.base, packed),
	};
	r = store_insert(request->gateway->store, &object, err);
	*ret_version = object.version;
	return r;
}

static void set(struct request *request)
{
	const Openshell__Inference__V1__SetInferenceRouteRequest *message =
		(const void *)request->message;
	Openshell__Inference__V1__SetInferenceRouteResponse response =
		OPENSHELL__INFERENCE__V1__SET_INFERENCE_ROUTE_RESPONSE__INIT;
	Openshell__Inference__V1__InferenceRouteConfig config =
		OPENSHELL__INFERENCE__V1__INFERENCE_ROUTE_CONFIG__INIT;
	Openshell__Worker__V1__Inference *built = NULL;
	struct error err = {};
	int r = check(message, &err);

	/* It has to be one that can be told: a provider with a key, of a type that has models. */
	if (!r) {
		config.provider_name = message->provider_name;
		config.model_id = message->model_id;
		config.timeout_secs = message->timeout_secs;
		r = build(request->gateway, request->workspace, told_name(message->route_name),
			  &config, &built, &err);
		inference_message_free(built);
	}
	if (!r)
		r = write_route(request, message, &response.version, &err);
	if (r) {
		request_fail_error(request, &err);
		return;
	}
	inference_changed(request->gateway, request->workspace);
	response.provider_name = message->provider_name;
	response.model_id = message->model_id;
	response.route_name = (char *)route_name(message->route_name);
	response.timeout_secs = message->timeout_secs;
	response.workspace = (char *)request->workspace;
	/* A request to the model is made where its sandboxes are: this gateway makes none. */
	response.validation_performed = false;
	request_reply(request, &response.base);
}

static void get(struct request *request)
{
	const Openshell__Inference__V1__GetInferenceRouteRequest *message =
		(const void *)request->message;
	Openshell__Inference__V1__GetInferenceRouteResponse response =
		OPENSHELL__INFERENCE__V1__GET_INFERENCE_ROUTE_RESPONSE__INIT;
	struct route route = {};
	struct error err = {};

	if (get_route(request->gateway, request->workspace, message->route_name, &route, &err)) {
		request_fail_error(request, &err);
		return;
	}
	response.provider_name = route.route->config->provider_name;
	response.model_id = route.route->config->model_id;
	response.timeout_secs = route.route->config->timeout_secs;
	response.version = route.object.version;
	response.route_name = route.object.name;
	response.workspace = (char *)request->workspace;
	request_reply(request, &response.base);
	route_clear(&route);
}

static void delete (struct request *request)
{
	const Openshell__Inference__V1__DeleteInferenceRouteRequest *message =
		(const void *)request->message;
	Openshell__Inference__V1__DeleteInferenceRouteResponse response =
		OPENSHELL__INFERENCE__V1__DELETE_INFERENCE_ROUTE_RESPONSE__INIT;
	struct route route = {};
	struct error err = {};
	int r = get_route(request->gateway, request->workspace, message->route_name, &route, &err);

	if (!r)
		r = store_delete(request->gateway->store, STORE_INFERENCE_ROUTE, route.object.id, 0,
				 &err);
	if (r) {
		request_fail_error(request, &err);
	} else {
		inference_changed(request->gateway, request->workspace);
		response.deleted = true;
		request_reply(request, &response.base);
	}
	route_clear(&route);
}

/* Another one when anything in the bundle is another. */
static void hash_routes(const Openshell__Inference__V1__GetInferenceBundleResponse *response,
			char ret_text[33])
{
	size_t size = protobuf_c_message_get_packed_size(&response->base);
	_cleanup_free_ uint8_t *packed = malloc(size + 1);
	uint8_t digest[SHA256_DIGEST_LENGTH] = {};

	if (packed) {
		protobuf_c_message_pack(&response->base, packed);
		SHA256(packed, size, digest);
	}
	for (size_t i = 0; i < 16; i++)
		snprintf(ret_text + 2 * i, 3, "%02x", digest[i]);
}

/* For a sandbox itself: where routes lead, and no key: its worker has that. */
static void get_bundle(struct request *request)
{
	Openshell__Inference__V1__GetInferenceBundleResponse response =
		OPENSHELL__INFERENCE__V1__GET_INFERENCE_BUNDLE_RESPONSE__INIT;
	Openshell__Inference__V1__ResolvedRoute resolved[INFERENCE_ROUTES_MAX],
		*list[INFERENCE_ROUTES_MAX];
	Openshell__Worker__V1__Inference *all = NULL;
	struct sandbox_record record = {};
	char url[INFERENCE_ROUTES_MAX][512], revision[33];
	struct error err = {};
	int r = sandbox_record_get_id(request->gateway, request->principal->subject, &record, &err);

	if (!r)
		r = build_all(request->gateway, record.object.workspace, &all, &err);
	for (size_t i = 0; !r && all && i < all->n_routes && i < INFERENCE_ROUTES_MAX; i++) {
		const Openshell__Worker__V1__InferenceRoute *route = all->routes[i];

		openshell__inference__v1__resolved_route__init(&resolved[i]);
		snprintf(url[i], sizeof(url[i]), "%s://%s:%u%s", route->tls ? "https" : "http",
			 route->host, route->port, route->base_path);
		resolved[i].name = route->name;
		resolved[i].base_url = url[i];
		resolved[i].model_id = route->model;
		resolved[i].provider_type = route->type;
		resolved[i].timeout_secs = route->timeout_ms / 1000;
		list[i] = &resolved[i];
		response.n_routes = i + 1;
	}
	if (r) {
		request_fail_error(request, &err);
	} else {
		response.routes = list;
		hash_routes(&response, revision);
		response.revision = revision;
		response.generated_at_ms = (int64_t)time(NULL) * 1000;
		request_reply(request, &response.base);
	}
	inference_message_free(all);
	sandbox_record_clear(&record);
}

const struct handler inference_handlers[] = {
	{RPC_INFERENCE_SET_INFERENCE_ROUTE, set},
	{RPC_INFERENCE_GET_INFERENCE_ROUTE, get},
	{RPC_INFERENCE_DELETE_INFERENCE_ROUTE, delete},
	{RPC_INFERENCE_GET_INFERENCE_BUNDLE, get_bundle},
	{},
};

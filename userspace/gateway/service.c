/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/service.h"

#include "common/cleanup.h"
#include "gateway/authority.h"
#include "gateway/config.h"
#include "gateway/handlers.h"
#include "gateway/sandbox_record.h"
#include "gateway/service_http.h"
#include "gateway/ssh_session.h"
#include "gateway/store.h"
#include "openshell.pb-c.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICES_MAX	64 /* of one sandbox */
#define NAME_SIZE	160
#define SERVICE_DEFAULT "web"
#define URL_SIZE	300

static const char *name_or_default(const char *service)
{
	return *service ? service : SERVICE_DEFAULT;
}

static void name_of(char name[NAME_SIZE], const char *sandbox, const char *service)
{
	snprintf(name, NAME_SIZE, "%s/%s", sandbox, name_or_default(service));
}

static int get(struct gateway *gateway, const char *workspace, const char *sandbox,
	       const char *service, struct store_object *ret_object,
	       Openshell__V1__ServiceEndpoint **ret_endpoint, struct error *err)
{
	char name[NAME_SIZE];
	int r;

	if (!*sandbox)
		return error_set(err, -EINVAL, "which sandbox? its name is missing");
	name_of(name, sandbox, service);
	r = store_get(gateway->store, STORE_SERVICE, workspace, name, ret_object, err);
	if (r == -ENOENT)
		return error_set(err, r, "sandbox '%s' has no service '%s'", sandbox,
				 name_or_default(service));
	if (r)
		return r;
	*ret_endpoint = openshell__v1__service_endpoint__unpack(NULL, ret_object->payload_size,
								ret_object->payload);
	if (*ret_endpoint && (*ret_endpoint)->metadata) {
		(*ret_endpoint)->metadata->created_at_ms = ret_object->created_ms;
		(*ret_endpoint)->metadata->resource_version = ret_object->version;
		return 0;
	}
	if (*ret_endpoint)
		openshell__v1__service_endpoint__free_unpacked(*ret_endpoint, NULL);
	*ret_endpoint = NULL;
	store_object_clear(ret_object);
	return error_set(err, -EIO, "the record of service '%s' is damaged", name);
}

static void reply(struct request *request, Openshell__V1__ServiceEndpoint *endpoint)
{
	Openshell__V1__ServiceEndpointResponse response =
		OPENSHELL__V1__SERVICE_ENDPOINT_RESPONSE__INIT;
	char url[URL_SIZE];

	service_url(request->gateway, endpoint->metadata->workspace, endpoint->sandbox_name,
		    endpoint->service_name, url, sizeof(url));
	response.endpoint = endpoint;
	response.url = url;
	request_reply(request, &response.base);
}

static int write_service(struct request *request,
			 const Openshell__V1__ExposeServiceRequest *message, const char *sandbox_id,
			 struct error *err)
{
	Openshell__V1__ServiceEndpoint endpoint = OPENSHELL__V1__SERVICE_ENDPOINT__INIT;
	Openshell__Datamodel__V1__ObjectMeta meta = OPENSHELL__DATAMODEL__V1__OBJECT_META__INIT;
	Openshell__V1__ServiceEndpoint *old = NULL;
	struct store_object object = {};
	uint8_t packed[1024];
	char id[37], name[NAME_SIZE];
	int r = get(request->gateway, request->workspace, message->sandbox, message->service,
		    &object, &old, err);

	if (r && r != -ENOENT)
		return r;
	store_make_id(id);
	name_of(name, message->sandbox, message->service);
	meta.id = r ? id : object.id;
	meta.name = (char *)name_or_default(message->service);
	meta.workspace = (char *)request->workspace;
	endpoint.metadata = &meta;
	endpoint.sandbox_id = (char *)sandbox_id;
	endpoint.sandbox_name = message->sandbox;
	endpoint.service_name = (char *)name_or_default(message->service);
	endpoint.target_port = message->target_port;
	endpoint.domain = message->domain;
	if (r) {
		struct store_object fresh = {
			.id = id,
			.kind = STORE_SERVICE,
			.workspace = (char *)request->workspace,
			.name = name,
			.payload = packed,
			.payload_size = protobuf_c_message_pack(&endpoint.base, packed),
		};

		return store_insert(request->gateway->store, &fresh, err);
	}
	free(object.payload);
	object.payload = packed;
	object.payload_size = protobuf_c_message_pack(&endpoint.base, packed);
	r = store_update(request->gateway->store, &object, 0, err);
	object.payload = NULL;
	openshell__v1__service_endpoint__free_unpacked(old, NULL);
	store_object_clear(&object);
	return r;
}

static int check_room(struct request *request, const char *sandbox, struct error *err)
{
	char prefix[NAME_SIZE];
	const struct store_query query = {
		.kind = STORE_SERVICE, .workspace = request->workspace, .name_prefix = prefix};
	struct store_list list;
	int r;

	snprintf(prefix, sizeof(prefix), "%s/", sandbox);
	r = store_list(request->gateway->store, &query, &list, err);
	if (r)
		return r;
	if (list.count >= SERVICES_MAX)
		r = error_set(err, -ENOSPC, "a sandbox has at most %d services", SERVICES_MAX);
	store_list_clear(&list);
	return r;
}

void service_expose(struct request *request)
{
	const Openshell__V1__ExposeServiceRequest *message = (const void *)request->message;
	Openshell__V1__ServiceEndpoint *endpoint = NULL;
	struct sandbox_record record = {};
	struct store_object object = {};
	struct error err = {};
	int r = sandbox_record_get(request->gateway, request->workspace, message->sandbox, &record,
				   &err);

	if (!r && (!message->target_port || message->target_port > 65535))
		r = error_set(&err, -EINVAL, "target_port is a number from 1 to 65535");
	/* Names are joined by "--" in a URL. */
	if (!r && strstr(name_or_default(message->service), "--"))
		r = error_set(&err, -EINVAL, "a service's name has no '--' in it");
	if (!r)
		r = check_room(request, message->sandbox, &err);
	if (!r)
		r = write_service(request, message, record.object.id, &err);
	if (!r)
		r = get(request->gateway, request->workspace, message->sandbox, message->service,
			&object, &endpoint, &err);
	if (r) {
		request_fail_error(request, &err);
	} else {
		reply(request, endpoint);
		openshell__v1__service_endpoint__free_unpacked(endpoint, NULL);
	}
	store_object_clear(&object);
	sandbox_record_clear(&record);
}

void service_get(struct request *request)
{
	const Openshell__V1__GetServiceRequest *message = (const void *)request->message;
	Openshell__V1__ServiceEndpoint *endpoint = NULL;
	struct store_object object = {};
	struct error err = {};

	if (get(request->gateway, request->workspace, message->sandbox, message->service, &object,
		&endpoint, &err)) {
		request_fail_error(request, &err);
		return;
	}
	reply(request, endpoint);
	openshell__v1__service_endpoint__free_unpacked(endpoint, NULL);
	store_object_clear(&object);
}

static bool may_see(struct request *request, const char *workspace, bool everywhere)
{
	return !everywhere || !authority_allows(request->gateway->authority, request->principal,
						request->method, workspace, NULL, NULL);
}

void service_list(struct request *request)
{
	const Openshell__V1__ListServicesRequest *message = (const void *)request->message;
	Openshell__V1__ListServicesResponse response = OPENSHELL__V1__LIST_SERVICES_RESPONSE__INIT;
	char prefix[NAME_SIZE];
	const struct store_query query = {
		.kind = STORE_SERVICE,
		.workspace = message->all_workspaces ? NULL : request->workspace,
		.name_prefix = *message->sandbox ? prefix : NULL,
		.limit = message->limit,
		.offset = message->offset,
	};
	struct store_list list = {};
	struct error err = {};
	int r;

	snprintf(prefix, sizeof(prefix), "%s/", message->sandbox);
	r = store_list(request->gateway->store, &query, &list, &err);
	if (r) {
		request_fail_error(request, &err);
		return;
	}
	response.services = calloc(list.count + 1, sizeof(*response.services));
	for (size_t i = 0; response.services && i < list.count; i++) {
		Openshell__V1__ServiceEndpointResponse *item;
		char url[URL_SIZE];

		if (!may_see(request, list.items[i].workspace, message->all_workspaces))
			continue;
		item = malloc(sizeof(*item));
		if (!item)
			break;
		openshell__v1__service_endpoint_response__init(item);
		item->endpoint = openshell__v1__service_endpoint__unpack(
			NULL, list.items[i].payload_size, list.items[i].payload);
		if (item->endpoint && item->endpoint->metadata) {
			item->endpoint->metadata->created_at_ms = list.items[i].created_ms;
			item->endpoint->metadata->resource_version = list.items[i].version;
			service_url(request->gateway, list.items[i].workspace,
				    item->endpoint->sandbox_name, item->endpoint->service_name, url,
				    sizeof(url));
			item->url = strdup(url);
		}
		if (!item->url)
			item->url = (char *)protobuf_c_empty_string;
		response.services[response.n_services++] = item;
	}
	request_reply(request, &response.base);
	for (size_t i = 0; i < response.n_services; i++)
		openshell__v1__service_endpoint_response__free_unpacked(response.services[i], NULL);
	free(response.services);
	store_list_clear(&list);
}

void service_delete(struct request *request)
{
	const Openshell__V1__DeleteServiceRequest *message = (const void *)request->message;
	Openshell__V1__DeleteServiceResponse response =
		OPENSHELL__V1__DELETE_SERVICE_RESPONSE__INIT;
	Openshell__V1__ServiceEndpoint *endpoint = NULL;
	struct store_object object = {};
	struct error err = {};
	int r = get(request->gateway, request->workspace, message->sandbox, message->service,
		    &object, &endpoint, &err);

	if (!r)
		r = store_delete(request->gateway->store, STORE_SERVICE, object.id, 0, &err);
	if (r) {
		request_fail_error(request, &err);
	} else {
		response.deleted = true;
		request_reply(request, &response.base);
	}
	if (endpoint)
		openshell__v1__service_endpoint__free_unpacked(endpoint, NULL);
	store_object_clear(&object);
}

int service_port(struct gateway *gateway, const char *service_id, const char *sandbox_id,
		 uint32_t *ret_port, struct error *err)
{
	Openshell__V1__ServiceEndpoint *endpoint;
	struct store_object object;
	int r = store_get_id(gateway->store, STORE_SERVICE, service_id, &object, err);

	if (r)
		return r == -ENOENT ? error_set(err, r, "there is no such service") : r;
	endpoint =
		openshell__v1__service_endpoint__unpack(NULL, object.payload_size, object.payload);
	if (!endpoint || strcmp(endpoint->sandbox_id, sandbox_id) != 0)
		r = error_set(err, -ENOENT, "the sandbox has no such service");
	else
		*ret_port = endpoint->target_port;
	if (endpoint)
		openshell__v1__service_endpoint__free_unpacked(endpoint, NULL);
	store_object_clear(&object);
	return r;
}

int service_find(struct gateway *gateway, const char *workspace, const char *sandbox,
		 const char *service, char **ret_sandbox_id, uint32_t *ret_port, struct error *err)
{
	Openshell__V1__ServiceEndpoint *endpoint = NULL;
	struct store_object object = {};
	int r = get(gateway, workspace, sandbox, service, &object, &endpoint, err);

	if (r)
		return r;
	*ret_sandbox_id = strdup(endpoint->sandbox_id);
	*ret_port = endpoint->target_port;
	openshell__v1__service_endpoint__free_unpacked(endpoint, NULL);
	store_object_clear(&object);
	return *ret_sandbox_id ? 0 : error_set(err, -ENOMEM, "out of memory");
}

const struct handler access_handlers[] = {
	{RPC_CREATE_SSH_SESSION, ssh_session_create},
	{RPC_REVOKE_SSH_SESSION, ssh_session_revoke},
	{RPC_EXPOSE_SERVICE, service_expose},
	{RPC_GET_SERVICE, service_get},
	{RPC_LIST_SERVICES, service_list},
	{RPC_DELETE_SERVICE, service_delete},
	{},
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the gateway is well, what it is, and who asks. */
#include "gateway/config.h"
#include "gateway/handlers.h"
#include "gateway/nodes.h"
#include "openshell.pb-c.h"

static Openshell__V1__ServiceStatus status_of(const struct gateway *gateway)
{
	return gateway->ready ? OPENSHELL__V1__SERVICE_STATUS__SERVICE_STATUS_HEALTHY
			      : OPENSHELL__V1__SERVICE_STATUS__SERVICE_STATUS_UNHEALTHY;
}

static void health(struct request *request)
{
	Openshell__V1__HealthResponse response = OPENSHELL__V1__HEALTH_RESPONSE__INIT;

	response.status = status_of(request->gateway);
	response.version = (char *)OPENSHELL_VERSION;
	request_reply(request, &response.base);
}

static void get_current_user(struct request *request)
{
	Openshell__V1__GetCurrentUserResponse response =
		OPENSHELL__V1__GET_CURRENT_USER_RESPONSE__INIT;
	const struct principal *principal = request->principal;

	response.subject = principal->subject;
	response.display_name =
		principal->display_name ? principal->display_name : principal->subject;
	response.roles = principal->role;
	response.n_roles = principal->roles;
	response.scopes = principal->scope;
	response.n_scopes = principal->scopes;
	response.identity_provider = (char *)principal->provider;
	request_reply(request, &response.base);
}

/* One driver, where a supervisor is attached. */
static void get_gateway_info(struct request *request)
{
	Openshell__V1__GetGatewayInfoResponse response =
		OPENSHELL__V1__GET_GATEWAY_INFO_RESPONSE__INIT;
	Openshell__V1__ComputeDriverInfo info = OPENSHELL__V1__COMPUTE_DRIVER_INFO__INIT;
	Openshell__V1__ComputeDriverCapabilities capabilities =
		OPENSHELL__V1__COMPUTE_DRIVER_CAPABILITIES__INIT;
	Openshell__V1__ComputeDriverInfo *drivers[] = {&info};

	capabilities.driver_name = (char *)"host";
	capabilities.driver_version = (char *)OPENSHELL_VERSION;
	info.name = (char *)"host";
	info.capabilities = &capabilities;
	response.status = status_of(request->gateway);
	response.gateway_version = (char *)OPENSHELL_VERSION;
	response.compute_drivers = drivers;
	response.n_compute_drivers = nodes_count(request->gateway->nodes) ? 1 : 0;
	request_reply(request, &response.base);
}

const struct handler health_handlers[] = {
	{RPC_HEALTH, health},
	{RPC_GET_CURRENT_USER, get_current_user},
	{RPC_GET_GATEWAY_INFO, get_gateway_info},
	{},
};

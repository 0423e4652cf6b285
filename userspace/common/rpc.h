/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every RPC of proto/: what it takes and gives, and who may call it. The tables are generated from
 * the proto files at build time (mk/rpc_table.py), so what the gateway enforces is what they say.
 * Constant; any thread.
 */
#pragma once

#include "rpc_table.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

enum rpc_auth {
	RPC_AUTH_UNAUTHENTICATED,
	RPC_AUTH_BEARER,  /* a user */
	RPC_AUTH_SANDBOX, /* a sandbox's own token, for that sandbox alone */
	RPC_AUTH_DUAL,	  /* either of the two */
	RPC_AUTH_NODE,	  /* a supervisor */
};

/* In the workspace that a request is about; each may what those before it may. */
enum rpc_role {
	RPC_ROLE_NONE,
	RPC_ROLE_USER,
	RPC_ROLE_ADMIN,
};

struct rpc_method {
	enum rpc_id id;
	const char *path; /* "/openshell.v1.OpenShell/Health" */
	const ProtobufCMessageDescriptor *request, *response;
	bool client_streams, server_streams;
	enum rpc_auth auth;
	enum rpc_role role;
	bool platform_admin; /* only platform administrators */
	const char *scope;   /* of an OAuth token, "" = none is asked for */
};

extern const struct rpc_method rpc_methods[RPC_COUNT];

/* The method of a request's :path, or NULL. */
const struct rpc_method *rpc_find(const char *path);

/* A field that has the option `secret`. */
struct rpc_secret {
	const ProtobufCMessageDescriptor *message; /* NULL ends the table */
	const char *field;
};

extern const struct rpc_secret rpc_secrets[];

/*
 * Take what is secret out of a message and all that is in it, in place: strings and bytes become
 * empty, maps keep their keys with empty values, messages keep nothing. The values are overwritten
 * before they are freed. For what is answered to users and for what is logged.
 */
void rpc_scrub(ProtobufCMessage *message);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy file in memory, and the way to it and from it: load (parse, validate, lint), compile to
 * the tables that are enforced, and name the result by its digest. The same code runs in `policy
 * check`, the gateway and the supervisor.
 *
 * A struct policy and everything it points to belong to one arena and go with policy_free(). It is
 * never changed after loading, so threads may share it. Fails closed: a file with one error yields
 * no policy.
 */
#pragma once

#include "common/error.h"
#include "common/policy_diagnostic.h"
#include "compiled_policy.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_PATHS_MAX	   256	 /* read_only and read_write together; deny as many again */
#define POLICY_PATH_BYTES_MAX	   4096	 /* of one path */
#define POLICY_ENDPOINTS_MAX	   16384 /* of all rules */
#define POLICY_BINARIES_MAX	   1024	 /* of one rule */
#define POLICY_BINARY_SETS_MAX	   256	 /* distinct lists of binaries: bits of the kernel's mask */
#define POLICY_MIDDLEWARES_MAX	   10
#define POLICY_SELECTORS_MAX	   32 /* host patterns of one middleware */
#define POLICY_BODY_BYTES_DEFAULT  65536
#define POLICY_BODY_BYTES_MAX	   (64u << 20)
#define POLICY_MCP_VERSION_DEFAULT "2025-11-25"
#define POLICY_DIGEST_SIZE	   32 /* SHA-256 */

/* Values as written; at.line is 0 for a key that the file does not have. */
struct policy_string {
	struct policy_place at;
	const char *value; /* NULL when absent or of a wrong kind */
};

struct policy_bool {
	struct policy_place at;
	bool value;
};

struct policy_number {
	struct policy_place at;
	int64_t value;
};

struct policy_enum {
	struct policy_place at;
	int value; /* 0 when absent */
};

struct policy_strings {
	struct policy_place at;
	struct policy_string *items;
	size_t count;
};

struct policy_numbers {
	struct policy_place at;
	struct policy_number *items;
	size_t count;
};

/* Opens every object that the file can hold. */
struct policy_head {
	struct policy_place at; /* of the value, or of the key in a map; line 0 = absent */
	const char *key;	/* in a map */
};

struct policy_list {
	struct policy_place at;
	void *items; /* of the object that the field's description names */
	size_t count;
};

/* True when the file has the key, whatever its value. */
#define policy_given(field) ((field).at.line > 0)

struct policy_filesystem {
	struct policy_head head;
	struct policy_bool include_workdir;
	struct policy_strings read_only, read_write, deny;
};

enum policy_compatibility {
	POLICY_COMPATIBILITY_BEST_EFFORT = 1,
	POLICY_COMPATIBILITY_HARD_REQUIREMENT,
};

struct policy_landlock {
	struct policy_head head;
	struct policy_enum compatibility;
};

struct policy_process {
	struct policy_head head;
	struct policy_string run_as_user, run_as_group;
};

struct policy_exec {
	struct policy_head head;
	struct policy_strings allow, deny;
	struct policy_bool allow_writable;
};

/* A glob, or a list of globs of which one has to match. */
struct policy_matcher {
	struct policy_head head; /* key: of the query or the parameter */
	struct policy_strings globs;
};

struct policy_l7_rule {
	struct policy_head head;
	struct policy_string method, path, command;
	struct policy_list query; /* of struct policy_matcher */
	struct policy_enum operation_type;
	struct policy_string operation_name;
	struct policy_strings fields;
	struct policy_matcher tool;
	struct policy_list params; /* of struct policy_matcher; keys joined by dots */
};

/* An entry of `rules`: published policies wrap what they allow. */
struct policy_allow {
	struct policy_head head;
	struct policy_l7_rule allow;
};

enum policy_operation {
	POLICY_OPERATION_QUERY = 1,
	POLICY_OPERATION_MUTATION,
	POLICY_OPERATION_SUBSCRIPTION,
	POLICY_OPERATION_ANY,
};

struct policy_graphql_operation {
	struct policy_head head; /* key: hash or id of the persisted query */
	struct policy_enum operation_type;
	struct policy_string operation_name;
	struct policy_strings fields;
};

enum policy_protocol {
	POLICY_PROTOCOL_TCP = 1,
	POLICY_PROTOCOL_REST,
	POLICY_PROTOCOL_WEBSOCKET,
	POLICY_PROTOCOL_GRAPHQL,
	POLICY_PROTOCOL_MCP,
	POLICY_PROTOCOL_JSON_RPC,
	POLICY_PROTOCOL_SQL,
};

enum policy_tls {
	POLICY_TLS_SKIP = 1,
	POLICY_TLS_TERMINATE,
	POLICY_TLS_PASSTHROUGH,
};

enum policy_enforcement {
	POLICY_ENFORCEMENT_ENFORCE = 1,
	POLICY_ENFORCEMENT_AUDIT,
};

enum policy_access {
	POLICY_ACCESS_READ_ONLY = 1,
	POLICY_ACCESS_READ_WRITE,
	POLICY_ACCESS_FULL,
};

enum policy_persisted {
	POLICY_PERSISTED_DENY = 1,
	POLICY_PERSISTED_ALLOW_REGISTERED,
};

enum policy_signing {
	POLICY_SIGNING_SIGV4 = 1,
	POLICY_SIGNING_SIGV4_BODY,
	POLICY_SIGNING_SIGV4_NO_BODY,
};

struct policy_mcp {
	struct policy_head head;
	struct policy_number max_body_bytes;
	struct policy_bool strict_tool_names, allow_all_known_mcp_methods;
	struct policy_strings versions;
};

struct policy_json_rpc {
	struct policy_head head;
	struct policy_number max_body_bytes;
};

struct policy_credential_binding {
	struct policy_head head;
	struct policy_string provider;
};

struct policy_endpoint {
	struct policy_head head;
	struct policy_string host, path;
	struct policy_number port;
	struct policy_numbers ports;
	struct policy_strings allowed_ips;
	struct policy_enum protocol, tls, enforcement, access;
	struct policy_list rules;      /* of struct policy_allow */
	struct policy_list deny_rules; /* of struct policy_l7_rule */
	struct policy_bool allow_encoded_slash;
	struct policy_enum persisted_queries;
	struct policy_list graphql_persisted_queries; /* of struct policy_graphql_operation */
	struct policy_number graphql_max_body_bytes, json_rpc_max_body_bytes;
	struct policy_mcp mcp;
	struct policy_json_rpc json_rpc;
	struct policy_bool websocket_credential_rewrite, request_body_credential_rewrite;
	struct policy_enum credential_signing;
	struct policy_string signing_service, signing_region;
	struct policy_credential_binding credential_binding;
	struct policy_bool allow_uninspected_credentials;
};

struct policy_binary {
	struct policy_head head;
	struct policy_string path;
	struct policy_bool harness; /* accepted and ignored */
};

struct policy_rule {
	struct policy_head head;
	struct policy_string name;
	struct policy_list endpoints; /* of struct policy_endpoint */
	struct policy_list binaries;  /* of struct policy_binary */
};

enum policy_on_error {
	POLICY_ON_ERROR_FAIL_CLOSED = 1,
	POLICY_ON_ERROR_FAIL_OPEN,
};

struct policy_selector {
	struct policy_head head;
	struct policy_strings include, exclude;
};

struct policy_middleware {
	struct policy_head head;
	struct policy_string name, middleware;
	struct policy_number order;
	struct policy_string config; /* canonical JSON of the `config` mapping */
	struct policy_enum on_error;
	struct policy_selector endpoints;
};

struct arena;

struct policy {
	struct policy_head head;
	struct arena *arena;
	const char *file; /* as named in messages */
	struct policy_number version;
	struct policy_filesystem filesystem;
	struct policy_landlock landlock;
	struct policy_process process;
	struct policy_exec exec;
	struct policy_list rules;	/* network_policies: of struct policy_rule */
	struct policy_list middlewares; /* network_middlewares: of struct policy_middleware */
};

/*
 * Load and validate a file. All findings, warnings included, go to @diag in the order of the file
 * when it is not NULL; @err gets the first error.
 * 0; -EBADMSG for a policy that is not valid; for a file that cannot be read its errno, and
 * -EINVAL for what is not a regular file. -ENOMEM.
 */
int policy_load_file(const char *path, struct policy **ret_policy, struct diagnostics *diag,
		     struct error *err);

/* As policy_load_file() for @size bytes in memory, which messages call @name. No I/O. */
int policy_load_buffer(const char *name, const void *data, size_t size, struct policy **ret_policy,
		       struct diagnostics *diag, struct error *err);

/* What holds without a policy file: include_workdir, the baseline paths, no network. -ENOMEM. */
int policy_default(struct policy **ret_policy, struct error *err);

void policy_free(struct policy *policy);

/*
 * The enforceable form of a loaded policy; free with policy_compiled_free(). The same meaning
 * gives the same bytes, whatever the order and the comments of the file.
 * -E2BIG when it needs more binary sets than the kernel's mask has bits; -ENOMEM.
 */
int policy_compile(const struct policy *policy,
		   Openshell__Compiled__V1__CompiledPolicy **ret_compiled, struct error *err);
void policy_compiled_free(Openshell__Compiled__V1__CompiledPolicy *compiled);

/* SHA-256 of the packed message: what names a compiled policy. -ENOMEM, -EIO. */
int policy_digest(const Openshell__Compiled__V1__CompiledPolicy *compiled,
		  uint8_t ret_digest[POLICY_DIGEST_SIZE], struct error *err);

/*
 * @path without empty and `.` components and without a trailing slash, into @ret_path of at least
 * strlen(@path) + 1 bytes. @path is absolute and has no `..`: the checks refuse those.
 */
void policy_path_normalise(const char *path, char *ret_path);

static inline void cleanup_policy_freep(struct policy **policy)
{
	policy_free(*policy);
}

static inline void cleanup_policy_compiledp(Openshell__Compiled__V1__CompiledPolicy **compiled)
{
	policy_compiled_free(*compiled);
}

static inline void cleanup_diagnosticsp(struct diagnostics *diag)
{
	diagnostics_clear(diag);
}

#define _cleanup_policy_	  __attribute__((cleanup(cleanup_policy_freep)))
#define _cleanup_policy_compiled_ __attribute__((cleanup(cleanup_policy_compiledp)))
#define _cleanup_diagnostics_	  __attribute__((cleanup(cleanup_diagnosticsp)))

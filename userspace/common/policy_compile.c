/* SPDX-License-Identifier: Apache-2.0 */
#include "common/policy_compile_internal.h"
#include "common/cleanup.h"
#include "common/policy_address.h"
#include "common/policy_check.h"
#include "common/policy_glob.h"
#include "common/policy_host.h"

#include <ctype.h>
/* The plain functions: EVP would set up every provider first, which takes milliseconds. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <string.h>

#define ARENA_MAX (512u << 20)

char *compile_as_is(struct arena *arena, const char *text)
{
	return arena_copy(arena, text, strlen(text));
}

char *compile_upper(struct arena *arena, const char *text)
{
	char *copy = compile_as_is(arena, text);

	for (char *c = copy; c && *c; c++)
		*c = (char)toupper((unsigned char)*c);
	return copy;
}

char *compile_host(struct arena *arena, const char *text)
{
	char canonical[POLICY_HOST_MAX + 1] = "";
	enum policy_host_kind kind;
	const char *why;

	policy_host_parse(text, &kind, canonical, &why);
	return compile_as_is(arena, canonical);
}

static char *compile_cidr(struct arena *arena, const char *text)
{
	char canonical[POLICY_CIDR_TEXT_MAX] = "";
	struct policy_cidr cidr;

	if (!policy_cidr_parse(text, &cidr))
		policy_cidr_format(&cidr, false, canonical);
	return compile_as_is(arena, canonical);
}

/* A path as it is looked up, a glob as it is matched: the same place is the same text. */
static char *compile_path(struct arena *arena, const char *text)
{
	char *copy;

	if (policy_glob_is_pattern(text))
		return arena_format(arena, "%s%s", text[0] == '/' ? "" : "/", text);
	copy = compile_as_is(arena, text);
	if (copy)
		policy_path_normalise(text, copy);
	return copy;
}

static int text_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t drop_repeated(char **items, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (!kept || strcmp(items[i], items[kept - 1]))
			items[kept++] = items[i];
	return kept;
}

int compile_strings(struct arena *arena, const struct policy_strings *strings,
		    compile_string_fn canonical, char ***ret_items, size_t *ret_count)
{
	char **items;

	if (!strings->count)
		return 0;
	items = arena_alloc_array(arena, strings->count, sizeof(*items));
	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < strings->count; i++) {
		items[i] = canonical(arena, strings->items[i].value);
		if (!items[i])
			return -ENOMEM;
	}
	qsort(items, strings->count, sizeof(*items), text_compare);
	*ret_items = items;
	*ret_count = drop_repeated(items, strings->count);
	return 0;
}

struct packed {
	ProtobufCMessage *message;
	uint8_t *bytes;
	size_t size;
};

static int packed_compare(const void *a, const void *b)
{
	const struct packed *x = a, *y = b;
	int r = memcmp(x->bytes, y->bytes, x->size < y->size ? x->size : y->size);

	if (r)
		return r;
	return x->size < y->size ? -1 : x->size > y->size;
}

int compile_sort(struct arena *arena, ProtobufCMessage **messages, size_t *count)
{
	struct packed *packed;
	size_t kept = 0;

	if (*count < 2)
		return 0;
	packed = arena_alloc_array(arena, *count, sizeof(*packed));
	if (!packed)
		return -ENOMEM;
	for (size_t i = 0; i < *count; i++) {
		packed[i].message = messages[i];
		packed[i].size = protobuf_c_message_get_packed_size(messages[i]);
		packed[i].bytes = arena_alloc(arena, packed[i].size);
		if (!packed[i].bytes)
			return -ENOMEM;
		protobuf_c_message_pack(messages[i], packed[i].bytes);
	}
	qsort(packed, *count, sizeof(*packed), packed_compare);
	for (size_t i = 0; i < *count; i++)
		if (!i || packed_compare(&packed[i - 1], &packed[i]))
			messages[kept++] = packed[i].message;
	*count = kept;
	return 0;
}

/* Paths */

/* Which grant stays when a path is listed more than once. */
static int path_rank(PB(PathAccess) access)
{
	return access == PB_ENUM(PATH_ACCESS__PATH_ACCESS_DENY)	       ? 0
	       : access == PB_ENUM(PATH_ACCESS__PATH_ACCESS_READ_ONLY) ? 1
								       : 2;
}

static int path_compare(const void *a, const void *b)
{
	const PB(PathRule) *x = *(PB(PathRule) *const *)a, *y = *(PB(PathRule) *const *)b;
	int r = strcmp(x->path, y->path);

	return r ? r : path_rank(x->access) - path_rank(y->access);
}

static int add_paths(struct arena *arena, PB(CompiledPolicy) * compiled,
		     const struct policy_strings *paths, PB(PathAccess) access)
{
	for (size_t i = 0; i < paths->count; i++) {
		PB(PathRule) *rule = new_message(arena, PATH_RULE, PathRule);

		if (!rule)
			return -ENOMEM;
		rule->path = compile_as_is(arena, paths->items[i].value);
		if (!rule->path)
			return -ENOMEM;
		policy_path_normalise(paths->items[i].value, rule->path);
		rule->access = access;
		compiled->paths[compiled->n_paths++] = rule;
	}
	return 0;
}

static int compile_paths(struct arena *arena, const struct policy *policy,
			 PB(CompiledPolicy) * compiled)
{
	const struct policy_filesystem *fs = &policy->filesystem;
	size_t total = fs->read_only.count + fs->read_write.count + fs->deny.count, kept = 0;

	compiled->include_workdir = policy_given(fs->head) ? fs->include_workdir.value : true;
	if (!total)
		return 0;
	compiled->paths = arena_alloc_array(arena, total, sizeof(*compiled->paths));
	if (!compiled->paths ||
	    add_paths(arena, compiled, &fs->read_only,
		      PB_ENUM(PATH_ACCESS__PATH_ACCESS_READ_ONLY)) < 0 ||
	    add_paths(arena, compiled, &fs->read_write,
		      PB_ENUM(PATH_ACCESS__PATH_ACCESS_READ_WRITE)) < 0 ||
	    add_paths(arena, compiled, &fs->deny, PB_ENUM(PATH_ACCESS__PATH_ACCESS_DENY)) < 0)
		return -ENOMEM;
	qsort(compiled->paths, total, sizeof(*compiled->paths), path_compare);
	for (size_t i = 0; i < total; i++)
		if (!kept || strcmp(compiled->paths[i]->path, compiled->paths[kept - 1]->path))
			compiled->paths[kept++] = compiled->paths[i];
	compiled->n_paths = kept;
	return 0;
}

static int compile_exec(struct arena *arena, const struct policy *policy,
			PB(CompiledPolicy) * compiled)
{
	const struct policy_exec *exec = &policy->exec;
	PB(ExecPolicy) * message;

	if (!policy_given(exec->head))
		return 0;
	message = new_message(arena, EXEC_POLICY, ExecPolicy);
	if (!message)
		return -ENOMEM;
	message->allow_present = policy_given(exec->allow);
	message->allow_writable = !policy_given(exec->allow_writable) || exec->allow_writable.value;
	compiled->exec = message;
	if (compile_strings(arena, &exec->allow, compile_path, &message->allow, &message->n_allow) <
	    0)
		return -ENOMEM;
	return compile_strings(arena, &exec->deny, compile_path, &message->deny, &message->n_deny);
}

/* Network */

static PB(BinarySet) * compile_binaries(struct arena *arena, const struct policy_rule *rule)
{
	const struct policy_binary *binaries = rule->binaries.items;
	PB(BinarySet) *set = new_message(arena, BINARY_SET, BinarySet);
	char **exact, **globs;

	exact = arena_alloc_array(arena, rule->binaries.count, sizeof(*exact));
	globs = arena_alloc_array(arena, rule->binaries.count, sizeof(*globs));
	if (!set || !exact || !globs)
		return NULL;
	for (size_t i = 0; i < rule->binaries.count; i++) {
		char *path = compile_path(arena, binaries[i].path.value);

		if (!path)
			return NULL;
		if (!strcmp(path, "/**"))
			set->any = true;
		else if (policy_glob_is_pattern(path))
			globs[set->n_globs++] = path;
		else
			exact[set->n_exact++] = path;
	}
	if (set->any) {
		set->n_exact = set->n_globs = 0;
		return set;
	}
	qsort(exact, set->n_exact, sizeof(*exact), text_compare);
	qsort(globs, set->n_globs, sizeof(*globs), text_compare);
	set->n_exact = drop_repeated(exact, set->n_exact);
	set->n_globs = drop_repeated(globs, set->n_globs);
	set->exact = exact;
	set->globs = globs;
	return set;
}

static bool same_texts(char **a, size_t count_a, char **b, size_t count_b)
{
	if (count_a != count_b)
		return false;
	for (size_t i = 0; i < count_a; i++)
		if (strcmp(a[i], b[i]))
			return false;
	return true;
}

static bool same_set(const PB(BinarySet) * a, const PB(BinarySet) * b)
{
	return a->any == b->any && same_texts(a->exact, a->n_exact, b->exact, b->n_exact) &&
	       same_texts(a->globs, a->n_globs, b->globs, b->n_globs);
}

static int number_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int compile_ports(struct arena *arena, const struct policy_endpoint *endpoint,
			 PB(Endpoint) * message)
{
	size_t count = endpoint->ports.count + 1, kept = 0;
	uint32_t *ports = arena_alloc_array(arena, count, sizeof(*ports));

	if (!ports)
		return -ENOMEM;
	count = 0;
	if (endpoint->port.value)
		ports[count++] = (uint32_t)endpoint->port.value;
	for (size_t i = 0; i < endpoint->ports.count; i++)
		ports[count++] = (uint32_t)endpoint->ports.items[i].value;
	qsort(ports, count, sizeof(*ports), number_compare);
	for (size_t i = 0; i < count; i++)
		if (!kept || ports[i] != ports[kept - 1])
			ports[kept++] = ports[i];
	message->ports = ports;
	message->n_ports = kept;
	return 0;
}

static PB(Protocol) protocol_of(const struct policy_endpoint *endpoint)
{
	static const PB(Protocol) protocols[] = {
		[0] = PB_ENUM(PROTOCOL__PROTOCOL_TCP),
		[POLICY_PROTOCOL_TCP] = PB_ENUM(PROTOCOL__PROTOCOL_TCP),
		[POLICY_PROTOCOL_REST] = PB_ENUM(PROTOCOL__PROTOCOL_REST),
		[POLICY_PROTOCOL_WEBSOCKET] = PB_ENUM(PROTOCOL__PROTOCOL_WEBSOCKET),
		[POLICY_PROTOCOL_GRAPHQL] = PB_ENUM(PROTOCOL__PROTOCOL_GRAPHQL),
		[POLICY_PROTOCOL_MCP] = PB_ENUM(PROTOCOL__PROTOCOL_MCP),
		[POLICY_PROTOCOL_JSON_RPC] = PB_ENUM(PROTOCOL__PROTOCOL_JSON_RPC),
		[POLICY_PROTOCOL_SQL] = PB_ENUM(PROTOCOL__PROTOCOL_SQL),
	};

	return protocols[endpoint->protocol.value];
}

static bool is_every_path(const char *path)
{
	return !strcmp(path, "**") || !strcmp(path, "/**");
}

static int compile_host_part(struct arena *arena, const struct policy_endpoint *endpoint,
			     PB(Endpoint) * message)
{
	char canonical[POLICY_HOST_MAX + 1] = "";
	enum policy_host_kind kind = POLICY_HOST_NAME;
	const char *why;

	if (!endpoint->host.value)
		return 0;
	policy_host_parse(endpoint->host.value, &kind, canonical, &why);
	message->host_is_address = kind == POLICY_HOST_ADDRESS;
	message->host_is_wildcard = kind == POLICY_HOST_WILDCARD;
	message->host = compile_as_is(arena, canonical);
	return message->host ? 0 : -ENOMEM;
}

static PB(Endpoint) * compile_endpoint(struct arena *arena, const struct policy_rule *rule,
				       const struct policy_endpoint *endpoint)
{
	PB(Endpoint) *message = new_message(arena, ENDPOINT, Endpoint);
	const char *provider = endpoint->credential_binding.provider.value;

	if (!message || compile_host_part(arena, endpoint, message) < 0 ||
	    compile_ports(arena, endpoint, message) < 0 ||
	    compile_strings(arena, &endpoint->allowed_ips, compile_cidr, &message->allowed_ips,
			    &message->n_allowed_ips) < 0)
		return NULL;
	message->rule = compile_as_is(arena, rule->head.key);
	if (!message->rule)
		return NULL;
	if (rule->name.value && strcmp(rule->name.value, rule->head.key))
		message->rule_name = compile_as_is(arena, rule->name.value);
	message->protocol = protocol_of(endpoint);
	message->tls = endpoint->tls.value == POLICY_TLS_SKIP ? PB_ENUM(TLS_MODE__TLS_MODE_SKIP)
							      : PB_ENUM(TLS_MODE__TLS_MODE_AUTO);
	if (provider)
		message->credential_provider = compile_as_is(arena, provider);
	message->allow_uninspected_credentials = endpoint->allow_uninspected_credentials.value;
	if (policy_is_inspected(endpoint)) {
		message->audit = endpoint->enforcement.value != POLICY_ENFORCEMENT_ENFORCE;
		if (endpoint->path.value && !is_every_path(endpoint->path.value))
			message->path = compile_as_is(arena, endpoint->path.value);
		message->l7 = compile_l7(arena, endpoint);
		if (!message->l7)
			return NULL;
	}
	return message->path && message->rule_name && message->credential_provider ? message : NULL;
}

static int ports_compare(const PB(Endpoint) * a, const PB(Endpoint) * b)
{
	for (size_t i = 0; i < a->n_ports && i < b->n_ports; i++)
		if (a->ports[i] != b->ports[i])
			return a->ports[i] < b->ports[i] ? -1 : 1;
	return a->n_ports < b->n_ports ? -1 : a->n_ports > b->n_ports;
}

struct ranked {
	PB(Endpoint) * endpoint;
	size_t order; /* by packed bytes: settles what the documented order leaves open */
};

static int ranked_compare(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	int r = strcmp(x->endpoint->rule, y->endpoint->rule);

	if (!r)
		r = strcmp(x->endpoint->host, y->endpoint->host);
	if (!r)
		r = ports_compare(x->endpoint, y->endpoint);
	if (!r)
		r = strcmp(x->endpoint->path, y->endpoint->path);
	if (r)
		return r;
	return x->order < y->order ? -1 : x->order > y->order;
}

static int sort_endpoints(struct arena *arena, PB(CompiledPolicy) * compiled)
{
	struct ranked *ranked;

	if (compile_sort(arena, (ProtobufCMessage **)compiled->endpoints, &compiled->n_endpoints) <
	    0)
		return -ENOMEM;
	ranked = arena_alloc_array(arena, compiled->n_endpoints, sizeof(*ranked));
	if (!ranked)
		return -ENOMEM;
	for (size_t i = 0; i < compiled->n_endpoints; i++)
		ranked[i] = (struct ranked){compiled->endpoints[i], i};
	qsort(ranked, compiled->n_endpoints, sizeof(*ranked), ranked_compare);
	for (size_t i = 0; i < compiled->n_endpoints; i++)
		compiled->endpoints[i] = ranked[i].endpoint;
	return 0;
}

/* The distinct sets of the rules that have endpoints, and each rule's own. */
static int compile_sets(struct arena *arena, const struct policy *policy,
			PB(CompiledPolicy) * compiled, PB(BinarySet) * *sets)
{
	const struct policy_rule *rules = policy->rules.items;

	compiled->binary_sets =
		arena_alloc_array(arena, policy->rules.count, sizeof(*compiled->binary_sets));
	if (!compiled->binary_sets)
		return -ENOMEM;
	for (size_t i = 0; i < policy->rules.count; i++) {
		if (!rules[i].endpoints.count)
			continue;
		sets[i] = compile_binaries(arena, &rules[i]);
		if (!sets[i])
			return -ENOMEM;
		compiled->binary_sets[compiled->n_binary_sets++] = sets[i];
	}
	return compile_sort(arena, (ProtobufCMessage **)compiled->binary_sets,
			    &compiled->n_binary_sets);
}

static uint32_t set_index(const PB(CompiledPolicy) * compiled, const PB(BinarySet) * set)
{
	for (size_t i = 0; i < compiled->n_binary_sets; i++)
		if (same_set(compiled->binary_sets[i], set))
			return (uint32_t)i;
	return UINT32_MAX; /* names no set, so it admits nobody */
}

static int compile_network(struct arena *arena, const struct policy *policy,
			   PB(CompiledPolicy) * compiled, struct error *err)
{
	const struct policy_rule *rules = policy->rules.items;
	PB(BinarySet) * *sets;
	size_t total = 0;

	for (size_t i = 0; i < policy->rules.count; i++)
		total += rules[i].endpoints.count;
	if (!total)
		return 0;
	sets = arena_alloc_array(arena, policy->rules.count, sizeof(*sets));
	compiled->endpoints = arena_alloc_array(arena, total, sizeof(*compiled->endpoints));
	if (!sets || !compiled->endpoints || compile_sets(arena, policy, compiled, sets) < 0)
		return -ENOMEM;
	if (compiled->n_binary_sets > POLICY_BINARY_SETS_MAX)
		return error_set_at(err, -E2BIG, policy->file, policy->rules.at.line,
				    policy->rules.at.col,
				    "%zu different lists of binaries: at most %d; let network "
				    "policies share their lists",
				    compiled->n_binary_sets, POLICY_BINARY_SETS_MAX);
	for (size_t i = 0; i < policy->rules.count; i++) {
		const struct policy_endpoint *endpoints = rules[i].endpoints.items;
		uint32_t index = sets[i] ? set_index(compiled, sets[i]) : UINT32_MAX;

		for (size_t j = 0; j < rules[i].endpoints.count; j++) {
			PB(Endpoint) *endpoint = compile_endpoint(arena, &rules[i], &endpoints[j]);

			if (!endpoint)
				return -ENOMEM;
			endpoint->binary_set = index;
			compiled->endpoints[compiled->n_endpoints++] = endpoint;
		}
	}
	return sort_endpoints(arena, compiled);
}

/* From the arena to memory of its own, by way of the bytes that are also what the digest covers. */
static int detach(const PB(CompiledPolicy) * compiled, PB(CompiledPolicy) * *ret_compiled)
{
	size_t size = protobuf_c_message_get_packed_size(&compiled->base);
	_cleanup_free_ uint8_t *bytes = malloc(size ? size : 1);
	PB(CompiledPolicy) * copy;

	if (!bytes)
		return -ENOMEM;
	protobuf_c_message_pack(&compiled->base, bytes);
	copy = openshell__compiled__v1__compiled_policy__unpack(NULL, size, bytes);
	if (!copy)
		return -ENOMEM;
	*ret_compiled = copy;
	return 0;
}

static int build(struct arena *arena, const struct policy *policy, PB(CompiledPolicy) * compiled,
		 struct error *err)
{
	const struct policy_process *process = &policy->process;
	int r;

	compiled->format = 1;
	compiled->hard_requirement =
		policy->landlock.compatibility.value == POLICY_COMPATIBILITY_HARD_REQUIREMENT;
	if (process->run_as_user.value)
		compiled->run_as_user = compile_as_is(arena, process->run_as_user.value);
	if (process->run_as_group.value)
		compiled->run_as_group = compile_as_is(arena, process->run_as_group.value);
	if (!compiled->run_as_user || !compiled->run_as_group)
		return -ENOMEM;
	r = compile_paths(arena, policy, compiled);
	if (r < 0)
		return r;
	r = compile_exec(arena, policy, compiled);
	if (r < 0)
		return r;
	r = compile_network(arena, policy, compiled, err);
	if (r < 0)
		return r;
	return compile_middlewares(arena, policy, compiled);
}

int policy_compile(const struct policy *policy, PB(CompiledPolicy) * *ret_compiled,
		   struct error *err)
{
	_cleanup_arena_ struct arena *arena = arena_new(ARENA_MAX);
	PB(CompiledPolicy) compiled = PB_INIT(COMPILED_POLICY);
	int r;

	if (!arena)
		return error_set(err, -ENOMEM, "not enough memory to compile the policy");
	r = build(arena, policy, &compiled, err);
	if (!r)
		r = detach(&compiled, ret_compiled);
	if (r == -ENOMEM)
		return error_set(err, r, "not enough memory to compile the policy");
	return r;
}

void policy_compiled_free(PB(CompiledPolicy) * compiled)
{
	if (compiled)
		openshell__compiled__v1__compiled_policy__free_unpacked(compiled, NULL);
}

int policy_digest(const PB(CompiledPolicy) * compiled, uint8_t ret_digest[POLICY_DIGEST_SIZE],
		  struct error *err)
{
	size_t size = protobuf_c_message_get_packed_size(&compiled->base);
	_cleanup_free_ uint8_t *bytes = malloc(size ? size : 1);
	SHA256_CTX context;
	int r;

	if (!bytes)
		return error_set(err, -ENOMEM, "not enough memory for the policy's digest");
	protobuf_c_message_pack(&compiled->base, bytes);
	r = SHA256_Init(&context) && SHA256_Update(&context, bytes, size) &&
	    SHA256_Final(ret_digest, &context);
	return r ? 0 : error_set(err, -EIO, "SHA-256 is not available");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "common/event_ocsf.h"

#include "common/cleanup.h"
#include "common/event_inference.h"
#include "common/event_line.h"
#include "common/event_name.h"
#include "common/event_request.h"

#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * The helpers below take a NULL object or value as "out of memory so far" and go on, as jansson's
 * json_object_set_new() does; event_ocsf() checks the count of failures once at the end.
 */
struct builder {
	bool failed;
};

static void set(struct builder *b, json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) < 0)
		b->failed = true;
}

static void set_int(struct builder *b, json_t *object, const char *key, json_int_t value)
{
	set(b, object, key, json_integer(value));
}

/* A string of any bytes: what is not UTF-8 becomes U+FFFD. */
static void set_bytes(struct builder *b, json_t *object, const char *key, const char *s)
{
	size_t len = strlen(s), out = 0;
	_cleanup_free_ char *clean = malloc(len * 3 + 1);

	if (!clean) {
		b->failed = true;
		return;
	}
	while (len) {
		uint32_t code;
		size_t n = utf8_next(s, len, &code);

		if (n) {
			memcpy(clean + out, s, n);
			out += n;
		} else {
			memcpy(clean + out, "\xef\xbf\xbd", 3);
			out += 3;
		}
		s += n ? n : 1;
		len -= n ? n : 1;
	}
	set(b, object, key, json_stringn(clean, out));
}

static void set_format(struct builder *b, json_t *object, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void set_format(struct builder *b, json_t *object, const char *key, const char *fmt, ...)
{
	char buf[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(buf, sizeof(buf), fmt, args);
	va_end(args);
	set_bytes(b, object, key, buf);
}

/* "OPEN" -> "Open" */
static void set_caption(struct builder *b, json_t *object, const char *key, const char *before,
			const char *label)
{
	char buf[128];
	size_t start = strlen(before);

	snprintf(buf, sizeof(buf), "%s%s", before, label);
	for (size_t i = start + 1; buf[i] && start < sizeof(buf); i++)
		if (buf[i] >= 'A' && buf[i] <= 'Z')
			buf[i] += 'a' - 'A';
	set_bytes(b, object, key, buf);
}

/* File type_id: 0 unknown, 1 regular. */
static json_t *file_object(struct builder *b, const char *path, int type_id)
{
	const char *slash = strrchr(path, '/');
	json_t *file = json_object();

	set_bytes(b, file, "name", slash && slash[1] ? slash + 1 : path);
	set_bytes(b, file, "path", path);
	set_int(b, file, "type_id", type_id);
	return file;
}

static json_t *process_object(struct builder *b, const struct event *e)
{
	json_t *process = json_object();
	const char *slash = strrchr(e->exe, '/');

	set_int(b, process, "pid", e->raw.ns_pid ? e->raw.ns_pid : e->raw.pid);
	/* Of who is only on record the name is the program's. */
	set_bytes(b, process, "name", e->raw.comm[0] || !slash ? e->raw.comm : slash + 1);
	if (e->raw.start_time && e->raw.start_time <= e->raw.time)
		set_int(b, process, "created_time",
			(json_int_t)((e->time - (e->raw.time - e->raw.start_time)) / 1000000u));
	if (e->exe[0])
		set(b, process, "file", file_object(b, e->exe, 1));
	/* Who it was is known at the decision only, not from a record of a socket. */
	if (!(e->raw.flags & OS_EVENT_RECORDED)) {
		json_t *user = json_object();

		set_format(b, user, "uid", "%u", e->raw.uid);
		set(b, process, "user", user);
	}
	return process;
}

static json_t *address_value(const uint8_t address[16])
{
	char buf[64];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	text_add_address(&t, address);
	return json_string(buf);
}

/*
 * `ip` is where packets go or would go. The stand-in of a name, at which nothing is, is told as
 * what came between.
 */
static void add_destination(struct builder *b, json_t *root, const struct event *e)
{
	json_t *endpoint = json_object(), *between;
	bool rewritten = event_is_rewritten(e);

	if (e->host[0])
		set_bytes(b, endpoint, "hostname", e->host);
	if (rewritten)
		set(b, endpoint, "ip", address_value(e->raw.real));
	if (rewritten || (e->host[0] && event_address_is_synthetic(e->raw.address))) {
		between = json_array();
		if (json_array_append_new(between, address_value(e->raw.address)) < 0)
			b->failed = true;
		set(b, endpoint, "intermediate_ips", between);
	} else if (!event_is_request(e)) {
		set(b, endpoint, "ip", address_value(e->raw.address));
	}
	set_int(b, endpoint, "port", e->raw.port);
	set(b, root, "dst_endpoint", endpoint);
}

static json_t *query_object(struct builder *b, const struct event *e)
{
	json_t *query = json_object();
	char buf[32];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	event_query_text(&t, e->raw.detail);
	set_bytes(b, query, "hostname", e->host);
	set_bytes(b, query, "type", buf);
	set_bytes(b, query, "class", "IN");
	set_int(b, query, "opcode_id", 0);
	return query;
}

static void add_question(struct builder *b, json_t *root, const struct event *e)
{
	set(b, root, "query", query_object(b, e));
	set_int(b, root, "query_time", (json_int_t)(e->time / 1000000u));
	set_int(b, root, "rcode_id", 5);
	set_bytes(b, root, "rcode", "Refused");
}

static void add_network(struct builder *b, json_t *root, const struct event *e)
{
	json_t *info = json_object();
	char buf[64];
	struct text t;

	add_destination(b, root, e);

	set_int(b, info, "direction_id", e->raw.hook == OS_HOOK_INGRESS ? 1 : 2);
	if (e->raw.protocol) {
		set_int(b, info, "protocol_num", e->raw.protocol);
		text_init(&t, buf, sizeof(buf));
		event_protocol_text(&t, e->raw.protocol);
		set_bytes(b, info, "protocol_name", buf);
	}
	set(b, root, "connection_info", info);
}

/* Bytes in are those that the agent got. */
static void add_traffic(struct builder *b, json_t *root, const struct event *e)
{
	const struct event_http *request = &e->request;
	json_t *traffic = json_object();

	set_int(b, traffic, "bytes_in", (json_int_t)(request->down & INT64_MAX));
	set_int(b, traffic, "bytes_out", (json_int_t)(request->up & INT64_MAX));
	set_int(b, traffic, "bytes", (json_int_t)((request->down + request->up) & INT64_MAX));
	set(b, root, "traffic", traffic);
}

static void add_url(struct builder *b, json_t *root, const struct event *e)
{
	const struct event_http *request = &e->request;
	json_t *asked = json_object(), *url = json_object();

	set_bytes(b, url, "scheme", request->scheme);
	set_bytes(b, url, "hostname", e->host);
	set_int(b, url, "port", e->raw.port);
	if (request->path[0])
		set_bytes(b, url, "path", request->path);
	set(b, asked, "url", url);
	if (request->method[0])
		set_bytes(b, asked, "http_method", request->method);
	set(b, root, "http_request", asked);
}

static void add_response(struct builder *b, json_t *root, const struct event *e)
{
	const struct event_http *request = &e->request;
	json_int_t milliseconds = (json_int_t)(request->microseconds / 1000);
	json_t *answer;

	if (request->status) {
		answer = json_object();
		set_int(b, answer, "code", request->status);
		set_int(b, answer, "latency", milliseconds);
		set(b, root, "http_response", answer);
	}
	set_int(b, root, "duration", milliseconds);
}

static void add_request(struct builder *b, json_t *root, const struct event *e)
{
	add_url(b, root, e);
	add_network(b, root, e);
	if (e->action == EVENT_DENIED && !e->request.status)
		return;
	add_response(b, root, e);
	add_traffic(b, root, e);
}

/* The class has no place for bytes, tokens and models: they are in `unmapped`. */
static void add_api(struct builder *b, json_t *root, const struct event *e)
{
	json_t *api = json_object(), *service = json_object(), *answer = json_object();
	json_t *from = json_object();

	set_bytes(b, api, "operation", e->request.protocol[0] ? e->request.protocol : "unknown");
	if (e->inference.provider[0]) {
		set_bytes(b, service, "name", e->inference.provider);
		set(b, api, "service", service);
	} else {
		json_decref(service);
	}
	if (e->request.status)
		set_int(b, answer, "code", e->request.status);
	if (e->request.error[0])
		set_bytes(b, answer, "error", e->request.error);
	set(b, api, "response", answer);
	set(b, root, "api", api);
	set_bytes(b, from, "name", e->sandbox);
	set(b, root, "src_endpoint", from);
	add_url(b, root, e);
	add_destination(b, root, e);
	add_response(b, root, e);
}

/* The process that PROC is about: launched, opened or ended; the actor itself where it is none. */
static void add_process(struct builder *b, json_t *root, const struct event *e)
{
	json_t *process;

	if (e->raw.kind == OS_EVENT_PROCESS && e->raw.peer_pid) {
		process = json_object();
		set_int(b, process, "pid", e->raw.peer_pid);
	} else {
		process = process_object(b, e);
		if (e->path_state != EVENT_PATH_NONE && e->activity_id == 1) {
			const char *slash = strrchr(e->path, '/');

			set_bytes(b, process, "name", slash && slash[1] ? slash + 1 : e->path);
			set(b, process, "file", file_object(b, e->path, 1));
		}
	}
	set(b, root, "process", process);
	if (e->activity_id == EVENT_ACTIVITY_OTHER && e->path_state != EVENT_PATH_NONE) {
		json_t *module = json_object();

		set(b, module, "file", file_object(b, e->path, 0));
		set(b, root, "module", module);
	}
}

static void add_finding(struct builder *b, json_t *root, const struct event *e)
{
	json_t *info = json_object();

	if (e->limited) {
		json_t *list = json_array(), *evidence = json_object();

		set_bytes(b, info, "title", "possible DNS tunnelling");
		set(b, evidence, "query", query_object(b, e));
		if (json_array_append_new(list, evidence) < 0)
			b->failed = true;
		set(b, root, "evidences", list);
	} else if (e->decided) {
		set_format(b, info, "title", "%s in a sandbox", event_hook_get(e->raw.hook)->act);
	} else {
		set_bytes(b, info, "title", e->message);
	}
	set_format(b, info, "uid", "openshell:%s:%llu",
		   e->decided ? event_hook_name(e->raw.hook) : "host", (unsigned long long)e->time);
	set(b, root, "finding_info", info);
}

static json_t *product_object(struct builder *b)
{
	json_t *product = json_object();

	set_bytes(b, product, "name", "OpenShell");
	set_bytes(b, product, "vendor_name", "OpenShell");
	set_bytes(b, product, "version", OPENSHELL_VERSION);
	return product;
}

static void add_rule(struct builder *b, json_t *root, const struct event *e)
{
	json_t *rule = json_object();

	set_bytes(b, rule, "name", e->rule);
	set(b, root, "firewall_rule", rule);
}

static void add_class(struct builder *b, json_t *root, const struct event *e)
{
	switch (e->class) {
	case EVENT_CLASS_FILE:
		set(b, root, "file",
		    file_object(b, e->path_state == EVENT_PATH_NONE ? "(no path)" : e->path, 0));
		if (e->path2_state != EVENT_PATH_NONE)
			set(b, root, "file_result", file_object(b, e->path2, 0));
		break;
	case EVENT_CLASS_PROC:
		add_process(b, root, e);
		break;
	case EVENT_CLASS_NET:
		add_network(b, root, e);
		break;
	case EVENT_CLASS_HTTP:
		add_request(b, root, e);
		break;
	case EVENT_CLASS_API:
		add_api(b, root, e);
		break;
	case EVENT_CLASS_DNS:
		add_question(b, root, e);
		break;
	case EVENT_CLASS_FINDING:
		add_finding(b, root, e);
		break;
	case EVENT_CLASS_LIFECYCLE:
		set(b, root, "app", product_object(b));
		break;
	case EVENT_CLASS_CONFIG:
		break;
	}
}

static void add_metadata(struct builder *b, json_t *root, const struct event *e)
{
	json_t *metadata = json_object(), *profiles = json_array(), *device = json_object();
	char host[256] = "";

	set_bytes(b, metadata, "version", EVENT_OCSF_VERSION);
	set(b, metadata, "product", product_object(b));
	json_array_append_new(profiles, json_string("host"));
	if (e->action != EVENT_TOLD)
		json_array_append_new(profiles, json_string("security_control"));
	set(b, metadata, "profiles", profiles);
	set(b, root, "metadata", metadata);

	gethostname(host, sizeof(host) - 1);
	set_bytes(b, device, "hostname", host);
	set_int(b, device, "type_id", 0);
	set(b, root, "device", device);
}

static void add_outcome(struct builder *b, json_t *root, const struct event *e)
{
	static const struct {
		const char *action, *disposition;
		int action_id, disposition_id;
	} outcomes[] = {
		[EVENT_DENIED] = {"Denied", "Blocked", 2, 2},
		[EVENT_ALLOWED] = {"Allowed", "Allowed", 1, 1},
		[EVENT_AUDIT] = {"Allowed", "Logged", 1, 17},
	};
	bool failure = e->action == EVENT_DENIED ||
		       (e->class == EVENT_CLASS_LIFECYCLE && e->exit_code) ||
		       (e->class == EVENT_CLASS_API && event_inference_failed(e));

	/* A finding's status is how far it has been looked into, not an outcome. */
	if (e->class == EVENT_CLASS_FINDING) {
		set_int(b, root, "status_id", 1);
		set_bytes(b, root, "status", "New");
	} else {
		set_int(b, root, "status_id", failure ? 2 : 1);
		set_bytes(b, root, "status", failure ? "Failure" : "Success");
	}
	if (e->reason[0])
		set_bytes(b, root, "status_detail", e->reason);
	if (e->action == EVENT_TOLD)
		return;
	set_int(b, root, "action_id", outcomes[e->action].action_id);
	set_bytes(b, root, "action", outcomes[e->action].action);
	set_int(b, root, "disposition_id", outcomes[e->action].disposition_id);
	set_bytes(b, root, "disposition", outcomes[e->action].disposition);
}

static void set_rights(struct builder *b, json_t *object, const char *key, uint32_t rights)
{
	char buf[128];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	event_rights_text(&t, rights, ",");
	set_bytes(b, object, key, buf);
}

/* What of a judged request OCSF has no place for. */
static void add_inspection(struct builder *b, json_t *unmapped, const struct event *e)
{
	const struct event_http *request = &e->request;

	set_bytes(b, unmapped, "protocol", request->protocol);
	set_int(b, unmapped, "microseconds", (json_int_t)(request->microseconds & INT64_MAX));
	if (request->rule[0])
		set_bytes(b, unmapped, "l7_rule", request->rule);
	if (request->error[0])
		set_bytes(b, unmapped, "answer", request->error);
}

static void add_inference(struct builder *b, json_t *unmapped, const struct event *e)
{
	const struct event_inference *inference = &e->inference;
	const struct {
		const char *key;
		uint64_t value;
		bool known;
	} numbers[] = {
		{"tokens_in", inference->tokens_in, inference->counted},
		{"tokens_out", inference->tokens_out, inference->counted},
		{"first_byte_us", inference->first_byte, inference->first_byte},
		{"duration_us", e->request.microseconds, true},
		{"bytes_in", e->request.down, true},
		{"bytes_out", e->request.up, true},
	};

	if (inference->route[0]) {
		set_bytes(b, unmapped, "route", inference->route);
		set_bytes(b, unmapped, "model", inference->model);
	}
	if (inference->asked[0])
		set_bytes(b, unmapped, "model_asked", inference->asked);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (numbers[i].known)
			set_int(b, unmapped, numbers[i].key,
				(json_int_t)(numbers[i].value & INT64_MAX));
	if (inference->counted)
		set(b, unmapped, "tokens_estimated", json_boolean(inference->estimated));
	set(b, unmapped, "stream", json_boolean(inference->stream));
	set(b, unmapped, "failover", json_boolean(inference->failover));
}

static void add_unmapped(struct builder *b, json_t *root, const struct event *e)
{
	json_t *unmapped = json_object();

	set_bytes(b, unmapped, "sandbox", e->sandbox);
	set_bytes(b, unmapped, "engine", e->engine);
	if (e->decided) {
		set_bytes(b, unmapped, "verdict", event_action_label(e));
		if (!event_is_request(e))
			set_bytes(b, unmapped, "hook", event_hook_name(e->raw.hook));
		set_int(b, unmapped, "host_pid", e->raw.pid);
		set_int(b, unmapped, "policy_generation", e->raw.generation);
		if (e->raw.error)
			set_int(b, unmapped, "error", e->raw.error);
		if (e->raw.detail && e->raw.hook != OS_HOOK_DNS)
			set_int(b, unmapped, "detail", e->raw.detail);
		if (e->raw.wanted) {
			set_rights(b, unmapped, "wanted", e->raw.wanted);
			set_rights(b, unmapped, "held", e->raw.held);
			set_rights(b, unmapped, "missing", e->missing);
		}
		if (e->class == EVENT_CLASS_HTTP)
			add_inspection(b, unmapped, e);
		else if (e->class == EVENT_CLASS_API)
			add_inference(b, unmapped, e);
	} else {
		set_bytes(b, unmapped, "context", e->context);
		if (e->class == EVENT_CLASS_LIFECYCLE && e->activity_id == 4)
			set_int(b, unmapped, "exit_code", e->exit_code);
	}
	set(b, root, "unmapped", unmapped);
}

static void add_message(struct builder *b, json_t *root, const struct event *e)
{
	_cleanup_free_ char *buf = malloc(EVENT_LINE_SIZE);
	struct text t;

	if (!buf) {
		b->failed = true;
		return;
	}
	text_init(&t, buf, EVENT_LINE_SIZE);
	event_line_body(e, &t);
	set_bytes(b, root, "message", buf);
}

char *event_ocsf(const struct event *event)
{
	struct builder b = {0};
	json_t *root = json_object();
	char before[64], *out;
	int category_uid;
	const char *category = event_class_category(event->class, &category_uid);

	snprintf(before, sizeof(before), "%s: ", event_class_name(event->class));
	set_int(&b, root, "time", (json_int_t)(event->time / 1000000u));
	set_int(&b, root, "class_uid", event->class);
	set_bytes(&b, root, "class_name", event_class_name(event->class));
	set_int(&b, root, "category_uid", category_uid);
	set_bytes(&b, root, "category_name", category);
	set_int(&b, root, "activity_id", event->activity_id);
	set_caption(&b, root, "activity_name", "", event->activity);
	set_int(&b, root, "type_uid", (json_int_t)event->class * 100 + event->activity_id);
	set_caption(&b, root, "type_name", before, event->activity);
	set_int(&b, root, "severity_id", event->severity);
	set_bytes(&b, root, "severity", event_severity_name(event->severity));
	add_outcome(&b, root, event);
	add_message(&b, root, event);
	if (event->repeated)
		set_int(&b, root, "count", (json_int_t)event->repeated);
	if (event->decided) {
		json_t *actor = json_object();

		set(&b, actor, "process", process_object(&b, event));
		set(&b, root, "actor", actor);
	}
	add_class(&b, root, event);
	if (event->decided && event->raw.kind == OS_EVENT_NET && event->rule[0])
		add_rule(&b, root, event);
	add_metadata(&b, root, event);
	add_unmapped(&b, root, event);
	out = b.failed ? NULL : json_dumps(root, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(root);
	return out;
}

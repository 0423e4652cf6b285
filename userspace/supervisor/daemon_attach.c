/* SPDX-License-Identifier: Apache-2.0 */
/* The stream to the gateway: hello, orders, reports, heartbeats; opened again when it is lost. */
#include "supervisor/daemon_internal.h"

#include "common/cleanup.h"
#include "common/grpc_tls.h"
#include "supervisor/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000
#define MISSED	     3
#define ADOPT_MS     2000 /* that keepers get to say how they are */
#define TOKEN_MAX    1024
#define PAYLOAD(n)   OPENSHELL__NODE__V1__NODE_MESSAGE__PAYLOAD_##n
#define ORDER(n)     OPENSHELL__NODE__V1__GATEWAY_MESSAGE__PAYLOAD_##n

void daemon_send(struct daemon *daemon, const Openshell__Node__V1__NodeMessage *message)
{
	/* What is not heard now is told whole when it attaches again. */
	if (daemon->attach && daemon->accepted)
		(void)grpc_call_send(daemon->attach, &message->base);
}

void daemon_send_result(struct daemon *daemon, uint64_t request_id, const struct error *err)
{
	Openshell__Node__V1__NodeMessage message = OPENSHELL__NODE__V1__NODE_MESSAGE__INIT;
	Openshell__Node__V1__Result result = OPENSHELL__NODE__V1__RESULT__INIT;

	if (!request_id)
		return;
	result.request_id = request_id;
	result.ok = !err;
	if (err) {
		result.error = (char *)err->message;
		result.code = grpc_code_of_errno(err->code);
	}
	message.payload_case = PAYLOAD(RESULT);
	message.result = &result;
	daemon_send(daemon, &message);
}

/* ---- attaching ---- */

static void send_hello(struct daemon *daemon)
{
	Openshell__Node__V1__NodeMessage message = OPENSHELL__NODE__V1__NODE_MESSAGE__INIT;
	Openshell__Node__V1__Hello hello = OPENSHELL__NODE__V1__HELLO__INIT;
	Openshell__Node__V1__KernelCapabilities kernel =
		OPENSHELL__NODE__V1__KERNEL_CAPABILITIES__INIT;
	Openshell__Node__V1__SandboxReport **reports = calloc(daemon->count + 1, sizeof(*reports));
	char *drivers[] = {(char *)"host"};
	struct daemon_sandbox *s;
	struct utsname name = {};

	(void)uname(&name);
	kernel.release = name.release;
	kernel.bpf_lsm = daemon->kernel->lsm;
	kernel.landlock_abi = (uint32_t)(landlock_abi() > 0 ? landlock_abi() : 0);
	kernel.reason = daemon->kernel->lsm_reason;
	hello.node = (char *)daemon->options->node;
	hello.version = (char *)OPENSHELL_VERSION;
	hello.protocol = 1;
	hello.kernel = &kernel;
	hello.drivers = drivers;
	hello.n_drivers = 1;
	hello.sandboxes = reports;
	TAILQ_FOREACH(s, &daemon->sandboxes, link)
	{
		s->seen = false;
		if (reports && s->report && !s->stopping)
			reports[hello.n_sandboxes++] = s->report;
	}
	message.payload_case = PAYLOAD(HELLO);
	message.hello = &hello;
	grpc_call_send(daemon->attach, &message.base);
	free(reports);
}

static void on_heartbeat(uv_timer_t *timer)
{
	struct daemon *daemon = timer->data;
	Openshell__Node__V1__NodeMessage message = OPENSHELL__NODE__V1__NODE_MESSAGE__INIT;
	Openshell__Node__V1__Heartbeat beat = OPENSHELL__NODE__V1__HEARTBEAT__INIT;

	if (!daemon->attach)
		return;
	if (uv_now(&daemon->loop) - daemon->last_ms > (uint64_t)MISSED * daemon->heartbeat_ms) {
		fputs("openshell-supervisor: the gateway is silent: attaching again\n", stderr);
		grpc_call_cancel(daemon->attach);
		return;
	}
	beat.sequence = ++daemon->sequence;
	message.payload_case = PAYLOAD(HEARTBEAT);
	message.heartbeat = &beat;
	daemon_send(daemon, &message);
}

static void on_accepted(struct daemon *daemon, const Openshell__Node__V1__Accepted *accepted)
{
	daemon->accepted = true;
	daemon->retry_ms = RETRY_MIN_MS;
	daemon->why[0] = 0;
	daemon->heartbeat_ms = accepted->heartbeat_ms ? accepted->heartbeat_ms : 10000;
	uv_timer_start(&daemon->heartbeat, on_heartbeat, daemon->heartbeat_ms,
		       daemon->heartbeat_ms);
	fprintf(stderr, "openshell-supervisor: attached to %s as %s\n", daemon->options->gateway,
		daemon->options->node);
	daemon_report_all(daemon);
}

static void on_message(void *arg, struct grpc_call *call, const ProtobufCMessage *base)
{
	const Openshell__Node__V1__GatewayMessage *m = (const void *)base;
	struct daemon *daemon = arg;

	daemon->last_ms = uv_now(&daemon->loop);
	switch (m->payload_case) {
	case ORDER(ACCEPTED):
		on_accepted(daemon, m->accepted);
		break;
	case ORDER(REJECTED):
		fprintf(stderr, "openshell-supervisor: the gateway refuses this host: %s\n",
			m->rejected->reason);
		break;
	case ORDER(ASSIGN):
		daemon_assign(daemon, m->assign);
		break;
	case ORDER(RELEASE):
		daemon_release(daemon, m->release->sandbox_id, m->release->request_id,
			       m->release->keep_files);
		break;
	case ORDER(POLICY):
		daemon_forward(daemon, m->policy->sandbox_id, m->policy->request_id, KEEPER_POLICY,
			       &m->policy->base);
		break;
	case ORDER(CREDENTIALS):
		daemon_forward(daemon, m->credentials->sandbox_id, m->credentials->request_id,
			       KEEPER_CREDENTIALS, &m->credentials->base);
		break;
	case ORDER(INFERENCE):
		daemon_forward(daemon, m->inference->sandbox_id, m->inference->request_id,
			       KEEPER_INFERENCE, &m->inference->base);
		break;
	case ORDER(OPEN_RELAY):
		daemon_relay_open(daemon, m->open_relay);
		break;
	case ORDER(SYNCED):
		daemon_synced(daemon);
		break;
	default:
		break;
	}
}

static void on_retry(uv_timer_t *timer)
{
	struct daemon *daemon = timer->data;

	daemon->adopted = 0;
	daemon_attach_start(daemon);
}

/* Whole hosts lose their gateway at once: they do not come back at once. */
static uint32_t jitter(uint32_t ms)
{
	uint16_t random = 0;

	(void)!getrandom(&random, sizeof(random), 0);
	return ms / 2 + random % (ms / 2 + 1);
}

static void on_ended(void *arg, struct grpc_call *call, int code, const char *message)
{
	struct daemon *daemon = arg;

	daemon->attach = NULL;
	daemon->accepted = false;
	uv_timer_stop(&daemon->heartbeat);
	if (daemon->stopping)
		return;
	/* Once for each reason, not at each attempt. */
	if (strncmp(daemon->why, message, sizeof(daemon->why) - 1) != 0)
		fprintf(stderr,
			"openshell-supervisor: not attached: %s (%s); sandboxes run on, and it is "
			"tried again\n",
			message, grpc_code_name(code));
	snprintf(daemon->why, sizeof(daemon->why), "%s", message);
	uv_timer_start(&daemon->retry, on_retry, jitter(daemon->retry_ms), 0);
	daemon->retry_ms =
		daemon->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : daemon->retry_ms * 2;
}

void daemon_attach_start(struct daemon *daemon)
{
	static const struct grpc_call_events events = {
		.message = on_message,
		.ended = on_ended,
	};

	if (daemon->attach || daemon->stopping)
		return;
	/* What runs here is told with the hello: else it would be started a second time. */
	if (daemon->adopted) {
		uv_timer_start(&daemon->retry, on_retry, ADOPT_MS, 0);
		return;
	}
	uv_timer_stop(&daemon->retry);
	daemon->last_ms = uv_now(&daemon->loop);
	if (grpc_client_call(daemon->client, RPC_NODE_ATTACH, NULL, 0, 0, &events, daemon,
			     &daemon->attach)) {
		uv_timer_start(&daemon->retry, on_retry, RETRY_MAX_MS, 0);
		return;
	}
	send_hello(daemon);
}

static int read_token(struct daemon *daemon, const char *path, struct error *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[TOKEN_MAX];
	struct stat st;
	ssize_t n;
	int r = 0;

	if (fd < 0 || fstat(fd, &st))
		return error_set(err, -errno, "cannot read %s: %s", path, strerror(errno));
	if (st.st_mode & 077)
		return error_set(err, -EPERM, "others may read %s: chmod 600 it", path);
	n = read(fd, text, sizeof(text) - 1);
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	if (n <= 0)
		return error_set(err, -EINVAL, "%s has no token", path);
	text[n] = 0;
	if (asprintf(&daemon->authorization, "Bearer %s", text) < 0)
		r = error_set(err, -ENOMEM, "out of memory");
	explicit_bzero(text, sizeof(text));
	return r;
}

int daemon_attach_new(struct daemon *daemon, struct error *err)
{
	const struct daemon_options *o = daemon->options;
	struct grpc_client_options options = {.loop = &daemon->loop, .endpoint = o->gateway};
	int r = 0;

	daemon->retry_ms = RETRY_MIN_MS;
	if (!strncmp(o->gateway, "https://", 8))
		r = grpc_tls_client(o->ca, o->cert, o->key, &daemon->tls, err);
	if (!r && o->token_file)
		r = read_token(daemon, o->token_file, err);
	if (r)
		return r;
	options.tls = daemon->tls;
	options.authorization = daemon->authorization;
	return grpc_client_new(&options, &daemon->client, err);
}

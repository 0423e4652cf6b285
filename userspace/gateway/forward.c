/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/forward.h"

#include "common/cleanup.h"
#include "gateway/relay_call.h"
#include "gateway/service.h"
#include "gateway/ssh_session.h"
#include "openshell.pb-c.h"

#include <errno.h>
#include <string.h>

/* The sandbox's own sshd, as its user, with keys that the client put there. */
static char *const sshd_command[] = {
	(char *)"/usr/sbin/sshd",
	(char *)"-i",
	(char *)"-e",
	(char *)"-o",
	(char *)"HostKey=/sandbox/.openshell/host_key",
	(char *)"-o",
	(char *)"AuthorizedKeysFile=/sandbox/.openshell/authorized_keys",
	(char *)"-o",
	(char *)"PidFile=none",
	(char *)"-o",
	(char *)"UsePAM=no",
	(char *)"-o",
	(char *)"PasswordAuthentication=no",
	(char *)"-o",
	(char *)"StrictModes=no",
	(char *)"-o",
	(char *)"Subsystem=sftp internal-sftp",
};

static int to_client(struct grpc_call *call, const Openshell__Node__V1__RelayFrame *frame)
{
	Openshell__V1__TcpForwardFrame answer = OPENSHELL__V1__TCP_FORWARD_FRAME__INIT;

	/* sshd's complaints are not part of the connection. */
	if (frame->payload_case != OPENSHELL__NODE__V1__RELAY_FRAME__PAYLOAD_DATA)
		return 0;
	answer.payload_case = OPENSHELL__V1__TCP_FORWARD_FRAME__PAYLOAD_DATA;
	answer.data = frame->data;
	return grpc_call_send(call, &answer.base);
}

static int to_sandbox(struct relay_call *relay, const ProtobufCMessage *message, struct error *err)
{
	const Openshell__V1__TcpForwardFrame *frame = (const void *)message;

	if (frame->payload_case != OPENSHELL__V1__TCP_FORWARD_FRAME__PAYLOAD_DATA)
		return error_set(err, -EINVAL, "`init` comes once, first");
	return relay_call_send_data(relay, frame->data.data, frame->data.len);
}

static const struct relay_translation translation = {
	.to_client = to_client,
	.to_sandbox = to_sandbox,
};

static int check_tcp(const char *host, uint32_t port, struct error *err)
{
	if (*host && strcmp(host, "127.0.0.1") != 0 && strcmp(host, "::1") != 0 &&
	    strcmp(host, "localhost") != 0)
		return error_set(
			err, -EINVAL,
			"'%.64s' is not the sandbox's loopback: 127.0.0.1, ::1 or localhost", host);
	if (!port || port > 65535)
		return error_set(err, -EINVAL, "the port is a number from 1 to 65535");
	return 0;
}

static void open_tcp(struct request *request, const char *sandbox_id, const char *host,
		     uint32_t port)
{
	Openshell__Node__V1__OpenRelay open = OPENSHELL__NODE__V1__OPEN_RELAY__INIT;
	Openshell__Node__V1__Tcp tcp = OPENSHELL__NODE__V1__TCP__INIT;
	struct error err = {};

	if (check_tcp(host, port, &err)) {
		request_fail_error(request, &err);
		return;
	}
	tcp.host = *host ? (char *)host : (char *)"127.0.0.1";
	tcp.port = port;
	open.target_case = OPENSHELL__NODE__V1__OPEN_RELAY__TARGET_TCP;
	open.tcp = &tcp;
	(void)relay_call_open(request, sandbox_id, &open, &translation);
}

static void open_ssh(struct request *request, const Openshell__V1__TcpForwardInit *init)
{
	Openshell__Node__V1__OpenRelay open = OPENSHELL__NODE__V1__OPEN_RELAY__INIT;
	Openshell__Node__V1__Exec command = OPENSHELL__NODE__V1__EXEC__INIT;
	struct error err = {};

	if (ssh_session_check(request->gateway, init->authorization_token, init->sandbox_id,
			      &err)) {
		request_fail_error(request, &err);
		return;
	}
	command.command = (char **)sshd_command;
	command.n_command = ARRAY_LEN(sshd_command);
	open.target_case = OPENSHELL__NODE__V1__OPEN_RELAY__TARGET_EXEC;
	open.exec = &command;
	(void)relay_call_open(request, init->sandbox_id, &open, &translation);
}

void forward_tcp(struct request *request)
{
	const Openshell__V1__TcpForwardFrame *frame = (const void *)request->message;
	const Openshell__V1__TcpForwardInit *init;
	struct error err = {};
	uint32_t port;

	if (frame->payload_case != OPENSHELL__V1__TCP_FORWARD_FRAME__PAYLOAD_INIT) {
		request_fail(request, GRPC_INVALID_ARGUMENT, "the first frame is `init`");
		return;
	}
	init = frame->init;
	if (!*init->sandbox_id) {
		request_fail(request, GRPC_INVALID_ARGUMENT, "sandbox_id is missing");
	} else if (init->target_case == OPENSHELL__V1__TCP_FORWARD_INIT__TARGET_SSH) {
		open_ssh(request, init);
	} else if (init->target_case == OPENSHELL__V1__TCP_FORWARD_INIT__TARGET_TCP) {
		open_tcp(request, init->sandbox_id, init->tcp->host, init->tcp->port);
	} else if (!*init->service_id) {
		request_fail(request, GRPC_INVALID_ARGUMENT,
			     "where to? init has a tcp or ssh target, or a service_id");
	} else if (service_port(request->gateway, init->service_id, init->sandbox_id, &port,
				&err)) {
		request_fail_error(request, &err);
	} else {
		open_tcp(request, init->sandbox_id, "", port);
	}
}

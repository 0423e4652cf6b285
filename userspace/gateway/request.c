/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/request.h"

#include "common/grpc_server.h"

#include <stdarg.h>
#include <stdio.h>

void request_reply(struct request *request, const ProtobufCMessage *response)
{
	int r = grpc_call_send(request->call, response);

	request->answered = true;
	if (r < 0)
		grpc_call_finish(request->call, grpc_code_of_errno(r), "the answer cannot be sent");
	else
		grpc_call_finish(request->call, GRPC_OK, NULL);
}

void request_fail(struct request *request, enum grpc_code code, const char *format, ...)
{
	char text[ERROR_MESSAGE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	request->answered = true;
	grpc_call_finish(request->call, code, text);
}

void request_fail_error(struct request *request, const struct error *err)
{
	request->answered = true;
	grpc_call_finish(request->call, grpc_code_of_errno(err->code), err->message);
}

struct grpc_call *request_take_call(struct request *request, const struct grpc_call_events *events,
				    void *arg)
{
	request->taken = true;
	grpc_call_accept(request->call, events, arg);
	return request->call;
}

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""grpcio's server, for our client (caller.c): usage: foreign_server.py MESSAGES_DIR [CERT KEY CA]. Prints
its port; ends with standard input."""

import os
import sys
import time
from concurrent import futures

import grpc

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import messages  # noqa: E402

O = messages.load(sys.argv[1]).openshell


def health(request, context):
    metadata = dict(context.invocation_metadata())
    if "x-code" in metadata:
        codes = {c.value[0]: c for c in grpc.StatusCode}
        context.abort(codes[int(metadata["x-code"])], metadata.get("x-text", ""))
    if "x-hang" in metadata:
        time.sleep(5)
    return O.HealthResponse(version=metadata.get("authorization", ""))


def get_sandbox(request, context):
    response = O.SandboxResponse()
    response.sandbox.metadata.name = request.name
    return response


def watch(request, context):
    for i in range(request.log_tail_lines, 0, -1):
        event = O.SandboxStreamEvent()
        event.log.timestamp_ms = i
        event.log.message = "x" * request.event_tail
        yield event


def push(requests, context):
    total = sum(len(r.sandbox_id) for r in requests)
    context.set_details(str(total))
    return O.PushSandboxLogsResponse()


def interactive(requests, context):
    for request in requests:
        yield O.ExecSandboxEvent(stdout=O.ExecSandboxStdout(data=request.stdin))


def main():
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(64), options=options)

    def handler(make, function, request, response):
        return make(function, request.FromString, response.SerializeToString)

    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("openshell.v1.OpenShell", {
        "Health": handler(grpc.unary_unary_rpc_method_handler, health, O.HealthRequest, O.HealthResponse),
        "GetSandbox": handler(grpc.unary_unary_rpc_method_handler, get_sandbox, O.GetSandboxRequest,
                              O.SandboxResponse),
        "WatchSandbox": handler(grpc.unary_stream_rpc_method_handler, watch, O.WatchSandboxRequest,
                                O.SandboxStreamEvent),
        "PushSandboxLogs": handler(grpc.stream_unary_rpc_method_handler, push, O.PushSandboxLogsRequest,
                                   O.PushSandboxLogsResponse),
        "ExecSandboxInteractive": handler(grpc.stream_stream_rpc_method_handler, interactive,
                                          O.ExecSandboxInput, O.ExecSandboxEvent),
    }),))
    if len(sys.argv) > 2:
        files = [open(name, "rb").read() for name in sys.argv[2:5]]
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials(
            [(files[1], files[0])], files[2], True))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(0)


main()

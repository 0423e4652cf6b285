#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A gRPC service without generated code: messages are bytes.

usage: grpc_echo.py serve SEEN CERTIFICATE ADDRESS          ports 443 and, without TLS, 80
       grpc_echo.py call TARGET METHOD [TEXT..] [key=value..]
           TARGET: HOST:443 or HOST:80. METHOD of svc.Echo: Unary, Count (answers stream), Sum
           (questions stream), Chat (both), Admin; Big answers with a MiB.
"""
import concurrent.futures
import hashlib
import json
import sys

import grpc

SERVICE = "svc.Echo"


class Echo(grpc.GenericRpcHandler):
    def __init__(self, seen):
        self.seen = seen

    def tell(self, what, **more):
        with open(self.seen, "a", encoding="utf-8") as out:
            out.write(json.dumps(dict(what=what, **more)) + "\n")

    def service(self, details):
        method = details.method.rpartition("/")[2]
        host = dict(details.invocation_metadata).get(":authority", "")
        self.tell("request", host="grpc.svc.test", method="POST", url=details.method, version="2",
                  authority=host, headers={key: str(value)
                                           for key, value in details.invocation_metadata})

        def unary(request, context):
            context.set_trailing_metadata((("x-method", method),))
            return b"echo " + request

        def big(request, context):
            return b"b" * (1 << 20)

        def count(request, context):
            for i in range(int(request)):
                yield b"%d" % i

        def total(requests, context):
            return b"%d" % sum(len(request) for request in requests)

        def chat(requests, context):
            for request in requests:
                yield b"echo " + request

        return {
            "Unary": grpc.unary_unary_rpc_method_handler(unary),
            "Admin": grpc.unary_unary_rpc_method_handler(unary),
            "Big": grpc.unary_unary_rpc_method_handler(big),
            "Count": grpc.unary_stream_rpc_method_handler(count),
            "Sum": grpc.stream_unary_rpc_method_handler(total),
            "Chat": grpc.stream_stream_rpc_method_handler(chat),
        }.get(method)


def serve(seen, certificate, address):
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(16), handlers=[Echo(seen)])
    with open(certificate, "rb") as file:
        pem = file.read()
    server.add_secure_port(address + ":443", grpc.ssl_server_credentials([(pem, pem)]))
    server.add_insecure_port(address + ":80")
    server.start()
    print("ready", flush=True)
    server.wait_for_termination()


def call(target, method, *words):
    metadata = [tuple(word.split("=", 1)) for word in words if "=" in word]
    texts = [word.encode() for word in words if "=" not in word]
    if target.endswith(":443"):
        channel = grpc.secure_channel(target, grpc.ssl_channel_credentials())
    else:
        channel = grpc.insecure_channel(target)
    path = "/%s/%s" % (SERVICE, method)
    options = dict(timeout=10, metadata=metadata)
    try:
        if method == "Count":
            print("got", b",".join(channel.unary_stream(path)(texts[0], **options)).decode())
        elif method == "Sum":
            print("got", channel.stream_unary(path)(iter(texts), **options).decode())
        elif method == "Chat":
            print("got", b",".join(channel.stream_stream(path)(iter(texts), **options)).decode())
        else:
            answer, ended = channel.unary_unary(path).with_call(texts[0], **options)
            if len(answer) > 100:
                answer = b"%d %s" % (len(answer), hashlib.sha256(answer).hexdigest().encode())
            print("got", answer.decode(), dict(ended.trailing_metadata()))
        return 0
    except grpc.RpcError as error:
        print(error.code().name, error.details())
        return 1


if __name__ == "__main__":
    sys.exit(globals()[sys.argv[1]](*sys.argv[2:]))

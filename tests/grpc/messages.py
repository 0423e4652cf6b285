# SPDX-License-Identifier: Apache-2.0
"""Python classes of our proto files, made by the protocol compiler into a directory of their own, and
the RPCs in them as a foreign client sees them."""

import importlib
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def load(into):
    """The modules by file name: load(dir).openshell.HealthRequest. Made anew each time."""
    os.makedirs(into, exist_ok=True)
    protos = sorted(f for f in os.listdir(os.path.join(ROOT, "proto")) if f.endswith(".proto"))
    subprocess.run(["protoc", "--proto_path=" + os.path.join(ROOT, "proto"), "--python_out=" + into]
                   + [os.path.join(ROOT, "proto", f) for f in protos], check=True)
    sys.path.insert(0, into)
    modules = type("Modules", (), {})()
    for name in protos:
        name = name[: -len(".proto")]
        setattr(modules, name, importlib.import_module(name + "_pb2"))
    return modules


class Service:
    """Every method of one service, called by its name on a grpc channel."""

    def __init__(self, channel, descriptor):
        from google.protobuf import message_factory

        def class_of(kind):
            if hasattr(message_factory, "GetMessageClass"):
                return message_factory.GetMessageClass(kind)
            return message_factory.MessageFactory().GetPrototype(kind)

        def is_stream(method, name):
            from google.protobuf import descriptor_pb2
            proto = descriptor_pb2.MethodDescriptorProto()
            method.CopyToProto(proto)
            return getattr(proto, name)

        for method in descriptor.methods:
            kind = {
                (False, False): channel.unary_unary, (False, True): channel.unary_stream,
                (True, False): channel.stream_unary, (True, True): channel.stream_stream,
            }[is_stream(method, "client_streaming"), is_stream(method, "server_streaming")]
            request, response = class_of(method.input_type), class_of(method.output_type)
            path = f"/{descriptor.full_name}/{method.name}"
            setattr(self, method.name, kind(path, request_serializer=request.SerializeToString,
                                            response_deserializer=response.FromString))

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
# Our gRPC server, and a client that nobody here wrote: grpcio.
build=${BUILD:-build}
exec "$(dirname "$0")/../grpc/interop.py" "$build/tests/grpc/echo_server" "$build/tests/grpc/server-messages"

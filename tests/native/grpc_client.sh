#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
# Our gRPC client, and a server that nobody here wrote: grpcio's.
build=${BUILD:-build}
exec "$(dirname "$0")/../grpc/both.py" "$build/tests/grpc/caller" "$build/tests/grpc/client-messages"

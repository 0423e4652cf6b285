#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
# Our gRPC server, and the other client that nobody here wrote: @grpc/grpc-js, with our proto files
# as they are.
build=$(cd "${BUILD:-build}" && pwd)
here=$(cd "$(dirname "$0")/../grpc" && pwd)
# Its modules are found from where the script is.
cp "$here/interop.mjs" "$build/tests/proxy/grpc_interop.mjs"
exec node "$build/tests/proxy/grpc_interop.mjs" "$build/tests/grpc/echo_server" "$here/../../proto"

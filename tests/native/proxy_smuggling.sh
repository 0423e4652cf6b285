#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
#
# Hostile requests from a sandbox; behind the proxy, a server that shares no code with it.
exec "$(dirname "$0")/../names/instance.sh" ../smuggling/sandboxed.py "$@"

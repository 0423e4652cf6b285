#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
#
# Faults on both sides of the proxy and in it: no hang, no leak, no way around.
exec "$(dirname "$0")/../proxy/instance.sh" faults.py "$@"

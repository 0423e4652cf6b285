#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# kill -9 of each process of ours under traffic, and a policy that changes under it.
exec "$(dirname "$0")/../names/instance.sh" kill.py "$@"

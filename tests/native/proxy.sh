#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
#
# Requests, from end to end: clients that agents use, in a sandbox, against real servers.
exec "$(dirname "$0")/../proxy/instance.sh" suite.py "$@"

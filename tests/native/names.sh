#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# Names, from end to end: `openshell run` and the clients that agents use, against real servers.
exec "$(dirname "$0")/../names/instance.sh" suite.py "$@"

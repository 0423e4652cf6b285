#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
# A gateway's sandboxes on a supervisor: commands, terminals, connections; updates in place; and what
# is left of them when a supervisor is killed, when they stop, and when they are deleted.
exec "$(dirname "$0")/../names/instance.sh" ../supervisor/suite.py "$@"

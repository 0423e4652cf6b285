#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
# The command line against the gateway and the supervisor that `openshell gateway start` brings up:
# each verb as a user types it, what it prints and how it exits.
exec "$(dirname "$0")/../names/instance.sh" ../cli/suite.py "$@"

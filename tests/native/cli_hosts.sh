#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# timeout: 180
# One gateway and two supervisors as three hosts: a network namespace each, mTLS between them, and
# the command line on a fourth side.
exec "$(dirname "$0")/../names/instance.sh" ../cli/hosts.py "$@"

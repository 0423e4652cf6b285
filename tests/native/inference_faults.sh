#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# Providers that fail, stall, flood or vanish, and agents that leave.
exec "$(dirname "$0")/../proxy/instance.sh" ../inference/faults.py "$@"

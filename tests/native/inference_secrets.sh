#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# A provider's key is nowhere that an agent can see.
exec "$(dirname "$0")/../proxy/instance.sh" ../inference/keys.py "$@"

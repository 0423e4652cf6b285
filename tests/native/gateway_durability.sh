#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
# kill -9 of the gateway while it is written to, twenty times: no write that was acknowledged is
# lost, the database is whole, supervisors come back and their sandboxes run on, held to their policy.
exec "$(dirname "$0")/../names/instance.sh" ../gateway/durability.py "$@"

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# timeout: 120
# Who is let in at a gateway, and to what: certificates, tokens, sandboxes, hosts.
exec "$(dirname "$0")/../gateway/access.py"

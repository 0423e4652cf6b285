#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# timeout: 120
# Providers, profiles and routes of a gateway, by a client that nobody here wrote and a node that
# only listens.
exec "$(dirname "$0")/../gateway/providers.py"

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# Credentials: placeholders everywhere, and values at the server they are for and nowhere else.
exec "$(dirname "$0")/../proxy/instance.sh" leaks.py "$@"

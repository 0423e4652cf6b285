#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sample: 6.12
#
# The same with an overlay under the agent's files, whose inodes have times of their own.
exec /t/identity/driver /t/identity/act overlay

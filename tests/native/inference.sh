#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# Public clients of model providers, in a sandbox, against providers that say what they received.
exec "$(dirname "$0")/../proxy/instance.sh" ../inference/suite.py "$@"

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The guests' test of the same name, on this kernel and the backend that it has.
PATH=$(realpath "${BUILD:-build}/bin"):$PATH
export PATH
exec "$(dirname "$0")/../vm/guest/test_next_start.sh"

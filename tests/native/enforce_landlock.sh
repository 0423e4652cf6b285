#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The enforcement suite under the fallback, on this machine's own kernel.
exec "${BUILD:-build}/tests/guest/enforce" landlock

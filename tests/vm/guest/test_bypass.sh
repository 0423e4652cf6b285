#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 1200
# sample: 6.12
#
# The bypass suite, as natively (tests/native/bypass.sh), by this kernel and with BPF-LSM.
exec /t/bypass/bypass --vm /usr/bin /t/bypass

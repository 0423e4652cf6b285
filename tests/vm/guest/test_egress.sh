#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sample: 6.1
#
# Egress and devices, as natively (tests/native/egress), by this kernel.
exec /t/egress/driver /t/egress/act

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What a binary is known by, as natively (tests/native/identity), by this kernel.
exec /t/identity/driver /t/identity/act

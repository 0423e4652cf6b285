#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
# sample: 6.1
#
# Names, as natively (tests/names), by this kernel and with BPF-LSM.
exec /t/names/instance.sh suite.py

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
# sample: 6.12
#
# inference.local, by this kernel and with BPF-LSM.
exec /t/names/instance.sh ../inference/plain.py

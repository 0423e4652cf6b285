#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
# sample: 6.12
#
# Requests that are judged, by this kernel and with BPF-LSM.
exec /t/names/instance.sh ../proxy/plain.py

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
# sample: 6.12
exec /t/swap

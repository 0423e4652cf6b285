#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
exec /t/swap

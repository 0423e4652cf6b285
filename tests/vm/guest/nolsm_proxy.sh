#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
# sample: none
#
# Requests are judged all the same where files are held by Landlock.
exec /t/names/instance.sh ../proxy/plain.py

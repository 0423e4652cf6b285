#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# What `openshell run --inference` does with its file while an agent runs, and what of the keys can
# be seen. No model is asked: who answers, and how, is tried elsewhere.
exec "$(dirname "$0")/../names/instance.sh" ../native/inference_file/suite.py "$@"

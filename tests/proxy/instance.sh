#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# usage: instance.sh SUITE.py [WORD..]
#
# Runs one suite of this directory in a private instance of OpenShell. Nothing is skipped for want of
# a program: mk/deps.sh installs them, and `make` what comes from npm.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-$here/../../build}
PROXY_MODULES=$(realpath "$build/tests/proxy/node_modules") || {
	echo "Bail out! packages of tests/proxy/package.json are not installed: make native"
	exit 1
}
export PROXY_MODULES
suite=$1
shift
exec "$here/../names/instance.sh" "../proxy/$suite" "$@"

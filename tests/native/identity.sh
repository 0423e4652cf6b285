#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What a binary is known by, and how connections end: decided by the machine's own kernel, in a
# private instance of everything. usage: identity.sh
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
why=
[ "$(id -u)" -eq 0 ] || why="needs root"
[ -e /sys/kernel/btf/vmlinux ] || why="the kernel has no BTF"
grep -q cgroup2 /proc/mounts || why="no cgroup2 hierarchy is mounted"
if [ -n "$why" ]; then
	echo "1..1"
	echo "ok 1 - identity # SKIP $why"
	exit 0
fi
exec "$build/tests/native/identity/driver" "$build/tests/native/identity/act" "$@"

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Egress and devices, decided by the machine's own kernel for cgroups of the test's own, in network
# namespaces of its own. usage: egress.sh [BUILD]
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
why=
[ "$(id -u)" -eq 0 ] || why="needs root"
[ -e /sys/kernel/btf/vmlinux ] || why="the kernel has no BTF"
grep -q cgroup2 /proc/mounts || why="no cgroup2 hierarchy is mounted"
command -v ip >/dev/null || why="needs ip (iproute2)"
if [ -n "$why" ]; then
	echo "1..1"
	echo "ok 1 - egress # SKIP $why"
	exit 0
fi
exec "$build/tests/native/egress/driver" "$build/tests/native/egress/act"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# The bypass suite on this machine's kernel: what an agent may try to reach an address that its
# policy does not admit. usage: bypass.sh [PART]
#
# Everything runs in mount and network namespaces of its own, with its own /run, bpffs and part of
# the cgroup tree, so that it meets no sandboxes but its own.
set -u
export LC_ALL=C
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
why=
[ "$(id -u)" -eq 0 ] || why="needs root"
[ -e /sys/kernel/btf/vmlinux ] || why="the kernel has no BTF"
command -v ip >/dev/null || why="needs ip (iproute2)"
unified=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[ -n "$unified" ] || why="no cgroup2 hierarchy is mounted"
if [ -n "$why" ]; then
	echo "1..1"
	echo "ok 1 - bypass # SKIP $why"
	exit 0
fi
if [ -z "${BYPASS_CGROUP:-}" ]; then
	BYPASS_CGROUP=$unified/openshell-bypass-$$
	BYPASS_POINT=$(mktemp -d /var/tmp/openshell-bypass-cgroup-XXXXXX) || exit 1
	export BYPASS_CGROUP BYPASS_POINT
	mkdir "$BYPASS_CGROUP" || exit 1
	unshare --mount --propagation private "$0" "$@"
	status=$?
	rmdir "$BYPASS_POINT"
	# What was killed at the end may still be leaving.
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		rmdir "$BYPASS_CGROUP" 2>/dev/null && break
		sleep 0.1
	done
	exit $status
fi
mount --bind "$BYPASS_CGROUP" "$BYPASS_POINT" && umount "$unified" &&
	mount --move "$BYPASS_POINT" "$unified" &&
	mount -t bpf bpf /sys/fs/bpf && mount -t tmpfs run /run || exit 1
exec "$build/tests/guest/bypass/bypass" "$build/bin" "$build/tests/guest/bypass" ${1+"$1"}

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: instance.sh SUITE.py [WORD..]
#
# Runs one suite of this directory in a private instance of OpenShell, as bad_input.sh has one: mount
# and network namespaces, /run, bpffs and part of the cgroup tree are its own.
set -u
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)

why=
[ "$(id -u)" -eq 0 ] || why="needs root"
[ -e /sys/kernel/btf/vmlinux ] || why="the kernel has no BTF"
unified=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
[ -n "$unified" ] || why="no cgroup2 hierarchy is mounted"
for program in ip unshare nsenter setpriv dnsmasq openssl curl /usr/bin/python3; do
	command -v "$program" >/dev/null || why="needs $program"
done
if [ -n "$why" ]; then
	echo "1..1"
	echo "ok 1 - ${1%.py} # SKIP $why"
	exit 0
fi
if [ -z "${NAMES_DIR:-}" ]; then
	# Where it was built, or, in a guest, where it was put.
	if [ -n "${BUILD:-}" ] || [ -d build/bin ]; then
		NAMES_BIN=$(realpath "${BUILD:-build}/bin")
		NAMES_TOOLS=${NAMES_BIN%/bin}/tests/names
	else
		NAMES_BIN=$(dirname "$(command -v openshell)")
		NAMES_TOOLS=$here
	fi
	NAMES_DIR=$(mktemp -d /var/tmp/openshell-names-XXXXXX) || exit 1
	NAMES_CGROUP=$unified/${NAMES_DIR##*/}
	mkdir "$NAMES_CGROUP" || exit 1
	export NAMES_DIR NAMES_CGROUP NAMES_BIN NAMES_TOOLS
	# Whoever ends us early ends the suite as well, and what it leaves is ours to remove.
	trap : TERM INT HUP
	unshare --mount --net --propagation private "$0" "$@"
	status=$?
	rm -rf "$NAMES_DIR"
	if ! rmdir "$NAMES_CGROUP"; then
		echo "# a cgroup is left behind"
		find "$NAMES_CGROUP" -name cgroup.procs -exec cat {} + | sed 's/^/# with process /'
		find "$NAMES_CGROUP" -depth -type d -exec rmdir {} + 2>/dev/null
		status=1
	fi
	exit $status
fi

chmod 755 "$NAMES_DIR"
mkdir "$NAMES_DIR/bin" "$NAMES_DIR/cgroup"
cp "$NAMES_BIN"/openshell* "$NAMES_DIR/bin"
[ ! -x "$NAMES_TOOLS/switch" ] || cp "$NAMES_TOOLS/switch" "$NAMES_DIR/bin"
mount --bind "$NAMES_CGROUP" "$NAMES_DIR/cgroup" && umount "$unified" &&
	mount --move "$NAMES_DIR/cgroup" "$unified" &&
	mount -t bpf bpf /sys/fs/bpf && mount -t tmpfs run /run || exit 1
suite=$here/$1
shift
export PATH="$NAMES_DIR/bin:/usr/sbin:/usr/bin:/sbin:/bin" PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 "$suite" "$NAMES_DIR/world" "$unified" "$@"

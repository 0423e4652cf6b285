#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: tests/vm/suite.sh [--list] KERNEL [TEST..]
#
# Runs guest tests in one boot of that kernel and relays their TAP as one stream, every point named
# `KERNEL TEST: description`. Guest tests are tests/vm/guest/test_*.sh and tests/guest/test_*.c.
# Two machines have tests of their own instead: on 5.10, which we refuse to run on, refuse_*, and on
# KERNEL-nolsm, that kernel without bpf in its list of active LSMs, nolsm_*. A test's time is 300 s
# unless a script says `# timeout: N`. --list names the tests, one a line. With VM_SAMPLE set, a
# script that says `# sample: KERNEL..` is skipped on other kernels: under emulation the long ones
# take minutes each.
# The kernel's own log is part of the result: a warning or a bug report in it fails the suite.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)

list=
[ "${1:-}" != --list ] || { list=1; shift; }
kernel=${1:?kernel}
shift
machine=$kernel kind=test options=()
case $kernel in
5.10) kind=refuse ;;
*-nolsm) kind=nolsm options=(--no-bpf-lsm) kernel=${kernel%-nolsm} ;;
esac

found=()
for path in "$here"/guest/${kind}_*.sh "$top"/tests/guest/${kind}_*.c; do
	[ ! -e "$path" ] || found+=("$(basename "$path" .c)")
done
if [ -n "$list" ]; then
	printf '%s\n' ${found[@]+"${found[@]}"}
	exit 0
fi
[ $# -gt 0 ] || set -- ${found[@]+"${found[@]}"}

if ! reason=$("$here/fetch.sh" "$kernel" 2>&1 > /dev/null); then
	echo "1..0 # SKIP $(echo "$reason" | tail -n 1)"
	exit 0
fi
case " $* " in
*" test_names.sh "* | *" test_proxy.sh "* | *" test_inference.sh "* | *" nolsm_proxy.sh "*)
	staging=${BUILD:-$top/build}/tests/names-$machine
	mapfile -t carried < <("$top/tests/names/carry.sh" "$staging")
	options+=("${carried[@]}") ;;
esac
exec "$here/run.sh" "$kernel" ${options[@]+"${options[@]}"} --timeout 2400 -- \
	/t/suite ${VM_SAMPLE:+--sample} "$machine" "$@"

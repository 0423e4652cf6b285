#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# A set-id file that is truncated loses its bits in the same change, which the kernel then forces:
# that must not hide from the policy that it is a truncation.
. /t/tap.sh
. /t/run.sh

cat > "$work/policy.yaml" <<END
version: 1
filesystem_policy:
  include_workdir: false
  read_only: [/usr, /t, /srv/fixed]
  read_write: [/srv/own]
END
for dir in fixed own; do
	mkdir -p /srv/$dir
	for mode in 4755 2755 755; do
		echo content > /srv/$dir/$mode
		chown 998:998 /srv/$dir/$mode
		chmod $mode /srv/$dir/$mode
	done
done

is_whole()
{
	[ "$(cat "$1")" = content ] && [ "$(stat -c %a "$1")" = "${1##*/}" ]
}

start_supervisor
for mode in 4755 2755 755; do
	file=/srv/fixed/$mode
	check "$mode, read_only: open with O_TRUNC fails" exits 1 sandbox -- /t/act otrunc $file
	check "$mode, read_only: with EACCES" grep -qx EACCES "$work/out"
	check "$mode, read_only: and is an event" said "DENIED .*$file"
	check "$mode, read_only: the file is as it was" is_whole $file
	check "$mode, read_write: it succeeds" exits 0 sandbox -- /t/act otrunc /srv/own/$mode
	check "$mode, read_write: and truncates" test ! -s /srv/own/$mode
	check "$mode, outside: it succeeds" \
		setpriv --reuid 998 --regid 998 --clear-groups /t/act otrunc $file
	check "$mode, outside: and truncates" test ! -s $file
done
stop_supervisor
check "nothing is left behind" nothing_left
finish

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# openshell run on the landlock backend: a whole run from a policy file, with what the backend adds
# to it in force, each denial beside what is allowed and what the same user may outside. Prints TAP.
# Usage: landlock_run.sh [bin]
set -u
bin=${1:-${BUILD:-build}/bin}
openshell=$(realpath "$bin/openshell") || exit 1
uid=65534
n=0
failed=0

ok() { # STATUS NAME
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		failed=1
	fi
}

if [ "$(id -u)" -ne 0 ]; then
	echo "1..1"
	echo "ok 1 - a run on the landlock backend # SKIP needs root"
	exit 0
fi
if ! "$openshell" doctor -o json | grep -q '"backend": "landlock"'; then
	echo "1..1"
	echo "ok 1 - a run on the landlock backend # SKIP not the backend of this host"
	exit 0
fi

dir=$(mktemp -d /var/tmp/openshell-XXXXXX) || exit 1
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/work" "$dir/work/ro" "$dir/other"
echo secret >"$dir/work/.env"
echo text >"$dir/work/ro/file"
echo text >"$dir/other/file"
cp /bin/true "$dir/work/program"
cp /bin/true "$dir/work/ro/program"
chown -R $uid:$uid "$dir"
chmod 755 "$dir"
cat >"$dir/policy.yaml" <<EOF
version: 1
filesystem_policy:
  include_workdir: true
  read_only: [/usr, /etc, $dir/work/ro]
  deny: [$dir/work/.env]
process: {run_as_user: "$uid", run_as_group: "$uid"}
exec_policy:
  deny: [/usr/bin/env]
  allow_writable: false
EOF

# One command, its status and first line of errors, in the sandbox and outside of it.
inside() {
	LC_ALL=C "$openshell" run --policy "$dir/policy.yaml" --workdir "$dir/work" \
		--log "$dir/log" --no-tty -- /bin/sh -c "$1" >"$dir/out" 2>"$dir/err"
}

outside() {
	(cd "$dir/work" && LC_ALL=C setpriv --reuid $uid --regid $uid --clear-groups \
		/bin/sh -c "$1" >/dev/null 2>&1)
}

denied() { # NAME COMMAND MESSAGE
	inside "$2"
	status=$?
	[ $status -ne 0 ] && grep -q "$3" "$dir/err"
	ok $? "$1: $3"
	outside "$2"
	ok $? "$1: free outside"
}

allowed() { # NAME COMMAND
	inside "$2"
	ok $? "$1"
}

allowed "the agent starts" "true"
grep -q 'FINDING.*\[HIGH\].*Landlock' "$dir/log"
ok $? "and the log says what holds its files, and what is weaker"
denied "read a denied file" "cat .env" "Permission denied"
allowed "read another" "cat ro/file"
denied "write below read_only in read_write" "echo >ro/file" "Read-only file system"
denied "chmod there" "chmod 700 ro/file" "Read-only file system"
allowed "write beside it" "echo text >file && chmod 700 file"
denied "read what is not listed" "cat ../other/file" "No such file"
denied "look at it" "stat ../other/file" "No such file"
denied "list a masked directory" "ls /srv" "Permission denied"
denied "execute what exec_policy denies" "env" "Permission denied"
denied "execute below read_write" "./program" "Permission denied"
allowed "execute below read_only" "ro/program"
denied "load it through ld.so" "/lib64/ld-linux-x86-64.so.2 ./program" \
	"failed to map segment"
if [ -e /proc/sys/vm/memfd_noexec ]; then
	inside "cat /proc/sys/vm/memfd_noexec"
	[ "$(cat "$dir/out")" = 2 ]
	ok $? "no executable memfd can be made"
	[ "$(cat /proc/sys/vm/memfd_noexec)" != 2 ]
	ok $? "and outside it can"
else
	n=$((n + 1))
	echo "ok $n - no executable memfd can be made # SKIP the kernel has no vm.memfd_noexec"
fi
[ "$(cat "$dir/work/.env")" = secret ] && [ "$(cat "$dir/work/file")" = text ]
ok $? "the host has what was written, and the denied file as it was"
! grep -q openshell /proc/mounts
ok $? "no mount is left"
echo "1..$n"
exit $failed

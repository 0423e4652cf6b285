#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# openshell doctor: exit status, the shape of its three outputs, as root and as nobody, where the
# host cannot enforce, and that it leaves nothing behind. Prints TAP. Usage: doctor_report.sh [bin]
set -u
bin=${1:-${BUILD:-build}/bin}
dir=$(mktemp -d /tmp/openshell-doctor-XXXXXX) || exit 1
trap 'rm -rf "$dir"' EXIT
# Somewhere that nobody may enter, wherever the tree lies.
cp "$bin/openshell" "$dir/" && chmod 755 "$dir" "$dir/openshell" || exit 1
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

skip() { # NAME REASON
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}

doctor() {
	"$dir/openshell" doctor "$@"
}

# Every row has the six keys, in order, and nothing else.
shape() { # FILE
	awk '
		/^    \{$/ { row = 1; keys = ""; rows++; next }
		row && /^      "[a-z]+": ".*",?$/ {
			split($0, part, "\""); keys = keys part[2] " "
			if (part[2] == "status" && part[4] !~ /^(found|partial|missing|unknown)$/) bad = 1
			next
		}
		row && /^    \},?$/ {
			if (keys != "id group status found consequence action ") bad = 1
			row = 0; next
		}
		row { bad = 1 }
		END { exit bad || rows < 90 }
	' "$1"
}

status_of() { # FILE ID
	awk -v id="\"id\": \"$2\"" 'index($0, id) { found = 1 }
		found && /"status"/ { split($0, part, "\""); print part[4]; exit }' "$1"
}

as_nobody() {
	setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

doctor >"$dir/table"
ok $(($? > 1)) "exits 0 or 1"
grep -q '^[0-9]* checks, [0-9]* not as they should be\. Backend for files: ' "$dir/table"
ok $? "the table ends with a verdict"
doctor -o json >"$dir/json"
json_status=$?
shape "$dir/json"
ok $? "every JSON row has id, group, status, found, consequence, action"
grep -q '^  "backend": "\(bpf-lsm\|landlock\|none\|unknown\)",$' "$dir/json" &&
	grep -q '^  "can_enforce": \(true\|false\|null\)$' "$dir/json"
ok $? "JSON names the backend and whether run can enforce"
if grep -q '"can_enforce": false' "$dir/json"; then want=1; else want=0; fi
[ "$json_status" -eq "$want" ]
ok $? "the exit status is can_enforce's"
doctor -o yaml >"$dir/yaml"
[ "$(grep -c '^  - id: ' "$dir/yaml")" -eq "$(grep -c '^      "id": ' "$dir/json")" ]
ok $? "YAML has the same rows"
sed -n 's/^      "\(id\|status\)": "\(.*\)",$/\1 \2/p' "$dir/json" >"$dir/json.rows"
sed -n 's/^  [- ] \(id\|status\): "\(.*\)"$/\1 \2/p' "$dir/yaml" >"$dir/yaml.rows"
[ -s "$dir/json.rows" ] && cmp -s "$dir/json.rows" "$dir/yaml.rows"
ok $? "with the same answers"

for id in kernel.btf kernel.floor lsm.bpf lsm.load lsm.denial hook.file_open hook.path_chown \
	program.cgroup/connect4 map.ringbuf cgroup.v2 cgroup.denial landlock.abi process.seccomp \
	namespace.mnt bpf.bpffs; do
	[ -n "$(status_of "$dir/json" $id)" ]
	ok $? "has the row $id"
done

doctor -o xml >/dev/null 2>"$dir/err"
[ $? -eq 2 ] && grep -q 'table, json or yaml' "$dir/err"
ok $? "another format is a usage error"
doctor something >/dev/null 2>&1
[ $? -eq 2 ]
ok $? "an argument is a usage error"
doctor >/dev/full 2>/dev/null
[ $? -eq 1 ]
ok $? "a full disk is an error"

start=$(date +%s%N)
doctor >/dev/null
took=$((($(date +%s%N) - start) / 1000000))
echo "# $took ms"
[ "$took" -lt "${DOCTOR_LIMIT_MS:-2000}" ]
ok $? "takes less than ${DOCTOR_LIMIT_MS:-2000} ms"

if [ "$(id -u)" -ne 0 ]; then
	skip "as nobody" "needs root"
	skip "leaves no cgroup, mount or program" "needs root"
	skip "says the same of the network without a loopback device" "needs root"
	skip "says that it cannot enforce without cgroup v2" "needs root"
else
	as_nobody "$dir/openshell" doctor -o json >"$dir/nobody"
	nobody_status=$?
	[ $nobody_status -eq 0 ] || grep -q '"can_enforce": false' "$dir/nobody"
	ok $? "nobody gets a report"
	shape "$dir/nobody"
	ok $? "of the same shape"
	[ "$(status_of "$dir/nobody" program.cgroup/connect4)" = unknown ] &&
		[ "$(status_of "$dir/nobody" cgroup.denial)" = unknown ] &&
		[ "$(status_of "$dir/nobody" namespace.mnt)" = unknown ]
	ok $? "that says what could not be probed"
	[ "$(status_of "$dir/nobody" landlock.abi)" = "$(status_of "$dir/json" landlock.abi)" ]
	ok $? "and knows Landlock without privilege"

	cgroup=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	mounts=$(wc -l </proc/mounts)
	doctor >/dev/null
	[ -n "$cgroup" ] && [ -z "$(find "$cgroup" -maxdepth 1 -name 'openshell-doctor.*')" ]
	ok $? "leaves no cgroup"
	[ "$(wc -l </proc/mounts)" -eq "$mounts" ]
	ok $? "leaves no mount"

	[ "$(unshare -n "$dir/openshell" doctor -o json >"$dir/lone"; status_of "$dir/lone" cgroup.denial)" = \
		"$(status_of "$dir/json" cgroup.denial)" ]
	ok $? "says the same of the network without a loopback device"
	unshare -m sh -c 'umount -a -t cgroup2 && exec "$@"' sh "$dir/openshell" doctor -o json >"$dir/none"
	[ $? -eq 1 ] && grep -q '"can_enforce": false' "$dir/none" &&
		[ "$(status_of "$dir/none" cgroup.v2)" = missing ]
	ok $? "exits 1 where there is no cgroup v2, and says so"
fi
echo "1..$n"
exit $failed

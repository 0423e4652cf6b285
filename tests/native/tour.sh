#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tour of `make run`: every outcome as expected, nothing left behind, and that it fails when a
# sandbox holds nothing. Prints TAP. Usage: tour.sh [bin]
set -u
bin=${1:-${BUILD:-build}/bin}
here=$(cd "$(dirname "$0")" && pwd)
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
	echo "ok 1 - the tour # SKIP needs root"
	exit 0
fi
dir=$(mktemp -d /tmp/openshell-test-tour.XXXXXX) || exit 1
trap 'rm -rf "$dir"' EXIT

# Directories and processes of a tour, and sandboxes' cgroups that nobody owns: an owner's lock is
# on the directory for as long as it lives.
left() {
	find /srv /var/tmp /tmp -maxdepth 1 -name 'openshell-tour.*' 2>/dev/null
	grep -als 'openshell-tour\.' /proc/[0-9]*/cmdline
	for cgroup in "$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)"/openshell/*/; do
		[ ! -d "$cgroup" ] || ! flock -n "$cgroup" true || echo "$cgroup"
	done
}

"$here/../tour.sh" "$bin" >"$dir/out" 2>&1
status=$?
[ $status -eq 0 ] || sed 's/^/# /' "$dir/out"
ok $status "every outcome is the expected one"
for section in "The policy" "The command" "What the agent tried" "The decision log" \
	"The summary" "What this host can enforce" "What to try next"; do
	grep -q "^== $section" "$dir/out"
	ok $? "it shows: $section"
done
grep -q 'Operation not permitted' "$dir/out" && grep -q 'NET:OPEN .*DENIED' "$dir/out"
ok $? "with denials on screen"

# The same tour with a command that starts the agent in no sandbox at all.
mkdir "$dir/bin"
cat >"$dir/bin/openshell" <<'END'
#!/bin/bash
if [ "$1" = run ]; then
	while [ "$1" != -- ]; do
		[ "$1" != --workdir ] || cd "$2" || exit 1
		[ "$1" != --log ] || : >"$2"
		[ "$1" != --env ] || export "${2?}"
		shift
	done
	shift
	exec setpriv --reuid 60606 --regid 60606 --clear-groups "$@"
fi
END
chmod 755 "$dir/bin/openshell"
"$here/../tour.sh" "$dir/bin" >"$dir/free" 2>&1
[ $? -eq 1 ]
ok $? "a sandbox that holds nothing fails it"
[ "$(grep -c 'ok *ok *<-- UNEXPECTED' "$dir/free")" -ge 10 ]
ok $? "and each act that got through is marked"

[ -z "$(left)" ]
ok $? "no directory, process or cgroup is left"
echo "1..$n"
exit $failed

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a policy lists by path holds for the name: when somebody outside replaces the file, when a
# denied one does not exist yet, and when its directory is moved.
set -u
dir=$(mktemp -d /listed.XXXXXX)
chmod 777 "$dir"
cd "$dir" || exit 1
mkdir sub other
echo old >deny
echo old >ro
chmod -R 777 .
cat >/tmp/listed.yaml <<EOF
version: 1
filesystem_policy:
  include_workdir: true
  read_only: [$dir/ro]
  deny: [$dir/deny, $dir/missing, $dir/sub/gone]
EOF
cat >agent.sh <<'EOF'
touch started
while [ ! -e go ]; do sleep 0.1; done
try() { if "$@" >>out 2>>errors; then echo "ok: $*" >>result; else echo "no: $*" >>result; fi; }
for f in deny missing sub/gone; do
	try cat $f
	try dd if=/dev/null of=$f
	try rm -f $f
	echo mine >mine; chmod 666 mine
	try mv mine $f
	try ln mine $f
	try mkdir $f/
done
try cat ro
try dd if=/dev/null of=ro conv=notrunc
try mv mine ro
try mv sub moved
try cat moved/gone
try touch moved/beside
try touch other/gone
try touch control
EOF
openshell run --require-lsm --policy /tmp/listed.yaml -- /bin/bash agent.sh 2>/tmp/listed.log &
run=$!
for _ in $(seq 300); do [ -e started ] && break; sleep 0.1; done
for f in deny missing ro sub/gone; do
	echo replaced >"$f.new"
	chmod 666 "$f.new"
	mv "$f.new" "$f"
done
touch go
wait $run
n=0
check()
{
	n=$((n + 1))
	if grep -qxF "$1" result; then echo "ok $n - $1"; else echo "not ok $n - $1"; failed=1; fi
}
failed=0
for f in deny missing sub/gone; do
	check "no: cat $f"
	check "no: dd if=/dev/null of=$f"
	check "no: rm -f $f"
	check "no: mv mine $f"
	check "no: ln mine $f"
done
check "ok: cat ro"
check "no: dd if=/dev/null of=ro conv=notrunc"
check "no: mv mine ro"
check "ok: mv sub moved"
check "no: cat moved/gone"
check "ok: touch moved/beside"
check "ok: touch other/gone"
check "ok: touch control"
n=$((n + 1))
if [ "$(cat deny missing moved/gone ro | sort -u)" = replaced ]; then
	echo "ok $n - what is outside is untouched"
else
	echo "not ok $n - what is outside is untouched"
	failed=1
fi
echo "1..$n"
[ $failed = 0 ] || { cat result errors; tail -40 /tmp/listed.log; }
cd / && rm -rf "$dir"
exit $failed

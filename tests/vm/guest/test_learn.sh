#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sample: 6.1
# A run under --learn writes a policy, and the same run under that policy is denied nothing: with
# files read and written, directories listed, programs run and an address connected to.
set -u
dir=$(mktemp -d /learn.XXXXXX)
chmod 777 "$dir"
mkdir -p "$dir/data/deep" "$dir/work" "$dir/many"
echo one >"$dir/data/one"
echo two >"$dir/data/deep/two"
for i in $(seq 40); do echo "$i" >"$dir/many/$i"; done
chmod -R 777 "$dir"
cat >"$dir/agent.sh" <<EOF
set -e
cat $dir/data/one $dir/data/deep/two >/dev/null
ls $dir/data >/dev/null
cat $dir/many/* >/dev/null
echo made >$dir/work/made
mv $dir/work/made $dir/work/moved
chmod 600 $dir/work/moved
ln -s moved $dir/work/link
readlink $dir/work/link >/dev/null
mkdir $dir/work/d
rmdir $dir/work/d
rm $dir/work/moved $dir/work/link
cp /usr/bin/true $dir/work/program
$dir/work/program
rm $dir/work/program
EOF
cat >/tmp/base.yaml <<EOF
version: 1
filesystem_policy:
  include_workdir: false
EOF
n=0 failed=0
check()
{
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; failed=1; fi
}
cd /
openshell run --require-lsm --policy /tmp/base.yaml -- bash "$dir/agent.sh" 2>/tmp/denied.log
[ $? -ne 0 ]
check $? "the base policy does not allow the run"
grep -q 'DENIED.*data/one' /tmp/denied.log || grep -q 'DENIED.*agent.sh' /tmp/denied.log
check $? "and says what it denied"
openshell run --require-lsm --policy /tmp/base.yaml --learn /tmp/out.yaml -- \
	bash "$dir/agent.sh" 2>/tmp/learn.log
check $? "the run succeeds while learning"
grep -q 'AUDIT' /tmp/learn.log
check $? "each would-be denial is told"
openshell policy check /tmp/out.yaml
check $? "what was learned is a valid policy"
openshell run --require-lsm --policy /tmp/out.yaml -- bash "$dir/agent.sh" 2>/tmp/again.log
check $? "the same run succeeds under it"
! grep -q 'DENIED' /tmp/again.log
check $? "and is denied nothing"
openshell run --require-lsm --policy /tmp/out.yaml -- cat /etc/../root/.profile "$dir/unseen" \
	2>/tmp/other.log
[ $? -ne 0 ]
check $? "what the run did not do stays denied"
! grep -qE '^ *- (/|/root|/usr/bin/true)$' /tmp/out.yaml
check $? "nothing wider than the run needed"
echo "1..$n"
[ $failed = 0 ] || { cat /tmp/out.yaml; grep -hE 'DENIED|AUDIT' /tmp/again.log /tmp/learn.log | head -60; }
rm -rf "$dir"
exit $failed

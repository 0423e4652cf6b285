#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sample: 6.1
# What an agent leaves behind must not give the next sandbox under the same policy more: listed
# paths keep their places, a link that it made leads to nothing more, nor does it write its own
# policy or choose where root writes the log.
set -u
n=0
failed=0

ok() { # STATUS NAME
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		failed=1
		cat "$dir/out" "$dir/err" >&2
	fi
}

if [ "$(id -u)" -ne 0 ]; then
	echo "1..1"
	echo "ok 1 - the next start # SKIP needs root"
	exit 0
fi
dir=$(mktemp -d /var/lib/openshell-test.XXXXXX 2>/dev/null || mktemp -d /openshell-test.XXXXXX)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
mkdir -p "$dir/work/sub/deep" "$dir/work/plain" "$dir/other"
echo secret >"$dir/work/sub/deep/.env"
echo secret >"$dir/other/key"
chown -R 1500:1500 "$dir/work" "$dir/other"
cat >"$dir/policy.yaml" <<EOF
version: 1
filesystem_policy:
  include_workdir: true
  read_only: [/usr, /etc, $dir/work/cache]
  deny: [$dir/work/sub/deep/.env]
process: {run_as_user: "1500", run_as_group: "1500"}
EOF

inside() { # COMMAND [OPTION..]
	command=$1
	shift
	(cd "$dir/work" && LC_ALL=C openshell run --policy "$dir/policy.yaml" --no-tty "$@" -- \
		/bin/bash -c "$command" >"$dir/out" 2>"$dir/err")
}

outside() {
	(cd "$dir/work" && LC_ALL=C setpriv --reuid 1500 --regid 1500 --clear-groups \
		/bin/bash -c "$1" >"$dir/out" 2>"$dir/err")
}

inside "cat sub/deep/.env"
[ $? -ne 0 ]
ok $? "a denied file cannot be read"
for way in "mv sub moved" "mv sub/deep sub/moved" "mv --exchange sub plain" "rm -rf sub"; do
	case $way in *exchange*) mv --help | grep -q exchange || continue ;; esac
	inside "$way"
	[ $? -ne 0 ] && [ -e "$dir/work/sub/deep/.env" ]
	ok $? "and keeps its place: $way"
done
outside "mv sub moved && mv moved sub"
ok $? "which outside it does not"
inside "mv plain moved && mkdir sub/new && mv moved plain && rmdir sub/new && \
	echo text >sub/deep/file && rm sub/deep/file"
ok $? "everything else may be moved, made and removed, in the same directories too"

inside "ln -s $dir/other cache"
ok $? "the agent makes a link where the policy lists a path"
inside "cat cache/key"
[ $? -ne 0 ] && grep -q "through the symbolic link $dir/work/cache" "$dir/err"
ok $? "and nothing starts while it leads to more"
ln -sfn "$dir/work/plain" "$dir/work/cache"
inside "ls cache/"
ok $? "one that leads to nothing more is followed"
outside "cat $dir/other/key"
ok $? "what it led to is the agent's outside"
rm -f "$dir/work/cache"

inside "ln -s $dir/victim log"
inside "true" --log log
[ $? -ne 0 ] && [ ! -e "$dir/victim" ] && grep -q "symbolic link" "$dir/err"
ok $? "root writes no log through a link that the agent made"
rm -f "$dir/work/log"
ln -s "$dir/victim" "$dir/work/log"
inside "true" --log log
[ -s "$dir/victim" ]
ok $? "and through root's own it does"

echo "1..$n"
exit $failed

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
# sample: 6.12
#
# A run that connects to names under --learn writes rules for them, and the same run under these is
# denied nothing: two names on one address, private ones (one that the base's wildcard admits, but
# not with such an address), an address without a name, by two programs. Neither what was only asked
# for nor what another program did is in it.
set -u
. /t/tap.sh
if ! command -v curl >/dev/null; then
	skip "names are learned" "the host that made this guest has no curl"
	finish
	exit
fi
dir=$(mktemp -d /learn.XXXXXX)
chmod 777 "$dir"
ip addr add 192.0.2.1/32 dev lo
ip addr add 10.1.1.1/32 dev lo
echo nameserver 192.0.2.53 >/etc/resolv.conf
cat >>/etc/hosts <<END
192.0.2.1 api.example.com other.example.org
10.1.1.1 db.corp.example in.wild.example
192.0.2.1 asked.example.net
END
mkdir "$dir/www"
echo served >"$dir/www/index.html"
httpd -p 8080 -h "$dir/www"
cp /usr/bin/curl "$dir/fetch"
cat >"$dir/agent.sh" <<END
set -e
get() { "\$@" -sS -m 10 -o /dev/null; }
get curl http://api.example.com:8080/
get curl http://db.corp.example:8080/
get curl http://in.wild.example:8080/
get $dir/fetch http://other.example.org:8080/
get $dir/fetch http://192.0.2.1:8080/
nslookup asked.example.net >/dev/null 2>&1 || true
END
cat >"$dir/base.yaml" <<END
version: 1
filesystem_policy:
  include_workdir: false
  read_only: [$dir]
END
cp "$dir/base.yaml" "$dir/none.yaml"
cat >>"$dir/base.yaml" <<END
network_policies:
  wild:
    endpoints: [{host: "*.wild.example", port: 8080}]
    binaries: [{path: /usr/bin/curl}]
END
cd / || exit 1

# run POLICY LOG [OPTION..]: the agent's run.
run()
{
	local policy=$1 log=$2
	shift 2
	openshell run --require-lsm --policy "$policy" --log "$log" "$@" -- bash "$dir/agent.sh"
}

# one POLICY LOG COMMAND..: another command's.
one()
{
	local policy=$1 log=$2
	shift 2
	openshell run --require-lsm --policy "$policy" --log "$log" -- "$@"
}

refused() { ! "$@"; }

check "without a sandbox the agent's run succeeds" bash "$dir/agent.sh"
check "a policy that names no host says so when it denies" eval \
	'refused one "$dir/none.yaml" "$dir/denied.log" curl -sS -m 10 http://api.example.com:8080/ &&
	 grep -q "DENIED /usr/bin/curl(.*) -> 192.0.2.53:53 udp .*names no host" "$dir/denied.log"'
check "it succeeds while learning" run "$dir/base.yaml" "$dir/learn.log" --learn "$dir/out.yaml"
check "each connection is told by its name, with its address" \
	grep -q 'NET:OPEN \[LOW\] AUDIT /usr/bin/curl(.*) -> db.corp.example:8080 .*\[to:10.1.1.1\]' \
	"$dir/learn.log"
check "a private address that a wildcard may not have is told" \
	grep -q 'NET:OPEN \[LOW\] AUDIT .*-> in.wild.example:8080 .*is at 10.1.1.1, which' "$dir/learn.log"
check "what was learned is a valid policy" openshell policy check "$dir/out.yaml"
check "the same run succeeds under it" run "$dir/out.yaml" "$dir/again.log"
check "and is denied no connection" refused grep -q "NET:.*DENIED" "$dir/again.log"
check "but the name that it only asked for" grep -q \
	'DNS:QUERY .MED. DENIED /usr/bin/busybox(.*) -> asked.example.net A ' "$dir/again.log"
check "which is not in what was learned" refused grep -q asked.example.net "$dir/out.yaml"
check "and every connection is told as allowed, by the rule" \
	grep -q 'NET:OPEN \[INFO\] ALLOWED .*/fetch(.*) -> other.example.org:8080 \[policy:learned_fetch ' \
	"$dir/again.log"
check "a name is not another one at the same address" \
	refused one "$dir/out.yaml" "$dir/other.log" curl -sS -m 10 http://other.example.org:8080/
check "which is denied for its binary" \
	grep -q 'DENIED /usr/bin/curl(.*) -> other.example.org:8080 .*neither /usr/bin/curl nor an ancestor' \
	"$dir/other.log"
[ $tap_bad -eq 0 ] || grep -hE 'DENIED|AUDIT|ALLOWED|FOUND' "$dir"/{learn,again,other}.log | cut -c1-300 |
	cat - "$dir/out.yaml" | sed 's/^/# /'
rm -rf "$dir"
finish

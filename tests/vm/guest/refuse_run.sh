#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A kernel below the floor: `run` refuses before anything runs, in words that help.
. /t/tap.sh
. /t/run.sh

refused()
{
	local status=0
	sandbox "$@" -- /usr/bin/touch /tmp/agent/ran || status=$?
	case $status in 1 | 2) ;; *) echo "exit status $status"; return 1 ;; esac
}

check "the machine's kernel is below 5.15" bash -c '[[ $(uname -r) == 5.10.* ]]'
check "run refuses" refused
check "and says which kernel it takes" said "too old.*Linux 5.15 or newer"
check "in one line" test "$(wc -l < "$work/err")" = 1
check "the command did not run" test ! -e /tmp/agent/ran
check "--audit does not talk it into running" refused --audit
check "the command did not run then either" test ! -e /tmp/agent/ran
cat >> "$work/policy.yaml" <<END
network_policies:
  api:
    endpoints:
      - {host: api.example.org, port: 443, protocol: rest, enforcement: enforce, access: read-only}
    binaries: [{path: /usr/bin/curl}]
END
check "nor do requests that would be judged" refused
check "in the same words" said "too old.*Linux 5.15 or newer"
check "in one line, too" test "$(wc -l < "$work/err")" = 1
check "nor did the command run then" test ! -e /tmp/agent/ran
check "nothing is left behind" nothing_left
check "doctor says no" exits 1 openshell doctor
check "and why" bash -c 'openshell doctor | grep -A2 "missing  kernel.floor" | grep -q "5.15"'
check "policies can be checked all the same" openshell policy check "$work/policy.yaml"
finish

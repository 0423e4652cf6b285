#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# bpf is missing in the list of active LSMs: BPF-LSM programs load, attach and deny nothing. `run`
# must notice, hold files by Landlock instead, and say so.
. /t/tap.sh
. /t/run.sh

check "bpf is not an active LSM" bash -c '! grep -qw bpf /sys/kernel/security/lsm'
check "outside, the file can be read" setpriv --reuid 998 --regid 998 --clear-groups cat /srv/secret/file
check "a command runs" exits 0 sandbox -- /usr/bin/cat /etc/passwd
check "held by Landlock" said "backend:landlock"
check "which is said, with the reason" said "HIGH.*Landlock.*bpf is missing in the active LSM list"
check "a file outside of the policy is denied" exits 1 sandbox -- /usr/bin/cat /srv/secret/file
check "and its content did not get out" bash -c "! grep -q secret $work/out"
check "--require-lsm refuses" exits 1 sandbox --require-lsm -- /usr/bin/touch /tmp/agent/ran
check "with the reason" said "bpf is missing in the active LSM list"
check "and nothing ran" test ! -e /tmp/agent/ran
check "doctor has a row for it" bash -c 'openshell doctor | grep -q "missing  lsm.bpf"'
check "nothing is left behind" nothing_left
finish

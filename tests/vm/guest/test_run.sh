#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# `openshell run` with BPF-LSM, from end to end; the enforcement suite goes into the details.
. /t/tap.sh
. /t/run.sh

check "doctor finds all that it needs" openshell doctor
check "outside, the file can be read" grep -q secret /srv/secret/file
check "outside, as the agent's user too" setpriv --reuid 998 --regid 998 --clear-groups cat /srv/secret/file
check "a command runs" exits 0 sandbox -- /usr/bin/cat /etc/passwd
check "and says what the file says" cmp "$work/out" /etc/passwd
check "held by BPF-LSM" said "backend:bpf-lsm"
check "without a supervisor, nothing is left behind" nothing_left
start_supervisor
check "its exit status comes back" exits 7 sandbox -- /bin/bash -c 'exit 7'
check "a file outside of the policy is denied" exits 1 sandbox -- /usr/bin/cat /srv/secret/file
check "with EACCES" said "/srv/secret/file: Permission denied"
check "and the denial is an event" said "DENIED .*/srv/secret/file"
check "a listed path can be written" exits 0 sandbox -- /bin/bash -c 'echo yes > /tmp/agent/new'
check "and was" grep -q yes /tmp/agent/new
check "a read_only one cannot" exits 1 sandbox -- /bin/bash -c 'echo no > /usr/new'
check "the agent is not root" exits 0 sandbox -- /bin/bash -c '[ "$(id -u)" = 998 ]'
copy='cp /usr/bin/true /tmp/agent/t && exec'
check "a copy of a program is not executed" exits 126 sandbox -- /bin/bash -c "$copy /tmp/agent/t"
check "nor is it by the loader" \
	exits 126 sandbox -- /bin/bash -c "$copy /lib64/ld-linux-x86-64.so.2 /tmp/agent/t"
check "outside, both do" bash -c '/tmp/agent/t && /lib64/ld-linux-x86-64.so.2 /tmp/agent/t'
stop_supervisor
check "the supervisor ends well" test $? -eq 0
check "nothing is left behind" nothing_left
finish

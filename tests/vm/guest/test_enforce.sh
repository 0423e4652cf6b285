#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
# sample: 6.12
#
# The enforcement suite under BPF-LSM. What a distribution forbids to every user for other reasons
# is permitted first, so that the leg without a sandbox shows that nothing else forbids it.
permit()
{
	[ ! -w "/proc/sys/$1" ] || echo "$2" > "/proc/sys/$1"
}

permit kernel/yama/ptrace_scope 0
permit kernel/unprivileged_userns_clone 1
permit kernel/apparmor_restrict_unprivileged_userns 0
permit kernel/perf_event_paranoid 0
permit kernel/dmesg_restrict 0
permit kernel/unprivileged_bpf_disabled 0
permit vm/unprivileged_userfaultfd 1
# Its sandbox in audit mode has a worker, which is looked for beside the program.
cp /usr/bin/openshell-proxy /t/
exec /t/enforce bpf-lsm

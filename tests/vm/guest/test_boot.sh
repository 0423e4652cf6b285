#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The machine that all other guest tests count on.
. /t/tap.sh

mounted()
{
	awk -v at="$1" -v type="$2" '$2 == at && $3 == type { found = 1 } END { exit !found }' /proc/mounts
}

check "the kernel has BTF" test -s /sys/kernel/btf/vmlinux
check "bpf is an active LSM" grep -qw bpf /sys/kernel/security/lsm
check "landlock is an active LSM" grep -qw landlock /sys/kernel/security/lsm
check "the root is ext4" mounted / ext4
check "cgroup2 is mounted" mounted /sys/fs/cgroup cgroup2
check "bpffs is mounted" mounted /sys/fs/bpf bpf
check "the memory controller is handed down" grep -qw memory /sys/fs/cgroup/cgroup.subtree_control
check "loopback is up" ip addr show dev lo up
check "the dynamic loader runs a program" /lib64/ld-linux-x86-64.so.2 /usr/bin/true
mkdir -p /tmp/o/{lower,upper,work,at}
check "overlayfs mounts" mount -t overlay -o lowerdir=/tmp/o/lower,upperdir=/tmp/o/upper,workdir=/tmp/o/work over /tmp/o/at
check "an unprivileged user runs programs" setpriv --reuid 1500 --regid 1500 --clear-groups /usr/bin/id
umount /tmp/o/at
finish

#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
#
# First process of a test VM. Twice run: from the initramfs it moves everything to a file system of
# its own (ext4 on the disk, else tmpfs), because a rootfs cannot be pivoted away from and has no
# inode generations; from there, as `init second`, it sets the machine up, runs /job and powers off.
# Serial ports: ttyS0 kernel log, ttyS1 output of the job, ttyS2 its exit status.
export PATH=/usr/bin:/usr/sbin:/bin:/sbin HOME=/root TERM=dumb LANG=C.UTF-8

option()
{
	for word in $(cat /proc/cmdline); do
		case $word in "vm.$1="*) echo "${word#*=}" ;; esac
	done
}

first()
{
	mount -t proc proc /proc
	mount -t devtmpfs dev /dev
	for module in /modules/*.ko; do
		insmod "$module" || echo "init: $module not loaded"
	done
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		[ -b /dev/vda ] && break
		sleep 0.1
	done
	mount -t ext4 -o noatime /dev/vda /newroot 2>/dev/null ||
		mount -t tmpfs -o mode=0755 root /newroot
	for entry in /*; do
		case $entry in /newroot | /proc | /dev | /modules | /init) continue ;; esac
		cp -a "$entry" /newroot/
	done
	mkdir -p /newroot/proc /newroot/sys /newroot/dev /newroot/run /newroot/tmp /newroot/mnt
	cp -a /init /newroot/sbin/init
	# Not util-linux's mount, which would look for a table of its own to update.
	busybox mount --move /proc /newroot/proc
	busybox mount --move /dev /newroot/dev
	exec switch_root /newroot /sbin/init second
}

second()
{
	mount --make-rshared /
	mount -t sysfs sysfs /sys
	mount -t securityfs securityfs /sys/kernel/security
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mount -t bpf -o mode=0700 bpf /sys/fs/bpf
	mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
	mkdir -p /dev/pts /dev/shm
	mount -t devpts -o gid=5,mode=0620,ptmxmode=0666 devpts /dev/pts
	mount -t tmpfs -o mode=1777 shm /dev/shm
	mount -t tmpfs -o mode=1777 tmp /tmp
	mount -t tmpfs -o mode=0755 run /run
	ln -sf /proc/self/fd /dev/fd
	ln -sf /proc/self/fd/0 /dev/stdin
	ln -sf /proc/self/fd/1 /dev/stdout
	ln -sf /proc/self/fd/2 /dev/stderr
	ip link set lo up
	hostname "vm-$(option kernel)"
	chmod 1777 /var/tmp
	# The agents' controllers; one that a kernel lacks must not keep the others away.
	for controller in cpu memory pids; do
		echo "+$controller" > /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null
	done
	export VM_KERNEL="$(option kernel)"

	stty -F /dev/ttyS1 raw -echo
	stty -F /dev/ttyS2 raw -echo
	echo start > /dev/ttyS2
	mkfifo /run/output
	cat /run/output > /dev/ttyS1 &
	relay=$!
	cd /root
	# The job may leave processes behind that hold the pipe: its own exit ends the run.
	/bin/bash /job < /dev/null > /run/output 2>&1
	status=$?
	for _ in 1 2 3 4 5; do
		kill -0 $relay 2>/dev/null || break
		sleep 0.1
	done
	kill $relay 2>/dev/null
	wait $relay
	sync
	echo "exit $status" > /dev/ttyS2
	poweroff -f
}

case ${1:-} in
second) second ;;
*) first ;;
esac

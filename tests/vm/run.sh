#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: tests/vm/run.sh KERNEL [option..] -- COMMAND [ARG..]        (KERNEL: 5.10 6.1 6.12 newest)
#
# Boots that Debian cloud kernel in QEMU (TCG, no KVM) with our programs on board, runs the command
# as root, relays its output and exits with its status. A COMMAND of one word with spaces in it is
# a shell line. On failure the kernel log's end goes to stderr.
#   --timeout S      the whole VM's time, default 300; status 124 when it is over
#   --icount         count instructions: one CPU, clocks advance 1 ns per instruction
#   --no-bpf-lsm     leave bpf out of the list of active LSMs      --lsm A,B,..  any other list
#   --add HOST:GUEST carry one more file or directory (repeatable) --log FILE    keep the kernel log
#   --memory MIB     default 1024                                  --cmdline STR more for the kernel
# Status 77: no such kernel to be had (why, on stderr); 125: the VM died before the command ended.
# Guest: ext4 root, usual mounts, cgroup2 on /sys/fs/cgroup, bash and coreutils with their ld.so,
# busybox for the rest, bpftool; users root, sandbox (998), user (1500). $(BUILD)/bin is in
# /usr/bin, policy/ in /usr/share/openshell/policy, tests/vm/guest and $(BUILD)/tests/guest in /t.
# BUILD (default build) as in make. As many VMs at a time as processors; waiting is not timed out.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
. "$here/lib.sh"

TOOLS="bash cat ls mv cp ln rm mkdir rmdir mknod mkfifo touch chmod chown stat readlink realpath
truncate id env sleep true false dd head tail wc sort uniq tr cut tee seq timeout mktemp date
chroot echo printf test sync nproc uname stdbuf mount umount unshare nsenter setpriv flock setsid
prlimit script ip bpftool strace getfattr setfattr capsh curl bwrap"
# Left out silently where the host lacks them: a guest test that needs one says so itself.
OPTIONAL="strace getfattr setfattr capsh curl bwrap"

usage()
{
	sed -n '4,20p' "$0" | sed 's/^# \{0,1\}//' >&2
	exit 2
}

kernel=${1:-}
[ $# -gt 0 ] && shift
timeout=300 memory=1024 lsm=landlock,lockdown,yama,integrity,apparmor,bpf
icount='' log='' cmdline=''
adds=()
while [ $# -gt 0 ]; do
	case $1 in
	--timeout) timeout=$2; shift ;;
	--icount) icount=1 ;;
	--no-bpf-lsm) lsm=landlock,lockdown,yama,integrity,apparmor ;;
	--lsm) lsm=$2; shift ;;
	--add) adds+=("$2"); shift ;;
	--log) log=$2; shift ;;
	--memory) memory=$2; shift ;;
	--cmdline) cmdline=$2; shift ;;
	--) shift; break ;;
	*) usage ;;
	esac
	shift
done
vm_suites "$kernel" > /dev/null && [ $# -gt 0 ] || usage

build=${BUILD:-$top/build}
case $build in /*) ;; *) build=$top/$build ;; esac
image=$("$here/fetch.sh" "$kernel") || exit
cache=$(vm_cache)
work=$(mktemp -d "${TMPDIR:-/tmp}/openshell-vm.XXXXXX")
qemu=
cleanup()
{
	[ -z "$qemu" ] || kill -9 "$qemu" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 143' TERM INT HUP
root=$work/root

# carry HOST GUEST: a file or directory, followed to what it really is.
carry()
{
	mkdir -p "$root$(dirname "$2")"
	cp -aL "$1" "$root$2"
}

# Every library that the carried dynamic executables need, at the path where they look for it.
# Programs live in bin/, where the host's path for them may be a build directory.
carry_libraries()
{
	{ find "$root" -type f -perm -u+x -size +3k -exec ldd {} + 2>/dev/null || true; } |
		sed -nE 's/.*=> (\/[^ ]+) .*/\1/p; s/^\s+(\/[^ ]*ld-[^ ]+) .*/\1/p' | sort -u |
		while read -r library; do
			# Merged /usr: a path below /lib is one below /usr/lib.
			case $library in /lib/* | /lib64/*) target=/usr$library ;; *) target=$library ;; esac
			[ -e "$root$target" ] || carry "$library" "$target"
		done
}

populate()
{
	local dir tool path applet add

	mkdir -p "$root"/{etc,root,home/user,var/tmp,var/lib,usr/bin,usr/sbin,usr/lib,usr/lib64} \
		 "$root"/{newroot,proc,dev,modules,sys,t,opt,srv}
	for dir in bin sbin lib lib64; do
		ln -s "usr/$dir" "$root/$dir"
	done
	carry /bin/busybox /usr/bin/busybox
	for tool in $TOOLS; do
		path=$(PATH=/usr/bin:/bin:/usr/sbin:/sbin command -v "$tool" || true)
		case $path in
		/*) carry "$path" "/usr/bin/$tool" ;;
		*) # A shell's builtin hides the file.
			if [ -x "/usr/bin/$tool" ]; then
				carry "/usr/bin/$tool" "/usr/bin/$tool"
			elif [[ " $OPTIONAL " != *" $tool "* ]]; then
				echo "run.sh: this host has no $tool" >&2
				exit 125
			fi ;;
		esac
	done
	for applet in $(/bin/busybox --list); do
		[ -e "$root/usr/bin/$applet" ] || ln -s busybox "$root/usr/bin/$applet"
	done
	carry "$here/init.sh" /init
	for path in "$image"/modules/*.ko; do
		carry "$path" "/modules/${path##*/}"
	done

	for path in "$build"/bin/*; do
		[ ! -f "$path" ] || carry "$path" "/usr/bin/${path##*/}"
	done
	[ ! -d "$top/policy" ] || carry "$top/policy" /usr/share/openshell/policy
	for path in "$here"/guest/* "$build"/tests/guest/*; do
		case $path in *.o | *.d) continue ;; esac
		[ ! -e "$path" ] || carry "$path" "/t/${path##*/}"
	done
	for add in ${adds[@]+"${adds[@]}"}; do
		carry "${add%%:*}" "${add#*:}"
	done
	carry_libraries

	cat > "$root/etc/passwd" <<-END
	root:x:0:0:root:/root:/bin/bash
	nobody:x:65534:65534:nobody:/nonexistent:/bin/false
	sandbox:x:998:998:sandbox:/home/sandbox:/bin/false
	user:x:1500:1500:user:/home/user:/bin/bash
	END
	cat > "$root/etc/group" <<-END
	root:x:0:
	tty:x:5:
	nogroup:x:65534:
	sandbox:x:998:
	user:x:1500:
	END
	echo "passwd: files" > "$root/etc/nsswitch.conf"
	printf '127.0.0.1 localhost\n::1 localhost\n' > "$root/etc/hosts"
	echo "nameserver 127.0.0.53" > "$root/etc/resolv.conf"
	mkdir -p "$root/home/sandbox" "$root/sys/kernel"
	: > "$root/etc/ld.so.conf"
	cp /etc/os-release "$root/etc/os-release"
	cp /etc/services /etc/protocols "$root/etc/" 2>/dev/null || true
}

# The command, as a script, quoted again for the guest's shell.
if [ $# -eq 1 ]; then job=$1; else job=$(printf '%q ' "$@"); fi

populate
printf 'chown -R user:user /home/user\nchown -R sandbox:sandbox /home/sandbox\n%s\n' "$job" > "$root/job"
(cd "$root" && find . -print0 | cpio --quiet -0 -o -H newc -R 0:0 | zstd -q -1) > "$work/initrd"
rm -rf "$root"
truncate -s 1G "$work/disk"
mke2fs -q -F -t ext4 -O ^has_journal,^metadata_csum -E lazy_itable_init=1 "$work/disk"

# One CPU: where QEMU runs several, one may execute stale code while another patches the kernel's,
# which attaching to a tracepoint does, and the kernel dies of the breakpoint.
accel=(-accel "tcg,thread=single" -smp 1)
[ -z "$icount" ] || accel=(-accel "tcg,thread=single" -icount "shift=0,sleep=off" -smp 1)

# One VM for each processor: a guest under test is mostly one busy thread.
slot=0
until exec 9> "$cache/vm.lock.$slot" && flock -n 9; do
	slot=$(((slot + 1) % $(nproc)))
	[ $slot -ne 0 ] || sleep 0.3
done
slabs=
[ "$kernel" != newest ] || slabs=slab_debug=F
# cx16=off: QEMU 7.2's TCG leaves garbage in the flags after a cmpxchg16b without lock prefix, with
# which kernels from 6.5 on allocate slab objects; without the feature they take a lock instead.
# Newer kernels then have no allocator for BPF programs (kmalloc_nolock(), behind socket storage) unless
# the caches check themselves, which slab_debug=F makes them do; others do not need it.
# The kernel is told to die of an oops: one that goes by unseen would be a test that passed.
#
# A machine that dies before it has started the command has tested nothing: emulating two processors
# on a busy host can lose the race in which a booting kernel patches its own code. Twice is allowed.
for boot in 1 2 3; do
	: > "$work/status"
	setpriv --pdeathsig KILL timeout --foreground -k 1 "$timeout" qemu-system-x86_64 \
		-nodefaults -no-user-config -display none -no-reboot -machine pc "${accel[@]}" -cpu max,cx16=off \
		-m "$memory" -kernel "$image/vmlinuz" -initrd "$work/initrd" \
		-append "console=ttyS0 panic=-1 oops=panic loglevel=5 lsm=$lsm vm.kernel=$kernel $slabs $cmdline" \
		-drive "file=$work/disk,format=raw,if=virtio,cache=unsafe" \
		-serial "file:$work/console" -chardev stdio,id=out,signal=off -serial chardev:out \
		-serial "file:$work/status" < /dev/null 9>&- > >(cat) &
	qemu=$!
	code=0
	wait "$qemu" || code=$?
	qemu=
	[ "$code" -ne 124 ] && [ "$code" -ne 137 ] && [ ! -s "$work/status" ] && [ $boot -lt 3 ] || break
	echo "run.sh: kernel $kernel: died while booting (QEMU: $code), once more" >&2
done
[ -z "$log" ] || cp "$work/console" "$log"

status=$(sed -n 's/^exit \([0-9]*\).*/\1/p' "$work/status" | tr -d '\r')
if [ "$code" -eq 124 ] || [ "$code" -eq 137 ]; then
	echo "run.sh: kernel $kernel: not finished after $timeout s" >&2
	status=124
elif [ -z "$status" ]; then
	echo "run.sh: kernel $kernel: the machine stopped before the command ended (QEMU: $code)" >&2
	status=125
fi
if [ "$status" -ne 0 ]; then
	echo "--- kernel $kernel, end of its log:" >&2
	tail -n 40 "$work/console" | tr -d '\r' >&2
fi
exit "$status"

# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the smoke tests of `openshell run` share: a policy, a file outside of it, and a look at what
# is left behind. `. /t/run.sh` after tap.sh.
work=$(mktemp -d)
cat > "$work/policy.yaml" <<END
version: 1
filesystem_policy:
  include_workdir: false
  read_only: [/usr, /etc/passwd]
  read_write: [/tmp/agent]
exec_policy:
  allow_writable: false
END
mkdir -p /srv/secret /tmp/agent
chown sandbox /tmp/agent
echo secret > /srv/secret/file
chmod -R a+rX /srv/secret

# sandbox ARG..: output in $work/out, decisions and errors in $work/err
sandbox()
{
	openshell run --policy "$work/policy.yaml" "$@" > "$work/out" 2> "$work/err"
}

# Loading and verifying our programs takes seconds under emulation: with a supervisor on the host
# that is done once. Not for check(), which runs commands in a subshell.
start_supervisor()
{
	: > "$work/supervisor"
	openshell-supervisor 2> "$work/supervisor" &
	supervisor=$!
	until grep -q ready "$work/supervisor"; do
		kill -0 $supervisor || { cat "$work/supervisor"; return 1; }
		sleep 0.1
	done
}

stop_supervisor()
{
	kill "$supervisor" && wait "$supervisor"
}

exits()
{
	local wanted=$1 status=0
	shift
	"$@" || status=$?
	[ $status -eq "$wanted" ] || { echo "exit status $status, not $wanted"; cat "$work/err"; return 1; }
}

said()
{
	grep -q -e "$1" "$work/err" || { cat "$work/err"; return 1; }
}

# Neither sandboxes nor mounts, processes or pins.
nothing_left()
{
	local left
	left=$(find /sys/fs/cgroup -path '*openshell/*' -type d)
	[ -z "$left" ] || { echo "cgroups: $left"; return 1; }
	! grep -q openshell /proc/mounts || { grep openshell /proc/mounts; return 1; }
	! pidof openshell openshell-supervisor || { ps; return 1; }
	[ -z "$(ls -A /sys/fs/bpf)" ] || { find /sys/fs/bpf; return 1; }
}

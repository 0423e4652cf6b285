#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# usage, in the VM: guest.sh memory COUNT | syscalls ROUNDS
#
# memory: what sandboxes.c and switch.c print. syscalls: the cost of system calls for every
# contender, as `CONTENDER NAME INSTRUCTIONS` lines, ROUNDS times: first without any BPF loaded.
set -euo pipefail
here=/bench

if [ "$1" = memory ]; then
	mkdir /srv/work
	cp $here/nothing /srv/work/
	cd /srv/work
	$here/sandboxes "$2" /srv/work/nothing
	exec $here/switch 100 /srv/work/nothing
fi
rounds=$2

# Depth is what the name says: /srv/bench/2/f has four components.
mkdir -p /srv/bench/2/3/4/5/6/7/8/9/10
echo x > /srv/bench/2/f
echo x > /srv/bench/2/3/4/5/6/7/8/9/10/f
mkdir -p /srv/filler/{1..250}
set -- /srv/bench/2/f /srv/bench/2/3/4/5/6/7/8/9/10/f $here/nothing

# policy COUNT: a policy and a list with that many paths.
policy()
{
	{ printf '%s\n' /usr /etc /bench /proc /opt /srv/bench
	  seq -f /srv/filler/%.0f 1 $(($1 - 6)); } > "$here/list.$1"
	{ echo "version: 1"
	  echo "filesystem_policy:"
	  echo "  include_workdir: false"
	  echo "  read_only:"
	  sed 's/^/    - /' "$here/list.$1"; } > "$here/policy.$1"
}
policy 20
policy 256

# as NAME COMMAND..: what it prints, with the contender's name in front. Never as root: neither
# does an agent, and capable() has a cost of its own.
as()
{
	local name=$1
	shift
	"$@" 2> $here/log | sed "s/^/$name /" || { echo "$name: failed" >&2; cat $here/log >&2; exit 1; }
}

plain=(setpriv --reuid 1500 --regid 1500 --clear-groups)
agent()
{
	as "agent$1" openshell run --policy "$here/policy.$1" --workdir / --log $here/log \
		-- $here/syscalls "${@:2}"
}

# On any real host there are memory cgroups, with which every accounted allocation costs more than
# before there is one: so it is there for all contenders.
mkdir /sys/fs/cgroup/bench

cd /
for _ in $(seq "$rounds"); do
	as none "${plain[@]}" $here/syscalls "$@"
	as floor "${plain[@]}" $here/syscalls --floor "$@"
	for paths in 20 256; do
		as landlock$paths "${plain[@]}" $here/syscalls --landlock $here/list.$paths "$@"
		as landlock$paths+floor "${plain[@]}" $here/syscalls --floor --landlock $here/list.$paths "$@"
	done
done
# In turn with those it could not be: the kernel takes half a minute to detach the programs again.
: > $here/supervisor.log
openshell-supervisor 2> $here/supervisor.log &
supervisor=$!
until grep -q ready $here/supervisor.log; do
	kill -0 $supervisor || { cat $here/supervisor.log >&2; exit 1; }
	sleep 0.1
done
grep -q BPF-LSM $here/supervisor.log || { cat $here/supervisor.log >&2; exit 1; }
for _ in $(seq "$rounds"); do
	as nonagent "${plain[@]}" $here/syscalls "$@"
	agent 20 "$@"
	agent 256 "$@"
done
kill $supervisor
wait $supervisor

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
#
# What `openshell run` does with bad policies, bad options, bad hosts, and an end at a bad moment:
# each gets a sentence that says what is wrong, the documented exit status (2: wrong usage, 1:
# anything else), and leaves no cgroup, pin, mount, process or file behind. Prints TAP.
# Usage: bad_input.sh [bin]
#
# Everything runs in a mount namespace of its own with its own /run, bpffs and part of the cgroup
# tree, so that sandboxes of the host are neither disturbed nor mistaken for something left behind.
set -u
export LC_ALL=C
unset GITHUB_TOKEN GH_TOKEN OPENAI_API_KEY CODEX_API_KEY OPENAI_BASE_URL OPENAI_COMPATIBLE_BASE_URL
bin=${1:-${BUILD:-build}/bin}
n=0
failed=0

if [ "$(id -u)" -ne 0 ]; then
	echo "1..1"
	echo "ok 1 - bad input # SKIP needs root"
	exit 0
fi
unified=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
if [ -z "$unified" ]; then
	echo "1..1"
	echo "ok 1 - bad input # SKIP no cgroup2 hierarchy is mounted"
	exit 0
fi
if [ -z "${BAD_INPUT_DIR:-}" ]; then
	BAD_INPUT_DIR=$(mktemp -d /var/tmp/openshell-bad-XXXXXX) || exit 1
	BAD_INPUT_CGROUP=$unified/${BAD_INPUT_DIR##*/}
	mkdir "$BAD_INPUT_CGROUP" || exit 1
	export BAD_INPUT_DIR BAD_INPUT_CGROUP
	mkdir -p "$BAD_INPUT_DIR/bin" "$BAD_INPUT_DIR/share/openshell/policy"
	cp "$bin/openshell" "$BAD_INPUT_DIR/bin/openshell"
	cp -r "$(dirname "$0")/../../policy/providers" "$BAD_INPUT_DIR/share/openshell/policy"
	unshare --mount --propagation private "$0" "$bin"
	status=$?
	rm -rf "$BAD_INPUT_DIR"
	rmdir "$BAD_INPUT_CGROUP"
	exit $status
fi

dir=$BAD_INPUT_DIR
openshell=$dir/bin/openshell
mkdir "$dir/cgroup" "$dir/in" "$dir/work" "$dir/tmp"
mount --bind "$BAD_INPUT_CGROUP" "$dir/cgroup" && umount "$unified" &&
	mount --move "$dir/cgroup" "$unified" &&
	mount -t bpf bpf /sys/fs/bpf && mount -t tmpfs run /run || exit 1
chmod 755 "$dir" "$openshell"
chown 60606:60606 "$dir/work"
cd "$dir" || exit 1
mount_count=$(wc -l </proc/self/mountinfo)
agent_seconds=98765.$$ # names our sleeping agents among all processes,
agent_pattern="98765[.]$$" # and not who looks for them

ok() { # STATUS NAME
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		failed=1
	fi
}

# Whatever should not be there when nothing runs.
left() {
	ls -d "$unified"/openshell 2>/dev/null
	ls -d /sys/fs/bpf/openshell 2>/dev/null
	find /run -mindepth 1 ! -path /run/openshell ! -path /run/openshell/lock \
		! -path /run/openshell/users ! -path "$types" ! -path '/run/mount*' # mount(8)'s own
	[ "$(wc -l </proc/self/mountinfo)" -eq "$mount_count" ] || echo "a mount"
	find /tmp /var/tmp /dev/shm -maxdepth 1 -name 'openshell-run*' 2>/dev/null
	grep -als "$agent_pattern" /proc/[0-9]*/cmdline
}

check_left() { # NAME
	local what

	what=$(left)
	[ -z "$what" ] || echo "# left behind: $what"
	[ -z "$what" ]
	ok $? "$1: nothing is left behind"
}

# The command fails with that status and a sentence, quickly, and leaves nothing.
fails() { # NAME STATUS PATTERN COMMAND..
	local name=$1 want=$2 pattern=$3 status what

	shift 3
	timeout -k 5 60 "$@" >out 2>err </dev/null
	status=$?
	what=$(left)
	if [ $status -eq "$want" ] && grep -q -- "$pattern" err && [ -z "$what" ]; then
		ok 0 "$name"
	else
		ok 1 "$name"
		echo "# status $status, expected $want; expected '$pattern' in:"
		sed 's/^/# /' err | cut -c1-300
		echo "# left behind: $what"
	fi
}

run() {
	"$openshell" run --workdir work --no-tty "$@"
}

refuses() { # NAME STATUS PATTERN OPTION..
	fails "$1" "$2" "$3" "$openshell" run --workdir work --no-tty "${@:4}"
}

policy() { # NAME PATTERN: the policy in/NAME is refused by `run` and by `policy check`
	refuses "policy: $1" 1 "$2" --policy "in/$1" -- true
	timeout 20 "$openshell" policy check "in/$1" >out 2>&1
	[ $? -eq 1 ] && grep -q -- "$2" out
	ok $? "policy check: $1"
}

# On a host where COMMAND has changed something, in a mount namespace of its own.
on_host() { # NAME STATUS PATTERN COMMAND
	fails "$1" "$2" "$3" unshare --mount --propagation private /bin/sh -c \
		"$4"' && exec "$@"' sh "$openshell" run --workdir work --no-tty -- true
}

# Before anything is refused: this works here. It may keep one file of the running kernel's types,
# for the next start; no more of them may come, and nothing else.
types=/nowhere
run -- true >out 2>err
ok $? "a run that should succeed does"
types=$(find /run/openshell -name 'types-*' -user 0 ! -perm /022 | head -n 1)
types=${types:-/nowhere}
check_left "a run"

# Policies
refuses "policy: missing" 1 "in/missing: cannot be read: No such file" --policy in/missing -- true
mkdir in/directory
refuses "policy: a directory" 1 "is a directory" --policy in/directory -- true
mkfifo in/fifo
refuses "policy: a FIFO" 1 "not a regular file" --policy in/fifo -- true
refuses "policy: a device without end" 1 "not a regular file" --policy /dev/zero -- true
: >in/empty
policy empty "in/empty:1:1: error: the file is empty"
head -c 4096 "$openshell" >in/binary
policy binary "not a text file\|not UTF-8"
head -c 100000000 /dev/zero | tr '\0' '#' >in/huge
policy huge "larger than 4 MiB"
rm in/huge
{
	echo "version: 1"
	printf 'filesystem_policy: '
	head -c 100000 /dev/zero | tr '\0' '['
} >in/deep
policy deep "nested deeper than 32 levels"
{
	echo "version: 1"
	echo "a: &a [x, x, x, x, x, x, x, x, x]"
	last=a
	for next in b c d e f g h i j k l m; do
		echo "$next: &$next [*$last, *$last, *$last, *$last, *$last, *$last, *$last, *$last]"
		last=$next
	done
} >in/laughs
policy laughs "anchors (&name) are not allowed"
cat >in/cyclic <<END
version: 1
filesystem_policy: &a
  read_only: *a
END
policy cyclic "anchors (&name) are not allowed"
cat >in/unknown-key <<END
version: 1
filesystem_polcy: {}
END
policy unknown-key "2:1: error: unknown key 'filesystem_polcy'.*did you mean 'filesystem_policy'"
cat >in/relative-path <<END
version: 1
filesystem_policy: {read_only: [usr]}
END
policy relative-path "2:33: error: path 'usr' in 'read_only' is not absolute"
cat >in/dotdot <<END
version: 1
filesystem_policy: {read_only: [/usr/../etc]}
END
policy dotdot "contains '\.\.'"
cat >in/writable-root <<END
version: 1
filesystem_policy: {read_write: [/]}
END
policy writable-root "error: .*read_write"
cat >in/unknown-user <<END
version: 1
process: {run_as_user: bob}
END
policy unknown-user "'run_as_user' cannot be 'bob'"
cat >in/root-user <<END
version: 1
process: {run_as_user: "0"}
END
policy root-user "an agent never runs as root"
cat >in/no-path <<END
version: 1
filesystem_policy: {read_only: [/nonexistent/x]}
END
refuses "policy: none of its paths exists" 1 "none of the paths that the policy lists exists" \
	--policy in/no-path -- true
cat >in/glob <<END
version: 1
exec_policy: {deny: ["/usr/*/nc"]}
END
refuses "policy: a glob that nobody enforces" 1 "only a trailing /\*\* is enforced" \
	--policy in/glob -- true
SUDO_UID=bob refuses "SUDO_UID is no number" 1 "SUDO_UID 'bob'" -- true
OPENSHELL_SANDBOX_POLICY=in/missing refuses "a missing policy from the environment" 1 \
	"in/missing: cannot be read" -- true

# Commands
refuses "no command" 2 "no command given"
refuses "an empty command" 1 "the command is empty" -- ""
refuses "a command that is not in PATH" 1 "no such command in the sandbox's PATH: nosuch" -- nosuch
refuses "a command that does not exist" 1 "no such command: /nonexistent/x" -- /nonexistent/x
refuses "a file that is not executable" 1 "/etc/passwd is not executable" -- /etc/passwd
refuses "a directory as command" 1 "/etc is not a regular file" -- /etc
printf '#!/nonexistent/interpreter\n' >work/script
printf 'not a program\n' >work/text
chmod 755 work/script work/text
refuses "a script whose interpreter is missing" 1 "interpreter or loader .* does not" -- ./script
refuses "a text file as command" 1 "neither a program .* nor a script" -- ./text

# Options
refuses "--cpu x" 2 "'x' is no number of processors" --cpu x -- true
refuses "--cpu 0" 2 "'0' is no number of processors" --cpu 0 -- true
refuses "--cpu -1" 2 "'-1' is no number of processors" --cpu -1 -- true
refuses "--cpu 1e9" 2 "'1e9' is no number of processors" --cpu 1e9 -- true
refuses "--memory 12Q" 2 "'12Q' is no amount of memory" --memory 12Q -- true
refuses "--memory 0" 2 "'0' is no amount of memory" --memory 0 -- true
refuses "--memory 99999999999999999999G" 2 "is no amount of memory" \
	--memory 99999999999999999999G -- true
refuses "--env OPENSHELL_X=secret" 2 "OPENSHELL_X: names that start with OPENSHELL_ are ours" \
	--env OPENSHELL_X=secret -- true
! grep -q secret err
ok $? "without telling the value"
refuses "--env without =" 2 "expected NAME=VALUE" --env FOO -- true
refuses "--env without a name" 2 "expected NAME=VALUE" --env =x -- true
refuses "--name with a blank" 2 "a sandbox's name has 1 to 63 letters" --name "a b" -- true
refuses "--name, empty" 2 "a sandbox's name has 1 to 63 letters" --name "" -- true
refuses "--provider with a space" 2 "expected NAME=TYPE or TYPE" --provider 'a b=github' -- true
refuses "--provider without a type" 2 "expected NAME=TYPE or TYPE" --provider a= -- true
refuses "--provider of no type" 1 "did you mean 'github'?" --provider githup -- true
refuses "--provider without its variable" 1 "needs GITHUB_TOKEN or GH_TOKEN" \
	--provider github -- true
refuses "--provider generic without variables" 1 "needs the variables' names" \
	--provider generic -- true
refuses "--inference without a model" 2 "needs provider=NAME and model=MODEL" \
	--inference provider=openai -- true
refuses "--inference with a misspelt key" 2 "did you mean 'model'?" \
	--inference provider=openai,modle=m -- true
refuses "--inference with a file beside a route" 2 "a file stands alone" \
	--inference routes.yaml --inference provider=vllm,model=m -- true
refuses "--inference with a password in its URL" 2 "it has a user name" \
	--inference provider=openai,model=m,base-url=https://me:hush@a.example -- true
! grep -q hush err
ok $? "without telling the password"
refuses "--inference that is neither" 1 "takes a file, or a route such as provider=" \
	--inference bogus -- true
refuses "--inference without its variable" 1 "needs OPENAI_API_KEY or CODEX_API_KEY" \
	--inference provider=openai,model=m -- true
refuses "--inference without its base URL" 1 "needs a base URL" \
	--inference provider=vllm,model=m -- true
printf 'version: 1\ninference:\n  routs: []\n' >routes.yaml
refuses "--inference with a file that is not valid" 1 "routes.yaml:3:3: error: .*'routes'?" \
	--inference routes.yaml -- true
refuses "--log-format xml" 2 "expected shorthand or ocsf" --log-format xml -- true
refuses "--tty --no-tty" 2 "exclude each other" --tty -- true
refuses "an unknown option" 2 "unknown option --bogus" --bogus -- true
refuses "an option without its value" 2 "--policy needs a value" --policy
refuses "--flag=value" 2 "--audit takes no value" --audit=yes -- true
fails "--workdir that does not exist" 1 "the working directory /nonexistent: No such file" \
	"$openshell" run --workdir /nonexistent -- true
fails "--workdir that is a file" 1 "is not a directory" "$openshell" run --workdir /etc/passwd -- true
fails "--workdir /" 1 "would make the whole host writable" "$openshell" run --workdir / -- true
refuses "--upstream-ca that does not exist" 1 "certificates in /nonexistent: No such file" \
	--upstream-ca /nonexistent -- true
refuses "--upstream-ca without a certificate" 1 "there is no certificate in it" \
	--upstream-ca /etc/passwd -- true
refuses "--upstream-ca a directory" 1 "certificates in /etc: not a file" --upstream-ca /etc -- true
refuses "--log in no directory" 1 "opening the log /nonexistent/log: No such file" \
	--log /nonexistent/log -- true
refuses "--log a directory" 1 "opening the log /etc: Is a directory" --log /etc -- true
if "$openshell" doctor -o json | grep -q '"backend": "landlock"'; then
	for option in --audit "--learn $dir/learned.yaml"; do
		# shellcheck disable=SC2086
		refuses "${option%% *} without BPF-LSM" 1 "need BPF-LSM, which is not available" $option -- true
	done
	refuses "--require-lsm without BPF-LSM" 1 "--require-lsm asks for it" --require-lsm -- true
fi
fails "an unknown verb" 2 "unknown command 'bogus'" "$openshell" bogus
fails "no verb" 2 "Usage: openshell" "$openshell"

# Hosts
fails "not root" 1 "needs root: run it with sudo" setpriv --reuid 65534 --regid 65534 \
	--clear-groups "$openshell" run --workdir work --no-tty -- true
on_host "no cgroup2" 1 "no cgroup v2 hierarchy is mounted" "umount $unified"
on_host "cgroup2 is read-only" 1 "cannot make the cgroup .*Read-only file system" \
	"mount -o remount,bind,ro $unified"
on_host "no BTF" 1 "this kernel has no BTF" "mount -t tmpfs x /sys/kernel/btf"
on_host "empty BTF" 1 "it lacks BTF" \
	"mount -t tmpfs x /run && mount --bind /dev/null /sys/kernel/btf/vmlinux"
on_host "nowhere to mount bpffs" 1 "cannot mount bpffs on /sys/fs/bpf" "mount -t tmpfs -o ro x /sys/fs"
on_host "bpffs is read-only" 1 "cannot make /sys/fs/bpf/openshell: Read-only file system" \
	"mount -o remount,bind,ro /sys/fs/bpf"
# All of its mounts, ours and the host's.
unshare --mount --propagation private /bin/sh -c 'while umount /sys/fs/bpf; do :; done 2>/dev/null
	exec "$@"' sh "$openshell" run --workdir work --no-tty -- true >out 2>err
ok $? "without bpffs it is mounted"
check_left "mounting bpffs"
on_host "/run is read-only" 1 "cannot make /run/openshell: Read-only file system" \
	"mount -t tmpfs -o ro x /run"
on_host "/run/openshell is a link" 1 "not a directory that root alone can write" \
	"mount -t tmpfs x /run && ln -s $dir/tmp /run/openshell"
[ -z "$(ls tmp)" ]
ok $? "and is not followed"
on_host "another holds the host's lock for a moment" 0 "STOPPED" \
	"flock /run/openshell/lock sleep 1 & sleep 0.2"

# Logs that cannot be written: the agent goes on, the loss is told.
full_log() { # NAME LOG
	run --log "$2" -- /bin/sh -c 'for i in 1 2 3 4 5 6 7 8 9 0; do /bin/true; /bin/true; /bin/true; done
		echo done >finished' >out 2>err
	[ $? -eq 1 ] && grep -q "could not be written to .*No space left on device" err &&
		grep -q "goes on under its policy, but events are being lost" err
	ok $? "$1: said, and exit status 1"
	[ "$(cat work/finished)" = "done" ]
	ok $? "$1: the agent was not held up"
	rm -f work/finished
	check_left "$1"
}
mkdir small
mount -t tmpfs -o size=4k small small
mount_count=$((mount_count + 1))
full_log "a full disk under the log" small/log
full_log "a full device as log" /dev/full
umount small
mount_count=$((mount_count - 1))

# Standard streams
run -- /bin/sh -c 'exit 7' <&- >out 2>err
[ $? -eq 7 ]
ok $? "standard input is closed"
run --log log -- /bin/sh -c 'echo hello; exit 7' >&- 2>err
[ $? -eq 7 ]
ok $? "standard output is closed"
run --log log -- /bin/sh -c 'echo hello; exit 7' 2>&- >out
[ $? -eq 7 ] && [ "$(cat out)" = hello ]
ok $? "standard error is closed"
run --log log -- /bin/sh -c 'echo hello; exit 7' <&- >&- 2>&-
[ $? -eq 7 ]
ok $? "all three are closed"
run --log log -- /bin/sh -c 'echo hello; exit 3' >/dev/full 2>err
[ $? -eq 1 ] && grep -q "what the agent wrote could not all be delivered: No space left" err
ok $? "standard output is a full disk: said, and exit status 1"
run --log log -- /bin/sh -c 'while echo hello; do :; done' 2>err | head -n 1 >out
[ "${PIPESTATUS[0]}" -eq 141 ] && [ "$(cat out)" = hello ]
ok $? "a reader that goes away ends the agent"
run --log log -- /bin/sh -c 'i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i + 1)); done; exit 5' \
	2>err | { sleep 1; wc -c >out; }
[ "${PIPESTATUS[0]}" -eq 5 ] && [ "$(cat out)" -eq 220000 ]
ok $? "a full pipe waits for its reader"
check_left "standard streams"

# A full map: two policies that fit one at a time. The one that runs is not disturbed.
{
	echo "version: 1"
	echo "network_policies:"
	echo "  many:"
	echo "    binaries: [{path: /usr/bin/python3}]"
	echo "    endpoints:"
	printf '      - {ports: [2000'
	for port in $(seq 2001 2099); do printf ', %s' "$port"; done
	printf '], allowed_ips: [10.200.0.0/24'
	for net in $(seq 1 399); do printf ', 10.%s.%s.0/24' $((net / 200)) $((net % 200)); done
	echo ']}'
} >in/many
wait_for() { # COMMAND..
	for _ in $(seq 200); do
		"$@" && return 0
		sleep 0.05
	done
	return 1
}
run --policy in/many --log first.log -- /bin/sh -c \
	'touch here; while [ ! -e go ]; do sleep 0.1; done; /bin/true && exit 9' >out1 2>err1 </dev/null &
first=$!
wait_for test -e work/here
ok $? "a policy with 40,000 address ranges runs"
run --policy in/many -- /bin/sh -c 'touch never' >out 2>err </dev/null
[ $? -eq 1 ] && grep -q "map os_cidr takes no more entries" err && [ ! -e work/never ]
ok $? "a second one is refused whole: the map is full"
run -- true >out 2>err </dev/null
ok $? "a policy that fits runs beside it"
touch work/go
wait $first
[ $? -eq 9 ]
ok $? "and the first one goes on undisturbed"
rm -f work/here work/go
check_left "a full map"

# Several at once
for i in 1 2 3 4 5 6 7 8 9 10; do
	run --log "log.$i" -- /bin/sh -c "echo agent $i; exit $i" >"out.$i" 2>"err.$i" </dev/null &
	eval "pid_$i=$!"
done
bad=
for i in 1 2 3 4 5 6 7 8 9 10; do
	eval "wait \$pid_$i"
	[ $? -eq "$i" ] && [ "$(cat "out.$i")" = "agent $i" ] || bad="$bad $i: $(tail -n 1 "err.$i")"
done
[ -z "$bad" ] || echo "# $bad"
[ -z "$bad" ]
ok $? "ten at once each return their own"
check_left "ten at once"

# Ends at bad moments. `env` undoes the shell's ignoring of SIGINT for background commands.
start_agent() {
	env --default-signal=INT "$openshell" run --workdir work --no-tty --log log -- \
		/bin/sleep $agent_seconds >out 2>err </dev/null &
	agent=$!
}
gone() {
	! grep -qals "$agent_pattern" /proc/[0-9]*/cmdline
}
bad=
for i in $(seq 0 19); do
	start_agent
	sleep "$(printf '0.%03d' $((i * 17 + RANDOM % 17)))"
	kill -KILL $agent
	wait $agent 2>/dev/null
	# The sandbox dies with its owner; what it leaves in the file systems, the next start takes.
	wait_for gone || bad="$bad $i:survivor"
	run -- true >out 2>err </dev/null || bad="$bad $i:$(tail -n 1 err)"
	[ -z "$(left)" ] || bad="$bad $i:left $(left)"
done
[ -z "$bad" ] || echo "# $bad"
[ -z "$bad" ]
ok $? "killed 20 times on its way: no agent survives, the next run works and cleans up"

for signal in INT TERM HUP; do
	bad=
	for i in $(seq 0 9); do
		start_agent
		sleep "$(printf '0.%03d' $((i * 30 + RANDOM % 30)))"
		kill -$signal $agent
		wait $agent 2>/dev/null
		status=$?
		[ $status -eq $((128 + $(kill -l $signal))) ] || [ $status -eq 1 ] || bad="$bad $i:status $status"
		[ -z "$(left)" ] || bad="$bad $i:left $(left)"
	done
	[ -z "$bad" ] || echo "# $bad"
	[ -z "$bad" ]
	ok $? "SIG$signal on its way, 10 times: it ends and leaves nothing, without a next run"
done

for signal in INT TERM HUP QUIT; do
	env --default-signal=INT,QUIT "$openshell" run --workdir work --no-tty --log log -- /bin/sh -c \
		"trap 'exit 9' $signal; touch here; while :; do sleep 0.1; done" >out 2>err </dev/null &
	agent=$!
	wait_for test -e work/here
	kill -$signal $agent
	wait $agent
	[ $? -eq 9 ]
	ok $? "SIG$signal reaches the agent, whose exit status is returned"
	rm -f work/here
done
"$openshell" run --workdir work --no-tty --log log -- /bin/sh -c "trap '' TERM; touch here; while :; do sleep 0.1; done" >out 2>err </dev/null &
agent=$!
wait_for test -e work/here
kill -TERM $agent
sleep 0.3
kill -TERM $agent
wait $agent
[ $? -eq 137 ]
ok $? "a second SIGTERM kills an agent that ignores the first"
check_left "signals"

echo "1..$n"
exit $failed

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: tests/tour.sh [BIN]
#
# A tour of one sandbox: the same script runs without and with it, as the same user, and every act's
# two outcomes stand side by side; then the decision log, the summary, and what this host can
# enforce. It is a test too: an outcome that is not the expected one makes it exit 1. Everything
# happens in a temporary directory and in a network namespace of its own, so that no packet can
# leave the machine; both are gone at the end.
set -u
bin=${1:-build/bin}
openshell=$(realpath "$bin/openshell") || exit 1
uid=60606 # of nobody: the agent's user, without the sandbox and in it
export LC_ALL=C

if [ "$(id -u)" -ne 0 ]; then
	echo "tour: setting up a sandbox needs root: sudo make run" >&2
	exit 1
fi
if [ -z "${TOUR_NETNS:-}" ]; then
	TOUR_NETNS=1 exec unshare --net "$0" "$bin"
fi

dir=
server=
cleanup() {
	[ -z "$server" ] || kill "$server" 2>/dev/null
	[ -z "$dir" ] || rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# Where programs can be executed: some hosts mount /tmp noexec. The sandbox has a /tmp of its own, in
# which what is not listed is not there; elsewhere it is there and denied, which shows more.
for base in /srv /var/tmp /tmp; do
	dir=$(mktemp -d $base/openshell-tour.XXXXXX 2>/dev/null) || continue
	cp /bin/true "$dir/probe" && "$dir/probe" 2>/dev/null && break
	rm -rf "$dir"
	dir=
done
if [ -z "$dir" ]; then
	echo "tour: neither /srv, /var/tmp nor /tmp can be written to and executed from" >&2
	exit 1
fi
if ! ip link set lo up; then
	echo "tour: cannot set up the loopback device of a network namespace" >&2
	exit 1
fi
if ! "$openshell" doctor >"$dir/doctor"; then
	echo "tour: no policy can be enforced on this host; what openshell doctor says is missing:" >&2
	grep -A 2 -E '^  (missing|unknown) +(kernel|bpf|cgroup|program|map)[.]' "$dir/doctor" >&2
	exit 1
fi

heading() {
	printf '\n== %s\n\n' "$1"
}

# A project to work on, a home with a key in it, and somebody else's file; all of it the agent's
# own user's, so that only the sandbox can be what denies.
mkdir -p "$dir/tools" "$dir/project/docs" "$dir/home/.ssh" "$dir/other"
echo "remember the milk" >"$dir/project/notes.txt"
echo "TOKEN=hunter2" >"$dir/project/.env"
echo "read me" >"$dir/project/docs/manual.txt"
echo "a private key" >"$dir/home/.ssh/id_ed25519"
echo "not the agent's" >"$dir/other/file.txt"

cat >"$dir/policy.yaml" <<END
version: 1
filesystem_policy:
  include_workdir: true                  # the project may be changed ...
  read_only: [/usr, /etc, $dir/tools, $dir/project/docs] # ... but not its docs
  deny: [/etc/shadow, $dir/project/.env] # and nobody opens these
exec_policy:
  allow_writable: false                  # what the agent wrote, it cannot execute
process: {run_as_user: "$uid", run_as_group: "$uid"}
network_policies:
  builds:
    endpoints: [{host: 192.0.2.10, port: 8080}]
    binaries: [{path: /usr/bin/python3}] # and no other program
END

# The agent. `act NAME COMMAND..` does one thing and says how it went.
cat >"$dir/tools/agent" <<'END'
#!/bin/bash
act() {
	local name=$1 message
	shift
	if message=$("$@" 2>&1 >/dev/null); then
		printf '%s\tok\n' "$name"
	else
		message=${message##*: }
		printf '%s\t%s\n' "$name" "${message##*] }"
	fi
}

connect() {
	/usr/bin/python3 -c 'import socket, sys
try:
    socket.create_connection((sys.argv[1], 8080), 5).recv(16)
except OSError as error:
    sys.exit(error.strerror)' "$1"
}

connect_with_bash() {
	/bin/bash -c "exec 3<>/dev/tcp/$1/8080"
}

own_listener() {
	/usr/bin/python3 -c 'import socket
listener = socket.create_server(("127.0.0.1", 0))
socket.create_connection(listener.getsockname()).send(b"x")
listener.accept()[0].recv(1)'
}

write() {
	echo "written by the agent" >"$1"
}

secret_variable() {
	[ -n "${DEPLOY_KEY:-}" ] || { echo "not set" >&2; return 1; }
}

cp /bin/true copied
act read_project cat notes.txt
act write_project write new.txt
act read_docs cat docs/manual.txt
act write_docs write docs/manual.txt
act read_denied cat .env
act move_denied mv .env env
act read_key cat "$HOME/.ssh/id_ed25519"
act read_shadow cat /etc/shadow
act write_other write ../other/file.txt
act secret_variable secret_variable
act exec_system /usr/bin/id
act exec_copied ./copied
act connect_admitted connect 192.0.2.10
act connect_other_program connect_with_bash 192.0.2.10
act connect_other connect 198.51.100.7
act connect_metadata connect 169.254.169.254
act connect_loopback connect 127.0.0.1
act own_listener own_listener
END

# What it does, in the words of somebody who looks on; `+` is expected to work in the sandbox.
acts="read_project|+|read a file of the project
write_project|+|write one
read_docs|+|read the docs (read_only)
write_docs|-|write them, though they are inside the project
read_denied|-|read the project's .env (deny)
move_denied|-|move it away
read_key|-|read ~/.ssh/id_ed25519 (not listed)
read_shadow|-|read /etc/shadow (deny)
write_other|-|write beside the project (not listed)
secret_variable|-|see the caller's DEPLOY_KEY variable
exec_system|+|execute /usr/bin/id
exec_copied|-|execute a program that it wrote itself
connect_admitted|+|python3: connect to 192.0.2.10:8080 (admitted)
connect_other_program|-|bash: connect to the same
connect_other|-|connect to 198.51.100.7:8080
connect_metadata|-|connect to 169.254.169.254, cloud metadata
connect_loopback|-|connect to a service of this host, 127.0.0.1
own_listener|+|connect to a listener of its own"

chown -R $uid:$uid "$dir"
chmod 755 "$dir" "$dir/tools/agent"

# A server that answers at every address of this namespace.
for address in 192.0.2.10 198.51.100.7 169.254.169.254; do
	ip address add $address/32 dev lo || exit 1
done
/usr/bin/python3 -c '
import socket
listener = socket.create_server(("0.0.0.0", 8080), backlog=64)
print("ready", flush=True)
while True:
    connection, _ = listener.accept()
    connection.send(b"hello")
    connection.close()' >"$dir/server" &
server=$!
for _ in $(seq 100); do
	[ -s "$dir/server" ] && break
	sleep 0.05
done

heading "The policy"
sed "s|$dir|DIR|g" "$dir/policy.yaml"
"$openshell" policy check "$dir/policy.yaml" >/dev/null || exit 1

heading "The command"
echo "openshell run --policy policy.yaml --workdir DIR/project --log log -- DIR/tools/agent"

export DEPLOY_KEY=abcdef
cp -a "$dir/project" "$dir/free"
(cd "$dir/free" && HOME=$dir/home setpriv --reuid $uid --regid $uid --clear-groups \
	"$dir/tools/agent" >"$dir/without")
echo "not the agent's" >"$dir/other/file.txt"
"$openshell" run --policy "$dir/policy.yaml" --workdir "$dir/project" --env HOME="$dir/home" \
	--name tour --log "$dir/log" --no-tty -- "$dir/tools/agent" >"$dir/with" 2>"$dir/summary" </dev/null
status=$?

heading "What the agent tried: without a sandbox, and in one"
bad=0
tab=$(printf '\t')
while IFS='|' read -r name expected words; do
	outside=$(sed -n "s/^$name$tab//p" "$dir/without")
	inside=$(sed -n "s/^$name$tab//p" "$dir/with")
	mark=
	case $expected$inside in
	+ok) ;;
	-ok | -) mark="  <-- UNEXPECTED" ;;
	-*) ;;
	*) mark="  <-- UNEXPECTED" ;;
	esac
	# Each denial must be the sandbox's: without it the act works. But nobody reads the shadow.
	case $name$outside in
	read_shadow* | *ok) ;;
	*) mark="  <-- UNEXPECTED" ;;
	esac
	[ -z "$mark" ] || bad=1
	printf '  %-50s %-18s %s%s\n' "$words" "${outside:-?}" "${inside:-?}" "$mark"
done <<END
$acts
END
if [ $status -ne 0 ]; then
	echo
	echo "The run ended with status $status:"
	cat "$dir/summary"
	bad=1
fi
if [ "$(cat "$dir/project/.env" "$dir/other/file.txt" "$dir/project/docs/manual.txt")" != \
	"TOKEN=hunter2
not the agent's
read me" ]; then
	echo "  A protected file was changed.  <-- UNEXPECTED"
	bad=1
fi

heading "The decision log"
sed "s|$dir|DIR|g" "$dir/log"
if grep -q "STARTED sandbox tour.*backend:landlock" "$dir/log"; then
	echo
	echo "On this host Landlock holds the files; it denies without telling anyone, so denied files"
	echo "are not in the log. Where BPF-LSM can be used, each is a line like the denied connections."
else
	while read -r name path; do
		path=$(realpath -ms "$dir/project/$path")
		# What is not there, as below /tmp, cannot be denied.
		if grep -q "^$name$tab""No such file" "$dir/with"; then
			continue
		fi
		if ! grep -q "FILE:.*DENIED .* $path " "$dir/log"; then
			echo "  The log does not have the denial of $path.  <-- UNEXPECTED"
			bad=1
		fi
	done <<END
read_denied .env
write_docs docs/manual.txt
read_key ../home/.ssh/id_ed25519
write_other ../other/file.txt
END
fi
for address in 198.51.100.7 169.254.169.254 127.0.0.1; do
	if ! grep -q "NET:OPEN .*DENIED .* $address:8080 " "$dir/log"; then
		echo "  The log does not have the denied connection to $address.  <-- UNEXPECTED"
		bad=1
	fi
done

heading "The summary, as the caller sees it at the end"
sed "s|$dir|DIR|g" "$dir/summary"
if ! grep -q "192.0.2.10" "$dir/summary"; then
	echo "  The summary does not name the denied connection.  <-- UNEXPECTED"
	bad=1
fi

heading "What this host can enforce (openshell doctor)"
tail -n 1 "$dir/doctor"

heading "What to try next"
root=${SUDO_USER:+sudo }
while IFS='|' read -r command words; do
	printf '  %-68s %s\n' "$command" "$words"
done <<END
$root$bin/openshell run -- bash|a shell that may change this directory alone
$root$bin/openshell run --policy policy/quickstart.yaml -- COMMAND|a policy to start from
$bin/openshell policy check policy/*.yaml|what is wrong with a policy, and where
$root$bin/openshell doctor|each capability, and how to close a gap
make check|every test
END
if [ $bad -ne 0 ]; then
	printf '\nNot everything went as expected: see UNEXPECTED above.\n'
	exit 1
fi

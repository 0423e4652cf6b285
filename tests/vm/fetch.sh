#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: tests/vm/fetch.sh [--refresh] 5.10|6.1|6.12|newest
#
# Prints the directory that holds that Debian cloud kernel, downloading it when it is not cached:
#   vmlinuz   version   btf (its type information)   modules/NN-name.ko (in load order)
# Exit status: 0; 77 when the mirror has no such kernel or cannot be reached (the reason is on
# stderr, for a test to say why it was skipped); 1 for everything else.
#
# apt runs with a source list, package lists and cache of its own: nothing is installed and the
# machine's own package state is not touched. The mirror is whatever the machine's own sources
# name, and its signatures are checked against the distribution's keyring. Old suites are past
# their Valid-Until date by design, so that date alone is not enforced.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
# In this order; dependencies are put in front by themselves.
MODULES="virtio_pci virtio_blk overlay loop inet_diag tcp_diag udp_diag veth dummy"

unavailable()
{
	echo "kernel $name: $*" >&2
	exit 77
}

apt()
{
	local tool=$1
	shift
	"$tool" -q -o Dir::State::Lists="$state/lists" -o Dir::Cache="$state/cache" \
		-o Dir::State::status=/dev/null -o Dir::Etc::sourcelist="$state/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
		-o APT::Default-Release= -o Acquire::Languages=none -o Acquire::Retries=2 \
		-o Acquire::Check-Valid-Until=false -o APT::Update::Post-Invoke= \
		-o APT::Update::Post-Invoke-Success= "$@"
}

# The mirrors of the machine's own sources, those of its own release first.
mirrors()
{
	local own
	own=$(. /etc/os-release && echo "${VERSION_CODENAME:-none}")
	apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
		awk -v own="$own" '!seen[$2]++ { print ($1 == own ? 0 : 1), $2 }' | sort -s -n |
		cut -d' ' -f2
}

# update SUITE: the package lists of one suite, from the first mirror that has it.
update()
{
	local suite=$1 mirror
	mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
	for mirror in $(mirrors); do
		echo "deb [arch=amd64 signed-by=$KEYRING] $mirror $suite main" > "$state/sources.list"
		if apt apt-get update --error-on=any > "$state/log" 2>&1; then
			return 0
		fi
	done
	return 1
}

# The packages behind the metapackage that hold an image or modules, breadth first.
closure()
{
	local queue=linux-image-cloud-amd64 seen=" " package
	while [ -n "$queue" ]; do
		package=${queue%% *}
		queue=${queue#"$package"}
		queue=${queue# }
		case $seen in *" $package "*) continue ;; esac
		seen="$seen$package "
		queue="$queue $(apt apt-cache depends "$package" | sed -n 's/^ *Depends: //p' |
			grep -E '^linux-(image|binary|modules)-[0-9].*cloud-amd64$' | tr '\n' ' ')"
		queue=$(echo $queue)
	done
	echo $seen
}

# module_file NAME: its file in the unpacked tree; built-in or absent modules have none.
module_file()
{
	find "$tmp/root" -name "$(echo "$1" | sed 's/[-_]/[-_]/g').ko*" | head -n 1
}

# add_module NAME: unpack it and what it depends on into modules/, numbered in load order.
add_module()
{
	local name=$1 file out need
	case $loaded in *" $name "*) return 0 ;; esac
	loaded="$loaded$name "
	file=$(module_file "$name")
	[ -n "$file" ] || return 0
	out=$tmp/new/modules/.$name.ko
	case $file in
	*.xz) xz -dc "$file" > "$out" ;;
	*.zst) zstd -qdc "$file" > "$out" ;;
	*) cp "$file" "$out" ;;
	esac
	for need in $(tr '\0' '\n' < "$out" | sed -n 's/^depends=//p' | tr ',' ' '); do
		add_module "$need"
	done
	count=$((count + 1))
	mv "$out" "$tmp/new/modules/$(printf '%02d-%s.ko' "$count" "$name")"
}

fetch()
{
	local suite wanted have packages version

	[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] ||
		unavailable "kernels are fetched for amd64 Debian hosts only"
	[ -e "$KEYRING" ] || unavailable "no Debian keyring on this host ($KEYRING)"
	case $name in newest) wanted= ;; *) wanted=$name. ;; esac
	for suite in $(vm_suites "$name"); do
		state=$cache/apt/$suite
		if ! update "$suite"; then
			echo "kernel $name: suite $suite: $(grep -E '^[EW]:' "$state/log" |
				head -n 1)" >&2
			continue
		fi
		have=$(apt apt-cache show linux-image-cloud-amd64 2>/dev/null |
			sed -n 's/^Version: //p' | head -n 1)
		case $have in "$wanted"*) break ;; esac
		echo "kernel $name: suite $suite has ${have:-none}" >&2
		have=
	done
	[ -n "${have:-}" ] || unavailable "no suite of this machine's mirrors has it"

	packages=$(closure)
	tmp=$(mktemp -d "$cache/tmp.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	chmod 755 "$tmp"
	mkdir "$tmp/deb" "$tmp/root" "$tmp/new" "$tmp/new/modules"
	[ "$(id -u)" -ne 0 ] || chown _apt "$tmp/deb"
	echo "kernel $name: downloading $packages($have, $suite)" >&2
	(cd "$tmp/deb" && apt apt-get download $packages) > "$state/log" 2>&1 ||
		unavailable "download failed: $(grep -E '^[EW]:' "$state/log" | head -n 1)"
	for package in "$tmp"/deb/*.deb; do
		dpkg-deb -x "$package" "$tmp/root"
	done

	find "$tmp/root" -name 'vmlinuz*' -type f -exec cp {} "$tmp/new/vmlinuz" \;
	[ -s "$tmp/new/vmlinuz" ] || { echo "kernel $name: no image in $packages" >&2; exit 1; }
	loaded=" " count=0
	for module in $MODULES; do
		add_module "$module"
	done
	/usr/bin/python3 "$here/extract_btf.py" "$tmp/new/vmlinuz" "$tmp/new/btf"
	version=$(basename "$(find "$tmp/root" -path '*/modules/*' -prune -type d | head -n 1)")
	echo "$version ($have, $suite)" > "$tmp/new/version"
	chmod -R u=rwX,go=rX "$tmp/new"
	rm -rf "$cache/kernels/$name"
	mv "$tmp/new" "$cache/kernels/$name"
	rm -rf "$state"
}

refresh=
[ "${1:-}" != --refresh ] || { refresh=1; shift; }
name=${1:-}
vm_suites "$name" > /dev/null || { sed -n '4,8p' "$0" >&2; exit 2; }
cache=$(vm_cache)
mkdir -p "$cache/kernels"
exec 9> "$cache/fetch.lock"
flock 9
[ -s "$cache/kernels/$name/version" ] && [ -z "$refresh" ] || fetch
echo "$cache/kernels/$name"

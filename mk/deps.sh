#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the distribution's packages that building and testing need, and only the missing ones.
# With `bench` what only benchmarks compare with, too. No service of theirs is started, now or at the
# next boot.
set -eu

packages="clang llvm libclang-rt-14-dev bpftool libbpf-dev libelf-dev zlib1g-dev protobuf-compiler
protobuf-c-compiler libprotobuf-c-dev libprotobuf-dev libmicrohttpd-dev libsqlite3-dev libarchive-dev
libyaml-dev libjansson-dev libssl-dev libcap-dev
libseccomp-dev libnghttp2-dev libpcre2-dev libc-ares-dev libuv1-dev libcmocka-dev clang-format shellcheck pahole qemu-system-x86 busybox-static
git cpio zstd lz4 xz-utils e2fsprogs iproute2 python3 python3-yaml python3-jsonschema bubblewrap
curl openssl openssh-client dnsmasq-base dropbear-bin redis-tools nodejs nginx python3-grpcio
python3-requests python3-pip python3-hpack"
# Some packages of node bring npm along, and conflict with the distribution's.
command -v npm >/dev/null || packages="$packages npm"
[ "${1:-}" != bench ] || packages="$packages wrk squid-openssl mitmproxy"
services="nginx squid"

missing=
for p in $packages; do
	dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' ||
		missing="$missing $p"
done
[ -n "$missing" ] || exit 0
echo "Installing:$missing"
if [ "$(id -u)" -ne 0 ]; then
	echo "deps: these packages are missing and installing them needs root: sudo make deps" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
if [ ! -e /usr/sbin/policy-rc.d ]; then
	trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod 755 /usr/sbin/policy-rc.d
fi
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
for service in $services; do
	case " $missing " in *" $service"*) update-rc.d "$service" disable ;; esac
done

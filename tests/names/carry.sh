#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: carry.sh STAGING
#
# What the names suite and the plain ones of proxy and inference need in a guest beyond what every
# guest has, as words for tests/vm/run.sh: clients, servers, and the part of python's library that
# they use. Of node (100 MB) nothing.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
staging=$1
rm -rf "$staging"
mkdir -p "$staging"

for path in /usr/bin/git /usr/bin/ssh /usr/bin/ssh-keygen /usr/bin/redis-cli /usr/bin/redis-check-rdb \
	/usr/bin/dropbearkey /usr/sbin/dropbear /usr/sbin/dnsmasq /usr/bin/openssl /usr/bin/getent \
	/usr/lib/git-core/git-remote-https /usr/lib/git-core/git-remote-http \
	/usr/lib/git-core/git-http-backend; do
	[ ! -e "$path" ] || printf '%s\n' --add "$path:$path"
done
# git runs itself under these names.
for path in /usr/bin/git-upload-pack /usr/lib/git-core/git; do
	printf '%s\n' --add "/usr/bin/git:$path"
done
printf '%s\n' --add "/etc/ssl/openssl.cnf:/usr/lib/ssl/openssl.cnf"
printf '%s\n' --add "$(realpath /usr/bin/python3):/usr/bin/python3"
for path in "$here"/*; do
	printf '%s\n' --add "$path:/t/names/${path##*/}"
done
for suite in proxy inference; do
	for path in "$here/../$suite"/plain*.py; do
		printf '%s\n' --add "$path:/t/$suite/${path##*/}"
	done
done
switch=${BUILD:-build}/tests/names/switch
[ ! -e "$switch" ] || printf '%s\n' --add "$(realpath "$switch"):/t/names/switch"

# Modules are files that importing them loads; libraries are found by being executable.
/usr/bin/python3 -I - "$staging" <<'END'
import collections, ctypes, encodings.idna, encodings.latin_1, encodings.ascii, errno, hashlib
import http.server, ipaddress, json, os, random, re, select, shutil, signal, socket, socketserver, ssl
import stat, struct, subprocess, sys, threading, time, urllib.error, urllib.parse, urllib.request

staging = sys.argv[1]
library = os.path.dirname(os.__file__)
for module in list(sys.modules.values()):
    for path in (getattr(module, "__file__", None), getattr(module, "__cached__", None)):
        if path and path.startswith(library) and os.path.exists(path):
            target = os.path.join(staging, os.path.relpath(path, library))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy2(path, target)
            if path.endswith(".so"):
                os.chmod(target, 0o755)
print("--add\n%s:%s" % (staging, library))
END

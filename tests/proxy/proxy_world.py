# SPDX-License-Identifier: Apache-2.0
"""The world of the proxy suites: that of the names suite, with other names and servers in it, and a
certificate authority. Every server tells what arrived at it in a file below `seen`.

    203.0.113.20  nginx: files, packages, certificates that are no good      (nginx.py)
    203.0.113.30  REST, events, WebSocket, GraphQL, MCP; and 2001:db8:1::30  (origin.mjs)
    203.0.113.40  git                                                        (gitserver.py)
    203.0.113.50  gRPC                                                       (grpc_echo.py)
    203.0.113.60  a server that misbehaves                                   (hostile.py)
    203.0.113.70  nobody listens
"""
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), "names"))

import nginx
import packages
from world import PYTHON, RESOLVER, UID, World, run, wait_for

NGINX, ORIGIN, GIT, GRPC, HOSTILE, NOBODY = ("203.0.113.%d" % n for n in (20, 30, 40, 50, 60, 70))
ORIGIN6 = "2001:db8:1::30"
BAD = ("expired", "wrong", "self", "stranger")  # certificates

AT_NGINX = ("static", "old", "tls12", "npm", "pip") + BAD
AT_ORIGIN = ("api", "other", "ro", "rw", "full", "audit", "paths", "gql", "gqlro", "mcp", "ws",
             "wsgql", "curl-only", "bound", "unbound", "plain")

# How clients find whom to trust: the variables that `openshell run` sets.
TRUST = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
         "GIT_SSL_CAINFO", "PIP_CERT", "NPM_CONFIG_CAFILE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH")


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


class ProxyWorld(World):
    names = {
        "both.svc.test": [ORIGIN, ORIGIN6],  # what resolver() waits for
        **{name + ".svc.test": [NGINX] for name in AT_NGINX},
        **{name + ".svc.test": [ORIGIN] for name in AT_ORIGIN},
        "six.svc.test": [ORIGIN6],
        "git.svc.test": [GIT],
        "grpc.svc.test": [GRPC],
        "hostile.svc.test": [HOSTILE],
        "down.svc.test": [NOBODY],
    }
    zones = {}
    there = {
        "one": [NGINX, ORIGIN, GIT, GRPC, HOSTILE, NOBODY, ORIGIN6, RESOLVER],
        "two": ["198.51.100.10", "2001:db8:2::10"],
        "three": ["192.0.2.20", "2001:db8:3::20"],
    }
    big = 1 << 30  # bytes of what is moved as a whole

    @property
    def ca(self):
        return self.path("ca.pem")

    def files(self):
        super().files()
        for name in ("raw.py", "stress.py", "client.mjs", "grpc_echo.py"):
            target = self.path("work", name)
            shutil.copy(os.path.join(HERE, name), target)
            os.chown(target, UID, UID)
        # Beside both the server and the client, which is where node looks for them.
        run("cp", "-r", "--reflink=auto", os.environ["PROXY_MODULES"], self.path("node_modules"))
        shutil.copy(os.path.join(HERE, "origin.mjs"), self.path("origin.mjs"))
        for folder in ("seen", "files", "files/up", "nginx-body"):
            os.makedirs(self.path(folder))
        # Where an installed openshell has them.
        shutil.copytree(os.path.join(HERE, "..", "..", "policy", "providers"), os.path.join(
            os.environ["NAMES_DIR"], "share", "openshell", "policy", "providers"))
        self.write("files/small.txt", "small\n")
        packages.registry(self.path("npm"), "https://npm.svc.test")
        packages.index(self.path("pip"))
        self.write_big()

    def write_big(self):
        """Bytes that repeat nowhere: a piece that is lost, doubled or moved shows."""
        path = self.path("files", "big")
        run("/bin/sh", "-c", "head -c $0 /dev/zero | openssl enc -aes-128-ctr -nosalt "
            "-K 0 -iv 0 2>/dev/null >$1", str(self.big), path)
        self.big_sha256 = sha256(path)

    def certificates(self):
        """An authority, what it has issued, and what it has not."""
        self.write("ca.conf", CA_CONFIG % {"dir": self.dir})
        self.write("issued", "")
        for authority in ("ca", "other-ca"):
            self.openssl("req", "-x509", *KEY, "-days", "30", "-subj", "/CN=" + authority,
                         "-addext", "basicConstraints=critical,CA:TRUE",
                         "-addext", "keyUsage=critical,keyCertSign",
                         "-keyout", self.path(authority + ".key"),
                         "-out", self.path(authority + ".pem"))
        self.issue("server", "DNS:*.svc.test,DNS:svc.test")
        self.issue("expired", "DNS:expired.svc.test", "20200101000000Z", "20200201000000Z")
        self.issue("wrong", "DNS:elsewhere.svc.test")
        self.issue("stranger", "DNS:stranger.svc.test", authority="other-ca")
        self.openssl("req", "-x509", *KEY, "-days", "30", "-subj", "/CN=self.svc.test",
                     "-addext", "subjectAltName=DNS:self.svc.test",
                     "-keyout", self.path("self.key"), "-out", self.path("self.crt"))
        self.join("self")
        # Outside, agents trust what the proxy trusts inside.
        shutil.copy(self.ca, self.path("work", "outside-ca.pem"))

    @staticmethod
    def openssl(*words):
        run("openssl", *words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def issue(self, name, alternative, start=None, end=None, authority="ca"):
        self.openssl("req", *KEY, "-subj", "/CN=" + name, "-addext",
                     "subjectAltName=" + alternative, "-keyout", self.path(name + ".key"),
                     "-out", self.path(name + ".csr"))
        dates = ["-startdate", start, "-enddate", end] if start else ["-days", "30"]
        self.openssl("ca", "-batch", "-notext", "-config", self.path("ca.conf"), *dates,
                     "-cert", self.path(authority + ".pem"), "-keyfile",
                     self.path(authority + ".key"), "-in", self.path(name + ".csr"),
                     "-out", self.path(name + ".crt"))
        self.join(name)

    def join(self, name):
        text = ""
        for end in (".key", ".crt"):
            with open(self.path(name + end), encoding="ascii") as part:
                text += part.read()
        self.write(name + ".pem", text, 0o600)

    def repository(self):
        super().repository()
        where = self.path("repositories")
        for name in ("write.git", "read.git"):
            run("cp", "-r", where + "/code.git", where + "/" + name)

    def servers(self):
        one = self.namespaces["one"]
        self.write("nginx.conf", nginx.config(self.dir, NGINX, BAD))
        seen, pem = self.path("seen"), self.path("server.pem")
        started = [
            self.spawn(argv, one, stdout=subprocess.PIPE, text=True) for argv in (
                ["node", self.path("origin.mjs"), seen + "/origin.log", pem, ORIGIN, ORIGIN6],
                [PYTHON, os.path.join(HERE, "gitserver.py"), seen + "/git.log", pem,
                 self.path("repositories"), GIT],
                [PYTHON, os.path.join(HERE, "grpc_echo.py"), "serve", seen + "/grpc.log", pem,
                 GRPC],
                [PYTHON, os.path.join(HERE, "hostile.py"), seen + "/hostile.log", pem, HOSTILE],
            )
        ]
        self.spawn(["nginx", "-c", self.path("nginx.conf")], one)
        for child in started:
            if child.stdout.readline().strip() != "ready":
                raise RuntimeError("a server does not start: " + " ".join(child.args))
        if not wait_for(lambda: os.path.exists(self.path("nginx.pid"))):
            raise RuntimeError("nginx does not start")

    def mark(self):
        """Where all servers' logs are now."""
        return {path: os.path.getsize(path) for path in glob.glob(self.path("seen", "*"))}

    def seen(self, mark):
        """What servers saw since @mark, as they told it."""
        found = []
        for path in sorted(glob.glob(self.path("seen", "*"))):
            with open(path, "rb") as log:
                log.seek(mark.get(path, 0))
                for line in log.read().split(b"\n"):
                    if line.strip():
                        found.append(json.loads(line))
        return found

    def saw(self, mark, pattern, seconds=2):
        """True once a line since @mark matches: servers write when they have answered."""
        return wait_for(lambda: any(re.search(pattern, line) for line in self.lines(mark)), seconds)

    def lines(self, mark):
        """Each thing seen as one line: HOST WHAT and the rest by name."""
        return ["%s %s %s" % (entry.get("host"), entry.get("what"), " ".join(
            "%s=%s" % (key, value if isinstance(value, str) else json.dumps(value))
            for key, value in entry.items() if key not in ("host", "what")))
            for entry in self.seen(mark)]

    def quiet(self, mark, seconds=0.1):
        """Nothing at all since @mark, and no latecomers."""
        time.sleep(seconds)
        return not self.lines(mark)


KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

CA_CONFIG = """
[ca]
default_ca = here
[here]
database = %(dir)s/issued
new_certs_dir = %(dir)s
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
copy_extensions = copy
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
basicConstraints = CA:FALSE
"""

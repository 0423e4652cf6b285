#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Requests end to end with what every test VM has: python, curl, openssl and dnsmasq. The full
suite is suite.py; this one shows that a kernel and its LSM carry the proxy. Prints TAP.

usage: plain.py FOLDER CGROUP     (by ../names/instance.sh, where the servers of suite.py are not)
"""
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), "names"))

from sandbox import GUEST, Outside, Roles, Sandbox, Tap, left_behind
from world import PYTHON, RESOLVER, UID, World, run, wait_for

ORIGIN = "203.0.113.30"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
TRUST = "/etc/openshell-tls"
SECRET = "sk-live-" + os.urandom(20).hex()
PLACEHOLDER = "openshell:resolve:env:SERVICE_KEY"
EPERM = "EPERM|Operation not permitted"
CURL = "curl -sS --max-time 50 -w '\\n=%{http_code}=\\n' "
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

# No /etc in it: what an agent needs of it to trust us has to come by itself.
POLICY = """version: 1
filesystem_policy: {include_workdir: true, read_only: [/usr]}
process: {run_as_user: "%(uid)d", run_as_group: "%(uid)d"}
network_policies:
  api:
    endpoints:
      - host: api.svc.test
        ports: [80, 443]
        protocol: rest
        enforcement: enforce
        rules:
          - allow: {method: GET, path: "/v1/**"}
      - {host: bound.svc.test, port: 443, protocol: rest, enforcement: enforce, access: full,
         credential_binding: {provider: work}}
      - {host: unbound.svc.test, port: 443, protocol: rest, enforcement: enforce, access: full}
      - {host: audit.svc.test, port: 443, protocol: rest, enforcement: audit, access: read-only}
      - {host: direct.svc.test, ports: [80, 443]}
    binaries: [{path: /usr/bin/curl}, {path: /usr/bin/python3}]
  curl:
    endpoints:
      - {host: curl-only.svc.test, ports: [80, 443], protocol: rest, enforcement: enforce,
         access: full}
    binaries: [{path: /usr/bin/curl}]
"""


class PlainWorld(World):
    names = {
        "both.svc.test": [ORIGIN],  # what resolver() waits for
        **{name + ".svc.test": [ORIGIN]
           for name in ("api", "bound", "unbound", "audit", "direct", "curl-only")},
    }
    zones = {}
    there = {
        "one": [ORIGIN, "2001:db8:1::30", RESOLVER],
        "two": ["198.51.100.10", "2001:db8:2::10"],
        "three": ["192.0.2.20", "2001:db8:3::20"],
    }

    def files(self):
        super().files()
        share = os.path.join(os.environ["NAMES_DIR"], "share", "openshell", "policy")
        shutil.copytree(os.path.join("/usr/share/openshell/policy" if GUEST else
                                     os.path.join(HERE, "..", "..", "policy"), "providers"),
                        os.path.join(share, "providers"))

    def repository(self):
        pass

    def certificates(self):
        """An authority, and a server that it vouches for."""
        self.openssl("req", "-x509", *KEY, "-days", "30", "-subj", "/CN=world",
                     "-addext", "basicConstraints=critical,CA:TRUE",
                     "-keyout", self.path("ca.key"), "-out", self.path("ca.pem"))
        self.openssl("req", *KEY, "-subj", "/CN=server", "-keyout", self.path("server.key"),
                     "-out", self.path("server.csr"))
        self.write("server.ext", "subjectAltName=DNS:*.svc.test\n")
        self.openssl("x509", "-req", "-days", "30", "-in", self.path("server.csr"),
                     "-CA", self.path("ca.pem"), "-CAkey", self.path("ca.key"), "-CAcreateserial",
                     "-extfile", self.path("server.ext"), "-out", self.path("server.crt"))
        self.write("server.pem", self.read("server.key") + self.read("server.crt"), 0o600)
        # Outside, agents trust what the proxy trusts inside; client.py looks for the other name.
        for name in ("outside-ca.pem", "ca.pem"):
            shutil.copy(self.path("ca.pem"), self.path("work", name))
        # A guest has no bundle of its own: then it is this one that is bound over.
        if not os.path.exists(BUNDLE):
            os.makedirs(os.path.dirname(BUNDLE), exist_ok=True)
            shutil.copy(self.path("ca.pem"), BUNDLE)

    @staticmethod
    def openssl(*words):
        run("openssl", *words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def read(self, name):
        with open(self.path(name), encoding="ascii") as file:
            return file.read()

    def servers(self):
        self.write("seen", "")
        child = self.spawn(
            [PYTHON, os.path.join(HERE, "plain_origin.py"), self.path("seen"),
             self.path("server.pem"), ORIGIN],
            self.namespaces["one"], stdout=subprocess.PIPE, text=True)
        if child.stdout.readline().strip() != "ready":
            raise RuntimeError("the server does not start")

    def mark(self):
        return os.path.getsize(self.path("seen"))

    def seen(self, mark):
        """What the server saw since @mark."""
        with open(self.path("seen"), encoding="utf-8") as log:
            log.seek(mark)
            return [json.loads(line) for line in log.read().splitlines()]


def requests(world, inside, outside, tap):
    """What is allowed, what is denied, and the same without a sandbox."""
    for scheme in ("https", "http"):
        url = scheme + "://api.svc.test"
        for what, options, path, good in (
            ("GET, allowed", "", "/v1/items/7", True),
            ("GET of a path that no rule has", "", "/v2/items/7", False),
            ("a method that no rule has", "-X DELETE ", "/v1/items/7", False),
            ("a method that no rule has, with a body", "-d a=b ", "/v1/items/7", False),
        ):
            method = "DELETE" if "-X" in options else "POST" if "-d" in options else "GET"
            for agent in (inside, outside):
                inside.mark()
                mark = world.mark()
                done = agent.act(CURL + options + url + path)
                saw = [(entry["method"], entry["url"], entry["tls"]) for entry in world.seen(mark)]
                name = "%s: %s%s" % (scheme, what, ": free outside" if agent is outside else "")
                if good or agent is outside:
                    fine = "=200=" in done.text and "here you are" in done.text
                    fine = fine and saw == [(method, path, scheme == "https")]
                else:
                    fine = "=403=" in done.text and '"error":"policy_denied"' in \
                        done.text.replace(": ", ":") and not saw
                tap.point(fine, name, done, saw)
                if agent is inside:
                    told = r"HTTP:%s .*%s %s %s%s" % (
                        method, "ALLOWED" if good else "DENIED", method, re.escape(url), path)
                    tap.point(inside.told(told), name + ", and it is told",
                              inside.log()[inside.at:])
    inside.mark()
    done = inside.act(CURL + "-d a=b https://audit.svc.test/x")
    tap.point("=200=" in done.text and inside.told(r"HTTP:POST .*audit\.svc\.test/x"),
              "audit: what would be denied goes through, and is told", done,
              inside.log()[inside.at:])
    done = inside.act(CURL + "--cacert outside-ca.pem https://direct.svc.test/x")
    tap.point("=200=" in done.text, "what is not inspected has the server's own certificate", done)
    done = inside.act(CURL + "--cacert outside-ca.pem https://api.svc.test/v1/x")
    tap.point(done.status == 60, "what is inspected has not", done)


def connections(world, inside, outside, tap):
    """What may not connect, and where nobody may."""
    client = PYTHON + " client.py "
    for port in (80, 443):
        mark = world.mark()
        done = inside.act(client + "literal %s %d" % (ORIGIN, port))
        tap.point("EPERM" in done.text and not world.seen(mark),
                  "the server's address instead of its name, port %d: EPERM" % port, done)
    for scheme in ("http", "https"):
        url = scheme + "://curl-only.svc.test/"
        mark = world.mark()
        done = inside.act(client + "url " + url)
        tap.point("EPERM" in done.text and done.at_once() and not world.seen(mark),
                  "a binary that no rule has: EPERM, " + scheme, done)
        done = inside.act(CURL + url)
        tap.point("=200=" in done.text, "the one that a rule has: served, " + scheme, done)
    done = inside.act(client + "udp api.svc.test 443")
    tap.point("EPERM" in done.text and done.at_once(), "UDP where requests are judged: EPERM", done)
    done = outside.act(client + "udp api.svc.test 443")
    tap.point("ok peer" in done.text, "UDP there: free outside", done)
    done = inside.act(client + "udp direct.svc.test 443")
    tap.point("ok peer" in done.text, "UDP where nothing is judged: free", done)
    places = listeners(Roles(inside.process.pid).worker())
    tap.point(any(address.startswith("127.") for address, _ in places), "the worker listens",
              places)
    for address, port in places + [("127.64.0.1", 443), ("127.127.255.254", 80)]:
        for agent, name in ((inside, "inside"), (outside, "outside")):
            done = agent.act(client + "literal %s %d" % (address, port))
            wanted = "EPERM" if agent is inside else "ECONNREFUSED|ECONNRESET"
            tap.point(re.search(wanted, done.text) and done.at_once(),
                      "%s%s is not to be dialled, %s" % (
                          "the worker at " if (address, port) in places else "", address, name),
                      done, port)


def listeners(worker):
    """Where that process listens, in this network namespace."""
    links = {os.readlink("/proc/%d/fd/%s" % (worker, fd))
             for fd in os.listdir("/proc/%d/fd" % worker)}
    found = []
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        with open("/proc/net/" + table, encoding="ascii") as lines:
            for words in map(str.split, lines):
                if words[3] == "0A" and "socket:[%s]" % words[9] in links:
                    text, port = words[1].split(":")
                    # Words in the machine's order, each of them in the network's.
                    raw = b"".join(bytes.fromhex(text[i:i + 8])[::-1]
                                   for i in range(0, len(text), 8))
                    found.append((socket.inet_ntop(family, raw), int(port, 16)))
    return found


def trust(world, inside, tap):
    """Files that an agent finds and reads, and cannot change."""
    block = "sed '/END CERT/q' "
    done = inside.act(block + TRUST + "/openshell-ca.pem >own; " + block + BUNDLE + " >system; "
                      "cmp own system && openssl x509 -in own -noout -subject && env")
    tap.point(done.status == 0 and "SSL_CERT_FILE=%s/ca-bundle.pem" % TRUST in done.text,
              "the system's bundle begins with the sandbox's authority", done)
    with open(BUNDLE, "rb") as bundle:
        host = bundle.read()
    done = inside.act("tail -c +2049 %s | sha256sum; tail -c +2049 %s/ca-bundle.pem | sha256sum"
                      % (BUNDLE, TRUST))
    sums = [line.split()[0] for line in done.text.splitlines()]
    mine = hashlib.sha256(host + world.read("ca.pem").encode()).hexdigest()
    tap.point(sums == [mine, mine], "and goes on with what the host and we trust", done, mine)
    for path in (BUNDLE, TRUST + "/ca-bundle.pem", TRUST + "/openshell-ca.pem"):
        done = inside.act("echo x >>%s" % path)
        tap.point(done.status and re.search("denied|Read-only|not permitted", done.text),
                  path + " cannot be written", done)
    done = inside.act("touch %s/x || mv %s/ca-bundle.pem %s/x || rm %s/ca-bundle.pem"
                      % ((TRUST,) * 4))
    tap.point(done.status, "nor can its directory", done)
    done = inside.act("env -u SSL_CERT_FILE -u CURL_CA_BUNDLE %s --cacert %s "
                      "https://api.svc.test/v1/x" % (CURL, BUNDLE))
    tap.point("=200=" in done.text, "who looks nowhere else trusts by it", done)
    with open(BUNDLE, "rb") as bundle:
        tap.point(bundle.read() == host and not os.listdir(TRUST),
                  "the host's own is what it was")


def credentials(world, inside, outside, tap):
    for host, good in (("bound", True), ("unbound", False)):
        for agent in (inside, outside):
            mark = world.mark()
            done = agent.act(CURL + '-H "X-Key: $SERVICE_KEY" https://%s.svc.test/' % host)
            got = [entry["headers"].get("x-key") for entry in world.seen(mark)]
            free = agent is outside
            if good or free:
                fine = got == [PLACEHOLDER if free else SECRET] and "=200=" in done.text
            else:
                fine = not got and "=403=" in done.text and \
                    "credential_endpoint_mismatch" in done.text
            tap.point(fine, "a placeholder %s%s" % (
                "is replaced where it belongs" if good else "goes nowhere else",
                ": as it is outside" if free else ""), done, got)
    done = inside.act("env; cat /proc/[0-9]*/environ | tr '\\0' '\\n'")
    tap.point("SERVICE_KEY=" + PLACEHOLDER in done.text and SECRET not in done.text,
              "an agent never has the value", done)


def killed(world, inside, tap):
    act = CURL + '-H "X-Key: $SERVICE_KEY" https://bound.svc.test/'
    for i in range(2):
        old = Roles(inside.process.pid).worker()
        start = time.monotonic()
        os.kill(old, signal.SIGKILL)
        done = None
        while time.monotonic() < start + 60:
            done = inside.act(act)
            if done.status == 0:
                break
        took = time.monotonic() - start
        tap.point(done.status == 0 and "=200=" in done.text and
                  Roles(inside.process.pid).worker() not in (None, old) and
                  took < (30 if GUEST else 3),
                  "worker killed, %d: another serves, with the same authority" % (i + 1), done,
                  "%.1f s" % took)
        print("# after %.1f s" % took)
        mark = world.mark()
        done = inside.act(CURL + "-d x https://api.svc.test/v1/x")
        tap.point("=403=" in done.text and not world.seen(mark),
                  "and what is denied is denied yet", done)


def main():
    folder, cgroup = sys.argv[1:3]
    tap = Tap()
    with PlainWorld(folder) as world:
        trusted = world.path("work", "outside-ca.pem")
        outside = Outside(world, CURL_CA_BUNDLE=trusted, SSL_CERT_FILE=trusted,
                          SERVICE_KEY=PLACEHOLDER)
        policy = world.write("plain.yaml", POLICY % {"uid": UID})
        inside = Sandbox(world, policy, "plain", [
            "openshell", "run", "--upstream-ca", world.path("ca.pem"),
            "--provider", "work=generic:SERVICE_KEY"], env=dict(os.environ, SERVICE_KEY=SECRET))
        first = inside.act("true")
        if not tap.point(first.status == 0, "an agent starts", first, inside.why()):
            return tap.finish()
        if GUEST:
            with open("/sys/kernel/security/lsm", encoding="ascii") as active:
                backend = "bpf-lsm" if "bpf" in active.read().strip().split(",") else "landlock"
            tap.point("backend:" + backend in inside.log(), "held by " + backend, inside.log())
        requests(world, inside, outside, tap)
        connections(world, inside, outside, tap)
        trust(world, inside, tap)
        credentials(world, inside, outside, tap)
        killed(world, inside, tap)
        tap.point(inside.end() == 0, "the agent ends well", inside.why())
        outside.end()
        tap.point(SECRET not in inside.log() + inside.why(), "no value in what was logged")
        left = left_behind(world, cgroup)
        tap.point(not left, "nothing is left behind", *left)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())

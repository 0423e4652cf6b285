#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Secrets: placeholders in every position and toward every endpoint, and where the values are found
afterwards. Prints TAP.

usage: leaks.py FOLDER CGROUP [--outside]     (by ../names/instance.sh)
"""
import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse

from agents import ProxySandbox, outside_agent
from proxy_world import ProxyWorld, wait_for
from sandbox import Roles, Tap, left_behind, processes

# One as services make them, and one with all that some position has to escape.
VALUES = {
    "SERVICE_KEY": "sk-live-" + os.urandom(20).hex(),
    "ODD_KEY": "p+q/r=s&t\"u\\v%41w;x y#z?" + os.urandom(8).hex(),
}
PROVIDER = ["--provider", "work=generic:" + ",".join(VALUES)]

RULES = """  bound:
    endpoints:
      - host: bound.svc.test
        port: 443
        protocol: rest
        enforcement: enforce
        access: full
        request_body_credential_rewrite: true
        credential_binding: {provider: work}
      - host: bound.svc.test
        port: 443
        path: "/ws/**"
        protocol: websocket
        enforcement: enforce
        access: full
        websocket_credential_rewrite: true
        credential_binding: {provider: work}
      - {host: bound.svc.test, port: 80, protocol: rest, enforcement: enforce, access: full}
    binaries: [{path: /usr/bin/curl}, {path: /usr/bin/node}]
  others:
    endpoints:
      - {host: unbound.svc.test, ports: [80, 443], protocol: rest, enforcement: enforce, access: full, request_body_credential_rewrite: true}
      - {host: ws.svc.test, port: 443, protocol: websocket, enforcement: enforce, access: full, websocket_credential_rewrite: true}
      - {host: audit.svc.test, port: 443, protocol: rest, enforcement: audit, access: full}
      - {host: plain.svc.test, ports: [80, 443]}
    binaries: [{path: /usr/bin/curl}, {path: /usr/bin/node}]
"""
POLICY = """version: 1
filesystem_policy:
  include_workdir: true
  read_only: [/usr, /etc, /proc, %s]
process: {run_as_user: "60606", run_as_group: "60606"}
network_policies:
%s"""

CURL = "curl -sS --max-time 10 -w '\\n=%{http_code}\\n' "
# What a position does with the placeholder $P, and how its value is read from what the server saw.
JSON = "-H 'Content-Type: application/json' "


def header(name):
    return lambda entries: [entry["headers"].get(name, "") for entry in entries
                            if entry["what"] in ("request", "upgrade")]


def basic(part):
    def read(entries):
        found = []
        for text in header("authorization")(entries):
            try:
                pair = base64.b64decode(text.partition("Basic ")[2]).decode()
                # A placeholder has colons of its own: as a user it comes without a password.
                found.append(pair[:-1] if part == 0 else pair.partition(":")[2])
            except ValueError:
                found.append("not base64: " + text)
        return found
    return read


def query(entries):
    return [value for entry in entries if "url" in entry for value in
            urllib.parse.parse_qs(urllib.parse.urlsplit(entry["url"]).query).get("key", [])]


def path(entries):
    return [urllib.parse.unquote(entry["url"].split("/")[2]) for entry in entries
            if entry.get("url", "").startswith("/v1/")]


def body(entries):
    return [entry.get("text", "") for entry in entries if entry["what"] == "body"]


def as_json(entries):
    return [json.loads(text)["key"] for text in body(entries)]


def as_form(entries):
    return [value for text in body(entries)
            for value in urllib.parse.parse_qs(text, strict_parsing=True).get("key", [])]


def as_part(entries):
    return [text.split("\r\n\r\n")[1].rpartition("\r\n--")[0] for text in body(entries)]


def message(entries):
    return [entry["text"] for entry in entries if entry["what"] == "message"]


# (what, options, path, reader, format of the value in it; in the head or in the body)
POSITIONS = [
    ("a header", '-H "X-Key: $P"', "/", header("x-key"), "%s", "head"),
    ("a bearer token", '-H "Authorization: Bearer $P"', "/", header("authorization"), "Bearer %s",
     "head"),
    ("twice in a header", '-H "X-Key: a $P b $P"', "/", header("x-key"), "a %s b %s", "head"),
    ("a cookie", '-b "a=b; key=$P"', "/", header("cookie"), "a=b; key=%s", "head"),
    ("Basic, password", '-u "user:$P"', "/", basic(1), "%s", "head"),
    ("Basic, user", '-u "$P:"', "/", basic(0), "%s", "head"),
    ("the query", "", "/?a=b&key=$P&c=d", query, "%s", "head"),
    ("the query, escaped", "", "/?key=${P//:/%3A}", query, "%s", "head"),
    ("the path", "", "/v1/$P/x", path, "%s", "head"),
    ("the path, escaped", "", "/v1/${P//:/%3a}/x", path, "%s", "head"),
    ("a body of JSON", JSON + r'-d "{\"key\":\"$P\"}"', "/", as_json, "%s", "body"),
    ("a form", '-d "a=b&key=$P"', "/", as_form, "%s", "body"),
    ("a body in parts", '-F "key=$P"', "/", as_part, "%s", "body"),
    ("a body of text", '-H "Content-Type: text/plain" -d "key is $P."', "/", body, "key is %s.",
     "body"),
    ("a body in chunks", '-H "Content-Type: text/plain" -H "Transfer-Encoding: chunked" '
     '-d "key is $P."', "/", body, "key is %s.", "body"),
]


def command(position, url, key, options=""):
    """By variable, as an agent has it; what is left of a name's placeholder is no variable."""
    _, more, where, _, _, _ = position
    return "P=$%s; %s%s%s \"%s%s\"" % (key, CURL, options, more, url, where)


def received(world, mark, host, reader):
    entries = [entry for entry in world.seen(mark) if entry.get("host") == host + ".svc.test"]
    try:
        return reader(entries)
    except (ValueError, KeyError, IndexError) as error:
        return ["not to be read: %s" % error]


def bound(world, inside, outside, tap):
    """Where it belongs, the server gets the value; outside, it gets the placeholder."""
    for position in POSITIONS:
        what, _, _, reader, text, _ = position
        for version in ("--http1.1 ", "--http2 "):
            if "chunks" in what and version == "--http2 ":
                continue
            for key, value in VALUES.items():
                wanted = text.replace("%s", value)
                act = command(position, "https://bound.svc.test", key, version)
                name = "%s, %s, %s" % (what, version.strip("- "), key)
                for agent in (inside, outside):
                    if not agent:
                        continue
                    free = agent is outside
                    if free:
                        wanted = text.replace("%s", "openshell:resolve:env:" + key)
                    mark = world.mark()
                    done = agent.act(act)
                    wait_for(lambda: received(world, mark, "bound", reader), 1)
                    got = received(world, mark, "bound", reader)
                    tap.point(wanted in got and value not in done.text,
                              name + (": free outside" if free else ""), done, got)


def sockets(world, inside, outside, tap):
    for key, value in VALUES.items():
        act = "node client.mjs ws wss://bound.svc.test/ws/1 \"key is $%s.\"" % key
        for agent, wanted in ((inside, value), (outside, "openshell:resolve:env:" + key)):
            if not agent:
                continue
            mark = world.mark()
            done = agent.act(act)
            got = received(world, mark, "bound", message)
            tap.point("key is %s." % wanted in got, "WebSocket text, " + key +
                      (": free outside" if agent is outside else ""), done, got)


def elsewhere(world, inside, tap):
    """Nowhere else; and where nobody looks, the placeholder is all there is."""
    for url in ("https://unbound.svc.test", "http://unbound.svc.test", "http://bound.svc.test",
                "https://audit.svc.test"):
        for position in POSITIONS:
            rewritten = "unbound" in url
            mark = world.mark()
            done = inside.act(command(position, url, "SERVICE_KEY"))
            if position[5] == "body" and not rewritten:
                # Not looked into: it goes as it came, and is worth nothing.
                tap.point("=200" in done.text and VALUES["SERVICE_KEY"] not in done.text,
                          "%s to %s: stays a placeholder" % (position[0], url), done)
                continue
            good = "credential_endpoint_mismatch" in done.text and "=403" in done.text
            good = good and world.quiet(mark)
            tap.point(good, "%s to %s: refused" % (position[0], url), done, *world.lines(mark))
    act = "node client.mjs ws wss://ws.svc.test/ws/1 \"key is $SERVICE_KEY.\""
    mark = world.mark()
    done = inside.act(act)
    tap.point(done.status and not received(world, mark, "ws", message),
              "WebSocket text to another host: refused", done, *world.lines(mark))
    for position in POSITIONS:
        mark = world.mark()
        inside.act(command(position, "http://plain.svc.test", "SERVICE_KEY"))
        got = received(world, mark, "plain", position[3])
        wanted = position[4].replace("%s", "openshell:resolve:env:SERVICE_KEY")
        tap.point(wanted in got, "%s where nobody looks: a placeholder" % position[0], got)


ODD = [
    ("of no key", "openshell:resolve:env:NO_SUCH_KEY"),
    ("of a revision that never was", "openshell:resolve:env:v99_SERVICE_KEY"),
    ("of another sandbox", "openshell:resolve:env:s" + "0" * 64 + "_SERVICE_KEY"),
    ("without a key", "openshell:resolve:env:"),
]


def unresolved(world, inside, tap):
    for what, text in ODD:
        for position in POSITIONS[:9]:
            mark = world.mark()
            act = command(position, "https://bound.svc.test", "P").replace(
                "P=$P;", "P=%s;" % text, 1)
            done = inside.act(act)
            good = not re.search("^=2", done.text, re.M) and world.quiet(mark)
            tap.point(good, "a placeholder %s in %s stays here" % (what, position[0]), done,
                      *world.lines(mark))
    for what, text in (("its key in another case", "openshell:resolve:env:service_key"),
                       ("its scheme in another case", "OPENSHELL:RESOLVE:ENV:SERVICE_KEY")):
        mark = world.mark()
        inside.act(command(POSITIONS[0], "https://bound.svc.test", "P").replace(
            "P=$P;", "P=%s;" % text, 1))
        got = received(world, mark, "bound", header("x-key"))
        tap.point(not any(value in entry for value in VALUES.values() for entry in got),
                  "%s is not a placeholder" % what, got)


def forms():
    """The values as they are, and as an encoding would hide them."""
    found = []
    for value in VALUES.values():
        plain = value.encode()
        found += [plain, urllib.parse.quote(value, safe="").encode(), plain.hex().encode(),
                  json.dumps(value)[1:-1].encode()]
        for lead in (b"", b"x", b"xx"):
            # Inside of something longer: the letters that do not depend on what is around.
            coded = base64.b64encode(lead + plain)
            found.append(coded[4 if lead else 0:-4])
    return set(found)


def leaks_in(data):
    return any(form in data for form in forms())


def files(world, tap):
    """Everything that was written down, but for what the bound server saw."""
    bad = []
    for top in (world.dir, "/run"):
        for folder, _, names in os.walk(top):
            for name in names:
                where = os.path.join(folder, name)
                if "/node_modules/" in where or not os.path.isfile(where):
                    continue
                with open(where, "rb") as file:
                    data = file.read()
                if "/seen/" in where:
                    data = b"\n".join(line for line in data.split(b"\n")
                                      if b'"host":"bound.svc.test"' not in line)
                if leaks_in(data):
                    bad.append(where)
    tap.point(not bad, "no file has a value", *bad)


def memory(pid):
    parts = []
    with open("/proc/%d/maps" % pid, encoding="utf-8") as maps, \
            open("/proc/%d/mem" % pid, "rb") as mem:
        for line in maps:
            words = line.split()
            start, end = (int(part, 16) for part in words[0].split("-"))
            if not words[1].startswith("r") or "[v" in line:
                continue
            try:
                mem.seek(start)
                parts.append(mem.read(end - start))
            except (OSError, ValueError, OverflowError):
                pass
    return b"\0".join(parts)


def descendants(pid):
    found = []
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as children:
            for child in children.read().split():
                found += [int(child)] + descendants(int(child))
    except OSError:
        pass
    return found


def kept_by(world, inside, tap):
    """In memory: nowhere but in `openshell run` and the worker. In /proc: nowhere."""
    roles = Roles(inside.process.pid)
    worker = roles.worker()
    tap.point(worker and leaks_in(memory(worker)),
              "the worker has the values (or the search below finds nothing, ever)", roles.__dict__)
    mine = set(descendants(inside.process.pid))
    for pid in sorted(mine - {worker}):
        try:
            found = leaks_in(memory(pid))
        except OSError:
            continue
        if found or pid in roles.zygote + roles.forked:
            tap.point(not found, "process %d has none" % pid, open(
                "/proc/%d/cmdline" % pid, encoding="utf-8").read().replace("\0", " "))
    bad = []
    for pid in mine | {inside.process.pid}:
        for name in ("environ", "cmdline", "comm", "status", "maps", "mountinfo"):
            try:
                with open("/proc/%d/%s" % (pid, name), "rb") as file:
                    if leaks_in(file.read()):
                        bad.append("/proc/%d/%s" % (pid, name))
            except OSError:
                pass
    tap.point(not bad, "nothing in /proc has a value", *bad)
    done = inside.act("env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'")
    tap.point("openshell:resolve:env:SERVICE_KEY" in done.text and
              not leaks_in(done.text.encode()), "an agent sees placeholders", done)


def core(world, inside, tap):
    """A worker that dies leaves nothing behind."""
    worker = Roles(inside.process.pid).worker()
    if not tap.point(worker, "there is a worker"):
        return
    with open("/proc/%d/limits" % worker, encoding="ascii") as limits:
        line = [line for line in limits if line.startswith("Max core file size")][0]
    owner = os.stat("/proc/%d/mem" % worker).st_uid
    tap.point(line.split()[4:6] == ["0", "0"], "a worker may not leave a core", line)
    tap.point(owner == 0, "and is not dumpable: its /proc files are root's", "owner %d" % owner)
    before = time.time()
    os.kill(worker, signal.SIGSEGV)
    wait_for(lambda: not os.path.exists("/proc/%d/exe" % worker), 5)
    again = wait_for(lambda: "=200" in inside.act(
        CURL + '-H "X-Key: $SERVICE_KEY" https://bound.svc.test/').text, 5)
    tap.point(again, "another serves after it crashed", inside.why())
    found = [os.path.join(folder, name) for folder in ("/", "/run", "/tmp", "/var/tmp", world.dir)
             if os.path.isdir(folder) for name in os.listdir(folder)
             if name.startswith("core") and os.stat(os.path.join(folder, name)).st_mtime > before]
    tap.point(not found, "there is no core", *found)


def main():
    folder, cgroup = sys.argv[1:3]
    alone = "--outside" in sys.argv[3:]
    tap = Tap()
    ProxyWorld.big = 1 << 20
    with ProxyWorld(folder) as world:
        outside = outside_agent(world, **{key: "openshell:resolve:env:" + key for key in VALUES})
        if alone:
            bound(world, None, outside, tap)
            sockets(world, None, outside, tap)
            return tap.finish()
        inside = ProxySandbox(world, POLICY % (world.path("node_modules"), RULES), "secrets",
                              PROVIDER, VALUES)
        first = inside.act("true")
        if not tap.point(first.status == 0, "an agent starts", first, inside.why()):
            return tap.finish()
        bound(world, inside, outside, tap)
        sockets(world, inside, outside, tap)
        elsewhere(world, inside, tap)
        unresolved(world, inside, tap)
        kept_by(world, inside, tap)
        core(world, inside, tap)
        tap.point(inside.end() == 0, "the agent ends well", inside.why())
        outside.end()
        for text in (inside.log(), inside.why()):
            tap.point(not leaks_in(text.encode()), "no value in what was logged")
            tap.point("?" not in re.sub(r"\[reason:[^]]*\]", "", text) or
                      "key=" not in text, "nor a query")
        files(world, tap)
        left = left_behind(world, cgroup)
        tap.point(not left, "nothing is left behind", *left)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())

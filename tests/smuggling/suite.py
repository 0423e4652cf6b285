#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile requests, each sent through the proxy to a server that tells what arrived. Prints TAP.

usage: suite.py --control [--only PATTERN]
       suite.py --plain HOST:PORT --tls HOST:PORT --ca FILE --oracle-log FILE --barrier HOST:PORT
                [--client "COMMAND.."] [--events FILE] [--hosts NAME,..] [--only PATTERN]

--control has nobody between: the same bytes reach the server, or the server's own strict parser
refuses them, so that what does not arrive in the other legs is the proxy's doing.

Else the client runs behind COMMAND (a sandbox with the policy of policy()), its endpoints are those
of --plain and --tls as it knows them, and the server is oracle.js, started by the caller. --barrier
is the server's plain port as it is reached from here. --events is the sandbox's log.

Of each case: what may not arrive has not, not even in part; the answer is a refusal, or the
connection ended; what arrived is what the log says, method and canonical path, and no more often;
and afterwards the proxy still serves.
"""
import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import requests
from case import ALLOWED_METHODS

PYTHON = "/usr/bin/python3"
CASE_SECONDS = 60
ALIVE_EVERY = 25


def policy(hosts, plain, tls, binary=PYTHON):
    """The policy that the cases are written for; @plain and @tls are ports."""
    lines = ["version: 1", "network_policies:", "  smuggling:", "    endpoints:"]
    for host, port in ((host, port) for host in hosts for port in (plain, tls)):
        lines += ["      - host: " + host, "        port: %d" % port, "        protocol: rest",
                  "        enforcement: enforce", "        rules:"]
        # A rule for GET is one for HEAD.
        lines += ["          - allow: {method: %s, path: /allowed/**}" % method
                  for method in ("GET", "POST")]
    return "\n".join(lines + ["    binaries: [{path: %s}]" % os.path.realpath(binary), ""])


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def point(self, good, name, *notes):
        self.count += 1
        self.failed += not good
        print("%s %d - %s" % ("ok" if good else "not ok", self.count, name))
        for note in [] if good else notes:
            print("#   " + str(note))
        sys.stdout.flush()

    def finish(self):
        print("1..%d" % self.count)
        return 1 if self.failed else 0


class Tail:
    """The lines of a file, as they come."""

    def __init__(self, path):
        self.path, self.at = path, 0

    def lines(self):
        try:
            with open(self.path, "rb") as file:
                file.seek(self.at)
                read = file.read()
        except FileNotFoundError:
            return []
        whole = read[:read.rfind(b"\n") + 1]
        self.at += len(whole)
        return [line.decode("utf-8", "replace") for line in whole.splitlines()]


class Client:
    def __init__(self, prefix, plain, tls, ca, folder=HERE):
        argv = prefix + [PYTHON, os.path.join(folder, "client.py")]
        for name, value in (("--plain", plain), ("--tls", tls), ("--ca", ca)):
            argv += [name, value] if value else []
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def run(self, asked):
        timer = threading.Timer(CASE_SECONDS, self.process.kill)
        timer.start()
        try:
            self.process.stdin.write(asked + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except OSError:
            line = ""
        finally:
            timer.cancel()
        if not line:
            raise RuntimeError("the client ended at " + asked)
        return json.loads(line)

    def end(self):
        self.process.stdin.close()
        return self.process.wait(30)


class Oracle:
    """What the server saw since it was last asked."""

    def __init__(self, log, barrier):
        self.tail = Tail(log)
        self.barrier = barrier
        self.count = 0

    def seen(self, wanted=0, seconds=5):
        """Once @wanted requests are complete, and what came before now has been told."""
        found = []
        until = time.monotonic() + seconds
        while True:
            self.count += 1
            path = "/barrier/%d" % self.count
            try:
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                    "http://%s%s" % (self.barrier, path), timeout=5).read()
            except OSError as error:
                raise RuntimeError("the server does not answer: %s" % error) from None
            while True:
                records = [json.loads(line) for line in self.tail.lines()]
                found += [r for r in records if not r.get("url", "").startswith("/barrier/")]
                if any(r.get("url") == path for r in records):
                    break
                time.sleep(0.002)
            if sum(1 for r in found if r.get("complete")) >= wanted or time.monotonic() > until:
                return found
            time.sleep(0.02)


def bare(url):
    return url.split("?", 1)[0]


def says_denied(text):
    """Whether somebody who decodes once more than he should would be in /denied."""
    for _ in range(4):
        if "denied" in text.lower():
            return True
        text = urllib.parse.unquote(text, "latin-1")
    return False


def stands_for(line):
    """How many requests: of one kind, the first few of a second are told, and then a sum."""
    more = re.search(r"\[repeated (\d+) times\]", line)
    return int(more.group(1)) if more else 1


class Judge:
    def __init__(self, hosts, events):
        self.hosts, self.events = hosts, events
        self.counts = {}

    def complaints(self, case, result, records):
        found = []
        arrived = {}
        bodies = case.bodies()
        for record in records:
            if "malformed" in record:
                found.append("malformed behind the proxy: %s" % json.dumps(record))
                continue
            key = (record["method"], bare(record["url"]))
            if not record["complete"]:
                if key not in bodies and key not in case.broken:
                    found.append("a part of it arrived: %s %s" % key)
                continue
            arrived[key] = arrived.get(key, 0) + 1
            if key not in bodies:
                found.append("it arrived: %s %s" % key)
            elif bodies[key] and record["body"] != bodies[key]:
                found.append("its body arrived as another one of %d bytes" % record["size"])
            found += self.about(record, key)
        for key, times in arrived.items():
            if times > 1 and not case.many:
                found.append("%s %s arrived %d times" % (key + (times,)))
        what = "arrived" if arrived else "answered" if max(result["statuses"] + [0]) >= 400 \
            else "reset" if result["rst"] else "ended"
        self.counts[what] = self.counts.get(what, 0) + 1
        if self.events:
            found += self.told(arrived)
        found += self.answered(case, result, arrived, bodies)
        return found

    def about(self, record, key):
        """What holds whatever the case is."""
        if key[0] not in ALLOWED_METHODS or not key[1].startswith("/allowed/"):
            yield "the policy does not admit %s %s" % key
        # What stays encoded twice is another name to a server that decodes once.
        if says_denied(bare(record["url"]).replace("%25", "%2525252525")):
            yield "what arrived leads to /denied: " + record["url"]
        if self.hosts and record["host"] not in self.hosts:
            yield "for another host: %s" % record["host"]
        for name in record.get("headers", [])[::2]:
            if name.lower() in ("http2-settings", "proxy-connection", "keep-alive"):
                yield "with " + name

    def told(self, arrived):
        """Each that arrived is in the log as allowed; lines may be late by a moment."""
        lines, until = [], time.monotonic() + 3
        for key, times in arrived.items():
            pattern = re.compile(r"\b%s\b.*%s(?![\w/%%.;-])" % (key[0], re.escape(key[1])))
            while True:
                lines += self.events.lines()
                told = sum(stands_for(line) for line in lines
                           if "ALLOWED" in line and pattern.search(line))
                if told >= times or time.monotonic() > until:
                    break
                time.sleep(0.02)
            if told < times:
                yield "%s %s arrived %d times, and is told %d times" % (key + (times, told))
        if not arrived:
            self.events.lines()

    def notes(self, leg=""):
        words = ", ".join("%d %s" % (n, what) for what, n in sorted(self.counts.items()))
        print("# %sof all cases %s" % (leg, words))

    @staticmethod
    def answered(case, result, arrived, bodies):
        statuses = result["statuses"]
        # What was never sent was never tried; another name of TLS may be refused before.
        if result["end"] == "refused" and case.sni is None:
            yield "no connection: %s" % result.get("why")
            return
        good = [status for status in statuses if 200 <= status < 300]
        if case.must:
            for key in bodies:
                if key not in arrived:
                    yield "%s %s did not arrive" % key
            if len(good) < len(bodies):
                yield "not every answer is good: %s" % result
            return
        if len(good) > sum(arrived.values()):
            yield "answered %s, and %d arrived" % (statuses, sum(arrived.values()))
        refused = [status for status in statuses if status >= 400]
        if not arrived and not refused and not case.quiet and result["end"] == "idle" \
                and not result["rst"] and result["goaway"] is None:
            yield "neither refused nor ended: %s" % result
        if case.status and not arrived and statuses and statuses[0] != case.status:
            yield "answered %d, not %d" % (statuses[0], case.status)


class Control:
    """Nobody is between: it arrives, or the server refuses it by itself."""

    def __init__(self):
        self.counts = {}

    def complaints(self, case, result, records):
        complete = sum(1 for r in records if r.get("complete"))
        malformed = sum(1 for r in records if "malformed" in r)
        refused = result["end"] != "idle" or result["rst"] or max(result["statuses"] + [0]) >= 400
        what = "arrived" if complete else "malformed" if malformed else \
            "in part" if records else "refused" if refused else "nothing"
        counts = self.counts.setdefault(case.kind, {})
        counts[what] = counts.get(what, 0) + 1
        found = []
        if result["end"] == "refused":
            found.append("no connection: %s" % result.get("why"))
        if case.must and complete < len(case.may):
            found.append("the server did not take it: %s %s" % (result, records))
        if not records and not refused and case.may:
            found.append("nothing arrived: %s" % result)
        # No server looks into a path: whatever one does with it, it gets it.
        if case.kind == "path" and not complete:
            found.append("it did not arrive: %s" % result)
        return found

    def notes(self):
        for kind, counts in self.counts.items():
            words = ", ".join("%d %s" % (n, what) for what, n in sorted(counts.items()))
            print("# %s: %s" % (kind, words))


def run(tap, client, oracle, judge, wanted="", have=("h1", "tls", "h2"), leg=""):
    """Every case of a protocol that we @have; returns when the last has been judged."""
    count = 0

    def honest(protocol):
        nonlocal count
        count += 1
        result = client.run("alive %s %d" % (protocol, count))
        records = oracle.seen(1)
        key = ("GET", "/allowed/alive/%d" % count)
        good = result["statuses"] == [200] and any(
            (r.get("method"), r.get("url")) == key for r in records)
        tap.point(good, "%san honest request over %s is served" % (leg, protocol), result, records)

    for protocol in have:
        honest(protocol)
    since = 0
    for case in requests.table():
        protocol = "h2" if case.protocol == "h2" else "tls" if case.tls else "h1"
        if not re.search(wanted, case.name) or protocol not in have:
            continue
        result = client.run(case.name)
        records = oracle.seen(len(case.may) if case.must else 0)
        found = judge.complaints(case, result, records)
        tap.point(not found, leg + case.name, *found)
        since += 1
        if since == ALIVE_EVERY or "flood" in case.name or case.kind == "bomb":
            since = 0
            honest(protocol)


def certificate(folder):
    """One that is its own authority, for localhost."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "30", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,DNS:denied.test",
         "-keyout", folder + "/key.pem", "-out", folder + "/ca.pem"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )


def control(tap, wanted, server="plain"):
    with tempfile.TemporaryDirectory() as folder:
        certificate(folder)
        log = folder + "/oracle.jsonl"
        oracle = subprocess.Popen(
            ["node", os.path.join(HERE, "oracle.js"), "--log", log, "--plain", "127.0.0.1:0",
             "--lenient", "127.0.0.1:0", "--tls", "127.0.0.1:0",
             "--key", folder + "/key.pem", "--cert", folder + "/ca.pem"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        try:
            ports = json.loads(oracle.stdout.readline())
            judge = Control()
            client = Client([], "127.0.0.1:%d" % ports[server], "localhost:%d" % ports["tls"],
                            folder + "/ca.pem")
            run(tap, client, Oracle(log, "127.0.0.1:%d" % ports["plain"]), judge, wanted)
            client.end()
            judge.notes()
        finally:
            oracle.kill()
            oracle.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--control", action="store_true")
    parser.add_argument("--lenient", action="store_true", help="the control's server forgives")
    parser.add_argument("--client", default="")
    for name in ("plain", "tls", "ca", "oracle-log", "barrier", "events", "hosts"):
        parser.add_argument("--" + name)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    tap = Tap()
    if options.control:
        control(tap, options.only, "lenient" if options.lenient else "plain")
        return tap.finish()
    client = Client(shlex.split(options.client), options.plain, options.tls, options.ca)
    judge = Judge(options.hosts.split(",") if options.hosts else None,
                  Tail(options.events) if options.events else None)
    run(tap, client, Oracle(options.oracle_log, options.barrier), judge, options.only,
        ("h1", "tls", "h2") if options.tls else ("h1",))
    client.end()
    judge.notes()
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The smuggling suite in a sandbox, in a network of its own. Prints TAP.

usage: sandboxed.py FOLDER CGROUP [PATTERN]     (by ../names/instance.sh)

PATTERN chooses cases.
"""
import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
for name in ("names", "proxy"):
    sys.path.append(os.path.join(os.path.dirname(HERE), name))

import suite
from plain import ORIGIN, PlainWorld
from sandbox import left_behind
from world import UID

API, OLD = "api.svc.test", "old.svc.test"
AT_OLD = "203.0.113.31"
MODULES = ("client.py", "case.py", "frames.py", "requests.py", "requests_h2.py")
REST = """filesystem_policy: {include_workdir: true, read_only: [/usr, /etc]}
process: {run_as_user: "%d", run_as_group: "%d"}
""" % (UID, UID)


class SmugglingWorld(PlainWorld):
    names = {**PlainWorld.names, OLD: [AT_OLD]}
    there = {**PlainWorld.there, "one": PlainWorld.there["one"] + [AT_OLD]}

    def files(self):
        super().files()
        os.makedirs(self.path("work", "smuggling"))
        for name in MODULES:
            shutil.copy(os.path.join(HERE, name), self.path("work", "smuggling", name))

    def servers(self):
        self.oracle_log = self.write("oracle.jsonl", "")
        child = self.spawn(
            ["node", os.path.join(HERE, "oracle.js"), "--log", self.oracle_log,
             "--plain", ORIGIN + ":80", "--tls", ORIGIN + ":443", "--old", AT_OLD + ":443",
             "--key", self.path("server.key"), "--cert", self.path("server.crt")],
            self.namespaces["one"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if json.loads(child.stdout.readline()) != {"plain": 80, "tls": 443, "old": 443}:
            raise RuntimeError("the server does not start")


def leg(world, tap, oracle, wanted, name, have):
    """One sandbox, whose client asks for @name; what it @have, it tries."""
    log = world.path(name + ".log")
    # Whom it trusts, a client in a sandbox finds by itself.
    client = suite.Client(
        ["openshell", "run", "--upstream-ca", world.path("ca.pem"), "--policy",
         world.path("policy.yaml"), "--workdir", world.path("work"), "--no-tty", "--name",
         "smuggling", "--log", log, "--"],
        name + ":80", name + ":443", None, world.path("work", "smuggling"))
    said = "" if name == API else "%s: " % name
    judge = suite.Judge([name], suite.Tail(log))
    suite.run(tap, client, oracle, judge, wanted, have, said)
    judge.notes(said)
    tap.point(client.end() == 0, said + "the agent ends well")
    with open(log, encoding="utf-8", errors="replace") as text:
        again = re.findall(r"^.*it is started again.*$", text.read(), re.M)
    tap.point(not again, said + "one worker served all of it", *again)


def main():
    folder, cgroup = sys.argv[1:3]
    wanted = "".join(sys.argv[3:])
    tap = suite.Tap()
    with SmugglingWorld(folder) as world:
        world.write("policy.yaml", suite.policy((API, OLD), 80, 443) + REST)
        oracle = suite.Oracle(world.oracle_log, ORIGIN + ":80")
        leg(world, tap, oracle, wanted, API, ("h1", "tls", "h2"))
        leg(world, tap, oracle, wanted, OLD, ("h2",))
        left = left_behind(world, cgroup)
        tap.point(not left, "nothing is left behind", *left)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())

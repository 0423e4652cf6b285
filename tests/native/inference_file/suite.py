#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A file of routes that changes under a running agent. Prints TAP.

usage: suite.py FOLDER CGROUP     (by ../../names/instance.sh)
"""
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "..", "names"))

from sandbox import Tap
from world import UID, wait_for

KEY = "sk-live-" + os.urandom(20).hex()
POLICY = """version: 1
filesystem_policy: {include_workdir: true, read_only: [/usr, /lib, /lib64, /bin, /etc]}
process: {run_as_user: "%d", run_as_group: "%d"}
""" % (UID, UID)
ROUTE = "    - {provider: %s, model: m%d, base_url: \"http://127.0.0.1:9\"}\n"


def routes(*lines):
    return "version: 1\ninference:\n  routes:\n" + "".join(lines) if lines else (
        "version: 1\ninference: {routes: []}\n")


class Run:
    """One `openshell run` whose agent prints its environment and then waits."""

    def __init__(self, folder, name, *options):
        self.log_path = os.path.join(folder, name + ".log")
        self.out_path = os.path.join(folder, name + ".out")
        self.at = 0
        environment = {"PATH": os.environ["PATH"], "OPENAI_API_KEY": KEY}
        with open(self.out_path, "w") as out:
            self.process = subprocess.Popen(
                ["openshell", "run", "--policy", os.path.join(folder, "policy.yaml"),
                 "--workdir", os.path.join(folder, "work"), "--no-tty", "--name", name,
                 "--no-verify", "--log", self.log_path, *options, "--", "/bin/sh", "-c",
                 "env; echo ready; exec sleep 120"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment)
        self.ready = wait_for(lambda: "ready\n" in self.out(), 60)

    def out(self):
        with open(self.out_path, encoding="utf-8") as out:
            return out.read()

    def log(self):
        with open(self.log_path, encoding="utf-8") as log:
            return log.read()

    def told(self, pattern, seconds=5):
        """True once the log, from the last match on, matches; it goes on from there."""
        def look():
            match = re.search(pattern, self.log()[self.at:])
            if match:
                self.at += match.end()
            return match
        return wait_for(look, seconds)

    def environ(self):
        with open("/proc/%d/environ" % self.process.pid, "rb") as environ:
            return environ.read()

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def put(path, text):
    """As editors do: another file is put in its place."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)


def changes(tap, folder):
    path = os.path.join(folder, "routes.yaml")
    put(path, routes(ROUTE % ("openai", 1)))
    run = Run(folder, "changes", "--inference", path)
    try:
        if not tap.point(run.ready, "an agent runs with a file of routes", run.out()):
            return
        tap.point("OPENAI_BASE_URL=https://inference.local/v1\n" in run.out() and
                  "OPENAI_API_KEY=inference.local\n" in run.out(),
                  "its clients find inference.local", run.out())
        tap.point("ANTHROPIC" not in run.out(), "those of an API without a route do not",
                  run.out())
        tap.point(KEY not in run.out() and KEY.encode() not in run.environ(),
                  "the key is in nobody's environment")
        put(path, routes(ROUTE % ("openai", 2), ROUTE % ("vllm", 3)))
        tap.point(run.told(r"CONFIG:LOADED .*routes\.yaml.*routes:2"),
                  "another file is taken, with the key that was read before", run.log())
        put(path, routes(ROUTE % ("opneai", 1)))
        tap.point(run.told(r"stay as they were.*there is no provider type"),
                  "one that is not valid is told, and what was in force stays", run.log())
        put(path, routes("    - {provider: nvidia, model: m}\n"))
        tap.point(run.told(r"stay as they were.*start it anew, or give the route a key file"),
                  "so is one for which no key was read", run.log())
        os.unlink(path)
        tap.point(not run.told(r"CONFIG:LOADED|stay as they were", 1),
                  "one that vanishes changes nothing", run.log())
        put(path, routes())
        tap.point(run.told(r"CONFIG:LOADED .*routes:0"), "one that comes back is taken", run.log())
        with open(path, "a", encoding="utf-8") as file:
            file.write("# more\n")
        tap.point(run.told(r"CONFIG:LOADED .*routes:0"), "one that is written to is taken",
                  run.log())
        tap.point(KEY not in run.log(), "the key is not in the log")
    finally:
        run.end()


def agents_own(tap, folder):
    path = os.path.join(folder, "work", "routes.yaml")
    put(path, routes(ROUTE % ("openai", 1)))
    run = Run(folder, "own", "--inference", path)
    try:
        tap.point(run.ready and run.told(r"is read once.*the agent may write it"),
                  "a file that the agent may write is read once, and that is told", run.out())
        put(path, routes())
        tap.point(not run.told("CONFIG:LOADED .*routes:", 1), "and not when it changes", run.log())
    finally:
        run.end()


def variables(tap, folder):
    run = Run(folder, "variables", "--env", "OPENAI_BASE_URL=http://mine.example", "--inference",
              "provider=vllm,model=m,base-url=http://127.0.0.1:9")
    try:
        tap.point(run.ready and "OPENAI_BASE_URL=http://mine.example\n" in run.out() and
                  "OPENAI_API_KEY" not in run.out(),
                  "variables that are meant for something else stay so", run.out())
    finally:
        run.end()


def main():
    folder = sys.argv[1]
    tap = Tap()
    os.makedirs(os.path.join(folder, "work"))
    os.chown(os.path.join(folder, "work"), UID, UID)
    shutil.copytree(os.path.join(HERE, "..", "..", "..", "policy", "providers"), os.path.join(
        os.environ["NAMES_DIR"], "share", "openshell", "policy", "providers"))
    with open(os.path.join(folder, "policy.yaml"), "w", encoding="utf-8") as file:
        file.write(POLICY)
    changes(tap, folder)
    agents_own(tap, folder)
    variables(tap, folder)
    return tap.finish()


sys.exit(main())

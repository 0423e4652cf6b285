#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""inference.local with what every test VM has: python and curl. The full suite is suite.py; this one
shows that a kernel and its LSM carry it. Prints TAP.

usage: plain.py FOLDER CGROUP     (by ../names/instance.sh)
"""
import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), "names"))

from sandbox import GUEST, Sandbox, Tap, left_behind
from world import PYTHON, RESOLVER, UID, World

PORT = 18080
KEY = "sk-proj-" + os.urandom(20).hex()
CURL = "curl -sS -N --max-time 50 -w '\\n=%{http_code}=\\n' "
HEADERS = ("-H 'Content-Type: application/json' -H 'Authorization: Bearer agents-key' "
           "-H 'x-agent-secret: agents-secret' ")
URL = "https://inference.local"
POLICY = """version: 1
filesystem_policy: {include_workdir: true, read_only: [/usr, /proc]}
process: {run_as_user: "%d", run_as_group: "%d"}
network_policies: {}
""" % (UID, UID)


class InferenceWorld(World):
    names = {"both.svc.test": ["203.0.113.10"]}  # what resolver() waits for
    zones = {}
    there = {
        "one": ["203.0.113.10", "2001:db8:1::10", RESOLVER],
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

    def servers(self):
        self.write("seen", "")
        child = self.spawn([PYTHON, os.path.join(HERE, "plain_provider.py"), self.path("seen"),
                            str(PORT)], stdout=subprocess.PIPE, text=True)
        if child.stdout.readline().strip() != "ready":
            raise RuntimeError("the provider does not start")

    def mark(self):
        return os.path.getsize(self.path("seen"))

    def seen(self, mark):
        with open(self.path("seen"), encoding="utf-8") as log:
            log.seek(mark)
            return [json.loads(line) for line in log.read().splitlines()]


def ask(path, body):
    return CURL + HEADERS + "-d '%s' %s%s" % (json.dumps(body), URL, path)


def requests(world, inside, tap):
    for stream in (False, True):
        inside.mark()
        mark = world.mark()
        done = inside.act(ask("/v1/chat/completions", {"model": "agents-model", "messages": [],
                                                       "stream": stream}))
        what = "a stream" if stream else "chat"
        tap.point("=200=" in done.text and ("word2" if stream else "word0") in done.text, what, done,
                  inside.why())
        saw = world.seen(mark)
        good = len(saw) == 1 and saw[0]["headers"].get("authorization") == "Bearer " + KEY
        good = good and json.loads(saw[0]["text"])["model"] == "real-model"
        tap.point(good and "agents-" not in json.dumps(saw[0]["headers"]),
                  what + ": the operator's key and model, nothing of the agent's", saw)
        tap.point(inside.told("API:INFERENCE .*ALLOWED .* 200 .*model:real-model"), what + ": told",
                  inside.log()[inside.at:])
    for what, act, status in (
            ("an unknown path", ask("/v1/files", {}), "=403="),
            ("plaintext", ask("/v1/chat/completions", {}).replace(URL, "http://inference.local"),
             "curl: "),
            ("the provider itself", CURL + "http://127.0.0.1:%d/" % PORT, "curl: ")):
        mark = world.mark()
        done = inside.act(act)
        tap.point(status in done.text and not world.seen(mark), what + " is refused", done)
    done = inside.act("env; cat /proc/[0-9]*/environ | tr '\\0' '\\n'; echo the end")
    tap.point("the end" in done.text and KEY not in done.text, "the key is in no environment")


def main():
    folder, cgroup = sys.argv[1:3]
    tap = Tap()
    with InferenceWorld(folder) as world:
        policy = world.write("plain.yaml", POLICY)
        inside = Sandbox(world, policy, "plain", [
            "openshell", "run", "--inference",
            "provider=openai,model=real-model,base-url=http://127.0.0.1:%d/v1" % PORT],
            env=dict(os.environ, OPENAI_API_KEY=KEY))
        first = inside.act("true")
        if not tap.point(first.status == 0, "an agent starts", first, inside.why()):
            return tap.finish()
        if GUEST:
            with open("/sys/kernel/security/lsm", encoding="ascii") as active:
                backend = "bpf-lsm" if "bpf" in active.read().strip().split(",") else "landlock"
            tap.point("backend:" + backend in inside.log(), "held by " + backend, inside.log())
        requests(world, inside, tap)
        tap.point(inside.end() == 0, "the agent ends well", inside.why())
        tap.point(KEY not in inside.log() + inside.why() and not re.search("agents-(key|secret)", inside.log()),
                  "no key in what was logged")
        left = left_behind(world, cgroup)
        tap.point(not left, "nothing is left behind", *left)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""What a user types, and what comes of it."""

import json
import os
import subprocess
import time

DIR = os.environ["NAMES_DIR"]
OPENSHELL = os.path.join(DIR, "bin", "openshell")
HOME = os.path.join(DIR, "home")
ENVIRONMENT = {"HOME": HOME, "PATH": os.environ["PATH"], "TERM": "xterm", "LC_ALL": "C"}
count = failed = 0


def ok(good, what, note=""):
    global count, failed
    count += 1
    failed += not good
    text = str(note).replace("\n", " | ")[:700]
    print(f"{'ok' if good else 'not ok'} {count} - {what}" + ("" if good else f" # {text}"), flush=True)
    return good


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __str__(self):
        return f"exit {self.code}, out {self.out[-300:]!r}, err {self.err[-300:]!r}"


def run(*words, stdin="", seconds=60, environment=None):
    p = subprocess.Popen([OPENSHELL, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         env={**ENVIRONMENT, **(environment or {})}, text=True, errors="replace", cwd=DIR)
    try:
        out, err = p.communicate(stdin, timeout=seconds)
    except subprocess.TimeoutExpired:
        p.kill()
        out, err = p.communicate()
        return Result(None, out, err)
    return Result(p.returncode, out, err)


def eventually(check, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = check()
        if value:
            return value
        time.sleep(0.05)
    return check()


def write(name, text):
    path = os.path.join(DIR, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def phase(name):
    r = run("sandbox", "get", name, "-o", "json")
    return json.loads(r.out)["sandbox"]["status"]["phase"] if r.code == 0 else r.err


def shell(name, script, **more):
    return run("sandbox", "exec", "-n", name, "--", "sh", "-c", script, **more)


def json_of(result):
    return json.loads(result.out) if result.code == 0 else {"status": str(result)}


def plan(logs=()):
    """The end of a suite; what programs said, when something has failed."""
    for name in logs if failed else ():
        with open(os.path.join(DIR, name), encoding="utf-8") as f:
            print("".join("# " + line for line in f.readlines()[-30:]), end="")
    print(f"1..{count}")
    return failed != 0

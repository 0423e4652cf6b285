#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Names from end to end: the rows of rows.py, and what takes more than one act. Prints TAP.

usage: suite.py FOLDER CGROUP [--outside] [PATTERN]     (by instance.sh)

--outside tries the controls alone; PATTERN chooses rows.
"""
import ipaddress
import os
import re
import shutil
import subprocess
import sys
import time

import rows
from rows import CLIENT, CURL, EPERM, NO_NAME
from sandbox import AT_ONCE_STARTED, GUEST, Outside, Sandbox, Tap, left_behind
from world import DEAD, MOVING, World, wait_for

USES_NAME = re.compile(r"([a-z0-9.-]+\.test)", re.I)


def control(row, outside, tap):
    if row.outside is None:
        return
    done = outside.act(row.act)
    tap.point(done.status == 0 and re.search(row.outside, done.text),
              row.what + ": free outside", done)


refused = {}  # name -> when it was last


def try_row(row, world, inside, outside, tap):
    name = USES_NAME.findall(row.act)[-1].lower() if row.verdict == "refused" or \
        "REFUSED" in row.inside and USES_NAME.search(row.act) else None
    asked = len(world.asked(name)) if name else 0
    if name:
        # A refusal is kept for a second, in which it is not told again.
        time.sleep(max(0, refused.get(name, 0) + 1.1 - time.monotonic()))
    inside.mark()
    done = inside.act(row.act)
    refused[name] = time.monotonic()
    good = re.search(row.inside, done.text, re.M)
    good = good and (done.status == 0) == (row.verdict == "allowed")
    notes = [done]
    if row.verdict != "allowed" and not done.at_once():
        good = False
        notes.append("not at once")
    if name and len(world.asked(name)) != asked:
        good = False
        notes.append("the server was asked for " + name)
    if row.event and not inside.told(row.event, 3 if good else 0.5):
        good = False
        notes += ["no event: " + row.event, inside.log()[inside.at:]]
    tap.point(good, row.what, *notes)
    control(row, outside, tap)


def chosen(world, pattern, tap):
    """In a guest those that it is given, with one line about the others."""
    wanted = [row for row in rows.rows(world) if re.search(pattern, row.what)]
    if GUEST:
        tap.skip("%d acts more" % len([row for row in wanted if not row.guest]),
                 "tried natively: emulation is slow, and node has 100 MB")
    return [row for row in wanted if row.guest or not GUEST]


def lacks(row, world):
    needs = {"node ": "node", "ssh": "dropbear", "redis-cli": "redis-check-rdb", "git ": "git"}
    for word, program in needs.items():
        if word in row.act and program in world.missing:
            return program
    return None


def reverse(inside, tap):
    """PTR of what was just given, in both families."""
    given = inside.act(CLIENT + "dns both.svc.test A").text.split()
    address = given[2] if len(given) > 2 else "0.0.0.0"
    done = inside.act(CLIENT + "dns %s PTR" % ipaddress.ip_address(address).reverse_pointer)
    tap.point(re.search(r"^NOERROR PTR both\.svc\.test$", done.text, re.M),
              "DNS: PTR of a synthetic IPv4 address", given, done)
    given = inside.act(CLIENT + "dns both.svc.test AAAA").text.split()
    address = given[2] if len(given) > 2 else "::"
    done = inside.act(CLIENT + "dns %s PTR" % ipaddress.ip_address(address).reverse_pointer)
    tap.point(re.search(r"^NOERROR PTR both\.svc\.test$", done.text, re.M),
              "DNS: PTR of a synthetic IPv6 address", given, done)


def silence(inside, tap):
    """A name whose server never answers keeps nobody else waiting, and ends by itself."""
    slow = [inside.start(CURL + "http://%s.silent.test/" % letter) for letter in "abcdefgh"]
    worst = 0
    good = True
    for i in range(5):
        done = inside.act(CURL + "http://both.svc.test/")
        good = good and done.status == 0
        fresh = inside.act(CURL + "http://fresh%d.wild.test/" % i)
        good = good and fresh.status == 0
        worst = max(worst, done.ms, fresh.ms)
    tap.point(good and worst < AT_ONCE_STARTED,
              "names whose server never answers keep no other waiting", "worst %d ms" % worst)
    ends = [inside.wait(number) for number in slow]
    tap.point(all(end.status in (6, 28) for end in ends), "and end without an answer", *ends)


def moves(world, inside, outside, tap):
    """Rebinding: a name that is admitted goes where no name may go, and comes back."""
    plain, wild = MOVING

    def get(name):
        return CURL + "http://%s/" % name

    for name in MOVING:
        done = inside.act(get(name))
        tap.point("reached one 203.0.113.10" in done.text, "%s is public" % name, done)
    places = [("169.254.169.254", "two"), ("127.0.0.1", "home"), ("::1", "home"),
              ("10.20.0.2", "two")]
    for address, where in places[::3] if GUEST else places:
        world.move(address)
        private = address.startswith("10.")
        for name in MOVING:
            # Earlier answers may live for their TTL, which was a second.
            reached = "reached %s %s " % (where, address)
            last = []

            def settled(name=name, last=last, reached=reached):
                last[:] = [inside.act(get(name))]
                if private and name == plain:
                    return reached in last[0].text
                return "reached one 203.0.113.10" not in last[0].text

            good = wait_for(settled, 40 if GUEST else 10) and last[0].at_once()
            if private and name == plain:
                tap.point(good, "%s moves to %s, where a name spelt out may be" % (name, address),
                          *last)
            else:
                tap.point(good and last[0].status and reached not in last[0].text,
                          "%s moves to %s and is denied" % (name, address), *last)
            done = outside.act(get(name))
            tap.point(reached in done.text, "%s at %s: free outside" % (name, address), done)
    world.move("203.0.113.10")
    for name in MOVING:
        good = wait_for(
            lambda: "reached one 203.0.113.10" in inside.act(get(name)).text, 40 if GUEST else 10)
        tap.point(good, "%s comes back" % name)


def content(world, inside, outside, tap):
    """A listed binary whose content changes is no longer the one that was listed."""
    binary = world.path("bin", "changing")
    act = binary + " -sS --max-time 10 http://curl-only.svc.test/"
    done = inside.act(act)
    tap.point(done.status == 0 and "reached one" in done.text, "a listed copy of curl", done)
    os.chmod(binary, 0o711)
    os.chmod(binary, 0o755)
    good = wait_for(lambda: inside.act(act).status == 0, 40 if GUEST else 10)
    tap.point(good, "is the same after its mode changed")
    with open(binary, "ab") as out:
        out.write(b"\n")
    inside.mark()
    done = inside.act(act)
    tap.point(done.status and done.at_once() and re.search("Couldn't connect|Failed to", done.text),
              "and is denied when its content has changed", done)
    tap.point(inside.told(rows.denied("changing", "curl-only.svc.test", 80)), "which the log tells",
              inside.log()[inside.at:])
    done = outside.act(act)
    tap.point(done.status == 0, "outside it works", done)


def dead_address(inside, tap):
    """Of several connections some meet the dead address first; each gets there in the end."""
    tries = [inside.act(CLIENT + "retry many.svc.test 7") for _ in range(4 if GUEST else 6)]
    tap.point(all(done.status == 0 for done in tries) and
              any("try 1\n" not in done.text for done in tries),
              "the addresses of a name take turns, %s is dead: a retry succeeds" % DEAD, *tries)


def without_ipv6(world, policy, tap):
    """On a host that has no IPv6, its loopback included. Comes last: addresses are lost."""
    for name in ("all", "default", "lo"):
        with open("/proc/sys/net/ipv6/conf/%s/disable_ipv6" % name, "w", encoding="ascii") as out:
            out.write("1\n")
    inside = Sandbox(world, policy, "four")
    done = inside.act(CURL + "http://both.svc.test/")
    tap.point(done.status == 0 and "reached one 203.0.113.10" in done.text,
              "a host without IPv6 serves names over IPv4", done, inside.why())
    done = inside.act(CURL + "http://denied.svc.test/")
    tap.point(done.status and done.at_once() and re.search(NO_NAME, done.text),
              "and refuses them", done)
    tap.point(inside.end() == 0, "and its agent ends well", inside.why())


def several(world, policy, outside, tap):
    """A second sandbox beside the first, under a policy of its own."""
    second = Sandbox(world, policy, "second")
    done = second.act(CURL + "http://denied.svc.test/")
    tap.point(done.status == 0 and "reached one" in done.text,
              "another sandbox under another policy has another name", done, second.why())
    done = second.act(CURL + "http://both.svc.test/")
    tap.point(done.status and done.at_once() and re.search(NO_NAME, done.text),
              "and not the first one's", done)
    return second


UPDATE = "openshell policy update names --add-endpoint both.svc.test:8080 --binary /usr/bin/curl"


def learns(world, tap):
    """What a run in audit mode writes is a policy under which the run works, and no other does."""
    learned = world.path("learned.yaml")
    base = world.write("base.yaml", BASE)

    def curl(name, *options):
        return subprocess.run(
            ["openshell", "run", "--workdir", world.path("work"), "--no-tty", "--log",
             world.path("learn.log"), *options, "--", "/usr/bin/curl", "-sS", "--max-time", "20",
             "http://%s/" % name],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False)

    done = curl("both.svc.test", "--policy", base)
    tap.point(done.returncode and re.search(NO_NAME, done.stdout),
              "without a rule there is no name", done.stdout)
    done = curl("both.svc.test", "--policy", base, "--learn", learned)
    tap.point(done.returncode == 0 and "reached one" in done.stdout, "learning, there is",
              done.stdout)
    text = ""
    if os.path.exists(learned):
        with open(learned, encoding="utf-8") as out:
            text = out.read()
    tap.point(all(word in text for word in ("both.svc.test", "80", "/usr/bin/curl")),
              "the learned policy has name, port and binary", text)
    done = curl("both.svc.test", "--policy", learned)
    tap.point(done.returncode == 0 and "reached one" in done.stdout, "the run works under it",
              done.stdout, text)
    done = curl("denied.svc.test", "--policy", learned)
    tap.point(done.returncode and re.search(NO_NAME, done.stdout), "another name does not",
              done.stdout)


def start_supervisor(world, tap):
    """Verifying our programs takes long under emulation: once is enough."""
    path = world.path("supervisor.err")
    with open(path, "w", encoding="utf-8") as errors:
        supervisor = world.spawn(["openshell-supervisor"], stderr=errors)

    def ready():
        with open(path, encoding="utf-8") as errors:
            return "ready" in errors.read()

    tap.point(wait_for(ready, 200), "a supervisor starts")
    return supervisor


def programs(world):
    shutil.copy("/bin/bash", world.path("bin", "launcher"))
    shutil.copy("/usr/bin/curl", world.path("bin", "changing"))
    shutil.copy("/usr/bin/curl", world.path("tools", "fetch"))


BASE = """version: 1
filesystem_policy: {include_workdir: true, read_only: [/usr, /etc]}
process: {run_as_user: "60606", run_as_group: "60606"}
"""
SECOND = """version: 1
filesystem_policy: {include_workdir: true, read_only: [/usr, /etc]}
process: {run_as_user: "60606", run_as_group: "60606"}
network_policies:
  only:
    endpoints: [{host: denied.svc.test, ports: [7, 80]}]
    binaries: [{path: /usr/bin/curl}, {path: /usr/bin/python3}]
"""


def main():
    folder, cgroup = sys.argv[1:3]
    words = sys.argv[3:]
    alone = "--outside" in words
    pattern = "".join(word for word in words if not word.startswith("-"))
    tap = Tap()
    with World(folder) as world:
        if not world.have("node"):
            print("# no node here")
        programs(world)
        outside = Outside(world)
        if alone:
            for row in chosen(world, pattern, tap):
                if not lacks(row, world):
                    control(row, outside, tap)
            return tap.finish()
        policy = world.write("policy.yaml", rows.policy(world))
        supervisor = start_supervisor(world, tap) if GUEST else None
        inside = Sandbox(world, policy)
        first = inside.act("true")
        if not tap.point(first.status == 0, "an agent starts", first, inside.why()):
            return tap.finish()
        for row in chosen(world, pattern, tap):
            missing = lacks(row, world)
            if missing:
                tap.skip(row.what, "needs " + missing)
            else:
                try_row(row, world, inside, outside, tap)
        if not pattern:
            reverse(inside, tap)
            dead_address(inside, tap)
            if not GUEST:
                silence(inside, tap)
            moves(world, inside, outside, tap)
            content(world, inside, outside, tap)
            second = several(world, world.write("second.yaml", SECOND), outside, tap)
            done = inside.act(CURL + "http://both.svc.test/")
            tap.point(done.status == 0, "which goes on", done)
            tap.point(second.end() == 0, "the second agent ends well", second.why())
        tap.point(inside.end() == 0, "the agent ends well", inside.why())
        if not pattern:
            tap.point(UPDATE in inside.why(), "the summary says how to allow what was denied",
                      inside.why())
            if "backend:bpf-lsm" in inside.log():
                learns(world, tap)
            else:
                tap.skip("learning", "needs BPF-LSM")
            without_ipv6(world, policy, tap)
        outside.end()
        if supervisor:
            supervisor.terminate()
            supervisor.wait()
        left = left_behind(world, cgroup)
        tap.point(not left, "nothing is left behind", *left)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())

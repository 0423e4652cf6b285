#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What goes on when a process of ours is killed under traffic, and what changes when the policy
does. Prints TAP.

usage: kill.py FOLDER CGROUP     (by instance.sh)
"""
import os
import re
import signal
import subprocess
import sys
import time

import rows
from rows import CLIENT, CURL, EPERM, NO_NAME
from sandbox import GUEST, Outside, Roles, Sandbox, Tap, left_behind, processes
from suite import BASE, SECOND, programs, start_supervisor
from world import World, wait_for


def state(world, name):
    """What `client.py stream` last said: (count, ended)."""
    try:
        with open(world.path("work", name), encoding="ascii") as told:
            words = told.read().split()
    except OSError:
        return 0, ""
    return (int(words[1]), "") if words and words[0] == "count" else (0, " ".join(words))


def goes_on(world, name, seconds=5):
    """The stream makes progress from now on."""
    start = state(world, name)[0]
    return wait_for(lambda: state(world, name)[0] > start + 3, seconds)


def served_again(inside, command, seconds):
    """How long until the command succeeds, or None."""
    start = time.monotonic()
    while time.monotonic() < start + seconds:
        if inside.act(command).status == 0:
            return time.monotonic() - start
        time.sleep(0.02)
    return None


def refuses(inside, tap, when):
    """New denied connections stay denied, at once; names too, whoever answers or does not."""
    done = inside.act(CLIENT + "literal 203.0.113.12 7")
    tap.point(re.search(EPERM, done.text) and done.at_once(),
              when + ": a new connection that is denied stays denied", done)
    done = inside.act("timeout 3 " + CURL + "http://denied.svc.test/")
    tap.point(done.status and "reached" not in done.text, when + ": so does a name", done)


def kill_one(world, sandboxes, tap, what, find):
    """kill -9 of one process of the first sandbox; the second must notice nothing."""
    first, second = sandboxes
    before = Roles(first.process.pid)
    other = Roles(second.process.pid)
    victim = find(before)
    if not tap.point(victim, "there is a %s to kill" % what, before.__dict__):
        return
    if os.path.exists(world.path("work", "stream.s")):
        os.unlink(world.path("work", "stream.s"))
    number = first.start(CLIENT + "stream stream.s both.svc.test 7")
    wait_for(lambda: state(world, "stream.s")[0] > 3)
    # Answers are cached in the worker; a fresh name needs the resolver.
    os.kill(victim, signal.SIGKILL)
    killed = time.monotonic()
    fresh = "http://k%d.wild.test/" % victim
    neighbour = second.act(CURL + "http://denied.svc.test/")
    tap.point(neighbour.status == 0 and neighbour.at_once(),
              what + " killed: another sandbox's names are served", neighbour)
    refuses(first, tap, what + " killed")
    spent = served_again(first, CURL + fresh, 30 if GUEST else 10)
    took = time.monotonic() - killed
    tap.point(spent is not None, what + " killed: new names are served again")
    tap.point(spent is not None and (GUEST or took < 2.5),
              what + " killed: within a second (and the time of what was tried before)",
              "%.1f s" % took)
    good = goes_on(world, "stream.s")
    tap.point(good, what + " killed: a direct connection goes on", state(world, "stream.s"))
    after = Roles(first.process.pid)
    tap.point(find(after) and find(after) != victim, what + " killed: there is a new one",
              after.__dict__)
    same = Roles(second.process.pid)
    tap.point(same.__dict__ == other.__dict__, what + " killed: the other sandbox has its own yet",
              other.__dict__, same.__dict__)
    world.write("work/stream.s.stop", "")
    done = first.wait(number)
    tap.point(done.status == 0, what + " killed: and ends when it wants to", done)


def agains(inside, find, tap, what):
    """How soon names are served when nothing else is tried in between."""
    worst = 0
    for i in range(3):
        victim = find(Roles(inside.process.pid))
        if not victim:
            tap.point(False, what + " killed again: there is none")
            return
        os.kill(victim, signal.SIGKILL)
        spent = served_again(
            inside, "curl -sS --max-time 5 http://again%d-%d.wild.test/" % (i, victim), 20)
        worst = max(worst, 99 if spent is None else spent)
        time.sleep(0.3)
    tap.point(worst < (20 if GUEST else 1), what + " killed three times: served within a second",
              "worst %.2f s" % worst)


def kill_owner(world, sandboxes, tap):
    """kill -9 of one run: its agents die with it, the other's do not."""
    first, second = sandboxes
    second.start(CLIENT + "stream stream.two denied.svc.test 7")
    wait_for(lambda: state(world, "stream.two")[0] > 3)
    first.process.kill()
    first.process.wait()
    tap.point(goes_on(world, "stream.two"), "openshell run killed: another sandbox goes on",
              state(world, "stream.two"))
    owned = wait_for(lambda: len(processes("openshell-proxy")) <= 3, 5)
    tap.point(owned, "openshell run killed: its helpers go with it", processes("openshell-proxy"))


def kill_supervisor(world, second, tap):
    """kill -9 of openshell-supervisor, whose pins the next one adopts."""
    supervisor = start_supervisor(world, tap)
    pins = sorted(os.listdir("/sys/fs/bpf/openshell"))
    supervisor.kill()
    supervisor.wait()
    tap.point(goes_on(world, "stream.two"), "supervisor killed: a direct connection goes on")
    done = second.act(CURL + "http://denied.svc.test/")
    tap.point(done.status == 0, "supervisor killed: names are served", done)
    done = second.act(CURL + "http://both.svc.test/")
    tap.point(done.status and re.search(NO_NAME, done.text), "and refused", done)
    tap.point(sorted(os.listdir("/sys/fs/bpf/openshell")) == pins, "its pins are there")
    supervisor = start_supervisor(world, tap)
    tap.point(sorted(os.listdir("/sys/fs/bpf/openshell")) == pins, "and the next one adopts them")
    tap.point(goes_on(world, "stream.two"), "under which the connection goes on")
    supervisor.terminate()
    tap.point(supervisor.wait() == 0, "it ends well")


HOLD = """  held:
    endpoints: [{host: extra.svc.test, port: 7}]
    binaries: [{path: /usr/bin/python3}]
"""


def change(inside, policy, text, tap, what):
    with open(policy + ".next", "w", encoding="utf-8") as out:
        out.write(text)
    if os.path.exists(policy + ".result"):
        os.unlink(policy + ".result")
    inside.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: os.path.exists(policy + ".result"), 60 if GUEST else 10)
    told = ""
    if os.path.exists(policy + ".result"):
        with open(policy + ".result", encoding="utf-8") as result:
            told = result.read().strip()
    return tap.point(told == "ok", what, told)


def switch(world, tap):
    """A policy that changes under an agent: its connections are kept or ended one by one."""
    with_extra, without = rows.policy(world, HOLD), rows.policy(world)
    policy = world.write("changing.yaml", with_extra)
    inside = Sandbox(world, policy, "changing", ["switch"])
    kept = inside.start(CLIENT + "stream stream.kept both.svc.test 7")
    ended = inside.start(CLIENT + "stream stream.ended extra.svc.test 7")
    good = wait_for(lambda: min(state(world, "stream.kept")[0],
                                state(world, "stream.ended")[0]) > 3, 30)
    if not tap.point(good, "two connections by name", inside.why(), state(world, "stream.kept"),
                     state(world, "stream.ended")):
        return
    given = inside.act(CLIENT + "dns extra.svc.test A").text.split()
    if change(inside, policy, without, tap, "the policy changes"):
        over = wait_for(lambda: state(world, "stream.ended")[1], 6)
        tap.point(over, "the connection that it revokes ends", state(world, "stream.ended"))
        done = inside.wait(ended)
        tap.point(done.status == 1 and re.search("ECONNABORTED|ECONNRESET|EPERM|EPIPE|ETIMEDOUT",
                                                 state(world, "stream.ended")[1]),
                  "with an error for its program", done, state(world, "stream.ended"))
        tap.point("TimeoutError" not in state(world, "stream.ended")[1],
                  "and not by a timeout", state(world, "stream.ended"))
        tap.point(goes_on(world, "stream.kept"), "the one that it admits goes on",
                  state(world, "stream.kept"))
        done = inside.act(CLIENT + "tcp extra.svc.test 7")
        tap.point(done.status and done.at_once() and re.search(NO_NAME, done.text),
                  "the name is refused now", done)
        done = inside.act(CLIENT + "literal %s 7" % (given[2] if len(given) > 2 else "198.18.0.1"))
        tap.point(re.search(EPERM, done.text) and done.at_once(),
                  "and so is the synthetic address that it had", given, done)
    if change(inside, policy, with_extra, tap, "the policy changes back"):
        again = inside.act(CLIENT + "dns extra.svc.test A").text.split()
        tap.point(given[:3] == again[:3] and len(given) > 2, "the name has the address that it had",
                  given, again)
        good = wait_for(lambda: inside.act(CLIENT + "tcp extra.svc.test 7").status == 0, 5)
        tap.point(good, "and is admitted again")
        tap.point(goes_on(world, "stream.kept"), "while the other connection has never stopped",
                  state(world, "stream.kept"))
    wanders(world, inside, policy, without, tap)
    bad = without.replace("port: 443", "port: 0").replace("version: 1", "version: 2")
    with open(policy + ".next", "w", encoding="utf-8") as out:
        out.write(bad)
    os.unlink(policy + ".result")
    inside.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: os.path.exists(policy + ".result"))
    done = inside.act(CURL + "http://both.svc.test/")
    with open(policy + ".result", encoding="utf-8") as result:
        told = result.read()
    tap.point("ok" != told.strip() and "reached one" in done.text,
              "a policy that is refused changes nothing", told, done)
    tap.point(state(world, "stream.kept")[1] == "", "no connection was lost")
    inside.end()
    inside.wait(kept)


def wanders(world, inside, policy, text, tap):
    """A connection stays when its name has moved elsewhere, whether or not the policy changes."""
    number = inside.start(CLIENT + "stream stream.moved moving.svc.test 7")
    if not tap.point(wait_for(lambda: state(world, "stream.moved")[0] > 3, 30),
                     "a connection to a name that will move", state(world, "stream.moved")):
        return
    world.move("203.0.113.21")
    good = wait_for(lambda: "reached one 203.0.113.21" in
                    inside.act(CURL + "http://moving.svc.test/").text, 20)
    tap.point(good, "new connections go where the name is now")
    tap.point(goes_on(world, "stream.moved"), "the old one goes on", state(world, "stream.moved"))
    if change(inside, policy, text, tap, "the policy changes, and has that name still"):
        time.sleep(1)
        tap.point(goes_on(world, "stream.moved"), "and the old connection goes on",
                  state(world, "stream.moved"))
        done = inside.act(CURL + "http://moving.svc.test/")
        tap.point("reached one 203.0.113.21" in done.text, "beside new ones", done)
    world.write("work/stream.moved.stop", "")
    inside.wait(number)
    world.move("203.0.113.10")


def from_nothing(world, tap):
    """The first policy with names comes when the agent runs, and goes again."""
    policy = world.write("nothing.yaml", BASE)
    inside = Sandbox(world, policy, "nothing", ["switch"])
    get = CURL + "http://both.svc.test/"

    def nowhere(what):
        done = inside.act(get)
        tap.point(done.status and done.at_once() and re.search(NO_NAME, done.text), what, done)
        done = inside.act(CLIENT + "literal 203.0.113.12 7")
        tap.point(re.search(EPERM, done.text) and done.at_once(), what + ", nor to an address", done)

    nowhere("without a network section nothing gets out by name")
    if change(inside, policy, rows.policy(world), tap, "the first policy with names"):
        done = inside.act(get)
        tap.point(done.status == 0 and "reached one" in done.text, "serves them", done)
    if change(inside, policy, BASE, tap, "a policy without names again"):
        nowhere("takes them away")
    if change(inside, policy, rows.policy(world), tap, "and another with names"):
        done = inside.act(get)
        tap.point(done.status == 0 and "reached one" in done.text, "serves them again", done)
    tap.point(inside.end() == 0, "and the agent ends well", inside.why())


def main():
    folder, cgroup = sys.argv[1:3]
    tap = Tap()
    with World(folder) as world:
        programs(world)
        outside = Outside(world)
        supervisor = start_supervisor(world, tap) if GUEST else None
        first = Sandbox(world, world.write("policy.yaml", rows.policy(world)), "first")
        second = Sandbox(world, world.write("second.yaml", SECOND), "second")
        both = (first, second)
        for sandbox in both:
            done = sandbox.act("true")
            if not tap.point(done.status == 0, "an agent starts", done, sandbox.why()):
                return tap.finish()
        done = first.act(CURL + "http://both.svc.test/")
        tap.point(done.status == 0, "names are served", done)
        for command in (CLIENT + "literal 203.0.113.12 7", CURL + "http://denied.svc.test/"):
            done = outside.act(command)
            tap.point(done.status == 0, "free outside: " + command, done)
        kill_one(world, both, tap, "worker", Roles.worker)
        kill_one(world, both, tap, "resolver", Roles.resolver)
        kill_one(world, both, tap, "zygote", lambda roles: (roles.zygote or [None])[0])
        agains(first, Roles.worker, tap, "worker")
        agains(first, Roles.resolver, tap, "resolver")
        kill_owner(world, both, tap)
        if not GUEST:
            kill_supervisor(world, second, tap)
        tap.point(second.end() == 0, "the other agent ends well", second.why())
        switch(world, tap)
        from_nothing(world, tap)
        if supervisor:
            supervisor.terminate()
            supervisor.wait()
        outside.end()
        # What the killed one left is the next start's to take.
        swept = subprocess.run(
            ["openshell", "run", "--workdir", world.path("work"), "--no-tty", "--", "true"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        tap.point(swept.returncode == 0, "the next start works", swept.stderr)
        left = left_behind(world, cgroup)
        tap.point(not left, "and nothing is left behind", *left)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())

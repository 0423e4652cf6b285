#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Faults: clients and servers that are slow, stop anywhere or speak nonsense, too many connections,
a worker that is killed. Nothing may hang, leak, or get through unjudged. Prints TAP.

usage: faults.py FOLDER CGROUP [--outside] [PART..]     (by ../names/instance.sh)
"""
import os
import re
import signal
import subprocess
import sys
import time

from agents import ProxySandbox, outside_agent
from hostile import ODD
from policy import policy
from proxy_world import PYTHON, ProxyWorld, wait_for
from rows import CURL
from sandbox import Roles, Tap, left_behind

STRESS = PYTHON + " stress.py "
IDLE = 10000


class Worker:
    """The process behind one sandbox's requests, as the kernel counts it."""

    def __init__(self, sandbox):
        self.sandbox = sandbox

    @property
    def pid(self):
        return Roles(self.sandbox.process.pid).worker()

    def files(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))

    def kib(self):
        with open("/proc/%d/smaps_rollup" % self.pid, encoding="ascii") as rollup:
            return sum(int(line.split()[1]) for line in rollup
                       if line.startswith(("Private_Dirty:", "Private_Clean:")))

    def milliseconds(self):
        """Of processor time that it has taken."""
        with open("/proc/%d/stat" % self.pid, encoding="ascii") as stat:
            words = stat.read().rpartition(")")[2].split()
        return sum(map(int, words[11:13])) * 1000 // os.sysconf("SC_CLK_TCK")


def state(world, name):
    try:
        with open(world.path("work", name), encoding="ascii") as told:
            return told.read().strip()
    except OSError:
        return ""


def begin(world, agent, name, act):
    for old in (name, name + ".stop"):
        if os.path.exists(world.path("work", old)):
            os.unlink(world.path("work", old))
    return agent.start(act)


def stop(world, agent, name, number):
    world.write("work/%s.stop" % name, "")
    return agent.wait(number)


def serves(inside, tap, when):
    """What is allowed is served and what is denied is denied, at once."""
    good = inside.act(CURL + "https://api.svc.test/v1/items/7")
    bad = inside.act(CURL + "https://api.svc.test/v2/x")
    tap.point("=200 " in good.text and "=403 " in bad.text and good.ms < 2000 and bad.ms < 2000,
              when + ": requests are judged and served", good, bad)


def settles(worker, before, tap, what):
    """As many descriptors as before, but for what may be kept for the next request."""
    spare = 64
    good = wait_for(lambda: worker.files() <= before + spare, 20)
    tap.point(good, what + ": no descriptor is left", "%d, were %d" % (worker.files(), before))


def cut(world, agent, tap, free):
    """A server or a client that stops after each byte."""
    for scheme in ("http", "https"):
        url = scheme + "://hostile.svc.test"
        for kind in ("cut", "chunks"):
            for end in ("fin", "rst"):
                done = agent.act("%s cuts %s %s %s" % (STRESS, url, kind, end))
                good = re.search(r"^ok .*(502|cut) [1-9]\d", done.text)
                tap.point(good, "%s, %s: a server that stops after each byte, %s%s"
                          % (scheme, kind, end, free), done)
        for end in ("fin", "rst"):
            mark = world.mark()
            done = agent.act("%s resets %s://full.svc.test/x %s" % (STRESS, scheme, end))
            tap.point(done.text.startswith("ok") and not any(
                entry["what"] == "body" for entry in world.seen(mark)),
                      "%s: a client that stops after each byte, %s%s" % (scheme, end, free), done)
    for end in ("fin", "rst"):
        done = agent.act("%s hellos https://api.svc.test/ %s" % (STRESS, end))
        tap.point(done.text.startswith("ok"),
                  "a client that stops after each byte of its hello, %s%s" % (end, free), done)


def nonsense(agent, tap):
    """What is no answer is never passed on as one, nor what follows an answer as another."""
    for name in ODD:
        for scheme in ("http", "https"):
            url = scheme + "://hostile.svc.test/"
            done = agent.act(CURL + url + "odd/" + name + "; " + CURL + url + "ok")
            first, _, second = done.text.rpartition("000,001")
            if name in ("extra", "interim"):
                good = re.search("=(200|502) ", done.text)
            else:
                good = re.search("(?s)upstream_unreachable.*=502 ", first) or \
                    re.search("curl: .*(18|56|92)", first)
            good = good and "stolen" not in done.text and re.search("=200 ", second)
            tap.point(good, "an answer that is none: %s, %s" % (name, scheme), done)


def flood(inside, tap):
    """A server that is faster than the worker keeps nobody else waiting."""
    acts = [inside.start(CURL + "--max-time 6 http://hostile.svc.test/informs") for _ in range(2)]
    time.sleep(1)
    serves(inside, tap, "beside a server that informs without end")
    for act in acts:
        done = inside.wait(act)
        tap.point("=502 " in done.text, "which is given up", done)


def slowness(world, inside, worker, tap):
    loop = begin(world, inside, "loop", STRESS + "loop https://api.svc.test/v1/items/1 loop")
    slow = [inside.start(STRESS + "slow %s://api.svc.test/v1/items/1 200 6" % scheme)
            for scheme in ("http", "https")]
    for number in slow:
        done = inside.wait(number)
        tap.point(done.status == 0, "400 clients whose heads come byte by byte", done)
    done = stop(world, inside, "loop", loop)
    found = re.search(r"good (\d+) bad (\d+) gap (\d+)", done.text)
    tap.point(found and int(found[1]) > 50 and found[2] == "0" and int(found[3]) < 1000,
              "keep no other waiting", done)
    before = worker.kib()
    reader = begin(world, inside, "trickle",
                   STRESS + "trickle https://static.svc.test/big 1000000 trickle")
    wait_for(lambda: state(world, "trickle"))
    time.sleep(3)
    grown = worker.kib() - before
    tap.point(grown < 4096, "a client that reads slowly is not read ahead for", "%d KiB" % grown)
    stop(world, inside, "trickle", reader)
    before = worker.kib()
    upload = inside.start("head -c 30000000 /dev/zero | " + CURL +
                          "--max-time 4 -T - -H 'Content-Length: 30000000' "
                          "-H 'Transfer-Encoding:' https://hostile.svc.test/slow")
    time.sleep(2)
    grown = worker.kib() - before
    tap.point(grown < 4096, "nor is a server that reads slowly written ahead for",
              "%d KiB" % grown)
    inside.wait(upload)
    done = inside.act("head -c 30000000 /dev/zero | " + CURL +
                      "--data-binary @- https://hostile.svc.test/early")
    tap.point("=413 " in done.text, "an answer before the body was read is passed on", done)
    done = inside.act(CURL + "https://hostile.svc.test/drip/5")
    tap.point("=200 " in done.text and "000,001" in done.text, "an answer byte by byte", done)
    done = inside.act(CURL + "--max-time 2 https://hostile.svc.test/silent")
    tap.point(done.status == 28, "a server that says nothing is waited for as long as its client "
              "does", done)
    serves(inside, tap, "after slow ones")


def many(world, inside, worker, tap):
    """10,000 that have been served and may ask again, beside those that never asked."""
    files, kib = worker.files(), worker.kib()
    parts = 5
    acts = [begin(world, inside, "idle%d" % i,
                  STRESS + "idle http://api.svc.test/v1/items/1 %d idle%d" % (IDLE // parts, i))
            for i in range(parts)]
    held = wait_for(lambda: all("held" in state(world, "idle%d" % i) for i in range(parts)), 80)
    told = [state(world, "idle%d" % i) for i in range(parts)]
    tap.point(held and all("held %d" % (IDLE // parts) == text for text in told),
              "%d idle connections" % IDLE, *told)
    each = (worker.kib() - kib) / IDLE
    print("# %.1f KiB each, %d descriptors" % (each, worker.files()))
    busy = worker.milliseconds()
    time.sleep(2)
    busy = worker.milliseconds() - busy
    tap.point(busy < 200, "cost no processor time", "%d ms in 2 s" % busy)
    serves(inside, tap, "beside them")
    for i, number in enumerate(acts):
        done = stop(world, inside, "idle%d" % i, number)
        tap.point("held %d alive %d" % (IDLE // parts, IDLE // parts) in done.text,
                  "and are served again", done)
    settles(worker, files, tap, "when they are gone")
    act = begin(world, inside, "bare", STRESS + "bare https://api.svc.test/ 2000 bare")
    wait_for(lambda: "held" in state(world, "bare"), 30)
    tap.point("held 2000" in state(world, "bare"), "2000 connections that say nothing",
              state(world, "bare"))
    serves(inside, tap, "beside them")
    stop(world, inside, "bare", act)
    settles(worker, files, tap, "when they are gone")


def exhausted(world, inside, worker, tap):
    """A worker that gets no more descriptors says no, waits for some, or makes room for another: it
    neither hangs nor lets through what it has not seen."""
    files, pid = worker.files(), worker.pid

    def limit(more):
        """To what the worker has now and so many. As itself: not every root may change others."""
        now = worker.pid
        with open("/proc/%d/status" % now, encoding="ascii") as status:
            uid = re.search(r"^Uid:\s+(\d+)", status.read(), re.M)[1]
        subprocess.run(["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", "prlimit",
                        "--pid", str(now), "--nofile=%d:" % (worker.files() + more)], check=True)

    act = begin(world, inside, "bare", STRESS + "bare http://api.svc.test/ 100 bare")
    wait_for(lambda: "held" in state(world, "bare"), 10)
    time.sleep(0.5)
    limit(8)
    mark = world.mark()
    done = inside.act(STRESS + "crowd https://api.svc.test/v1/items/1 60")
    tap.point(done.text.startswith("ok"), "60 at once where there are descriptors for 4", done)
    limit(8)
    done = inside.act(STRESS + "crowd https://api.svc.test/v2/x 60")
    tap.point(done.text.startswith("ok") and not any("/v2/x" in line for line in
                                                     world.lines(mark)),
              "60 that are denied: none gets through", done)
    limit(0)
    done = inside.act(STRESS + "crowd http://api.svc.test/v1/items/1 20")
    tap.point(done.text.startswith("ok"), "20 where there is none: an answer, or the end", done)
    busy = worker.milliseconds()
    time.sleep(1)
    tap.point(worker.milliseconds() - busy < 300, "and no loop over what cannot be accepted",
              "%d ms in 1 s" % (worker.milliseconds() - busy))
    limit(2000)
    stop(world, inside, "bare", act)
    if worker.pid != pid:
        print("# one worker made room for another")
    serves(inside, tap, "with descriptors again")
    settles(worker, files, tap, "afterwards")


def killed(world, inside, worker, tap):
    """kill -9 under load: what is direct notices nothing, what is proxied goes on in a second."""
    url = "https://api.svc.test/v1/items/1"
    acts = {
        "direct": begin(world, inside, "direct", STRESS + "loop https://plain.svc.test/ direct"),
        "proxied": begin(world, inside, "proxied", STRESS + "loop %s proxied" % url),
    }
    mark = world.mark()
    waits = inside.start("curl -sS --max-time 60 https://hostile.svc.test/silent")
    wait_for(lambda: all("good" in state(world, name) for name in acts))
    world.saw(mark, "^hostile.*silent", 5)
    for i in range(5):
        old = worker.pid
        time.sleep(0.7)
        os.kill(old, signal.SIGKILL)
        start = time.monotonic()
        done = None
        while time.monotonic() < start + 10:
            done = inside.act("curl -sS --max-time 5 " + url)
            if done.status == 0:
                break
        tap.point(done.status == 0 and worker.pid not in (None, old),
                  "worker killed, %d: another serves" % (i + 1), done)
    for name, number in acts.items():
        done = stop(world, inside, name, number)
        found = re.search(r"good (\d+) bad (\d+) gap (\d+)", done.text)
        bad, gap = (int(found[2]), int(found[3])) if found else (1, 10000)
        tap.point(gap < 1000 and (name == "proxied" or bad == 0),
                  "%s traffic under it: no gap of a second" % name, done)
    # What the worker had in its hands is lost with it, and ends at once.
    done = inside.wait(waits)
    tap.point(done.status not in (0, 28) and done.ms < 15000, "what it had in its hands has ended",
              done)
    mark = world.mark()
    done = inside.act(CURL + "https://api.svc.test/v2/x")
    tap.point("=403 " in done.text and world.quiet(mark), "and what is denied is denied yet", done)


def main():
    folder, cgroup = sys.argv[1:3]
    alone = "--outside" in sys.argv[3:]
    wanted = [word for word in sys.argv[3:] if not word.startswith("-")]
    tap = Tap()
    ProxyWorld.big = 64 << 20
    with ProxyWorld(folder) as world:
        outside = outside_agent(world)
        if alone:
            cut(world, outside, tap, ": outside")
            return tap.finish()
        inside = ProxySandbox(world, policy(world), "faults")
        first = inside.act("true")
        if not tap.point(first.status == 0, "an agent starts", first, inside.why()):
            return tap.finish()
        serves(inside, tap, "at first")
        worker = Worker(inside)
        files = worker.files()
        parts = {
            "cut": lambda: cut(world, inside, tap, ""),
            "free": lambda: cut(world, outside, tap, ": outside"),
            "nonsense": lambda: nonsense(inside, tap),
            "flood": lambda: flood(inside, tap),
            "slow": lambda: slowness(world, inside, worker, tap),
            "many": lambda: many(world, inside, worker, tap),
            "exhausted": lambda: exhausted(world, inside, worker, tap),
            "killed": lambda: killed(world, inside, worker, tap),
        }
        for name in wanted or parts:
            parts[name]()
        serves(inside, tap, "after all of it")
        settles(worker, files, tap, "after all of it")
        tap.point(inside.end() == 0, "the agent ends well", inside.why())
        outside.end()
        left = left_behind(world, cgroup)
        tap.point(not left, "nothing is left behind", *left)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())

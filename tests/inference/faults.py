#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Providers that fail, stall, flood or vanish in mid-stream, and agents that leave: clients are told, no
other is kept waiting, nothing is left. Prints TAP.

usage: faults.py FOLDER CGROUP [PART..]     (by ../names/instance.sh)
"""
import os
import re
import signal
import sys
import time

from inference_world import (CURL, InferenceSandbox, InferenceWorld, URL, openai, post, refused, route,
                             sdk, wait_for)
from sandbox import Roles, Tap, left_behind

FAULTS = ("rst", "fin", "line", "gap", "slow", "stall", "garbage", "closes", "big", "heads", "gzip",
          "endless", "flood", "silent")
UNREACHED = (("expired", "expired"), ("wrong", "name|match"), ("self", "self.signed"),
             ("stranger", "issuer|authority|verif|unknown"), ("down", "refused"))
# Where a server may drop what it serves: HTTP/1.1 alone.
HOST = "faulty.svc.test:8443"


def all_routes():
    routes = [openai("good")]
    for name in FAULTS:
        routes.append(openai(name, "/x-" + name, HOST, timeout=1 if name in ("slow", "stall") else 60))
    routes.append(route("claude", "anthropic", "real-claude", "https://%s" % HOST))
    routes += [route("claude-" + name, "anthropic", "real-" + name, "https://%s/x-%s" % (HOST, name))
               for name in ("rst", "fin", "line", "garbage")]
    return routes


class Worker:
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


def chat(model, stream=False, options=""):
    return post("/v1/chat/completions", {"model": model, "messages": [], "stream": stream}, options)


def serves(inside, tap, when):
    done = inside.act(chat("good"))
    tap.point("=200" in done.text and done.ms < 2000, when + ": the next is served", done)


def broken(inside, tap):
    """A stream that ends too early says so, and is no stream that ended."""
    for name in ("rst", "fin", "line"):
        done = inside.act(chat(name, True, "-N"))
        lines = done.text.split("\n")
        told = [line for line in lines if line.startswith("data: ") and "stream_truncated" in line]
        tap.point('"content":"word1 "' in done.text and len(told) == 1,
                  "%s: what came is passed on, then an error" % name, done)
        done = inside.act(chat(name, True, "-N --http2"))
        tap.point("stream_truncated" in done.text, name + ", HTTP/2: likewise", done)
        done = inside.act(sdk("chat", name, stream=1))
        # Half an event cannot be taken back: it is no JSON, which is said before what follows it.
        why = "SyntaxError|stream_truncated" if name == "line" else "error .*stream_truncated"
        tap.point(done.status == 1 and re.search(why, done.text),
                  "%s: the client openai raises" % name, done)
        done = inside.act(post("/v1/messages", {"model": "claude-" + name, "max_tokens": 1,
                                                "messages": [], "stream": True}, "-N"))
        tap.point(re.search(r"^event: error\r?\ndata: .*stream_truncated", done.text, re.M),
                  "%s: messages end with event: error" % name, done)
        done = inside.act(sdk("messages", "claude-" + name, stream=1))
        tap.point(done.status == 1 and "stream_truncated" in done.text,
                  "%s: the client anthropic raises" % name, done)
    inside.mark()
    inside.act(chat("rst", True))
    tap.point(inside.told("API:INFERENCE .*route:rst .*error:stream_truncated"), "it is told", inside.log()[inside.at:])


def slow(inside, tap):
    done = inside.act(sdk("chat", "gap", stream=1, prompt="n=6"))
    tap.point(done.status == 0 and "word5 " in done.text and done.ms >= 5000,
              "five seconds between two chunks are fine", done)
    for name in ("slow", "stall"):
        done = inside.act(chat(name))
        tap.point(re.search("provider_timeout|=000|curl: ", done.text) and done.ms < 3500,
                  "%s: no answer within the route's time" % name, done)
    done = inside.act(chat("slow"))
    tap.point(refused(done, 503, "provider_timeout"), "503 provider_timeout", done)
    serves(inside, tap, "after slow ones")


def nonsense(inside, tap):
    for name in ("garbage", "closes", "heads"):
        for stream in (False, True):
            done = inside.act(chat(name, stream))
            tap.point(refused(done, 502, "provider_failed"), "%s%s: 502" % (
                name, ", asked for a stream" if stream else ""), done)
    done = inside.act(sdk("messages", "claude-garbage"))
    tap.point("error 502 provider_failed" in done.text, "which the client anthropic reads", done)
    serves(inside, tap, "after nonsense")


def alone(world, tap):
    """Routes that cannot be reached, with no other to pass over to."""
    routes = {name: openai(name, host=name + ".svc.test") for name, _ in UNREACHED}
    path = world.routes([], name="alone.routes.yaml")
    inside = InferenceSandbox(world, path, "alone", ["--no-verify"])
    inside.act("true")
    for name, why in UNREACHED:
        world.routes([routes[name]], name="alone.routes.yaml")
        wait_for(lambda: "not_configured" not in inside.act(chat("x")).text, 5)
        inside.mark()
        found = wait_for(lambda name=name: inside.act(chat("x")) and inside.told(
            "API:INFERENCE .*route:%s " % name, 1), 5)
        done = inside.act(chat("x"))
        good = refused(done, 503, "provider_unreachable") if name == "down" else \
            refused(done, 502, "provider_failed")
        tap.point(found and good, "%s: %d" % (name, 503 if name == "down" else 502), done, inside.why())
        tap.point(inside.told(r"API:INFERENCE .*route:%s .*\[reason:.*(?i:%s)" % (name, why)),
                  "with the reason told", inside.log()[inside.at:])
    tap.point(inside.end() == 0, "it ends well", inside.why())


def bulk(world, inside, worker, tap):
    """What is big goes through, and is not kept."""
    before, most = worker.kib(), 0
    number = inside.start(CURL + "--limit-rate 12M -o big.json -H 'Content-Type: application/json' -d "
                          "'{\"model\":\"big\",\"messages\":[]}' %s/v1/chat/completions; "
                          "tail -c 80 big.json; stat -c ' size %%s' big.json" % URL)
    while number not in inside.done and None not in inside.done:
        most = max(most, worker.kib() - before)
        time.sleep(0.1)
    done = inside.wait(number)
    size = re.search(r"size (\d+)", done.text)
    tap.point("=200" in done.text and size and int(size[1]) > 40 << 20 and "completion_tokens" in done.text,
              "a body of 40 MB goes through", done)
    tap.point(most < 4096, "and is not kept in memory", "%d KiB more" % most)
    done = inside.act("timeout 20 " + sdk("chat", "big"))
    tap.point(done.status == 0, "for the client openai too", done)
    # An agent that does not read: the provider is not read ahead for.
    before = worker.kib()
    number = inside.start("timeout 6 " + chat("flood", True, "-N --limit-rate 1000 -o /dev/null"))
    time.sleep(4)
    grown = worker.kib() - before
    tap.point(grown < 4096, "an agent that reads slowly is not read ahead for", "%d KiB more" % grown)
    inside.wait(number)
    for stream in (False, True):
        inside.mark()
        done = inside.act(chat("gzip", stream, "-N --compressed"))
        tap.point("=200" in done.text and "word2 " in done.text, "gzip goes through%s" % (
            ", a stream" if stream else ""), done)
        if not stream:
            tap.point(inside.told("API:INFERENCE .*route:gzip.*tokens:11\\+7"), "and is counted",
                      inside.log()[inside.at:])
    # Whether it is passed on as it came: inflated here, it is what the provider sent.
    done = inside.act(chat("gzip", False, "-H 'Accept-Encoding: gzip' -o z.gz -D z.head") +
                      "; gzip -dc z.gz; grep -i content-encoding z.head")
    tap.point("word2 " in done.text and re.search("(?i)content-encoding: gzip", done.text),
              "as it came", done)
    serves(inside, tap, "after much")


def gone_since(world, mark, path):
    return [entry for entry in world.seen(mark) if entry["what"] == "gone" and path in entry["url"]]


def leaving(world, inside, worker, tap):
    """Who leaves takes the provider's connection with them, within a second."""
    files = worker.files()
    for what, act in (("curl, killed", "timeout -s KILL 1 " + chat("endless", True, "-N")),
                      ("HTTP/2", "timeout -s KILL 1 " + chat("endless", True, "-N --http2")),
                      ("the client openai", sdk("chat", "endless", stream=1, after=3)),
                      ("one who waits for an answer", "timeout -s KILL 1 " + chat("silent")),
                      ("one who does by HTTP/2", "timeout -s KILL 1 " + chat("silent", False, "--http2"))):
        mark = world.mark()
        done = inside.act(act)
        left = time.time() * 1000
        path = "/x-silent/" if what.startswith("one who") else "/x-endless/"
        gone = wait_for(lambda: gone_since(world, mark, path), 5)
        late = gone_since(world, mark, path)[0]["at"] - left if gone else None
        tap.point(gone and late < 1000, "%s: the provider is left" % what, late, done,
                  *world.lines(mark))
    tap.point(wait_for(lambda: worker.files() <= files + 8, 5), "no descriptor is left",
              "%d, were %d" % (worker.files(), files))
    serves(inside, tap, "after those that left")


def many(inside, worker, tap):
    """200 streams at once, whole, by the client and on one HTTP/2 connection."""
    files = worker.files()
    number = inside.start(sdk("chat", "good", stream=1, count=200, prompt="n=100 gap=30"))
    time.sleep(4)
    print("# %d descriptors under 200 streams" % worker.files())
    done = inside.wait(number)
    tap.point("ok 200 same 1" in done.text, "200 streams at once", done)
    done = inside.act(sdk("h2", "good", stream=1, count=100, prompt="n=100 gap=10"))
    tap.point(done.text.count('"200 ') == 100 and len(set(re.findall(r'"200 (\d+)"', done.text))) == 1,
              "100 on one HTTP/2 connection", done)
    tap.point(wait_for(lambda: worker.files() <= files + 210, 20), "descriptors settle",
              "%d, were %d" % (worker.files(), files))
    serves(inside, tap, "after many")


def killed(inside, worker, tap):
    """A worker that dies in mid-stream takes that stream, and nothing else."""
    number = inside.start(chat("good", True, "-N") + "; true")
    stream = inside.start(sdk("chat", "endless", stream=1))
    inside.wait(number)
    time.sleep(2)
    old = worker.pid
    os.kill(old, signal.SIGKILL)
    start = time.monotonic()
    done = None
    while time.monotonic() < start + 10:
        done = inside.act(chat("good"))
        if "=200" in done.text:
            break
    tap.point("=200" in done.text and time.monotonic() - start < 3 and worker.pid not in (None, old),
              "worker killed: another serves", done, "%.1f s" % (time.monotonic() - start))
    done = inside.wait(stream)
    tap.point(done.status == 1, "the stream it had has ended, and the client knows", done)


def main():
    folder, cgroup = sys.argv[1:3]
    wanted = sys.argv[3:]
    tap = Tap()
    with InferenceWorld(folder) as world:
        inside = InferenceSandbox(world, world.routes(all_routes()), "faults", ["--no-verify"])
        first = inside.act("true")
        if not tap.point(first.status == 0, "an agent starts", first, inside.why()):
            return tap.finish()
        serves(inside, tap, "at first")
        worker = Worker(inside)
        parts = {
            "broken": lambda: broken(inside, tap),
            "slow": lambda: slow(inside, tap),
            "nonsense": lambda: nonsense(inside, tap),
            "alone": lambda: alone(world, tap),
            "bulk": lambda: bulk(world, inside, worker, tap),
            "leaving": lambda: leaving(world, inside, worker, tap),
            "many": lambda: many(inside, worker, tap),
            "killed": lambda: killed(inside, worker, tap),
        }
        for name in wanted or parts:
            parts[name]()
        tap.point(inside.end() == 0, "the agent ends well", inside.why())
        left = left_behind(world, cgroup)
        tap.point(not left, "nothing is left behind", *left)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())

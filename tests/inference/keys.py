#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Where a provider's key is: at the provider, in the worker and in whoever was given it; and nowhere that
an agent can see, whatever a provider repeats. Prints TAP.

usage: keys.py FOLDER CGROUP     (by ../names/instance.sh)
"""
import base64
import json
import os
import re
import sys
import urllib.parse
import zlib

from inference_world import (InferenceSandbox, InferenceWorld, KEYS, openai, post, route, sdk, wait_for)
from sandbox import Roles, Tap, left_behind

# Found by the same search, where it is put: it can find.
CANARY = "canary-" + os.urandom(16).hex()
ECHOES = ("echo", "echohead", "echosplit", "echostream", "echogzip", "echodeflate", "echoerror",
          "echodenied", "denies")
# Whose id is no secret: it is in every signature.
SECRETS = [value for name, value in KEYS.items() if name != "AWS_ACCESS_KEY_ID"]


def forms(values):
    """As they are, and as an encoding would hide them."""
    found = set()
    for value in values:
        plain = value.encode()
        found |= {plain, urllib.parse.quote(value, safe="").encode(), plain.hex().encode(), plain[::-1],
                  plain.decode().encode("utf-16-le")}
        for lead in (b"", b"x", b"xx"):
            # Inside of something longer: the letters that do not depend on what is around.
            found.add(base64.b64encode(lead + plain)[4 if lead else 0:-4])
    return found


KEYED, CANARIES = forms(SECRETS), forms([CANARY])


def leaks_in(data, what=None):
    return any(form in data for form in what or KEYED)


def descendants(pid):
    found = []
    try:
        for task in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/children" % (pid, task), encoding="ascii") as children:
                for child in children.read().split():
                    found += [int(child)] + descendants(int(child))
    except OSError:
        pass
    return found


def memory(pid):
    """What a process has in memory, piece by piece."""
    with open("/proc/%d/maps" % pid, encoding="utf-8") as maps, \
            open("/proc/%d/mem" % pid, "rb") as mem:
        for line in maps:
            words = line.split()
            start, end = (int(part, 16) for part in words[0].split("-"))
            if not words[1].startswith("r") or "[v" in line:
                continue
            tail = b""
            for at in range(start, end, 16 << 20):
                try:
                    mem.seek(at)
                    part = mem.read(min(16 << 20, end - at))
                except (OSError, ValueError, OverflowError):
                    break  # never written, or a device
                yield tail + part
                tail = part[-512:]


def in_memory(pid, what=None):
    try:
        return any(leaks_in(part, what) for part in memory(pid))
    except OSError:
        return False


def proc(pid, what=None):
    """The files of /proc/PID that hold one."""
    bad = []
    for name in ("environ", "cmdline", "comm", "status", "maps", "mountinfo", "stat", "auxv"):
        try:
            with open("/proc/%d/%s" % (pid, name), "rb") as file:
                if leaks_in(file.read(), what):
                    bad.append("/proc/%d/%s" % (pid, name))
        except OSError:
            pass
    return bad


def command(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace")[:120]
    except OSError:
        return "?"


def unpacked(data):
    """@data, and what it holds if it is compressed."""
    for bits in (31, 15):
        try:
            return data + zlib.decompressobj(bits).decompress(data)
        except zlib.error:
            pass
    return data


def answers(world, inside, tap):
    """Providers that repeat what they were sent: the key arrived there, and does not come back."""
    for name in ECHOES:
        for what, options in (("", "-i -N --raw"), (", HTTP/2", "-i -N --http2"),
                              (", packed", "-N --raw -H 'Accept-Encoding: gzip, deflate' -D - -o packed")):
            mark = world.mark()
            act = post("/v1/chat/completions", {"model": name, "messages": [],
                                                "stream": name == "echostream"}, options)
            done = inside.act("rm -f packed; " + act)
            text = done.text.encode(errors="replace")
            path = world.path("work", "packed")
            if os.path.exists(path):
                with open(path, "rb") as file:
                    text += unpacked(file.read())
            arrived = any(entry["headers"].get("authorization") == "Bearer " + KEYS["OPENAI_API_KEY"]
                          for entry in world.requests(mark))
            tap.point(arrived and not leaks_in(text), "%s%s: the key arrived, and did not come back" % (
                name, what), done, *world.lines(mark))
    done = inside.act(post("/v1/chat/completions", {"model": "echohead", "messages": []}, "-i"))
    tap.point("x-request-id: fine" in done.text and "x-seen" not in done.text,
              "fields that hold it are left out, others are not", done)
    for client in ("chat", "messages"):
        for name in ECHOES:
            model = name if client == "chat" else "claude-" + name
            done = inside.act(sdk(client, model, stream=1 if name == "echostream" else 0))
            tap.point(not leaks_in(done.text.encode()), "%s by %s: not for a client" % (name, client), done)
    # What may be said is said: a stream with no key in it is whole.
    done = inside.act(sdk("chat", "plain", stream=1, prompt="n=40"))
    tap.point(done.status == 0 and "word39 " in done.text, "what holds no key comes whole", done)
    for path, body in (("/model/x/invoke", {"messages": []}),
                       ("/v1/messages", {"model": "vertex", "max_tokens": 1, "messages": []})):
        mark = world.mark()
        done = inside.act(post(path, body, "-i"))
        keyed = [entry for entry in world.requests(mark) if "authorization" in entry["headers"]]
        tap.point(keyed and not leaks_in(done.text.encode()), path + ": likewise", done)


def during(world, inside, tap):
    """While a stream is under way, from outside, as root."""
    mark = world.mark()
    stream = inside.start("export CANARY=%s; " % CANARY + sdk("chat", "plain", stream=1,
                                                              prompt="n=400 gap=50"))
    tap.point(wait_for(lambda: world.requests(mark), 10), "a stream is under way", inside.why())
    roles = Roles(inside.process.pid)
    worker = roles.worker()
    tap.point(worker and in_memory(worker), "the worker has the keys (or this search finds nothing, ever)")
    everybody = set(descendants(inside.process.pid))
    ours = set(roles.zygote + roles.forked)
    agents = sorted(everybody - ours)
    tap.point(any(in_memory(pid, CANARIES) for pid in agents), "a canary is found in an agent's memory",
              *[command(pid) for pid in agents])
    tap.point(any(proc(pid, CANARIES) for pid in agents), "and in its environment")
    found = ["%d %s" % (pid, command(pid)) for pid in agents if in_memory(pid)]
    tap.point(len(agents) >= 3 and not found, "no process of the agent has a key in memory (%d)"
              % len(agents), *found)
    for pid in sorted(ours - {worker}):
        tap.point(not in_memory(pid), "nor has " + command(pid).strip())
    bad = [path for pid in everybody | {inside.process.pid} for path in proc(pid)]
    tap.point(not bad, "nothing in /proc has one", *bad)
    done = inside.act("env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'; "
                      "ps axewww 2>/dev/null")
    tap.point("CANARY" in done.text and not leaks_in(done.text.encode()),
              "nor is there one for an agent that looks", done.text[-300:])
    # Everything that an agent may read, by itself; what it finds must not be in its own arguments.
    world.write("work/canary.txt", CANARY + "\n")
    look = ("timeout 60 grep -rlaFf %s --exclude=%s --exclude-dir=node_modules "
            "/etc . /run /tmp /var/tmp /dev/shm /proc/self/environ 2>/dev/null; echo done")
    for name, values in (("for-canary", [CANARY]), ("for-keys", SECRETS)):
        world.write("work/" + name, "\n".join(value[:14] for value in values) + "\n")
        done = inside.act(look % (name, name))
        hits = [line for line in done.text.split() if line != "done"]
        os.unlink(world.path("work", name))
        if name == "for-keys":
            tap.point("done" in done.text and not hits, "no file in its view has a key", *hits)
        else:
            tap.point("./canary.txt" in hits, "but the canary's has the canary", done)
    done = inside.wait(stream)
    tap.point(done.status == 0 and "word399 " in done.text, "the stream ended whole", done)


def written(world, inside, tap):
    """Nothing that was written down but what providers saw, in the end."""
    for what, text in (("the log", inside.log()), ("what it said", inside.why()),
                       ("metrics", inside.metrics())):
        tap.point(text and not leaks_in(text.encode()), what + " has no key", text[-300:])
    tap.point(re.search('API:INFERENCE|"class_uid": ?6003', inside.log()), "the log tells of requests")
    tap.point("agents-key" not in inside.log() and "agents-secret" not in inside.log(),
              "nor what the agent sent for one")
    bad, seen = [], False
    for top in (world.dir, "/run", "/dev/shm"):
        for folder, _, names in os.walk(top):
            for name in names:
                where = os.path.join(folder, name)
                if "/node_modules/" in where or not os.path.isfile(where):
                    continue
                with open(where, "rb") as file:
                    data = file.read()
                if not leaks_in(data):
                    continue
                if "/seen/" in where:
                    seen = True
                else:
                    bad.append(where)
    tap.point(seen, "providers saw keys, and this search finds them")
    tap.point(not bad, "no other file has one", *bad)


def main():
    folder, cgroup = sys.argv[1:3]
    tap = Tap()
    vertex = "https://vertex.svc.test/x-echo/v1/projects/p1/locations/eu"
    routes = [openai("plain"), *[openai(name, "/x-" + name) for name in ECHOES],
              *[route("claude-" + name, "anthropic", "real-" + name,
                      "https://anthropic.svc.test/x-" + name) for name in ECHOES],
              route("bedrock", "aws-bedrock", "m", "https://bedrock.svc.test/x-echo", auth="sigv4",
                    region="eu-west-1"),
              route("vertex", "google-vertex-ai", "claude-x", vertex, project="p1", region="eu")]
    with InferenceWorld(folder) as world:
        for form, more in (("keys", []), ("keys-json", ["--log-format", "ocsf"])):
            inside = InferenceSandbox(world, world.routes(routes), form, ["--no-verify", *more])
            first = inside.act("true")
            if not tap.point(first.status == 0, "an agent starts", first, inside.why()):
                return tap.finish()
            answers(world, inside, tap)
            if not more:
                during(world, inside, tap)
            tap.point(inside.end() == 0, "the agent ends well", inside.why())
            written(world, inside, tap)
        left = left_behind(world, cgroup)
        tap.point(not left, "nothing is left behind", *left)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())

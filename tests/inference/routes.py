# SPDX-License-Identifier: Apache-2.0
"""Several routes: which is taken, what happens when one is down, limits, verification, and routes that
change under a running sandbox."""
import json
import os
import re
import subprocess
import time

from inference_world import (InferenceSandbox, KEYS, LOCAL, URL, openai, post, refused, route, sdk,
                             wait_for)

CHAT = {"model": "agents-model", "messages": []}


def asked(world, mark):
    """Which models, in turn."""
    return [json.loads(entry["body"])["model"] for entry in world.requests(mark)]


def choice(world, tap):
    routes = [openai("first"), openai("second"), openai("third", host="second.svc.test"),
              route("mine", "anthropic", "real-claude", "https://anthropic.svc.test")]
    inside = InferenceSandbox(world, world.routes(routes, name="choice.routes.yaml"), "choice",
                              ["--no-verify"])
    for model, wanted in (("agents-model", "real-first"), ("second", "real-second"),
                          ("real-third", "real-third"), ("third", "real-third"),
                          ("mine", "real-first")):
        mark = world.mark()
        done = inside.act(post("/v1/chat/completions", {"model": model, "messages": []}))
        tap.point("=200" in done.text and asked(world, mark) == [wanted],
                  "who asks for %s gets %s" % (model, wanted), done, inside.why(), *world.lines(mark))
    inside.end()


def failover(world, tap):
    """A route that is down is passed over; one that says no is not."""
    down = [openai("refused", host="down.svc.test"), openai("nowhere", host="none.svc.test"),
            openai("expired", host="expired.svc.test")]
    inside = InferenceSandbox(world, world.routes([*down, openai("there")], name="over.routes.yaml"), "over",
                              ["--no-verify"])
    inside.mark()
    mark = world.mark()
    done = inside.act(sdk("chat"))
    tap.point(done.status == 0 and '"model":"real-there"' in done.text and
              asked(world, mark) == ["real-there"], "the first that is there serves", done,
              inside.why())
    tap.point(inside.told("API:INFERENCE .*ALLOWED.* 200 .*route:there.*failover"),
              "which is told", inside.log()[inside.at:])
    done = inside.act(sdk("chat", stream=1))
    tap.point(done.status == 0, "so for a stream", done)
    inside.end()
    inside = InferenceSandbox(world, world.routes(down[:1], name="down.routes.yaml"), "down",
                              ["--no-verify"])
    done = inside.act(post("/v1/chat/completions", CHAT))
    tap.point(refused(done, 503, "provider_unreachable"), "none is there: 503", done, inside.why())
    inside.end()
    inside = InferenceSandbox(world, world.routes([openai("no", "/x-denies"), openai("there")],
                                                  name="no.routes.yaml"), "no", ["--no-verify"])
    mark = world.mark()
    done = inside.act(post("/v1/chat/completions", CHAT))
    tap.point(refused(done, 401, "provider_refused_key") and len(world.requests(mark)) == 1,
              "a provider that says no is the answer", done, inside.why())
    inside.end()


def limits(world, tap):
    def sandbox(name, **what):
        return InferenceSandbox(world, world.routes([openai(), openai("slow", "/x-slow")], what,
                                                    name=name + ".routes.yaml"), name, ["--no-verify"])

    inside = sandbox("requests", requests_per_minute=3)
    ask = post("/v1/chat/completions", CHAT, "-i")
    texts = [inside.act(ask) for _ in range(4)]
    last = texts[3]
    wait = re.search(r"(?i)^retry-after: (\d+)", last.text, re.M)
    tap.point(all("=200" in done.text for done in texts[:3]) and refused(last, 429, "rate_limited"),
              "3 requests a minute: the fourth is refused", *texts, inside.why())
    tap.point(wait and 1 <= int(wait[1]) <= 60, "with the time to wait", last)
    inside.end()
    inside = sandbox("tokens", tokens_per_minute=30)
    texts = [inside.act(ask) for _ in range(4)]
    tap.point([refused(done, 429, "rate_limited") for done in texts] == [False, False, True, True],
              "30 tokens a minute, 18 a request: the third is refused", *texts, inside.why())
    inside.end()
    inside = sandbox("concurrent", concurrent=2)
    held = [inside.start(post("/v1/chat/completions", {"model": "slow", "messages": []}))
            for _ in range(2)]
    time.sleep(1.5)
    done = inside.act(ask)
    tap.point(refused(done, 429, "rate_limited"), "2 at once: the third is refused", done, inside.why())
    texts = [inside.wait(number) for number in held]
    tap.point(all("=200" in done.text for done in texts), "and the two are served", *texts)
    done = inside.act(ask)
    tap.point("=200" in done.text, "after them there is room", done)
    # Whoever leaves, makes room.
    for _ in range(3):
        inside.act("timeout 0.5 " + post("/v1/chat/completions", {"model": "slow", "messages": []}))
    done = inside.act(ask)
    tap.point("=200" in done.text, "and after three that left", done)
    inside.end()


def run(world, name, inference, options=(), command="true", env=None):
    """`openshell run` to its end."""
    words = [word for value in inference for word in ("--inference", value)]
    policy = world.path("inference.yaml")
    return subprocess.run(
        ["openshell", "run", "--policy", policy, "--workdir", world.path("work"), "--no-tty", "--name",
         name, "--log", world.path(name + ".log"), "--upstream-ca", world.ca, *options, *words, "--",
         "/bin/sh", "-c", command],
        env={**os.environ, **KEYS, **(env or {})}, text=True, capture_output=True, timeout=60,
        check=False)


def verification(world, tap):
    """Before an agent starts, unless somebody says that it need not be."""
    keyed = "provider=openai,model=m,base-url=https://openai.svc.test/x-keyed/v1"
    mark = world.mark()
    done = run(world, "good", [keyed], command="echo started")
    entries = world.requests(mark)
    tap.point(done.returncode == 0 and "started" in done.stdout and entries,
              "a route is tried before an agent starts", done.stderr)
    tap.point(all(entry["headers"].get("authorization") == "Bearer " + KEYS["OPENAI_API_KEY"]
                  for entry in entries), "with its key")
    for what, options, env, starts in (
            ("a wrong key", [], {"OPENAI_API_KEY": "sk-wrong"}, False),
            ("a wrong key and --no-verify", ["--no-verify"], {"OPENAI_API_KEY": "sk-wrong"}, True)):
        mark = world.mark()
        done = run(world, "wrong", [keyed], options, "echo started", env)
        tap.point(("started" in done.stdout) == starts and (done.returncode == 0) == starts,
                  "%s: %s" % (what, "starts" if starts else "does not start"),
                  done.returncode, done.stdout, done.stderr)
        if starts:
            tap.point(not world.requests(mark), "and asks nobody")
        else:
            tap.point(re.search(r"route m .*openai\.svc\.test.*401", done.stderr) and "sk-wrong" not in done.stderr
                      and "provider-says-no" not in done.stderr and "--no-verify" in done.stderr,
                      "and says why", done.stderr)
    for host, why in (("down.svc.test", "refused"), ("none.svc.test", ""), ("expired.svc.test", "expired")):
        begin = time.monotonic()
        done = run(world, "bad", ["provider=openai,model=m,base-url=https://%s/v1" % host])
        tap.point(done.returncode == 1 and host in done.stderr and why in done.stderr and
                  time.monotonic() - begin < 25, "%s: does not start, and says why" % host,
                  done.returncode, done.stderr)
    # Without a name in it: the line of the issue.
    done = run(world, "inline", ["provider=openai,model=real-local,base-url=http://%s/v1" % LOCAL,
                                 "provider=anthropic,model=real-claude,base-url=https://anthropic.svc.test"],
               command="node client.mjs chat url=%s/v1 key=x && node client.mjs messages url=%s key=x && "
               "node client.mjs chat && node client.mjs messages" % (URL, URL))
    tap.point(done.returncode == 0 and done.stdout.count('"model":"real-local"') == 2 and
              done.stdout.count('"model":"real-claude"') == 2,
              "two routes by options, and clients that are told nothing", done.stdout, done.stderr)


def during(world, tap):
    """A file that changes after it was read, and before anybody watches it: a slow provider is tried in
    between."""
    path = world.routes([openai("slow", "/x-slow")], name="during.routes.yaml")
    mark = world.mark()
    inside = InferenceSandbox(world, path, "during")
    tap.point(wait_for(lambda: world.requests(mark), 10), "a slow route is tried", inside.why())
    world.routes([openai("quick")], name="during.routes.yaml")
    tap.point(wait_for(lambda: '"model":"real-quick"' in inside.act(
        post("/v1/chat/completions", CHAT)).text, 8), "what came meanwhile is used", inside.why())
    inside.end()


def refresh(world, tap):
    """Routes change under a running sandbox."""
    path = world.routes([openai("old")], name="live.routes.yaml")
    inside = InferenceSandbox(world, path, "live", ["--no-verify"])
    mark = world.mark()
    stream = inside.start(sdk("chat", stream=1, prompt="n=60 gap=100"))
    # A clear start: the stream's request is at the provider.
    tap.point(wait_for(lambda: asked(world, mark) == ["real-old"], 10), "a stream is under way",
              inside.why())
    world.routes([openai("new", host="second.svc.test")], name="live.routes.yaml")
    changed = False
    until = time.monotonic() + 4
    while time.monotonic() < until and not changed:
        done = inside.act(post("/v1/chat/completions", CHAT))
        changed = '"model":"real-new"' in done.text
    tap.point(changed, "the next request takes the new route", done, inside.why())
    sent = [entry for entry in world.seen(mark) if entry["what"] == "sent" and
            entry["host"] == "openai.svc.test"]
    print("# %d answered by the old one meanwhile" % len(sent))
    done = inside.wait(stream)
    tap.point(done.status == 0 and "word59" in done.text and "word0 word1 " in done.text,
              "and the stream ended whole, on the old one", done)
    during(world, tap)
    for what, text in (("not YAML", "{"), ("another key", "version: 1\ninference: {route: []}\n"),
                       ("no such provider", 'version: 1\ninference: {routes: [{provider: nobody, model: m}]}\n'),
                       ("empty", "")):
        before = inside.why() + inside.log()
        world.write("live.routes.yaml.new", text, 0o600)
        os.rename(world.path("live.routes.yaml.new"), path)
        told = wait_for(lambda: "live.routes.yaml" in (inside.why() + inside.log())[len(before):] or
                        inside.why() + inside.log() != before, 3)
        done = inside.act(post("/v1/chat/completions", CHAT))
        tap.point(told and '"model":"real-new"' in done.text, "a file that is no good (%s): told, and "
                  "what was in force stays" % what, done, inside.why())
    os.unlink(path)
    time.sleep(0.3)
    done = inside.act(post("/v1/chat/completions", CHAT))
    tap.point('"model":"real-new"' in done.text, "so when it is gone", done)
    world.routes([openai("back")], name="live.routes.yaml")
    tap.point(wait_for(lambda: '"model":"real-back"' in inside.act(
        post("/v1/chat/completions", CHAT)).text, 4), "one that comes back is used", inside.why())
    world.routes([], name="live.routes.yaml")
    tap.point(wait_for(lambda: refused(inside.act(post("/v1/chat/completions", CHAT)), 503,
                                       "not_configured"), 4), "no routes any more: 503", inside.why())
    tap.point(inside.end() == 0, "it ends well", inside.why())


def parts(world, tap):
    return {name: lambda part=part: part(world, tap) for name, part in (
        ("choice", choice), ("failover", failover), ("limits", limits),
        ("verification", verification), ("refresh", refresh))}

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Requests from end to end: the rows of rows.py, and what is moved as a whole. Prints TAP.

usage: suite.py FOLDER CGROUP [--outside] [PATTERN]     (by ../names/instance.sh)

--outside tries the controls alone, without a sandbox; PATTERN chooses rows.
"""
import json
import re
import sys

from agents import ProxySandbox, outside_agent
from policy import policy
from proxy_world import ProxyWorld, sha256
from rows import rows
from sandbox import AT_ONCE_STARTED, Tap, left_behind

FIELDS = ("detail", "reason", "policy", "rule", "protocol", "method", "path", "host", "port",
          "binary", "rule_missing", "next_steps")

def explained(done):
    """What is wrong with a denial's body, or None."""
    found = re.search(r"\{.*\}", done.text)
    try:
        body = json.loads(found.group(0))
    except (ValueError, AttributeError):
        return "no JSON in the answer"
    if body.get("error") != "policy_denied":
        return "error is not policy_denied"
    missing = [field for field in FIELDS if field not in body]
    return "no " + ", ".join(missing) if missing else None


def control(row, world, outside, tap):
    if row.outside is None:
        return
    mark = world.mark()
    done = outside.act(row.act)
    saw = row.verdict == "failed" or not row.seen or world.saw(mark, row.seen)
    tap.point(saw and re.search(row.outside, done.text), row.what + ": free outside", done,
              *world.lines(mark))


def try_row(row, world, inside, outside, tap):
    inside.mark()
    mark = world.mark()
    done = inside.act(row.act)
    good = re.search(row.inside, done.text, re.M)
    notes = [done]
    if row.verdict == "allowed":
        good = good and done.status == 0
        if row.seen and not world.saw(mark, row.seen):
            good = False
            notes += ["no server saw " + row.seen, *world.lines(mark)]
    elif row.seen and (not world.quiet(mark) and
                       any(re.search(row.seen, line) for line in world.lines(mark))):
        good = False
        notes += ["a server saw it", *world.lines(mark)]
    if row.verdict == "denied" and row.fields:
        wrong = explained(done)
        good = good and not wrong
        notes += [wrong] if wrong else []
    if row.verdict == "refused" and not (done.status and done.ms < AT_ONCE_STARTED):
        good = False
        notes.append("not at once, or not refused")
    if row.event and not inside.told(row.event, 3 if good else 0.5):
        good = False
        notes += ["no event: " + row.event, inside.log()[inside.at:]]
    tap.point(good, row.what, *notes)
    control(row, world, outside, tap)


def whole(world, inside, outside, tap):
    """A gigabyte each way, over TLS, over HTTP/2 and plain: what arrives is what was sent."""
    size = "%d MiB" % (world.big >> 20)
    for agent, where in ((inside, "inside"), (outside, "outside")):
        if not agent:
            continue
        for what, options, scheme in (("HTTP/1.1", "--http1.1 ", "https"), ("HTTP/2", "", "https"),
                                      ("plaintext", "", "http")):
            url = "%s://static.svc.test/" % scheme
            done = agent.act("set -o pipefail; curl -sSf --max-time 80 %s%sbig | sha256sum"
                             % (options, url))
            tap.point(done.status == 0 and world.big_sha256 in done.text,
                      "%s down, %s, %s" % (size, what, where), done)
            name = "up/%s-%s" % (where, what.replace("/", "-"))
            done = agent.act("set -o pipefail; curl -sSf --max-time 80 %s%sbig | "
                             "curl -sS --max-time 80 -w '=%%{http_code}\\n' %s-T - %s%s"
                             % (options, url, options, url, name))
            good = done.status == 0 and re.search("=20[14]", done.text)
            tap.point(good and sha256(world.path("files", name)) == world.big_sha256,
                      "%s down and up at once, %s, %s" % (size, what, where), done)


def main():
    folder, cgroup = sys.argv[1:3]
    words = sys.argv[3:]
    alone = "--outside" in words
    pattern = "".join(word for word in words if not word.startswith("-"))
    chosen = [row for row in rows() if re.search(pattern, row.what)]
    tap = Tap()
    with ProxyWorld(folder) as world:
        outside = outside_agent(world)
        if alone:
            for row in chosen:
                control(row, world, outside, tap)
            if not pattern:
                whole(world, None, outside, tap)
            return tap.finish()
        inside = ProxySandbox(world, policy(world))
        first = inside.act("true")
        if not tap.point(first.status == 0, "an agent starts", first, inside.why()):
            return tap.finish()
        for row in chosen:
            try_row(row, world, inside, outside, tap)
        if not pattern:
            whole(world, inside, outside, tap)
        tap.point(inside.end() == 0, "the agent ends well", inside.why())
        outside.end()
        left = left_behind(world, cgroup)
        tap.point(not left, "nothing is left behind", *left)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())

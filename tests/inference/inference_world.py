# SPDX-License-Identifier: Apache-2.0
"""The world of the inference suites: that of the proxy suites, with model providers as its only servers
(provider.mjs). One is on the agents' host itself, where people run a model of their own.

    203.0.113.30  openai, anthropic, bedrock, vertex, second, and bad certificates: 80, 443 with HTTP/2,
                  8443 without
    127.0.0.1     18080 plaintext
    203.0.113.70  nobody listens
"""
import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), "proxy"))

from agents import ProxySandbox
from proxy_world import BAD, NOBODY, ORIGIN, ORIGIN6, ProxyWorld, wait_for
from world import RESOLVER, UID

PROVIDER = ORIGIN
LOCAL = "127.0.0.1:18080"
# What only the operator and the providers know. An AWS session token is not to be repeated either.
KEYS = {
    "OPENAI_API_KEY": "sk-proj-" + os.urandom(24).hex(),
    "ANTHROPIC_API_KEY": "sk-ant-" + os.urandom(24).hex(),
    "GOOGLE_VERTEX_AI_TOKEN": "ya29." + os.urandom(24).hex(),
    "AWS_ACCESS_KEY_ID": "AKIA" + os.urandom(8).hex().upper(),
    "AWS_SECRET_ACCESS_KEY": os.urandom(20).hex(),
    "AWS_SESSION_TOKEN": "session" + os.urandom(40).hex(),
}
# What an agent sends of its own, and what is nobody's business but the agent's.
AGENTS = "agents[-=]"

POLICY = """version: 1
filesystem_policy:
  include_workdir: true
  read_only: [/usr, /etc, /proc, %s]
process: {run_as_user: "60606", run_as_group: "60606"}
network_policies: {}
"""


class InferenceWorld(ProxyWorld):
    big = 1 << 16
    names = {
        "both.svc.test": [ORIGIN, ORIGIN6],  # what resolver() waits for
        **{name + ".svc.test": [PROVIDER] for name in
           ("openai", "anthropic", "bedrock", "vertex", "second", "faulty") + BAD},
        "down.svc.test": [NOBODY],
    }
    there = {
        "one": [PROVIDER, ORIGIN6, NOBODY, RESOLVER],
        "two": ["198.51.100.10", "2001:db8:2::10"],
        "three": ["192.0.2.20", "2001:db8:3::20"],
    }

    def files(self):
        super().files()
        for name in ("client.mjs",):
            target = self.path("work", name)
            shutil.copy(os.path.join(HERE, name), target)
            os.chown(target, UID, UID)
        for name in ("provider.mjs", "answers.mjs", "faulty.mjs", "sigv4.mjs"):
            shutil.copy(os.path.join(HERE, name), self.path(name))

    def repository(self):
        """Nobody clones anything here."""

    def servers(self):
        environment = dict(os.environ, PROVIDER_KEY=KEYS["OPENAI_API_KEY"], **KEYS)
        for name, netns, listeners in (
                ("far", self.namespaces["one"], ["http://%s:80" % PROVIDER, "https://%s:443" % PROVIDER,
                                                 "h1://%s:8443" % PROVIDER]),
                ("local", None, ["http://" + LOCAL])):
            argv = ["node", self.path("provider.mjs"), self.path("seen", name + ".log"), self.dir]
            child = self.spawn(argv + listeners, netns, stdout=subprocess.PIPE, text=True,
                               env=environment)
            if child.stdout.readline().strip() != "ready":
                raise RuntimeError("a provider does not start: " + " ".join(listeners))

    def requests(self, mark):
        """What providers were asked since @mark."""
        return [entry for entry in self.seen(mark) if entry["what"] == "request"]

    def routes(self, routes, limits=None, name="routes.yaml"):
        """An `inference:` file (JSON is YAML), put in place as editors do, in one step."""
        about = {"routes": routes}
        if limits:
            about["limits"] = limits
        self.write(name + ".new", json.dumps({"version": 1, "inference": about}, indent=1), 0o600)
        os.rename(self.path(name + ".new"), self.path(name))
        return self.path(name)


class InferenceSandbox(ProxySandbox):
    """@inference: a file's name, or options' values."""

    def __init__(self, world, inference, name, options=(), env=None, policy=POLICY):
        given = [inference] if isinstance(inference, str) else inference
        words = [word for value in given for word in ("--inference", value)]
        self.metrics_path = world.path(name + ".metrics")
        super().__init__(world, policy % world.path("node_modules"), name,
                         [*words, "--metrics", self.metrics_path, *options],
                         {**KEYS, **(env or {})})

    def metrics(self):
        try:
            with open(self.metrics_path, encoding="utf-8") as file:
                return file.read()
        except OSError:
            return ""


def route(name, provider, model, url, **more):
    return {"name": name, "provider": provider, "model": model, "base_url": url, **more}


def openai(name="gpt", path="", host="openai.svc.test", **more):
    """A route to a provider of the usual kind; @path: /x-FAULT."""
    return route(name, "openai", "real-" + name, "https://%s%s/v1" % (host, path), **more)


SDK = "node client.mjs %s"
URL = "https://inference.local"
CURL = "curl -sS --max-time 20 -w '\\n=%{http_code} ' "


def sdk(what, model="", **more):
    """An act: the public client, with a key of its own that is worth nothing."""
    url = URL if what == "messages" else URL + "/v1"
    words = {"url": url, "key": "agents-key", **more}
    if model:
        words["model"] = model
    return "node client.mjs %s %s" % (what, " ".join(
        "%s='%s'" % (name, value) for name, value in words.items()))


def post(path, body, options="", url=URL):
    """An act: curl, with what an agent may try to get through; by HTTP/1.1 if nothing else is said."""
    if isinstance(body, (dict, list)):
        body = json.dumps(body)
    if "--http" not in options:
        options = "--http1.1 " + options
    return (CURL + "-H 'Content-Type: application/json' -H 'Authorization: Bearer agents-key' "
            "-H 'x-api-key: agents-key' -H 'x-agent-secret: agents-secret' -b agents=cookie %s "
            "--data-binary '%s' '%s%s'" % (options, body, url, path))


def code(done):
    """The code of an error body, or None."""
    found = re.search(r'\{"type":\s*"error".*', done.text)
    try:
        body = json.JSONDecoder().raw_decode(found.group(0))[0]
        return body["error"]["code"] if body["error"]["type"] == body["error"]["code"] else None
    except (AttributeError, ValueError, KeyError, TypeError):
        return None


def refused(done, status, wanted):
    return code(done) == wanted and "=%d " % status in done.text


__all__ = ["AGENTS", "CURL", "InferenceSandbox", "InferenceWorld", "KEYS", "LOCAL", "POLICY", "URL",
           "code", "openai",
           "post", "refused", "route", "sdk", "wait_for"]

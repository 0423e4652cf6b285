#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""inference.local from end to end: public clients and curl in a sandbox, and what arrives at providers of
each kind. Prints TAP.

usage: suite.py FOLDER CGROUP [PART..]     (by ../names/instance.sh)
"""
import json
import re
import sys

import routes
from agents import outside_agent
from inference_world import (AGENTS, CURL, InferenceSandbox, InferenceWorld, KEYS, LOCAL, POLICY, URL,
                             openai, post, refused, route, sdk, wait_for)
from sandbox import Tap, left_behind

VERTEX = "https://vertex.svc.test/v1/projects/p1/locations/eu"
BEDROCK = "anthropic.claude-3-5-sonnet-20241022-v2:0"
BEARER = ("authorization", "Bearer " + KEYS["OPENAI_API_KEY"])
XKEY = ("x-api-key", KEYS["ANTHROPIC_API_KEY"])
GOOGLE = ("authorization", "Bearer " + KEYS["GOOGLE_VERTEX_AI_TOKEN"])
# The proxy runs for something else.
PROXIED = POLICY.replace("{}", """
  other:
    endpoints: [{host: second.svc.test, port: 443, protocol: rest, access: full, enforcement: enforce}]
    binaries: [{path: /usr/bin/curl}]""")
TEXT = "word0 word1 word2 "


def all_routes():
    return [
        openai(),
        openai("embed", apis=["embeddings"]),
        openai("second", host="second.svc.test"),
        route("claude", "anthropic", "real-claude", "https://anthropic.svc.test"),
        route("bedrock", "aws-bedrock", BEDROCK, "https://bedrock.svc.test", auth="sigv4",
              region="eu-west-1"),
        route("bridge", "aws-bedrock", "amazon.nova-lite-v1:0", "https://bedrock.svc.test"),
        route("vertex", "google-vertex-ai", "claude-sonnet-4@20250514", VERTEX, project="p1",
              region="eu"),
        route("gemini", "google-vertex-ai", "google/gemini-2.5-pro", VERTEX, project="p1", region="eu"),
        openai("denied", "/x-denies"),
        route("local", "openai", "real-local", "http://%s/v1" % LOCAL),
    ]


class Row:
    """@act; what it prints; where it arrives as what; @key: a field that it arrives with."""

    def __init__(self, what, act, prints, host, url, model, key, api, **more):
        self.what, self.act, self.prints, self.host = what, act, prints, host
        self.url, self.model, self.key, self.api = url, model, key, api
        self.route = more.get("route", "")
        self.tokens = more.get("tokens", "tokens:11\\+7")
        self.body = more.get("body")  # of bytes, as it should arrive
        self.tls = more.get("tls", True)
        self.method = more.get("method", "POST")
        self.signed = more.get("signed")


def chat(what, act, prints="word0 word1 word2 ", **more):
    return Row(what, act, prints, "openai.svc.test", "/v1/chat/completions", "real-gpt", BEARER,
               "chat_completions", route="gpt", **more)


def at_openai(what, act, prints, path, api, model="real-gpt", name="gpt", **more):
    return Row(what, act, prints, "openai.svc.test", "/v1/" + path, model, BEARER, api, route=name,
               **more)


def clients():
    return [
        chat("openai: chat", sdk("chat"), '"text":"%s".*"total_tokens":18' % TEXT),
        chat("openai: chat, streaming", sdk("chat", stream=1),
             '"text":"%s".*"total_tokens":18' % TEXT),
        at_openai("openai: completions", sdk("completions"), TEXT, "completions", "completions"),
        at_openai("openai: completions, streaming", sdk("completions", stream=1), TEXT, "completions",
                  "completions", tokens="~"),
        at_openai("openai: embeddings", sdk("embeddings", "embed"), r"\[0.5,-0.25,0.125\]",
                  "embeddings", "embeddings", "real-embed", "embed", tokens="tokens:11\\+0"),
        at_openai("openai: responses", sdk("responses"), TEXT, "responses", "responses"),
        at_openai("openai: responses, streaming", sdk("responses", stream=1), TEXT, "responses",
                  "responses"),
        at_openai("openai: models", sdk("models"), r'"ids":\["real-a","real-b"\]', "models", "models",
                  None, method="GET", tokens=""),
        at_openai("openai: one model", sdk("model", "real-a"), '"id":"real-', "models/real-a",
                  "models", None, method="GET", tokens=""),
        Row("anthropic: messages", sdk("messages"), '"text":"%s".*"model":"real-claude"' % TEXT,
            "anthropic.svc.test", "/v1/messages", "real-claude", XKEY, "messages", route="claude"),
        Row("anthropic: messages, streaming", sdk("messages", stream=1), '"text":"%s"' % TEXT,
            "anthropic.svc.test", "/v1/messages", "real-claude", XKEY, "messages", route="claude"),
        Row("a model on the host itself", sdk("chat", "local"), '"model":"real-local"', "127.0.0.1",
            "/v1/chat/completions", "real-local", BEARER, "chat_completions", route="local",
            tls=False),
        Row("a route by its model's name", sdk("chat", "real-second"), '"model":"real-second"',
            "second.svc.test", "/v1/chat/completions", "real-second", BEARER, "chat_completions",
            route="second"),
        Row("anthropic: messages by Vertex", sdk("messages", "vertex", stream=1), TEXT,
            "vertex.svc.test", "/v1/projects/p1/locations/eu/publishers/anthropic/models/"
            "claude-sonnet-4@20250514:streamRawPredict", None, GOOGLE, "messages", route="vertex"),
        Row("openai: chat by Vertex", sdk("chat", "gemini", stream=1), TEXT, "vertex.svc.test",
            "/v1/projects/p1/locations/eu/endpoints/openapi/chat/completions",
            "google/gemini-2.5-pro", GOOGLE, "chat_completions", route="gemini"),
        chat("HTTP/2, by node", sdk("h2", stream=1), "200 ", tokens="~"),
    ]


ODD = '{ "messages" : [{"role":"user","content":"x\\u00e9 \\"model\\": y"}],\n "model":"%s" , "n":1.0e0, "z":null}'
INVOKE = '{"anthropic_version":"bedrock-2023-05-31","max_tokens":9,"messages":[]}'


def bare():
    """By curl, whose bytes are known."""
    odd = ODD.replace("\n", " ")
    return [
        chat("a body is as it was but for its model", post("/v1/chat/completions", odd % "gpt"), TEXT,
             body=odd % "real-gpt"),
        chat("so over HTTP/2", post("/v1/chat/completions", odd % "gpt", "--http2"), TEXT,
             body=odd % "real-gpt"),
        chat("a chunked one", post("/v1/chat/completions", odd % "gpt",
                                   "-H 'Transfer-Encoding: chunked'"), TEXT, body=odd % "real-gpt"),
        Row("Bedrock, signed", post("/model/agents-model/invoke", INVOKE), "=200", "bedrock.svc.test",
            "/model/anthropic.claude-3-5-sonnet-20241022-v2%3A0/invoke", None, None,
            "bedrock_invoke", route="bedrock", body=INVOKE, signed="good eu-west-1 bedrock"),
        Row("Bedrock by a bridge, which needs no key", post("/model/bridge/invoke", INVOKE), "=200",
            "bedrock.svc.test", "/model/amazon.nova-lite-v1%3A0/invoke", None, None, "bedrock_invoke",
            route="bridge", body=INVOKE),
        Row("a model that is named in the path, escaped", post("/model/amazon.nova-lite-v1%3A0/invoke",
                                                               INVOKE), "=200", "bedrock.svc.test",
            "/model/amazon.nova-lite-v1%3A0/invoke", None, None, "bedrock_invoke", route="bridge"),
        Row("Vertex, Claude", post("/v1/messages", {"model": "vertex", "max_tokens": 1,
                                                    "messages": []}), "=200", "vertex.svc.test",
            "/v1/projects/p1/locations/eu/publishers/anthropic/models/"
            "claude-sonnet-4@20250514:rawPredict", None, GOOGLE, "messages", route="vertex"),
    ]


def wrong_with(row, world, mark):
    """What is not as it should be at the provider, or None."""
    if not wait_for(lambda: world.requests(mark), 2):
        return "nothing arrived"
    entries = world.requests(mark)
    if len(entries) != 1:
        return "%d requests arrived" % len(entries)
    entry = entries[0]
    for what, wanted in (("host", row.host), ("method", row.method), ("tls", row.tls)):
        if entry[what] != wanted:
            return "%s is %s" % (what, entry[what])
    # A path's ':' and '@' may be escaped or not.
    if entry["url"].replace("%3A", ":").replace("%40", "@") != row.url.replace("%3A", ":"):
        return "its path is " + entry["url"]
    if row.key and entry["headers"].get(row.key[0]) != row.key[1]:
        return "the key is not in " + row.key[0]
    if row.signed and entry.get("signature") != row.signed:
        return "the signature is %s" % entry.get("signature")
    others = {"authorization", "x-api-key"} - {"authorization" if row.signed else row.key and row.key[0]}
    if any(name in entry["headers"] for name in others):
        return "it has more than one key"
    # The agent's own: in no field. Names of fields are listed once.
    if re.search(AGENTS, json.dumps(entry["headers"])) or "x-agent-secret" in entry["headers"]:
        return "something of the agent's arrived"
    # What a provider's profile passes on, and no other's.
    listed = entry["headers"].get("openai-organization")
    if listed != ("org-agent" if "OpenAI" in entry["headers"].get("user-agent", "") and
                  row.host != "vertex.svc.test" else None):
        return "its organization is %s" % listed
    if len(set(entry["raw"])) != len(entry["raw"]):
        return "a field is there twice"
    if row.method == "POST":
        body = json.loads(entry["body"])
        if body.get("model") != row.model:
            return "the model is %s" % body.get("model")
        if row.route == "vertex" and body.get("anthropic_version") != "vertex-2023-10-16":
            return "anthropic_version is %s" % body.get("anthropic_version")
        if row.body is not None and entry["body"] != row.body:
            return "the body is not what was sent"
    return None


def try_row(row, world, inside, tap):
    inside.mark()
    mark = world.mark()
    done = inside.act(row.act)
    wrong = wrong_with(row, world, mark)
    good = done.status == 0 and re.search(row.prints, done.text)
    tap.point(good and not wrong, row.what, done, wrong or "", *world.lines(mark))
    event = r"API:INFERENCE \[INFO\] ALLOWED .*%s https://inference\.local/.* 200 .*route:%s .*api:%s" % (
        row.method, row.route, row.api)
    if row.tokens:
        event += ".*" + row.tokens
    tap.point(inside.told(event, 3), row.what + ": told", event, inside.log()[inside.at:])


def control(world, outside, tap):
    """The same client at a provider itself: it does send what does not arrive from a sandbox."""
    mark = world.mark()
    done = outside.act("node client.mjs chat url=http://%s/v1 key=agents-key" % LOCAL)
    entries = world.requests(mark)
    headers = json.dumps(entries[0]["headers"]) if entries else ""
    tap.point(done.status == 0 and all(word in headers for word in (
        "agents-key", "agents-secret", "agents=cookie", "agents-goog-key")),
              "outside, a client's own key and secrets arrive", done, headers)


def refusals(world, inside, tap):
    chat_path = "/v1/chat/completions"
    good = {"model": "gpt", "messages": []}
    cases = [
        ("a path that is unknown", post("/v1/files", good), 403, "unknown_path"),
        ("one that is not quite known", post("/v1/chat/completions/x", good), 403, "unknown_path"),
        ("one by dots", post("/v1/x/../files", good, "--path-as-is"), 403, "unknown_path"),
        ("another method", CURL + URL + chat_path, 405, "method_not_allowed"),
        ("DELETE of a model", CURL + "-X DELETE " + URL + "/v1/models/real-a", 405,
         "method_not_allowed"),
        ("a body that is not JSON", post(chat_path, "{nonsense"), 400, "invalid_body"),
        ("a body that is no object", post(chat_path, "[1]"), 400, "invalid_body"),
        ("no body", post(chat_path, ""), 400, "invalid_body"),
        ("two models", post(chat_path, '{"model":"gpt","model":"x","messages":[]}'), 400,
         "invalid_body"),
        ("two models, one escaped", post(chat_path, '{"model":"gpt","mod\\u0065l":"x"}'), 400,
         "invalid_body"),
        ("further models for a router", post(chat_path, '{"model":"gpt","models":["dear"]}'), 400,
         "invalid_body"),
        ("a model that is a number", post(chat_path, '{"model":7}'), 400, "invalid_body"),
    ]
    for what, act, status, wanted in cases:
        inside.mark()
        mark = world.mark()
        done = inside.act(act)
        tap.point(refused(done, status, wanted) and world.quiet(mark),
                  "%s: %d %s" % (what, status, wanted), done, *world.lines(mark))
        tap.point(inside.told("API:INFERENCE .*DENIED.* %d .*reason:" % status), what + ": told",
                  inside.log()[inside.at:])
    mark = world.mark()
    done = inside.act(post(chat_path, {"model": "denied", "messages": []}))
    tap.point(refused(done, 401, "provider_refused_key") and "provider-says-no" not in done.text and
              world.requests(mark), "a provider that refuses the key: 401, without its words", done)
    done = inside.act(sdk("chat", "denied"))
    tap.point("error 401 provider_refused_key" in done.text, "which a client reads", done)


def sizes(world, inside, tap):
    """9 MB go through whole, 24 MB do not, whatever they say of their length."""
    make = ("python3 -c 'import sys; sys.stdout.write(\"{\\\"model\\\":\\\"gpt\\\",\\\"messages\\\":[{"
            "\\\"role\\\":\\\"user\\\",\\\"content\\\":\\\"\" + \"p\" * %d + \"\\\"}]}\")' >prompt.%d; ")
    for megabytes, good in ((9, True), (24, False)):
        for what, options in (("HTTP/1.1", "--http1.1"), ("HTTP/2", "--http2"),
                              ("chunked", "--http1.1 -H 'Transfer-Encoding: chunked'"),
                              ("without Expect", "--http1.1 -H 'Expect:'")):
            mark = world.mark()
            done = inside.act(make % (megabytes << 20, megabytes) + CURL + options + (
                " -H 'Content-Type: application/json' --data-binary @prompt.%d %s/v1/chat/completions"
                % (megabytes, URL)))
            wait_for(lambda: world.requests(mark), 1)
            if good:
                arrived = [entry["bytes"] for entry in world.requests(mark)]
                fits = "=200" in done.text and len(arrived) == 1 and arrived[0] >= megabytes << 20
                tap.point(fits, "a prompt of %d MB, %s" % (megabytes, what), done, arrived)
            else:
                tap.point(refused(done, 413, "body_too_large") and world.quiet(mark),
                          "a prompt of %d MB, %s: refused" % (megabytes, what), done)


def connections(world, inside, tap):
    """What is not https://inference.local:443 is nothing at all."""
    chat_path = "/v1/chat/completions"
    good = {"model": "gpt", "messages": []}
    for what, act in (
            ("another Host", post(chat_path, good, "-H 'Host: openai.svc.test'")),
            ("another Host, HTTP/2", post(chat_path, good, "--http2 -H 'Host: openai.svc.test'")),
            ("another port in Host", post(chat_path, good, "-H 'Host: inference.local:80'"))):
        mark = world.mark()
        done = inside.act(act)
        tap.point(re.search("=(403|400|421) ", done.text) and world.quiet(mark), what + ": refused",
                  done, *world.lines(mark))
    mark = world.mark()
    done = inside.act("printf '%s' '{\"model\":\"gpt\",\"messages\":[]}' >body; " + CURL +
                      "--data-binary @body -H 'Content-Type: application/json' %s%s --next "
                      "-sS --max-time 10 -w '\\n=%%{http_code} connects %%{num_connects}\\n' "
                      "-H 'Host: openai.svc.test' --data-binary @body %s%s" % (
                          URL, chat_path, URL, chat_path))
    tap.point("=200" in done.text and re.search("=(403|400|421) ", done.text) and
              len(world.requests(mark)) == 1,
              "a connection that carried a request is good for no other host", done,
              *world.lines(mark))
    for what, act in (
            ("http:// is refused", post(chat_path, good, url="http://inference.local")),
            ("so is plaintext on 443", post(chat_path, good, url="http://inference.local:443")),
            ("and another port", post(chat_path, good, url="https://inference.local:8443")),
            ("providers are not there for agents", CURL + "https://openai.svc.test/v1/models"),
            ("nor by address", CURL + "-k https://203.0.113.30/v1/models"),
            ("nor is the host's own", CURL + "http://%s/v1/models" % LOCAL)):
        mark = world.mark()
        done = inside.act(act)
        tap.point(not re.search("=2", done.text) and world.quiet(mark), what, done,
                  *world.lines(mark))
    done = inside.act("OPENAI_API_KEY= node client.mjs chat")
    print("# without an address or a key of its own: " + done.text.strip())
    done = inside.act("getent hosts inference.local; getent hosts x.inference.local; "
                      "getent hosts other.local; true")
    tap.point("inference.local" in done.text and "other.local" not in done.text and
              "x.inference" not in done.text, "inference.local has an address, and nothing below",
              done)


def unconfigured(world, tap):
    """Nothing configured, and no route that fits."""
    for name, inference, text in (("none", world.routes([], name="none.routes.yaml"), POLICY),
                                  ("bare", [], PROXIED)):
        inside = InferenceSandbox(world, inference, name, policy=text)
        done = inside.act(post("/v1/chat/completions", {"model": "x", "messages": []}))
        tap.point(refused(done, 503, "not_configured") and "--inference" in done.text,
                  "nothing is configured (%s): 503 with a hint" % name, done, inside.why())
        if name == "bare":
            tap.point("started with" in done.text or "start the sandbox with" in done.text,
                      "which says how it is started", done)
        tap.point(inside.end() == 0, "it ends well", inside.why())
    inside = InferenceSandbox(world, world.routes([openai(apis=["chat_completions"])], name="few.routes.yaml"),
                              "few")
    done = inside.act(post("/v1/messages", {"model": "x", "messages": []}))
    tap.point(refused(done, 400, "no_compatible_route"), "no route for messages: 400", done,
              inside.why())
    inside.end()


def metrics(inside, tap):
    """At the end of a run at the latest."""
    text = inside.metrics()
    for pattern in (
            r'openshell_inference_requests_total\{[^}]*route="gpt"[^}]*status="200"[^}]*\} \d+',
            r'openshell_inference_tokens_total\{[^}]*route="claude"[^}]*direction="input"[^}]*\} 22',
            r'openshell_inference_first_byte_seconds_bucket\{', r'openshell_inference_duration_seconds_sum\{',
            r'openshell_inference_rejected_total\{'):
        tap.point(re.search(pattern, text), "metrics: " + pattern.split("\\")[0], text[:3000])
    tap.point(all("inference: route %s: " % name in inside.why() for name in ("gpt", "claude")),
              "a summary names the routes", inside.why())


def main():
    folder, cgroup = sys.argv[1:3]
    wanted = sys.argv[3:]
    tap = Tap()
    with InferenceWorld(folder) as world:
        outside = outside_agent(world)
        inside = InferenceSandbox(world, world.routes(all_routes()), "inference", ["--no-verify"])
        first = inside.act("true")
        if not tap.point(first.status == 0, "an agent starts", first, inside.why()):
            return tap.finish()
        parts = {
            "control": lambda: control(world, outside, tap),
            "clients": lambda: [try_row(row, world, inside, tap) for row in clients()],
            "bare": lambda: [try_row(row, world, inside, tap) for row in bare()],
            "refusals": lambda: refusals(world, inside, tap),
            "sizes": lambda: sizes(world, inside, tap),
            "connections": lambda: connections(world, inside, tap),
            "unconfigured": lambda: unconfigured(world, tap),
            **routes.parts(world, tap),
        }
        for name in wanted or parts:
            parts[name]()
        tap.point(inside.end() == 0, "the agent ends well", inside.why())
        if not wanted:
            metrics(inside, tap)
        outside.end()
        left = left_behind(world, cgroup)
        tap.point(not left, "nothing is left behind", *left)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())

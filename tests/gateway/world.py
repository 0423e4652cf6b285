# SPDX-License-Identifier: Apache-2.0
"""A gateway of a test's own, and clients for it: grpcio, which nobody here wrote."""

import contextlib
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import grpc

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "grpc"))
import messages  # noqa: E402

BUILD = os.environ.get("BUILD") or os.path.join(os.path.dirname(os.path.dirname(HERE)), "build")
BIN = os.path.join(BUILD, "bin")
M = messages.load(os.path.join(BUILD, "tests/gateway/messages-%s" % os.path.basename(sys.argv[0])))
O, N, I, S, D = M.openshell, M.node, M.inference, M.sandbox, M.datamodel
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]

count = failed = 0


def ok(good, what, note=""):
    global count, failed
    count += 1
    failed += not good
    text = str(note).replace("\n", " ")[:600]
    print(f"{'ok' if good else 'not ok'} {count} - {what}" + ("" if good else f" # {text}"), flush=True)
    return good


def plan():
    print(f"1..{count}")
    return failed != 0


def status(call):
    """(code, sentence) of a call that is expected to fail; ("OK", answer) otherwise."""
    try:
        answer = call()
        if hasattr(answer, "__next__"):
            answer = list(answer)
        return "OK", answer
    except grpc.RpcError as e:
        return e.code().name, e.details()


def refused(call, code, what, words=""):
    got = status(call)
    return ok(got[0] == code and words in str(got[1]), f"{what}: {code}", got)


def eventually(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    return condition()


class Api:
    """All services of one gateway by one channel."""

    def __init__(self, target, credentials=None, token=None):
        self.channel = (grpc.secure_channel(target, credentials, OPTIONS) if credentials
                        else grpc.insecure_channel(target, OPTIONS))
        channel = self.channel
        if token:
            channel = grpc.intercept_channel(channel, *[Bearer(token)])
        for module in (O, I, N):
            for descriptor in module.DESCRIPTOR.services_by_name.values():
                for name, call in vars(messages.Service(channel, descriptor)).items():
                    setattr(self, name, call)

    def close(self):
        self.channel.close()


class Bearer(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor,
             grpc.StreamUnaryClientInterceptor, grpc.StreamStreamClientInterceptor):
    def __init__(self, token):
        self.token = token

    def add(self, details):
        class Details(grpc.ClientCallDetails):
            pass
        new = Details()
        for field in ("method", "timeout", "credentials", "wait_for_ready", "compression"):
            setattr(new, field, getattr(details, field, None))
        new.metadata = list(details.metadata or []) + [("authorization", "Bearer " + self.token)]
        return new

    def intercept_unary_unary(self, go, details, request):
        return go(self.add(details), request)

    def intercept_unary_stream(self, go, details, request):
        return go(self.add(details), request)

    def intercept_stream_unary(self, go, details, requests):
        return go(self.add(details), requests)

    def intercept_stream_stream(self, go, details, requests):
        return go(self.add(details), requests)


class Gateway:
    NODE_TOKEN = "0123456789abcdef0123456789abcdef-node"

    def __init__(self, directory, *arguments, local_user=True):
        self.directory = directory
        self.database = os.path.join(directory, "openshell.db")
        token = os.path.join(directory, "node-token")
        with open(os.open(token, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            f.write(self.NODE_TOKEN + "\n")
        self.arguments = ["--listen", "127.0.0.1:0", "--health", "", "--services", "127.0.0.1:0",
                          "--database", self.database, "--node-token", token,
                          *(["--local-user"] if local_user else []), *arguments]
        self.process = None
        self.start()

    def start(self, port=0):
        arguments = list(self.arguments)
        arguments[1] = f"127.0.0.1:{port}"
        self.log = open(os.path.join(self.directory, "gateway.log"), "ab")
        self.process = subprocess.Popen([os.path.join(BIN, "openshell-gateway"), *arguments],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True)
        line = self.process.stdout.readline()
        found = re.search(r":(\d+)$", line.strip())
        if not found:
            sys.stderr.write(open(self.log.name).read())
            raise SystemExit(f"the gateway did not start: {line!r}")
        self.port = int(found.group(1))
        self.target = f"127.0.0.1:{self.port}"

    def api(self, **more):
        return Api(self.target, **more)

    def node_api(self):
        return Api(self.target, token=self.NODE_TOKEN)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        self.process.terminate()
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
            return -9

    def text(self):
        with open(os.path.join(self.directory, "gateway.log"), encoding="utf-8") as f:
            return f.read()


@contextlib.contextmanager
def gateway(*arguments, **more):
    with tempfile.TemporaryDirectory() as directory:
        g = Gateway(directory, *arguments, **more)
        try:
            yield g
        finally:
            code = g.end()
            ok(code == 0, "the gateway ends as it was asked to", (code, g.text()[-500:]))


class Node:
    """A supervisor that only says what it is told to: for what the gateway does."""

    def __init__(self, gateway, name="node1", answer=True, sandboxes=()):
        self.api = gateway.node_api()
        self.name, self.answer = name, answer
        self.out, self.got, self.assigned = queue.Queue(), [], {}
        self.policies, self.credentials, self.inference, self.synced = [], [], [], threading.Event()
        self.released, self.relays, self.error = [], {}, None
        hello = N.Hello(node=name, version="test", protocol=1, drivers=["host"], sandboxes=sandboxes)
        hello.kernel.release = "6.0"
        self.out.put(N.NodeMessage(hello=hello))
        self.call = self.api.Attach(iter(self.out.get, None))
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        try:
            for message in self.call:
                self.got.append(message)
                getattr(self, "on_" + message.WhichOneof("payload"))(message)
        except grpc.RpcError as e:
            self.error = e

    def on_accepted(self, message):
        pass

    def on_rejected(self, message):
        self.rejected = message.rejected.reason

    def on_heartbeat(self, message):
        self.out.put(N.NodeMessage(heartbeat=N.Heartbeat()))

    def on_synced(self, message):
        self.synced.set()

    def on_assign(self, message):
        a = message.assign
        self.assigned[a.sandbox_id] = a
        if self.answer:
            self.report(a.sandbox_id, "SANDBOX_PHASE_STOPPED" if a.stopped else "SANDBOX_PHASE_READY",
                        instance_id=a.instance_id)
            if not a.stopped:
                self.loaded(a.policy)
        self.out.put(N.NodeMessage(result=N.Result(request_id=a.request_id, ok=True)))

    def on_release(self, message):
        self.released.append(message.release.sandbox_id)
        if self.answer:
            self.out.put(N.NodeMessage(result=N.Result(request_id=message.release.request_id, ok=True)))

    def on_policy(self, message):
        self.policies.append(message.policy)
        if self.answer:
            self.loaded(message.policy)

    def on_credentials(self, message):
        self.credentials.append(message.credentials)

    def on_inference(self, message):
        self.inference.append(message.inference)

    def on_open_relay(self, message):
        handler = self.relays.get(message.open_relay.WhichOneof("target"))
        if handler:
            threading.Thread(target=handler, args=(self, message.open_relay), daemon=True).start()

    def loaded(self, policy, error=""):
        self.out.put(N.NodeMessage(policy=N.PolicyReport(
            sandbox_id=policy.sandbox_id, version=policy.version, digest=policy.digest,
            loaded=not error, error=error)))

    def report(self, sandbox_id, phase, **more):
        self.out.put(N.NodeMessage(sandbox=N.SandboxReport(
            sandbox_id=sandbox_id, phase=getattr(O, phase), **more)))

    def detach(self):
        self.out.put(None)
        self.thread.join(5)
        self.api.close()


def relay(node, order, frames):
    """Open a relay for an order; frames(incoming iterator) yields what is sent behind its init."""
    out = queue.Queue()
    out.put(N.RelayFrame(init=N.RelayInit(relay_id=order.relay_id)))
    call = node.api.Relay(iter(out.get, None))
    try:
        for frame in frames(call):
            out.put(frame)
        out.put(None)
        for _ in call:
            pass
    except grpc.RpcError:
        pass


def get(url, host=None, timeout=5):
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""grpcio, which nobody here wrote, against our server (echo_server.c): usage: interop.py ECHO_SERVER
MESSAGES_DIR. Prints TAP."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

import grpc

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import messages  # noqa: E402

SERVER, INTO = sys.argv[1:3]
M = messages.load(INTO)
O = M.openshell
MAX = 4 << 20
count = failed = 0


def ok(good, what, note=""):
    global count, failed
    count += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {count} - {what}" + ("" if good else f" # {note}"), flush=True)


def status(call):
    """The code that a call ends with, and its sentence."""
    try:
        call()
        return "OK", ""
    except grpc.RpcError as e:
        return e.code().name, e.details()


class Server:
    def __init__(self, *arguments):
        self.process = subprocess.Popen([SERVER, *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def rss_kb(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(next(line for line in f if line.startswith("VmRSS")).split()[1])

    def end(self):
        self.process.stdin.close()
        return self.process.wait(20)


OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def service(target, credentials=None, options=OPTIONS, **more):
    channel = (grpc.secure_channel(target, credentials, options, **more) if credentials
               else grpc.insecure_channel(target, options, **more))
    return channel, messages.Service(channel, O.DESCRIPTOR.services_by_name["OpenShell"])


def sandbox(name):
    return O.GetSandboxRequest(name=name)


def unary(s):
    ok(s.Health(O.HealthRequest()).version.startswith("cancelled="), "an answer to a request")
    for code in grpc.StatusCode:
        number = code.value[0]
        if number:
            got = status(lambda: s.Health(O.HealthRequest(), metadata=[
                ("x-code", str(number)), ("x-text", f"sentence {number}: 100% sure")]))
            ok(got == (code.name, f"sentence {number}: 100% sure"), f"status {code.name}", got)
    got = status(lambda: s.GetUnknown(O.HealthRequest()) if hasattr(s, "GetUnknown") else
                 s.channel.unary_unary("/openshell.v1.OpenShell/Nothing",
                                       request_serializer=lambda m: b"",
                                       response_deserializer=lambda b: b)(None))
    ok(got[0] == "UNIMPLEMENTED", "a method that does not exist", got)
    text = "ä ✓ %20"
    ok(s.GetSandbox(sandbox(text)).sandbox.metadata.name == text, "text beyond ASCII")
    got = status(lambda: s.channel.unary_unary(
        "/openshell.v1.OpenShell/GetSandbox", request_serializer=lambda m: b"\xff\xff",
        response_deserializer=lambda b: b)(None))
    ok(got[0] == "INVALID_ARGUMENT", "a message that is not one", got)


def sizes(s):
    # Tag and length of the field are a part of the message.
    for size, want in ((MAX - 5, "OK"), (MAX - 4, "RESOURCE_EXHAUSTED"), (MAX * 2, "RESOURCE_EXHAUSTED")):
        got = status(lambda: s.GetSandbox(sandbox("x" * size)))
        ok(got[0] == want, f"a message of {size} bytes: {want}", got)
    for compression in (grpc.Compression.Gzip,):
        answer = s.GetSandbox(sandbox("gz" * 100000), compression=compression)
        ok(answer.sandbox.metadata.name == "gz" * 100000, "a message that is compressed")
        got = status(lambda: s.GetSandbox(sandbox("\0" * (64 << 20)), compression=compression))
        ok(got[0] == "RESOURCE_EXHAUSTED", "64 MB of zeros in gzip", got)
    got = status(lambda: s.Health(O.HealthRequest(), compression=grpc.Compression.Deflate))
    ok(got[0] == "UNIMPLEMENTED", "compression that we do not have", got)
    got = status(lambda: s.Health(O.HealthRequest(), metadata=[("x-much", "y" * 7000), ("x-more", "z" * 4000)]))
    ok(got[0] == "RESOURCE_EXHAUSTED", "too much metadata", got)
    ok(status(lambda: s.Health(O.HealthRequest()))[0] == "OK", "the connection goes on after all that")


def deadlines(s):
    for rpc, request in ((s.Health, O.HealthRequest()), (s.GetSandbox, sandbox("x"))):
        begin = time.monotonic()
        got = status(lambda: rpc(request, timeout=0.3, metadata=[("x-hang", "1")]))
        took = time.monotonic() - begin
        ok(got[0] == "DEADLINE_EXCEEDED" and 0.2 < took < 2, "a deadline passes", (got, took))
    time.sleep(0.3)
    before = s.Health(O.HealthRequest()).version
    ok("deadline=0" not in before or "cancelled=0" not in before, "the server hears of it", before)
    calls = [s.Health.future(O.HealthRequest(), metadata=[("x-hang", "1")]) for _ in range(10)]
    time.sleep(0.3)
    open_calls = int(s.Health(O.HealthRequest()).version.split("open=")[1])
    for call in calls:
        call.cancel()
    time.sleep(0.3)
    left = int(s.Health(O.HealthRequest()).version.split("open=")[1])
    ok(open_calls == 11 and left == 1, "ten calls are cancelled, and end at the server", (open_calls, left))


def streams(s, server):
    events = list(s.WatchSandbox(O.WatchSandboxRequest(log_tail_lines=10000, event_tail=100)))
    ok([e.log.timestamp_ms for e in events] == list(range(10000, 0, -1)), "10,000 events in order")
    before = server.rss_kb()
    call = s.WatchSandbox(O.WatchSandboxRequest(log_tail_lines=20000, event_tail=10000))
    next(call)
    time.sleep(1)
    grown = server.rss_kb() - before
    ok(grown < 60000, "who does not read 200 MB costs the server little", f"{grown} KB")
    ok(sum(1 for _ in call) == 19999, "and gets all of it")
    call = s.WatchSandbox(O.WatchSandboxRequest(log_tail_lines=100000, event_tail=1000))
    next(call)
    call.cancel()
    ok(status(lambda: list(call))[0] == "CANCELLED", "a stream is cancelled in its middle")
    call = s.PushSandboxLogs.future((O.PushSandboxLogsRequest(sandbox_id="x" * 100) for _ in range(10000)))
    call.result()
    ok(call.details() == "10000 messages, 1000000 bytes", "10,000 messages of a client", call.details())
    call = s.PushSandboxLogs.future((O.PushSandboxLogsRequest(sandbox_id="x" * 10000) for _ in range(300)),
                                    metadata=[("x-slow", "1")])
    call.result()
    ok(call.details() == "300 messages, 3000000 bytes", "to a server that is slow", call.details())
    call = s.PushSandboxLogs.future(iter(()))
    call.result()
    ok(call.details() == "0 messages, 0 bytes", "none at all", call.details())


def both_ways(s):
    got = [e.stdout.data for e in s.ExecSandboxInteractive(
        O.ExecSandboxInput(stdin=b"%d" % i) for i in range(5000))]
    ok(got == [b"%d" % i for i in range(5000)], "5,000 there and back")
    turn, answers = threading.Semaphore(1), []

    def questions():
        for i in range(200):
            turn.acquire()
            yield O.ExecSandboxInput(stdin=b"%d" % i)

    for event in s.ExecSandboxInteractive(questions()):
        answers.append(event.stdout.data)
        turn.release()
    ok(answers == [b"%d" % i for i in range(200)], "200 in turns")
    blob = os.urandom(60000)
    got = [e.stdout.data for e in s.ExecSandboxInteractive(
        O.ExecSandboxInput(stdin=blob) for _ in range(500))]
    ok(got == [blob] * 500, "30 MB there and back")


def many(s, server):
    """1,000 streams at once, each with something to say in the end."""
    go = threading.Event()

    def questions(i):
        yield O.ExecSandboxInput(stdin=b"first %d" % i)
        go.wait(60)
        yield O.ExecSandboxInput(stdin=b"last %d" % i)

    calls = [s.ExecSandboxInteractive(questions(i)) for i in range(1000)]
    first = [next(c).stdout.data for c in calls]
    ok(first == [b"first %d" % i for i in range(1000)], "1,000 streams at once")
    open_calls = int(s.Health(O.HealthRequest()).version.split("open=")[1])
    ok(open_calls == 1001, "all of them open", open_calls)
    go.set()
    last = [[e.stdout.data for e in c] for c in calls]
    ok(last == [[b"last %d" % i] for i in range(1000)], "each with its own end")
    futures = [s.GetSandbox.future(sandbox(str(i))) for i in range(3000)]
    ok([f.result().sandbox.metadata.name for f in futures] == [str(i) for i in range(3000)],
       "3,000 requests at once")


def hostile(server):
    def send(data, read=True):
        with socket.create_connection(("127.0.0.1", server.port), 5) as c:
            c.settimeout(15)
            try:
                c.sendall(data)
                while read and c.recv(65536):
                    pass
            except OSError:
                pass

    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    settings = b"\0\0\0\4\0\0\0\0\0"
    send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    send(os.urandom(5000))
    send(preface + os.urandom(5000))
    send(preface + settings + b"\0\0\x08\6\0\0\0\0\0" + b"x" * 8 + (b"\0\0\x08\6\0\0\0\0\0" + b"x" * 8) * 20000)
    send(preface + settings * 20000)
    send(preface + settings + b"\0\0\0\1\4\0\0\0\1", read=False)
    ok(server.process.poll() is None, "the server outlives garbage, pings and settings without end")


def certificates(directory):
    def run(*command):
        subprocess.run(command, cwd=directory, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    for ca in ("ca", "other"):
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", f"{ca}.key", "-out", f"{ca}.crt", "-days", "2", "-subj", f"/CN={ca}")
    with open(os.path.join(directory, "san"), "w") as f:
        f.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name, ca in (("server", "ca"), ("client", "ca"), ("stranger", "other")):
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        run("openssl", "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key",
            "-CAcreateserial", "-out", f"{name}.crt", "-days", "2", "-extfile", "san")


def tls():
    with tempfile.TemporaryDirectory() as d:
        certificates(d)

        def read(name):
            with open(os.path.join(d, name), "rb") as f:
                return f.read()

        def path(name):
            return os.path.join(d, name)

        server = Server("--tls", path("server.crt"), path("server.key"), path("ca.crt"))
        target = f"localhost:{server.port}"
        for what, ca, name, want in (("TLS", "ca.crt", None, "OK"), ("mTLS", "ca.crt", "client", "OK"),
                                     ("a server of another CA", "other.crt", None, "UNAVAILABLE"),
                                     ("a client of another CA", "ca.crt", "stranger", "UNAVAILABLE")):
            credentials = grpc.ssl_channel_credentials(
                read(ca), *((read(name + ".key"), read(name + ".crt")) if name else (None, None)))
            channel, s = service(target, credentials)
            got = status(lambda: s.GetSandbox(sandbox("x" * 300000), timeout=5))
            ok(got[0] == want, f"{what}: {want}", got)
            if want == "OK":
                events = list(s.WatchSandbox(O.WatchSandboxRequest(log_tail_lines=3000, event_tail=1000)))
                ok(len(events) == 3000, f"{what}: a stream")
            channel.close()
        channel, s = service(target)
        got = status(lambda: s.Health(O.HealthRequest(), timeout=5))
        ok(got[0] in ("UNAVAILABLE", "DEADLINE_EXCEEDED"), "no TLS where TLS is spoken", got)
        channel.close()
        ok(server.end() == 0, "the server ends without a leak")


def local():
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "socket")
        server = Server("--unix", path)
        channel, s = service("unix:" + path)
        ok(s.Health(O.HealthRequest()).version != "", "a unix socket")
        ok(os.stat(path).st_mode & 0o777 == 0o600, "which is its owner's alone")
        channel.close()
        ok(server.end() == 0, "the server ends without a leak")


def main():
    server = Server()
    channel, s = service(f"127.0.0.1:{server.port}")
    s.channel = channel
    unary(s)
    sizes(s)
    deadlines(s)
    streams(s, server)
    both_ways(s)
    many(s, server)
    hostile(server)
    ok(s.Health(O.HealthRequest()).version != "", "and serves")
    channel.close()
    ok(server.end() == 0, "the server ends without a leak")
    tls()
    local()
    print(f"1..{count}")
    return failed != 0


sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""A real gateway and a real supervisor on one host, in namespaces that the caller has made
(tests/names/instance.sh)."""

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time

os.environ["BUILD"] = os.path.dirname(os.environ["NAMES_BIN"])
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "gateway"))
from world import BIN, D, N, O, S, Gateway, eventually, grpc, ok, plan, refused, status  # noqa: E402,F401

SUPERVISOR = os.path.join(os.environ["NAMES_DIR"], "bin", "openshell-supervisor")
READY, ERROR, STOPPED = O.SANDBOX_PHASE_READY, O.SANDBOX_PHASE_ERROR, O.SANDBOX_PHASE_STOPPED
READ = ["/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/opt", "/proc", "/dev/urandom"]


def policy(read=(), network=None):
    p = S.SandboxPolicy(version=1)
    p.filesystem.include_workdir = True
    p.filesystem.read_only.extend([r for r in READ if os.path.exists(r)])
    p.filesystem.read_only.extend(read)
    p.filesystem.read_write.extend(["/tmp", "/dev/null"])
    for name, (host, port, binary) in (network or {}).items():
        rule = p.network_policies[name]
        rule.name = name
        rule.endpoints.add(host=host, port=port)
        rule.binaries.add(path=binary)
    return p


class Supervisor:
    def __init__(self, directory, target, token, name="node1"):
        self.state, self.run = os.path.join(directory, "state"), "/run/openshell"
        self.log_path = os.path.join(directory, name + ".log")
        self.arguments = [SUPERVISOR, "--gateway", "http://" + target, "--node", name, "--token-file", token,
                          "--state-dir", self.state, "--run-dir", self.run]
        self.process = None

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)

    def attached(self):
        return self.text().count("attached to")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
            return -9

    def text(self):
        try:
            with open(self.log_path, encoding="utf-8") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def files(self, sandbox, *path):
        return os.path.join(self.state, "sandboxes", sandbox, *path)


class Host:
    """One gateway, one supervisor; and what clients do with sandboxes."""

    def __init__(self, directory, *arguments):
        self.directory = directory
        self.gateway = Gateway(directory, *arguments)
        self.supervisor = Supervisor(directory, self.gateway.target, os.path.join(directory, "node-token"))
        self.supervisor.start()
        self.api = self.gateway.api()

    def wait_attached(self, count=1):
        return eventually(lambda: self.supervisor.attached() >= count, 30)

    def create(self, name, *command, wait=READY, tty=False, environment=None, **spec):
        spec.setdefault("policy", policy())
        made = self.api.CreateSandbox(O.CreateSandboxRequest(name=name, spec=O.SandboxSpec(
            command=command, tty=tty, environment=environment or {}, **spec))).sandbox
        if wait is not None:
            self.wait(name, wait)
        return made.metadata.id

    def keepers(self, sandbox=""):
        """The pids of our keepers, or of one sandbox's; their inits look the same."""
        return every_process(os.path.join(self.supervisor.state, "sandboxes", sandbox).encode())

    def get(self, name):
        return self.api.GetSandbox(O.GetSandboxRequest(name=name)).sandbox

    def phase(self, name):
        return self.get(name).status.phase

    def wait(self, name, phase, seconds=20):
        return eventually(lambda: self.phase(name) == phase, seconds)

    def run(self, sandbox, *command, stdin=b"", **more):
        """(exit code, output, errors) of a command; or (status, sentence, b"")."""
        out, err, code = [], [], None
        try:
            for e in self.api.ExecSandbox(O.ExecSandboxRequest(sandbox_id=sandbox, command=command, stdin=stdin,
                                                               **more)):
                kind = e.WhichOneof("payload")
                if kind == "stdout":
                    out.append(e.stdout.data)
                elif kind == "stderr":
                    err.append(e.stderr.data)
                else:
                    code = e.exit.exit_code
        except grpc.RpcError as e:
            return e.code().name, e.details(), b""
        return code, b"".join(out), b"".join(err)

    def shell(self, sandbox, text, **more):
        return self.run(sandbox, "/bin/sh", "-c", text, **more)

    def interact(self, sandbox, **start):
        return Interaction(self.api, O.ExecSandboxRequest(sandbox_id=sandbox, **start))

    def logs(self, sandbox):
        return [line.message for line in self.api.GetSandboxLogs(
            O.GetSandboxLogsRequest(sandbox_id=sandbox, lines=1000)).logs]

    def end(self):
        self.api.close()
        codes = self.supervisor.end(), self.gateway.end()
        return codes


class Interaction:
    """A terminal or a command with a stream both ways."""

    def __init__(self, api, start):
        self.out, self.output, self.code, self.error = queue.Queue(), b"", None, None
        self.lock = threading.Condition()
        self.out.put(O.ExecSandboxInput(start=start))
        self.call = api.ExecSandboxInteractive(iter(self.out.get, None))
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        try:
            for e in self.call:
                with self.lock:
                    kind = e.WhichOneof("payload")
                    if kind == "exit":
                        self.code = e.exit.exit_code
                    else:
                        self.output += getattr(e, kind).data
                    self.lock.notify_all()
        except grpc.RpcError as e:
            self.error = (e.code().name, e.details())
        with self.lock:
            self.over = True
            self.lock.notify_all()

    over = False

    def type(self, data):
        self.out.put(O.ExecSandboxInput(stdin=data))

    def resize(self, columns, rows):
        self.out.put(O.ExecSandboxInput(resize=O.ExecSandboxWindowResize(cols=columns, rows=rows)))

    def sees(self, text, seconds=10):
        with self.lock:
            return self.lock.wait_for(lambda: text in self.output, seconds)

    def end_input(self):
        self.out.put(None)

    def cancel(self):
        self.call.cancel()

    def wait(self, seconds=10):
        with self.lock:
            self.lock.wait_for(lambda: self.over, seconds)
        return self.code


def every_process(word):
    """Those whose command line has the word: all of the machine's that we see."""
    found = []
    for pid in os.listdir("/proc"):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if word in f.read() and int(pid) != os.getpid():
                    found.append(int(pid))
        except (OSError, ValueError):
            pass
    return found


def processes(word):
    """Those of them that are in sandboxes of ours: others may run this beside us."""
    found = []
    for pid in every_process(word):
        try:
            with open(f"/proc/{pid}/cgroup", encoding="ascii") as f:
                if os.path.basename(os.environ["NAMES_CGROUP"]) in f.read():
                    found.append(pid)
        except OSError:
            pass
    return found


def prepare():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    return tempfile.mkdtemp(dir=os.environ["NAMES_DIR"])


__all__ = ["Host", "Supervisor", "every_process", "policy", "processes", "prepare", "time"]

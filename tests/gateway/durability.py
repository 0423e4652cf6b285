# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a gateway at random moments while eight clients write 2,000 objects, twenty times over."""

import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "supervisor"))
from host import READY, Host, eventually  # noqa: E402
from world import O, grpc, ok, plan  # noqa: E402

ROUNDS, WRITES, WRITERS = 20, 2000, 8


class Writes:
    """2,000 writes by eight clients: a workspace, or a change of one. Each may be acknowledged, fail,
    or be cut off, which is either."""

    def __init__(self, gateway, round_number):
        self.gateway, self.round = gateway, round_number
        self.acknowledged, self.cut = set(), set()
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.write, args=(i,)) for i in range(WRITERS)]
        for t in self.threads:
            t.start()

    def write(self, writer):
        api = self.gateway.api()
        for i in range(WRITES // WRITERS):
            if self.stop.is_set():
                break
            name = f"w{self.round}-{writer}-{i}"
            try:
                api.CreateWorkspace(O.CreateWorkspaceRequest(name=name), timeout=10)
                self.acknowledged.add(name)
            except grpc.RpcError as e:
                self.cut.add(name)
                if e.code() != grpc.StatusCode.UNAVAILABLE:
                    print(f"# {name}: {e.code().name} {e.details()}", flush=True)
                break
        api.close()

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join(20)


def names(api):
    found, token = set(), 0
    while True:
        page = api.ListWorkspaces(O.ListWorkspacesRequest(limit=1000, offset=token)).workspaces
        found.update(w.metadata.name for w in page)
        token += len(page)
        if not page:
            return found


def main():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    seed = int(os.environ.get("SEED", time.time()))
    random.seed(seed)
    print(f"# SEED={seed}", flush=True)
    with tempfile.TemporaryDirectory(dir=os.environ["NAMES_DIR"]) as directory:
        os.chmod(directory, 0o755)
        host = Host(directory)
        try:
            ok(host.wait_attached(), "a supervisor attaches")
            # It counts, and asks each time for what it may not have.
            sid = host.create("steady", "sh", "-c", "while :; do cat /etc/shadow >/dev/null 2>&1 && echo open >>breach; "
                              "date +%s.%N >now; sleep 0.02; done")
            now = host.supervisor.files(sid, "files", "now")
            breach = host.supervisor.files(sid, "files", "breach")
            instance = host.get("steady").status.main_process_instance_id
            lost, cut, acknowledged, broken, back, away = set(), 0, set(), [], [], []
            for i in range(ROUNDS):
                api = host.gateway.api()
                attached = host.supervisor.attached()
                writes = Writes(host.gateway, i)
                time.sleep(random.uniform(0.05, 0.9))
                host.gateway.kill()
                writes.end()
                before = time.time()
                down = time.monotonic()
                host.gateway.start(host.gateway.port)
                if not host.wait_attached(attached + 1):
                    away.append(i)
                api.close()
                api = host.gateway.api()
                acknowledged |= writes.acknowledged
                cut += len(writes.cut)
                lost |= acknowledged - names(api)
                with sqlite3.connect(f"file:{host.gateway.database}?mode=ro", uri=True) as db:
                    answer = db.execute("pragma integrity_check").fetchone()[0]
                    if answer != "ok":
                        broken.append(answer)
                back.append(time.monotonic() - down)
                try:
                    with open(now, encoding="ascii") as f:
                        if not eventually(lambda: float(open(now).read() or 0) > before, 5):
                            away.append(f"{i}: the sandbox stands still")
                except (OSError, ValueError):
                    pass
                api.close()
            print(f"# {ROUNDS} kills, {len(acknowledged)} writes acknowledged, {cut} cut off, back in "
                  f"{sorted(back)[ROUNDS // 2]:.2f} s (p50)", flush=True)
            ok(len(acknowledged) > ROUNDS * 10, "there were writes to lose", len(acknowledged))
            ok(cut >= ROUNDS, "the kills came while clients wrote", cut)
            ok(not lost, "no acknowledged write is lost", sorted(lost)[:5])
            ok(not broken, "the database is whole each time", broken)
            ok(not away, "the supervisor is back each time, and its sandbox has run on", away)
            host.api = host.gateway.api()
            s = host.get("steady").status
            ok(s.phase == READY and s.main_process_instance_id == instance, "it is the same run of the sandbox", s)
            ok(not os.path.exists(breach), "and it was held to its policy throughout")
            r = host.shell(sid, "cat /etc/shadow")
            ok(r[0] != 0 and b"denied" in r[2].lower(), "as it is now", r)
        finally:
            host.api.DeleteSandbox(O.DeleteSandboxRequest(name="steady"))
            time.sleep(0.5)
            host.supervisor.end()
            host.gateway.end()
    return plan()


sys.exit(main())

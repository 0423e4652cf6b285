# SPDX-License-Identifier: Apache-2.0
"""What the control plane costs: a gateway and a supervisor with the host driver on this machine, and a
thousand simulated supervisors at one gateway. tests/names/instance.sh makes the namespaces."""

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "supervisor"))
from host import READY, Host, eventually, policy  # noqa: E402
from world import N, O, S, Gateway, grpc  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", 100))
NODES = int(os.environ.get("NODES", 1000))
SANDBOXES = int(os.environ.get("SANDBOXES", 200))


def row(what, value, spread="", target="", met=""):
    """A line for tests/bench/run's table."""
    print(what, value, spread, target, met, sep="\t", flush=True)


def figure(what, seconds, target):
    s = sorted(seconds)
    p50, low, high, p99 = (s[min(len(s) - 1, int(len(s) * q))] * 1000 for q in (0.5, 0.25, 0.75, 0.99))
    row(what, f"{p50:.1f} ms", f"{low:.1f}..{high:.1f} p99 {p99:.1f}", f"<= {target} ms", f"{p50:.1f} <= {target}")


def timed(call):
    begin = time.monotonic()
    call()
    return time.monotonic() - begin


def until(call, good):
    while not good(call()):
        time.sleep(0.0005)


def endpoint(name):
    return policy(network={"web": (name, 443, "/usr/bin/curl")})


def one_host(host):
    api, made, gone, ran, changed = host.api, [], [], [], []
    for i in range(ROUNDS):
        begin = time.monotonic()
        host.create(f"b{i}", "sleep", "1000", wait=None)
        until(lambda: host.phase(f"b{i}"), lambda p: p == READY)
        made.append(time.monotonic() - begin)
        begin = time.monotonic()
        api.DeleteSandbox(O.DeleteSandboxRequest(name=f"b{i}"))
        try:
            while True:
                host.get(f"b{i}")
                time.sleep(0.0005)
        except grpc.RpcError:
            gone.append(time.monotonic() - begin)
    figure("create to READY", made, 50)
    figure("delete until it is gone", gone, 50)
    sid = host.create("steady", "sleep", "1000")
    for _ in range(ROUNDS * 2):
        ran.append(timed(lambda: host.run(sid, "/bin/true")))
    figure("exec of true, round trip", ran, 5)
    for i in range(ROUNDS):
        begin = time.monotonic()
        version = api.UpdateConfig(O.UpdateConfigRequest(name="steady", policy=endpoint(f"h{i}.example.com"))).version
        until(lambda: host.get("steady").status.current_policy_version, lambda v: v >= version)
        changed.append(time.monotonic() - begin)
    figure("policy update until it is acknowledged as in the kernel", changed, 10)
    rate(host.gateway, "steady")
    begin = time.monotonic()
    for i in range(SANDBOXES):
        host.create(f"m{i}", "sleep", "1000", wait=None)
    names = [f"m{i}" for i in range(SANDBOXES)]
    eventually(lambda: sum(s.status.phase == READY for s in api.ListSandboxes(O.ListSandboxesRequest(limit=1000)).sandboxes)
               >= SANDBOXES, 60)
    row(f"{SANDBOXES} sandboxes created until all are READY", f"{time.monotonic() - begin:.2f} s")
    api.UpdateConfig(O.UpdateConfigRequest(**{"global": True}, policy=endpoint("all0.example.com")))
    time.sleep(2)
    begin = time.monotonic()
    before = {s.metadata.name: s.status.current_policy_version for s in
              api.ListSandboxes(O.ListSandboxesRequest(limit=1000)).sandboxes}
    api.UpdateConfig(O.UpdateConfigRequest(**{"global": True}, policy=endpoint("all1.example.com")))
    good = eventually(lambda: all(s.status.current_policy_version > before[s.metadata.name] for s in
                                  api.ListSandboxes(O.ListSandboxesRequest(limit=1000)).sandboxes), 30)
    took = time.monotonic() - begin
    row(f"one global update, in the kernel for {len(names) + 1} sandboxes", f"{took:.2f} s" if good else "over 30 s", "",
        "<= 1 s for 1000")
    begin = time.monotonic()
    for name in names + ["steady"]:
        api.DeleteSandbox(O.DeleteSandboxRequest(name=name))
    eventually(lambda: not api.ListSandboxes(O.ListSandboxesRequest()).sandboxes, 60)
    row(f"{len(names) + 1} sandboxes deleted", f"{time.monotonic() - begin:.2f} s")


def rate(gateway, name):
    """GetSandbox from two clients, each with 64 calls in flight."""
    count, stop = [0], time.monotonic() + 5

    def client():
        api = gateway.api()
        done = threading.Semaphore(64)
        while time.monotonic() < stop:
            done.acquire()
            future = api.GetSandbox.future(O.GetSandboxRequest(name=name))
            count[0] += 1
            future.add_done_callback(lambda _: done.release())
        api.close()

    cpu = processor_time(gateway.process.pid)
    threads = [threading.Thread(target=client) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    cpu = processor_time(gateway.process.pid) - cpu
    row("GetSandbox, by two Python clients", f"{count[0] / 5:.0f}/s")
    row("    of the gateway's processor time", f"{cpu / count[0] * 1e6:.0f} us", f"{count[0] / cpu:.0f}/s a processor")


def processor_time(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmRSS"))


async def node(target, number, token, state):
    """A supervisor with one sandbox, by a connection of its own."""
    channel = grpc.aio.insecure_channel(target, [("grpc.use_local_subchannel_pool", 1)])
    attach = channel.stream_stream("/openshell.node.v1.Node/Attach", N.NodeMessage.SerializeToString,
                                   N.GatewayMessage.FromString)
    try:
        await serve(attach(metadata=[("authorization", "Bearer " + token)]), number, state)
    finally:
        await channel.close()


async def serve(call, number, state):
    hello = N.Hello(node=f"node{number}", version="bench", protocol=1, drivers=["host"])
    hello.kernel.release = "6.0"
    await call.write(N.NodeMessage(hello=hello))
    async for message in call:
        kind = message.WhichOneof("payload")
        if kind == "synced":
            state["synced"] += 1
        elif kind == "heartbeat":
            await call.write(N.NodeMessage(heartbeat=N.Heartbeat()))
        elif kind == "assign":
            a = message.assign
            await call.write(N.NodeMessage(sandbox=N.SandboxReport(sandbox_id=a.sandbox_id, phase=READY,
                                                                   instance_id=a.instance_id)))
            await call.write(N.NodeMessage(result=N.Result(request_id=a.request_id, ok=True)))
            state["assigned"] += 1
        elif kind == "policy":
            p = message.policy
            state["policies"] += 1
            await call.write(N.NodeMessage(policy=N.PolicyReport(sandbox_id=p.sandbox_id, version=p.version, digest=p.digest,
                                                                 loaded=True)))


async def reach(state, word, count, seconds):
    end = time.monotonic() + seconds
    while state[word] < count and time.monotonic() < end:
        await asyncio.sleep(0.001)
    return state[word] >= count


async def thousand(gateway):
    state = {"synced": 0, "assigned": 0, "policies": 0}
    alone = memory(gateway.process.pid)
    begin = time.monotonic()
    tasks = [asyncio.create_task(node(gateway.target, i, gateway.NODE_TOKEN, state)) for i in range(NODES)]
    if not await reach(state, "synced", NODES, 60):
        raise SystemExit(f"only {state['synced']} of {NODES} attached: {[t.exception() for t in tasks if t.done()][:1]}")
    row(f"{NODES} supervisors attach", f"{time.monotonic() - begin:.2f} s")
    row("    the gateway's memory", f"{memory(gateway.process.pid):.0f} MB", f"{alone:.0f} MB without",)
    channel = grpc.aio.insecure_channel(gateway.target)
    create = channel.unary_unary("/openshell.v1.OpenShell/CreateSandbox", O.CreateSandboxRequest.SerializeToString,
                                 O.SandboxResponse.FromString)
    update = channel.unary_unary("/openshell.v1.OpenShell/UpdateConfig", O.UpdateConfigRequest.SerializeToString,
                                 O.UpdateConfigResponse.FromString)
    begin = time.monotonic()
    for at in range(0, NODES, 50):
        await asyncio.gather(*[create(O.CreateSandboxRequest(name=f"s{i}", spec=O.SandboxSpec(policy=policy())))
                               for i in range(at, min(at + 50, NODES))])
    await reach(state, "assigned", NODES, 60)
    row(f"{state['assigned']} sandboxes placed on them", f"{time.monotonic() - begin:.2f} s")
    fanout = []
    for i in range(5):
        await asyncio.sleep(1)
        count = state["policies"]
        begin = time.monotonic()
        await update(O.UpdateConfigRequest(**{"global": True}, policy=endpoint(f"all{i}.example.com")))
        if await reach(state, "policies", count + NODES, 30):
            fanout.append(time.monotonic() - begin)
    figure("one global update, until the last of them has it", fanout or [30], 1000)
    # A thousand cancelled streams keep grpc's own loop for minutes: it goes with the process.
    gateway.kill()
    sys.stdout.flush()
    os._exit(0)


def main():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(dir=os.environ["NAMES_DIR"]) as directory:
        os.chmod(directory, 0o755)
        host = Host(directory)
        try:
            if not host.wait_attached():
                return f"the supervisor did not attach: {host.supervisor.text()[-500:]}"
            one_host(host)
        finally:
            host.supervisor.end()
            host.gateway.end()
    with tempfile.TemporaryDirectory(dir=os.environ["NAMES_DIR"]) as directory:
        gateway = Gateway(directory)
        try:
            asyncio.run(thousand(gateway))
        finally:
            gateway.kill()
    return 1


sys.exit(main())

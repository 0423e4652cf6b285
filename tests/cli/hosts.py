# SPDX-License-Identifier: Apache-2.0
"""Three hosts: a gateway and two supervisors, one known by its certificate, one by a token."""

import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from user import DIR, HOME, eventually, json_of, ok, phase, plan, run, shell, write  # noqa: E402

UNIFIED = sys.argv[2]
GATEWAY = "10.77.0.1"
TOKEN = "0123456789abcdef0123456789abcdef-second"

HOST = """
set -e
top=$DIR/$HOST
mkdir -p "$top" /sys/fs/cgroup 2>/dev/null || :
mkdir "$top/cgroup"
mount --bind "$UNIFIED/$HOST" "$top/cgroup"
umount "$UNIFIED"
mount --move "$top/cgroup" "$UNIFIED"
mount -t bpf bpf /sys/fs/bpf
mount -t tmpfs run /run
mount -t tmpfs state /var/lib
ip link set lo up
until ip link show "$HOST" >/dev/null 2>&1; do sleep 0.02; done
ip addr add "$ADDRESS/24" dev "$HOST"
ip link set "$HOST" up
exec openshell-supervisor --gateway https://10.77.0.1:17670 --node "$HOST" "$@"
"""


def command(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


class Supervisor:
    def __init__(self, name, address, *arguments):
        self.name, self.arguments = name, arguments
        os.makedirs(os.path.join(UNIFIED, name), exist_ok=True)
        self.log = os.path.join(DIR, name + ".log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", HOST, "sh", *arguments],
                env={**os.environ, "DIR": DIR, "HOST": name, "ADDRESS": address, "UNIFIED": UNIFIED},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        command("ip", "link", "add", name, "type", "veth", "peer", "name", "to-" + name)
        eventually(lambda: os.readlink(f"/proc/{self.process.pid}/ns/net") != os.readlink("/proc/self/ns/net"))
        command("ip", "link", "set", name, "netns", str(self.process.pid))
        command("ip", "link", "set", "to-" + name, "master", "bridge", "up")

    def text(self):
        with open(self.log, encoding="utf-8") as f:
            return f.read()

    def cut(self, down):
        command("ip", "link", "set", "to-" + self.name, "down" if down else "up")

    def end(self):
        self.process.terminate()
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def nodes_of(names):
    """Which host has which sandbox, as the logs of the sandboxes say."""
    found = {}
    for name in names:
        out = run("logs", name, "--source", "gateway").out
        found[name] = next((n for n in ("hosta", "hostb") if f"on node {n}" in out), None)
    return found


def use(hosts):
    names = [f"s{i}" for i in range(6)]
    for name in names:
        r = run("sandbox", "create", "--name", name, "--detach", "--", "sleep", "1000")
        ok(r.code == 0, f"create {name}", r)
    where = nodes_of(names)
    ok(set(where.values()) == {"hosta", "hostb"}, "both hosts have some", where)
    for name in names:
        r = shell(name, f"echo in {name}; exit 4")
        ok(r.code == 4 and r.out == f"in {name}\n", f"exec in {name}, on {where[name]}", r)
    addresses = {n: shell(n, "cat /proc/net/fib_trie").out for n in names}
    own = {"hosta": "10.77.0.2", "hostb": "10.77.0.3"}
    ok(all(own[where[n]] in addresses[n] or not addresses[n] for n in names), "each on the host that the gateway says", where)
    tree = os.path.join(DIR, "tree")
    os.makedirs(tree)
    for i in range(500):
        with open(f"{tree}/f{i}", "w", encoding="ascii") as f:
            f.write(str(i))
    for host in ("hosta", "hostb"):
        name = next(n for n in names if where[n] == host)
        r = run("sandbox", "upload", name, tree)
        r2 = run("sandbox", "download", name, "/sandbox/tree", os.path.join(DIR, "back-" + host))
        same = subprocess.run(["diff", "-r", tree, os.path.join(DIR, "back-" + host)], check=False).returncode == 0
        ok(r.code == 0 and r2.code == 0 and same, f"files to {host} and back", f"{r} {r2}")
        r = run("policy", "update", name, "--add-endpoint", "api.example.com:443:read-only:rest", "--binary", "/usr/bin/curl",
                "--wait")
        ok(r.code == 0, f"a policy is in force on {host}", r)
    # The network between goes away: what runs there runs on, and is found again.
    name = next(n for n in names if where[n] == "hosta")
    shell(name, "(while :; do date +%s.%N >/sandbox/now; sleep 0.05; done) >/dev/null 2>&1 &")
    before = hosts[0].text().count("attached to")
    hosts[0].cut(True)
    r = run("sandbox", "exec", "-n", next(n for n in names if where[n] == "hostb"), "--", "true")
    ok(r.code == 0, "the other host is as before", r)
    time.sleep(1)
    hosts[0].cut(False)
    ok(eventually(lambda: shell(name, "true", seconds=10).code == 0, 60), "a host whose network was away is back",
       hosts[0].text()[-300:])
    ok(phase(name) == "SANDBOX_PHASE_READY", "with its sandboxes", f"{before} {phase(name)}")
    r = run("sandbox", "delete", *names)
    ok(r.code == 0 and not run("sandbox", "list", "--names").out.split(), "delete", r)


def main():
    os.makedirs(HOME)
    command("ip", "link", "set", "lo", "up")
    command("ip", "link", "add", "bridge", "type", "bridge")
    command("ip", "addr", "add", GATEWAY + "/24", "dev", "bridge")
    command("ip", "link", "set", "bridge", "up")
    gateway = os.path.join(DIR, "bin", "openshell-gateway")
    certs = os.path.join(DIR, "certs")
    command(gateway, "generate-certs", "--dir", certs, "--name", GATEWAY, "--node", "hosta")
    token = write("token", TOKEN + "\n")
    os.chmod(token, 0o600)
    log = open(os.path.join(DIR, "gateway.log"), "wb")
    served = subprocess.Popen([gateway, "--listen", GATEWAY + ":17670", "--tls-cert", f"{certs}/server.crt", "--tls-key",
                               f"{certs}/server.key", "--tls-client-ca", f"{certs}/ca.crt", "--health", "", "--services", "",
                               "--database", os.path.join(DIR, "gateway.db"), "--node-token", token],
                              stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    hosts = [Supervisor("hosta", "10.77.0.2", "--ca", f"{certs}/ca.crt", "--cert", f"{certs}/node.crt", "--key",
                        f"{certs}/node.key"),
             Supervisor("hostb", "10.77.0.3", "--ca", f"{certs}/ca.crt", "--token-file", token)]
    try:
        r = run("gateway", "add", f"https://{GATEWAY}:17670", "--name", "far", "--remote", "--ca", f"{certs}/ca.crt", "--cert",
                f"{certs}/client.crt", "--key", f"{certs}/client.key")
        ok(r.code == 0, "gateway add", r)
        ok(eventually(lambda: run("status").code == 0), "it answers", run("status"))
        for host in hosts:
            ok(eventually(lambda h=host: "attached to" in h.text(), 30), f"{host.name} attaches", host.text())
        ok("HEALTHY" in json_of(run("status", "-o", "json"))["status"], "status")
        use(hosts)
    except Exception as e:
        ok(False, "the test runs to its end", repr(e))
    finally:
        for host in hosts:
            ok(host.end() == 0, f"{host.name} ends as it was asked to", host.text()[-300:])
            for top, _, _ in os.walk(os.path.join(UNIFIED, host.name), topdown=False):
                os.rmdir(top)
        served.terminate()
        ok(served.wait(10) == 0, "so does the gateway")
    return plan(["gateway.log", "hosta.log", "hostb.log"])


sys.exit(main())

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a supervisor does with a gateway's sandboxes: they start, take commands, terminals and connections,
outlive it, are updated in place, stop with their files and go without a trace. Prints TAP."""

import glob
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from host import (D, ERROR, O, READY, STOPPED, Host, eventually, grpc, ok, plan, policy, prepare,  # noqa: E402
                  processes, time)

CGROUP = sys.argv[2]


def group(sandbox):
    return os.path.join(CGROUP, "openshell", sandbox)


def population(sandbox):
    try:
        with open(os.path.join(group(sandbox), "cgroup.procs"), encoding="ascii") as f:
            return len(f.read().split())
    except OSError:
        return 0


def starting(host):
    sid = host.create("first", "sh", "-c", "echo started; exec sleep 1000", environment={"MINE": "is there"})
    sandbox = host.get("first")
    ok(sandbox.status.phase == READY and sandbox.status.main_process_instance_id, "a sandbox is ready", sandbox)
    ok(eventually(lambda: sandbox.status.current_policy_version == 1 or
                  host.get("first").status.current_policy_version == 1),
       "its policy is reported as in force", host.get("first"))
    got = host.shell(sid, "id -u; pwd; echo $HOME $MINE $OPENSHELL_SANDBOX $USER; ls -ld /sandbox | cut -c1-10")
    uid = got[1].split(b"\n")[0]
    ok(got[0] == 0 and uid not in (b"0", b"") and b"/sandbox\n/sandbox is there first sandbox\n" in got[1],
       "a command is the sandbox's user, in its directory, with its variables", got)
    ok(population(sid) > 0, "it is in its cgroup")
    ok(any("STARTED sandbox first" in line for line in host.logs(sid)), "its log says that it started", host.logs(sid))
    return sid


def commands(host, sid):
    ok(host.run(sid, "echo", "a", "b") == (0, b"a b\n", b""), "a command's output comes, and its end")
    for code in (1, 2, 42, 255):
        ok(host.shell(sid, f"exit {code}")[0] == code, f"exit code {code}")
    ok(host.shell(sid, "kill -TERM $$")[0] == 143, "the end by a signal is 128 and its number")
    got = host.shell(sid, "echo out; echo err >&2")
    ok(got == (0, b"out\n", b"err\n"), "standard error is apart", got)
    ok(host.run(sid, "cat", stdin=b"x" * 1000000)[1] == b"x" * 1000000, "a million bytes go in and come back")
    got = host.shell(sid, "yes | head -c 20000000")
    ok(got[0] == 0 and len(got[1]) == 20000000, "20 MB of output, none of it lost", (got[0], len(got[1])))
    got = host.run(sid, "sh", "-c", "pwd; echo $A", workdir="/tmp", environment={"A": "b c"})
    ok(got == (0, b"/tmp\nb c\n", b""), "working directory and variables of a command", got)
    got = host.run(sid, "pwd", workdir="/no/such")
    ok(got[0] != 0 and got[0] is not None, "a working directory that is not there", got)
    got = host.run(sid, "no-such-command")
    ok(got[0] == "INVALID_ARGUMENT" or got[0] == 127, "a command that is not there", got)
    t = time.monotonic()
    got = host.run(sid, "sleep", "100", timeout_seconds=1)
    ok(got[0] == 124 and time.monotonic() - t < 5, "a command whose time is over ends with 124", got)
    ok(eventually(lambda: not processes(b"sleep\x00100\x00")), "and nothing of it is left")
    got = host.shell(sid, "sleep 200 & echo parent")
    ok(got[:2] == (0, b"parent\n"), "a child that keeps the output open is not waited for", got)
    t = time.monotonic()
    got = host.shell(sid, "yes & echo parent")
    ok(got[0] == 0 and time.monotonic() - t < 5, "nor is one that writes for ever", got[0])
    host.shell(sid, "kill -9 $(pgrep yes) $(pgrep -x sleep -f 'sleep 200')")
    i = host.interact(sid, command=["sh", "-c", "echo begin; sleep 300"])
    i.sees(b"begin")
    i.cancel()
    ok(eventually(lambda: not processes(b"sleep\x00300\x00")), "a call that is cancelled ends its command")
    results = []
    threads = [threading.Thread(target=lambda n=n: results.append(host.shell(sid, f"sleep 0.2; echo {n}") ==
                                                                  (0, b"%d\n" % n, b""))) for n in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ok(len(results) == 60 and all(results), "60 commands at once", results.count(False))
    times = []
    for _ in range(50):
        t = time.monotonic()
        host.run(sid, "/bin/true")
        times.append(time.monotonic() - t)
    times.sort()
    print("# a command's round trip: %.1f ms (p50), %.1f ms (p99)" % (times[25] * 1000, times[49] * 1000))


def streams(host, sid):
    i = host.interact(sid, command=["sh", "-c", "stty -a 2>&1 | head -1; cat; echo end"], stdin=b"first\n")
    ok(i.sees(b"first"), "what comes with the start is its input", i.output)
    i.type(b"second\n")
    ok(i.sees(b"second"), "as is what follows")
    i.end_input()
    ok(i.wait() == 0 and i.output.endswith(b"end\n"), "the end of input is told", (i.code, i.error, i.output))
    i = host.interact(sid, command=["sh"], tty=True, cols=100, rows=30)
    i.type(b"stty size; tty >/dev/null && echo is-a-$((1+1))-tty\n")
    ok(i.sees(b"30 100") and i.sees(b"is-a-2-tty"), "a terminal of the asked size", i.output)
    i.resize(120, 40)
    i.type(b"stty size\n")
    ok(i.sees(b"40 120"), "it is resized", i.output)
    i.type(b"sleep 400\n")
    eventually(lambda: processes(b"sleep\x00400\x00"))
    i.type(b"\x03")
    i.type(b"echo $?-was-it\n")
    ok(i.sees(b"130-was-it"), "^C interrupts", i.output[-200:])
    i.type(b"exit 7\n")
    ok(i.wait() == 7, "and it ends as its shell does", (i.code, i.error))
    # A reader that does not read: nothing grows without bound, and others are not held up.
    i = host.interact(sid, command=["sh", "-c", "yes"])
    i.sees(b"y")
    t = time.monotonic()
    ok(host.run(sid, "echo", "quick")[1] == b"quick\n" and time.monotonic() - t < 3, "one that writes for ever "
       "holds up nobody")
    i.cancel()
    ok(eventually(lambda: not processes(b"yes\x00")), "and ends with its call")


def main_terminal(host):
    sid = host.create("shell", tty=True)
    i = host.interact(sid, attach_main=True, tty=True, cols=90, rows=20)
    i.type(b"echo shell-$((40+2)); stty size\n")
    ok(i.sees(b"shell-42") and i.sees(b"20 90"), "without a command a login shell waits in a terminal",
       (i.output, i.error))
    i.cancel()
    i.wait()
    i = host.interact(sid, attach_main=True, tty=True, cols=90, rows=20)
    ok(i.sees(b"shell-42"), "who comes back sees what was there", i.output)
    j = host.interact(sid, attach_main=True, tty=True, cols=90, rows=20)
    i.type(b"echo both-$((1+1))\n")
    ok(i.sees(b"both-2") and j.sees(b"both-2"), "two see the same")
    i.type(b"exit 3\n")
    ok(i.wait() == 3 and j.wait() == 3, "its end is told to both", (i.code, j.code, i.error))
    ok(host.wait("shell", ERROR), "the sandbox has ended then")
    sandbox = host.get("shell")
    ok(sandbox.status.exit_code == 3, "with its exit code", sandbox)
    i = host.interact(sid, attach_main=True)
    ok(i.wait() == 3 and b"both-2" in i.output, "who comes after its end sees both", (i.code, i.error, i.output[-99:]))
    got = host.run(sid, "true")
    ok(got[0] == "FAILED_PRECONDITION", "and no command starts there", got)
    sid = host.create("batch", "sh", "-c", "echo out; echo err >&2; cat; exit 5")
    i = host.interact(sid, attach_main=True)
    i.type(b"typed\n")
    ok(i.sees(b"typed"), "a main process without a terminal takes input", (i.output, i.error))
    i.end_input()
    ok(i.wait() == 5 and b"out\n" in i.output and b"err\n" in i.output, "until its end", (i.code, i.output, i.error))
    for name in ("shell", "batch"):
        host.api.DeleteSandbox(O.DeleteSandboxRequest(name=name))


def bad_starts(host):
    host.create("missing", "/no/such/command", wait=ERROR)
    s = host.get("missing").status
    text = " ".join(c.message for c in s.conditions)
    ok(s.phase == ERROR and "/no/such/command" in text, "a command that is not there is told", s)
    host.create("short", "sh", "-c", "exit 9", wait=ERROR)
    s = host.get("short").status
    ok(s.phase == ERROR and s.exit_code == 9, "as is one that ends at once", s)
    for name in ("missing", "short"):
        host.api.DeleteSandbox(O.DeleteSandboxRequest(name=name))


def connections(host, sid):
    host.shell(sid, "cd /tmp && cat > serve.py && (setsid /usr/bin/python3 serve.py >/dev/null 2>&1 &)", stdin=b"""
import socketserver
class H(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(b"<" + line.strip() + b">\\n")
        self.wfile.write(b"bye\\n")
class S(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
S(("127.0.0.1", 8123), H).serve_forever()
""")

    def forward(port, data, sandbox=sid, address="127.0.0.1"):
        def frames():
            yield O.TcpForwardFrame(init=O.TcpForwardInit(sandbox_id=sandbox, tcp=O.TcpRelayTarget(
                host=address, port=port)))
            yield from (O.TcpForwardFrame(data=d) for d in data)
        try:
            return b"".join(f.data for f in host.api.ForwardTcp(frames()))
        except grpc.RpcError as e:
            return e.code().name
    got = eventually(lambda: (lambda g: g if isinstance(g, bytes) else None)(forward(8123, [b"a\n", b"b\n"])))
    ok(got == b"<a>\n<b>\nbye\n", "a connection to the sandbox's loopback", got)
    got = forward(8124, [b"a\n"])
    ok(got == "UNAVAILABLE", "a port where nobody listens", got)
    big = [b"%07d" % n * 1000 + b"\n" for n in range(300)]
    got = forward(8123, big)
    ok(got == b"".join(b"<" + d.strip() + b">\n" for d in big) + b"bye\n", "2 MB both ways", len(got))
    other = host.create("other", "sleep", "1000")
    got = forward(8123, [b"a\n"], other)
    ok(got == "UNAVAILABLE", "not to another sandbox's port", got)
    port = int(host.gateway.port)
    got = forward(port, [b"a\n"])
    ok(got == "UNAVAILABLE", "nor to the host's", got)
    host.api.DeleteSandbox(O.DeleteSandboxRequest(name="other"))


def updates(host, sid):
    sock = "import socket; s = socket.create_connection((%r, %d), 3); print('connected')"

    def reach():
        return host.run(sid, "/usr/bin/python3", "-c", sock % ("203.0.113.1", 7777))
    before = reach()
    ok(before[0] == 1 and b"Permission" in before[2] or b"refused" in before[2].lower(), "without a rule nothing is "
       "reached", before)
    new = policy(network={"server": ("203.0.113.1", 7777, os.path.realpath("/usr/bin/python3"))})
    t = time.monotonic()
    answer = host.api.UpdateConfig(O.UpdateConfigRequest(name="first", policy=new))
    ok(eventually(lambda: host.api.GetSandboxPolicyStatus(O.GetSandboxPolicyStatusRequest(
        name="first")).active_version == answer.version), "a policy is put in force in place", answer)
    print("# policy in force after %.1f ms" % ((time.monotonic() - t) * 1000))
    after = reach()
    ok(after == (0, b"connected\n", b""), "what it allows is reached", after)
    wrong = policy(read=["/var"])
    answer = host.api.UpdateConfig(O.UpdateConfigRequest(name="first", policy=wrong))
    st = eventually(lambda: (lambda r: r if r.revision.load_error else None)(host.api.GetSandboxPolicyStatus(
        O.GetSandboxPolicyStatusRequest(name="first", version=answer.version))))
    if host.lsm:
        ok(not st, "files can change where BPF-LSM holds them", st)
    else:
        ok(st and st.revision.status == O.POLICY_STATUS_FAILED and st.active_version == answer.version - 1,
           "one that cannot be put in force fails, with the reason", st)
    ok(reach() == (0, b"connected\n", b""), "and the last good one stays")
    answer = host.api.UpdateConfig(O.UpdateConfigRequest(name="first", policy=policy()))
    eventually(lambda: host.api.GetSandboxPolicyStatus(O.GetSandboxPolicyStatusRequest(
        name="first")).active_version == answer.version)
    after = reach()
    ok(after[0] == 1, "what a policy takes away is out of reach again", after)
    ok(any("DENIED" in line for line in host.logs(sid)), "the log has the denials", host.logs(sid)[-5:])


def credentials(host):
    host.api.CreateProvider(O.CreateProviderRequest(provider=D.Provider(
        metadata=D.ObjectMeta(name="gh"), type="github", credentials={"GITHUB_TOKEN": "ghp_very-secret"})))
    sid = host.create("with", "sleep", "1000", providers=["gh"])
    got = host.shell(sid, "echo $GITHUB_TOKEN")
    ok(got[0] == 0 and b"openshell:" in got[1] and b"secret" not in got[1], "a provider's variable is a placeholder",
       got)
    host.api.DetachSandboxProvider(O.DetachSandboxProviderRequest(sandbox_name="with", provider_name="gh"))
    ok(eventually(lambda: host.shell(sid, "echo $GITHUB_TOKEN")[1] == b"\n"), "it goes with its provider")
    host.api.AttachSandboxProvider(O.AttachSandboxProviderRequest(sandbox_name="with", provider_name="gh"))
    ok(eventually(lambda: b"openshell:" in host.shell(sid, "echo $GITHUB_TOKEN")[1]), "and comes with it")
    for root in (host.supervisor.state, "/run/openshell"):
        text = b""
        for path in glob.glob(root + "/**", recursive=True):
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    text += f.read()
        ok(b"very-secret" not in text, f"no file below {os.path.basename(root)} has the secret")
    host.api.DeleteSandbox(O.DeleteSandboxRequest(name="with"))


def outliving(host, sid):
    host.shell(sid, "echo kept > /sandbox/kept")
    marker = host.shell(sid, "(setsid sh -c 'while :; do date +%s%N > /tmp/alive; sleep 0.05; done' "
                        ">/dev/null 2>&1 &); echo ok")
    instance = host.get("first").status.main_process_instance_id
    mains = processes(b"sleep\x001000\x00")
    i = host.interact(sid, command=["sh", "-c", "echo begin; sleep 500"])
    i.sees(b"begin")
    attached = host.supervisor.attached()
    host.supervisor.kill()
    ok(population(sid) > 0 and processes(b"sleep\x001000\x00") == mains, "kill -9 of the supervisor leaves its sandboxes",
       marker)
    i.wait()
    ok(i.error is not None, "a command's call ends then", (i.code, i.error))
    ok(eventually(lambda: not processes(b"sleep\x00500\x00")), "and so does the command")
    host.supervisor.start()
    ok(host.wait_attached(attached + 1), "another one attaches", host.supervisor.text()[-500:])
    got = eventually(lambda: (lambda g: g if g[0] == 0 else None)(host.run(sid, "cat", "/sandbox/kept")))
    ok(got and got[1] == b"kept\n", "and has the sandbox", got)
    ok(processes(b"sleep\x001000\x00") == mains and host.phase("first") == READY and
       host.get("first").status.main_process_instance_id == instance, "which was not started anew")
    a = host.shell(sid, "cat /tmp/alive")[1]
    ok(eventually(lambda: host.shell(sid, "cat /tmp/alive")[1] != a), "what ran there runs on")
    got = eventually(lambda: any("OCSF" in line for line in host.logs(sid)))
    ok(got, "its log goes on")
    # The same with the gateway: what changed meanwhile is told.
    port = host.gateway.port
    host.gateway.kill()
    ok(processes(b"sleep\x001000\x00") == mains, "kill -9 of the gateway leaves its sandboxes")
    attached = host.supervisor.attached()
    host.gateway.start(port)
    host.api.close()
    host.api = host.gateway.api()
    ok(host.wait_attached(attached + 1), "the supervisor attaches to the next one", host.supervisor.text()[-500:])
    ok(eventually(lambda: host.run(sid, "echo", "back")[:2] == (0, b"back\n")), "and sandboxes are reached again")
    # Both, and neither comes back quickly.
    for _ in range(5):
        attached = host.supervisor.attached()
        host.supervisor.kill()
        host.supervisor.start()
        host.wait_attached(attached + 1)
    ok(processes(b"sleep\x001000\x00") == mains and host.phase("first") == READY, "five restarts later it still runs")


def busybox(directory):
    os.makedirs(os.path.join(directory, "bin"))
    subprocess.run(["cp", "/bin/busybox", os.path.join(directory, "bin")], check=True)
    for name in ("sh", "cat", "ls", "id", "echo", "touch", "grep", "sleep", "mount", "wc"):
        os.symlink("busybox", os.path.join(directory, "bin", name))
    os.mkdir(os.path.join(directory, "etc"))
    with open(os.path.join(directory, "etc/os-release"), "w", encoding="ascii") as f:
        f.write("NAME=image\n")
    return directory


def oci(layout, directory):
    """An OCI layout with one layer, tagged latest."""
    blobs = os.path.join(layout, "blobs/sha256")
    os.makedirs(blobs)

    def blob(data, kind, **more):
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(blobs, digest), "wb") as f:
            f.write(data)
        return {"mediaType": kind, "digest": "sha256:" + digest, "size": len(data), **more}
    layer = subprocess.run(["tar", "-C", directory, "-cz", "."], stdout=subprocess.PIPE, check=True).stdout
    prefix = "application/vnd.oci.image."
    manifest = json.dumps({"schemaVersion": 2, "config": blob(b"{}", prefix + "config.v1+json"),
                           "layers": [blob(layer, prefix + "layer.v1.tar+gzip")]}).encode()
    with open(os.path.join(layout, "index.json"), "w", encoding="ascii") as f:
        json.dump({"schemaVersion": 2, "manifests": [blob(manifest, prefix + "manifest.v1+json", annotations={
            "org.opencontainers.image.ref.name": "latest"})]}, f)
    return layout


def images(host):
    root = busybox(os.path.join(host.directory, "image"))
    allowed = policy()
    del allowed.filesystem.read_only[:]
    allowed.filesystem.read_only.extend(["/bin", "/etc", "/proc"])
    sid = host.create("image", "sleep", "1000", policy=allowed, template=O.SandboxTemplate(image=root))
    ok(host.phase("image") == READY, "a directory is a sandbox's root", host.get("image"))
    got = host.shell(sid, "cat /etc/os-release; pwd; echo $SHELL; grep -c localhost /etc/hosts")
    ok(got == (0, b"NAME=image\n/sandbox\n/bin/sh\n2\n", b""), "with its own files, and the sandbox's", got)
    got = host.shell(sid, "echo mine > /sandbox/mine && cat /sandbox/mine; echo t > /tmp/t && cat /tmp/t; echo x > /etc/x; "
                     "echo x > /bin/busybox; echo to >/dev/null && echo null")
    ok(got[0] == 0 and got[1] == b"mine\nt\nnull\n", "its own directories are writable, the image is not", got)
    ok(not os.path.exists(os.path.join(root, "etc/x")) and os.listdir(os.path.join(root, "tmp")) == [], "nothing was "
       "written into it")
    got = host.shell(sid, "cat /proc/self/mountinfo")
    own = ("/", "/sandbox", "/dev", "/dev/shm", "/dev/pts", "/dev/mqueue", "/dev/hugepages", "/proc", "/tmp", "/var",
           "/var/tmp", "/bin", "/etc", "/etc/hosts")
    foreign = [line for line in got[1].decode().splitlines() if line.split()[4] not in own]
    ok(got[0] == 0 and not foreign, "no mount of the host but its /dev is there", foreign)
    got = host.run(sid, os.path.realpath(sys.executable), "-c", "1")
    ok(got[0] in ("INVALID_ARGUMENT", 127), "no program of the host is there", got)
    host.api.StopSandbox(O.StopSandboxRequest(name="image"))
    host.wait("image", STOPPED)
    host.api.StartSandbox(O.StartSandboxRequest(name="image"))
    ok(host.wait("image", READY) and host.shell(sid, "cat /sandbox/mine")[1] == b"mine\n", "its files stay when it stops",
       host.get("image"))
    host.api.DeleteSandbox(O.DeleteSandboxRequest(name="image"))
    # The same as an OCI layout, which two want at once.
    layout = oci(os.path.join(host.directory, "layout"), busybox(os.path.join(host.directory, "packed")))
    ids = [host.create(name, "sleep", "1000", policy=allowed, wait=None, template=O.SandboxTemplate(
        image=f"oci:{layout}{tag}")) for name, tag in (("oci1", ""), ("oci2", ":latest"))]
    ok(host.wait("oci1", READY) and host.wait("oci2", READY), "an OCI layout is one", host.get("oci1"))
    got = [host.shell(i, "cat /etc/os-release; id -u") for i in ids]
    ok(all(g[0] == 0 and g[1].startswith(b"NAME=image\n") for g in got), "for both", got)
    kept = [n for n in os.listdir(os.path.join(host.supervisor.state, "images"))]
    ok(len(kept) == 1 and len(kept[0]) == 64, "it is put on the host once", kept)
    for name in ("oci1", "oci2"):
        host.api.DeleteSandbox(O.DeleteSandboxRequest(name=name))
    for name, image, words in (("layout", f"oci:{layout}:other", "no image 'other'"), ("gone", "/no/such/directory", "cannot find"), ("root", "/", "host's root"),
                               ("tmp", "/tmp", "only root may write")):
        host.create(name, "true", wait=ERROR, template=O.SandboxTemplate(image=image))
        message = host.get(name).status.conditions[0].message
        ok(words in message, f"an image that is none, {image}, is told", message)
        host.api.DeleteSandbox(O.DeleteSandboxRequest(name=name))


def restart(host):
    attached = host.supervisor.attached()
    host.supervisor.kill()
    host.supervisor.start()
    return host.wait_attached(attached + 1)


def once(host):
    """What has run is not run again by itself."""
    sid = host.create("once", "sh", "-c", "echo ran >> /sandbox/ran; [ ! -e /sandbox/wait ] || sleep 600; exit 6", wait=ERROR)
    ran = host.supervisor.files(sid, "files", "ran")

    def runs():
        with open(ran, encoding="ascii") as f:
            return f.read().count("ran")
    restart(host)
    s = host.get("once").status
    ok(s.phase == ERROR and s.exit_code == 6 and runs() == 1, "what has ended stays so when the supervisor restarts", s)
    i = host.interact(sid, attach_main=True)
    ok(i.wait() == 6, "and how it ended can be had", (i.code, i.error))
    for pid in host.keepers(sid):
        os.kill(pid, 9)
    restart(host)
    time.sleep(0.3)
    s = host.get("once").status
    ok(s.phase == ERROR and s.exit_code == 6 and runs() == 1, "also when its keeper is gone, as after a restart of the host",
       s)
    open(host.supervisor.files(sid, "files", "wait"), "w").close()
    host.api.StartSandbox(O.StartSandboxRequest(name="once"))
    ok(host.wait("once", READY) and runs() == 2, "it is started when somebody asks for that", host.get("once"))
    keepers = host.keepers(sid)
    for pid in keepers:
        os.kill(pid, 9)
    ok(host.wait("once", ERROR), "a keeper that is killed is told of", host.get("once"))
    ok(eventually(lambda: not processes(b"sleep\x00600\x00")), "its sandbox does not run on without it")
    restart(host)
    time.sleep(0.3)
    ok(host.phase("once") == ERROR and runs() == 2, "nor is it started by itself", host.get("once"))
    host.api.StartSandbox(O.StartSandboxRequest(name="once"))
    ok(host.wait("once", READY) and runs() == 3, "but on request", host.get("once"))
    host.supervisor.kill()
    for pid in host.keepers():
        os.kill(pid, 9)
    attached = host.supervisor.attached()
    host.supervisor.start()
    host.wait_attached(attached + 1)
    ok(host.wait("once", ERROR) and "host" in host.get("once").status.conditions[0].message and host.wait("first", ERROR),
       "when all end with their host, that is told", host.get("once"))
    host.api.StartSandbox(O.StartSandboxRequest(name="first"))
    ok(host.wait("first", READY), "and they are started again on request", host.get("first"))
    host.api.DeleteSandbox(O.DeleteSandboxRequest(name="once"))


def storm(host):
    """kill -9 of the supervisor while sandboxes come and go."""
    stop, errors = threading.Event(), []

    def kill():
        while not stop.is_set():
            time.sleep(0.15)
            restart(host)
    killer = threading.Thread(target=kill)
    killer.start()
    names = []
    end = time.monotonic() + 8
    while time.monotonic() < end:
        name = "storm-%d" % len(names)
        try:
            host.create(name, "sleep", "700", wait=None)
            names.append(name)
        except grpc.RpcError as e:
            if e.code() not in (grpc.StatusCode.UNAVAILABLE,):
                errors.append(e.details())
        if len(names) % 3 == 2 and names[-2] != "deleted":
            host.api.DeleteSandbox(O.DeleteSandboxRequest(name=names[-2]))
            names[-2] = "deleted"
        time.sleep(0.02)
    stop.set()
    killer.join()
    left = [n for n in names if n != "deleted"]
    bad = [(n, host.get(n).status) for n in left if not host.wait(n, READY, 10)]
    ok(not errors and not bad and len(left) > 5, f"kill -9 while {len(names)} sandboxes come and go: those that shall run do",
       (errors, bad))
    running = {host.get(n).metadata.id for n in left} | {host.get("first").metadata.id}
    ok(eventually(lambda: set(os.listdir(os.path.join(host.supervisor.state, "sandboxes"))) == running and
                  set(os.listdir("/run/openshell/keepers")) == running), "and no others are left",
       (len(running), os.listdir(os.path.join(host.supervisor.state, "sandboxes"))))
    for n in left:
        host.api.DeleteSandbox(O.DeleteSandboxRequest(name=n))
    ok(eventually(lambda: len(host.keepers()) <= 2), "they go as well", host.keepers())


def stopping(host, sid):
    before = host.get("first").status.main_process_instance_id
    host.api.StopSandbox(O.StopSandboxRequest(name="first"))
    ok(host.wait("first", STOPPED), "a sandbox is stopped", host.get("first"))
    ok(eventually(lambda: not os.path.exists(group(sid))) and not host.keepers(sid),
       "nothing of it runs")
    ok(os.path.exists(host.supervisor.files(sid, "files", "kept")), "its files stay")
    attached = host.supervisor.attached()
    host.supervisor.end()
    host.supervisor.start()
    ok(host.wait_attached(attached + 1) and host.phase("first") == STOPPED, "also when the supervisor restarts")
    got = host.run(sid, "true")
    ok(got[0] == "FAILED_PRECONDITION", "no command starts in it", got)
    host.api.StartSandbox(O.StartSandboxRequest(name="first"))
    ok(host.wait("first", READY), "it is started again", host.get("first"))
    ok(host.get("first").status.main_process_instance_id != before, "as another instance")
    ok(host.run(sid, "cat", "/sandbox/kept")[1] == b"kept\n", "with its files")


def deleting(host, sid):
    host.shell(sid, "mkdir -p /sandbox/many && cd /sandbox/many && for i in $(seq 1 3000); do : > $i; done; "
               "ln -s /etc/passwd link; ln -s / root; mkdir closed; chmod 0 closed")
    host.shell(sid, "cd /sandbox; /usr/bin/python3 -c 'import os\nfor i in range(3000):\n os.mkdir(\"d\"); os.chdir(\"d\")'")
    t = time.monotonic()
    host.api.DeleteSandbox(O.DeleteSandboxRequest(name="first"))

    def gone():
        try:
            host.get("first")
        except grpc.RpcError as e:
            return e.code() == grpc.StatusCode.NOT_FOUND
        return False
    ok(eventually(gone), "a sandbox is deleted")
    print("# deleted after %.1f ms" % ((time.monotonic() - t) * 1000))
    ok(not os.path.exists(host.supervisor.files(sid)), "its directory is gone")
    ok(eventually(lambda: not os.listdir(os.path.join(host.supervisor.state, "trash"))), "and so is all that was in it",
       host.supervisor.text()[-500:])
    ok(eventually(lambda: not os.path.exists(group(sid)) and not host.keepers(sid)), "as are its cgroup and keeper")
    ok(not os.path.exists(f"/run/openshell/keepers/{sid}"), "and the keeper's socket")
    ok(os.path.exists("/etc/passwd"), "what its links pointed to is there")


def main():
    host = Host(prepare())
    host.lsm = False
    subprocess.run(["ip", "address", "add", "203.0.113.1/24", "dev", "lo"], check=True)
    server = socket.create_server(("203.0.113.1", 7777))
    try:
        ok(host.wait_attached(), "a supervisor attaches", host.supervisor.text())
        host.lsm = "BPF-LSM\n" in host.supervisor.text()
        sid = starting(host)
        commands(host, sid)
        streams(host, sid)
        main_terminal(host)
        bad_starts(host)
        connections(host, sid)
        updates(host, sid)
        credentials(host)
        images(host)
        outliving(host, sid)
        stopping(host, sid)
        once(host)
        storm(host)
        deleting(host, sid)
        ok(eventually(lambda: not host.keepers()), "no keeper is left")
        codes = host.end()
        ok(codes == (0, 0), "both end as they were asked to", (codes, host.supervisor.text()[-500:]))
    finally:
        server.close()
        if host.supervisor.process.poll() is None:
            host.supervisor.kill()
        for pid in host.keepers():
            os.kill(pid, 9)
        if host.gateway.process.poll() is None:
            host.gateway.kill()
    return plan()


sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""Each verb of the command line, as a user types it, against a gateway and a supervisor of its own
(tests/names/instance.sh makes the namespaces)."""

import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from terminal import Terminal  # noqa: E402
import user  # noqa: E402
from user import DIR, ENVIRONMENT, HOME, OPENSHELL, eventually, ok, phase, plan, run, shell, write  # noqa: E402

FILES = 20000


def terminal(*words):
    return Terminal([OPENSHELL, *words], ENVIRONMENT)


POLICY = """version: 1
filesystem_policy:
  include_workdir: true
  read_only: [/usr, /lib, /lib64, /bin, /sbin, /etc, /proc, /dev/urandom]
  read_write: [/tmp, /dev/null]
network_policies:
  web:
    endpoints:
      - host: example.com
        port: 443
        protocol: rest
        access: read-only
    binaries:
      - path: /usr/bin/curl
"""


def wrong_usage():
    for words in ([], ["nonsense"], ["sandbox"], ["sandbox", "nonsense"], ["sandbox", "get"], ["sandbox", "list", "--nope"],
                  ["sandbox", "list", "-o", "xml"], ["policy", "update"],
                  ["completions", "tcsh"]):
        r = run(*words)
        ok(r.code == 2 and (r.err or r.out), f"openshell {' '.join(words)}: wrong usage", r)
    for words in (["--help"], ["sandbox", "--help"], ["sandbox", "create", "--help"], ["-V"]):
        r = run(*words)
        ok(r.code == 0 and r.out, f"openshell {' '.join(words)}", r)
    r = run("sandbox", "list")
    ok(r.code == 1 and "gateway" in r.err, "without a gateway a sentence says what to do", r)


def start():
    r = run("gateway", "start")
    ok(r.code == 0 and "sandbox create" in r.out + r.err, "gateway start", r)
    r = run("gateway", "start")
    ok(r.code == 0, "a second start finds it running", r)
    r = run("sandbox", "list", "--limit", "many")
    ok(r.code == 2 and "many" in r.err, "a limit that is no number", r)
    r = run("status", "-o", "json")
    ok(r.code == 0 and "HEALTHY" in json.loads(r.out)["status"], "status -o json", r)
    r = run("whoami")
    ok(r.code == 0 and "admin" in r.out, "whoami", r)
    r = run("gateway", "list")
    ok("local" in r.out and "*" in r.out, "gateway list", r)
    ok(run("gateway", "info").code == 0, "gateway info")
    for word in ("bash", "zsh", "fish"):
        r = run("completions", word)
        ok(r.code == 0 and "sandbox" in r.out, f"completions {word}", r)
    r = subprocess.run(["bash", "-n", "-c", run("completions", "bash").out], capture_output=True, check=False)
    ok(r.returncode == 0, "bash reads its completions", r.stderr)
    keys = os.path.join(HOME, ".config/openshell/gateways/local/mtls/tls.key")
    ok(os.stat(keys).st_mode & 0o77 == 0, "the key is for nobody else")


def create():
    r = run("sandbox", "create", "--name", "quick", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    ok(r.code == 3 and "out" in r.out, "create runs a command and ends with its status", r)
    r = run("sandbox", "create", "--name", "quick", "--", "true")
    ok(r.code == 1 and "quick" in r.err, "a name that exists", r)
    codes = [run("sandbox", "create", "--no-keep", "--", "sh", "-c", f"echo {i}; exit {i}") for i in range(1, 6)]
    ok(all(r.code == i and str(i) in r.out for i, r in enumerate(codes, 1)), "short commands lose neither output nor status",
       [str(r) for r in codes])
    r = run("sandbox", "list", "--names")
    ok(r.out.split() == ["quick"], "--no-keep leaves nothing", r)
    r = run("sandbox", "create", "--name", "main", "--detach", "--policy", write("policy.yaml", POLICY), "--env", "COLOUR=red",
            "--label", "team=a", "--", "sh", "-c", "echo started; while read l; do echo got $l; done; sleep 1000")
    ok(r.code == 0 and eventually(lambda: phase("main") == "SANDBOX_PHASE_READY"), "create --detach --policy --env --label", r)
    r = run("sandbox", "list", "--selector", "team=a", "--names")
    ok(r.out.split() == ["main"], "list --selector", r)
    ok(len(json.loads(run("sandbox", "list", "-o", "json").out)["sandboxes"]) == 2, "list -o json")
    r = run("sandbox", "list", "-o", "yaml")
    ok(r.code == 0 and "name: main" in r.out, "list -o yaml", r)
    r = run("sandbox", "get", "main", "--policy-only")
    ok(r.code == 0 and "example.com" in r.out, "get --policy-only", r)
    r = run("sandbox", "get", "nobody")
    ok(r.code == 1 and "nobody" in r.err, "one that does not exist", r)
    r = run("sandbox", "create", "--env", "OPENSHELL_X=1", "--", "true")
    ok(r.code != 0 and "OPENSHELL_" in r.err, "a variable that is ours is refused", r)
    r = run("sandbox", "create", "--policy", write("bad.yaml", "version: 1\nnetwork: {}\n"), "--", "true")
    ok(r.code == 1 and "bad.yaml" in r.err, "a bad policy names file and line", r)
    r = run("sandbox", "create", "--policy", "/nowhere.yaml", "--", "true")
    ok(r.code == 1 and "/nowhere.yaml" in r.err, "a policy that is not there", r)
    ok(run("sandbox", "list", "--names").out.split() == ["main", "quick"], "neither has made a sandbox")


def execute():
    r = shell("main", "echo out; echo err >&2; exit 7")
    ok((r.code, r.out, r.err) == (7, "out\n", "err\n"), "exec: status, output, errors", r)
    ok(shell("main", "echo $COLOUR; pwd").out == "red\n/sandbox\n", "its variables and directory")
    r = run("sandbox", "exec", "-n", "main", "--env", "A=b", "--workdir", "/tmp", "--", "sh", "-c", "echo $A; pwd")
    ok(r.out == "b\n/tmp\n", "--env and --workdir", r)
    r = run("sandbox", "exec", "-n", "main", "--", "cat", stdin="line\n" * 100000)
    ok(r.out == "line\n" * 100000, "its input", f"{r.code} {len(r.out)} {r.err}")
    r = run("sandbox", "exec", "-n", "main", "--timeout", "1", "--", "sleep", "20")
    ok(r.code == 124, "--timeout", r)
    r = shell("main", "kill -TERM $$")
    ok(r.code == 143, "the end by a signal", r)
    r = run("sandbox", "exec", "-n", "main", "--", "no-such-program")
    ok(r.code in (1, 127) and r.err, "a program that is not there", r)
    t = terminal("sandbox", "exec", "-n", "main", "--tty", "--", "sh")
    ok(t.wait_for(b"$ "), "a terminal", t.text)
    ok(t.raw(), "is raw meanwhile")
    t.resize(50, 132)
    time.sleep(0.3)
    t.write(b"stty size; exit 5\r")
    ok(t.wait_for(b"50 132"), "and follows the size of ours", t.text)
    ok(t.exit_code() == 5, "and its status is the command's")


def connect():
    t = terminal("sandbox", "connect", "main")
    ok(t.wait_for(b"started"), "connect replays what the main process wrote", t.text)
    t.write(b"\x10\x11")
    ok(t.exit_code() == 0, "Ctrl-P Ctrl-Q leaves it", t.text)
    ok(phase("main") == "SANDBOX_PHASE_READY", "and it runs on")


def logs():
    shell("main", "cat /var/lib/nothing; exec 3<>/dev/tcp/203.0.113.1/80")
    r = run("logs", "main")
    ok(r.code == 0 and "PROC:LAUNCH" in r.out and "gateway" in r.out, "logs", r)
    ok(len(run("logs", "main", "-n", "2").out.splitlines()) == 2, "logs -n")
    r = run("logs", "main", "--source", "gateway")
    ok("PROC:" not in r.out and r.out, "logs --source gateway", r)
    p = subprocess.Popen([OPENSHELL, "logs", "main", "--tail"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         env=ENVIRONMENT)
    os.set_blocking(p.stdout.fileno(), False)
    text = b""
    deadline = time.monotonic() + 15
    said = False
    while time.monotonic() < deadline and b"/usr/bin/uname" not in text:
        text += p.stdout.read() or b""
        if text and not said:
            shell("main", "uname >/dev/null")
            said = True
        time.sleep(0.05)
    ok(p.poll() is None and b"/usr/bin/uname" in text, "logs --tail follows", text[-300:])
    p.send_signal(signal.SIGINT)
    ok(p.wait(10) in (0, 130, -signal.SIGINT), "and ends when it is interrupted", p.returncode)


def policy():
    r = run("policy", "get", "main", "--full")
    ok(r.code == 0 and "example.com" in r.out, "policy get --full", r)
    path = write("second.yaml", POLICY.replace("example.com", "example.org"))
    r = run("policy", "set", "main", "--policy", path, "--wait")
    ok(r.code == 0 and "2" in r.out + r.err, "policy set --wait", r)
    ok("example.org" in run("policy", "get", "main", "--full").out, "it is in force")
    r = run("policy", "set", "main", "--policy", write("static.yaml", POLICY.replace("read_write: [/tmp", "read_write: [/var/tmp")),
            "--wait")
    ok(r.code == 1 and r.err, "what cannot change while it runs under Landlock is told", r)
    r = run("policy", "set", "main", "--policy", path, "--wait")
    ok(r.code == 0, "and the next one is in force", r)
    update = ["policy", "update", "main"]
    r = run(*update, "--add-endpoint", "api.example.net:443:read-only:rest:enforce", "--rule-name", "api", "--binary",
            "/usr/bin/curl", "--wait")
    ok(r.code == 0, "update --add-endpoint --rule-name --binary --wait", r)
    r = run(*update, "--add-allow", "api.example.net:443:POST:/v1/**", "--wait")
    full = run("policy", "get", "main", "--full").out
    ok(r.code == 0 and "/v1/**" in full, "update --add-allow", f"{r} {full}")
    r = run(*update, "--add-deny", "api.example.net:443:DELETE:/v1/keys/**", "--wait")
    full = run("policy", "get", "main", "--full").out
    ok(r.code == 0 and "/v1/keys/**" in full, "update --add-deny", f"{r} {full}")
    before = run("policy", "list", "main").out
    r = run(*update, "--remove-endpoint", "api.example.net:443", "--dry-run")
    ok(r.code == 0 and "api.example.net" not in r.out and run("policy", "list", "main").out == before, "update --dry-run", r)
    r = run(*update, "--remove-endpoint", "api.example.net:443", "--wait")
    ok(r.code == 0 and "api.example.net" not in run("policy", "get", "main", "--full").out, "update --remove-endpoint", r)
    r = run(*update, "--add-endpoint", "one.example.net:443", "--rule-name", "one", "--binary", "/usr/bin/curl", "--wait")
    r2 = run(*update, "--remove-rule", "one", "--wait")
    ok(r.code == 0 and r2.code == 0 and "one.example" not in run("policy", "get", "main", "--full").out, "update --remove-rule",
       f"{r} {r2}")
    r = run(*update, "--add-endpoint", "nonsense")
    ok(r.code in (1, 2) and "nonsense" in r.err, "an endpoint that is none", r)
    ok(run("policy", "list", "main").out.count("SUPERSEDED") >= 4, "policy list")
    ok("example.com" in run("policy", "get", "main", "--rev", "1", "--full").out, "policy get --rev")


def providers():
    r = run("provider", "create", "--name", "hub", "--type", "github", "--credential", "GITHUB_TOKEN=ghp_0123456789secret")
    ok(r.code == 0, "provider create", r)
    for words in (["provider", "get", "hub"], ["provider", "get", "hub", "-o", "json"], ["provider", "list", "-o", "yaml"]):
        r = run(*words)
        ok(r.code == 0 and "hub" in r.out and "secret" not in r.out, " ".join(words), r)
    r = run("provider", "list-profiles")
    ok(r.code == 0 and "github" in r.out, "provider list-profiles", r)
    ok(run("provider", "profile", "export", "github").code == 0, "provider profile export")
    r = run("sandbox", "provider", "attach", "main", "hub")
    ok(r.code == 0, "sandbox provider attach", r)
    r = eventually(lambda: (lambda s: s if "openshell:" in s.out else None)(shell("main", "echo $GITHUB_TOKEN")))
    ok(r and "secret" not in r.out, "a new command sees a placeholder", r or shell("main", "echo $GITHUB_TOKEN"))
    ok("hub" in run("sandbox", "provider", "list", "main").out, "sandbox provider list")
    r = run("provider", "delete", "hub")
    ok(r.code == 1, "one in use is not deleted", r)
    r = run("sandbox", "provider", "detach", "main", "hub")
    ok(r.code == 0 and "hub" not in run("sandbox", "provider", "list", "main").out, "sandbox provider detach", r)
    ok(eventually(lambda: shell("main", "echo $GITHUB_TOKEN").out == "\n"), "and the variable goes with it")
    r = run("provider", "update", "hub", "--credential", "GITHUB_TOKEN=ghp_another")
    ok(r.code == 0, "provider update", r)
    r = run("provider", "create", "--name", "ai", "--type", "openai", "--credential", "OPENAI_API_KEY=sk-0123456789secret")
    r = run("inference", "set", "--provider", "ai", "--model", "gpt-4o", "--no-verify")
    ok(r.code == 0, "inference set", r)
    r = run("inference", "get")
    ok(r.code == 0 and "gpt-4o" in r.out and "secret" not in r.out, "inference get", r)
    r = run("inference", "update", "--model", "gpt-4o-mini", "--no-verify")
    ok(r.code == 0 and "gpt-4o-mini" in run("inference", "get").out, "inference update", r)
    ok(run("inference", "delete").code == 0 and run("inference", "get").code == 1, "inference delete")
    r = run("provider", "delete", "hub", "ai")
    ok(r.code == 0 and "hub" not in run("provider", "list").out, "provider delete", r)


SERVER = """
import http.server
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'from the sandbox ' + self.path.encode())
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(('127.0.0.1', 8000), H).serve_forever()
"""


def connections():
    path = write("server.py", SERVER)
    run("sandbox", "upload", "main", path)
    server = subprocess.Popen([OPENSHELL, "sandbox", "exec", "-n", "main", "--", "python3", "server.py"], env=ENVIRONMENT,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    # The host driver's sandboxes have the host's loopback, where their port is taken.
    r = run("forward", "start", "-d", "127.0.0.2:8000", "main")
    ok(r.code == 0, "forward start -d", r)

    def get(url, host=None):
        try:
            request = urllib.request.Request(url, headers={"Host": host} if host else {})
            return urllib.request.urlopen(request, timeout=5).read()
        except OSError as e:
            return str(e).encode()

    ok(eventually(lambda: get("http://127.0.0.2:8000/a") == b"from the sandbox /a"), "reaches a server in the sandbox",
       get("http://127.0.0.2:8000/a"))
    ok("8000" in run("forward", "list").out, "forward list")
    r = run("service", "expose", "main", "8000", "web")
    url = r.out.strip()
    ok(r.code == 0 and url.startswith("http://"), "service expose prints a URL", r)
    host = url.split("/")[2]
    port = host.split(":")[1]
    ok(get(f"http://127.0.0.1:{port}/b", host) == b"from the sandbox /b", "which leads to the sandbox",
       get(f"http://127.0.0.1:{port}/b", host))
    ok("web" in run("service", "list").out and url in run("service", "get", "main", "web").out, "service list and get")
    r = run("service", "delete", "main", "web")
    ok(r.code == 0 and b"from" not in get(f"http://127.0.0.1:{port}/b", host), "service delete", r)
    r = run("forward", "stop", "8000", "main")
    ok(r.code == 0 and b"from" not in get("http://127.0.0.2:8000/a"), "forward stop", r)
    server.kill()
    if user.failed:
        print("# the server:", server.communicate()[0][-300:], flush=True)
    server.wait()


def files():
    top = os.path.join(DIR, "many")
    for d in range(100):
        os.makedirs(f"{top}/d{d}")
        for f in range(FILES // 100):
            with open(f"{top}/d{d}/f{f}", "w", encoding="ascii") as out:
                out.write(f"{d} {f}\n" * 20)
    write("many/.gitignore", "*.o\n/skipped/\n")
    write("many/d0/left.o", "object")
    os.mkdir(f"{top}/skipped")
    write("many/skipped/left", "left")
    os.chmod(f"{top}/d0/f0", 0o755)
    os.symlink("f0", f"{top}/d0/link")
    begin = time.monotonic()
    r = run("sandbox", "upload", "main", top, seconds=120)
    up = time.monotonic() - begin
    ok(r.code == 0, f"upload of {FILES} files", r)
    r = shell("main", "find many -type f | wc -l; ls many/skipped many/d0/left.o")
    ok(r.out.split()[:1] == [str(FILES + 1)] and "left.o'" in r.err and "skipped'" in r.err, "all but what .gitignore names", r)
    begin = time.monotonic()
    r = run("sandbox", "download", "main", "/sandbox/many", os.path.join(DIR, "back"), seconds=120)
    down = time.monotonic() - begin
    ok(r.code == 0, f"download of {FILES} files", r)
    print(f"# {FILES} files: {up:.2f} s in, {down:.2f} s out", flush=True)
    r = subprocess.run(["diff", "-r", top, os.path.join(DIR, "back")], capture_output=True, text=True, check=False)
    left = sorted(r.stdout.splitlines())
    ok(len(left) == 2 and all("left.o" in x or "skipped" in x for x in left), "what comes back is what went", r.stdout[-300:])
    ok(os.access(os.path.join(DIR, "back/d0/f0"), os.X_OK) and os.readlink(os.path.join(DIR, "back/d0/link")) == "f0",
       "modes and links as well")
    one = write("one", "one\n")
    ok(run("sandbox", "upload", "main", one, "/sandbox/sub/other").code == 0 and
       shell("main", "cat sub/other").out == "one\n", "a file to a name of its own")
    ok(run("sandbox", "upload", "main", one, "sub/").code == 0 and shell("main", "cat sub/one").out == "one\n",
       "a file into a directory")
    r = run("sandbox", "upload", "main", "/nowhere")
    ok(r.code == 1 and "/nowhere" in r.err, "a file that is not there", r)
    shell("main", "ln -s /etc evil; mkdir -p trap; ln -s ../../../../escaped trap/up; "
          "printf '#!/bin/sh\\n' >x")
    r = run("sandbox", "download", "main", "trap", os.path.join(DIR, "trap"))
    ok(not os.path.lexists(os.path.join(DIR, "trap/up")), "a link that leads out does not come along", r)
    r = run("sandbox", "download", "main", "/etc/shadow", os.path.join(DIR, "shadow"))
    ok(r.code == 1, "a file that the sandbox may not read", r)


def settings():
    r = run("settings", "get", "main")
    ok(r.code == 0, "settings get", r)
    r = run("settings", "set", "main", "--key", "log_level", "--value", "debug")
    ok(r.code == 0 or "log_level" in r.err, "settings set answers", r)
    r = run("settings", "get", "--global")
    ok(r.code == 0, "settings get --global", r)
    r = run("settings", "set", "main", "--key", "no_such_setting", "--value", "1")
    ok(r.code == 1 and "no_such_setting" in r.err, "a setting that does not exist", r)


def workspaces():
    ok(run("workspace", "create", "lab").code == 0, "workspace create")
    r = run("workspace", "list")
    ok("lab" in r.out and "default" in r.out, "workspace list", r)
    r = run("--workspace", "lab", "sandbox", "list", "--names")
    ok(r.code == 0 and not r.out.strip(), "it is empty", r)
    r = run("sandbox", "get", "main", environment={"OPENSHELL_WORKSPACE": "lab"})
    ok(r.code == 1, "what is in another one is not seen", r)
    r = run("workspace", "member", "add", "lab", "somebody", "--role", "user")
    ok(r.code == 0 and "somebody" in run("workspace", "member", "list", "lab").out, "workspace member add", r)
    r = run("workspace", "member", "remove", "lab", "somebody")
    ok(r.code == 0 and "somebody" not in run("workspace", "member", "list", "lab").out, "workspace member remove", r)
    ok(run("workspace", "delete", "lab").code == 0 and "lab" not in run("workspace", "list").out, "workspace delete")


def life():
    shell("main", "echo kept >kept")
    r = run("sandbox", "stop", "main")
    ok(r.code == 0 and phase("main") == "SANDBOX_PHASE_STOPPED", "stop", r)
    r = shell("main", "true")
    ok(r.code == 1 and "STOPPED" in r.err, "nothing runs in it then", r)
    r = run("sandbox", "start", "main")
    ok(r.code == 0 and eventually(lambda: phase("main") == "SANDBOX_PHASE_READY"), "start", r)
    ok(shell("main", "cat kept").out == "kept\n", "its files are kept")
    r = run("gateway", "stop")
    ok(r.code == 0 and run("sandbox", "list").code == 1, "gateway stop", r)
    r = run("gateway", "start")
    ok(r.code == 0 and eventually(lambda: shell("main", "cat kept").out == "kept\n"), "what ran is found again after a start", r)
    r = run("sandbox", "delete", "main", "quick", "nobody")
    ok(r.code == 1 and "nobody" in r.err and not run("sandbox", "list", "--names").out.split(), "delete", r)
    run("sandbox", "create", "--name", "x1", "--detach", "--", "sleep", "100")
    ok(run("sandbox", "delete", "--all").code == 0 and not run("sandbox", "list", "--names").out.split(), "delete --all")


def main():
    os.makedirs(HOME)
    shutil.copytree(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../policy/providers"),
                    os.path.join(DIR, "share/openshell/policy/providers"))
    # Where sandboxes keep their files is the host's: here, only ours.
    subprocess.run(["mount", "-t", "tmpfs", "state", "/var/lib"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    wrong_usage()
    try:
        start()
        for part in (create, execute, connect, logs, policy, providers, connections, files, settings, workspaces, life):
            try:
                part()
            except Exception as e:  # the other parts still say something
                ok(False, f"{part.__name__} runs to its end", repr(e))
    finally:
        run("sandbox", "delete", "--all")
        r = run("gateway", "stop")
        ok(r.code == 0, "gateway stop", r)
    return plan([f"home/.local/state/openshell/{name}.log" for name in ("gateway", "supervisor")])


sys.exit(main())

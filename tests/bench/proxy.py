#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The proxy benchmark: requests through our proxy, and through others that do the same.

usage: proxy.py TOOLS BIN SERVER-ADDRESS SERVER-COMMAND..

In the network namespace of the clients and contenders; SERVER-COMMAND, before a command, runs it in the
server's. TOOLS has proxyload, BIN our programs. /etc/hosts knows server.bench.test. Contenders take
turns, round after round. All of them have the same client and the same server (nginx, one process,
TLS and plain); of two processors the first belongs to the contender's own process alone, and
client and server share the other, with our supervisor, which is where our log is written. Contenders:

    direct-tls direct      no proxy
    ours-tls ours          `openshell run`, 100 REST rules, a log line for each request
    nginx-tls              one worker, TLS on both sides, as we have it; a buffered access log
    nginx-tls-plain        one worker, TLS to the client alone
    nginx                  one worker, no TLS
    squid-tls              ssl-bump, one worker
    mitmproxy-tls          mitmdump

Figures: requests/s on 16 and 256 kept connections, with p99 in us, and the contender's processor time a
request in us (`processor`, our supervisor's included); latency of a single request in us (`added` to
direct's); new TLS connections/s with a full handshake each; MiB/s; private memory of an idle
connection in KiB, without the kernel's. Prints `FIGURE CONTENDER MEDIAN Q1..Q3 RATIO Q1..Q3`: the ratio is ours to that contender's in the same
round, the median of the rounds. And `absent CONTENDER REASON`, `failed CONTENDER REASON`.
"""
import glob
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(TOP, "tests", "names"))

ROUNDS = int(os.environ.get("BENCH_PROXY_ROUNDS", "7"))
MS = int(os.environ.get("BENCH_PROXY_MS", "400"))
IDLE = int(os.environ.get("BENCH_IDLE", "4000"))
NAME = "server.bench.test"
PATH = "/api/v1/repos/50/items/abc"
SLOW = ("squid-tls", "mitmproxy-tls")  # to connect: a tenth of the idle connections will do
FIRST, OTHERS = {0}, set(range(1, os.cpu_count())) or {0}

FIGURES = ("requests-16", "requests-16-p99", "processor-16", "requests-256", "requests-256-p99",
           "processor-256", "latency-p50", "latency-p99", "connects", "download", "idle-kib")

SERVER = """
daemon off;
master_process off;
worker_rlimit_nofile 65536;
pid %(dir)s/%(name)s.pid;
error_log %(dir)s/%(name)s.err warn;
events { worker_connections 32768; }
http {
	keepalive_requests 100000000;
	keepalive_timeout 1h;
	client_body_temp_path %(dir)s/%(name)s.body;
	proxy_temp_path %(dir)s/%(name)s.temp;
	fastcgi_temp_path %(dir)s/%(name)s.temp1;
	uwsgi_temp_path %(dir)s/%(name)s.temp2;
	scgi_temp_path %(dir)s/%(name)s.temp3;
	ssl_certificate %(dir)s/server.crt;
	ssl_certificate_key %(dir)s/server.key;
	%(rest)s
}
"""
ORIGIN = """
	sendfile on;
	access_log off;
	server {
		listen %(address)s:80 backlog=16384;
		listen %(address)s:443 ssl backlog=16384;
		root %(dir)s/files;
		location /api/ { return 200 "%(body)s"; }
	}
"""
REVERSE = """
	access_log %(dir)s/%(name)s.log combined buffer=64k flush=1s;
	upstream tls { server %(address)s:443; keepalive 512; keepalive_requests 100000000; keepalive_timeout 1h; }
	upstream plain { server %(address)s:80; keepalive 512; keepalive_requests 100000000; keepalive_timeout 1h; }
	proxy_http_version 1.1;
	proxy_set_header Connection "";
	proxy_set_header Host $host;
	proxy_max_temp_file_size 0;
	proxy_ssl_verify on;
	proxy_ssl_trusted_certificate %(dir)s/ca.crt;
	proxy_ssl_name server.bench.test;
	proxy_ssl_server_name on;
	server { listen 127.0.0.1:%(listen)s backlog=16384; location / { proxy_pass %(to)s; } }
"""
SQUID = """
http_port 127.0.0.1:3128 ssl-bump generate-host-certificates=on dynamic_cert_mem_cache_size=4MB tls-cert=%(dir)s/ca.crt tls-key=%(dir)s/ca.key
sslcrtd_program /usr/lib/squid/security_file_certgen -s %(dir)s/squid/db -M 4MB
sslcrtd_children 1
acl first at_step SslBump1
ssl_bump peek first
ssl_bump bump all
tls_outgoing_options cafile=%(dir)s/ca.crt
http_access allow all
cache deny all
cache_mem 8 MB
access_log stdio:%(dir)s/squid/access.log
buffered_logs on
cache_log %(dir)s/squid/cache.log
pid_filename %(dir)s/squid/pid
coredump_dir %(dir)s/squid
pinger_enable off
max_filedescriptors 32768
client_idle_pconn_timeout 1 hour
server_idle_pconn_timeout 1 hour
shutdown_lifetime 0 seconds
"""


def policy(folder):
    """A hundred rules; the one that the requests need is somewhere among them."""
    rules = "".join("          - allow: {method: GET, path: \"/api/v1/repos/%d/items/*\"}\n" % i
                    for i in range(99))
    return """version: 1
filesystem_policy: {include_workdir: true, read_only: [/usr, /lib, /lib64, /bin, /etc]}
process: {run_as_user: "60606", run_as_group: "60606"}
network_policies:
  bench:
    endpoints:
      - host: server.bench.test
        ports: [80, 443]
        protocol: rest
        enforcement: enforce
        rules:
%s          - allow: {method: GET, path: /big}
    binaries: [{path: %s/proxyload}]
""" % (rules, folder)


def pin(processors):
    def before():
        os.sched_setaffinity(0, processors)
    return before


def processor_time(pids):
    """Seconds, of all threads."""
    total = 0
    for pid in pids:
        for path in glob.glob("/proc/%d/task/*/schedstat" % pid):
            with open(path, encoding="ascii") as stat:
                total += int(stat.read().split()[0])
    return total / 1e9


def private_kib(pids):
    total = 0
    for pid in pids:
        with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as rollup:
            total += sum(int(line.split()[1]) for line in rollup
                         if line.startswith(("Private_Dirty:", "Private_Clean:")))
    return total


class Broken(Exception):
    pass


class Contender:
    """One client, and the processes that it goes through."""

    def __init__(self, name, client, pids=(), also=(), **options):
        self.name = name
        self.pids = list(pids)  # what a processor of its own is for
        self.also = list(also)  # what else works for it
        self.client = subprocess.Popen(client, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       text=True, preexec_fn=pin(OTHERS), **options)
        line = self.client.stdout.readline().strip()
        if line != "ready":
            raise Broken(line or "its client does not start")

    def ask(self, *words):
        self.client.stdin.write(" ".join(map(str, words)) + "\n")
        self.client.stdin.flush()
        line = self.client.stdout.readline().strip()
        if not line or line.startswith("error"):
            raise Broken("%s: %s" % (words[0], line or "its client ended"))
        return [float(word) for word in line.split()]

    def end(self):
        self.client.stdin.close()
        try:
            self.client.wait(20)
        except subprocess.TimeoutExpired:
            self.client.kill()


class Bench:
    def __init__(self, tools, programs, address, there):
        self.dir = os.getcwd()
        self.tools, self.programs, self.address, self.there = tools, programs, address, there
        self.children = []
        self.contenders = []
        self.values = {}  # (figure, contender) -> one for each round

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as out:
            out.write(text)
        return self.path(name)

    def spawn(self, argv, processors, **options):
        options.setdefault("stderr", open(self.path("stderr"), "a", encoding="utf-8"))
        child = subprocess.Popen(argv, preexec_fn=pin(processors), stdout=subprocess.DEVNULL,
                                 **options)
        self.children.append(child)
        return child

    def certificates(self):
        def openssl(*words):
            subprocess.run(["openssl", *words], check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)

        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl("req", "-x509", *key, "-days", "30", "-subj", "/CN=bench", "-addext",
                "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign",
                "-keyout", "ca.key", "-out", "ca.crt")
        openssl("req", *key, "-subj", "/CN=" + NAME, "-keyout", "server.key", "-out", "server.csr")
        self.write("names", "subjectAltName=DNS:" + NAME)
        openssl("x509", "-req", "-days", "30", "-in", "server.csr", "-CA", "ca.crt", "-CAkey",
                "ca.key", "-CAcreateserial", "-extfile", "names", "-out", "server.crt")

    def nginx(self, name, rest, before, processors, **more):
        told = dict(more, dir=self.dir, name=name, address=self.address, body="x" * 128)
        conf = self.write(name + ".conf", SERVER % dict(told, rest=rest % told))
        return self.spawn(before + ["nginx", "-c", conf], processors)

    def listening(self, port, child=None):
        """The process that listens to that port of ours, once it does."""
        for _ in range(200):
            if child and child.poll() is not None:
                raise Broken("it does not start: see stderr")
            done = subprocess.run(["ss", "-Hltnp", "sport = :%d" % port], stdout=subprocess.PIPE,
                                  text=True, check=True)
            found = re.search(r"pid=(\d+)", done.stdout)
            if found:
                return int(found[1])
            time.sleep(0.1)
        raise Broken("nobody listens to port %d" % port)

    def add(self, name, start):
        try:
            self.contenders.append(start(name))
        except (Broken, OSError) as error:
            print("absent", name, error, flush=True)

    def load(self, name, host, port, *more, **options):
        return Contender(name, [self.path("proxyload"), host, str(port), NAME, *more], **options)

    def start(self):
        shutil.copy(os.path.join(self.tools, "proxyload"), self.path("proxyload"))
        os.makedirs(self.path("files"))
        with open(self.path("files", "big"), "wb") as big:
            big.truncate(1 << 30)
        self.certificates()
        ca = self.path("ca.crt")
        self.nginx("origin", ORIGIN, self.there, OTHERS)
        time.sleep(0.5)
        self.add("direct-tls", lambda name: self.load(name, NAME, 443, ca))
        self.add("direct", lambda name: self.load(name, NAME, 80))
        self.add("ours-tls", lambda name: self.ours(name, 443, "env"))
        self.add("ours", lambda name: self.ours(name, 80))
        self.add("nginx-tls", lambda name: self.reverse(name, 8443, "https://tls", ca))
        self.add("nginx-tls-plain", lambda name: self.reverse(name, 8444, "http://plain", ca))
        self.add("nginx", lambda name: self.reverse(name, 8080, "http://plain"))
        self.add("squid-tls", self.squid)
        self.add("mitmproxy-tls", self.mitmproxy)

    def reverse(self, name, port, to, *ca):
        """A process of its own for each, so that none finds memory that another has got."""
        child = self.nginx(name, REVERSE, [], FIRST, to=to,
                           listen="%d%s" % (port, " ssl" if ca else ""))
        return self.load(name, "127.0.0.1", port, *ca, pids=[self.listening(port, child)])

    def ours(self, name, port, *more):
        errors = self.path(name + ".err")
        argv = [os.path.join(self.programs, "openshell"), "run", "--policy",
                self.write(name + ".yaml", policy(self.dir)), "--upstream-ca", self.path("ca.crt"),
                "--workdir", self.dir, "--no-tty", "--name", name, "--log", self.path(name + ".log"),
                "--", self.path("proxyload"), NAME, str(port), NAME, *more]
        with open(errors, "w", encoding="utf-8") as out:
            try:
                here = Contender(name, argv, stderr=out)
            except Broken as broken:
                with open(errors, encoding="utf-8") as text:
                    raise Broken("%s %s" % (broken, " ".join(text.read().split())[:300])) from None
        # Which of them is the worker is known to the tests that kill it.
        os.environ["NAMES_DIR"] = os.path.dirname(self.programs)
        from sandbox import Roles
        worker = Roles(here.client.pid).worker()
        if not worker:
            here.end()
            raise Broken("it has no worker")
        os.sched_setaffinity(worker, FIRST)
        here.pids, here.also = [worker], [here.client.pid]
        return here

    def squid(self, name):
        os.makedirs(self.path("squid"))
        subprocess.run(["/usr/lib/squid/security_file_certgen", "-c", "-s",
                        self.path("squid", "db"), "-M", "4MB"], check=True,
                       stdout=subprocess.DEVNULL)
        conf = self.write("squid.conf", SQUID % {"dir": self.dir})
        subprocess.run(["chown", "-R", "proxy:proxy", self.path("squid")], check=True)
        child = self.spawn(["squid", "-N", "-f", conf], FIRST)
        pid = self.listening(3128, child)
        return self.load(name, "127.0.0.1", 3128, self.path("ca.crt"), "tunnel", pids=[pid])

    def mitmproxy(self, name):
        os.makedirs(self.path("mitm"))
        with open(self.path("ca.key"), encoding="ascii") as key, \
                open(self.path("ca.crt"), encoding="ascii") as certificate:
            self.write("mitm/mitmproxy-ca.pem", key.read() + certificate.read())
        child = self.spawn(
            ["mitmdump", "-q", "--listen-host", "127.0.0.1", "-p", "3129", "--set",
             "confdir=" + self.path("mitm"), "--set", "ssl_verify_upstream_trusted_ca=" +
             self.path("ca.crt"), "--set", "stream_large_bodies=64k"], FIRST)
        pid = self.listening(3129, child)
        return self.load(name, "127.0.0.1", 3129, self.path("ca.crt"), "tunnel", pids=[pid])

    def keep(self, figure, contender, value):
        self.values.setdefault((figure, contender.name), []).append(value)

    def requests(self, contender, count):
        # Connecting is another figure's.
        contender.ask("hold", count, PATH)
        before = processor_time(contender.pids + contender.also)
        rate, half, most = contender.ask("requests", count, MS, PATH)
        spent = processor_time(contender.pids + contender.also) - before
        if count == 1:
            self.keep("latency-p50", contender, half)
            self.keep("latency-p99", contender, most)
            return
        self.keep("requests-%d" % count, contender, rate)
        self.keep("requests-%d-p99" % count, contender, most)
        if contender.pids:
            # It warmed up for a fifth of that time as well.
            self.keep("processor-%d" % count, contender, spent * 1e6 / (rate * MS * 1.2e-3))

    def idle(self, contender):
        count = IDLE // 10 if contender.name in SLOW else IDLE
        contender.ask("hold", 16, PATH)
        before = private_kib(contender.pids)
        contender.ask("hold", count, PATH)
        time.sleep(0.5)
        self.keep("idle-kib", contender, (private_kib(contender.pids) - before) / (count - 16))
        contender.ask("drop")

    def try_one(self, contender, what):
        """One that fails in one thing is asked for the others yet, if its client is alive."""
        try:
            what(contender)
        except Broken as error:
            print("failed", contender.name, error, flush=True)
            if contender.client.poll() is not None:
                self.contenders.remove(contender)

    def round(self, number):
        order = self.contenders[number % len(self.contenders):] + \
            self.contenders[:number % len(self.contenders)]
        for contender in order:
            for count in (1, 16, 256):
                self.try_one(contender, lambda c, count=count: self.requests(c, count))
            for verb, path in (("connects", PATH), ("download", "/big")):
                self.try_one(contender, lambda c, verb=verb, path=path: self.keep(
                    verb, c, c.ask(verb, MS, path)[0]))

    def report(self):
        def middle(values):
            if len(values) < 2:
                return "%.2f -" % values[0]
            low, half, high = statistics.quantiles(values, n=4, method="inclusive")
            return "%.2f %.2f..%.2f" % (half, low, high)

        for (figure, name), values in sorted(self.values.items(),
                                             key=lambda item: FIGURES.index(item[0][0])):
            ours = self.values.get((figure, "ours-tls" if "-tls" in name else "ours"), [])
            ratios = [a / b for a, b in zip(ours, values) if b]
            if figure.startswith("latency-") and not name.startswith("direct"):
                direct = self.values.get((figure, "direct-tls" if "-tls" in name else "direct"), [])
                if direct:
                    print("added-" + figure, name,
                          middle([a - b for a, b in zip(values, direct)]), "- -")
            print(figure, name, middle(values), middle(ratios) if ratios else "- -", flush=True)

    def end(self):
        for contender in self.contenders:
            contender.end()
        for child in reversed(self.children):
            child.send_signal(signal.SIGKILL)
            child.wait()


def main():
    bench = Bench(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
    try:
        bench.start()
        # First, while no process has got memory from anything else.
        for contender in [one for one in bench.contenders if one.pids]:
            bench.try_one(contender, bench.idle)
        for number in range(ROUNDS):
            bench.round(number)
        bench.report()
    finally:
        bench.end()


if __name__ == "__main__":
    main()

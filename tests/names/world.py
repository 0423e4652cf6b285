# SPDX-License-Identifier: Apache-2.0
"""The world that the names suite runs in: this network namespace is the agents' host; two more are
server hosts behind links of their own. In namespaces that the caller has made (names.sh): nothing
here reaches, or is reached from, the machine around it.

    agents' host  203.0.113.1 2001:db8:1::1 ── one    203.0.113.0/24 2001:db8:1::/64
                  198.51.100.1 2001:db8:2::1 ── two   198.51.100.0/24 2001:db8:2::/64 10.20.0.0/24
                                                      fd77:20::/64
                  192.0.2.1 2001:db8:3::1 ── three    192.0.2.0/24 2001:db8:3::/64, nobody listens
"""
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
UID, GIT_UID = 60606, 60607
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)

RESOLVER = "203.0.113.53"
HOME = {
    "one": ["203.0.113.1/24", "2001:db8:1::1/64"],
    "two": ["198.51.100.1/24", "10.20.0.1/24", "2001:db8:2::1/64", "fd77:20::1/64"],
    "three": ["192.0.2.1/24", "2001:db8:3::1/64"],
}
ONE = ["203.0.113.%d" % n for n in (10, 11, 12, 13, 14, 21)] + [
    "2001:db8:1::%d" % n for n in (10, 11, 12, 13)
]
DEAD, DEAD6 = "192.0.2.20", "2001:db8:3::20"  # on a host of its own, where nobody listens
SILENT, FAILING = "203.0.113.99", "203.0.113.54"
TWO = ["198.51.100.10", "2001:db8:2::10", "10.20.0.2", "fd77:20::2", "169.254.169.254"]

# name -> addresses; with a minute to live, but for those that a test moves.
NAMES = {
    "both.svc.test": ["203.0.113.10", "2001:db8:1::10"],
    "four.svc.test": ["203.0.113.11"],
    "six.svc.test": ["2001:db8:1::11"],
    "twin-a.svc.test": ["203.0.113.12", "2001:db8:1::12"],
    "twin-b.svc.test": ["203.0.113.12", "2001:db8:1::12"],
    "many.svc.test": [DEAD, "203.0.113.21"],
    "half.svc.test": ["203.0.113.10", DEAD6],
    "other.svc.test": ["203.0.113.14"],
    "curl-only.svc.test": ["203.0.113.10"],
    "python-only.svc.test": ["203.0.113.10"],
    "ancestor.svc.test": ["203.0.113.10"],
    "glob.svc.test": ["203.0.113.10"],
    "eu-api.svc.test": ["203.0.113.10"],
    "eu-web.svc.test": ["203.0.113.10"],
    "a.one.wild.test": ["203.0.113.10"],
    "git.svc.test": ["198.51.100.10", "2001:db8:2::10"],
    "redis.svc.test": ["198.51.100.10", "2001:db8:2::10"],
    "private.svc.test": ["10.20.0.2", "fd77:20::2"],
    "in.priv.test": ["10.20.0.2"],
    "in.listed.test": ["10.20.0.2"],
    "out.listed.test": ["203.0.113.10"],
    "control.svc.test": ["10.20.0.2"],
    "public-control.svc.test": ["203.0.113.10"],
    "extra.svc.test": ["203.0.113.10"],
    "denied.svc.test": ["203.0.113.10", "2001:db8:1::10"],
}
# Whole zones, one address each.
ZONES = {"wild.test": ["203.0.113.13", "2001:db8:1::13"], "deep.test": ["203.0.113.13"]}
MOVING = ["moving.svc.test", "x.roam.test"]
LISTED = "listed.home.test"  # only in the host's own /etc/hosts
LISTED_ADDRESS = "203.0.113.14"


def run(*argv, **options):
    return subprocess.run(argv, check=True, **options)


def die_with_us():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_for(what, seconds=10):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if what():
            return True
        time.sleep(0.02)
    return False


class World:
    """What the suites of other directories share; they have names and servers of their own."""

    names, zones = NAMES, ZONES
    # Which addresses are where, on the other side of the links to HOME.
    there = {
        "one": ONE + [SILENT, FAILING, RESOLVER],
        "two": TWO,
        "three": [DEAD, DEAD6],
    }

    def __init__(self, folder, say=lambda text: None):
        self.dir = folder
        self.say = say
        self.children = []
        self.missing = set()

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, text, mode=0o644):
        with open(self.path(name), "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def spawn(self, argv, netns=None, **options):
        if netns:
            argv = ["nsenter", "--net=" + netns] + argv
        child = subprocess.Popen(argv, preexec_fn=die_with_us, **options)
        self.children.append(child)
        return child

    def have(self, program):
        found = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
        if not found:
            self.missing.add(program)
        return found

    def __enter__(self):
        os.makedirs(self.path("work"))
        os.makedirs(self.path("bin"))
        os.makedirs(self.path("tools"))
        os.chmod(self.dir, 0o755)
        for name in ("agent.sh", "client.py"):
            shutil.copy(os.path.join(HERE, name), self.path("work", name))
        for name in ("work", "work/agent.sh", "work/client.py"):
            os.chown(self.path(name), UID, UID)
        self.network()
        self.files()
        self.certificates()
        self.repository()
        self.servers()
        self.resolver()
        return self

    def __exit__(self, *_):
        for child in reversed(self.children):
            if child.poll() is None:
                child.kill()
            child.wait()
        for name in HOME:
            subprocess.run(["ip", "link", "del", "to-" + name], check=False,
                           stderr=subprocess.DEVNULL)

    def network(self):
        self.namespaces = {}
        own = os.readlink("/proc/self/ns/net")
        self.ip(["link set lo up"])
        for name, addresses in self.there.items():
            # A namespace lives as long as somebody in it.
            holder = self.spawn(["unshare", "--net", "sleep", "infinity"])
            netns = "/proc/%d/ns/net" % holder.pid
            if not wait_for(lambda: os.readlink(netns) != own):
                raise RuntimeError("no network namespace")
            self.namespaces[name] = netns
            link = "to-" + name
            batch = ["link add %s type veth peer name home netns %d" % (link, holder.pid)]
            batch += ["addr add %s dev %s%s" % (a, link, " nodad" if ":" in a else "")
                      for a in HOME[name]]
            batch.append("link set %s up" % link)
            self.ip(batch)
            batch = ["link set lo up"]
            for address in addresses:
                bits = "/64 dev home nodad" if ":" in address else "/24 dev home"
                batch.append("addr add " + address + bits)
            batch.append("link set home up")
            for address in HOME[name]:
                if not address.startswith(("10.", "fd77:")):
                    far = "::/0" if ":" in address else "default"
                    batch.append("route add %s via %s" % (far, address.split("/")[0]))
            self.ip(batch, netns)
        # The clouds' metadata address, so that it is refused by us and not by the network.
        self.ip(["route add 169.254.169.254/32 dev to-two"])

    def ip(self, batch, netns=None):
        argv = ["ip", "-batch", "-"]
        if netns:
            argv = ["nsenter", "--net=" + netns] + argv
        run(*argv, input="\n".join(batch) + "\n", text=True)

    def files(self):
        """The host's own files, for whoever is in this mount namespace."""
        binds = {
            "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\n"
            "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
            "agent:x:%d:%d:agent:%s:/bin/bash\n"
            "git:x:%d:%d:git:%s:/bin/sh\n"
            % (UID, UID, self.path("work"), GIT_UID, GIT_UID, self.path("git")),
            "/etc/group": "root:x:0:\ntty:x:5:\nnogroup:x:65534:\nagent:x:%d:\ngit:x:%d:\n"
            % (UID, GIT_UID),
            "/etc/resolv.conf": "nameserver %s\noptions timeout:2 attempts:2\n" % RESOLVER,
            "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n%s %s\n" % (LISTED_ADDRESS, LISTED),
            "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        }
        os.makedirs(self.path("etc"))
        for target, text in binds.items():
            source = self.write("etc/" + os.path.basename(target), text)
            # What it is a link to must be there to be bound over.
            real = os.path.realpath(target)
            if not os.path.exists(real):
                os.makedirs(os.path.dirname(real), exist_ok=True)
                with open(real, "w", encoding="ascii"):
                    pass
            run("mount", "--bind", source, real)

    def certificates(self):
        if not self.have("openssl"):
            return
        # One certificate, its own authority: what is tested is not X.509.
        names = "DNS:*.svc.test,DNS:*.wild.test"
        run(
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-days", "30", "-subj", "/CN=world", "-addext", "subjectAltName=" + names,
            "-keyout", self.path("key.pem"), "-out", self.path("work", "ca.pem"),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        with open(self.path("key.pem"), encoding="ascii") as key:
            with open(self.path("work", "ca.pem"), encoding="ascii") as certificate:
                self.write("server.pem", key.read() + certificate.read(), 0o600)

    def repository(self):
        """A repository behind HTTPS, and the same behind ssh as the user git."""
        if not self.have("git"):
            return
        environment = dict(
            PATH="/usr/bin:/bin", HOME=self.path("etc"), GIT_AUTHOR_NAME="a",
            GIT_AUTHOR_EMAIL="a@a", GIT_COMMITTER_NAME="a", GIT_COMMITTER_EMAIL="a@a",
        )
        where = self.path("repositories", "code.git")
        for argv in (
            ["git", "init", "-q", "--template=", "-b", "main", self.path("source")],
            ["git", "-C", self.path("source"), "commit", "-q", "--allow-empty", "-m", "First"],
            ["git", "clone", "-q", "--template=", "--bare", self.path("source"), where],
        ):
            run(*argv, env=environment)
        run("chown", "-R", "%d:%d" % (GIT_UID, GIT_UID), self.path("repositories"))

    def servers(self):
        started = []
        for name, netns, marks in (
            ("one", self.namespaces["one"],
             ONE + ["silent=" + SILENT, "failing=" + FAILING]),
            ("two", self.namespaces["two"], TWO),
            ("home", None, [a.split("/")[0] for addresses in HOME.values() for a in addresses]),
        ):
            child = self.spawn(
                [PYTHON, os.path.join(HERE, "servers.py"), name, self.dir] + marks,
                netns, stdout=subprocess.PIPE, text=True,
            )
            started.append(child)
        two = self.namespaces["two"]
        if self.have("redis-check-rdb"):
            # The same program, told apart by its name; redis-tools has no service of its own.
            os.symlink("/usr/bin/redis-check-rdb", self.path("redis-server"))
            self.spawn(
                [self.path("redis-server"), "--bind", "198.51.100.10", "2001:db8:2::10",
                 "--save", "", "--protected-mode", "no", "--dir", self.dir],
                two, stdout=subprocess.DEVNULL,
            )
        if self.have("dropbear") and self.have("ssh-keygen"):
            self.ssh(two)
        for child in started:
            if child.stdout.readline().strip() != "ready":
                raise RuntimeError("a server does not start")

    def ssh(self, netns):
        home = self.path("git")
        os.makedirs(home + "/.ssh", 0o700)
        os.makedirs(self.path("work", ".ssh"), 0o700)
        key = self.path("work", ".ssh", "id_ed25519")
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
        shutil.copy(key + ".pub", home + "/.ssh/authorized_keys")
        self.write("work/.ssh/config", "StrictHostKeyChecking no\nBatchMode yes\n"
                   "UserKnownHostsFile /dev/null\nLogLevel ERROR\nConnectTimeout 10\n", 0o600)
        run("chown", "-R", "%d:%d" % (GIT_UID, GIT_UID), home)
        run("chown", "-R", "%d:%d" % (UID, UID), self.path("work", ".ssh"))
        run("dropbearkey", "-t", "ed25519", "-f", self.path("host-key"),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.spawn(
            ["dropbear", "-F", "-s", "-r", self.path("host-key"), "-P", self.path("dropbear.pid"),
             "-p", "198.51.100.10:22", "-p", "[2001:db8:2::10]:22"],
            netns, stderr=open(self.path("dropbear.log"), "w", encoding="utf-8"),
        )

    def resolver(self):
        lines = [
            "no-resolv", "no-hosts", "keep-in-foreground", "user=root", "bind-interfaces",
            "listen-address=" + RESOLVER, "log-queries=extra",
            "log-facility=" + self.path("dns.log"), "pid-file=" + self.path("dns.pid"),
            "local-ttl=1", "cache-size=0", "addn-hosts=" + self.path("moving"),
            "local=/svc.test/", "local=/priv.test/", "local=/listed.test/", "local=/home.test/",
            "local=/roam.test/",
            "server=/silent.test/" + SILENT, "server=/failing.test/" + FAILING,
            "cname=alias.svc.test,middle.svc.test,60", "cname=middle.svc.test,four.svc.test,60",
        ]
        for zone, addresses in self.zones.items():
            lines += ["address=/%s/%s" % (zone, address) for address in addresses]
        for name, addresses in self.names.items():
            lines += ["host-record=%s,%s,60" % (name, address) for address in addresses]
        self.write("dnsmasq.conf", "\n".join(lines) + "\n")
        self.write("moving", self.moved(["203.0.113.10"]))
        self.write("dns.log", "")
        self.dns = self.spawn(
            ["dnsmasq", "--conf-file=" + self.path("dnsmasq.conf")], self.namespaces["one"],
        )
        if not wait_for(lambda: self.resolve("both.svc.test", "A") != []):
            raise RuntimeError("dnsmasq does not answer")

    def resolve(self, name, kind):
        """What the real server says, asked from the host."""
        done = subprocess.run(
            [PYTHON, self.path("work", "client.py"), "dns", name, kind, RESOLVER],
            stdout=subprocess.PIPE, text=True, check=False,
        )
        words = done.stdout.split()
        return [words[i + 1] for i, word in enumerate(words) if word == kind]

    @staticmethod
    def moved(addresses):
        return "".join("%s %s\n" % (address, " ".join(MOVING)) for address in addresses)

    def move(self, *addresses):
        """The MOVING names are somewhere else from now on."""
        self.write("moving", self.moved(addresses))
        self.dns.send_signal(signal.SIGHUP)
        kind = "AAAA" if ":" in addresses[0] else "A"
        if not wait_for(lambda: sorted(self.resolve(MOVING[0], kind)) == sorted(addresses)):
            raise RuntimeError("dnsmasq does not move the name")

    def asked(self, name):
        """The types that the real server was asked for that name, in order."""
        found = []
        with open(self.path("dns.log"), encoding="utf-8", errors="replace") as log:
            for line in log:
                words = line.split()
                for i, word in enumerate(words):
                    if word.startswith("query[") and words[i + 1].lower() == name:
                        found.append(word[6:-1])
        return found


if __name__ == "__main__":
    with World(sys.argv[1]) as world:
        os.environ["WORLD"] = world.dir
        sys.exit(subprocess.run(sys.argv[2:] or ["/bin/bash"], check=False).returncode)

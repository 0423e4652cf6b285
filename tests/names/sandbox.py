# SPDX-License-Identifier: Apache-2.0
"""Agents for the names suites: shells that run what they are told, inside a sandbox and outside of
one as the same user, and TAP about what they say."""
import os
import re
import subprocess
import sys
import threading
import time

from world import UID, die_with_us, wait_for

GUEST = "VM_KERNEL" in os.environ
# A denied command ends within so many ms. Where its own start counts, on a machine that may be busy
# or emulated, it gets longer; but the shortest timeout that could pass for a denial is 5 s.
AT_ONCE = 1000
AT_ONCE_STARTED = 30000 if GUEST else 4000
ACT_SECONDS = 60 if GUEST else 20


class Done:
    def __init__(self, status, ms, text):
        self.status, self.ms, self.text = status, ms, text

    def at_once(self):
        """client.py measures itself; of others the whole time is known."""
        took = re.search(r"^took (\d+) ms$", self.text, re.M)
        if took:
            return int(took.group(1)) < AT_ONCE * (5 if GUEST else 1)
        return self.ms < AT_ONCE_STARTED

    def __str__(self):
        return "status %s, %s ms: %s" % (self.status, self.ms, self.text.strip()[-600:])


class Agent:
    """agent.sh, started by @argv; its output files are in the world's work directory."""

    count = 0
    seconds = ACT_SECONDS  # of one act

    def __init__(self, world, argv, **options):
        self.world = world
        self.letter = "abcdefghijklmnopqrstuvwxyz"[Agent.count % 26] + str(Agent.count // 26)
        Agent.count += 1
        self.acts = 0
        self.done = {}
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            preexec_fn=die_with_us, **options
        )
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            words = line.split()
            with self.changed:
                self.done[words[0]] = words[1:]
                self.changed.notify_all()
        with self.changed:
            self.done[None] = []
            self.changed.notify_all()

    def start(self, command):
        self.acts += 1
        number = "%s.%d" % (self.letter, self.acts)
        try:
            self.process.stdin.write("%s %s\n" % (number, " ".join(command.split("\n"))))
            self.process.stdin.flush()
        except OSError:
            pass  # it ended: wait() says so
        return number

    def wait(self, number):
        seconds = self.seconds + 10
        with self.changed:
            self.changed.wait_for(lambda: number in self.done or None in self.done, seconds)
            words = self.done.get(number)
        path = self.world.path("work", "out." + number)
        text = ""
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace") as out:
                text = out.read()
        if words is None:
            return Done(None, int(seconds * 1000), text + " (no answer from the agent)")
        return Done(int(words[0]), int(words[1]), text)

    def act(self, command):
        return self.wait(self.start(command))

    def end(self):
        """What the program that runs agent.sh exits with."""
        try:
            self.process.stdin.close()
        except OSError:
            pass
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Outside(Agent):
    def __init__(self, world, **env):
        who = ["setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups"]
        super().__init__(
            world, who + ["/bin/bash", world.path("work", "agent.sh")],
            env=dict(PATH=os.environ["PATH"], HOME=world.path("work"), LC_ALL="C",
                     ACT_SECONDS=str(self.seconds), **env),
        )


class Sandbox(Agent):
    def __init__(self, world, policy, name="names", wrapper=None, **options):
        self.log_path = world.path(name + ".log")
        self.error_path = world.path(name + ".err")
        self.at = 0
        if os.path.exists(self.log_path):
            os.unlink(self.log_path)
        argv = (wrapper or ["openshell", "run"]) + [
            "--policy", policy, "--workdir", world.path("work"), "--no-tty", "--name", name,
            "--log", self.log_path, "--env", "ACT_SECONDS=%d" % self.seconds,
            "--", "/bin/bash", world.path("work", "agent.sh"),
        ]
        with open(self.error_path, "w", encoding="utf-8") as errors:
            super().__init__(world, argv, stderr=errors, **options)

    def log(self):
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def mark(self):
        """Events from now on are looked at."""
        self.at = len(self.log())

    def told(self, pattern, seconds=3):
        """True once an event since mark() matches; lines are buffered for 100 ms."""
        return wait_for(lambda: re.search(pattern, self.log()[self.at:]), seconds)

    def why(self):
        with open(self.error_path, encoding="utf-8", errors="replace") as errors:
            return errors.read()


class Tap:
    def __init__(self, wanted=""):
        self.count = self.failed = 0
        self.wanted = wanted

    def point(self, good, name, *notes):
        self.count += 1
        print("%s %d - %s" % ("ok" if good else "not ok", self.count, name))
        if not good:
            self.failed += 1
            for note in notes:
                for line in str(note).splitlines() or [""]:
                    print("#   " + line)
        sys.stdout.flush()
        return good

    def skip(self, name, reason):
        self.count += 1
        print("ok %d - %s # SKIP %s" % (self.count, name, reason))

    def finish(self):
        print("1..%d" % self.count)
        return 1 if self.failed else 0


def processes(name):
    """The pids that run this instance's program of that name; zombies are not counted."""
    path = os.path.join(os.environ["NAMES_DIR"], "bin", name)
    found = []
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            try:
                if os.readlink("/proc/%s/exe" % pid).split(" ")[0] == path:
                    found.append(int(pid))
            except OSError:
                pass
    return found


def parent(pid):
    with open("/proc/%d/stat" % pid, encoding="utf-8") as stat:
        return int(stat.read().rsplit(")", 1)[1].split()[1])


class Roles:
    """The processes of openshell-proxy of one run: its zygote, and what that has forked."""

    def __init__(self, owner):
        proxies = processes("openshell-proxy")
        self.zygote = [pid for pid in proxies if parent(pid) == owner]
        self.forked = [pid for pid in proxies if parent(pid) in self.zygote]

    def worker(self):
        """It holds the sockets that agents send to; the resolver listens to nobody."""
        for pid in self.forked:
            if listens(pid):
                return pid
        return None

    def resolver(self):
        for pid in self.forked:
            if not listens(pid):
                return pid
        return None


def listens(pid):
    sockets = set()
    try:
        for fd in os.listdir("/proc/%d/fd" % pid):
            try:
                sockets.add(os.readlink("/proc/%d/fd/%s" % (pid, fd)))
            except OSError:
                pass
        with open("/proc/self/net/tcp", encoding="ascii") as table:
            # 0A: listening; the tenth field is the inode.
            inodes = [line.split()[9] for line in table if line.split()[3] == "0A"]
    except OSError:
        return False
    return any("socket:[%s]" % inode in sockets for inode in inodes)


def left_behind(world, cgroup):
    """Whatever should not be there when nothing runs."""
    left = []
    for program in ("openshell", "openshell-proxy", "openshell-supervisor"):
        left += ["process %d, %s" % (pid, program) for pid in processes(program)]
    for path in (cgroup + "/openshell", "/sys/fs/bpf/openshell"):
        if os.path.exists(path):
            left.append(path)
    for top, folders, files in os.walk("/run"):
        for name in files + folders:
            path = os.path.join(top, name)
            if not re.fullmatch(r"/run/(openshell(/lock|/users|/types-.*)?|mount(/.*)?)", path):
                left.append(path)
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        left += [line.strip() for line in mounts if "openshell-run" in line]
    return left

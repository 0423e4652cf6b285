#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Files that are meant to hurt: each is refused with a sentence and the right exit status, within
two seconds of processor time and 512 MiB of memory. Prints TAP; usage: policy_hostile.py OPENSHELL.
"""
import os
import resource
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SECONDS = 2
MEMORY = 512 << 20


def limit():
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def rule(endpoints):
    return ("version: 1\nnetwork_policies:\n  a:\n    endpoints:\n" + "".join(
        "      - {%s}\n" % e for e in endpoints) + "    binaries: [{path: /x}]\n").encode()


WILDCARDS = rule("host: 'a*b*%d*.*.*.*.*.*.*.*.example.org', port: 443" % i for i in range(2000))
PATHS = rule("enforcement: enforce, host: a.example.org, port: 443, protocol: %s, access: full, path: '/%04d%s'"
             % ("rest" if i % 2 else "graphql", i, "*a" * 400) for i in range(2000))
PORTS = rule("host: h.example.org, ports: [%s]" % ",".join(map(str, range(1, 60000)))
             for i in range(3))
DISJOINT = rule("host: h.example.org, ports: [%s]"
                % ",".join(str(p) for p in range(1 + i % 2, 2000, 2)) for i in range(190))

# name, content, exit status, part of the message
CONTENTS = [
    ("empty file", b"", 1, "the file is empty"),
    ("only spaces", b" \n" * 100, 1, "the file is empty"),
    ("only comments", b"# nothing here\n", 1, "no content"),
    ("program", b"\x7fELF\x02\x01\x01\x00", 1, "not a text file"),
    ("random bytes", bytes((i * 197 + 13) % 256 for i in range(4096)), 1, "not "),
    ("UTF-16", "version: 1\n".encode("utf-16"), 1, "not UTF-8 text"),
    ("100 MB of comment", b"version: 1\n" + b"#" * 100_000_000, 1, "larger than 4 MiB"),
    ("4 MiB of comment", b"version: 1\n" + b"#" * ((4 << 20) - 11), 0, "valid"),
    ("deep flow nesting", b"version: " + b"[" * 1_000_000, 1, "nested deeper than 32 levels"),
    ("deep flow mappings", b"a: " + b"{a: " * 500_000, 1, "nested deeper than 32 levels"),
    ("deep block nesting", b"".join(b" " * i + b"a:\n" for i in range(2500)), 1,
     "nested deeper than 32 levels"),
    ("half a million values", b"a: [" + b"1," * 500_000 + b"]", 1, "too large for a policy"),
    ("ninety thousand keys", b"".join(b"k%d: 1\n" % i for i in range(90_000)), 1,
     "unknown key 'k0'"),
    ("one key ninety thousand times", b"a: 1\n" * 90_000, 1, "duplicate key 'a'"),
    ("billion laughs", b"a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n", 1, "anchors"),
    ("cycle", b"a: &a [*a]\n", 1, "anchors"),
    ("text without an end", b"version: \"" + b"x" * 4_000_000, 1, "not YAML"),
    ("long key", b"k" * 3_000_000 + b": 1\n", 1, "not YAML"),
    ("long explicit key", b"? \"" + b"k" * 3_000_000 + b"\"\n: 1\n", 1, "unknown key"),
    ("two documents", b"version: 1\n---\nversion: 1\n", 1, "a second document"),
    ("terminal escapes in a key", b"\"v\\e[31mx\": 1\n", 1, "control character"),
    ("terminal escapes in a value", b"version: \"\\e[31m\"\n", 1, "'version' must be"),
    ("2,000 wildcards", WILDCARDS, 1, "too many ways to be compared"),
    ("2,000 paths of wildcards", PATHS, 1, "too many ways to be compared"),
    ("60,000 ports, three times", PORTS, 1, "too many ways to be compared"),
    ("190 endpoints with a thousand ports", DISJOINT, 1, "too many ways to be compared"),
    ("17,000 endpoints", rule("host: h%d.example.org, port: 443" % i for i in range(17000)), 1,
     "17000 endpoints in all network policies: at most 16384"),
    ("16,384 endpoints", rule("host: h%d.example.org, port: 443" % i for i in range(16384)), 0,
     "valid"),
]


class Tap:
    def __init__(self, openshell):
        self.openshell = openshell
        self.count = self.failed = 0

    def check(self, name, path, status, text, command="check", openshell=None, user=None):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([openshell or self.openshell, "policy", command, path],
                              capture_output=True, preexec_fn=limit, timeout=60, user=user)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        output = (done.stdout + done.stderr).decode("utf-8", "replace")
        # Nobody's terminal takes orders from a policy file, and nobody reads a megabyte.
        ok = (done.returncode == status and text in output and "\x1b" not in output
              and "\a" not in output and len(output) < 100_000)
        self.count += 1
        self.failed += not ok
        print("%sok %d - policy %s: %s (%.2f s)"
              % ("" if ok else "not ", self.count, command, name, spent))
        if not ok:
            print("#   status %d: %s" % (done.returncode, ascii(output[:400].strip())))


def check_special(tap, directory):
    missing = os.path.join(directory, "missing.yaml")
    tap.check("missing file", missing, 2, "No such file")
    tap.check("missing file", missing, 2, "No such file", "compile")
    tap.check("directory", directory, 2, "is a directory")
    tap.check("directory", directory, 2, "is a directory", "compile")
    fifo = os.path.join(directory, "fifo")
    os.mkfifo(fifo)
    tap.check("FIFO without a writer", fifo, 2, "not a regular file")
    tap.check("endless device", "/dev/zero", 2, "not a regular file")
    loop = os.path.join(directory, "loop")
    os.symlink(loop, loop)
    tap.check("link to itself", loop, 2, "Too many levels")
    tap.check("name too long", os.path.join(directory, "x" * 300), 2, "File name too long")
    closed = os.path.join(directory, "closed.yaml")
    with open(closed, "w", encoding="utf-8") as f:
        f.write("version: 1\n")
    os.chmod(closed, 0)
    # Root reads everything, so root asks as somebody else, who must reach program and file.
    copy = shutil.copy(tap.openshell, directory)
    os.chmod(directory, 0o755)
    user = 65534 if os.geteuid() == 0 else None
    tap.check("unreadable file", closed, 2, "Permission denied", openshell=copy, user=user)
    os.chmod(closed, 0o444)
    tap.check("a user without privileges", closed, 0, "valid", openshell=copy, user=user)
    for name in ("bell\a.yaml", "escape\x1b[31m.yaml"):
        odd = os.path.join(directory, name)
        shutil.copy(closed, odd)
        tap.check("file name with control characters", odd, 0, "valid")
        tap.check("file name with control characters", odd, 0, "read_write", "compile")


def main():
    openshell = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build/bin/openshell")
    tap = Tap(os.path.abspath(openshell))
    with tempfile.TemporaryDirectory(prefix="policy-hostile-") as directory:
        path = os.path.join(directory, "policy.yaml")
        for name, content, status, text in CONTENTS:
            with open(path, "wb") as f:
                f.write(content)
            tap.check(name, path, status, text)
        check_special(tap, directory)
    print("1..%d" % tap.count)
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())

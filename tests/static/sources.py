#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What every source file must have, and what none may: licence lines, banned functions."""

import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
from btf import Tap

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Files that cannot carry a comment, or whose content is what a test feeds in byte for byte.
BARE = re.compile(
    r"^LICENSE|\.(json|md|txt|svg|png|pem|der|bin|jsonl|golden)$|/testdata/|^tests/fuzz/corpus/|\.gitkeep$"
)
KERNEL_SIDE = "GPL-2.0-only OR BSD-2-Clause"
USER_SIDE = "Apache-2.0"
BANNED = ("strcpy", "strcat", "sprintf", "vsprintf", "atoi", "atol", "strtok", "system", "alloca", "gets")
CALL = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(BANNED))
COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def tracked():
    listing = subprocess.run(
        ["git", "-C", TOP, "ls-files", "-z"], stdout=subprocess.PIPE, check=True, text=True
    ).stdout
    return [name for name in listing.split("\0") if name and os.path.isfile(os.path.join(TOP, name))]


def content(name):
    with open(os.path.join(TOP, name), encoding="utf-8", errors="replace") as file:
        return file.read()


def licence_problem(name, text):
    wanted = KERNEL_SIDE if name.startswith(("bpf/", "vmlinux/")) else USER_SIDE
    found = re.search(r"SPDX-License-Identifier: ([^\n*]+?)\s*(?:\*/|-->)?$", text[:400], re.M)
    if not found:
        return "%s: no SPDX line" % name
    if found.group(1).strip() != wanted:
        return "%s: %s, not %s" % (name, found.group(1).strip(), wanted)
    return None


def banned_calls(name, text):
    code = COMMENT_OR_STRING.sub(lambda match: re.sub(r"[^\n]", " ", match.group(0)), text)
    for match in CALL.finditer(code):
        yield "%s:%d: %s" % (name, code.count("\n", 0, match.start()) + 1, match.group(1))


def main():
    tap = Tap()
    names = tracked()
    missing = [p for p in (licence_problem(n, content(n)) for n in names if not BARE.search(n)) if p]
    tap.check(not missing, "every file names its licence", missing)
    bad = licence_problem("bpf/x.c", "// SPDX-License-Identifier: Apache-2.0\n")
    tap.check(bad and licence_problem("x.c", "int x;\n"), "a wrong licence or none is seen")

    sources = [n for n in names if n.startswith("userspace/") and n.endswith((".c", ".h"))]
    calls = [call for name in sources for call in banned_calls(name, content(name))]
    tap.check(len(sources) > 10 and not calls, "no banned function in userspace/", calls)
    sample = "int f(void)\n{ /* system( */ puts(\"atoi(\"); my_atoi(x); y->system(z);\n\treturn atoi (x); }\n"
    tap.check(list(banned_calls("x.c", sample)) == ["x.c:3: atoi"], "a banned call is seen, a mention is not")
    tap.finish()


main()

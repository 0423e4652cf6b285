#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the documentation says is there: links, tests, options, files; and README's policy is valid."""

import glob
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from btf import Tap

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("BUILD") or "build")
OPENSHELL = os.path.join(BUILD, "bin/openshell")
TEST = re.compile(r"`((?:unit|static|native|fuzz)/\w+)`")
CODE = re.compile(r"`((?:bpf|userspace|tests|mk|proto|policy|vmlinux|docs)/[\w./-]+)`")


def help_of(*verb):
    return subprocess.run(
        [OPENSHELL, *verb, "--help"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def dead_links(path, text):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if not re.match(r"\w+:", target):
            if not os.path.exists(os.path.join(os.path.dirname(path), target)):
                yield target


def missing_files(text):
    for name in CODE.findall(text):
        if re.search(r"(^|[/_])(X|NAME)\b", name):
            continue  # a pattern
        if not glob.glob(os.path.join(TOP, name.rstrip("/"))):
            yield name


def missing_tests(text):
    for name in TEST.findall(text):
        if not glob.glob(os.path.join(TOP, "tests", name + ".*")):
            yield name


def unknown_options(text):
    known = help_of("run")
    for line in re.findall(r"openshell run [^`\n]*", text):
        for option in re.findall(r"(--[a-z][a-z-]*)", line.split(" -- ")[0]):
            if option != "--help" and not re.search(re.escape(option) + r"\b", known):
                yield option


def main():
    tap = Tap()
    for path in [os.path.join(TOP, "README.md"), os.path.join(TOP, "HACKING.md")] + sorted(
        glob.glob(os.path.join(TOP, "docs/*.md"))
    ):
        name = os.path.relpath(path, TOP)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for what, check in (
            ("links", dead_links(path, text)),
            ("files", missing_files(text)),
            ("tests", missing_tests(text)),
            ("options of run", unknown_options(text)),
        ):
            wrong = sorted(set(check))
            tap.check(not wrong, "%s: %s that it names exist" % (name, what), wrong)
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as file:
        policies = re.findall(r"^```yaml\n(.*?)^```$", file.read(), re.M | re.S)
    tap.check(policies, "README.md has a policy")
    for policy in policies:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(policy)
            file.flush()
            done = subprocess.run(
                [OPENSHELL, "policy", "check", file.name], stdout=subprocess.PIPE, text=True
            )
        tap.check(
            done.returncode == 0 and "0 warnings" in done.stdout,
            "README.md: its policy is valid, without warnings", [done.stdout],
        )
        tap.check(policy.count("\n") <= 24, "README.md: its policy is short")
    return tap.finish()


sys.exit(main())

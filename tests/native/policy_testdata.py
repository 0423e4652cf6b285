#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The validator, the JSON Schema and the files of policy/testdata agree with each other.

Each file says in its first lines what it deserves: `# expect: LINE: TEXT` for every error,
`# warn: LINE: TEXT` for every warning, and `# schema: cannot express` when only the validator can
see what is wrong. Nothing else may be found. Prints TAP; usage: policy_testdata.py OPENSHELL.
"""
import glob
import json
import os
import re
import subprocess
import sys

import jsonschema
import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NOT_EXPRESSIBLE = "# schema: cannot express"


class CoreLoader(yaml.SafeLoader):
    """YAML 1.2's core schema, which is what the validator reads: `yes` is a word."""


CoreLoader.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("null", r"^(~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    # A sign or a leading zero is no number of a policy; as text it is refused just the same.
    ("int", r"^-?(0|[1-9][0-9]*)$", list("-0123456789")),
    ("float", r"^[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?$",
     list("-+.0123456789")),
):
    CoreLoader.add_implicit_resolver("tag:yaml.org,2002:" + tag, re.compile(pattern), first)


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def check(self, ok, name, *why):
        self.count += 1
        self.failed += not ok
        print("%sok %d - %s" % ("" if ok else "not ", self.count, name))
        if not ok:
            for line in why:
                print("#   " + line)

    def skip(self, name, why):
        self.count += 1
        print("ok %d - %s # SKIP %s" % (self.count, name, why))


def run_check(openshell, path):
    done = subprocess.run([openshell, "policy", "check", "-o", "json", path],
                          capture_output=True, timeout=60)
    return done.returncode, json.loads(done.stdout)[0]


def compare(found, expected, what):
    """Complaints about findings that are missing or too many."""
    left = list(found)
    problems = []
    for line, text in expected:
        match = [f for f in left if f["line"] == line and text in f["message"]]
        if match:
            left.remove(match[0])
        else:
            problems.append("no %s in line %d with: %s" % (what, line, text))
    return problems + ["unexpected %s: %d:%d: %s" % (what, f["line"], f["column"], f["message"])
                       for f in left]


def directives(text, word):
    return [(int(line), rest)
            for line, rest in re.findall(r"^# %s: (\d+): (.*?)\r?$" % word, text, re.M)]


def schema_accepts(schema, raw):
    try:
        value = yaml.load(raw, Loader=CoreLoader)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError):
        return False, "not YAML"
    error = jsonschema.exceptions.best_match(schema.iter_errors(value))
    return error is None, "" if error is None else error.message[:300]


def check_file(tap, openshell, schema, path, valid):
    name = os.path.relpath(path, ROOT)
    with open(path, "rb") as f:
        raw = f.read()
    text = raw.decode("utf-8", "replace")
    expected = directives(text, "expect")
    status, result = run_check(openshell, path)
    problems = compare(result["errors"], expected, "error")
    if valid:
        problems += compare(result["warnings"], directives(text, "warn"), "warning")
    if status != (0 if valid else 1) or result["valid"] != valid:
        problems.append("exit status %d, valid %s" % (status, result["valid"]))
    if not valid and not expected:
        problems.append("an invalid file says which error it expects")
    tap.check(not problems, name, *problems)

    accepted, why = schema_accepts(schema, raw)
    if NOT_EXPRESSIBLE in text:
        tap.check(accepted and not valid, name + ": the schema cannot see this",
                  "the marker is not true: the schema says: " + why)
    else:
        tap.check(accepted == valid, name + ": the schema agrees",
                  "the schema says: " + (why or "valid"))


# What the corpus's own README says each file deserves: errors and warnings by part of a message.
CORPUS = {
    "community-openclaw.yaml": (True, ["'tls: terminate' is deprecated"]),
    "quickstart.yaml": (True, []),
    "transparent-tcp-redis.yaml": (True, []),
    "preset-slack.yaml": (False, ["4: unknown key 'preset'", "4: 'version' is missing"]),
    "preset-docker.yaml": (False, ["4: unknown key 'preset'", "4: 'version' is missing"]),
}


def check_corpus(tap, openshell, schema):
    directory = os.path.join(ROOT, "..", "shared", "corpus")
    if not os.path.isdir(directory):
        tap.skip("corpus of policies in use", "no ../shared/corpus beside this tree")
        return
    for path in sorted(glob.glob(os.path.join(directory, "*.yaml"))):
        name = os.path.basename(path)
        if name not in CORPUS:
            tap.check(False, "corpus " + name, "no verdict is recorded for this file")
            continue
        valid, wanted = CORPUS[name]
        status, result = run_check(openshell, path)
        messages = ["%d: %s" % (f["line"], f["message"])
                    for f in result["errors"] + result["warnings"]]
        missing = [w for w in wanted if not any(w in m for m in messages)]
        tap.check(result["valid"] == valid and status == (not valid) and not missing,
                  "corpus " + name, *missing, *messages)
        with open(path, "rb") as f:
            accepted, why = schema_accepts(schema, f.read())
        tap.check(accepted == valid, "corpus %s: the schema agrees" % name, why)
        if not valid:
            check_stripped_preset(tap, openshell, path, name)


def check_stripped_preset(tap, openshell, path, name):
    """A preset without its header, and with a version, is a policy that admits nobody."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    stripped = re.sub(r"^preset:\n(  .*\n)+", "version: 1\n", text, flags=re.M)
    copy = os.path.join(os.environ.get("TMPDIR", "/tmp"), "policy-%d-%s" % (os.getpid(), name))
    try:
        with open(copy, "w", encoding="utf-8") as f:
            f.write(stripped)
        status, result = run_check(openshell, copy)
    finally:
        os.unlink(copy)
    tap.check(status == 0 and any("admits nobody" in w["message"] for w in result["warnings"]),
              "corpus %s without its header" % name, str(result))


def main():
    openshell = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build/bin/openshell")
    tap = Tap()
    with open(os.path.join(ROOT, "policy/openshell-policy.schema.json"), encoding="utf-8") as f:
        document = json.load(f)
    jsonschema.Draft202012Validator.check_schema(document)
    schema = jsonschema.Draft202012Validator(document)
    for kind, valid in (("valid", True), ("invalid", False)):
        paths = sorted(glob.glob(os.path.join(ROOT, "policy/testdata", kind, "*.yaml")))
        tap.check(len(paths) >= 40, "at least 40 %s policies" % kind, str(len(paths)))
        for path in paths:
            check_file(tap, openshell, schema, path, valid)
    for path in sorted(glob.glob(os.path.join(ROOT, "policy", "*.yaml"))):
        check_file(tap, openshell, schema, path, True)
    check_corpus(tap, openshell, schema)
    print("1..%d" % tap.count)
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())

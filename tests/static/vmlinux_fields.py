#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every field of vmlinux/vmlinux.h exists in the kernels that we run on, as the same kind of thing.

Kernels: those of the VM matrix, except the one that we refuse to run on, and the machine's own.
Fields are relocated by name at load; one that a kernel lacks would make the program fail there.
"""

import json
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
import btf
from btf import Btf, Tap, STRUCT, UNION

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEADER = os.path.join(TOP, "vmlinux/vmlinux.h")
KERNELS = ("6.1", "6.12", "newest")

# What only some kernels have and a program asks for before use: the struct, the first version.
SINCE = {"backing_file": (6, 5)}
# Flavours of which every kernel has one: [(field, kind)].
ONE_OF = {"inode": (("i_ctime", "struct"), ("__i_ctime", "struct"), ("i_ctime_nsec", "number"))}
# Elements of an array that is indexed: the stride is not relocated, so the size must be the same.
SAME_SIZE = ("upid",)


def header_fields():
    """{struct: [(field, kind of type)]}, as clang reads the header, and nothing it includes."""
    multiarch = subprocess.run(
        ["gcc", "-print-multiarch"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    command = ["clang", "-target", "bpf", "-D__bpf__", "-x", "c", "-fsyntax-only", "-w"]
    command += ["-I/usr/include/" + multiarch, "-Xclang", "-ast-dump=json", HEADER]
    tree = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    found, file = {}, None
    for node in tree["inner"]:
        location = node.get("loc", {})
        location = location.get("expansionLoc", location)
        file = location.get("file", file)
        if file != HEADER or node["kind"] != "RecordDecl" or "inner" not in node:
            continue
        fields = [
            (field["name"], kind_of(field["type"]))
            for field in node["inner"]
            if field["kind"] == "FieldDecl"
        ]
        if fields and "name" in node:
            found[node["name"]] = fields
    return found


def kind_of(declared):
    text = declared.get("desugaredQualType", declared["qualType"])
    if text.endswith("]"):
        return "array"
    if text.endswith("*"):
        return "pointer"
    if text.startswith(("struct ", "union ")) or "(unnamed" in text or text in ("kuid_t", "atomic_t"):
        return "struct"
    return "number"


def kernel_kind(kernel, number):
    kinds = {btf.ARRAY: "array", btf.PTR: "pointer", STRUCT: "struct", UNION: "struct"}
    return kinds.get(kernel.types[kernel.plain(number)].kind, "number")


def missing(kernel, fields, version):
    """Sentences about what the kernel lacks; flavours (`___x`) may be missing."""
    lacks = []
    for struct, wanted in fields.items():
        if "___" in struct or SINCE.get(struct, (0,)) > version:
            continue
        number = kernel.find(STRUCT, struct)
        if number is None:
            lacks.append("struct %s" % struct)
            continue
        have = {}
        for name, of, _, _ in kernel.members(number):
            have.setdefault(name, of)
        for name, kind in wanted:
            if name not in have:
                lacks.append("struct %s has no %s" % (struct, name))
            elif kernel_kind(kernel, have[name]) != kind:
                text = "%s.%s is a %s here, a %s in the header"
                lacks.append(text % (struct, name, kernel_kind(kernel, have[name]), kind))
    return lacks


def flavours(kernel, struct, wanted):
    """How many of the wanted fields the struct has, of the right kind."""
    have = {name: of for name, of, _, _ in kernel.members(kernel.find(STRUCT, struct))}
    return sum(name in have and kernel_kind(kernel, have[name]) == kind for name, kind in wanted)


def machines():
    """(name, version, BTF file or None, why not)"""
    for name in KERNELS:
        fetch = subprocess.run(
            [os.path.join(TOP, "tests/vm/fetch.sh"), name],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        if fetch.returncode == 77:
            yield name, None, None, fetch.stderr.strip().splitlines()[-1]
        elif fetch.returncode:
            raise RuntimeError(fetch.stderr)
        else:
            folder = fetch.stdout.strip()
            with open(os.path.join(folder, "version"), encoding="ascii") as version:
                yield name, version.read(), os.path.join(folder, "btf"), None
    own = "/sys/kernel/btf/vmlinux"
    if os.path.exists(own):
        yield "the running kernel", os.uname().release, own, None
    else:
        yield "the running kernel", None, None, "it has no BTF"


def main():
    tap = Tap()
    fields = header_fields()
    total = sum(len(names) for names in fields.values())
    with open(HEADER, encoding="ascii") as header:
        structs = re.findall(r"^struct \w+ \{", header.read(), re.M)
    title = "the header is read: %d fields of %d structs" % (total, len(fields))
    tap.check(len(fields) == len(structs) > 0, title, ["%d structs in its text" % len(structs)])
    sizes = {}
    for name, release, path, why in machines():
        title = "all fields exist in " + name
        if why:
            tap.skip(title, why)
            continue
        version = tuple(int(part) for part in re.match(r"(\d+)\.(\d+)", release).groups())
        kernel = Btf.of_file(path)
        lacks = missing(kernel, fields, version)
        tap.check(not lacks, title, lacks)
        for struct, wanted in ONE_OF.items():
            number = flavours(kernel, struct, wanted)
            tap.check(number == 1, "one flavour of struct %s in %s" % (struct, name), [str(number)])
        for struct in SAME_SIZE:
            sizes.setdefault(struct, set()).add(kernel.types[kernel.find(STRUCT, struct)].size)
        wrong = {"inode": [("i_no_such", "number"), ("i_sb", "number")], "no_such": [("x", "number")]}
        tap.check(len(missing(kernel, wrong, version)) == 3, "and what " + name + " lacks is told")
    for struct, seen in sizes.items():
        tap.check(len(seen) == 1, "struct %s has one size everywhere" % struct, [str(seen)])
    tap.finish()


main()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Both compilers lay out every struct and enum of bpf/include/abi.h alike, the built objects too.

The host's compiler and clang for bpf translate the same declarations; their BTF must agree.
"""

import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from btf import Btf, Tap, ENUM, STRUCT

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("BUILD") or "build")


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def compile_both(source, folder):
    """(host's BTF, bpf's BTF) of a file with declarations."""
    path = os.path.join(folder, "abi.c")
    with open(path, "w", encoding="ascii") as file:
        file.write(source)
    include = "-I" + os.path.join(TOP, "bpf/include")
    host, bpf = os.path.join(folder, "host.o"), os.path.join(folder, "bpf.o")
    run("gcc", "-std=gnu11", "-g", "-c", include, path, "-o", host)
    detached = os.path.join(folder, "host.btf")
    run("pahole", "-J", "--btf_encode_detached=" + detached, host)
    run(
        "clang", "-target", "bpf", "-D__bpf__", "-g", "-O2", "-c", include,
        "-I" + os.path.join(TOP, "vmlinux"),
        "-I/usr/include/" + run("gcc", "-print-multiarch"), path, "-o", bpf,
    )
    return Btf.of_file(detached), Btf.of_object(bpf)


def layout(view, kind, name):
    number = view.find(kind, name)
    if number is None:
        return None
    entry = view.types[number]
    if kind == ENUM:
        return [(label, value) for label, value in entry.extra]
    rows = [("%d bytes" % entry.size, "")]
    for member, of, offset, bits in view.members(number):
        rows.append(("%s at bit %d" % (member, offset), "%s/%d" % (view.describe(of), bits)))
    return rows


def differences(left, right):
    if left is None or right is None:
        return ["only one side has it"]
    return ["%s | %s" % pair for pair in zip(left, right) if pair[0] != pair[1]] or (
        [] if len(left) == len(right) else ["%d against %d rows" % (len(left), len(right))]
    )


def main():
    tap = Tap()
    with open(os.path.join(TOP, "bpf/include/abi.h"), encoding="ascii") as header:
        text = header.read()
    structs = re.findall(r"^struct (\w+) \{", text, re.M)
    enums = re.findall(r"^enum (\w+) \{", text, re.M)
    lines = ['#include "abi.h"'] + ["struct %s s_%s;" % (name, name) for name in structs]
    lines += ["enum %s e_%s;" % (name, name) for name in enums]
    objects = [os.path.join(BUILD, "bpf", name) for name in ("lsm.linked.o", "core.linked.o")]
    with tempfile.TemporaryDirectory() as folder:
        host, bpf = compile_both("\n".join(lines) + "\n", folder)
        built = [(os.path.basename(path), Btf.of_object(path)) for path in objects]
        for kind, names in ((STRUCT, structs), (ENUM, enums)):
            for name in names:
                rows = layout(host, kind, name)
                wrong = differences(rows, layout(bpf, kind, name))
                for path, view in built:
                    if view.find(kind, name) is not None:
                        wrong += [path + ": " + d for d in differences(rows, layout(view, kind, name))]
                tap.check(not wrong, "%s %s" % ("enum" if kind == ENUM else "struct", name), wrong)
        odd = "#ifdef __bpf__\n#define T long\n#else\n#define T int\n#endif\n"
        odd += "struct odd { int a; T b[2]; } odd; enum odd_enum { A, B = sizeof(T) } odd_enum;\n"
        host, bpf = compile_both(odd, folder)
        for kind, name in ((STRUCT, "odd"), (ENUM, "odd_enum")):
            wrong = differences(layout(host, kind, name), layout(bpf, kind, name))
            tap.check(bool(wrong), "a difference between the two sides is seen: " + name)
    tap.finish()


main()

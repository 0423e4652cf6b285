#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""No BPF object asks for more than Linux 5.15 has.

Helper numbers only grow, so the highest one of 5.15 (bpf_task_pt_regs, 175; 176 came with 5.16)
is the limit; map types and map flags likewise. Kernel functions (kfuncs) are not to be called at
all, program types are listed, and instructions are those of -mcpu=v3. What a program may call by
its type is not looked at here: that is seen in the VMs. A deliberately bad object must fail.
"""

import os
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import btf
from btf import Btf, Tap, read_elf

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get("BUILD") or "build")

HELPER_MAX = 175  # task_pt_regs
MAP_TYPE_MAX = 29  # BPF_MAP_TYPE_TASK_STORAGE; bloom filters came with 5.16
MAP_FLAGS = (1 << 13) - 1  # up to BPF_F_INNER_MAP

# Sections as libbpf names them. cgroup/: the attach types of 5.15, not connect_unix and its like.
PREFIXES = ("lsm/", "lsm.s/", "tp_btf/", "raw_tp/", "fentry/", "fexit/", "cgroup_skb/")
SECTIONS = {"syscall", "sockops", "sk_lookup", "cgroup/dev", "cgroup/sysctl"}
SECTIONS |= {"cgroup/" + name for name in ("sock_create", "sock_release", "setsockopt", "getsockopt")}
SECTIONS |= {"cgroup/post_bind%s" % family for family in "46"}
SECTIONS |= {
    "cgroup/%s%s" % (name, family)
    for name in ("bind", "connect", "sendmsg", "recvmsg", "getpeername", "getsockname")
    for family in "46"
}
# Programs that may use more, because the loader leaves them out where they do not load: {name: why}
OPTIONAL = {}

ALU64, JMP, JMP32, LDX, STX, ALU = 0x07, 0x05, 0x06, 0x01, 0x03, 0x04


def later_instruction(code, offset, immediate):
    """What makes this instruction newer than v3, or None."""
    of, operation = code & 0x07, code & 0xF0
    if of == LDX and code & 0xE0 == 0x80:
        return "sign-extending load"
    if of in (ALU, ALU64):
        if operation == 0xB0 and offset:
            return "sign-extending move"
        if operation in (0x30, 0x90) and offset:
            return "signed division"
        if of == ALU64 and operation == 0xD0:
            return "unconditional byte swap"
    if of == JMP32 and operation == 0x00:
        return "32-bit goto"
    if of in (JMP, JMP32) and operation == 0xE0:
        return "may_goto"
    if of == STX and code & 0xE0 == 0xC0 and immediate in (0x100, 0x110):
        return "load-acquire or store-release"
    return None


def functions(sections):
    """[(section index, start, end, name)] of defined functions, {(section, offset): extern name}"""
    symbols, externs = [], {}
    table = next(section for section in sections if section.kind == 2)
    names = sections[table.link].data
    for at in range(0, len(table.data), 24):
        name, info, _, index, value, size = struct.unpack_from("<IBBHQQ", table.data, at)
        symbols.append((btf.c_string(names, name), info & 0xF, index, value, size))
    for section in sections:
        if section.kind != 9:  # SHT_REL
            continue
        for at in range(0, len(section.data), 16):
            where, info = struct.unpack_from("<QQ", section.data, at)
            name, _, index, _, _ = symbols[info >> 32]
            if index == 0:
                externs[(section.info, where)] = name
    defined = [(i, v, v + size, name) for name, kind, i, v, size in symbols if kind == 2 and i]
    return defined, externs


def code_problems(path):
    sections = read_elf(path)
    defined, externs = functions(sections)
    for index, section in enumerate(sections):
        if not section.flags & 4 or not section.data:  # SHF_EXECINSTR
            continue
        if section.name != ".text" and section.name.lstrip("?") not in SECTIONS:
            if not section.name.lstrip("?").startswith(PREFIXES):
                yield "-", "program type '%s' is not in the list of 5.15's" % section.name
        at = 0
        while at < len(section.data):
            code, registers, offset, immediate = struct.unpack_from("<BBhi", section.data, at)
            name = next((n for i, s, e, n in defined if i == index and s <= at < e), "?")
            where = "%s+%d" % (section.name, at // 8)
            if code == 0x85 and registers >> 4 == 0 and immediate > HELPER_MAX:
                yield name, "%s: helper %d" % (where, immediate)
            if code == 0x85 and (registers >> 4 == 2 or (index, at) in externs):
                yield name, "%s: kernel function %s" % (where, externs.get((index, at), immediate))
            later = later_instruction(code, offset, immediate)
            if later:
                yield name, "%s: %s" % (where, later)
            at += 16 if code == 0x18 else 8


def number_of(view, kind):
    """libbpf's __uint(): a pointer to an array of that length."""
    array = view.types[view.plain(view.types[view.plain(kind)].size)]
    return array.extra[2]


def map_problems(view):
    for section in view.types:
        if section.kind != btf.DATASEC or section.name != ".maps":
            continue
        for variable in section.extra:
            name = view.types[variable].name
            for member, of, _, _ in view.members(view.plain(view.types[variable].size)):
                if member == "type" and number_of(view, of) > MAP_TYPE_MAX:
                    yield name, "map type %d" % number_of(view, of)
                if member == "map_flags" and number_of(view, of) & ~MAP_FLAGS:
                    yield name, "map flags 0x%x" % number_of(view, of)


def problems(path):
    found = list(code_problems(path)) + list(map_problems(Btf.of_object(path)))
    return ["%s: %s" % (name, what) for name, what in found if name not in OPTIONAL]


BAD = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, 30); __uint(map_flags, 1 << 13); __uint(max_entries, 1); } late_map SEC(".maps");
extern void *bpf_some_kfunc(void *p) __attribute__((section(".ksyms")));
static long (*late_helper)(void) = (void *)176;
static long (*last_helper)(void) = (void *)175;
SEC("lsm/file_open") int bad(void *ctx) { return late_helper() + (bpf_some_kfunc(ctx) != 0); }
SEC("lsm/file_open") int good(void *ctx) { return last_helper(); }
SEC("cgroup/connect_unix") int late_type(void *ctx) { return 1; }
char LICENSE[] SEC("license") = "GPL";
"""
EXPECTED = ("helper 176", "kernel function bpf_some_kfunc", "map type 30", "map flags", "connect_unix")
LATER = (
    (0x91, 0, 0), (0xBF, 8, 0), (0x3F, 1, 0), (0xD7, 0, 64), (0x06, 0, 0), (0xE5, 0, 0), (0xDB, 0, 0x100),
)
V3 = ((0x79, 8, 0), (0xBF, 0, 0), (0x3F, 0, 0), (0xDC, 0, 64), (0x05, 4, 0), (0xDB, 0, 0xF1), (0x16, 1, 0))


def self_check(tap):
    """The checks find what they are there for."""
    multiarch = subprocess.run(
        ["gcc", "-print-multiarch"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "bad.o")
        command = ["clang", "-target", "bpf", "-g", "-O2", "-w", "-mcpu=v3", "-x", "c", "-c", "-"]
        command += ["-I/usr/include/" + multiarch, "-o", path]
        subprocess.run(command, input=BAD, text=True, check=True)
        found = problems(path)
    for expected in EXPECTED:
        tap.check(any(expected in line for line in found), "a bad object is seen: " + expected, found)
    tap.check(len(found) == len(EXPECTED), "and nothing else is said of it", found)
    tap.check(all(later_instruction(*one) for one in LATER), "instructions of v4 are seen")
    tap.check(not any(later_instruction(*one) for one in V3), "instructions of v3 are let pass")


def main():
    tap = Tap()
    folder = os.path.join(BUILD, "bpf")
    objects = sorted(name for name in os.listdir(folder) if name.endswith(".o"))
    tap.check("lsm.linked.o" in objects and "core.linked.o" in objects, "the objects are built")
    for name in objects:
        found = problems(os.path.join(folder, name))
        tap.check(not found, "Linux 5.15 has all that %s asks for" % name, found)
    self_check(tap)
    tap.finish()


main()

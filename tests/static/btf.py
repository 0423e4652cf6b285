# SPDX-License-Identifier: Apache-2.0
"""Reads ELF sections and BTF (the kernel's Documentation/bpf/btf.rst); and prints TAP.

A library for the tests beside it. Raw BTF and little-endian ELF64 only: what our builds make.
"""

import struct
import sys

INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF = range(1, 9)
VOLATILE, CONST, RESTRICT, FUNC, FUNC_PROTO, VAR, DATASEC, FLOAT = range(9, 17)
DECL_TAG, TYPE_TAG, ENUM64 = range(17, 20)
ALIASES = (TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG)


class Section:
    def __init__(self, name, kind, flags, link, info, data):
        self.name, self.kind, self.flags = name, kind, flags
        self.link, self.info, self.data = link, info, data


def c_string(data, offset):
    return data[offset : data.index(b"\0", offset)].decode()


def read_elf(path):
    with open(path, "rb") as file:
        elf = file.read()
    if elf[:6] != b"\x7fELF\x02\x01":
        raise ValueError(path + " is no little-endian ELF64 file")
    (table,) = struct.unpack_from("<Q", elf, 0x28)
    size, count, names_at = struct.unpack_from("<HHH", elf, 0x3A)
    headers = [struct.unpack_from("<IIQQQQIIQQ", elf, table + i * size) for i in range(count)]
    names = elf[headers[names_at][4] :]
    sections = []
    for name, kind, flags, _, offset, length, link, info, _, _ in headers:
        data = b"" if kind == 8 else elf[offset : offset + length]  # 8: SHT_NOBITS
        sections.append(Section(c_string(names, name), kind, flags, link, info, data))
    return sections


class Type:
    def __init__(self, kind, name, size, extra):
        self.kind, self.name, self.size, self.extra = kind, name, size, extra


class Btf:
    """types[id]: size is the size or the type referred to, as in struct btf_type."""

    def __init__(self, data):
        magic, _, _, header, types_at, types_size, strings_at, _ = struct.unpack_from("<HBBIIIII", data)
        if magic != 0xEB9F:
            raise ValueError("not BTF")
        strings = data[header + strings_at :]
        at, end = header + types_at, header + types_at + types_size
        self.types = [Type(0, "void", 0, None)]
        while at < end:
            name, info, size = struct.unpack_from("<III", data, at)
            kind, count, flag = info >> 24 & 0x1F, info & 0xFFFF, info >> 31
            at += 12
            extra = None
            if kind in (INT, VAR, DECL_TAG):
                (extra,) = struct.unpack_from("<I", data, at)
                at += 4
            elif kind == ARRAY:
                extra = struct.unpack_from("<III", data, at)  # element, index, length
                at += 12
            elif kind in (STRUCT, UNION):
                extra = []
                for i in range(count):
                    member, of, offset = struct.unpack_from("<III", data, at + i * 12)
                    bits = offset >> 24 if flag else 0
                    offset = offset & 0xFFFFFF if flag else offset
                    extra.append((c_string(strings, member), of, offset, bits))
                at += 12 * count
            elif kind == ENUM:
                extra = []
                for i in range(count):
                    label, value = struct.unpack_from("<Ii", data, at + i * 8)
                    extra.append((c_string(strings, label), value))
                at += 8 * count
            elif kind == ENUM64:
                at += 12 * count
            elif kind == FUNC_PROTO:
                at += 8 * count
            elif kind == DATASEC:
                extra = [struct.unpack_from("<III", data, at + i * 12)[0] for i in range(count)]
                at += 12 * count
            self.types.append(Type(kind, c_string(strings, name), size, extra))
        self.by_name = {}
        for number, entry in enumerate(self.types):
            if entry.kind in (STRUCT, UNION, ENUM) and entry.name:
                self.by_name.setdefault((entry.kind, entry.name), number)

    @classmethod
    def of_object(cls, path):
        for section in read_elf(path):
            if section.name == ".BTF":
                return cls(section.data)
        raise ValueError(path + " has no BTF")

    @classmethod
    def of_file(cls, path):
        with open(path, "rb") as file:
            return cls(file.read())

    def plain(self, number):
        """The type behind typedefs and qualifiers."""
        while self.types[number].kind in ALIASES:
            number = self.types[number].size
        return number

    def find(self, kind, name):
        return self.by_name.get((kind, name))

    def size_of(self, number):
        entry = self.types[self.plain(number)]
        if entry.kind == PTR:
            return 8
        if entry.kind == ARRAY:
            return self.size_of(entry.extra[0]) * entry.extra[2]
        return entry.size

    def members(self, number, base=0):
        """(name, type, bit offset, bit size), those of unnamed structs and unions as if inlined."""
        for name, of, offset, bits in self.types[number].extra:
            if name:
                yield name, of, base + offset, bits
            else:
                yield from self.members(self.plain(of), base + offset)

    def describe(self, number):
        """What must be equal for two compilers' views of a type to be one."""
        entry = self.types[self.plain(number)]
        if entry.kind == ARRAY:
            # pahole makes one dimension of several
            of, count = entry.extra[0], entry.extra[2]
            inner = self.types[self.plain(of)]
            while inner.kind == ARRAY:
                of, count = inner.extra[0], count * inner.extra[2]
                inner = self.types[self.plain(of)]
            return "%s[%d]" % (self.describe(of), count)
        if entry.kind in (STRUCT, UNION) and entry.name:
            return "struct " + entry.name
        if entry.kind in (STRUCT, UNION):
            parts = ("%s:%s@%d" % (n, self.describe(t), o) for n, t, o, _ in self.members(number))
            return "{%s}" % ", ".join(parts)
        if entry.kind == PTR:
            return "pointer"
        return "%d bytes" % entry.size


class Tap:
    def __init__(self):
        self.count = self.bad = 0

    def check(self, ok, name, why=()):
        self.count += 1
        self.bad += not ok
        print("%s %d - %s" % ("ok" if ok else "not ok", self.count, name))
        if not ok:
            for line in why:
                print("#   " + line)

    def skip(self, name, reason):
        self.count += 1
        print("ok %d - %s # SKIP %s" % (self.count, name, reason))

    def finish(self):
        print("1..%d" % self.count)
        sys.exit(1 if self.bad or not self.count else 0)

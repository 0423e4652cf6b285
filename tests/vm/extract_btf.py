#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: extract_btf.py VMLINUZ OUT

Writes the BTF of an x86 bzImage. The boot protocol's header says where the compressed kernel lies
(Documentation/arch/x86/boot.rst, payload_offset and payload_length); its ELF file has .BTF.
"""

import gzip
import lzma
import struct
import subprocess
import sys


def payload(image):
    if image[0x202:0x206] != b"HdrS":
        raise ValueError("not a bzImage")
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    return image[start : start + length]


def unpack(data):
    # The last four bytes are the unpacked size, which is not part of a zstd or lz4 frame.
    for magic, tool in ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\x02\x21\x4c\x18", "lz4")):
        if data.startswith(magic):
            command = [tool, "-qdc", "-"]
            return subprocess.run(command, input=data[:-4], stdout=subprocess.PIPE, check=True).stdout
    if data.startswith(b"\xfd7zXZ"):
        return lzma.LZMADecompressor().decompress(data)
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data[:-4])
    if data.startswith(b"\x7fELF"):
        return data
    raise ValueError("compression not known: " + data[:6].hex())


def section(elf, wanted):
    (table,) = struct.unpack_from("<Q", elf, 0x28)
    entry_size, count, names = struct.unpack_from("<HHH", elf, 0x3A)
    entries = [struct.unpack_from("<IIQQQQ", elf, table + i * entry_size) for i in range(count)]
    strings = entries[names][4]
    for name, _, _, _, offset, size in entries:
        end = elf.index(b"\0", strings + name)
        if elf[strings + name : end] == wanted:
            return elf[offset : offset + size]
    raise ValueError("the kernel has no " + wanted.decode())


def main():
    with open(sys.argv[1], "rb") as image:
        elf = unpack(payload(image.read()))
    with open(sys.argv[2], "wb") as out:
        out.write(section(elf, b".BTF"))


main()

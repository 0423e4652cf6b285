#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# timeout: 120
"""OCI layouts, as openshell-image puts them into a directory: what layers add and take away, and what a
hostile one cannot do. Prints TAP."""

import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile

BIN = os.path.join(os.environ.get("BUILD") or "build", "bin", "openshell-image")
count = failed = 0
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
TAR, GZIP, ZSTD = ("application/vnd.oci.image.layer.v1.tar" + s for s in ("", "+gzip", "+zstd"))


def ok(good, what, note=""):
    global count, failed
    count += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {count} - {what}" + ("" if good else f" # {str(note)[:500]!r}"), flush=True)


def tar(*entries):
    """Entries: (name, content or None) or (name, TYPE, link) or a TarInfo."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as t:
        for e in entries:
            if isinstance(e, tarfile.TarInfo):
                t.addfile(e)
                continue
            info = tarfile.TarInfo(e[0])
            info.mode = 0o755
            if len(e) == 3 and not isinstance(e[1], (str, bytes)) or len(e) == 3 and len(e[1]) == 1:
                info.type, info.linkname = e[1], e[2]
                t.addfile(info)
            elif e[1] is None:
                info.type = tarfile.DIRTYPE
                t.addfile(info)
            else:
                info.size = len(e[1])
                info.mode = e[2] if len(e) == 3 else 0o644
                t.addfile(info, io.BytesIO(e[1]))
    return out.getvalue()


class Layout:
    def __init__(self, top, name):
        self.path = os.path.join(top, name)
        self.blobs = os.path.join(self.path, "blobs/sha256")
        os.makedirs(self.blobs)
        self.manifests = []
        with open(os.path.join(self.path, "oci-layout"), "w", encoding="ascii") as f:
            f.write('{"imageLayoutVersion":"1.0.0"}')

    def blob(self, data, kind, **more):
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(self.blobs, digest), "wb") as f:
            f.write(data)
        return {"mediaType": kind, "digest": "sha256:" + digest, "size": len(data), **more}

    def manifest(self, *layers, **more):
        described = [layer if isinstance(layer, dict) else self.blob(layer, TAR) for layer in layers]
        data = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": self.blob(b"{}", "application/json"),
                           "layers": described}).encode()
        return self.blob(data, MANIFEST, **more)

    def index(self, *manifests):
        with open(os.path.join(self.path, "index.json"), "w", encoding="utf-8") as f:
            json.dump({"schemaVersion": 2, "manifests": manifests}, f)
        return self


def tagged(name):
    return {"annotations": {"org.opencontainers.image.ref.name": name}}


def extract(layout, top, tag=""):
    """(status, what it says, the directory)"""
    into = tempfile.mkdtemp(dir=top)
    r = subprocess.run([BIN, layout.path if isinstance(layout, Layout) else layout, tag, into], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=60, check=False)
    return r.returncode, r.stdout.decode(), into


def tree(path):
    found = {}
    for root, dirs, files in os.walk(path):
        for name in dirs + files:
            full = os.path.join(root, name)
            st = os.lstat(full)
            what = ("-> " + os.readlink(full) if stat.S_ISLNK(st.st_mode) else "dir" if stat.S_ISDIR(st.st_mode)
                    else open(full, "rb").read() if stat.S_ISREG(st.st_mode) else "other")
            found[os.path.relpath(full, path)] = what
    return found


def layers(top):
    one = Layout(top, "one")
    base = tar(("bin", None), ("bin/sh", b"shell", 0o4755), ("etc", None), ("etc/a", b"a"), ("etc/b", b"b"),
               ("usr/lib/x", b"no parent is listed"), ("lib", b"2", "usr/lib"), ("lib/y", b"through a link"),
               ("etc/hard", b"1", "etc/a"), ("full", None), ("full/old", b"old"), ("full/deep/old", b"old"),
               ("swap", None), ("swap/in", b"in"), ("closed", None), ("\u00e4\u00f6", b"name"))
    closed = tarfile.TarInfo("closed/to/owner")
    closed.type, closed.mode = tarfile.DIRTYPE, 0o555
    fifo, device = tarfile.TarInfo("fifo"), tarfile.TarInfo("null")
    fifo.type, device.type, device.devmajor, device.devminor = tarfile.FIFOTYPE, tarfile.CHRTYPE, 1, 3
    second = tar(("etc/.wh.b", b""), ("full/new", b"new"), ("full/.wh..wh..opq", b""), ("swap", b"now a file"),
                 ("etc/a", b"a2"), closed, ("closed/to/owner/in", b"in it"), fifo, device, (".wh.gone", b""))
    one.index(one.manifest(base, one.blob(gzip.compress(second), GZIP)))
    status, said, into = extract(one, top)
    t = tree(into)
    ok(status == 0 and len(said) == 65, "an image is put into a directory, and its digest told", said)
    ok(t.get("usr/lib/x") == b"no parent is listed", "missing parents are made", t)
    ok(t.get("lib") == "-> usr/lib" and t.get("usr/lib/y") == b"through a link", "links in the image lead within it", t)
    ok(t.get("etc/a") == b"a2" and t.get("etc/hard") == b"a", "a later layer replaces a file, not its other names", t)
    ok("etc/b" not in t, "a whiteout takes away", t)
    ok(t.get("full/new") == b"new" and "full/old" not in t and "full/deep" not in t,
       "an opaque one takes away what was below, not what is beside it", t)
    ok(t.get("swap") == b"now a file" and "swap/in" not in t, "a file takes a directory's place", t)
    ok(t.get("closed/to/owner/in") == b"in it", "a directory that is closed to its owner is filled", t)
    ok("fifo" not in t and "null" not in t, "devices and fifos are left out", t)
    ok(os.stat(os.path.join(into, "bin/sh")).st_mode & 0o7777 == 0o755, "set-id bits are taken off")
    ok(t.get("\u00e4\u00f6") == b"name", "names beyond ASCII", t)
    ok(not any(".wh." in name for name in t), "no whiteout is left as a file", t)
    if shutil.which("zstd"):
        z = Layout(top, "zstd")
        packed = subprocess.run(["zstd", "-q"], input=base, stdout=subprocess.PIPE, check=True).stdout
        z.index(z.manifest(z.blob(packed, ZSTD)))
        status, said, into = extract(z, top)
        ok(status == 0 and tree(into).get("etc/b") == b"b", "zstd", said)


def choosing(top):
    many = Layout(top, "many")
    m = {name: many.manifest(tar(("which", name.encode())), **tagged(name)) for name in ("a", "b")}
    many.index(m["a"], m["b"])
    for name in ("a", "b"):
        status, said, into = extract(many, top, name)
        ok(status == 0 and tree(into) == {"which": name.encode()}, f"a tag chooses, {name}", said)
    status, said, _ = extract(many, top)
    ok(status == 1 and "name one" in said, "without a tag one of several is not guessed", said)
    status, said, _ = extract(many, top, "c")
    ok(status == 1 and "no image 'c'" in said, "a tag that is not there", said)
    arch = Layout(top, "arch")
    inner = [arch.manifest(tar(("which", a.encode())), platform={"os": "linux", "architecture": a})
             for a in ("amd64", "arm64", "riscv64")]
    outer = arch.blob(json.dumps({"schemaVersion": 2, "manifests": inner}).encode(), INDEX, **tagged("latest"))
    arch.index(outer)
    mine = {"x86_64": b"amd64", "aarch64": b"arm64"}.get(os.uname().machine)
    status, said, into = extract(arch, top, "latest")
    ok(status == 0 and tree(into) == {"which": mine}, "an index for several machines has one for this", said)
    loop = Layout(top, "loop")
    d = None
    for _ in range(6):
        d = loop.blob(json.dumps({"schemaVersion": 2, "manifests": [d or loop.manifest()]}).encode(), INDEX)
    loop.index(d)
    status, said, _ = extract(loop, top)
    ok(status == 1 and "nowhere" in said, "indexes that are too deep", said)


def hostile(top):
    victim = os.path.join(top, "victim")
    os.mkdir(victim)
    with open(os.path.join(victim, "file"), "w", encoding="ascii") as f:
        f.write("untouched")

    def one(name, *layers_, what, refused=True):
        layout = Layout(top, name)
        layout.index(layout.manifest(*layers_))
        status, said, into = extract(layout, top)
        untouched = tree(victim) == {"file": b"untouched"}
        ok(untouched and (status == 1 and said.strip() if refused else status == 0), what, (status, said, tree(victim)))
        return tree(into)
    one("dots", tar(("../victim/file", b"x")), what="a name with ..")
    one("dots2", tar(("a/../../victim/file", b"x")), what="a name with .. inside")
    t = one("absolute", tar((victim + "/file", b"x")), what="an absolute name is below the directory", refused=False)
    ok(t.get(victim[1:] + "/file") == b"x", "there it is", t)
    t = one("link", tar(("out", b"2", victim), (victim[1:], None), ("out/file", b"x")), what="a link that leads out "
            "leads within", refused=False)
    ok(t.get(victim[1:] + "/file") == b"x", "there it is as well", t)
    one("link2", tar(("out", b"2", "../../../../../.." + victim), ("out/file", b"x")), what="as does one with ..",
        refused=True)
    one("hard", tar(("mine", b"1", victim + "/file"), ("mine", b"x")), what="a hard link to something outside")
    one("hard2", tar(("out", b"2", victim), ("mine", b"1", "out/file")), what="likewise through a link")
    one("white", tar(("out", b"2", victim)), tar(("out/.wh.file", b"")), what="a whiteout behind a link",
        refused=False)
    one("white2", tar(("a", None)), tar(("a/.wh...", b"")), what="a whiteout of ..")
    one("proc", tar(("proc", b"2", "/proc/self/root"), ("proc" + victim + "/file", b"x")), what="a link into /proc")
    one("self", tar(("a", b"2", "a"), ("a/b", b"x")), what="a link to itself")
    one("junk", b"this is no archive" * 100, what="a layer that is no archive")
    good = tar(("a", b"x" * 100000), ("b", b"y"))
    one("cut", good[:60000], what="a layer that is cut off")
    layout = Layout(top, "damaged")
    blob = layout.blob(good, TAR)
    layout.index(layout.manifest(blob))
    with open(os.path.join(layout.blobs, blob["digest"][7:]), "r+b") as f:
        f.seek(5000)
        f.write(b"!")
    status, said, into = extract(layout, top)
    ok(status == 1 and "damaged" in said and not tree(into), "a layer with another digest is not looked at", said)
    layout = Layout(top, "longer")
    blob = layout.blob(good, TAR)
    layout.index(layout.manifest({**blob, "size": blob["size"] - 1}))
    status, said, into = extract(layout, top)
    ok(status == 1 and "damaged" in said, "nor one of another size", said)
    layout = Layout(top, "linked")
    blob = layout.blob(good, TAR)
    layout.index(layout.manifest(blob))
    path = os.path.join(layout.blobs, blob["digest"][7:])
    os.rename(path, os.path.join(top, "elsewhere"))
    os.symlink(os.path.join(top, "elsewhere"), path)
    status, said, into = extract(layout, top)
    ok(status == 1, "a blob that is a link is not followed", said)
    for name, text in (("empty", ""), ("array", "[]"), ("null", "null"), ("version", '{"schemaVersion":1,"manifests":[]}'),
                       ("digest", json.dumps({"schemaVersion": 2, "manifests": [
                           {"mediaType": MANIFEST, "digest": "sha256:../../../etc/passwd", "size": 1}]})),
                       ("negative", json.dumps({"schemaVersion": 2, "manifests": [
                           {"mediaType": MANIFEST, "digest": "sha256:" + "0" * 64, "size": -1}]}))):
        layout = Layout(top, "index-" + name)
        with open(os.path.join(layout.path, "index.json"), "w", encoding="ascii") as f:
            f.write(text)
        status, said, _ = extract(layout, top)
        ok(status == 1 and said.strip(), f"an index that is none: {name}", (status, said))
    status, said, _ = extract("/no/such/layout", top)
    ok(status == 1, "a layout that is not there", said)
    os.mkdir(os.path.join(top, "no-layout"))
    status, said, _ = extract(os.path.join(top, "no-layout"), top)
    ok(status == 1 and "index.json" in said, "a directory that is none", said)


def main():
    if os.geteuid():
        print("1..1\nok 1 - images # SKIP needs root")
        return 0
    top = tempfile.mkdtemp(prefix="openshell-image-", dir="/var/tmp")
    os.chmod(top, 0o755)
    try:
        layers(top)
        choosing(top)
        hostile(top)
    finally:
        shutil.rmtree(top)
    print(f"1..{count}")
    return failed != 0


sys.exit(main())

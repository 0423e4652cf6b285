# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for package registries, as static files: one for npm, one for pip."""
import base64
import hashlib
import io
import json
import os
import tarfile
import zipfile


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        out.write(data)


def archive(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def registry(folder, url):
    """Packages `first`, and `second` that it needs."""
    for name, needs in (("first", {"second": "^1.0.0"}), ("second", {})):
        about = {"name": name, "version": "1.0.0", "main": "index.js", "dependencies": needs}
        tarball = archive({
            "package/package.json": json.dumps(about).encode(),
            "package/index.js": b"module.exports = '%s is here';\n" % name.encode(),
            # Not to be squeezed into one packet.
            "package/data": os.urandom(300000),
        })
        digest = base64.b64encode(hashlib.sha512(tarball).digest()).decode()
        path = "/%s/-/%s-1.0.0.tgz" % (name, name)
        write(folder + path, tarball)
        about["dist"] = {"tarball": url + path, "integrity": "sha512-" + digest,
                         "shasum": hashlib.sha1(tarball).hexdigest()}
        write(folder + "/%s.json" % name, json.dumps({
            "name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": about},
        }).encode())


def index(folder):
    """A simple index (PEP 503) with one wheel."""
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as out:
        out.writestr("demo/__init__.py", "HERE = True\n")
        out.writestr("demo/data", os.urandom(300000))
        about = "demo-1.0.dist-info/"
        out.writestr(about + "METADATA", "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n")
        out.writestr(about + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
                     "Tag: py3-none-any\n")
        out.writestr(about + "RECORD", "")
    data = wheel.getvalue()
    name = "demo-1.0-py3-none-any.whl"
    write(folder + "/files/" + name, data)
    write(folder + "/simple/demo/index.html",
          b'<!DOCTYPE html><html><body><a href="/files/%s#sha256=%s">%s</a></body></html>\n' % (
              name.encode(), hashlib.sha256(data).hexdigest().encode(), name.encode()))

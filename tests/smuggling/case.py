# SPDX-License-Identifier: Apache-2.0
"""What a hostile request is: bytes, and what of it may arrive behind the proxy.

The policy that it meets admits GET, HEAD and POST below /allowed/ of one host, and nothing else. In
bytes @HOST@ stands for that host as a client would say it, with the port where it is not the
scheme's own.
"""
import hashlib

HOST = b"@HOST@"
ALLOWED_METHODS = ("GET", "HEAD", "POST")


class Case:
    """@may: (method, path[, body]) that the server may see, each once; nothing else may arrive.

    must    they have to arrive: what is odd, but has one reading that the policy admits
    broken  (method, path) that may begin to arrive, and must not become complete
    many    each of them may arrive any number of times
    status  what the proxy has to answer first, where it is agreed upon
    sni     of TLS; None is the host, "" is none
    quiet   a connection on which nothing comes of it is an answer too
    """

    def __init__(self, name, kind, send, may=(), must=False, broken=(), many=False, status=None,
                 protocol="h1", tls=False, sni=None, quiet=False):
        self.name, self.kind = name, kind
        self.send = [send] if isinstance(send, (bytes, tuple)) else list(send)
        self.may, self.must, self.broken, self.many = list(may), must, list(broken), many
        self.status, self.protocol = status, protocol
        self.tls, self.sni, self.quiet = tls or protocol == "h2", sni, quiet

    def bodies(self):
        """{(method, path): sha256 or None}"""
        return {
            (row[0], row[1]): hashlib.sha256(row[2]).hexdigest() if len(row) > 2 else None
            for row in self.may
        }


class Table(list):
    """Cases of one kind after the other; names are unique."""

    def __init__(self):
        super().__init__()
        self.kind = self.protocol = None
        self.names = set()

    def of(self, kind, protocol="h1"):
        self.kind, self.protocol = kind, protocol
        return self

    def add(self, name, send, **more):
        name = "%s/%s" % (self.kind, name)
        if name in self.names:
            raise ValueError(name + " is there already")
        self.names.add(name)
        self.append(Case(name, self.kind, send, protocol=self.protocol, **more))

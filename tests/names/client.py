#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A client for what curl and the others do not tell: the errno, the addresses, the DNS answer.

usage: client.py tcp|udp HOST PORT         connect, echo, who is the peer
       client.py literal ADDRESS PORT      the same, without a resolver
       client.py retry HOST PORT           like tcp, again while it is refused
       client.py url URL                   urllib, with ca.pem beside us
       client.py dns [tcp] [edns] NAME TYPE [ADDRESS]     one query, by hand
       client.py stream FILE HOST PORT     echo until FILE.stop is there, counting into FILE
       client.py hold HOST PORT GO         connect; echo again when GO exists
Prints one line, and another with the time that it took; exit status 0 if it worked.
"""
import errno
import os
import random
import socket
import ssl
import struct
import sys
import time
import urllib.request

TYPES = {"A": 1, "CNAME": 5, "SOA": 6, "PTR": 12, "TXT": 16, "AAAA": 28, "SVCB": 64, "HTTPS": 65}
CODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}


def show(peer):
    return "%s port %d" % peer[:2]


def echo(sock, data=b"ping"):
    sock.sendall(data)
    got = b""
    while len(got) < len(data):
        more = sock.recv(65536)
        if not more:
            raise ConnectionResetError(errno.ECONNRESET, "closed")
        got += more
    if got != data:
        raise OSError(errno.EBADMSG, "another echo")


def tcp(host, port):
    with socket.create_connection((host, int(port)), 10) as sock:
        echo(sock)
        return "ok peer " + show(sock.getpeername())


def literal(address, port):
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(kind, socket.SOCK_STREAM) as sock:
        sock.settimeout(10)
        sock.connect((address, int(port)))
        echo(sock)
        return "ok peer " + show(sock.getpeername())


def retry(host, port):
    for count in range(1, 11):
        try:
            return "%s try %d" % (tcp(host, port), count)
        except ConnectionRefusedError:
            pass
    raise ConnectionRefusedError(errno.ECONNREFUSED, "ten times")


def udp(host, port):
    told = []
    for kind, kind_of, protocol, _, address in socket.getaddrinfo(
        host, int(port), type=socket.SOCK_DGRAM
    ):
        for connected in (False, True):
            with socket.socket(kind, kind_of, protocol) as sock:
                sock.settimeout(5)
                if connected:
                    sock.connect(address)
                    sock.send(b"ping")
                else:
                    sock.sendto(b"ping", address)
                data, peer = sock.recvfrom(100)
                if data != b"ping":
                    raise OSError(errno.EBADMSG, "another echo")
                if peer[:2] != address[:2]:
                    raise OSError(errno.EBADMSG, "from %s" % show(peer))
                told.append(show(peer))
    return "ok peer " + ", ".join(told)


def url(address):
    context = ssl.create_default_context(cafile="ca.pem") if address[4] == "s" else None
    with urllib.request.urlopen(address, timeout=10, context=context) as answer:
        return "ok " + answer.read().decode().strip()


def wire_name(text):
    out = b""
    for label in text.rstrip(".").split("."):
        out += bytes([len(label)]) + label.encode("latin-1")
    return out + b"\0"


def skip_name(data, at):
    while data[at]:
        if data[at] & 0xC0:
            return at + 2
        at += 1 + data[at]
    return at + 1


def exchange(query, over_tcp, server):
    kind = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(kind, socket.SOCK_STREAM if over_tcp else socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect((server, 53))
        if not over_tcp:
            sock.send(query)
            return sock.recv(65536)
        sock.sendall(struct.pack("!H", len(query)) + query)
        data = b""
        while len(data) < 2 or len(data) < 2 + struct.unpack("!H", data[:2])[0]:
            more = sock.recv(65536)
            if not more:
                raise ConnectionResetError(errno.ECONNRESET, "closed")
            data += more
        return data[2:]


def dns(*words):
    words = list(words)
    over_tcp = words[0] == "tcp" and bool(words.pop(0))
    edns = words[0] == "edns" and bool(words.pop(0))
    name, kind = words[0], TYPES[words[1]]
    with open("/etc/resolv.conf", encoding="ascii") as conf:
        servers = [line.split()[1] for line in conf if line.startswith("nameserver")]
    server = words[2] if len(words) > 2 else servers[0]
    number = random.randrange(65536)
    question = wire_name(name) + struct.pack("!HH", kind, 1)
    query = struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, int(edns)) + question
    if edns:
        query += b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)
    data = exchange(query, over_tcp, server)
    got, flags, questions, answers, _, additional = struct.unpack("!HHHHHH", data[:12])
    told = [CODES.get(flags & 15, str(flags & 15))]
    if got != number or not flags & 0x8000:
        told.append("NOT-OURS")
    if flags & 0x0200:
        told.append("TRUNCATED")
    if questions != 1 or data[12 : 12 + len(question)] != question:
        told.append("ANOTHER-QUESTION")
    at = 12 + len(question)
    for _ in range(answers):
        at = skip_name(data, at)
        kind, _, ttl, length = struct.unpack("!HHIH", data[at : at + 10])
        value = data[at + 10 : at + 10 + length]
        if kind == 1:
            told.append("A %s ttl %d" % (socket.inet_ntop(socket.AF_INET, value), ttl))
        elif kind == 28:
            told.append("AAAA %s ttl %d" % (socket.inet_ntop(socket.AF_INET6, value), ttl))
        elif kind == 12:
            labels, part = [], value
            while part and part[0]:
                labels.append(part[1 : 1 + part[0]].decode())
                part = part[1 + part[0] :]
            told.append("PTR " + ".".join(labels))
        else:
            told.append("TYPE%d" % kind)
        at += 10 + length
    if edns and additional:
        told.append("EDNS")
    return " ".join(told)


def stream(path, host, port):
    """One connection; the file tells how many echoes there were, or why there are no more."""
    for old in (path, path + ".stop"):
        if os.path.exists(old):
            os.unlink(old)
    sock = socket.create_connection((host, int(port)), 10)
    sock.settimeout(5)
    count = 0
    while not os.path.exists(path + ".stop"):
        try:
            echo(sock, b"x" * 512)
        except OSError as error:
            tell(path, "end %s after %d" % (errno.errorcode.get(error.errno, error), count))
            raise
        count += 1
        tell(path, "count %d" % count)
        time.sleep(0.02)
    return "ok after %d" % count


def tell(path, text):
    with open(path + ".new", "w", encoding="ascii") as out:
        out.write(text + "\n")
    os.rename(path + ".new", path)


def hold(host, port, go):
    with socket.create_connection((host, int(port)), 10) as sock:
        sock.settimeout(5)
        echo(sock)
        tell(go + ".held", "held")
        while not os.path.exists(go):
            time.sleep(0.02)
        echo(sock)
        return "ok peer " + show(sock.getpeername())


def main():
    start = time.monotonic()
    try:
        return act()
    finally:
        print("took %d ms" % ((time.monotonic() - start) * 1000))


def act():
    try:
        print(globals()[sys.argv[1]](*sys.argv[2:]))
        return 0
    except socket.gaierror as error:
        names = {v: k for k, v in vars(socket).items() if k.startswith("EAI_")}
        print("%s resolve" % names.get(error.errno, error))
    except urllib.error.URLError as error:
        code = getattr(error.reason, "errno", None)
        print("%s url" % errno.errorcode.get(code, error.reason))
    except OSError as error:
        print("%s %s" % (errno.errorcode.get(error.errno, type(error).__name__), error))
    return 1


sys.exit(main())

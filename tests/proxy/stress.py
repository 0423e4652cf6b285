#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A client that misbehaves, or that waits and counts.

usage: stress.py loop URL FILE           requests, one connection each, until FILE.stop is there
       stress.py idle URL COUNT FILE     that many connections, one request on each, until FILE.stop
       stress.py bare URL COUNT FILE     the same without a request (and without TLS)
       stress.py slow URL COUNT SECONDS  heads that come byte by byte, on so many connections
       stress.py trickle URL BYTES FILE  an answer that is read slowly, until FILE.stop is there
       stress.py cuts URL KIND END       a server that stops after each number of bytes
       stress.py resets URL END          a client that does: END is fin or rst
       stress.py hellos URL END          the same in TLS's first message
       stress.py crowd URL COUNT         that many requests at once, each on a connection of its own
FILE gets, again and again, what there is to tell. The last line says it once more.
"""
import collections
import os
import resource
import selectors
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse


def split(url):
    url = urllib.parse.urlsplit(url)
    secure = url.scheme == "https"
    return url, secure, url.port or (443 if secure else 80)


CONTEXT = None


def connect(url, wrap=True, timeout=10):
    global CONTEXT
    url, secure, port = split(url)
    sock = socket.create_connection((url.hostname, port), timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if secure and wrap:
        if not CONTEXT:
            CONTEXT = ssl.create_default_context()
            CONTEXT.set_alpn_protocols(["http/1.1"])
        sock = CONTEXT.wrap_socket(sock, server_hostname=url.hostname)
    return sock


def head(url, path=None, method="GET", *fields):
    url = urllib.parse.urlsplit(url)
    return ("%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (
        method, path or url.path or "/", url.netloc, "".join(f + "\r\n" for f in fields))).encode()


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(sock.detach())


def read_answer(sock):
    """(status, body, whole); status 0 when the connection ended before there was one."""
    data = body = b""
    status, chunked = 0, False

    def more():
        nonlocal data
        part = sock.recv(65536)
        data += part
        return bool(part)

    try:
        while b"\r\n\r\n" not in data:
            if not more():
                return 0, b"", False
        fields, _, data = data.partition(b"\r\n\r\n")
        lines = fields.decode("latin-1").split("\r\n")
        status = int(lines[0].split()[1])
        told = {line.partition(":")[0].lower(): line.partition(":")[2].strip()
                for line in lines[1:]}
        chunked = told.get("transfer-encoding") == "chunked"
        if chunked:
            while True:
                while b"\r\n" not in data:
                    if not more():
                        return status, body, False
                size, _, data = data.partition(b"\r\n")
                size = int(size, 16)
                while len(data) < size + 2:
                    if not more():
                        return status, body, False
                body, data = body + data[:size], data[size + 2:]
                if not size:
                    return status, body, True
        size = told.get("content-length")
        while size is None or len(data) < int(size):
            if not more():
                return status, data, size is None
        return status, data[:int(size)], True
    except socket.timeout:
        raise
    except (OSError, ValueError):
        return status, body if chunked or not status else data, False


def tell(path, text):
    with open(path + ".new", "w", encoding="ascii") as out:
        out.write(text + "\n")
    os.rename(path + ".new", path)
    return text


def stopped(path):
    return os.path.exists(path + ".stop")


def loop(url, path):
    """Counts, and the longest that it ever had to do without an answer."""
    good = bad = 0
    gap, last = 0, time.monotonic()
    errors = collections.Counter()
    while not stopped(path):
        try:
            with connect(url) as sock:
                sock.sendall(head(url))
                status, _, whole = read_answer(sock)
        except OSError as error:
            status, whole = type(error).__name__, False
        now = time.monotonic()
        if status == 200 and whole:
            good += 1
            gap, last = max(gap, now - last), now
        else:
            bad += 1
            errors[status] += 1
        tell(path, "good %d bad %d gap %d %s" % (good, bad, gap * 1000, dict(errors)))
    print(open(path, encoding="ascii").read())
    return 0


def hold(url, count, path, request):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    held = []
    why = ""
    for _ in range(int(count)):
        try:
            sock = connect(url, request)
            if request:
                sock.sendall(head(url))
                status, _, whole = read_answer(sock)
                if status != 200 or not whole:
                    raise OSError("answered %d" % status)
            held.append(sock)
        except OSError as error:
            why = " %s" % error
            break
        if len(held) % 100 == 0:
            tell(path, "opening %d" % len(held))
    tell(path, "held %d%s" % (len(held), why))
    while not stopped(path):
        time.sleep(0.05)
    # Those that are still there when they are used again.
    alive = 0
    for sock in held if request else []:
        try:
            sock.sendall(head(url))
            status, _, whole = read_answer(sock)
            alive += status == 200 and whole
        except OSError:
            pass
    print("held %d alive %d%s" % (len(held), alive, why))
    return 0


def idle(url, count, path):
    return hold(url, count, path, True)


def bare(url, count, path):
    return hold(url, count, path, False)


def slow(url, count, seconds):
    socks = [connect(url) for _ in range(int(count))]
    text = head(url, None, "GET", *("X-%d: %s" % (i, "y" * 50) for i in range(20)))
    gone = 0
    until = time.monotonic() + float(seconds)
    at = 0
    while time.monotonic() < until and at < len(text) - 4:
        for sock in list(socks):
            try:
                sock.sendall(text[at:at + 1])
            except OSError:
                socks.remove(sock)
                gone += 1
        at += 1
        time.sleep(0.02)
    print("ok sent %d bytes on %d, %d were ended" % (at, len(socks), gone))
    return 0


def trickle(url, count, path):
    with connect(url) as sock:
        sock.sendall(head(url))
        got = 0
        while not stopped(path) and got < int(count):
            part = sock.recv(1024)
            if not part:
                break
            got += len(part)
            tell(path, "got %d" % got)
            time.sleep(0.02)
    print("ok got %d" % got)
    return 0


def cuts(url, kind, end):
    """Whole only when all was sent; never a part that looks whole."""
    import re

    counts = collections.Counter()
    wrong = []
    with connect(url) as sock:
        sock.sendall(head(url, "/ok"))
        body = read_answer(sock)[1]
    for size in range(0, 400):
        try:
            with connect(url) as sock:
                sock.sendall(head(url, "/%s/%d/%s" % (kind, size, end)))
                status, got, whole = read_answer(sock)
        except socket.timeout:
            status, got, whole = "timeout", b"", False
        except OSError:
            status, got, whole = 0, b"", False
        if status == 502 and whole and re.search(b'"error": *"upstream_unreachable"', got):
            counts["502"] += 1
        elif status == 200 and whole and got == body:
            counts["whole"] += 1
        elif status != "timeout" and not whole and body.startswith(got):
            counts["cut"] += 1
        else:
            wrong.append("%d: %s %r" % (size, status, got[:60]))
        if counts["whole"] >= 10:
            break
    # With a reset what was sent last may be lost, so that fewer arrive whole.
    print("%s 502 %d cut %d whole %d" % ("ok" if not wrong else "wrong", counts["502"],
                                         counts["cut"], counts["whole"]), *wrong[:5])
    return 1 if wrong else 0


def finish(sock, end):
    """Our direction is over: the other may still say something, and does so soon."""
    if end == "rst":
        reset(sock)
        return "reset"
    sock.settimeout(20)
    try:
        # Of TLS too only the connection is ended: nobody says goodbye.
        socket.socket.shutdown(sock, socket.SHUT_WR)
        status, _, _ = read_answer(sock)
        return status
    except socket.timeout:
        return "timeout"
    except OSError:
        return 0
    finally:
        sock.close()


def resets(url, end):
    text = head(url, "/cut-by-client", "POST", "Content-Length: 20") + b"b" * 20
    counts = collections.Counter()
    for size in range(len(text)):
        sock = connect(url)
        sock.sendall(text[:size])
        counts[finish(sock, end)] += 1
    print("ok" if not counts["timeout"] and not counts[200] else "wrong", dict(counts))
    return 0


def hellos(url, end):
    context = ssl.create_default_context()
    out = ssl.MemoryBIO()
    one = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=split(url)[0].hostname)
    try:
        one.do_handshake()
    except ssl.SSLWantReadError:
        pass
    text = out.read()
    counts = collections.Counter()
    for size in range(0, len(text)):
        sock = connect(url, False)
        sock.sendall(text[:size])
        counts[finish(sock, end)] += 1
    print("ok" if not counts["timeout"] and not counts[200] else "wrong", dict(counts))
    return 0


def crowd(url, count):
    counts = collections.Counter()
    worst = 0
    lock = threading.Lock()

    def one():
        nonlocal worst
        start = time.monotonic()
        try:
            with connect(url, True, 15) as sock:
                sock.sendall(head(url))
                status, _, whole = read_answer(sock)
                status = status if whole else "cut"
        except socket.timeout:
            status = "timeout"
        except OSError as error:
            status = type(error).__name__
        with lock:
            counts[status] += 1
            worst = max(worst, time.monotonic() - start)

    threads = [threading.Thread(target=one) for _ in range(int(count))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("ok" if not counts["timeout"] else "wrong", "worst %d ms" % (worst * 1000), dict(counts))
    return 0


if __name__ == "__main__":
    sys.exit(globals()[sys.argv[1]](*sys.argv[2:]))

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A client for what curl does not do or does not tell, mostly HTTP/1.1 by hand. TLS is checked with
what the environment says is trusted.

usage: raw.py keep URL METHOD:PATH..      requests one after the other on one connection
       raw.py pipeline URL METHOD:PATH..  all at once, answers in order
       raw.py expect URL SIZE             Expect: 100-continue; the body only when asked for
       raw.py chunked URL SIZE            an upload in chunks, with a trailer
       raw.py events URL                  how long server-sent events took from there to here
       raw.py text URL TEXT               TEXT (with \\r \\n \\0 escapes) as it is, and what comes back
       raw.py half URL                    end our direction after the request, then read
       raw.py requests METHOD URL [BODY]  the requests library
       raw.py session METHOD URL..        the requests library, one session
Exit status 0 if the protocol held, whatever the answers said.
"""
import hashlib
import json
import os
import re
import socket
import ssl
import sys
import time
import urllib.parse


class Connection:
    def __init__(self, url):
        self.url = urllib.parse.urlsplit(url)
        secure = self.url.scheme == "https"
        port = self.url.port or (443 if secure else 80)
        self.socket = socket.create_connection((self.url.hostname, port), 10)
        if secure:
            context = ssl.create_default_context()
            context.set_alpn_protocols(["http/1.1"])
            self.socket = context.wrap_socket(self.socket, server_hostname=self.url.hostname)
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def head(self, method, path, *fields):
        return ("%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (
            method, path, self.url.netloc, "".join(field + "\r\n" for field in fields))).encode()

    def line(self):
        line = self.file.readline(65536)
        if not line.endswith(b"\r\n"):
            raise EOFError("the connection ended in a head: %r" % line)
        return line[:-2].decode("latin-1")

    def answer_head(self):
        """(status, fields); -1 when the connection ended before."""
        first = self.file.readline(65536)
        if not first:
            return -1, {}
        status = int(first.split()[1])
        fields = {}
        while line := self.line():
            key, _, value = line.partition(":")
            fields[key.lower()] = value.strip()
        return status, fields

    def body(self, method, status, fields):
        if method == "HEAD" or status in (204, 304) or status < 200:
            return b""
        if fields.get("transfer-encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.line().split(";")[0], 16):
                parts.append(self.read(size))
                self.line()
            while self.line():
                pass
            return b"".join(parts)
        if "content-length" in fields:
            return self.read(int(fields["content-length"]))
        return self.file.read()

    def read(self, size):
        data = self.file.read(size)
        if len(data) != size:
            raise EOFError("%d bytes of %d" % (len(data), size))
        return data

    def answer(self, method="GET"):
        status, fields = self.answer_head()
        while 100 <= status < 200:
            status, fields = self.answer_head()
        return status, fields, b"" if status < 0 else self.body(method, status, fields)


def told(status, fields, body):
    """One answer in a line: what kind of no it is, or what the server said."""
    text = body.decode("utf-8", "replace").strip()
    try:
        text = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError):
        text = text[:300].replace("\n", " ")
    return "%d %s" % (status, text)


def keep(url, *requests):
    here = Connection(url)
    for request in requests:
        method, _, path = request.partition(":")
        body = b"x" * 100 if method in ("POST", "PUT") else b""
        here.send(here.head(method, path, *(["Content-Length: %d" % len(body)] if body else []))
                  + body)
        status, fields, body = here.answer(method)
        print(told(status, fields, body))
        if status < 0:
            return 1
        if fields.get("connection", "").lower() == "close":
            print("closed")
            return 0
    print("kept")
    return 0


def pipeline(url, *requests):
    here = Connection(url)
    split = [request.partition(":") for request in requests]
    here.send(b"".join(here.head(method, path) for method, _, path in split))
    for method, _, _ in split:
        status, fields, body = here.answer(method)
        print(told(status, fields, body))
        if status < 0:
            return 1
    return 0


def expect(url, size):
    here = Connection(url)
    body = os.urandom(int(size))
    here.send(here.head("PUT", here.url.path, "Content-Length: " + size, "Expect: 100-continue"))
    status, fields = here.answer_head()
    if status == 100:
        here.send(body)
        status, fields, data = here.answer("PUT")
        print("continued", told(status, fields, data))
        print("whole" if hashlib.sha256(body).hexdigest().encode() in data else "another body")
        return 0
    print("refused", told(status, fields, here.body("PUT", status, fields)))
    return 0


def chunked(url, size):
    here = Connection(url)
    body = os.urandom(int(size))
    here.send(here.head("PUT", here.url.path, "Transfer-Encoding: chunked", "Trailer: X-End"))
    at = 0
    try:
        while at < len(body):
            part = body[at:at + 1 + at * 7 % 9000]
            here.send(b"%x;ext=1\r\n%s\r\n" % (len(part), part))
            at += len(part)
        here.send(b"0\r\nX-End: here\r\n\r\n")
    except OSError:
        pass  # refused while we sent: the answer says it
    status, fields, data = here.answer("PUT")
    print(told(status, fields, data))
    if status == 200:
        print("whole" if hashlib.sha256(body).hexdigest().encode() in data else "another body")
    return 0


def events(url):
    here = Connection(url)
    here.send(here.head("GET", "%s?%s" % (here.url.path, here.url.query)))
    status, fields = here.answer_head()
    if status != 200:
        print(told(status, fields, here.body("GET", status, fields)))
        return 1
    delays = []
    while size := int(here.line().split(";")[0], 16):
        part = here.read(size)
        now = time.time() * 1000
        here.line()
        delays += [now - float(sent) for sent in re.findall(rb"data: \d+ ([\d.]+)", part)]
    print("events %d first %.1f ms worst %.1f ms" % (len(delays), delays[0], max(delays)))
    return 0


def text(url, escaped):
    here = Connection(url)
    data = escaped.encode().decode("unicode_escape").encode("latin-1")
    here.send(data)
    for _ in range(data.count(b" HTTP/1.") or 1):
        status, fields, body = here.answer(data.split(b" ")[0].decode("latin-1"))
        print(told(status, fields, body))
        if status < 0 or fields.get("connection", "").lower() == "close":
            break
    return 0


def half(url):
    here = Connection(url)
    here.send(here.head("GET", here.url.path, "Connection: close"))
    here.socket.shutdown(socket.SHUT_WR)
    print(told(*here.answer()))
    return 0


def requests(method, url, body=None):
    return session(method, url, body=body)


def session(method, *urls, body=None):
    import requests as library

    one = library.Session()
    for url in urls:
        answer = one.request(method, url, data=body, timeout=10)
        print(told(answer.status_code, answer.headers, answer.content))
    return 0


def main():
    try:
        return globals()[sys.argv[1]](*sys.argv[2:])
    except EOFError as error:
        print("cut", error)
    except OSError as error:
        print(type(error).__name__, error)
    return 1


sys.exit(main())

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A server that misbehaves as its path says, on ports 80 and 443 of ADDRESS.

usage: hostile.py SEEN CERTIFICATE ADDRESS

    /ok              as it should be
    /cut/N/fin       the first N bytes of an answer of known length, then the end; /rst: a reset
    /chunks/N/fin    the same of an answer in chunks
    /drip/MS         an answer byte by byte, MS ms apart
    /silent          no answer
    /early           an answer before the body was read, then the end
    /slow            reads the body slowly, then answers
    /informs         says 100 as fast as it can, for five seconds, and never answers
    /odd/NAME        an answer that is none, see ODD
SEEN gets a line of JSON for each request. Prints `ready` when both ports listen.
"""
import json
import os
import socket
import ssl
import struct
import sys
import threading
import time

BODY = b"".join(b"%03d," % i for i in range(16))
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (
    len(BODY), BODY)
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(
    b"%x\r\n%s\r\n" % (len(BODY[i:i + 16]), BODY[i:i + 16]) for i in range(0, len(BODY), 16)
) + b"0\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\n"
ODD = {
    "garbage": b"\x16\x03\x01 hello\r\n\r\n",
    "no-version": b"200 OK\r\nContent-Length: 0\r\n\r\n",
    "status": b"HTTP/1.1 99999 OK\r\nContent-Length: 0\r\n\r\n",
    "two-lengths": HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "both": HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad-length": HEAD + b"Content-Length: -1\r\n\r\n",
    "bad-chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nxx\r\n0\r\n\r\n",
    "huge-chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nxx",
    "coding": HEAD + b"Transfer-Encoding: gzip\r\n\r\nxx",
    "huge-head": HEAD + b"X-Big: " + b"x" * 1000000 + b"\r\nContent-Length: 0\r\n\r\n",
    "many-fields": HEAD + b"X-A: b\r\n" * 10000 + b"Content-Length: 0\r\n\r\n",
    "nul": HEAD + b"X-A: b\0c\r\nContent-Length: 0\r\n\r\n",
    "folded": HEAD + b"X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "interim": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000 + HEAD + b"Content-Length: 0\r\n\r\n",
    "switch": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx",
    "extra": HEAD + b"Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen",
}


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # Without the notice that TLS says goodbye with.
    os.close(connection.detach())


class Client:
    seen = None  # path of the log

    def __init__(self, connection):
        self.connection = connection
        self.data = b""

    def line(self):
        while b"\r\n" not in self.data:
            more = self.connection.recv(65536)
            if not more:
                raise EOFError
            self.data += more
        line, _, self.data = self.data.partition(b"\r\n")
        return line.decode("latin-1")

    def drain(self, size, pause=0):
        while len(self.data) < size:
            more = self.connection.recv(min(65536, size))
            if not more:
                raise EOFError
            size -= len(more)
            if pause:
                time.sleep(pause)
        self.data = self.data[size:]

    def request(self):
        """One request and its answer; True if another may follow."""
        method, path, _ = self.line().split(" ")
        fields = {}
        while line := self.line():
            key, _, value = line.partition(":")
            fields[key.lower()] = value.strip()
        with open(self.seen, "a", encoding="utf-8") as out:
            out.write(json.dumps({"host": fields.get("host", "").partition(":")[0], "what":
                                  "request", "method": method, "url": path,
                                  "headers": fields}) + "\n")
        words = path.split("?")[0].strip("/").split("/")
        size = int(fields.get("content-length", 0))
        send = self.connection.sendall
        if words[0] == "early":
            send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbig\n")
            return False
        self.drain(size, 0.02 if words[0] == "slow" else 0)
        if words[0] in ("cut", "chunks"):
            whole = ANSWER if words[0] == "cut" else CHUNKS
            send(whole[:int(words[1])])
            if words[2] == "rst":
                time.sleep(0.002)
                reset(self.connection)
            return False
        if words[0] == "drip":
            for i in range(len(ANSWER)):
                send(ANSWER[i:i + 1])
                time.sleep(int(words[1]) / 1000)
            return True
        if words[0] == "silent":
            self.connection.recv(1)
            return False
        if words[0] == "informs":
            end = time.monotonic() + 5
            while time.monotonic() < end:
                send(b"HTTP/1.1 100 \r\n\r\n" * 20000)
            return False
        if words[0] == "odd":
            send(ODD[words[1]])
            time.sleep(0.05)
            return False
        send(ANSWER)
        return True

    def serve(self):
        try:
            if isinstance(self.connection, ssl.SSLSocket):
                self.connection.do_handshake()
            while self.request():
                pass
        except (OSError, EOFError, ValueError):
            pass
        finally:
            try:
                # An end that TLS did not announce, as of a server that died.
                self.connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            self.connection.close()


def listen(address, port, context):
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, port))
    server.listen(1024)
    while True:
        connection, _ = server.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            connection = context.wrap_socket(connection, server_side=True,
                                             do_handshake_on_connect=False)
        threading.Thread(target=Client(connection).serve, daemon=True).start()


def main():
    Client.seen, certificate, address = sys.argv[1:4]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    for port, tls in ((80, None), (443, context)):
        threading.Thread(target=listen, args=(address, port, tls), daemon=True).start()
    time.sleep(0.1)
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
